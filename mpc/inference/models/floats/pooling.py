"""The float layers over windows of an image, which take means and maxima."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpc.errors import ParameterError
from mpc.inference.models.arithmetic import windows_of
from mpc.inference.models.floats.layer import FloatLayer, Floats, Pair, Sides, check_image, gamma, pair, sides
from mpc.inference.models.quantiser import Quantiser
from mpc.inference.models.shapes import NO_PADDING, Shape


@dataclass(frozen=True)
class _Pool(FloatLayer):
    """Windows over an image. The stride is the kernel unless given."""

    kernel: Pair
    stride: Pair | None = None
    padding: Sides = 0

    def output_shape(self, shape: Shape) -> Shape:
        """Return ``(channels, height, width)`` with a pixel a window."""
        check_image(self, shape)
        (rows, columns), (down, across), (top, bottom, left, right) = self._windows()
        height, width = shape[1] + top + bottom, shape[2] + left + right
        return shape[0], (height - rows) // down + 1, (width - columns) // across + 1

    def _windows(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
        """Kernel, stride and padding."""
        kernel, stride = pair(self.kernel), pair(self.kernel if self.stride is None else self.stride)
        if min(*kernel, *stride) < 1:
            raise ParameterError(f"expected windows and strides of 1 or more in {self}, found {kernel} and {stride}")
        return kernel, stride, sides(self.padding)


@dataclass(frozen=True)
class AvgPool2d(_Pool):
    """The mean of each window, in which padding counts as zeros. The stride is the kernel unless given."""

    def clear(self, values: Floats) -> Floats:
        """Compute the mean of each window."""
        return np.asarray(windows_of(values, *self._windows()).mean(axis=-1))

    def rounding(self, values: Floats, error: Floats, unit: float) -> Floats:
        """Add the rounding of a sum."""
        return self.clear(error) + gamma(math.prod(pair(self.kernel)), unit) * self.clear(np.abs(values))

    def enter(self, quantiser: Quantiser, name: str) -> None:
        """Become a sum, and a factor of a neighbouring layer."""
        quantiser.average(*self._windows())


@dataclass(frozen=True)
class MaxPool2d(_Pool):
    """The largest value of each window. The stride is the kernel unless given. Padding wants a ReLU next to it."""

    def clear(self, values: Floats) -> Floats:
        """Compute the largest value of each window, which is never the padding."""
        kernel, stride, (top, bottom, left, right) = self._windows()
        images = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=-np.inf)
        return np.asarray(windows_of(images, kernel, stride, NO_PADDING).max(axis=-1))

    def enter(self, quantiser: Quantiser, name: str) -> None:
        """Become a circuit."""
        quantiser.maximum(*self._windows())


@dataclass(frozen=True)
class AdaptiveAvgPool2d(FloatLayer):
    """Means over windows, ``output`` (height, width) of them, as torch's.

    Along an axis, the i-th of n windows reaches from floor(i size / n) to ceil((i + 1) size / n). Where n does not
    divide the size, Flatten and Linear must follow.
    """

    output: Pair = 1

    def output_shape(self, shape: Shape) -> Shape:
        """Return ``(channels, *output)``."""
        check_image(self, shape)
        return shape[0], *pair(self.output)

    def clear(self, values: Floats) -> Floats:
        """Compute the mean of each window."""
        rows, columns = pair(self.output)
        height, width = values.shape[2:]
        means = np.einsum("nchw,ih,jw->ncij", values, _means(height, rows), _means(width, columns), optimize=True)
        return np.asarray(means)

    def rounding(self, values: Floats, error: Floats, unit: float) -> Floats:
        """Add the rounding of a sum."""
        return self.clear(error) + gamma(math.prod(values.shape[2:]), unit) * self.clear(np.abs(values))

    def enter(self, quantiser: Quantiser, name: str) -> None:
        """Become average pooling over equal windows, or else a part of the Linear layer that follows."""
        shape, wanted = quantiser.shape(), pair(self.output)
        if len(shape) != 3 or min(wanted) < 1:
            raise ParameterError(f"expected images to pool in {name}, found {wanted} of {shape}")
        if shape[1] % wanted[0] == 0 and shape[2] % wanted[1] == 0:
            kernel = shape[1] // wanted[0], shape[2] // wanted[1]
            quantiser.average(kernel, kernel, NO_PADDING)
        else:
            quantiser.average_unequally(_means(shape[1], wanted[0]), _means(shape[2], wanted[1]), name)


def _means(size: int, outputs: int) -> Floats:
    """Adaptive pooling along one axis as a matrix ``(outputs, size)``."""
    means = np.zeros((outputs, size))
    for index in range(outputs):
        first, last = index * size // outputs, -(-(index + 1) * size // outputs)
        means[index, first:last] = 1 / (last - first)
    return means
