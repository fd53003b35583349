"""The ring Z_2^bits, with fixed-point numbers, additive shares and bit-packed bytes.

Elements are uint64 arrays whose bits above the ring's width are zero. Arithmetic wraps modulo 2^64. After a mask this
is exact modulo 2^bits, because 2^bits divides 2^64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpc.errors import ParameterError, ProtocolError, RangeError
from mpc.randomness import SYSTEM, Randomness, uniform_words

Words = NDArray[np.uint64]


@dataclass(frozen=True)
class Ring:
    """Z_2^bits with ``1 <= bits <= 64``. Signed values are two's complement in [-2^(bits-1), 2^(bits-1))."""

    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise ParameterError(f"expected a ring of 1 to 64 bits, found {self.bits}")

    @property
    def mask(self) -> np.uint64:
        return np.uint64((1 << self.bits) - 1)

    def reduce(self, values: NDArray[np.generic]) -> Words:
        """Return integers (signed or unsigned 64-bit) modulo 2^bits."""
        return values.astype(np.uint64, copy=False) & self.mask

    def signed(self, words: Words) -> NDArray[np.int64]:
        """Return the signed representatives of ring elements."""
        shift = np.int64(64 - self.bits)
        return (words << np.uint64(shift)).astype(np.int64) >> shift

    def encode(self, values: ArrayLike, scale_bits: int) -> Words:
        """Return round(value * 2^scale_bits) of real numbers, with ties to even. Floats enter the ring here.

        Raises:
            RangeError: a value is not finite or does not fit the signed range.
        """
        reals = np.asarray(values, dtype=np.float64)
        if not np.isfinite(reals).all():
            raise RangeError("expected finite numbers, found NaN or infinity")
        scaled = np.rint(np.ldexp(reals, scale_bits))
        limit = float(2 ** (self.bits - 1))
        if scaled.size and (scaled.min() < -limit or scaled.max() >= limit):
            worst = reals.flat[int(np.abs(scaled).argmax())]
            raise RangeError(
                f"expected values below 2^{self.bits - 1 - scale_bits} in magnitude "
                f"({self.bits}-bit ring, {scale_bits} fraction bits), found {worst:g}"
            )
        return self.reduce(scaled.astype(np.int64))

    def decode(self, words: Words, scale_bits: int) -> NDArray[np.float64]:
        """Return the real numbers that ring elements stand for at the given scale."""
        return np.ldexp(self.signed(words).astype(np.float64), -scale_bits)

    def random(self, shape: int | tuple[int, ...], randomness: Randomness = SYSTEM) -> Words:
        """Draw uniform ring elements."""
        return uniform_words(shape, self.bits, randomness)

    def share(self, words: Words, randomness: Randomness = SYSTEM) -> tuple[Words, Words]:
        """Return two additive shares of ``words``, each uniform on its own. The first is drawn."""
        first = self.random(words.shape, randomness)
        return first, self.reduce(words - first)

    def add(self, *terms: Words) -> Words:
        """Return the sum of ring elements."""
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return self.reduce(total)


def packed_size(count: int, bits: int) -> int:
    """Return the bytes that ``count`` elements of Z_2^bits take on the wire."""
    return (count * bits + 7) // 8


def pack_words(words: Words, bits: int) -> bytes:
    """Pack ring elements into bytes.

    Each takes ``bits`` bits, the least significant first. Zero bits pad the last byte.
    """
    from mpc._core import pack_words as pack  # noqa: PLC0415  (a channel that carries no words needs no core)

    return pack(np.ascontiguousarray(words, dtype=np.uint64), bits)


def unpack_words(data: bytes | memoryview, shape: tuple[int, ...], bits: int) -> Words:
    """Unpack ring elements, as the inverse of :func:`pack_words`.

    Raises:
        ProtocolError: wrong length, or padding bits that are not zero.
    """
    from mpc._core import unpack_words as unpack  # noqa: PLC0415  (as above)

    count = int(np.prod(shape, dtype=np.int64))
    if len(data) != packed_size(count, bits):
        raise ProtocolError.mismatch("bytes of packed words", packed_size(count, bits), len(data))
    return unpack(data, count, bits).reshape(shape)
