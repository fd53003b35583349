"""ReLU, leaky ReLU and rescaling, the non-linearities of single values.

Each first drops the d lowest bits of its input y, which gives floor(y / 2^d) exactly. The number of dropped bits is f
for wide values and 0 for narrow ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit
from mpc.inference.models.arithmetic import Number
from mpc.inference.models.fixed.layer import Nonlinearity
from mpc.inference.models.limits import require
from mpc.inference.models.shapes import Shape


class Activation(Nonlinearity, frozen=True):
    """A non-linearity that takes every value by itself."""

    def output_shape(self, shape: Shape, name: str) -> Shape:
        """Return the shape of the input."""
        return shape


class Rectify(Activation, frozen=True, tag="Relu"):
    """ReLU, which is max(0, floor(y / 2^f)), wide to narrow."""

    def check_place(self, name: str, wide: bool, fraction_bits: int) -> None:
        """Refuse narrow values."""
        require(wide, f"a private layer before {name}", "none")

    @property
    def signed(self) -> bool:
        """No output is negative."""
        return False

    def circuit(self, ring_bits: int, dropped_bits: int, fraction_bits: int) -> Circuit:
        """Return the circuit of one value."""
        return Circuit.relu(ring_bits, dropped_bits)

    def clear(self, values: NDArray[Number], dropped_bits: int, fraction_bits: int) -> NDArray[Number]:
        """Compute max(0, floor(y / 2^d))."""
        integers: NDArray[Any] = values
        return np.asarray(np.maximum(integers >> dropped_bits, 0))


class LeakyRectify(Activation, frozen=True, tag="LeakyRelu"):
    """Leaky ReLU, of wide values or of narrow ones.

    With v the value as a narrow one, it gives v if v >= 0 and otherwise floor(v slope / 2^f), 0 < slope < 2^f.
    """

    slope: int

    def check_place(self, name: str, wide: bool, fraction_bits: int) -> None:
        """Refuse a slope that is not between 0 and 1."""
        require(0 < self.slope < 1 << fraction_bits, f"a slope between 0 and 1 in {name}", self.slope)

    @property
    def signed(self) -> bool:
        """Outputs can be negative."""
        return True

    def circuit(self, ring_bits: int, dropped_bits: int, fraction_bits: int) -> Circuit:
        """Return the circuit of one value."""
        return Circuit.leaky_relu(ring_bits, dropped_bits, self.slope, fraction_bits)

    def clear(self, values: NDArray[Number], dropped_bits: int, fraction_bits: int) -> NDArray[Number]:
        """Compute v, or floor(v slope / 2^f) where v is negative."""
        integers: NDArray[Any] = values
        shifted = integers >> dropped_bits
        return np.asarray(np.where(shifted >= 0, shifted, (shifted * self.slope) >> fraction_bits))


class Rescale(Activation, frozen=True, tag="Rescale"):
    """floor(y / 2^f), wide to narrow, between two private layers with no non-linearity."""

    def check_place(self, name: str, wide: bool, fraction_bits: int) -> None:
        """Refuse narrow values."""
        require(wide, f"a private layer before {name}", "none")

    @property
    def signed(self) -> bool:
        """Outputs can be negative."""
        return True

    def circuit(self, ring_bits: int, dropped_bits: int, fraction_bits: int) -> Circuit:
        """Return the circuit of one value."""
        return Circuit.rescale(ring_bits, dropped_bits)

    def clear(self, values: NDArray[Number], dropped_bits: int, fraction_bits: int) -> NDArray[Number]:
        """Compute floor(y / 2^d)."""
        integers: NDArray[Any] = values
        return np.asarray(integers >> dropped_bits)
