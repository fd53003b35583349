"""Ridge regression between owners and trainer, both sides: moments, the masked result, decryption, release.

What is trusted stands in :mod:`mpc.encrypted.joint_ridge`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from mpc.channels.frames import Channel
from mpc.encrypted import joint_ridge
from mpc.encrypted.joint_ridge import JointRidge
from mpc.encrypted.packing import Floats
from mpc.encrypted.pooled import PUBLIC, add_moments, owner_encrypt_moments, owner_moments, trainer_solve
from mpc.encrypted.shared_release import holder_receive_masked, trainer_mask, trainer_send_masked
from mpc.encrypted.threshold import key_making
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import JointKey
from mpc.errors import RangeError
from parties.encrypted.wire import receive_parts, send_parts
from parties.frame.progress import Progress


class RidgeOwner:
    """An owner's side.

    Args:
        records: prepared, ``(n, features)``.
        signs: each target's, ``(targets, n)``.

    Raises:
        RangeError: the records are out of the agreed range, or the release leaks too much.
    """

    def __init__(self, joint: JointRidge, records: Floats, signs: Floats) -> None:
        self.joint = joint
        try:
            self._moments = owner_moments(joint.job, records, signs)
        except RangeError:  # logs may be read by others, so that a refusal has no number of these records
            if not 1 <= len(records) <= joint.job.records:
                raise RangeError(f"expected 1 to {joint.job.records} records, found more or none") from None
            raise RangeError(
                f"expected records whose second moments have eigenvalues of at most {joint.job.choices.largest:g}, "
                "found larger ones: all owners need a larger largest_eigenvalue or a smaller norm"
            ) from None
        self.leak = joint.check_leak()

    def train(self, trainer: Channel, me: Owner, public: bytes, progress: Progress) -> tuple[list[bytes], list[bytes]]:
        """Return what the trainer has masked, and the owner's shares of its decryption, for the opener alone."""
        joint, job = self.joint, self.joint.job
        with progress.step("4", "send encrypted moments", channel=trainer):
            parts = owner_encrypt_moments(job, key_making.public_of(me.key, public), *self._moments)
            send_parts(trainer, "moments", parts, job.moment_sizes(seeded=False))
        with progress.step("6", "decrypt what the trainer has masked", channel=trainer):
            masked = holder_receive_masked(trainer, joint.release)
            return masked, joint_ridge.owner_decryption(me, joint, masked)

    def open(
        self, trainer: Channel, key: JointKey, masked: Sequence[bytes], shares: Sequence[Sequence[bytes]]
    ) -> Floats:
        """Return the noisy weights ``(targets, features)`` as the opener, from the shares of all owners in order."""
        residues = joint_ridge.opener_residues(key, self.joint, masked, shares)
        return joint_ridge.opener_release(trainer, self.joint, residues)

    def report(self, weights: Floats) -> dict[str, Any]:
        """Return what the owner's report has of this algorithm."""
        joint = self.joint
        return {
            "leak": self.leak,
            "deviation": float(joint.deviations.max()),
            "hidden_bits": joint.mask.hidden_bits,
        }


def trainer_ridge(
    owners: Sequence[Channel], key: JointKey, keys: Mapping[str, bytes], joint: JointRidge, progress: Progress
) -> float:
    """Play the trainer from the encrypted moments on. Return the seconds of training on ciphertexts."""
    job = joint.job
    with progress.step("4", "receive encrypted moments"):
        sizes = job.moment_sizes(seeded=False)
        moments = [receive_parts(owner, "moments", sizes) for owner in owners]
    began = perf_counter()
    with progress.step("5", "add up and solve"):
        solved = trainer_solve(
            job, keys, add_moments(job, moments), lambda done, steps: progress.advance(done, steps, "steps")
        )
        weights = list(solved.values())
    took = perf_counter() - began
    with progress.step("6", "send the result under a mask"):
        masked, shares = trainer_mask(joint.release, keys[PUBLIC], weights)
        for owner in owners:
            trainer_send_masked(owner, masked)
    with progress.step("7", "open it with noise", channel=owners[0]):
        joint_ridge.trainer_release(owners[0], joint, shares)
    return took
