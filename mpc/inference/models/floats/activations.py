"""The float non-linearities of single values, and the layer that only changes the shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpc.errors import ParameterError
from mpc.inference.models.floats.layer import FloatLayer, Floats, reals
from mpc.inference.models.quantiser import Quantiser
from mpc.inference.models.shapes import Shape


@dataclass(frozen=True)
class ReLU(FloatLayer):
    """max(0, x)."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the input."""
        return shape

    def clear(self, values: Floats) -> Floats:
        """Compute max(0, x)."""
        return np.maximum(values, 0)

    def enter(self, quantiser: Quantiser, name: str) -> None:
        """Become a circuit, if values can be negative."""
        quantiser.rectify(name)


@dataclass(frozen=True)
class LeakyReLU(FloatLayer):
    """x where x >= 0, otherwise slope x with 0 <= slope < 1.

    The slope is public and rounded to f fraction bits.
    """

    slope: float = 0.01

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the input."""
        return shape

    def clear(self, values: Floats) -> Floats:
        """Compute x, or slope x where x is negative."""
        return np.asarray(np.where(values >= 0, values, self.slope * values))

    def rounding(self, values: Floats, error: Floats, unit: float) -> Floats:
        """Add the rounding of one product."""
        return error * max(1.0, abs(self.slope)) + unit * abs(self.slope) * np.abs(values)

    def enter(self, quantiser: Quantiser, name: str) -> None:
        """Become a circuit, which is that of ReLU with a slope of 0."""
        slope = reals(self.slope, name)
        if slope.shape:
            raise ParameterError(f"expected one slope in {name}, found {slope.size}")
        if slope == 0:
            quantiser.rectify(name)
        else:
            quantiser.rectify_leakily(float(slope), name)


@dataclass(frozen=True)
class Flatten(FloatLayer):
    """``(channels, height, width)`` to one row."""

    takes_unequal_means = True

    def output_shape(self, shape: Shape) -> Shape:
        """Return ``(values,)``."""
        return (math.prod(shape),)

    def clear(self, values: Floats) -> Floats:
        """Put every query's values in a row."""
        return values.reshape(len(values), -1)

    def enter(self, quantiser: Quantiser, name: str) -> None:
        """Become a public map."""
        quantiser.flatten()
