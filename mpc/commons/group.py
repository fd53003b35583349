"""The group of prime order L in edwards25519, its scalars, and proofs about them.

Elements are written as RFC 8032 does, 32 bytes. Scalars are 32 bytes, lowest byte first, below L. Whatever holds a
secret scalar computes with it in the C++ core, in constant time. Scalars that everybody knows may be Python integers.

A challenge is SHA-512 over a context and everything that was said, modulo L. Contexts differ in each use.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from mpc._core import GroupPoints, GroupTable, scalars_multiply_add, scalars_reduce
from mpc.errors import ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19
POINT_BYTES = SCALAR_BYTES = 32
PROOF_BYTES = 2 * SCALAR_BYTES
IDENTITY = bytes([1, *bytes(31)])
ZERO = bytes(SCALAR_BYTES)
ONE = bytes([1, *bytes(31)])


def scalar(value: int) -> bytes:
    """Return a public integer modulo L as a scalar."""
    return (value % ORDER).to_bytes(SCALAR_BYTES, "little")


def integer(data: bytes) -> int:
    """Return a public scalar as an integer. Raises `ProtocolError` where it is not below L."""
    value = int.from_bytes(data, "little")
    if len(data) != SCALAR_BYTES or value >= ORDER:
        raise ProtocolError("expected a scalar of 32 bytes below the group's order, found another")
    return value


def random_scalars(count: int, randomness: Randomness = SYSTEM) -> bytes:
    """Return uniform scalars. Their distance from uniform is below 2^-252."""
    return scalars_reduce(randomness.bytes(2 * SCALAR_BYTES * count))


def generator() -> GroupPoints:
    """Return the generator G."""
    return GroupPoints.generator()


@lru_cache(maxsize=1)
def generator_table() -> GroupTable:
    """Return the table of G."""
    return GroupTable(generator())


def hash_to_group(message: bytes, context: bytes) -> GroupPoints:
    """Return the element that a message is hashed to. Nobody knows its discrete logarithm.

    This is edwards25519_XMD:SHA-512_ELL2_RO_ of RFC 9380, section 8.5, with the context as domain separation tag.
    """
    wide = expand_message(message, context, 96)
    elements = [int.from_bytes(part, "big") % FIELD for part in (wide[:48], wide[48:])]
    return GroupPoints.of_hashes(b"".join(one.to_bytes(32, "little") for one in elements))


def expand_message(message: bytes, context: bytes, count: int) -> bytes:
    """Return `expand_message_xmd` of RFC 9380, section 5.3.1, with SHA-512.

    Raises:
        ParameterError: a context of no or more than 255 bytes, or a count above 255 blocks.
    """
    blocks = -(-count // 64)
    if not 1 <= len(context) <= 255 or blocks > 255:
        raise ParameterError(f"expected a context of 1 to 255 bytes, and at most 16320, found {len(context)}, {count}")
    tag = context + bytes([len(context)])
    first = hashlib.sha512(bytes(128) + message + count.to_bytes(2, "big") + b"\0" + tag).digest()
    found = [hashlib.sha512(first + b"\1" + tag).digest()]
    for block in range(2, blocks + 1):
        mixed = bytes(a ^ b for a, b in zip(first, found[-1], strict=True))
        found.append(hashlib.sha512(mixed + bytes([block]) + tag).digest())
    return b"".join(found)[:count]


def challenge(context: bytes, *parts: bytes) -> bytes:
    """Return a challenge over all parts, of which each is preceded by its length."""
    state = hashlib.sha512(b"commons proof v1\n" + context)
    for part in parts:
        state.update(len(part).to_bytes(8, "big") + part)
    return scalars_reduce(state.digest())


def lagrange(indices: list[int], at: int = 0) -> list[int]:
    """Return the coefficients by which values at different indices give the value at another place, modulo L.

    Raises:
        ParameterError: an index twice.
    """
    if len(set(indices)) != len(indices):
        raise ParameterError(f"expected different indices, found {indices}")
    found = []
    for one in indices:
        top = bottom = 1
        for other in indices:
            if other != one:
                top = top * (other - at) % ORDER
                bottom = bottom * (other - one) % ORDER
        found.append(top * pow(bottom, -1, ORDER) % ORDER)
    return found


def prove_equal(
    context: bytes, secret: bytes, bases: GroupPoints, images: GroupPoints, randomness: Randomness = SYSTEM
) -> bytes:
    """Return a proof that one secret takes every base to its image (Chaum and Pedersen, CRYPTO 1992). 64 bytes.

    With one base this is Schnorr's proof of knowledge. The context names all else that the proof is bound to.
    """
    nonce = random_scalars(1, randomness)
    commitments = bases.multiply(nonce)
    found = challenge(context, bases.encode(), images.encode(), commitments.encode())
    return found + scalars_multiply_add(found, secret, nonce)


def is_proof(context: bytes, proof: bytes, bases: GroupPoints, images: GroupPoints) -> bool:
    """Return whether this is a proof of :func:`prove_equal` for these bases and images."""
    if len(proof) != PROOF_BYTES or len(bases) != len(images):
        return False
    found, answer = proof[:SCALAR_BYTES], proof[SCALAR_BYTES:]
    if max(int.from_bytes(found, "little"), int.from_bytes(answer, "little")) >= ORDER:
        return False
    commitments = bases.multiply(answer) - images.multiply(found)
    return challenge(context, bases.encode(), images.encode(), commitments.encode()) == found
