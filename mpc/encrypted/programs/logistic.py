"""Logistic regression by gradient descent on encrypted records, three levels an iteration.

With Z = t * x the gradient of the loss is the mean of ``-s(-z) Z`` with z = Z w. The polynomial s(z) = 1/2 + c1 z +
c3 z^3 makes a step ::

    w + start - rate * mean((c1 z + c3 z^3) Z),   start = rate * mean(Z) / 2

and the last term is ``-rate * c3 / n' * sum over records of (z^2 + c1 / c3) * (z Z)``. The weights begin at 0, so the
first iteration makes them ``start``, which the owner computes and puts into the spare rows of Z. So one ciphertext is
all that is sent for a chunk.

A sum over records has to reach every slot of its feature's block, and nothing of its neighbours' blocks. A sum by
rotations alone takes in the neighbours. A mask behind it would cost a level each time. So the masks stand in front, on
the records, where a level is to spare: what is summed has either its odd blocks empty or its even ones. Each slot of a
full block then gets the sum of the ``2 r - 1`` slots around it, of which all r of its own block are full and no other.
In empty blocks that leaves numbers that mean nothing, and the same masks keep them out of z. Both halves, the even
blocks and the odd ones, are computed side by side.

    level  -1   once: start, from its spare rows to all slots, and beside it the half blocks of Z, without spare rows
    level  -1   z   = sum over features of Z * w, both halves, in every block
    level  -2   z^2, and beside it z * (constant * Z) for each half
    level  -3   (z^2 + c1 / c3) * (z * constant * Z) for each half, summed over chunks and rows
    level  -1   once, before weights leave: both halves put together

Degree 5 is the product with ``z^4 + (c3 / c5) z^2 + c1 / c5`` and costs four levels.

Rounding after a product with a mask is an error of its own in each record. It is small beside what it comes to where
that has a large scale. The constant ``-rate * c3 / n'`` is small. So half blocks that are multiplied by it have a scale
that is larger by about half of its bits, half blocks for z one that is smaller, and weights on their way a larger one.
:meth:`Logistic.scale_bits` shares the bits out.

The mean is over n', the records with those that pad them, because only the owner knows how many there are. So the rate
that counts is ``rate * n / n'``.

From Kim et al. ("Secure logistic regression based on homomorphic encryption", JMIR Medical Informatics 2018), with the
masks in front.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Generic

import numpy as np

from mpc.encrypted.arithmetic import Arithmetic, V, total
from mpc.encrypted.packing import Floats, Packing
from mpc.encrypted.programs.sigmoid import Sigmoid, sigmoid
from mpc.errors import ParameterError

MOST_NARROW_BITS = 10
"""How much smaller the scale of half blocks may be. At the small parameters' 2^36 they keep 26 bits."""
_Z_BITS = 3  # by which z has a smaller scale than records
_EACH = {3: 3, 5: 4}


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
    def levels_each(self) -> int:
        """How many levels an iteration takes, 3 or 4."""
        return _EACH[self.degree]

    @property
    def levels(self) -> int:
        """How many levels the training takes from weights of 0. All is encrypted there."""
        return self.levels_of(self.iterations - 1 if self.stretch is None else min(self.stretch, self.iterations - 1))

    @property
    def refreshed_levels(self) -> int:
        """How many levels training takes from refreshed weights, which need not be spread from spare rows first."""
        return self.levels - 1

    def levels_of(self, steps: int) -> int:
        """Return how many levels so many iterations after the first take: one before them and one behind."""
        return self.levels_each * steps + 2

    @property
    def refreshes(self) -> tuple[int, ...]:
        """The iterations after which the weights are refreshed."""
        if self.stretch is None:
            return ()
        return tuple(range(1 + self.stretch, self.iterations, self.stretch))

    def constant(self, packing: Packing) -> float:
        """Return the last constant of a step, ``-rate * c / n'`` with the polynomial's last coefficient c."""
        return -self.rate * self.sigmoid.coefficients[-1] / packing.records

    def scale_bits(self, packing: Packing) -> tuple[int, int]:
        """Return by how many bits half blocks have a smaller scale than records, and weights on their way a larger."""
        narrow = round(-math.log2(abs(self.constant(packing))) / 2) - 2  # the smallest bound, as found by trial
        narrow = min(MOST_NARROW_BITS, max(_Z_BITS, narrow))
        return narrow, narrow - _Z_BITS


