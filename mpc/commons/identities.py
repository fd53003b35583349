"""Durable identities: Ed25519 keys (RFC 8032), and what they sign.

Each use of a key signs messages that begin with their own words, so that a signature for one use is none for another.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mpc.commons.group import read_points
from mpc.errors import ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

SEED_BYTES = 32
SIGNATURE_BYTES = 64


class Identity:
    """A secret key that signs. It prints its public key alone.

    Attributes:
        key: the public key, 32 bytes.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ParameterError(f"expected a seed of {SEED_BYTES} bytes, found {len(seed)}")
        self._secret = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = self._secret.public_key().public_bytes_raw()

    @classmethod
    def fresh(cls, randomness: Randomness = SYSTEM) -> Identity:
        """Return a new identity."""
        return cls(randomness.bytes(SEED_BYTES))

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes."""
        return self._secret.sign(message)

    def __repr__(self) -> str:
        return f"Identity({self.key.hex()[:16]})"


class TrusteeKeys:
    """All keys of one trustee, which come from one seed.

    Attributes:
        identity: signs entries and messages.
        cosigner: signs checkpoints as one of the trustees. The format of cosignatures demands a key of its own.
        log: signs checkpoints as the log itself. Only the sequencer uses it.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ParameterError(f"expected a seed of {SEED_BYTES} bytes, found {len(seed)}")
        self.identity, self.cosigner, self.log = (
            Identity(hashlib.sha256(b"commons trustee v1\n" + purpose + b"\n" + seed).digest())
            for purpose in (b"identity", b"cosigner", b"log")
        )

    def __repr__(self) -> str:
        return f"TrusteeKeys({self.identity.key.hex()[:16]})"


def is_signed(key: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether the holder of `key` has signed the message.

    A key that is no element of the prime-order subgroup has signed nothing. Under some of these, one signature would
    hold for every message. No key that was made from a seed is among them.
    """
    try:
        _public_key(key).verify(signature, message)
    except (InvalidSignature, ValueError, ProtocolError):
        return False
    return True


@lru_cache(maxsize=4096)
def _public_key(key: bytes) -> Ed25519PublicKey:
    read_points([key], "a public key")
    return Ed25519PublicKey.from_public_bytes(key)
