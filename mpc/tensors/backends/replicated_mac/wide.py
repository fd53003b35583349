"""Numbers modulo 2^128 in two arrays of words, the lower ones first."""

from __future__ import annotations

import numpy as np

from mpc._core import matmul_wide, wide_products, wide_sum
from mpc.ring import Words
from mpc.tensors.backends.authenticated.wide import add, subtract, times
from mpc.tensors.backends.kernels import matmul
from mpc.tensors.network import to_wire

Wide = tuple[Words, "Words | None"]
"""Lower and upper words. Without upper ones these are zero."""
Both = tuple[Words, Words]

__all__ = [
    "Both", "Wide", "add", "from_bytes", "inner", "joined", "matrix_product", "product", "scaled", "subtract",
    "to_bytes",
]  # fmt: skip


def product(a: Words, b: Words) -> Both:
    """Return the exact products of words of one shape."""
    found = wide_products(np.ascontiguousarray(a), np.ascontiguousarray(b))
    return found[0], found[1]


def scaled(value: Wide, words: Words) -> Both:
    """Return numbers times words of one shape."""
    low, high = value
    return product(low, words) if high is None else times(low, high, words)


def matrix_product(left: Wide, right: Wide) -> Both:
    """Return the matrix product of numbers."""
    found = matmul_wide(left[0], right[0])
    upper = found[1]
    for one, other in ((left[1], right[0]), (left[0], right[1])):
        if one is not None and other is not None:
            upper = upper + matmul(one, other)
    return found[0], upper


def inner(left: Wide, right: Wide) -> Both:
    """Return the sum of the products of numbers in two rows of one length, as two arrays without dimensions."""
    low, other = np.ascontiguousarray(left[0]), np.ascontiguousarray(right[0])
    found = wide_sum(low, other, np.zeros_like(other) if right[1] is None else np.ascontiguousarray(right[1]))
    upper = found[1] if left[1] is None else found[1] + np.dot(left[1], other)
    return np.asarray(found[0]), np.asarray(upper)


def joined(arrays: list[Wide]) -> Both:
    """Return all numbers in one row."""
    low = np.concatenate([each[0].reshape(-1) for each in arrays]) if arrays else np.zeros(0, dtype=np.uint64)
    uppers = [np.zeros(low.size, dtype=np.uint64) if high is None else high.reshape(-1) for low, high in arrays]
    return low, np.concatenate(uppers) if arrays else np.zeros(0, dtype=np.uint64)


def to_bytes(value: Both) -> list[memoryview]:
    """Return all lower words and then all upper ones, as they are sent."""
    return [to_wire(words, 64) for words in value]


def from_bytes(words: Words) -> Both:
    """Return numbers from flat words, the inverse of :func:`to_bytes`."""
    half = words.size // 2
    return words[:half], words[half:]
