"""Products of shared arrays, element-wise and of matrices, after Araki et al. (CCS 2016), section 2.

The nine products of components of x and y are known to the three parties between them. Each adds up three of them, in
two multiplications, hides the sum by its share of zero, and gives it to the party before::

    z_i = x_i (y_i + y_(i+1)) + x_(i+1) y_i + zero_i            zero_i = key_i - key_(i+1), of all three parties zero

So each party sends one word for an element, whatever the length of a matrix product's sums is. Without the share of
zero the receiver, who knows two of the four components in the sum, would learn a linear equation of the other two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpc._core import multiply_layer
from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import matmul
from mpc.tensors.backends.replicated.trio import Pair, Replica, Trio

Sums = Callable[[Words, Pair, Pair], Words]


def multiply(trio: Trio, pairs: Sequence[tuple[Replica, Replica]], shapes: Sequence[Shape]) -> list[Replica]:
    """Return element-wise products, which broadcast, in one round."""
    return _products(trio, pairs, shapes, element_wise)


def matrix_products(trio: Trio, pairs: Sequence[tuple[Replica, Replica]], shapes: Sequence[Shape]) -> list[Replica]:
    """Return matrix products in one round."""
    return _products(trio, pairs, shapes, of_matrices)


def _products(
    trio: Trio, pairs: Sequence[tuple[Replica, Replica]], shapes: Sequence[Shape], sums: Sums
) -> list[Replica]:
    shares = [
        trio.reduce(sums(trio.zero(shape), trio.pair_of(x), trio.pair_of(y)))
        for (x, y), shape in zip(pairs, shapes, strict=True)
    ]
    if not shares:
        return []
    found = trio.around("products", shares, trio.ring_bits)
    return [trio.replica(shape, pair) for shape, pair in zip(shapes, found, strict=True)]


def element_wise(total: Words, x: Pair, y: Pair) -> Words:
    """Add this party's part of x y to `total`, which is written over, and return it."""
    if x[0].shape == y[0].shape == total.shape:
        # c + d (b + e) + a e, with d = x_i, b = y_(i+1), e = y_i and a = x_(i+1)
        d, a, e, b = (np.asarray(component, order="C") for component in (*x, *y))
        return multiply_layer(d, e, a, b, total, True, total)
    total += x[0] * (y[0] + y[1])
    total += x[1] * y[0]
    return total


def of_matrices(total: Words, x: Pair, y: Pair) -> Words:
    """Add this party's part of the matrix product x y to `total`, which is written over, and return it."""
    matmul(x[0], y[0] + y[1], total, True)
    return matmul(x[1], y[0], total, True)
