"""The inner loops of the back-ends, which the C++ core does.

Bits of many values are computed on in planes. Plane b holds bit b of all values, 64 values a word
(:func:`mpc._core.planes_of_words`).
"""

from __future__ import annotations

import numpy as np

from mpc._core import KeyStream, words_of_planes
from mpc._core import and_layer as _and_layer
from mpc._core import matmul_u64 as matmul
from mpc._core import planes_of_words as to_planes
from mpc.ring import Words

__all__ = ["SEED_BYTES", "KeyStream", "and_layer", "from_plane", "matmul", "plane_words", "to_planes"]

SEED_BYTES = 32


def plane_words(count: int) -> int:
    """Return how many words a plane of `count` values has."""
    return (count + 63) // 64


def from_plane(plane: Words, count: int) -> Words:
    """Return the bits of one plane as `count` words that are 0 or 1."""
    return words_of_planes(np.ascontiguousarray(plane)[None], count)


def and_layer(opened: tuple[Words, Words], shares: tuple[Words, Words, Words], adds: bool) -> Words:
    """Return shares of x & y, for x = d ^ a and y = e ^ b with opened d and e, and shares of a, b and a & b.

    Args:
        opened: d and e.
        shares: this party's shares of a, b and a & b.
        adds: whether this party adds d & e. One of all parties does.
    """
    d, e, a, b, product = (np.ascontiguousarray(planes) for planes in (*opened, *shares))
    return _and_layer(d, e, a, b, product, adds)
