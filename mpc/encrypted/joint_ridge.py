"""Ridge regression on records of several owners under one key that they hold together, all sides in one file.

    owners                                                     trainer
      agree on a common string                 <---- relays ---->
      shares of the public key and of products,
      first round                              ---->  relays all to all
      shares of products, second round, and of
      rotations                                ---->            combines the keys
      G and b, encrypted                       ---->            adds them up and solves, see mpc.encrypted.pooled
                                               <----            the result under a mask that is uniform modulo Q
      shares of the decryption, to the opener alone
      opener: opens the masked result          <---- garbled circuit ---->  mask
      all: the weights with noise              from the opener

Keys are made as in :mod:`mpc.encrypted.threshold.key_making`, so that the trainer chooses none. The opener is an owner.
What is opened has discrete Gaussian noise of the trainer's and the opener's, see :mod:`mpc.encrypted.shared_release`.

*Trust.* All follow the protocol. Up to all owners but one may put together what they see, and the trainer with owners
other than the opener. The trainer and the opener must not collude: their shares together are the result without noise,
and as it depends on the key, they would learn of the others' secrets (Li and Micciancio, EUROCRYPT 2021). What owners'
masks hide then is :attr:`mpc.encrypted.threshold.masks.Mask.hidden_bits`, which is little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from mpc._core import CkksCiphertext
from mpc.channels.frames import Channel
from mpc.encrypted.noise import Chain
from mpc.encrypted.packing import Floats
from mpc.encrypted.pooled import RidgeJob, deviation, largest_norm
from mpc.encrypted.reading import Residues
from mpc.encrypted.shared_release import LARGEST_LEAK, SharedRelease, Shares, holder_open, holder_shares, trainer_open
from mpc.encrypted.threshold import decryption
from mpc.encrypted.threshold.masks import Mask
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import JointKey
from mpc.encrypted.tiling import Columns
from mpc.errors import ParameterError, RangeError
from mpc.garbled.session import Evaluator, Garbler

GRID_BITS = 18
_MASK_PART = 0.5  # of the result's own deviation, which owners' masks may add


@dataclass(frozen=True)
class JointRidge:
    """What all parties know alike of one pooled training.

    Attributes:
        job: whose holders are all its owners.
        sigma: the deviation of the noise that trainer and opener *each* add to every weight.
        to_trainer: the trainer learns the noisy weights, too.

    Raises:
        ParameterError: the owners are not the holders of the key.
        RangeError: the noise leaves too much of the encryption's error, or the result has no room.
    """

    job: RidgeJob
    sigma: float
    to_trainer: bool = False

    def __post_init__(self) -> None:
        if self.job.owners != self.job.holders:
            raise ParameterError(f"expected {self.job.owners} holders of the key, found {self.job.holders}")

    @property
    def unit(self) -> float:
        """What weights are multiplied by where they are encrypted."""
        return self.job.unit / float(self.job.choices.second_kind[-1])

    @cached_property
    def release(self) -> SharedRelease:
        """How the result is opened: one ciphertext for each target and column of tiles, in units of :attr:`unit`."""
        job, chain = self.job, self.job.chain
        largest = job.unit * float(job.choices.partial_norms[0])
        return SharedRelease(
            job.parameters,
            Columns(job.tiling.width, job.tiling.slots),
            chain.scale,
            targets=job.targets * job.tiling.columns,
            sigma=Fraction(round(self.sigma * abs(self.unit) * (1 << GRID_BITS)), 1 << GRID_BITS),
            limit_bits=max(0, math.ceil(math.log2(1.01 * largest))),
            grid_bits=GRID_BITS,
            to_trainer=self.to_trainer,
        )

    @property
    def mask(self) -> Mask:
        """Each owner's mask on a share of the decryption, so wide that it adds half of the result's own deviation."""
        chain, level = self.job.chain, self.release.level
        wanted = _MASK_PART * self._slot_deviation * float(chain.scale)
        one = Mask(1, 0.0, level, chain.modulus(level).bit_length())  # uniform modulo Q with the trainer's mask
        bits = 1 + max(0, math.floor(math.log2(wanted / one.error(chain))))
        return replace(one, bits=bits, hidden_bits=bits - math.log2(chain.degree) - math.log2(wanted))

    @property
    def _slot_deviation(self) -> float:
        """A bound on the deviation of each slot of the result, in the result's own units."""
        return deviation(self.job) * abs(self.unit)

    @cached_property
    def read_deviations(self) -> Floats:
        """Bounds on the deviation of each number that is read, over all records in the range, ``(width,)``.

        Errors of slots may depend on each other, so their deviations are added up with the factors' magnitudes.
        """
        chain, reading = self.job.chain, self.release.reading
        masked = _masked(chain, self.mask, self._slot_deviation)
        found: Floats = masked * (abs(reading.real).sum(axis=1) + abs(reading.imaginary).sum(axis=1))
        return found

    @property
    def deviations(self) -> Floats:
        """Bounds on the deviation of each weight by the encryption alone, without the release's noise, ``(width,)``."""
        found: Floats = self.release.reading.errors(self.read_deviations) / abs(self.unit)
        return found

    @property
    def largest_opened(self) -> float:
        """The largest norm of a target's opened weights over all records in the range, with noise of 10 deviations."""
        noise = 10 * math.hypot(math.sqrt(2) * self.sigma, float(self.deviations.max()))
        return largest_norm(self.job) + math.sqrt(self.job.tiling.size) * noise

    def check_leak(self) -> float:
        """Return what the opened weights say of the encryption's error, in nats, on average over that error.

        Raises:
            RangeError: it is above :data:`mpc.encrypted.shared_release.LARGEST_LEAK`. The sentence has a sigma for it.
        """
        leak = self.release.leak([self.read_deviations] * self.release.targets)
        if not leak <= LARGEST_LEAK:
            raise RangeError(
                f"expected noise beside which the encryption's error tells at most {LARGEST_LEAK:g} nats of the key, "
                f"found {leak:.2g} at a sigma of {self.sigma:g}: raise it to "
                f"{self.sigma * math.sqrt(leak / LARGEST_LEAK):.2g} or more"
            )
        return leak