@dataclass(frozen=True)
class Step(Generic[V]):
    """What one iteration leaves.

    Attributes:
        z: of each chunk, which is missing in the first iteration from weights of 0.
        weights: after it, each repeated over its block. Only after the last iteration and where they are refreshed.
    """

    iteration: int
    z: tuple[V, ...]
    weights: V | None


Refresh = Callable[[int, V], V]
"""Takes the weights after an iteration, and returns them encrypted anew at the same scale.

Their level is the records', or one less.
"""


def train(
    arithmetic: Arithmetic[V],
    packing: Packing,
    records: Sequence[V],
    choices: Logistic,
    refresh: Refresh[V] | None = None,
    *,
    initial: V | None = None,
    refreshes: Sequence[int] | None = None,
) -> Iterator[Step[V]]:
    """Yield each iteration's step, beginning with weights of 0 or with those that are given.

    Args:
        records: Z in chunks, see :mod:`mpc.encrypted.packing`. Weights that leave have their scale.
        refresh: where there are refreshes.
        initial: the weights to begin with, each repeated over its block, at the records' scale.
        refreshes: the iterations after which weights are refreshed, or else those of the choices.
    """
    refreshes = choices.refreshes if refreshes is None else refreshes
    if refreshes and refresh is None:
        raise ParameterError(f"expected a refresh after iteration {refreshes[0]}, found none")
    if not records or len(records) != packing.chunks:
        raise ParameterError(f"expected {packing.chunks} chunks of records, found {len(records)}")
    training = _Training(arithmetic, packing, records, choices)
    halves = training.start if initial is None else training.in_halves(initial)
    for iteration in range(1, choices.iterations + 1):
        z: tuple[V, ...] = ()
        if iteration > 1 or initial is not None:  # or else the start is where the first iteration ends
            z = training.z(halves)
            halves = training.step(halves, z)
        leaves = iteration == choices.iterations or iteration in refreshes
        found = training.together(halves) if leaves else None
        yield Step(iteration, z, found)
        if refresh is not None and found is not None and iteration in refreshes:
            halves = training.in_halves(refresh(iteration, found))


