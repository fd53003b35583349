"""The inner loops of the back-ends, each behind one function, so that a faster one can take its place.

Bits of many values are computed on in planes. Plane b holds bit b of all values, packed into uint64 words. Of `count`
values that fill G words, value number i * G + g is bit i of word g. Any fixed order would do, and this one needs no
transposition of single words.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mpc.errors import ParameterError
from mpc.ring import Words

SEED_BYTES = 32
_CHUNK_BYTES = 1 << 20
_ZEROS = bytes(_CHUNK_BYTES)
_SWAPS = [
    (32, np.uint64(0x00000000FFFFFFFF)),
    (16, np.uint64(0x0000FFFF0000FFFF)),
    (8, np.uint64(0x00FF00FF00FF00FF)),
    (4, np.uint64(0x0F0F0F0F0F0F0F0F)),
    (2, np.uint64(0x3333333333333333)),
    (1, np.uint64(0x5555555555555555)),
]


class KeyStream:
    """Uniform words from a seed that two parties share, by AES-256 in counter mode (NIST SP 800-38A, section 6.5).

    A seed makes one stream, and a stream gives each of its words once. So a position is never used twice.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ParameterError(f"expected a seed of {SEED_BYTES} B, found {len(seed)}")
        self._encryptor = Cipher(algorithms.AES(seed), modes.CTR(bytes(16))).encryptor()

    def words(self, count: int) -> Words:
        """Return the next `count` uniform words of 64 bits."""
        words = np.empty(count, dtype=np.uint64)
        memory = words.view(np.uint8).data
        for start in range(0, len(memory), _CHUNK_BYTES):
            part = memory[start : start + _CHUNK_BYTES]
            self._encryptor.update_into(_ZEROS[: len(part)], part)
        return words

    def __repr__(self) -> str:
        return "KeyStream(<seed hidden>)"


def matmul(x: Words, y: Words) -> Words:
    """Return the matrix product modulo 2^64, batched as numpy's."""
    product: Words = np.matmul(x, y)
    return product


def plane_words(count: int) -> int:
    """Return how many words a plane of `count` values has."""
    return (count + 63) // 64


def to_planes(words: Words, bits: int) -> Words:
    """Return the planes of the lowest `bits` bits of flat words, as `(bits, plane_words)`.

    After Warren, Hacker's Delight, section 7-3, with one value for each of 64 rows. Missing values are zeros.
    """
    width = plane_words(words.size)
    rows = np.zeros((64, width), dtype=np.uint64)
    rows.reshape(-1)[: words.size] = words
    for distance, mask in _SWAPS:
        blocks = rows.reshape(64 // (2 * distance), 2, distance, width)
        low, high = blocks[:, 0], blocks[:, 1]
        swapped = (low >> np.uint64(distance)) ^ high
        swapped &= mask
        high ^= swapped
        swapped <<= np.uint64(distance)
        low ^= swapped
    return rows[:bits]


def from_plane(plane: Words, count: int) -> Words:
    """Return the bits of one plane as `count` words that are 0 or 1."""
    shifts = np.arange(64, dtype=np.uint64)[:, None]
    spread = plane[None, :] >> shifts
    spread &= np.uint64(1)
    return spread.reshape(-1)[:count]
