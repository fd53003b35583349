"""The sums that least squares needs, and its solution in exact fractions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mpc.commons.prio.errors import AggregateError


@dataclass(frozen=True)
class RegressionSums:
    """Sums over all measurements with features x_1 to x_d and label y.

    Attributes:
        count: of measurements.
        features: the sums of x_i.
        label: the sum of y.
        products: the sums of x_i x_j, as a symmetric matrix.
        with_label: the sums of x_i y.
    """

    count: int
    features: tuple[int, ...]
    label: int
    products: tuple[tuple[int, ...], ...]
    with_label: tuple[int, ...]

    @classmethod
    def of(cls, features: int, count: int, elements: Sequence[int]) -> RegressionSums:
        """Return the sums from the circuit's output: x, y, x_i x_j for i <= j, and x_i y."""
        rest = iter(elements[features + 1 :])
        products = [[0] * features for _ in range(features)]
        for i in range(features):
            for j in range(i, features):
                products[i][j] = products[j][i] = next(rest)
        rows = tuple(tuple(row) for row in products)
        return cls(count, tuple(elements[:features]), elements[features], rows, tuple(rest))

    def solve(self) -> tuple[tuple[Fraction, ...], Fraction]:
        """Return the coefficients and the intercept that minimise the sum of squared errors, exactly.

        Raises:
            AggregateError: there are several solutions, because the features depend on each other.
        """
        # The normal equations, with a feature that is always 1 behind the others.
        rows = [
            [*row, total, right]
            for row, total, right in zip(self.products, self.features, self.with_label, strict=True)
        ]
        rows.append([*self.features, self.count, self.label])
        solution = solve_exactly(rows)
        return tuple(solution[:-1]), solution[-1]


def solve_exactly(rows: Sequence[Sequence[int]]) -> list[Fraction]:
    """Return the solution of linear equations, each a row with its right side last. Raises `AggregateError`."""
    matrix = [[Fraction(entry) for entry in row] for row in rows]
    size = len(matrix)
    for column in range(size):
        pivot = next((row for row in range(column, size) if matrix[row][column] != 0), None)
        if pivot is None:
            raise AggregateError(
                f"expected features and a constant that do not depend on each other, found {size} equations of which "
                f"number {column + 1} follows from the others"
            )
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        head = matrix[column][column]
        matrix[column] = [entry / head for entry in matrix[column]]
        for row in range(size):
            if row != column and matrix[row][column] != 0:
                factor = matrix[row][column]
                matrix[row] = [
                    entry - factor * pivot_entry for entry, pivot_entry in zip(matrix[row], matrix[column], strict=True)
                ]
    return [row[-1] for row in matrix]
