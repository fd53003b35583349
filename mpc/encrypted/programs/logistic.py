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

The constant is shared out alike. With g = sqrt(rate * abs(c3) / n'), M = g Z and u = w / g it is z = M u, and a step
adds to u plus or minus the sum over records of ``(z^2 + c1 / c3) * (z M)``. So a chunk is multiplied by its masks and g
once, before the first iteration, and after that its half blocks are all that is kept of it. Chunks are taken in groups,
of which only the weights' sums are left.

    level  -1   once: start / g, from its spare rows to all slots, and beside it half blocks of M without spare rows
    level  -1   z   = sum over features of M * u, both halves, in every block
    level  -2   z^2, and beside it z * M for each half
    level  -3   (z^2 + c1 / c3) * (z * M) for each half, summed over chunks and rows
    level  -1   once, before weights leave: both halves put together

Degree 5 is the product with ``z^4 + (c3 / c5) z^2 + c1 / c5`` and costs four levels.

Rounding after a product with a mask is an error of its own in each record. The larger the scale of M is, the smaller
is that of u that makes sums meet at one scale. :meth:`Logistic.scale_bits` shares the bits out. The primes are no
powers of two, so the scale of u moves with each iteration, which the weights that were there before follow.

The mean is over n', the records with those that pad them, because only the owner knows how many there are. So the rate
that counts is ``rate * n / n'``.

From Kim et al. ("Secure logistic regression based on homomorphic encryption", JMIR Medical Informatics 2018), with the
masks in front.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import Generic

import numpy as np

from mpc.encrypted.arithmetic import Arithmetic, V, total
from mpc.encrypted.packing import Floats, Packing
from mpc.encrypted.programs.sigmoid import Sigmoid, sigmoid
from mpc.errors import ParameterError

MOST_NARROW_BITS = 12
"""How many bits fewer half blocks may have than records. At the small parameters' 2^36 they keep 24 bits."""
_LEAST_NARROW_BITS = 3
_Z_BITS = {3: 3, 5: 3}  # by which z has a smaller scale than records
CHUNKS_TOGETHER = 4
"""How many chunks are in a group. Until their sum is there, they take memory of their own."""
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

    def unit_bits(self, packing: Packing) -> int:
        """Return q, where 2^-q is the largest power of two that is at most sqrt(abs(constant))."""
        return math.ceil(-math.log2(abs(self.constant(packing))) / 2)

    def unit(self, packing: Packing) -> float:
        """Return the number in [1, 2) by which weights are divided while a refresh has them."""
        return math.sqrt(abs(self.constant(packing))) * 2.0 ** self.unit_bits(packing)

    def scale_bits(self, packing: Packing) -> tuple[int, int]:
        """Return by how many bits M has a smaller scale than records, and u a larger one, were both divided by 2^q.

        So they are integers of about ``unit * Z * scale / 2^first`` and ``w / unit * scale * 2^second``. The scale of
        a sum is that of z to the degree times that of M, and has to be that of u.
        """
        whole = self.unit_bits(packing)
        narrow = whole - _Z_BITS[self.degree] * (self.degree - 1) // 2
        narrow = min(MOST_NARROW_BITS, max(_LEAST_NARROW_BITS, narrow))
        narrow = max(narrow, -(-2 * whole // (self.degree + 1)))  # or else u would have a smaller scale than weights
        narrow += (narrow * (self.degree + 1) - 2 * whole) % (self.degree - 1) // 2
        return narrow, (narrow * (self.degree + 1) - 2 * whole) // (self.degree - 1)


@dataclass(frozen=True)
class Step(Generic[V]):
    """What one iteration leaves.

    Attributes:
        z: of each chunk, if it is kept, which is missing in the first iteration from weights of 0.
        weights: after it, each repeated over its block. Only after the last iteration and where they are refreshed,
            and there divided by :meth:`Logistic.unit`.
    """

    iteration: int
    z: tuple[V, ...]
    weights: V | None


Refresh = Callable[[int, V], V]
"""Takes the weights after an iteration, and returns them encrypted anew at the same scale.

They are divided by :meth:`Logistic.unit`. Their level is the records', or one less.
"""


def train(
    arithmetic: Arithmetic[V],
    packing: Packing,
    records: Iterable[V],
    choices: Logistic,
    refresh: Refresh[V] | None = None,
    *,
    initial: V | None = None,
    refreshes: Sequence[int] | None = None,
    keep_z: bool = False,
) -> Iterator[Step[V]]:
    """Yield each iteration's step, beginning with weights of 0 or with those that are given.

    Args:
        records: Z in chunks, see :mod:`mpc.encrypted.packing`, each gone through once. Weights that leave have their
            scale.
        refresh: where there are refreshes.
        initial: the weights to begin with, each repeated over its block, at the records' scale and level.
        refreshes: the iterations after which weights are refreshed, or else those of the choices.
        keep_z: whether steps have z, which is memory for each chunk.
    """
    refreshes = choices.refreshes if refreshes is None else refreshes
    if refreshes and refresh is None:
        raise ParameterError(f"expected a refresh after iteration {refreshes[0]}, found none")
    training = _Training(arithmetic, packing, records, choices, keep_z)
    halves = training.start if initial is None else training.begun(initial)
    for iteration in range(1, choices.iterations + 1):
        z: tuple[V, ...] = ()
        if iteration > 1 or initial is not None:  # or else the start is where the first iteration ends
            halves, z = training.step(halves)
        last = iteration == choices.iterations
        found = training.together(halves, last) if last or iteration in refreshes else None
        yield Step(iteration, z, found)
        if refresh is not None and found is not None and not last:
            halves = training.in_halves(refresh(iteration, found))


class _Training(Generic[V]):
    """The parts of an iteration, on records in chunks. Half blocks stand in the order of `Packing.halves`."""

    def __init__(
        self, arithmetic: Arithmetic[V], packing: Packing, records: Iterable[V], choices: Logistic, keep_z: bool
    ) -> None:
        self._arithmetic, self._packing, self._choices, self._keep_z = arithmetic, packing, choices, keep_z
        self._constant = choices.constant(packing)
        self._root, self._bits = math.sqrt(abs(self._constant)), choices.unit_bits(packing)
        narrow, self._wide_bits = choices.scale_bits(packing)
        self._sides = range(len(packing.halves()))
        self._masked: list[tuple[V, ...]] = []
        full: list[Callable[[V], V]] = []
        for group in _groups(records):
            self._scale = group[0].scale
            scale = self._scale * Fraction(2) ** (self._bits - narrow)
            full = full or self._masks(group[0], 0, scale)
            steps: list[Callable[[], V]] = []
            for place, chunk in enumerate(group, len(self._masked)):
                masks = self._masks(chunk, place, scale) if place == packing.chunks - 1 else full
                steps += [partial(mask, chunk) for mask in masks]
            masked = iter(self._each(steps))
            self._masked += zip(*[masked] * len(self._sides), strict=True)
            last = group[-1]
        if len(self._masked) != packing.chunks:
            raise ParameterError(f"expected {packing.chunks} chunks of records, found {len(self._masked)}")
        spread = packing.only_spare(packing.chunks - 1) / self._root
        self._wide = self._scale * Fraction(2) ** (self._wide_bits - self._bits)
        self._start = arithmetic.add_rotated(
            arithmetic.multiply_plain(last, spread, self._wide), packing.from_the_spare
        )

    def _masks(self, chunk: V, place: int, scale: Fraction) -> list[Callable[[V], V]]:
        """Return what takes a chunk at this place to the half blocks of its M."""
        return [self._arithmetic.times_plain(chunk, self._root * mask, scale) for mask in self._packing.halves(place)]

    @property
    def start(self) -> list[V]:
        """u after the first iteration from 0, for each half."""
        return [self._start for _ in self._sides]

    def begun(self, initial: V) -> list[V]:
        """Return u of weights at the records' scale for each half, which costs a level."""
        u = self._arithmetic.multiply_constant(initial, 1 / self._root, self._wide)
        return [u for _ in self._sides]

    def in_halves(self, refreshed: V) -> list[V]:
        """Return u for each half. What a half has in the other's blocks does not count."""
        u = self._arithmetic.scaled_up(refreshed, self._wide_bits - self._bits, self._bits)
        return [u for _ in self._sides]

    def step(self, u: Sequence[V]) -> tuple[list[V], tuple[V, ...]]:
        """Return u after an iteration in each half, and z of each chunk in every block."""
        arithmetic = self._arithmetic
        sums: list[V] = []
        all_z: list[V] = []
        for at in range(0, len(self._masked), CHUNKS_TOGETHER):
            more, z = self._of_group(self._masked[at : at + CHUNKS_TOGETHER], u)
            sums = [arithmetic.add(one, other) for one, other in zip(sums, more, strict=True)] if sums else more
            all_z += z

        def of(side: int) -> V:
            change = self._over_rows(sums[side])
            before = arithmetic.add(self._at(u[side], change), self._at(self._start, change))
            return arithmetic.add(before, change) if self._constant > 0 else arithmetic.subtract(before, change)

        return arithmetic.each([partial(of, side) for side in self._sides]), tuple(all_z)

    def _of_group(self, group: Sequence[Sequence[V]], u: Sequence[V]) -> tuple[list[V], Sequence[V]]:
        """Return the sum over a group of chunks for each half, and z of each chunk or, where it is not kept, none."""
        arithmetic = self._arithmetic
        z = self._each([partial(self._z, half, u) for half in group])
        inners = [
            partial(arithmetic.multiply, z[at], half[side]) for side in self._sides for at, half in enumerate(group)
        ]
        found = self._each([*inners, *(partial(self._factor, one) for one in z)])
        factors = found[len(inners) :]
        parts = [found[side * len(z) : (side + 1) * len(z)] for side in self._sides]
        sums = self._each([partial(arithmetic.dot, factors, part) for part in parts])
        return sums, z if self._keep_z else ()

    def _each(self, steps: Sequence[Callable[[], V]]) -> list[V]:
        """Do steps side by side, or with more chunks than a group one after the other, which takes less memory."""
        together = self._packing.chunks <= CHUNKS_TOGETHER
        return self._arithmetic.each(steps) if together else [step() for step in steps]

    def together(self, u: Sequence[V], last: bool) -> V:
        """Return the weights of each half's blocks in one value, at the records' scale, or divided by the unit."""
        arithmetic, factor = self._arithmetic, self._root if last else 2.0**-self._bits
        picked = zip(u, self._packing.halves(), strict=True)
        return total(arithmetic, [arithmetic.multiply_plain(one, factor * half, self._scale) for one, half in picked])

    def _at(self, u: V, change: V) -> V:
        """Return u at the scale and the level of what is added to it."""
        return self._arithmetic.multiply_constant(self._arithmetic.lower(u, change.level + 1), 1.0, change.scale)

    def _z(self, masked: Sequence[V], u: Sequence[V]) -> V:
        return self._arithmetic.add_rotated(self._arithmetic.dot(masked, u), self._packing.across_features)

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


def _groups(records: Iterable[V]) -> Iterator[list[V]]:
    left = iter(records)
    while group := list(islice(left, CHUNKS_TOGETHER)):
        yield group


def train_in_the_clear(records: Floats, choices: Logistic, packing: Packing) -> Floats:
    """Return the weights ``(d',)`` that plain numpy finds from Z ``(n, d)``, to compare with."""
    d = records.shape[1]
    weights = np.zeros(packing.features)
    for _ in range(choices.iterations):
        z = records @ weights[:d]
        weights[:d] += choices.rate / packing.records * (choices.sigmoid(-z) @ records)
    return weights
