"""The inner loops of the back-ends, which the C++ core does.

Bits of many values are computed on in planes. Plane b holds bit b of all values, 64 values a word
(:func:`mpc._core.planes_of_words`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mpc._core import KeyStream, words_of_planes
from mpc._core import matmul_u64 as matmul
from mpc._core import planes_of_words as to_planes
from mpc.ring import Words

__all__ = ["BLOCK", "SEED_BYTES", "KeyStream", "from_plane", "in_blocks", "matmul", "plane_words", "to_planes"]

SEED_BYTES = 32
BLOCK = 1 << 13
"""Words of which several arrays fit the second level of the cache together."""


def plane_words(count: int) -> int:
    """Return how many words a plane of `count` values has."""
    return (count + 63) // 64


def in_blocks(function: Callable[..., tuple[Words, ...]], *arrays: Words) -> tuple[Words, ...]:
    """Return what an element-wise function gives for arrays of one shape.

    Of large ones it is given one block after the other, so that what it computes in between stays in the cache.
    """
    shape, size = arrays[0].shape, arrays[0].size
    if size <= 2 * BLOCK or any(each.shape != shape or not each.flags.c_contiguous for each in arrays):
        return function(*arrays)
    flat = [each.reshape(-1) for each in arrays]
    results: list[Words] = []
    for start in range(0, size, BLOCK):
        found = function(*[each[start : start + BLOCK] for each in flat])
        if not results:
            results = [np.empty(size, dtype=np.uint64) for _ in found]
        for result, part in zip(results, found, strict=True):
            result[start : start + BLOCK] = part
    return tuple(result.reshape(shape) for result in results)


def from_plane(plane: Words, count: int) -> Words:
    """Return the bits of one plane as `count` words that are 0 or 1."""
    return words_of_planes(np.ascontiguousarray(plane)[None], count)
