"""How a symmetric matrix and vectors lie in slots, so that products with it need no level beside their own.

The d' x d' matrix is cut into tiles of ``height`` rows and ``width`` columns, one ciphertext each. Slot r * 2 width + c
holds element (r, c) of a tile, and the second half of every row is 0. A vector has one of two forms.

- *Along columns*: one ciphertext for each column of tiles, with element c in slot r * 2 width + c for every r.
- *Along rows*: one ciphertext for each row of tiles, with element r in slot r * 2 width + c for every c < width.

A product takes a vector from one form to the other, as the matrix is symmetric. From columns to rows the products of a
row of tiles are added, and then the 2 * width slots around each slot: ``width`` to the left of it and the others to the
right. A slot of a row's first half finds its whole row there, and nothing of its neighbours but their zeros. From rows
to columns the products of a column of tiles are added, and then all rows of a tile, in a circle. What stands in second
halves is multiplied by 0 before it counts.

The vectors of all targets travel in one ciphertext for each form, from which each is taken and spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpc.encrypted.packing import Floats, power_of_two
from mpc.errors import ParameterError


@dataclass(frozen=True)
class Tiling:
    """The shape of a matrix in slots. All numbers are powers of two, and public.

    Attributes:
        size: d', the rows of the matrix with those that pad it.
        width: of a tile, in columns.
        slots: of one ciphertext.

    Raises:
        ParameterError: the numbers are no powers of two, or do not fit each other.
    """

    size: int
    width: int
    slots: int

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("width", self.width), ("slots", self.slots)):
            if value < 1 or value & (value - 1):
                raise ParameterError(f"expected a power of two for {name}, found {value}")
        if self.width > self.size or 2 * self.width > self.slots:
            raise ParameterError(
                f"expected a width of at most {min(self.size, self.slots // 2)} columns, found {self.width}"
            )

    @classmethod
    def fit(cls, features: int, slots: int) -> Tiling:
        """Return the tiling for so many features with which two products take the fewest rotations."""
        if features < 1:
            raise ParameterError(f"expected features, found {features}")
        size = power_of_two(features)
        widest = min(size, slots // 2)
        found = [cls(size, 1 << k, slots) for k in range(widest.bit_length())]
        return min((one for one in found if one.height <= one.size or one.width == widest), key=lambda one: one.cost)

    @property
    def height(self) -> int:
        """How many rows a tile has. They are more than the matrix has where that is small."""
        return self.slots // (2 * self.width)

    @property
    def rows(self) -> int:
        """How many tiles stand below each other."""
        return max(1, self.size // self.height)

    @property
    def columns(self) -> int:
        """How many tiles stand beside each other."""
        return self.size // self.width

    @property
    def along_row(self) -> tuple[int, ...]:
        """The rotations whose doubling sum adds up ``width`` slots to the left and the others of 2 * width."""
        return (*(1 << k for k in range(self.width.bit_length() - 1)), -self.width)

    @property
    def across_rows(self) -> tuple[int, ...]:
        """The rotations whose doubling sum adds up all rows of a tile, in a circle."""
        return tuple(2 * self.width << k for k in range(self.height.bit_length() - 1))

    @property
    def cost(self) -> int:
        """The rotations of two products, from columns to rows and back."""
        return self.rows * len(self.along_row) + self.columns * len(self.across_rows)

    @property
    def most_targets(self) -> int:
        """How many vectors one ciphertext of each form has room for."""
        return min(self.width // self.rows, self.height // self.columns)

    def pack_matrix(self, matrix: Floats) -> Floats:
        """Pack ``(d, d)`` numbers, d <= d', into ``(rows, columns, slots)``."""
        d = len(matrix)
        if matrix.shape != (d, d) or d > self.size:
            raise ParameterError(f"expected a matrix of at most {self.size} rows, found shape {matrix.shape}")
        whole = np.zeros((self.rows * self.height, self.size))
        whole[:d, :d] = matrix
        found = np.zeros((self.rows, self.columns, self.height, 2 * self.width))
        found[..., : self.width] = whole.reshape(self.rows, self.height, self.columns, self.width).transpose(0, 2, 1, 3)
        return found.reshape(self.rows, self.columns, self.slots)

    def pack_targets(self, vectors: Floats) -> tuple[Floats, Floats]:
        """Pack the vectors of all targets ``(targets, d)`` along columns and along rows, each ``(slots,)``."""
        targets, d = vectors.shape
        if targets > self.most_targets or d > self.size:
            raise ParameterError(
                f"expected at most {self.most_targets} targets of {self.size} numbers, found shape {vectors.shape}"
            )
        whole = np.zeros((targets, self.rows * self.height))
        whole[:, :d] = vectors
        columns, rows = np.zeros((2, self.height, 2 * self.width))
        columns[: targets * self.columns, : self.width] = whole[:, : self.size].reshape(-1, self.width)
        rows[:, : targets * self.rows] = whole.reshape(-1, self.height).T
        return columns.reshape(-1), rows.reshape(-1)

    def one_row(self, row: int, value: float = 1.0) -> Floats:
        """Return ``(slots,)`` with the value in the first half of one row, and 0 elsewhere."""
        mask = np.zeros((self.height, 2 * self.width))
        mask[row, : self.width] = value
        return mask.reshape(-1)

    def one_column(self, column: int, value: float = 1.0) -> Floats:
        """Return ``(slots,)`` with the value in one column, and 0 elsewhere."""
        mask = np.zeros((self.height, 2 * self.width))
        mask[:, column] = value
        return mask.reshape(-1)

    def first_halves(self, value: float) -> Floats:
        """Return ``(slots,)`` with the value in the first half of every row, and 0 elsewhere."""
        mask = np.zeros((self.height, 2 * self.width))
        mask[:, : self.width] = value
        return mask.reshape(-1)

    def vector(self, slots: Floats) -> Floats:
        """Return the ``(d',)`` numbers of a vector along columns, ``(columns, slots)``, as means over rows."""
        parts = slots.reshape(self.columns, self.height, 2 * self.width)[..., : self.width]
        mean: Floats = parts.mean(axis=1).reshape(-1)
        return mean


@dataclass(frozen=True)
class Columns:
    """How the numbers of one ciphertext of a vector along columns lie in slots, for whoever reads them from it.

    Attributes:
        features: the width of a tile.
        slots: of the ciphertext. The second halves of rows hold no number.
    """

    features: int
    slots: int

    @property
    def places(self) -> NDArray[np.int64]:
        """The slots that repeat each number, ``(width, height)``."""
        return np.arange(self.slots).reshape(-1, 2 * self.features)[:, : self.features].T
