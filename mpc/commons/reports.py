"""Reports, encrypted so that t + 1 trustees together can re-encrypt them, and only as what they are.

This is TDH2 of Shoup and Gennaro, "Securing threshold cryptosystems against chosen ciphertext attack" (J. Cryptology
15, 2002), section 4. A report has U = r G, U' = r G', a key from r X, and a proof that U and U' have one r. The proof
is bound to the label and to the encrypted bytes, so it holds for one log, task, policy, author and report alone. Nobody
can put the ciphertext under another policy, and nobody can have it opened as a report of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mpc._core import GroupPoints, GroupTable
from mpc.commons.boxes import Place, derive_key
from mpc.commons.committee import TrusteesKey
from mpc.commons.encoding import DIGEST, Blob, Fixed, Many, Record, coded, decode, encode
from mpc.commons.group import (
    ORDER,
    POINT_BYTES,
    PROOF_BYTES,
    SCALAR_BYTES,
    challenge,
    generator,
    generator_table,
    hash_to_group,
    prove_equal,
    random_scalars,
)
from mpc.errors import ProtocolError
from mpc.randomness import SYSTEM, Randomness

MOST_BOX_BYTES = 1 << 22
_NONCE = bytes(12)  # the key is used once


@dataclass(frozen=True)
class Boxes(Record):
    """The boxes of a report, one for each aggregator in order."""

    boxes: tuple[bytes, ...] = coded(Many(Blob(MOST_BOX_BYTES), 255))


@dataclass(frozen=True)
class Ciphertext(Record):
    """An encrypted report.

    Attributes:
        boxes: SHA-256 of the boxes, by which the provider is bound to them.
        point, twin: U and U'.
        proof: that they have one r.
        sealed: the encrypted boxes.
    """

    boxes: bytes = coded(DIGEST)
    point: bytes = coded(Fixed(POINT_BYTES))
    twin: bytes = coded(Fixed(POINT_BYTES))
    proof: bytes = coded(Fixed(PROOF_BYTES))
    sealed: bytes = coded(Blob(1 << 26))


def encrypt(key: TrusteesKey, place: Place, boxes: Sequence[bytes], randomness: Randomness = SYSTEM) -> bytes:
    """Return the ciphertext of a report's boxes. Its :func:`digest_of` goes into the report's entry."""
    content = encode(Boxes(tuple(boxes)))
    digest = hashlib.sha256(content).digest()
    secret = random_scalars(1, randomness)
    point, twin = generator_table().multiples(secret), _twin_table().multiples(secret)
    label = _label(place, digest)
    shared = GroupPoints.decode(key.public).multiply(secret)
    sealed = ChaCha20Poly1305(_key(label, point.encode(), shared.encode())).encrypt(_NONCE, content, label)
    bases = generator().joined(_twin_generator())
    proof = prove_equal(_context(label, sealed), secret, bases, point.joined(twin), randomness)
    return encode(Ciphertext(digest, point.encode(), twin.encode(), proof, sealed))


def valid_ones(places: Sequence[Place], ciphertexts: Sequence[bytes]) -> dict[int, Ciphertext]:
    """Return the ciphertexts that may be re-encrypted, by their positions. Their points have prime order.

    Every trustee finds the same ones. The others are their providers' fault.
    """
    read: dict[int, Ciphertext] = {}
    for at, data in enumerate(ciphertexts):
        try:
            one = decode(Ciphertext, data)
            answer = one.proof[SCALAR_BYTES:]
            if max(int.from_bytes(one.proof[:SCALAR_BYTES], "little"), int.from_bytes(answer, "little")) < ORDER:
                read[at] = one
        except ProtocolError:
            continue
    if not read:
        return {}
    points, valid = GroupPoints.decode_valid(
        b"".join([*(one.point for one in read.values()), *(one.twin for one in read.values())])
    )
    answers = b"".join(one.proof[SCALAR_BYTES:] for one in read.values())
    challenges = b"".join(one.proof[:SCALAR_BYTES] for one in read.values())
    images, twins = points.part(0, len(read)), points.part(len(read), 2 * len(read))
    first = (generator_table().multiples(answers) - images.multiply(challenges)).encode()
    second = (_twin_table().multiples(answers) - twins.multiply(challenges)).encode()
    bases = generator().encode() + _twin_generator().encode()
    found = {}
    for number, (at, one) in enumerate(read.items()):
        if not valid[number] or not valid[len(read) + number]:
            continue
        part = slice(number * POINT_BYTES, (number + 1) * POINT_BYTES)
        context = _context(_label(places[at], one.boxes), one.sealed)
        expected = challenge(context, bases, one.point + one.twin, first[part] + second[part])
        if expected == one.proof[:SCALAR_BYTES]:
            found[at] = one
    return found


def decrypt(place: Place, ciphertext: Ciphertext, shared: bytes) -> tuple[bytes, ...]:
    """Return the boxes of a report, by the element r X.

    Raises:
        ProtocolError: what is inside is not what the provider was bound to, which is the provider's fault.
    """
    label = _label(place, ciphertext.boxes)
    try:
        content = ChaCha20Poly1305(_key(label, ciphertext.point, shared)).decrypt(_NONCE, ciphertext.sealed, label)
    except InvalidTag:
        raise ProtocolError("expected a report that opens with its key, found another") from None
    if hashlib.sha256(content).digest() != ciphertext.boxes:
        raise ProtocolError("expected the boxes whose digest goes with the report, found others")
    return decode(Boxes, content).boxes


def digest_of(ciphertext: bytes) -> bytes:
    """Return the digest by which a report's entry names its ciphertext."""
    return hashlib.sha256(ciphertext).digest()


def _label(place: Place, boxes: bytes) -> bytes:
    return b"commons report v1\n" + encode(place) + boxes


def _context(label: bytes, sealed: bytes) -> bytes:
    return label + hashlib.sha256(sealed).digest()


def _key(label: bytes, point: bytes, shared: bytes) -> bytes:
    return derive_key(shared, label + point)


@lru_cache(maxsize=1)
def _twin_generator() -> GroupPoints:
    return hash_to_group(b"G'", b"commons TDH2 v1")


@lru_cache(maxsize=1)
def _twin_table() -> GroupTable:
    return GroupTable(_twin_generator())
