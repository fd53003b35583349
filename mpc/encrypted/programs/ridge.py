"""Ridge regression from second moments that are encrypted, by Chebyshev's polynomials, one level a step.

Owners send ``G = sum x x^T / (n' L)`` and ``b = sum t x / n'`` for each target, and what all have sent is added. So
the number of records costs nothing. The weights are ``(L G + r)^-1 b`` with the regularisation r. L is stated, and the
eigenvalues of G are within 0..1, which each owner checks alone: a sum of moments has no larger eigenvalue than the
largest one of its parts, weighted by their records.

With M = 2 G - 1, whose eigenvalues are within -1..1, a polynomial p of M stands for the inverse. It is the one for
which ``1 - p(x) x`` is the Chebyshev polynomial of degree K + 1, scaled to be 1 at x = 0. No other of degree K has a
smaller largest value over the interval (Saad, "Iterative Methods for Sparse Linear Systems", section 6.11). So the
weights found are within :attr:`Ridge.error` of the exact ones, relative to their norm.

Clenshaw's recurrence evaluates it on b from the coefficients c_k of Chebyshev's polynomials U_k ::

    g_K = b,    g_k = (c_k / c_K) b + 2 M g_(k+1) - g_(k+2),    p(M) b = c_K g_0

The polynomials are those of the second kind, so that g_0 is the result up to c_K, and no product follows it. Products
take a vector from one form to the other (:mod:`mpc.encrypted.tiling`), and only terms whose k differ by two meet. So no
level is spent on forms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Generic

import numpy as np
from numpy.polynomial import chebyshev

from mpc.encrypted.arithmetic import Arithmetic, V
from mpc.encrypted.packing import Floats
from mpc.encrypted.tiling import Tiling
from mpc.errors import ParameterError, RangeError

LARGEST_ERROR = 0.05
"""The largest error of the polynomial, relative to the norm of the weights, with which there is training."""
LEAST, LEAST_RATIO = 1e-12, 1e-9
"""The smallest regularisation and eigenvalue, and the smallest quotient of the two. The largest are one over them."""
LEAST_LAST = 1e-10
"""The smallest last coefficient relative to the largest one. A smaller one is mostly an error of rounding."""
_LARGEST_DEGREE = 64
_GRID = np.cos(np.pi * np.linspace(0, 1, 4001))


@dataclass(frozen=True)
class Ridge:
    """The public choices of one training.

    Attributes:
        regularisation: r, in the units of the mean over n' of squared numbers.
        largest: L, above which no owner's largest eigenvalue of the mean of x x^T may be.
        degree: K of the polynomial. It is even, so that weights end in the form of b.
    """

    regularisation: float
    largest: float
    degree: int

    def __post_init__(self) -> None:
        for name, value in (("regularisation", self.regularisation), ("largest eigenvalue", self.largest)):
            if not LEAST <= value <= 1 / LEAST:
                raise ParameterError(f"expected a {name} of {LEAST:g} to {1 / LEAST:g}, found {value:g}")
        ratio = self.regularisation / self.largest
        if not LEAST_RATIO <= ratio <= 1 / LEAST_RATIO:
            raise ParameterError(
                f"expected a regularisation of {LEAST_RATIO:g} to {1 / LEAST_RATIO:g} times the largest eigenvalue, "
                f"found {ratio:g} times"
            )
        if self.degree < 2 or self.degree % 2 or self.degree > _LARGEST_DEGREE:
            raise ParameterError(f"expected an even degree of 2 to {_LARGEST_DEGREE}, found {self.degree}")
        if self.error > LARGEST_ERROR:
            least = _least_regularisation(self.largest, self.degree)
            raise RangeError(
                f"expected a polynomial within {LARGEST_ERROR:g} of the inverse for eigenvalues of "
                f"{self.regularisation:g} to {self.largest + self.regularisation:g}, found {self.error:.2g} with "
                f"degree {self.degree}: raise regularisation from {self.regularisation:g} to {least:.2g}, lower the "
                "largest eigenvalue, or take a larger degree"
            )
        last = abs(float(self.second_kind[-1])) / float(np.abs(self.second_kind).max())
        if not last >= LEAST_LAST:
            raise RangeError(
                f"expected a polynomial whose last coefficient is at least {LEAST_LAST:g} times the largest, as it "
                f"divides all others, found {last:.2g} times with degree {self.degree} and a regularisation of "
                f"{ratio:g} times the largest eigenvalue: take a smaller degree or a smaller regularisation"
            )

    @property
    def levels(self) -> int:
        """How many levels training takes: one to take what is encrypted apart, and one a step."""
        return self.degree + 1

    @property
    def error(self) -> float:
        """The largest ``|1 - p(x) x|`` over the interval, which bounds the error of weights relative to their norm."""
        return _residual(self.largest, self.regularisation, self.degree)

    @cached_property
    def second_kind(self) -> Floats:
        """The coefficients of the polynomial by Chebyshev's polynomials of the second kind, ``(degree + 1,)``."""
        degree = self.degree
        outside = 1 + 2 * self.regularisation / self.largest

        def inverse(m: Floats) -> Floats:
            x = self.largest * (m + 1) / 2 + self.regularisation
            top = chebyshev.chebval(m, [0.0] * (degree + 1) + [1.0])
            at_zero = _growth(degree, outside) * (-1) ** (degree + 1)
            found: Floats = (1 - top / at_zero) / x
            return found

        nodes = np.asarray(chebyshev.chebpts1(degree + 1), np.float64)
        first = chebyshev.chebvander(nodes, degree).T @ inverse(nodes) * 2 / (degree + 1)
        first[0] /= 2
        second: Floats = first / 2
        second[0] = first[0]
        second[:-2] -= first[2:] / 2
        return second

    @property
    def ratios(self) -> Floats:
        """The coefficients divided by the last one."""
        found: Floats = self.second_kind / self.second_kind[-1]
        return found

    @cached_property
    def largest_ratio(self) -> float:
        """The largest value of the polynomial over c_K, where the b along columns and the one along rows have noise of
        their own: the first comes in with even k, the other with odd ones.
        """
        parts = [np.zeros(len(_GRID)), np.zeros(len(_GRID))]
        now, before = np.ones(len(_GRID)), np.zeros(len(_GRID))
        for k, ratio in enumerate(self.ratios):
            parts[k % 2] += ratio * now
            now, before = 2 * _GRID * now - before, now
        return 1.01 * float(np.hypot(*parts).max())

    @cached_property
    def partial_norms(self) -> Floats:
        """The largest norm of each g_k over all moments in the interval, ``(degree + 1,)``.

        With t of 1 and -1 the part of b along an eigenvector of G is at most the root of L times its eigenvalue.
        """
        found, roots = [], np.sqrt(self.largest * (_GRID + 1) / 2)
        for k in range(self.degree + 1):
            below, above = np.zeros(len(_GRID)), np.zeros(len(_GRID))
            for ratio in self.ratios[: k - 1 if k else None : -1]:
                below, above = ratio + 2 * _GRID * below - above, below
            found.append(1.01 * float((np.abs(below) * roots).max()))
        return np.array(found)


