"""Protocol randomness as an argument: the operating system's by default, seeded for known-answer tests only.

The experiment seed (data split, training) never reaches this module.
"""

from __future__ import annotations

import hashlib
import os
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError


class Randomness(Protocol):
    """A source of uniform bytes; everything else is derived from them in this module."""

    def bytes(self, count: int) -> bytes:
        """``count`` uniform bytes."""
        ...


class SystemRandomness:
    """The operating system's generator (getrandom), the only source outside tests."""

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)


class SeededRandomness:
    """SHAKE-256 in counter mode over a seed: for known-answer tests, never in a party."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._counter = 0

    def bytes(self, count: int) -> bytes:
        block = hashlib.shake_256(self._seed + self._counter.to_bytes(8, "little")).digest(count)
        self._counter += 1
        return block

    def __repr__(self) -> str:
        return "SeededRandomness(<seed hidden>)"


SYSTEM = SystemRandomness()


def uniform_words(shape: int | tuple[int, ...], bits: int, randomness: Randomness = SYSTEM) -> NDArray[np.uint64]:
    """Uniform elements of Z_2^bits, ``1 <= bits <= 64``, as uint64 of the given shape."""
    if not 1 <= bits <= 64:
        raise ParameterError(f"expected a width of 1 to 64 bits, found {bits}")
    shape = (shape,) if isinstance(shape, int) else shape
    count = int(np.prod(shape, dtype=np.int64))
    width = 1 if bits <= 8 else 2 if bits <= 16 else 4 if bits <= 32 else 8
    raw = np.frombuffer(randomness.bytes(count * width), dtype=f"<u{width}").astype(np.uint64)
    return (raw & np.uint64((1 << bits) - 1)).reshape(shape)


def uniform_below(bound: int, randomness: Randomness = SYSTEM) -> int:
    """A uniform integer in [0, bound) by rejection; exact for any positive bound."""
    if bound < 1:
        raise ParameterError(f"expected a positive bound, found {bound}")
    bits = (bound - 1).bit_length()
    if bits == 0:
        return 0
    size = (bits + 7) // 8
    excess = 8 * size - bits
    while True:
        candidate = int.from_bytes(randomness.bytes(size), "little") >> excess
        if candidate < bound:
            return candidate