def _masked(chain: Chain, mask: Mask, result: float) -> float:
    """Return the deviation of a slot after the trainer's mask, which is encrypted anew, and the owners' masks."""
    scale = float(chain.scale)
    return math.hypot(result, chain.fresh_public / scale, mask.error(chain) / scale)


# -- the decryption of masked results, to the opener alone -------------------------------------------------------------


def owner_decryption(owner: Owner, joint: JointRidge, masked: Sequence[bytes]) -> list[bytes]:
    """Return an owner's shares for all masked results. It answers for one set of results alone.

    Raises:
        ProtocolError: a result is not one under this key.
        OrderError: the owner has answered for others.
    """
    results = [CkksCiphertext.from_bytes(joint.job.core, message) for message in masked]
    return decryption.owner_shares(owner, results, joint.mask)


def opener_residues(
    key: JointKey, joint: JointRidge, masked: Sequence[bytes], shares: Sequence[Sequence[bytes]]
) -> list[Residues]:
    """Return the masked polynomials, as :func:`mpc.encrypted.shared_release.holder_shares` takes them.

    Args:
        shares: of each owner in order, what :func:`owner_decryption` gave there.

    Raises:
        ProtocolError: a share is missing, malformed, or not of this session and result.
    """
    found = []
    for place, message in enumerate(masked):
        result = CkksCiphertext.from_bytes(joint.job.core, message)
        found.append(decryption.receiver_residues(key, place, result, [one[place] for one in shares]))
    return found


# -- the release, over the channel between trainer and opener ---------------------------------------------------------


def trainer_release(channel: Channel, joint: JointRidge, shares: Shares) -> Floats | None:
    """Give the trainer's shares of the masks, and return the noisy weights ``(targets, d)`` if it learns them.

    Raises as :func:`mpc.encrypted.shared_release.trainer_open` does.
    """
    opened = trainer_open(joint.release, Garbler.open(channel), shares)
    return None if opened is None else weights_of(joint, opened)


def opener_release(channel: Channel, joint: JointRidge, residues: Sequence[Residues]) -> Floats:
    """Return the noisy weights ``(targets, d)``, from what :func:`opener_residues` gave.

    Raises as :func:`mpc.encrypted.shared_release.holder_open` does.
    """
    shares = holder_shares(joint.release, residues)
    return weights_of(joint, holder_open(joint.release, Evaluator.open(channel), shares))


def weights_of(joint: JointRidge, opened: Sequence[Floats]) -> Floats:
    """Return the noisy weights ``(targets, d)`` of what a release has opened."""
    whole: Floats = np.concatenate(opened).reshape(joint.job.targets, -1) / joint.unit
    return whole[:, : joint.job.features]
