"""Randomness of the protocols, which every function takes as an argument.

The default is the operating system's generator. Seeded randomness is for known-answer tests only. The seed of an
experiment, which splits data and trains models, never reaches this module.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError


class Randomness(Protocol):
    """A source of uniform bytes. This module derives everything else from them."""

    def bytes(self, count: int) -> bytes:
        """Return ``count`` uniform bytes."""
        ...


class SystemRandomness:
    """The operating system's generator (getrandom), which is the only source outside tests."""

    def bytes(self, count: int) -> bytes:
        """Return ``count`` uniform bytes."""
        return os.urandom(count)


class SeededRandomness:
    """SHAKE-256 in counter mode over a seed, for known-answer tests and never in a party.

    Draw number i (from 0) of ``count`` bytes is SHAKE-256(seed, i as 8 bytes with the lowest first), cut to ``count``.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._counter = 0

    def bytes(self, count: int) -> bytes:
        """Return the next draw of ``count`` bytes."""
        block = hashlib.shake_256(self._seed + self._counter.to_bytes(8, "little")).digest(count)
        self._counter += 1
        return block

    def __repr__(self) -> str:
        return "SeededRandomness(<seed hidden>)"


SYSTEM = SystemRandomness()


@dataclass(frozen=True, repr=False)
class RoleRandomness:
    """All randomness of one role of a protocol, with a source of its own for each purpose.

    Because the purposes are independent, a role may do its work in any order and with several peers at once. It always
    draws the same values from the same seed.

    Attributes:
        seed: for known-answer tests only. None is the operating system's randomness.
    """

    seed: bytes | None = None

    def source(self, purpose: str) -> Randomness:
        """Return the source for one purpose, in ASCII. Take it once a run, because a seeded one starts anew.

        A seeded source is :class:`SeededRandomness` over the seed, a slash and the purpose.
        """
        return SYSTEM if self.seed is None else SeededRandomness(self.seed + b"/" + purpose.encode("ascii"))

    def __repr__(self) -> str:
        return f"RoleRandomness(<{'system' if self.seed is None else 'seed hidden'}>)"


CORE_SEED_BYTES = 32


def core_seed(randomness: Randomness) -> bytes | None:
    """Return the seed that an object of the C++ core takes. None makes it ask the operating system itself."""
    return None if randomness is SYSTEM else randomness.bytes(CORE_SEED_BYTES)


def uniform_words(shape: int | tuple[int, ...], bits: int, randomness: Randomness = SYSTEM) -> NDArray[np.uint64]:
    """Draw uniform elements of Z_2^bits, ``1 <= bits <= 64``, as uint64 of the given shape.

    An element takes 1, 2, 4 or 8 bytes of the source, the fewest that hold it, lowest byte first. The bits above its
    width are dropped. All elements of an array are one draw, in C order.
    """
    if not 1 <= bits <= 64:
        raise ParameterError(f"expected a width of 1 to 64 bits, found {bits}")
    shape = (shape,) if isinstance(shape, int) else shape
    count = int(np.prod(shape, dtype=np.int64))
    width = 1 if bits <= 8 else 2 if bits <= 16 else 4 if bits <= 32 else 8
    raw = np.frombuffer(randomness.bytes(count * width), dtype=f"<u{width}").astype(np.uint64)
    return (raw & np.uint64((1 << bits) - 1)).reshape(shape)


def uniform_below(bound: int, randomness: Randomness = SYSTEM) -> int:
    """Draw a uniform integer in [0, bound) by rejection, which is exact for any positive bound.

    A candidate takes the fewest whole bytes that hold ``bound - 1``, lowest byte first, without their lowest excess
    bits. A bound of 1 takes no bytes.
    """
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