class _Training(Generic[V]):
    """The parts of an iteration, on records in chunks. Half blocks stand in the order of `Packing.halves`."""

    def __init__(self, arithmetic: Arithmetic[V], packing: Packing, records: Sequence[V], choices: Logistic) -> None:
        self._arithmetic, self._packing, self._choices = arithmetic, packing, choices
        self._records, self._scale = records, records[0].scale
        narrow, self._wide_bits = choices.scale_bits(packing)
        self._narrow, self._wide = self._scale / 2**narrow, self._scale * 2**self._wide_bits

        def masked(place: int, half: int) -> V:
            return arithmetic.multiply_plain(records[place], packing.halves(place)[half], self._narrow)

        sides = range(len(packing.halves()))
        places = range(len(records))
        self._masked = arithmetic.each([partial(masked, place, half) for place in places for half in sides])
        last = packing.chunks - 1
        picked = arithmetic.multiply_plain(records[last], packing.only_spare(last), self._wide)
        self._start = arithmetic.add_rotated(picked, packing.from_the_spare)

    @property
    def start(self) -> list[V]:
        """The weights after the first iteration from 0, for each half, at the wide scale."""
        return [self._start] * len(self._packing.halves())

    def in_halves(self, whole: V) -> list[V]:
        """Return weights for each half, at the wide scale. What a half has in the other's blocks does not count."""
        return [self._arithmetic.scaled_up(whole, self._wide_bits)] * len(self._packing.halves())

    def z(self, weights: Sequence[V]) -> tuple[V, ...]:
        """Return z of each chunk in every block, from the weights of each half."""
        count = len(weights)
        halves = [self._masked[first : first + count] for first in range(0, len(self._masked), count)]

        def of(half: Sequence[V]) -> V:
            product = self._arithmetic.dot(half, weights)
            return self._arithmetic.add_rotated(product, self._packing.across_features)

        return tuple(self._arithmetic.each([partial(of, half) for half in halves]))

    def step(self, weights: Sequence[V], z: Sequence[V]) -> list[V]:
        """Return ``weights + start - rate * mean((c1 z + c3 z^3) Z)`` in each half, at the wide scale."""
        arithmetic, level = self._arithmetic, z[0].level
        factor_level, factor_scale = self._factor_shape(z[0])
        below = arithmetic.prime(min(factor_level, level - 1)) * arithmetic.prime(level)
        scale = self._wide * below / (factor_scale * z[0].scale)  # so that the product has the wide scale
        constant = self._choices.constant(self._packing)

        def inner(half: int, place: int) -> V:
            chunk, mask = arithmetic.lower(self._records[place], level + 1), self._packing.halves(place)[half]
            return arithmetic.multiply(z[place], arithmetic.multiply_plain(chunk, constant * mask, scale))

        inners = [partial(inner, half, place) for half in range(len(weights)) for place in range(len(z))]
        factors = [partial(self._factor, one) for one in z]
        found = arithmetic.each([*inners, *factors])

        def of(half: int) -> V:
            products = arithmetic.dot(found[len(inners) :], found[half * len(z) : (half + 1) * len(z)])
            return total(arithmetic, [weights[half], self._start, self._over_rows(products)])

        return arithmetic.each([partial(of, half) for half in range(len(weights))])

    def together(self, weights: Sequence[V]) -> V:
        """Return the weights of each half's blocks in one value, at the records' scale."""
        arithmetic = self._arithmetic
        picked = zip(weights, self._packing.halves(), strict=True)
        return total(arithmetic, [arithmetic.multiply_plain(one, half, self._scale) for one, half in picked])

    def _over_rows(self, value: V) -> V:
        """Return the sum of each block in all of its slots, where the blocks beside it are empty."""
        ahead = self._arithmetic.add_rotated(value, self._packing.across_rows)
        if self._packing.features == 1 or not self._packing.to_the_end:
            return ahead  # it goes around, or a block is one slot
        both = self._arithmetic.add_rotated(ahead, [self._packing.to_the_end])
        return self._arithmetic.subtract(both, value)

    def _factor(self, z: V) -> V:
        """Return what ``z`` times the last coefficient has to be multiplied by, which is a polynomial in z^2."""
        arithmetic = self._arithmetic
        *others, last = self._choices.sigmoid.coefficients
        square = arithmetic.multiply(z, z)
        if self._choices.degree == 3:
            return arithmetic.add_constant(square, others[0] / last)
        fourth = arithmetic.multiply(square, square)
        middle = arithmetic.multiply_constant(square, others[1] / last, fourth.scale)
        return arithmetic.add_constant(arithmetic.add(fourth, middle), others[0] / last)

    def _factor_shape(self, z: V) -> tuple[int, Fraction]:
        """Return the level and the scale of :meth:`_factor`."""
        level, scale = z.level - 1, z.scale * z.scale / self._arithmetic.prime(z.level)
        if self._choices.degree == 3:
            return level, scale
        return level - 1, scale * scale / self._arithmetic.prime(level)


def train_in_the_clear(records: Floats, choices: Logistic, packing: Packing) -> Floats:
    """Return the weights ``(d',)`` that plain numpy finds from Z ``(n, d)``, to compare with."""
    d = records.shape[1]
    weights = np.zeros(packing.features)
    for _ in range(choices.iterations):
        z = records @ weights[:d]
        weights[:d] += choices.rate / packing.records * (choices.sigmoid(-z) @ records)
    return weights
