"""The ring Z_2^bits: fixed point in, fixed point out, additive shares, bit-packed bytes.

Elements are uint64 arrays with the bits above the ring's width zero. Arithmetic wraps modulo 2^64, which is
exact modulo 2^bits after a mask, because 2^bits divides 2^64.
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
    """Z_2^bits with ``1 <= bits <= 64``; signed values are two's complement in [-2^(bits-1), 2^(bits-1))."""

    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise ParameterError(f"expected a ring of 1 to 64 bits, found {self.bits}")

    @property
    def mask(self) -> np.uint64:
        return np.uint64((1 << self.bits) - 1)

    def reduce(self, values: NDArray[np.generic]) -> Words:
        """Integers (signed or unsigned 64-bit) modulo 2^bits."""
        return values.astype(np.uint64, copy=False) & self.mask

    def signed(self, words: Words) -> NDArray[np.int64]:
        """The signed representatives of ring elements."""
        shift = np.int64(64 - self.bits)
        return (words << np.uint64(shift)).astype(np.int64) >> shift

    def encode(self, values: ArrayLike, scale_bits: int) -> Words:
        """Real numbers to round(value * 2^scale_bits), ties to even: where floats enter the ring.

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
        """Ring elements back to real numbers at the given scale."""
        return np.ldexp(self.signed(words).astype(np.float64), -scale_bits)

    def random(self, shape: int | tuple[int, ...], randomness: Randomness = SYSTEM) -> Words:
        """Uniform ring elements."""
        return uniform_words(shape, self.bits, randomness)

    def share(self, words: Words, randomness: Randomness = SYSTEM) -> tuple[Words, Words]:
        """Two additive shares, each uniform on its own, with sum equal to ``words``."""
        first = self.random(words.shape, randomness)
        return first, self.reduce(words - first)

    def add(self, *terms: Words) -> Words:
        """The sum of ring elements."""
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return self.reduce(total)


def packed_size(count: int, bits: int) -> int:
    """Bytes that ``count`` elements of Z_2^bits take on the wire."""
    return (count * bits + 7) // 8


def pack_words(words: Words, bits: int) -> bytes:
    """Ring elements to bytes, ``bits`` each, least significant bit first, padded with zero bits to a byte."""
    flat = np.ascontiguousarray(words, dtype="<u8").reshape(-1)
    if bits % 8 == 0:
        return flat.view(np.uint8).reshape(-1, 8)[:, : bits // 8].tobytes()
    unpacked = np.unpackbits(flat.view(np.uint8).reshape(-1, 8), axis=1, count=bits, bitorder="little")
    return np.packbits(unpacked.reshape(-1), bitorder="little").tobytes()


def unpack_words(data: bytes | memoryview, shape: tuple[int, ...], bits: int) -> Words:
    """The inverse of :func:`pack_words`.

    Raises:
        ProtocolError: wrong length, or padding bits that are not zero.
    """
    count = int(np.prod(shape, dtype=np.int64))
    if len(data) != packed_size(count, bits):
        raise ProtocolError.mismatch("bytes of packed words", packed_size(count, bits), len(data))
    raw = np.frombuffer(data, dtype=np.uint8)
    wide = np.zeros((count, 8), dtype=np.uint8)
    if bits % 8 == 0:
        wide[:, : bits // 8] = raw.reshape(count, bits // 8)
    else:
        unpacked = np.unpackbits(raw, bitorder="little")
        if unpacked[count * bits :].any():
            raise ProtocolError("expected zero padding after packed words, found other bits")
        packed = np.packbits(unpacked[: count * bits].reshape(count, bits), axis=1, bitorder="little")
        wide[:, : packed.shape[1]] = packed
    return wide.view("<u8").reshape(shape).astype(np.uint64)
