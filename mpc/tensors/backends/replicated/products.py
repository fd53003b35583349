"""Products of shared arrays, element-wise and of matrices, after Araki et al. (CCS 2016), section 2.

The nine products of components of x and y are known to the three parties between them. Each adds up three of them, in
two multiplications, hides the sum by its share of zero, and gives it to the party before::

    z_i = x_i (y_i + y_(i+1)) + x_(i+1) y_i + zero_i            zero_i = key_i - key_(i+1), of all three parties zero

So each party sends one word for an element, whatever the length of a matrix product's sums is. It does so when the
components are needed. A truncation takes the sums themselves. Without the share of zero
the receiver, who knows two of the four components in the sum, would learn a linear equation of the other two.

Components that all know to be zero, as the third one of a party's own input, take part in no multiplication.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpc._core import multiply_layer
from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import matmul
from mpc.tensors.backends.replicated.trio import Replica, Trio

Present = tuple[Words | None, Words | None]
Part = Callable[[Present, Present, Shape], Words]


def multiply(trio: Trio, pairs: Sequence[tuple[Replica, Replica]], shapes: Sequence[Shape]) -> list[Replica]:
    """Return element-wise products, which broadcast. They take one round when they are needed."""
    return _products(trio, pairs, shapes, element_wise)


def matrix_products(trio: Trio, pairs: Sequence[tuple[Replica, Replica]], shapes: Sequence[Shape]) -> list[Replica]:
    """Return matrix products. They take one round when they are needed."""
    return _products(trio, pairs, shapes, of_matrices)


def _products(
    trio: Trio, pairs: Sequence[tuple[Replica, Replica]], shapes: Sequence[Shape], part: Part
) -> list[Replica]:
    trio.settle([value for pair in pairs for value in pair])
    together: list[Replica] = []
    return [
        trio.waiting(shape, part(_present(trio, x), _present(trio, y), shape), together)
        for (x, y), shape in zip(pairs, shapes, strict=True)
    ]


def _present(trio: Trio, value: Replica) -> Present:
    """Return this party's components, without those that are zero for all to know."""
    first, second = trio.pair_of(value)
    return None if trio.own(0) in value.zeros else first, None if trio.own(1) in value.zeros else second


def _terms(x: Present, y: Present) -> list[tuple[Words, Words]]:
    """Return the factors of the products that this party adds up."""
    both = y[0] if y[1] is None else y[1] if y[0] is None else y[0] + y[1]
    terms = [(x[0], both), (x[1], y[0])]
    return [(left, right) for left, right in terms if left is not None and right is not None]


def element_wise(x: Present, y: Present, shape: Shape) -> Words:
    """Return this party's part of x y, which broadcast."""
    arrays = [component for component in (*x, *y) if component is not None]
    if len(arrays) == 4 and all(component.shape == shape for component in arrays):
        # d (b + e) + a e, with d = x_i, a = x_(i+1), e = y_i and b = y_(i+1)
        d, a, e, b = (np.asarray(component, order="C") for component in arrays)
        return multiply_layer(d, e, a, b, None, True)
    total = np.zeros(shape, dtype=np.uint64)
    for left, right in _terms(x, y):
        total += left * right
    return total


def of_matrices(x: Present, y: Present, shape: Shape) -> Words:
    """Return this party's part of the matrix product x y."""
    total = np.zeros(shape, dtype=np.uint64)
    for left, right in _terms(x, y):
        matmul(left, right, total, True)
    return total
