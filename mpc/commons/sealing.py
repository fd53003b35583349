"""Sealing: encryption to a key of the group, bound to a label, whose ciphertexts prove that they were made for it.

This is TDH2 of Shoup and Gennaro, "Securing Threshold Cryptosystems against Chosen Ciphertext Attack" (Journal of
Cryptology 15, 2002), section 4, with authenticated encryption in place of their one-time pad. To the key X = x G::

    U = r G, V = r H          key = hash of r X, U and the label; payload = ChaCha20-Poly1305 under it
    proof                     that U and V are the same multiple, bound to the label and the payload

Whoever holds x, or enough shares of it, computes x U = r X. They do so only where the proof holds. So nobody can copy
U from another's ciphertext, put it under another label, and have it opened there.

The same scheme serves for reports, which are sealed to the trustees' key, and for the boxes in them, each of which is
sealed to one aggregator's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mpc._core import CurvePoints
from mpc.commons.encoding import Blob, Fixed, Record, coded
from mpc.commons.group import (
    GENERATOR,
    POINT_BYTES,
    Points,
    SecretScalar,
    read_points,
    second_base,
    second_generator,
    transcript,
)  # fmt: skip
from mpc.commons.proofs import PROOF_BYTES, are_proven, prove
from mpc.errors import ProtocolError
from mpc.randomness import SYSTEM, Randomness

MOST_PAYLOAD_BYTES = 1 << 22
_NONCE = bytes(12)  # a key encrypts one payload
_USE = b"commons sealing v1"


@dataclass(frozen=True)
class Sealed(Record):
    """A ciphertext. It says nothing of its label, which the reader must know.

    Attributes:
        point: U.
        second: V.
    """

    point: bytes = coded(Fixed(POINT_BYTES))
    second: bytes = coded(Fixed(POINT_BYTES))
    proof: bytes = coded(Fixed(PROOF_BYTES))
    payload: bytes = coded(Blob(MOST_PAYLOAD_BYTES))

    def __repr__(self) -> str:
        return f"Sealed({len(self.payload)} bytes)"


def seal(key: Points, label: bytes, message: bytes, randomness: Randomness = SYSTEM) -> Sealed:
    """Return the message encrypted to a key, for this label alone."""
    secret = SecretScalar.fresh(randomness)
    point, second = secret.times_generator(), secret.times(second_base())
    cipher = ChaCha20Poly1305(_symmetric_key(secret.times(key), point.encode(), label))
    payload = cipher.encrypt(_NONCE, message, None)
    bases, multiples = CurvePoints.join([GENERATOR, second_generator()]), CurvePoints.join([point, second])
    proof = prove(_USE, secret, bases, multiples, _bound(label, payload), randomness)
    return Sealed(point.encode(), second.encode(), proof, payload)


def proven_points(sealed: Sequence[Sealed], labels: Sequence[bytes]) -> list[Points | None]:
    """Return U of each ciphertext that was made for its label, and None for each other one.

    Nobody may compute anything with a secret key and a ciphertext before this.
    """
    try:
        points = read_points([one.point for one in sealed], "points of ciphertexts")
        seconds = read_points([one.second for one in sealed], "second points of ciphertexts")
    except ProtocolError:
        if len(sealed) == 1:
            return [None]
        return [found for one, label in zip(sealed, labels, strict=True) for found in proven_points([one], [label])]
    contexts = [_bound(label, one.payload) for one, label in zip(sealed, labels, strict=True)]
    proofs = [one.proof for one in sealed]
    good = are_proven(_USE, [GENERATOR, second_generator()], [points, seconds], contexts, proofs)
    return [points[i : i + 1] if holds else None for i, holds in enumerate(good)]


def unseal(sealed: Sealed, label: bytes, shared: Points) -> bytes:
    """Return the message, given x U.

    Raises:
        ProtocolError: it does not decrypt. Where x U is right, that is the fault of whoever has sealed it.
    """
    cipher = ChaCha20Poly1305(_symmetric_key(shared, sealed.point, label))
    try:
        return cipher.decrypt(_NONCE, sealed.payload, None)
    except InvalidTag:
        raise ProtocolError("expected a payload under the key of its ciphertext, found another") from None


def _symmetric_key(shared: Points, point: bytes, label: bytes) -> bytes:
    return hashlib.sha256(transcript(b"commons sealing key v1", shared.encode(), point, label)).digest()


def _bound(label: bytes, payload: bytes) -> bytes:
    return transcript(b"commons sealed v1", label, hashlib.sha256(payload).digest())
