"""The inner loops of the back-ends, which the C++ core does.

Bits of many values are computed on in planes. Plane b holds bit b of all values, 64 values a word
(:func:`mpc._core.planes_of_words`).
"""

from __future__ import annotations

import numpy as np

from mpc._core import KeyStream, cut_masks, cut_shares, multiply_layer, words_of_planes
from mpc._core import matmul_u64 as matmul
from mpc._core import planes_of_words as to_planes
from mpc.ring import Words

__all__ = [
    "SEED_BYTES", "KeyStream", "cut_masks", "cut_shares", "from_plane", "matmul", "multiply_layer", "plane_words",
    "to_planes", "whole",
]  # fmt: skip

SEED_BYTES = 32


def plane_words(count: int) -> int:
    """Return how many words a plane of `count` values has."""
    return (count + 63) // 64


def whole(words: Words) -> Words:
    """Return the same words in memory as the core takes it: in C order, and at an address that fits them."""
    return words if words.flags.c_contiguous and words.flags.aligned else np.array(words, order="C")


def from_plane(plane: Words, count: int) -> Words:
    """Return the bits of one plane as `count` words that are 0 or 1."""
    return words_of_planes(np.ascontiguousarray(plane)[None], count)
