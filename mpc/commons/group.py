"""The group of all keys here: the prime-order subgroup of edwards25519, written additively, with generator G.

Elements come from outside by :func:`read_points` alone, which refuses whatever is not in the subgroup. Public scalars
are integers below :data:`ORDER`. Secret scalars are :class:`SecretScalar`, which computes in constant time in the C++
core. Messages are hashed to elements as RFC 9380 says, so that nobody knows their logarithms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache

from mpc._core import CurveBase, CurvePoints, curve_multiply_add, curve_reduce
from mpc.errors import ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

Points = CurvePoints

ORDER = 2**252 + 27742317777372353535851937790883648493
POINT_BYTES = SCALAR_BYTES = 32
GENERATOR = CurvePoints.generator()
SUITE = b"edwards25519_XMD:SHA-512_ELL2_RO_"
_SEED_BYTES = 96
_DIGEST_BYTES, _BLOCK_BYTES = 64, 128  # of SHA-512


class SecretScalar:
    """A secret integer modulo the group order. It prints nothing of its value."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        """Take 32 bytes, the lowest first. Raises `ParameterError` unless they are below the order."""
        if len(raw) != SCALAR_BYTES or int.from_bytes(raw, "little") >= ORDER:
            raise ParameterError(f"expected a scalar of {SCALAR_BYTES} bytes below the group order, found another")
        self._raw = raw

    @classmethod
    def fresh(cls, randomness: Randomness = SYSTEM) -> SecretScalar:
        """Draw one, uniform up to a statistical distance of 2^-259."""
        return cls(curve_reduce(randomness.bytes(64)))

    @classmethod
    def of(cls, value: int) -> SecretScalar:
        """Return a number that is public as one."""
        return cls(scalars((value,)))

    def times(self, base: Points | CurveBase) -> Points:
        """Return this multiple of each element, or of a base with a table."""
        return base.multiply(self._raw)

    def times_generator(self) -> Points:
        """Return this multiple of G."""
        return generator_base().multiply(self._raw)

    def multiply_add(self, factor: int | SecretScalar, summand: SecretScalar) -> SecretScalar:
        """Return this times the factor plus the summand."""
        raw = factor._raw if isinstance(factor, SecretScalar) else scalars((factor,))
        return SecretScalar(curve_multiply_add(self._raw, raw, summand._raw))

    def plus(self, other: SecretScalar) -> SecretScalar:
        """Return the sum of both."""
        return self.multiply_add(1, other)

    def reveal(self) -> bytes:
        """Return the 32 bytes themselves, to be sent or kept."""
        return self._raw

    def __repr__(self) -> str:
        return "SecretScalar(<hidden>)"


def scalars(values: Iterable[int]) -> bytes:
    """Return public integers modulo the order as the core takes them, 32 bytes each with the lowest first."""
    return b"".join((value % ORDER).to_bytes(SCALAR_BYTES, "little") for value in values)


def read_scalar(data: bytes, what: str) -> int:
    """Return a public scalar from outside. Raises `ProtocolError` unless it is written in its one way."""
    value = int.from_bytes(data, "little")
    if len(data) != SCALAR_BYTES or value >= ORDER:
        raise ProtocolError(f"expected {what} as {SCALAR_BYTES} bytes below the group order, found another")
    return value


def read_points(encodings: Sequence[bytes], what: str) -> Points:
    """Return elements from outside.

    Raises:
        ProtocolError: one is not canonical, not in the prime-order subgroup, or the identity.
    """
    for place, encoding in enumerate(encodings):
        if len(encoding) != POINT_BYTES:
            raise ProtocolError(f"expected {what} of {POINT_BYTES} bytes, found {len(encoding)} at place {place}")
    try:
        return CurvePoints.decode(b"".join(encodings))
    except ProtocolError as error:
        raise ProtocolError(f"{what}: {error}") from None


def encodings(points: Points) -> tuple[bytes, ...]:
    """Return the encoding of each element, 32 bytes."""
    data = points.encode()
    return tuple(data[at : at + POINT_BYTES] for at in range(0, len(data), POINT_BYTES))


def same(one: Points, other: Points) -> bool:
    """Return whether two public lists of elements are the same."""
    return one.encode() == other.encode()


@cache
def generator_base() -> CurveBase:
    """Return the table of G."""
    return CurveBase(GENERATOR)


@cache
def second_generator() -> Points:
    """Return H, an element whose logarithm to the base G nobody knows."""
    return hash_to_points([b"second generator"], b"commons v1 " + SUITE)


@cache
def second_base() -> CurveBase:
    """Return the table of H."""
    return CurveBase(second_generator())


def hash_to_points(messages: Sequence[bytes], domain: bytes) -> Points:
    """Return an element for each message: the suite edwards25519_XMD:SHA-512_ELL2_RO_ of RFC 9380.

    Args:
        domain: the tag for domain separation, 1 to 255 bytes.
    """
    return CurvePoints.from_seeds(b"".join(expand_message(message, domain, _SEED_BYTES) for message in messages))


def expand_message(message: bytes, domain: bytes, count: int) -> bytes:
    """Return uniform bytes from a message: `expand_message_xmd` with SHA-512 (RFC 9380, section 5.3.1)."""
    blocks = -(-count // _DIGEST_BYTES)
    if not 1 <= len(domain) <= 255 or not 1 <= blocks <= 255:
        raise ParameterError(f"expected a tag of 1 to 255 bytes and 1 to 16320 bytes, found {len(domain)} and {count}")
    tag = domain + bytes([len(domain)])
    first = hashlib.sha512(bytes(_BLOCK_BYTES) + message + count.to_bytes(2, "big") + b"\0" + tag).digest()
    block, out = bytes(_DIGEST_BYTES), b""
    for number in range(1, blocks + 1):
        mixed = bytes(one ^ other for one, other in zip(first, block, strict=True))
        block = hashlib.sha512(mixed + bytes([number]) + tag).digest()
        out += block
    return out[:count]


def transcript(domain: bytes, *parts: bytes) -> bytes:
    """Return the domain and the parts, each behind its length, so that no two lists of parts give the same bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in (domain, *parts))


def hash_to_scalar(domain: bytes, *parts: bytes) -> int:
    """Return a public scalar from the parts by SHA-512, uniform up to 2^-259 where SHA-512 is a random oracle."""
    return int.from_bytes(hashlib.sha512(transcript(domain, *parts)).digest(), "little") % ORDER
