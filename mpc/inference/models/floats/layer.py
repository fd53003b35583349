"""What every float layer can say about itself.

A float layer is a layer of a trained network as its owner has it. Its class owns its output shape, its function in the
clear, and how it enters the quantiser, which makes fixed-point layers of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpc.errors import ParameterError
from mpc.inference.models import shapes
from mpc.inference.models.quantiser import Quantiser
from mpc.inference.models.shapes import Shape

Floats = NDArray[np.float64]
Pair = int | tuple[int, int]
Sides = int | tuple[int, int, int, int]


class FloatLayer(ABC):
    """One layer of a trained network."""

    takes_unequal_means: ClassVar[bool] = False
    """Whether the layer may follow adaptive pooling over windows of unequal size, which a Linear layer absorbs."""

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Return one query's shape after the layer.

        Raises:
            ParameterError: the layer does not fit its input.
        """

    @abstractmethod
    def clear(self, values: Floats) -> Floats:
        """Compute the layer in floating point, ``(n, *shape)`` to ``(n, *output shape)``."""

    @abstractmethod
    def enter(self, quantiser: Quantiser, name: str) -> None:
        """Hand the layer to the quantiser.

        Raises:
            ParameterError: the layer does not fit its place, with its name.
        """


def run(layers: Sequence[FloatLayer], values: ArrayLike) -> Floats:
    """Compute layer after layer in floating point, ``(n, *input shape)`` to ``(n, *output shape)``."""
    result = np.asarray(values, np.float64)
    for layer in layers:
        result = layer.clear(result)
    return result


def pair(value: Pair) -> shapes.Pair:
    """Return one number a dimension."""
    return (value, value) if isinstance(value, int) else value


def sides(padding: Sides) -> shapes.Sides:
    """Return one number a side."""
    return (padding, padding, padding, padding) if isinstance(padding, int) else padding


def check_image(layer: FloatLayer, shape: Shape) -> None:
    """Refuse an input that is no image."""
    if len(shape) != 3:
        raise ParameterError(f"expected an input (channels, height, width) of {type(layer).__name__}, found {shape}")
