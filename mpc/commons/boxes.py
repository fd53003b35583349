"""Boxes: what a provider encrypts for one aggregator, and how an aggregator proves that its box is bad.

A box for the key B = b G is E = e G and the ciphertext under a key from e B (ECIES, after Abdalla, Bellare and Rogaway,
"The oracle Diffie-Hellman assumptions", CT-RSA 2001). The key is bound to the report and to the aggregator's place. The
cipher is ChaCha20-Poly1305 (RFC 8439) under a key that is used once.

An aggregator whose box does not open to what it should publishes K = b E with a proof that K belongs to B and E. Then
everybody opens that one box and judges. The proof says nothing of other boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mpc._core import GroupPoints
from mpc.commons.encoding import DIGEST, KEY, Fixed, Name, Record, coded, encode
from mpc.commons.entries import REPORT_ID_BYTES
from mpc.commons.group import (
    POINT_BYTES,
    generator,
    generator_table,
    is_proof,
    prove_equal,
    random_scalars,
)
from mpc.errors import ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

TAG_BYTES = 16
OVERHEAD = POINT_BYTES + TAG_BYTES
_NONCE = bytes(12)  # the key is used once


@dataclass(frozen=True)
class Place(Record):
    """Where a report belongs: to a log, a task, a policy and an author, who has a number for it."""

    origin: str = coded(Name())
    task: str = coded(Name())
    policy: bytes = coded(DIGEST)
    author: bytes = coded(KEY)
    report_id: bytes = coded(Fixed(REPORT_ID_BYTES))


class BoxKey:
    """An aggregator's secret key b for boxes. It prints the public key alone.

    Attributes:
        public: B, 32 bytes, which the aggregator registers.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._point = generator_table().multiples(secret)
        self.public = self._point.encode()

    @classmethod
    def fresh(cls, randomness: Randomness = SYSTEM) -> BoxKey:
        """Return a new key."""
        return cls(random_scalars(1, randomness))

    def open(self, place: Place, index: int, box: bytes) -> bytes:
        """Return what is in this aggregator's box. Raises `ProtocolError` where it does not open."""
        point, sealed = _split(box)
        return _opened(place, index, self.public, point, point.multiply(self._secret), sealed)

    def expose(self, place: Place, index: int, box: bytes, randomness: Randomness = SYSTEM) -> tuple[bytes, bytes]:
        """Return K and the proof by which everybody opens this one box. Raises `ProtocolError` where E is none."""
        point, _ = _split(box)
        shared = point.multiply(self._secret)
        bases, images = generator().joined(point), self._point.joined(shared)
        return shared.encode(), prove_equal(_context(place, index), self._secret, bases, images, randomness)

    def __repr__(self) -> str:
        return f"BoxKey({self.public.hex()[:16]})"


def seal(place: Place, index: int, public: bytes, content: bytes, randomness: Randomness = SYSTEM) -> bytes:
    """Return the box for the aggregator at a place from 0 on, :data:`OVERHEAD` bytes longer than its content.

    Raises:
        ProtocolError: the aggregator's key is no element of the group.
    """
    secret = random_scalars(1, randomness)
    point = generator_table().multiples(secret)
    shared = GroupPoints.decode(public).multiply(secret)
    key = _key(place, index, public, point, shared)
    return point.encode() + ChaCha20Poly1305(key).encrypt(_NONCE, content, None)


def judge(place: Place, index: int, public: bytes, box: bytes, point: bytes, proof: bytes) -> bytes | None:
    """Return what is in an exposed box, or None where the box is bad, which is the provider's fault.

    A box whose E is no element needs no proof: everybody sees that it is bad.

    Raises:
        ProtocolError: the aggregator's proof does not hold, which is the aggregator's fault.
    """
    try:
        ephemeral, sealed = _split(box)
    except ProtocolError:
        return None
    shared = GroupPoints.decode(point)
    bases, images = generator().joined(ephemeral), GroupPoints.decode(public).joined(shared)
    if not is_proof(_context(place, index), proof, bases, images):
        raise ProtocolError(f"expected a proof for the exposed box of aggregator {index}, found one of something else")
    try:
        return _opened(place, index, public, ephemeral, shared, sealed)
    except ProtocolError:
        return None


def _split(box: bytes) -> tuple[GroupPoints, bytes]:
    if len(box) < OVERHEAD:
        raise ProtocolError(f"expected a box of at least {OVERHEAD} bytes, found {len(box)}")
    return GroupPoints.decode(box[:POINT_BYTES]), box[POINT_BYTES:]


def _opened(place: Place, index: int, public: bytes, point: GroupPoints, shared: GroupPoints, sealed: bytes) -> bytes:
    try:
        return ChaCha20Poly1305(_key(place, index, public, point, shared)).decrypt(_NONCE, sealed, None)
    except InvalidTag:
        raise ProtocolError(f"expected a box for aggregator {index} of this report, found another") from None


def _context(place: Place, index: int) -> bytes:
    if not 0 <= index < 255:
        raise ParameterError(f"expected an aggregator's place from 0 to 254, found {index}")
    return b"commons box v1\n" + bytes([index]) + encode(place)


def _key(place: Place, index: int, public: bytes, point: GroupPoints, shared: GroupPoints) -> bytes:
    context = _context(place, index) + public + point.encode()
    return derive_key(shared.encode(), context)


def derive_key(secret: bytes, context: bytes) -> bytes:
    """Return a key of 32 bytes (HKDF of RFC 5869, with SHA-256)."""
    return HKDF(hashes.SHA256(), 32, None, context).derive(secret)
