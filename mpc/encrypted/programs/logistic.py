"""Logistic regression by gradient descent on encrypted records, four levels an iteration.

With Z = t * x the gradient of the loss is the mean of ``-s(-z) Z`` with z = Z w. The polynomial s(z) = 1/2 + c1 z +
c3 z^3 makes a step ::

    w + start - rate * mean((c1 z + c3 z^3) Z),   start = rate * mean(Z) / 2, which the owner sends encrypted

and the second term is ``-rate * c3 / n' * sum over records of (z^2 + c1 / c3) * (z Z)``. One iteration:

    level  -1   z   = sum over features of Z * w, in every block
    level  -2   z^2, and beside it z * Z
    level  -3   (z^2 + c1 / c3) * (z * Z), summed over chunks and rows
    level  -4   the first slot of each block times ``-rate * c3 / n'``, spread over its block

The weights begin at 0, so the first iteration makes them ``start`` and costs no level. Degree 5 is the product with
``z^4 + (c3 / c5) z^2 + c1 / c5`` and costs five levels.

The mean is over n', the records with those that pad them, because only the owner knows how many there are. So the rate
that counts is ``rate * n / n'``.

From Kim et al. ("Secure logistic regression based on homomorphic encryption", JMIR Medical Informatics 2018), with the
start apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic

import numpy as np

from mpc.encrypted.arithmetic import Arithmetic, V, total
from mpc.encrypted.packing import Floats, Packing
from mpc.encrypted.programs.sigmoid import Sigmoid, sigmoid
from mpc.errors import ParameterError

SMALLEST_CONSTANT = 1e-6
_LEVELS = {3: 4, 5: 5}


@dataclass(frozen=True)
class Logistic:
    """The public choices of one training.

    Attributes:
        rate: the learning rate, over the mean of n' records.
        iterations: the steps of gradient descent.
        degree: of the polynomial that stands for the logistic function, 3 or 5.
        stretch: how many iterations after the first may follow each other before the weights are refreshed, which is
            when the key's holder encrypts them anew. None refreshes never.
    """

    rate: float
    iterations: int
    degree: int = 3
    stretch: int | None = None

    def __post_init__(self) -> None:
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise ParameterError(f"expected a learning rate above 0, found {self.rate:g}")
        if self.iterations < 1:
            raise ParameterError(f"expected at least 1 iteration, found {self.iterations}")
        if self.stretch is not None and self.stretch < 1:
            raise ParameterError(f"expected at least 1 iteration before a refresh, found {self.stretch}")
        sigmoid(self.degree)

    @property
    def sigmoid(self) -> Sigmoid:
        """The polynomial."""
        return sigmoid(self.degree)

    @property
    def levels(self) -> int:
        """How many levels the training takes, 4 or 5 for each iteration of a stretch. All is encrypted there."""
        longest = self.iterations - 1 if self.stretch is None else min(self.stretch, self.iterations - 1)
        return _LEVELS[self.degree] * longest

    @property
    def refreshes(self) -> tuple[int, ...]:
        """The iterations after which the weights are refreshed."""
        if self.stretch is None:
            return ()
        return tuple(range(1 + self.stretch, self.iterations, self.stretch))

    def constant(self, packing: Packing) -> float:
        """Return the last constant of a step, ``-rate * c / n'`` with the polynomial's last coefficient c."""
        return -self.rate * self.sigmoid.coefficients[-1] / packing.records

    def weight_scale(self, packing: Packing, scale: Fraction) -> Fraction:
        """Return the scale that the weights keep, where records are encrypted at ``scale``.

        The last constant of a step is encoded as about ``constant * scale * (scale / this)^2``. For a constant below
        1e-6 the weights have a scale of their own, smaller by as many bits as make that integer large enough.
        """
        bits = 0
        while abs(self.constant(packing)) * 4.0**bits < SMALLEST_CONSTANT:
            bits += 1
        return scale / (1 << bits)


@dataclass(frozen=True)
class Step(Generic[V]):
    """What one iteration leaves: z of each chunk, which is missing in the first iteration, and the weights after it."""

    iteration: int
    z: tuple[V, ...]
    weights: V


Refresh = Callable[[int, V], V]
"""Takes the weights after an iteration, and returns them encrypted anew, at the records' level and the same scale."""


def train(
    arithmetic: Arithmetic[V],
    packing: Packing,
    records: Sequence[V],
    start: V,
    choices: Logistic,
    refresh: Refresh[V] | None = None,
) -> Iterator[Step[V]]:
    """Yield each iteration's step, beginning with weights of 0.

    Args:
        records: Z in chunks, see :mod:`mpc.encrypted.packing`.
        start: the rate times the mean over n' of Z / 2, each number repeated over its block, at the weights' scale.
        refresh: where the choices have a stretch that is shorter than the training.
    """
    if choices.refreshes and refresh is None:
        raise ParameterError(f"expected a refresh after iteration {choices.refreshes[0]}, found none")
    if not records:
        raise ParameterError("expected at least one chunk of records, found none")
    weights = start
    yield Step(1, (), weights)
    for iteration in range(2, choices.iterations + 1):
        z, curved = gradient(arithmetic, packing, records, weights, choices)
        weights = arithmetic.add(arithmetic.add(weights, start), curved)
        yield Step(iteration, z, weights)
        if refresh is not None and iteration in choices.refreshes:
            weights = refresh(iteration, weights)


def gradient(
    arithmetic: Arithmetic[V], packing: Packing, records: Sequence[V], weights: V, choices: Logistic
) -> tuple[tuple[V, ...], V]:
    """Return z of each chunk, and ``-rate * mean((c1 z + c3 z^3) Z)`` repeated over blocks, at the weights' scale."""
    if len(records) != packing.chunks:
        raise ParameterError(f"expected {packing.chunks} chunks of records, found {len(records)}")
    all_z, curved = [], []
    for chunk in records:
        z = arithmetic.add_rotated(arithmetic.multiply(chunk, weights), packing.across_features)
        all_z.append(z)
        curved.append(arithmetic.multiply(_factor(arithmetic, z, choices), arithmetic.multiply(z, chunk)))
    whole = arithmetic.add_rotated(total(arithmetic, curved), packing.across_rows)
    picked = arithmetic.multiply_plain(whole, packing.firsts(choices.constant(packing)), weights.scale)
    if packing.to_the_end:
        picked = arithmetic.rotate(picked, packing.to_the_end)
    return tuple(all_z), arithmetic.add_rotated(picked, packing.across_rows)


def _factor(arithmetic: Arithmetic[V], z: V, choices: Logistic) -> V:
    """Return what ``z`` times the last coefficient has to be multiplied by, which is a polynomial in z^2."""
    *others, last = choices.sigmoid.coefficients
    square = arithmetic.multiply(z, z)
    if choices.degree == 3:
        return arithmetic.add_constant(square, others[0] / last)
    fourth = arithmetic.multiply(square, square)
    middle = arithmetic.multiply_constant(square, others[1] / last, fourth.scale)
    return arithmetic.add_constant(arithmetic.add(fourth, middle), others[0] / last)


def train_in_the_clear(records: Floats, choices: Logistic, packing: Packing) -> Floats:
    """Return the weights ``(d',)`` that plain numpy finds from Z ``(n', d')``, to compare with."""
    weights = np.zeros(packing.features)
    for _ in range(choices.iterations):
        weights = weights + choices.rate / packing.records * (choices.sigmoid(-(records @ weights)) @ records)
    return weights
