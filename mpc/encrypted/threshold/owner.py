"""One owner of a joint key: its secret, and the record of what it has answered.

An owner answers each step once. If it is asked for the same step again with the same question, it gives the same share,
because all of a share's randomness follows from the owner's seed and from the question. Another question for the same
step is refused, and so is a ciphertext that was answered in another step. The record of that lies with the caller, who
keeps it durably where a process can end in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpc._core import CkksSecretShare
from mpc.encrypted.threshold.session import JointKey
from mpc.errors import OrderError, ParameterError


class Record(Protocol):
    """Remembers which question was answered in a step."""

    def note(self, step: str, question: bytes) -> None:
        """Write down, before the answer leaves, the digest of the question (32 bytes).

        Raises an error where the step was answered for another question.
        """
        ...


class Memory:
    """A record that lasts as long as the process."""

    def __init__(self) -> None:
        self._answered: dict[str, bytes] = {}

    def note(self, step: str, question: bytes) -> None:
        """Write down the question of a step. Raises `OrderError` for another one."""
        if self._answered.setdefault(step, question) != question:
            raise OrderError(
                f"expected one question for the step {step!r} of a joint key, found a second one: a share for it would "
                "tell of this owner's secret, so begin anew with new keys"
            )


class Owner:
    """One owner's side of all steps.

    Args:
        number: the owner's place among ``key.owners``, from 0.
        seed: 32 bytes, from which its secret follows together with the session. Keep them for as long as the job.
        signing: the key that ``key.owners`` names.
        record: of what was answered. In memory without one.
    """

    def __init__(
        self, key: JointKey, number: int, seed: bytes, signing: Ed25519PrivateKey, record: Record | None = None
    ) -> None:
        if not 0 <= number < len(key.owners) or signing.public_key().public_bytes_raw() != key.owners[number]:
            raise ParameterError(f"expected the signing key of owner {number + 1} of the joint key, found another")
        self.key = key
        self.number = number
        self.secret = CkksSecretShare(key.core, seed, key.key_id)
        self._signing = signing
        self._record: Record = Memory() if record is None else record

    def __repr__(self) -> str:
        return f"Owner({self.number + 1} of {len(self.key.owners)})"

    def note(self, step: str, *question: bytes) -> None:
        """Write down what is about to be answered. Raises an error for another question in the same step."""
        hashed = hashlib.sha256()
        for part in question:
            hashed.update(hashlib.sha256(part).digest())
        self._record.note(step, hashed.digest())

    def note_ciphertexts(self, step: str, messages: Sequence[bytes], mask_bits: int, level: int) -> None:
        """Write down which ciphertexts are about to be answered in a step, and the masks' width and the level for it.

        Raises an error for another question in the same step, and for a ciphertext that was answered in another one.
        """
        self.note(step, *messages, mask_bits.to_bytes(2, "little"), level.to_bytes(2, "little"))
        for message in messages:
            name = f"what ciphertext {hashlib.sha256(message).hexdigest()} is answered for"
            self._record.note(name, hashlib.sha256(step.encode()).digest())

    def sign(self, step: str, message: bytes) -> bytes:
        """Return a share as it is sent."""
        return self.key.sign(self.number, self._signing, step, message)
