"""All roles of one training under a joint key, in one process and in the order of the protocol.

It is specification and test. What it returns is what all owners' shares add up to: the weights with their noise,
which no party sees in a real run. There the receiver's integers and the owners' masks go into a shared release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpc._core import CkksCiphertext
from mpc.encrypted.embedding import values
from mpc.encrypted.packing import Floats
from mpc.encrypted.threshold import agreement, decryption, key_making, refresh
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import JointKey
from mpc.encrypted.threshold.training import JointJob, owner_encrypt, trainer_train
from mpc.encrypted.training import PRODUCTS
from mpc.errors import ParameterError
from mpc.randomness import SYSTEM, Randomness


@dataclass(frozen=True, repr=False)
class JointRun:
    """What one run leaves.

    Attributes:
        weights: ``(targets, d')``, with the noise of the encryption. owners: with their secrets, and the record of
        what they answered. results: each target's encrypted weights. key_bytes, part_bytes, share_bytes: what all
        owners have sent of key shares, of encrypted parts, and of shares at
            refreshes and at the end.
    """

    weights: Floats
    owners: tuple[Owner, ...]
    results: tuple[CkksCiphertext, ...]
    key_bytes: int
    part_bytes: int
    share_bytes: int

    def __repr__(self) -> str:
        return f"JointRun(weights={self.weights.shape}, owners={len(self.owners)})"


def run_joint(
    job: JointJob,
    records: Sequence[Sequence[Floats]],
    initial: Sequence[Floats] | None = None,
    randomness: Randomness = SYSTEM,
) -> JointRun:
    """Run every step of a training under a joint key.

    Args:
        records: of each owner, in order, each target's Z ``(n, d)``.
        initial: each target's weights to begin with, of the owner of the model.
    """
    owners = make_owners(job, randomness)
    key = owners[0].key

    # All keys, from shares that go to everybody.
    level, steps = job.keys_needed()
    if not level:
        raise ParameterError("expected a training of more than one iteration, found one that takes no product")
    firsts = [key_making.owner_first(owner, job) for owner in owners]
    made, added = key_making.add_first(key, job, firsts)
    public = key_making.public_of(key, made)
    seconds = [key_making.owner_second(owner, job, added) for owner in owners]
    keys = key_making.trainer_combine(key, job, firsts, seconds)
    products, rotations = keys[PRODUCTS], [keys[key_making.rotation_name(step)] for step in steps]
    sent = sum(len(share) for shares in (*firsts, *seconds) for share in shares.values())

    # Each owner's own rows. Only the trainer computes from here on, but at refreshes.
    parts = [owner_encrypt(job, owner.number, public, records[owner.number], initial) for owner in owners]
    answered = 0

    def refreshing(target: int, iteration: int, message: bytes) -> bytes:
        nonlocal answered
        step = refresh.step_of(target, iteration)
        weights = CkksCiphertext.from_bytes(key.core, message)
        shares = [refresh.owner_share(owner, step, weights, job.mask, job.records_level) for owner in owners]
        answered += sum(map(len, shares))
        return refresh.combine(key, step, weights, job.mask, job.records_level, shares)

    found = [p.weights for p in trainer_train(job, products, rotations, parts, refreshing) if p.weights is not None]

    # The end: the receiver has integers, each owner a mask, and these add up to the weights.
    results = [CkksCiphertext.from_bytes(key.core, message) for message in found]
    by_owner = [decryption.owner_shares(owner, results, job.mask) for owner in owners]
    answered += sum(len(share) for shares in by_owner for share in shares)
    weights = []
    for target, result in enumerate(results):
        opened = decryption.receiver_integers(key, target, result, [one[target] for one in by_owner], job.mask)
        masks = [decryption.owner_mask(owner, result, job.mask) for owner in owners]
        exact = [one - sum(drawn) for one, *drawn in zip(opened, *masks, strict=True)]
        slots = values(np.array(exact, np.float64)) / float(result.scale)
        weights.append(job.packing.weights(slots))
    encrypted = sum(len(message) for own in parts for message in own.values())
    return JointRun(np.stack(weights), tuple(owners), tuple(results), sent, encrypted, answered)


def make_owners(job: JointJob, randomness: Randomness = SYSTEM) -> list[Owner]:
    """Return the owners of a new joint key for a job, each with a seed and a signing key of its own."""
    count = len(job.rows)
    given = [agreement.owner_contribute(job.digest, owner, randomness) for owner in range(count)]
    common = agreement.common_string(job.digest, [one.commitment for one in given], [one.opening for one in given])
    signing = [Ed25519PrivateKey.from_private_bytes(randomness.bytes(32)) for _ in range(count)]
    key = JointKey(job.parameters, tuple(one.public_key().public_bytes_raw() for one in signing), job.digest, common)
    return [Owner(key, number, randomness.bytes(32), one) for number, one in enumerate(signing)]
