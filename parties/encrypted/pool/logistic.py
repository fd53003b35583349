"""Logistic regression between owners and trainer, both sides: rows, refreshes, the result, its decryption and release.

owner                                                trainer
  rows/...           own rows, encrypted     ---->   adds them up
                                             <----   refresh/TARGET/ITERATION   encrypted weights, to all
  share/TARGET/ITERATION                     ---->   adds up all owners' shares, and goes on
                                             <----   result/TARGET
  masks              what own masks read as  ---->
  decryption/TARGET  to the opener alone

What is trusted stands in :mod:`mpc.encrypted.joint_logistic`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from mpc.channels.frames import Channel
from mpc.encrypted import joint_logistic
from mpc.encrypted.joint_logistic import JointLogistic
from mpc.encrypted.packing import Floats
from mpc.encrypted.threshold import key_making, refresh, release
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import JointKey
from mpc.encrypted.threshold.training import largest_z_of, owner_encrypt, trainer_train
from mpc.encrypted.training import PRODUCTS
from parties.encrypted.wire import receive_parts, send_parts
from parties.frame.progress import Progress


class LogisticOwner:
    """An owner's side. The opener checks the leak, which follows from what all parties agree on.

    Args:
        records: prepared, ``(n, features)``.
        signs: each target's, ``(targets, n)``.
        opens: whether this is the opener.
    """

    def __init__(self, joint: JointLogistic, records: Floats, signs: Floats, opens: bool) -> None:
        self.joint, self._opens = joint, opens
        self._records = [records * target[:, None] for target in signs]

    def train(self, trainer: Channel, me: Owner, public: bytes, progress: Progress) -> tuple[list[bytes], list[bytes]]:
        """Return the encrypted result, and the owner's shares of its decryption, for the opener alone.

        Raises:
            RangeError: the release leaks too much, or made-up records leave the sigmoid's range.
        """
        joint, job = self.joint, self.joint.job
        if self._opens:
            with progress.step("4", "estimate the leak on made-up records"):
                joint.check_leak()
        with progress.step("4", "send encrypted rows", channel=trainer):
            parts = owner_encrypt(job, me.number, key_making.public_of(me.key, public), self._records)
            send_parts(trainer, "rows", parts, job.part_sizes(me.number))
        steps = [(target, iteration) for target in range(job.targets) for iteration in job.refreshes]
        with progress.step("5", "refresh the weights together", channel=trainer):
            for done, (target, iteration) in enumerate(steps, 1):
                weights = bytes(trainer.recv(f"refresh/{target}/{iteration}", job.weight_bytes))
                share = joint_logistic.owner_refresh(me, job, target, iteration, weights)
                trainer.send(f"share/{target}/{iteration}", share)
                progress.advance(done, len(steps), "refreshes")
        with progress.step("6", "decrypt the result under all owners' masks", channel=trainer):
            results = [bytes(trainer.recv(f"result/{target}", job.weight_bytes)) for target in range(job.targets)]
            shares, masks = joint_logistic.owner_decryption(me, joint, results)
            trainer.send("masks", masks)
        return results, shares

    def open(
        self, trainer: Channel, key: JointKey, results: Sequence[bytes], shares: Sequence[Sequence[bytes]]
    ) -> Floats:
        """Return the noisy weights ``(targets, features)`` as the opener, from the shares of all owners in order."""
        return np.stack(joint_logistic.opener_release(trainer, key, self.joint, results, shares))

    def report(self, weights: Floats) -> dict[str, Any]:
        """Return what the owner's report has of this algorithm. The z are those of its own records."""
        joint = self.joint
        found = {
            "largest_z": max(largest_z_of(own, one) for own, one in zip(self._records, weights, strict=True)),
            "range": joint.job.choices.sigmoid.range,
            "worst_z": joint.worst_z,
            "hidden_bits": joint.job.mask.hidden_bits,
        }
        return found | {"leak": joint.check_leak(), "deviation": joint.error} if self._opens else found


def trainer_logistic(
    owners: Sequence[Channel], key: JointKey, keys: Mapping[str, bytes], joint: JointLogistic, progress: Progress
) -> float:
    """Play the trainer from the encrypted rows on. Return the seconds of training, refreshes among it."""
    job = joint.job
    with progress.step("4", "receive encrypted rows"):
        parts = [receive_parts(owner, "rows", job.part_sizes(number)) for number, owner in enumerate(owners)]
    size, all_steps = refresh.share_bytes(key, job.mask, job.records_level), job.targets * job.choices.iterations

    def refreshing(target: int, iteration: int, weights: bytes) -> bytes:
        for owner in owners:
            owner.send(f"refresh/{target}/{iteration}", weights)
        shares = [bytes(owner.recv(f"share/{target}/{iteration}", size)) for owner in owners]
        return joint_logistic.trainer_refresh(key, job, target, iteration, weights, shares)

    began, results = perf_counter(), []
    with progress.step("5", "add up and train"):
        rotations = [keys[key_making.rotation_name(step)] for step in job.keys_needed()[1]]
        for done, step in enumerate(trainer_train(job, keys[PRODUCTS], rotations, parts, refreshing), 1):
            progress.advance(done, all_steps, "iterations")
            results += [] if step.weights is None else [step.weights]
    took = perf_counter() - began
    with progress.step("6", "give back the result, and add up what masks read as"):
        for owner in owners:
            for target, result in enumerate(results):
                owner.send(f"result/{target}", result)
        masks = [bytes(owner.recv("masks", release.part_bytes(joint.release))) for owner in owners]
    with progress.step("7", "open it with noise", channel=owners[0]):
        joint_logistic.trainer_release(owners[0], key, joint, masks)
    return took
