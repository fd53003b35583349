"""Gradient descent on the squared loss, which is a linear map of the weights it begins with.

With G = mean(x x^T) and b = mean(t x) a step is ``w - rate * (G w - b)``. So k steps are ``w -> A w + c`` with
``A = (I - rate G)^k`` and ``c = rate * sum over i < k of (I - rate G)^i b``. Whoever has the records computes A and c
in the clear, and one product with a matrix does all the steps on encrypted weights.

The matrix acts on d' numbers that repeat through all slots, by its diagonals: with ``diagonal_k[i] = A[i, i + k]`` the
product is the sum over k of ``diagonal_k * rotate(w, k)`` (Halevi and Shoup, "Algorithms in HElib", CRYPTO 2014,
section 4.3). Baby steps and giant steps make it about 2 sqrt(d') rotations. Every slot of the result is a number of the
product, so that no slot holds part of a sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpc.encrypted.packing import Floats
from mpc.errors import ParameterError, RangeError


@dataclass(frozen=True)
class Squared:
    """The choices of one training: the rate, and how many steps are made."""

    rate: float
    iterations: int

    def __post_init__(self) -> None:
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise ParameterError(f"expected a learning rate above 0, found {self.rate:g}")
        if self.iterations < 1:
            raise ParameterError(f"expected at least 1 iteration, found {self.iterations}")


def linear_map(records: Floats, labels: Floats, choices: Squared) -> tuple[Floats, Floats]:
    """Return A ``(d, d)`` and c ``(d,)`` of the steps on records ``(n, d)`` with labels of +1 and -1, ``(n,)``.

    Raises:
        RangeError: the rate is so large that the steps would move away from the solution.
    """
    n = len(records)
    values, vectors = np.linalg.eigh(records.T @ records / n)
    values = np.maximum(values, 0.0)
    if choices.rate * values[-1] >= 2:
        largest = 2 / values[-1]
        raise RangeError(
            f"expected a learning rate below {largest:.3g}, with which gradient descent on these records converges, "
            f"found {choices.rate:g}"
        )
    shrunk = (1 - choices.rate * values) ** choices.iterations
    # rate * (1 + s + ... + s^(k-1)) with s = 1 - rate * value, which is k * rate where the value is 0
    sums = np.where(values > 1e-12, (1 - shrunk) / np.maximum(values, 1e-12), choices.rate * choices.iterations)
    a = (vectors * shrunk) @ vectors.T
    c = (vectors * sums) @ vectors.T @ (records.T @ labels / n)
    _compare(records, labels, choices, a, c)
    return a, c


def _compare(records: Floats, labels: Floats, choices: Squared, a: Floats, c: Floats) -> None:
    """Compare the map with the steps themselves, from weights that are all 1. A difference is a bug here."""
    weights = np.ones(records.shape[1])
    for _ in range(choices.iterations):
        weights = weights - choices.rate / len(records) * ((records @ weights - labels) @ records)
    difference = float(np.abs(a.sum(axis=1) + c - weights).max())
    if difference > 1e-8 * max(1.0, float(np.abs(weights).max())):
        raise RangeError(f"expected the map of all steps to be the steps, found a difference of {difference:.1g}")


def baby_steps(size: int) -> int:
    """Return how many rotations of the vector a product with a ``(size, size)`` matrix shares, for a power of two."""
    return 1 << ((size.bit_length() - 1 + 1) // 2)


def rotations(size: int) -> tuple[int, ...]:
    """Return the steps of rotation that a product with a ``(size, size)`` matrix needs keys for."""
    baby = baby_steps(size)
    return (*range(1, baby), *range(baby, size, baby))


def diagonals(matrix: Floats, slots: int) -> Floats:
    """Return the diagonals of a square matrix, each repeated through all slots, ``(size, slots)``."""
    size = len(matrix)
    rows = np.arange(size)
    found = np.stack([matrix[rows, (rows + k) % size] for k in range(size)])
    return np.tile(found, slots // size)
