"""The layer that only changes the shape."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mpc.inference.models.arithmetic import Number
from mpc.inference.models.fixed.layer import PublicMap
from mpc.inference.models.shapes import Shape


class FlattenShape(PublicMap, frozen=True, tag="Flatten"):
    """All of a query's values in one row."""

    def output_shape(self, shape: Shape, name: str) -> Shape:
        """Return ``(values,)``."""
        return (math.prod(shape),)

    def apply(self, values: NDArray[Number]) -> NDArray[Number]:
        """Put every query's values in a row."""
        return np.asarray(values.reshape(len(values), -1))
