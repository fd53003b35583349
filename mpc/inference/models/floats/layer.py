"""What every float layer can say about itself.

A float layer is a layer of a trained network as its owner has it. Its class owns its output shape, its function in the
clear, and how it enters the quantiser, which makes fixed-point layers of it.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpc.errors import ParameterError, RangeError
from mpc.inference.models import shapes
from mpc.inference.models.limits import LARGEST_RING_BITS
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

    def rounding(self, values: Floats, error: Floats, unit: float) -> Floats:
        """Bound the error of the layer's outputs, in arithmetic of a unit roundoff, for inputs with an error.

        The default is right for maps that do not stretch distances and round nothing.

        Args:
            values: exact inputs ``(n, *shape)``.
            error: a bound on the error of each.
        """
        return self.clear(error)

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


def rounding(layers: Sequence[FloatLayer], values: ArrayLike, unit: float) -> Floats:
    """Bound the error of every output where layers are computed in arithmetic of this unit roundoff.

    It is the running error analysis of Higham, Accuracy and Stability of Numerical Algorithms, section 3.3, without
    higher orders. Inputs are rounded too.
    """
    result = np.asarray(values, np.float64)
    error = unit * np.abs(result)
    for layer in layers:
        error = layer.rounding(result, error, unit)
        result = layer.clear(result)
    return error + np.finfo(np.float64).tiny


def _counts(value: object, length: int) -> tuple[int, ...]:
    try:
        found = (
            tuple(operator.index(one) for one in value)
            if isinstance(value, Iterable)
            else (operator.index(value),) * length  # type: ignore[arg-type]
        )
    except TypeError as error:
        raise ParameterError(f"expected {length} whole numbers, found {value!r}") from error
    if len(found) != length:
        raise ParameterError(f"expected {length} whole numbers, found {value!r}")
    return found


def pair(value: Pair) -> shapes.Pair:
    """Return one number a dimension.

    Raises:
        ParameterError: other than one or two whole numbers, of whatever library.
    """
    down, across = _counts(value, 2)
    return down, across


def sides(padding: Sides) -> shapes.Sides:
    """Return one number a side.

    Raises:
        ParameterError: other than one or four whole numbers, of whatever library.
    """
    top, bottom, left, right = _counts(padding, 4)
    return top, bottom, left, right


def gamma(terms: int, unit: float) -> float:
    """Return the relative error of a sum of so many products."""
    return (terms + 2) * unit


def check_image(layer: FloatLayer, shape: Shape) -> None:
    """Refuse an input that is no image."""
    if len(shape) != 3:
        raise ParameterError(f"expected an input (channels, height, width) of {type(layer).__name__}, found {shape}")


def first_line(error: BaseException) -> str:
    """Return what an error of another library says, in one line."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")


def reals(values: Any, name: str) -> Floats:
    """Return numbers as float64, sparse ones filled up.

    Raises:
        ParameterError: no real numbers.
    """
    try:
        values = values.detach() if hasattr(values, "detach") else values
        dense = values.toarray() if hasattr(values, "toarray") else values
        array = np.asarray(dense)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"numbers of type {array.dtype}")
        return array.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ParameterError(f"expected real numbers in {name}, found {first_line(error)}") from error


def whole_numbers(values: Iterable[Any], name: str) -> tuple[int, ...]:
    """Return integers of whatever library as Python's.

    Raises:
        ParameterError: another kind of value.
    """
    try:
        return tuple(operator.index(value) for value in values)
    except TypeError as error:
        raise ParameterError(f"expected whole numbers as {name}, found {values!r}") from error


def finite_range(ends: Any) -> tuple[float, float]:
    """Return the two ends of a range of numbers.

    Raises:
        ParameterError: other than two numbers.
        RangeError: ends that are infinite, undefined or beyond any ring.
    """
    array = reals(ends, "input_range")
    if array.shape != (2,):
        raise ParameterError(f"expected two numbers as input_range, found {ends!r}")
    low, high = float(array[0]), float(array[1])
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RangeError(f"expected a finite input range, found {low} to {high}")
    if max(abs(low), abs(high)) >= 1 << LARGEST_RING_BITS:
        raise RangeError(f"expected an input range within 2^{LARGEST_RING_BITS}, found {low:g} to {high:g}")
    return low, high
