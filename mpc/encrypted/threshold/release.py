"""The release of a joint key's result by two shares: the owners' masks are one, what the receiver decrypts the other.

    each owner i                          trainer                       receiver, who is one of the owners
      A m_i mod Q           ------>         adds them up: its share
      c_1 s_i + m_i         ------------------------------------>         value + noise + sum_i m_i: its share
                                            garbles       <---->          evaluates, and learns the weights with noise
      the weights, from the receiver or from the trainer

m_i is an owner's mask of :mod:`mpc.encrypted.threshold.decryption`, which hides the value with its noise. A is public
(:mod:`mpc.encrypted.reading`), so the trainer gets d' sums of each mask, and no mask. Each owner signs what it sends.

The circuit has two parties, and each gives noise (:mod:`mpc.encrypted.shared_release`). So the trainer and the receiver
must not work together. If they do, they learn the d' numbers that are read without noise, with the encryption's error,
and of the rest of the polynomial nothing. Any other owners may work with one of the two.

Nobody runs the twin of pooled records, so nobody derives the bound on the error from them. :func:`estimate_bounds` runs
it on made-up records of the same number and the largest norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from mpc._core import CkksCiphertext
from mpc.encrypted.packing import Floats
from mpc.encrypted.ranges import Foreseen, read_of
from mpc.encrypted.reading import Reading, Residues
from mpc.encrypted.shared_release import SharedRelease, Shares, holder_shares, mask_shares
from mpc.encrypted.threshold.decryption import owner_mask, receiver_residues
from mpc.encrypted.threshold.masks import Mask
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import HEAD_BYTES, JointKey
from mpc.encrypted.threshold.training import JointJob, foresee
from mpc.errors import ProtocolError

STEP = "release"


def release_of(
    job: JointJob,
    sigma: Fraction = SharedRelease.sigma,
    limit_bits: int = SharedRelease.limit_bits,
    to_trainer: bool = False,
) -> SharedRelease:
    """Return the release of a joint training's results, at the level that has room for all owners' masks.

    Args:
        sigma, limit_bits, to_trainer: of :class:`mpc.encrypted.shared_release.SharedRelease`.
    """
    return SharedRelease(
        job.parameters,
        job.packing,
        job.weight_scale,
        job.targets,
        sigma=sigma,
        limit_bits=limit_bits,
        level=job.mask.level,
        to_trainer=to_trainer,
    )


def part_bytes(release: SharedRelease) -> int:
    """Return the length of what an owner sends to the trainer."""
    return HEAD_BYTES + release.targets * release.packing.features * _number_bytes(release)


def owner_part(owner: Owner, release: SharedRelease, results: Sequence[CkksCiphertext], mask: Mask) -> bytes:
    """Return what an owner's masks on all targets' results read as, signed, for the trainer alone."""
    read = [release.reading.read(_residues(release, owner_mask(owner, result, mask))) for result in results]
    size = _number_bytes(release)
    return owner.sign(STEP, b"".join(number.to_bytes(size, "little") for target in read for number in target))


def trainer_shares(key: JointKey, release: SharedRelease, parts: Sequence[bytes]) -> Shares:
    """Return the trainer's shares from the parts of all owners in order.

    Raises:
        ProtocolError: a part is missing, of another length, not of this session, or holds a number beyond Q.
    """
    size, features = _number_bytes(release), release.packing.features
    sums = [[0] * features for _ in range(release.targets)]
    for owner, message in enumerate(key.open_all(STEP, parts)):
        if len(message) != part_bytes(release) - HEAD_BYTES:
            expected = part_bytes(release) - HEAD_BYTES
            raise ProtocolError.mismatch("bytes of masks", expected, len(message), peer=f"owner {owner + 1}", step=STEP)
        for place in range(release.targets * features):
            number = int.from_bytes(message[place * size : (place + 1) * size], "little")
            if number >= release.reading.modulus:
                raise ProtocolError(
                    "expected what masks read as modulo Q, found a larger number", peer=f"owner {owner + 1}", step=STEP
                )
            sums[place // features][place % features] += number
    return mask_shares(release, sums)


def receiver_shares(
    key: JointKey, release: SharedRelease, results: Sequence[CkksCiphertext], shares: Sequence[Sequence[bytes]]
) -> Shares:
    """Return the receiver's shares, from the shares of all owners in order, each with one for each target's result.

    Raises:
        ProtocolError: a share is missing, malformed, or not of this session, target and result.
    """
    return holder_shares(
        release,
        [
            receiver_residues(key, target, result, [own[target] for own in shares])
            for target, result in enumerate(results)
        ],
    )


def estimate_bounds(job: JointJob, reading: Reading, seed: int = 0) -> list[Floats]:
    """Return what numbers that are read are off by at most, ``(d',)`` for each target, see :func:`foresee_made_up`."""
    return read_of([foresee_made_up(job, reading, seed)]) * job.targets


def foresee_made_up(job: JointJob, reading: Reading, seed: int = 0) -> Foreseen:
    """Run the twin of one target on made-up records.

    These have random directions, the largest norm and labels of a linear rule. On other records of that norm errors
    have the same size and may be larger, so this is no bound on theirs.

    Raises:
        RangeError: a number leaves its ciphertext, or errors of second order count.
    """
    random = np.random.default_rng(seed)
    records: list[list[Floats]] = []
    rule = random.normal(size=job.packing.features)
    for rows in job.rows:
        drawn = random.normal(size=(rows, job.packing.features))
        drawn *= job.norm * (1 - 1e-9) / np.linalg.norm(drawn, axis=1, keepdims=True)
        records.append([drawn * np.where(drawn @ rule > 0, 1.0, -1.0)[:, None]])
    initial = None if job.model is None else [np.zeros(job.packing.features)]
    (found,) = foresee(replace(job, targets=1), records, initial, reading)
    return found


def _number_bytes(release: SharedRelease) -> int:
    return (release.reading.modulus.bit_length() + 7) // 8


def _residues(release: SharedRelease, integers: Sequence[int]) -> Residues:
    return np.array([[number % prime for number in integers] for prime in release.reading.primes], np.uint64)
