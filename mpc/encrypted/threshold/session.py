"""What several owners of one key agree on, and shares that are bound to it.

A share that is sent begins with the session, the step and its owner's number, and ends with the owner's signature over
these and a digest of the share. So one of another session, of another step or from another owner is refused before it
is read.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mpc._core import CkksParameters
from mpc.encrypted.ciphertexts import chain_of
from mpc.encrypted.noise import Chain
from mpc.encrypted.parameters import parameters_of
from mpc.errors import ParameterError, ProtocolError

MOST_OWNERS = 64
"""More owners than these have not been measured. Noise grows with their number."""

DIGEST_BYTES = 32
SEED_BYTES = 16
KEY_ID_BYTES = 16
_SIGNATURE_BYTES = 64
_MAGIC = b"capcSHR1"
_HEAD = struct.Struct(f"<8s{DIGEST_BYTES}sH{DIGEST_BYTES}s")  # magic, session, owner, digest of the step's name
HEAD_BYTES = _HEAD.size + _SIGNATURE_BYTES
"""How much longer a share is than what the core makes."""


def digest_of(purpose: str, *parts: bytes) -> bytes:
    """Return 32 bytes that depend on a purpose and on parts, each with its length before it."""
    hashed = hashlib.sha256(f"capc joint key 1 {purpose}\n".encode())
    for part in parts:
        hashed.update(len(part).to_bytes(8, "little") + part)
    return hashed.digest()


@dataclass(frozen=True)
class JointKey:
    """What names one key of several owners. Everything is public, and all parties hold the same.

    Attributes:
        parameters: the name of the set.
        owners: the Ed25519 keys that owners sign with, 32 bytes each, in the owners' order.
        job: 32 bytes that name the one job that the key is for.
        common: the common random string, 32 bytes, see :mod:`mpc.encrypted.threshold.agreement`.

    Raises:
        ParameterError: there are fewer than two owners, two of one key, or a part has another length.
    """

    parameters: str
    owners: tuple[bytes, ...]
    job: bytes
    common: bytes

    def __post_init__(self) -> None:
        if not 2 <= len(self.owners) <= MOST_OWNERS:
            raise ParameterError(f"expected 2 to {MOST_OWNERS} owners of a joint key, found {len(self.owners)}")
        if len(set(self.owners)) != len(self.owners) or any(len(owner) != 32 for owner in self.owners):
            raise ParameterError("expected owners with signing keys of 32 bytes, each of its own, found others")
        for name, found in (("job", self.job), ("common random string", self.common)):
            if len(found) != DIGEST_BYTES:
                raise ParameterError(f"{name}: expected {DIGEST_BYTES} bytes, found {len(found)}")

    @property
    def core(self) -> CkksParameters:
        """The parameters."""
        return parameters_of(self.parameters)

    @property
    def chain(self) -> Chain:
        """What the noise depends on, the number of owners among it."""
        return chain_of(self.core, len(self.owners))

    @property
    def session(self) -> bytes:
        """32 bytes that all shares are bound to."""
        return digest_of("session", self.core.digest, *self.owners, self.job, self.common)

    @property
    def key_id(self) -> bytes:
        """16 bytes that name the joint key in every ciphertext."""
        return digest_of("key id", self.session)[:KEY_ID_BYTES]

    def common_seed(self, step: str) -> bytes:
        """Return the 16 bytes that all owners draw the uniform halves of one step from."""
        return digest_of("common seed", self.session, step.encode())[:SEED_BYTES]

    def sign(self, owner: int, signing: Ed25519PrivateKey, step: str, message: bytes) -> bytes:
        """Return a share as it is sent."""
        head = _HEAD.pack(_MAGIC, self.session, owner, digest_of("step", step.encode()))
        return head + signing.sign(_signed(head, message)) + message

    def open(self, owner: int, step: str, share: bytes) -> bytes:
        """Return what an owner has sent for a step, without its head.

        Raises:
            ProtocolError: the share is of another session, step or owner, was cut, or is not signed by this owner.
        """
        peer = f"owner {owner + 1}"
        if len(share) < HEAD_BYTES:
            raise ProtocolError.mismatch("bytes of a share, at least", HEAD_BYTES, len(share), peer=peer, step=step)
        head, signature, message = share[: _HEAD.size], share[_HEAD.size : HEAD_BYTES], share[HEAD_BYTES:]
        magic, session, sender, step_digest = _HEAD.unpack(head)
        if magic != _MAGIC:
            raise ProtocolError("expected a share, found another message", peer=peer, step=step)
        if session != self.session:
            raise ProtocolError("expected a share of this session, found one of another", peer=peer, step=step)
        if step_digest != digest_of("step", step.encode()):
            raise ProtocolError("expected a share of this step, found one of another", peer=peer, step=step)
        if sender != owner:
            raise ProtocolError.mismatch("the share of owner", owner + 1, f"that of owner {sender + 1}", peer=peer)
        try:
            Ed25519PublicKey.from_public_bytes(self.owners[owner]).verify(signature, _signed(head, message))
        except (InvalidSignature, ValueError):
            raise ProtocolError("expected a share that its owner has signed, found another", peer=peer) from None
        return message

    def open_all(self, step: str, shares: Sequence[bytes]) -> list[bytes]:
        """Return what all owners have sent for a step, in their order.

        Raises:
            ProtocolError: one is missing, or not what :meth:`open` expects.
        """
        if len(shares) != len(self.owners):
            raise ProtocolError.mismatch("shares, one of each owner,", len(self.owners), len(shares), step=step)
        return [self.open(owner, step, share) for owner, share in enumerate(shares)]


def _signed(head: bytes, message: bytes) -> bytes:
    return head + hashlib.sha256(message).digest()