def _residual(largest: float, regularisation: float, degree: int) -> float:
    return 1 / _growth(degree, 1 + 2 * regularisation / largest)


def _growth(degree: int, outside: float) -> float:
    """Return Chebyshev's polynomial of degree + 1 at a point above 1, or infinity where no float holds it."""
    exponent = (degree + 1) * math.acosh(outside)
    return math.cosh(exponent) if exponent < 700 else math.inf


def _least_regularisation(largest: float, degree: int) -> float:
    """Return the smallest regularisation of two digits that counts as large enough, a little above the exact one."""
    exact = largest * (math.cosh(math.acosh(1 / LARGEST_ERROR) / (degree + 1)) - 1) / 2
    power = 10.0 ** (math.floor(math.log10(exact)) - 1)
    return math.ceil(exact / power * (1 + 1e-9)) * power


@dataclass(frozen=True)
class Moments(Generic[V]):
    """What is encrypted: the tiles of G in rows, and the b of all targets along columns and along rows."""

    tiles: Sequence[Sequence[V]]
    columns: V
    rows: V


def solve(
    arithmetic: Arithmetic[V], tiling: Tiling, moments: Moments[V], choices: Ridge, targets: int, unit: float
) -> Iterator[list[list[V]]]:
    """Yield g_k of every target after each step, times ``unit``, the last of which are the weights along columns.

    The weights are ``unit`` times the true ones, divided by the last of :attr:`Ridge.second_kind`. What is encrypted is
    at level ``choices.levels`` or above. The weights are at level 0. All scales are equal.
    """
    top, columns, rows = choices.degree, [], []
    for target in range(targets):
        along = (tiling.one_row(target * tiling.columns + place, unit) for place in range(tiling.columns))
        columns.append([_taken(arithmetic, moments.columns, mask, tiling.across_rows, top) for mask in along])
        down = (tiling.one_column(target * tiling.rows + place, unit) for place in range(tiling.rows))
        rows.append([_taken(arithmetic, moments.rows, mask, tiling.along_row, top) for mask in down])
    shifted = _shifted(arithmetic, tiling, moments)
    before: list[list[V]] = []
    now = columns
    yield now
    for k in range(top - 1, -1, -1):
        matrix = _twice_m(arithmetic, tiling, shifted, k + 1)
        terms, product = (columns, to_columns) if k % 2 == 0 else (rows, to_rows)
        ratio, after = float(choices.ratios[k]), []
        for target, (vector, term) in enumerate(zip(now, terms, strict=True)):
            found = []
            for value, one in zip(product(arithmetic, tiling, matrix, vector), term, strict=True):
                part = arithmetic.multiply_constant(arithmetic.lower(one, k + 1), ratio, value.scale)
                found.append(arithmetic.add(value, part))
            if before:
                found = [arithmetic.subtract(one, other) for one, other in zip(found, before[target], strict=True)]
            after.append(found)
        before, now = now, after
        yield now


