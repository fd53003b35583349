"""Logistic regression on records of several owners under one key that they hold together, with its release.

    owners                                                     trainer
      agree on a common string, and make keys  <---- relays ---->       see mpc.encrypted.threshold.key_making
      own rows, encrypted                      ---->                    adds them up, so that rows are pooled
                                               <----                    at each refresh: encrypted weights
      a share of the refresh                   ---->                    adds up all owners' shares, and goes on
                                               <----                    the result, encrypted
      what own masks read as                   ---->                    adds them up: its share
      a share of the decryption, to the opener alone
      opener: adds them up, its share          <---- garbled circuit ---->
      all: the weights with noise              from the opener

The opener is one of the owners. The steps stand in :mod:`mpc.encrypted.threshold`.

*Trust.* All follow the protocol. A trainer that has owners refresh another ciphertext than its program's reads their
secrets from the answers. The trainer and the opener must not collude. If they do, they learn the d' numbers that are
read for each target without noise, with the encryption's error, and of the rest of the polynomial nothing.

*The sigmoid's range.* No party knows all records, so nobody runs their twin. :attr:`JointLogistic.worst_z` is what
norm, rate and iterations allow. It is far above what records reach: each step counts as if all records pushed the
weights as far as one record can, in one direction. So it refuses nothing, and says whether the range is proven. What is
refused is a training in which made-up records leave the range. Each owner looks at its own z in the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from mpc._core import CkksCiphertext
from mpc.channels.frames import Channel
from mpc.encrypted.packing import Floats
from mpc.encrypted.ranges import read_of, worst_case
from mpc.encrypted.reading import MOST_ERRORS
from mpc.encrypted.shared_release import SharedRelease, holder_open, trainer_open
from mpc.encrypted.threshold import decryption, refresh, release
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import JointKey
from mpc.encrypted.threshold.training import JointJob
from mpc.errors import ParameterError, RangeError
from mpc.garbled.session import Evaluator, Garbler

_GRID = 1 << SharedRelease.grid_bits


@dataclass(frozen=True)
class JointLogistic:
    """What all parties know alike of one pooled training.

    Attributes:
        job: whose weights begin with 0, and which has more than one iteration.
        sigma: the deviation of the noise that trainer and opener *each* add to every weight.

    Raises:
        ParameterError: one owner brings a model, or there is one iteration alone, which takes no product.
    """

    job: JointJob
    sigma: float

    def __post_init__(self) -> None:
        if self.job.model is not None:
            raise ParameterError(f"expected weights that begin with 0, found those of owner {self.job.model + 1}")
        if self.job.choices.iterations < 2:
            raise ParameterError("expected a training of more than one iteration, found one that takes no product")

    @cached_property
    def release(self) -> SharedRelease:
        """How the result is opened. Its limit is the job's bound on weights, so that it needs no choice."""
        limit = max(0, math.ceil(math.log2(self.job.largest)))
        return release.release_of(self.job, Fraction(round(self.sigma * _GRID), _GRID), limit)

    @property
    def largest_opened(self) -> float:
        """A norm that no target's opened weights exceed, with noise of 10 deviations."""
        each = 2.0**self.release.limit_bits + 10 * math.sqrt(2) * self.sigma
        return math.sqrt(self.job.packing.features) * MOST_ERRORS * each

    @cached_property
    def read_bounds(self) -> list[Floats]:
        """What numbers that are read are off by, ``(d',)`` for each target, estimated on made-up records.

        Raises:
            RangeError: made-up records leave the sigmoid's range or their ciphertexts.
        """
        job = self.job
        found = release.foresee_made_up(job, self.release.reading)
        reach, allowed = max(found.reach, default=0.0), job.choices.sigmoid.range
        if reach > allowed:
            raise RangeError(
                f"expected a training that keeps made-up records of a norm of {job.norm:g} in the sigmoid's "
                f"-{allowed:g}..{allowed:g}, found that they reach {reach:.3g}: lower learning_rate from "
                f"{job.choices.rate:g}, norm or iterations"
            )
        return read_of([found]) * job.targets

    @property
    def error(self) -> float:
        """The estimate of the largest error of a weight by the encryption alone, without the release's noise."""
        return max(float(self.release.reading.errors(one).max()) for one in self.read_bounds)

    def check_leak(self) -> float:
        """Return what the opened weights say of the encryption's error, in nats, by the estimate of that error.

        Raises:
            RangeError: it is above :data:`mpc.encrypted.shared_release.LARGEST_LEAK`, or made-up records leave the
                sigmoid's range.
        """
        return self.release.check_leak(self.read_bounds)

    @property
    def worst_z(self) -> float:
        """The largest z that any records can reach in any iteration."""
        job = self.job
        return max(worst_case(job.norm, job.choices, sum(job.rows) / job.packing.records))


def trainer_refresh(
    key: JointKey, job: JointJob, target: int, iteration: int, weights: bytes, shares: Sequence[bytes]
) -> bytes:
    """Return the refreshed weights, from the shares of all owners in order.

    Raises as :func:`mpc.encrypted.threshold.refresh.combine` does.
    """
    result = CkksCiphertext.from_bytes(job.core, weights)
    return refresh.combine(key, refresh.step_of(target, iteration), result, job.mask, job.records_level, shares)


def owner_refresh(owner: Owner, job: JointJob, target: int, iteration: int, weights: bytes) -> bytes:
    """Return an owner's share of the refresh of one target's weights.

    Raises as :func:`mpc.encrypted.threshold.refresh.owner_share` does, and ProtocolError for no ciphertext.
    """
    question = CkksCiphertext.from_bytes(job.core, weights)
    return refresh.owner_share(owner, refresh.step_of(target, iteration), question, job.mask, job.records_level)


def owner_decryption(owner: Owner, joint: JointLogistic, results: Sequence[bytes]) -> tuple[list[bytes], bytes]:
    """Return an owner's shares of all targets' results for the opener, and what its masks read as for the trainer.

    It answers for one set of results alone.

    Raises:
        ProtocolError: a result is not one under this key.
        OrderError: the owner has answered for others, or whatever its record raises.
    """
    found = _results(joint, results)
    shares = decryption.owner_shares(owner, found, joint.job.mask)
    return shares, release.owner_part(owner, joint.release, found, joint.job.mask)


def trainer_release(channel: Channel, key: JointKey, joint: JointLogistic, parts: Sequence[bytes]) -> None:
    """Give the trainer's side of the release, from what all owners' masks read as, in order. It learns nothing.

    Raises as :func:`mpc.encrypted.threshold.release.trainer_shares` and
    :func:`mpc.encrypted.shared_release.trainer_open` do.
    """
    trainer_open(joint.release, Garbler.open(channel), release.trainer_shares(key, joint.release, parts))


def opener_release(
    channel: Channel, key: JointKey, joint: JointLogistic, results: Sequence[bytes], shares: Sequence[Sequence[bytes]]
) -> list[Floats]:
    """Return the noisy weights ``(d',)`` of each target, from the shares of all owners in order.

    Raises as :func:`mpc.encrypted.threshold.release.receiver_shares` and
    :func:`mpc.encrypted.shared_release.holder_open` do.
    """
    own = release.receiver_shares(key, joint.release, _results(joint, results), shares)
    return holder_open(joint.release, Evaluator.open(channel), own)


def _results(joint: JointLogistic, results: Sequence[bytes]) -> list[CkksCiphertext]:
    if len(results) != joint.job.targets:
        raise ParameterError(f"expected results of {joint.job.targets} targets, found {len(results)}")
    return [CkksCiphertext.from_bytes(joint.job.core, message) for message in results]
