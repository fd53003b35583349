"""The layers over windows of an image. The maximum is a circuit, the sum is a public map.

A window's padding (top, bottom, left, right) consists of zeros and is smaller than the window.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit
from mpc.inference.models.arithmetic import Number, windows_of
from mpc.inference.models.fixed.layer import Nonlinearity, PublicMap
from mpc.inference.models.limits import (
    LARGEST_TENSOR,
    LARGEST_WINDOW,
    check_extents,
    check_image,
    check_window,
    require,
)
from mpc.inference.models.shapes import NO_PADDING, Pair, Shape, Sides
from mpc.ring import Words


class MaxPool(Nonlinearity, frozen=True, tag="MaxPool"):
    """The largest value of each window as a narrow one, then max(0, .) if ``rectify``. Wide or narrow values go in.

    Padding needs ``rectify``: max(0, .) makes zeros at the edge the same as no edge.
    """

    kernel: Pair
    stride: Pair
    padding: Sides = NO_PADDING
    rectify: bool = False

    def output_shape(self, shape: Shape, name: str) -> Shape:
        """Return ``(channels, height, width)`` with a pixel a window."""
        require(self.rectify or not any(self.padding), f"a ReLU with the padding of {name}", self.padding)
        after = _pooled(self, shape, name)
        window = math.prod(self.kernel)
        require(window <= LARGEST_WINDOW, f"windows up to {LARGEST_WINDOW} in {name}", self.kernel)
        compared = math.prod(after) * window
        require(compared <= LARGEST_TENSOR, f"at most {LARGEST_TENSOR} values to compare in {name}", compared)
        return after

    @property
    def signed(self) -> bool:
        """Outputs can be negative unless they are rectified."""
        return not self.rectify

    def circuit(self, ring_bits: int, dropped_bits: int, fraction_bits: int) -> Circuit:
        """Return the circuit of one window."""
        return Circuit.max_pool(math.prod(self.kernel), ring_bits, dropped_bits, self.rectify)

    def clear(self, values: NDArray[Number], dropped_bits: int, fraction_bits: int) -> NDArray[Number]:
        """Compute the largest value of each window, shortened, then max(0, .) if ``rectify``."""
        largest: NDArray[Any] = windows_of(values, self.kernel, self.stride, self.padding).max(axis=-1)
        shifted = largest >> dropped_bits
        return np.asarray(np.maximum(shifted, 0) if self.rectify else shifted)

    def circuit_rows(self, shares: Words) -> Words:
        """Lay the shares out with a row a window."""
        windows = windows_of(shares, self.kernel, self.stride, self.padding)
        return np.ascontiguousarray(windows.reshape(-1, math.prod(self.kernel)))

    def rectified(self) -> MaxPool:
        """Return this layer with ``rectify``."""
        return msgspec.structs.replace(self, rectify=True)


class SumPool(PublicMap, frozen=True, tag="SumPool"):
    """The sum of each window. The division of average pooling is in a neighbouring layer's weights."""

    kernel: Pair
    stride: Pair
    padding: Sides = NO_PADDING

    def output_shape(self, shape: Shape, name: str) -> Shape:
        """Return ``(channels, height, width)`` with a pixel a window."""
        return _pooled(self, shape, name)

    def apply(self, values: NDArray[Number]) -> NDArray[Number]:
        """Add up every window."""
        return np.asarray(windows_of(values, self.kernel, self.stride, self.padding).sum(axis=-1))


def _pooled(layer: MaxPool | SumPool, shape: Shape, name: str) -> Shape:
    """The shape after windows over an image, checked."""
    check_image(shape, name)
    (rows, columns), (down, across) = layer.kernel, layer.stride
    check_extents(name, rows, columns, down, across)
    top, bottom, left, right = layer.padding
    require(
        min(layer.padding) >= 0 and max(top, bottom) < rows and max(left, right) < columns,
        f"a padding of 0 or more and smaller than the window in {name}",
        layer.padding,
    )
    height, width = shape[1] + top + bottom, shape[2] + left + right
    check_window(name, (height, width), layer.kernel)
    return shape[0], (height - rows) // down + 1, (width - columns) // across + 1