def _taken(arithmetic: Arithmetic[V], packed: V, mask: Floats, steps: Sequence[int], level: int) -> V:
    """Take what a mask picks out of the vectors of all targets, and spread it, at a level."""
    picked = arithmetic.multiply_plain(arithmetic.lower(packed, level + 1), mask, packed.scale)
    return arithmetic.add_rotated(picked, steps)


def _shifted(arithmetic: Arithmetic[V], tiling: Tiling, moments: Moments[V]) -> list[list[V]]:
    """Return G - 1/2 in tiles, as encrypted."""
    halves = tiling.pack_matrix(np.eye(tiling.size) / 2)
    return [
        [arithmetic.add_plain(tile, -halves[row, column]) for column, tile in enumerate(line)]
        for row, line in enumerate(moments.tiles)
    ]


def _twice_m(arithmetic: Arithmetic[V], tiling: Tiling, shifted: Sequence[Sequence[V]], level: int) -> list[list[V]]:
    """Return 2 M = 4 (G - 1/2) in tiles at a level, with zeros in second halves, at the scale of the level's prime.

    So a product with it keeps the scale of the vector.
    """
    mask, scale = tiling.first_halves(4.0), Fraction(arithmetic.prime(level))
    return [
        [arithmetic.multiply_plain(arithmetic.lower(tile, level + 1), mask, scale) for tile in line] for line in shifted
    ]


def to_rows(arithmetic: Arithmetic[V], tiling: Tiling, matrix: Sequence[Sequence[V]], vector: Sequence[V]) -> list[V]:
    """Multiply a matrix with a vector along columns. The product is along rows."""
    return [arithmetic.add_rotated(arithmetic.dot(line, vector), tiling.along_row) for line in matrix]


def to_columns(
    arithmetic: Arithmetic[V], tiling: Tiling, matrix: Sequence[Sequence[V]], vector: Sequence[V]
) -> list[V]:
    """Multiply a symmetric matrix with a vector along rows. The product is along columns."""
    return [
        arithmetic.add_rotated(arithmetic.dot([line[column] for line in matrix], vector), tiling.across_rows)
        for column in range(tiling.columns)
    ]


def solve_in_the_clear(matrix: Floats, vector: Floats, choices: Ridge) -> Floats:
    """Return the weights ``(d,)`` that the polynomial gives for G ``(d, d)`` and b ``(d,)``, by plain numpy."""
    twice = 4 * matrix - 2 * np.eye(len(matrix))
    now, before = np.zeros(len(vector)), np.zeros(len(vector))
    for coefficient in choices.second_kind[::-1]:
        now, before = coefficient * vector + twice @ now - before, now
    return now


def solve_exactly(matrix: Floats, vector: Floats, choices: Ridge) -> Floats:
    """Return the weights ``(d,)`` of ridge regression itself."""
    whole = choices.largest * matrix + choices.regularisation * np.eye(len(matrix))
    return np.asarray(np.linalg.solve(whole, vector), np.float64)
