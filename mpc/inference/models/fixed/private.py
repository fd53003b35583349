"""The private layers, which are convolution and matrix product, each with a bias."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mpc.inference.models.arithmetic import Number, padded
from mpc.inference.models.fixed.layer import PrivateLayer
from mpc.inference.models.limits import (
    LARGEST_EXTENT,
    check_extents,
    check_image,
    check_tensor,
    check_weights,
    check_window,
    require,
)
from mpc.inference.models.shapes import NO_PADDING, Convolution, Pair, Shape, Sides


class Convolve(PrivateLayer, frozen=True, tag="Convolve"):
    """Convolution with zero padding (top, bottom, left, right)."""

    outputs: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Sides = NO_PADDING

    def output_shape(self, shape: Shape, name: str) -> Shape:
        """Return ``(outputs, height, width)``."""
        check_image(shape, name)
        check_extents(name, self.outputs, *self.kernel, *self.stride)
        require(all(0 <= p <= LARGEST_EXTENT for p in self.padding), f"a padding of 0 or more in {name}", self.padding)
        whole = self.convolution(shape)
        check_window(name, (whole.height, whole.width), self.kernel)
        check_tensor((whole.channels, whole.height, whole.width), name)
        weights = math.prod(whole.weight_shape)
        check_weights(weights, name, weights)
        return whole.output_shape

    def convolution(self, shape: Shape) -> Convolution:
        """Return kernel and stride over the padded input."""
        top, bottom, left, right = self.padding
        return Convolution(
            shape[0], shape[1] + top + bottom, shape[2] + left + right, self.outputs, self.kernel, self.stride
        )

    def as_pixels(self, values: NDArray[Number]) -> NDArray[Number]:
        """Pad images with zeros."""
        return padded(values, self.padding)

    def from_pixels(self, pixels: NDArray[Number]) -> NDArray[Number]:
        """Leave images as they are."""
        return pixels


class Dense(PrivateLayer, frozen=True, tag="Dense"):
    """Matrix product on a flat tensor."""

    outputs: int

    def output_shape(self, shape: Shape, name: str) -> Shape:
        """Return ``(outputs,)``."""
        require(len(shape) == 1, f"a flat input of {name}", shape)
        check_extents(name, self.outputs)
        check_weights(shape[0] * self.outputs, name, shape)
        return (self.outputs,)

    def convolution(self, shape: Shape) -> Convolution:
        """Return the case of one pixel, whose channels are the inputs."""
        return Convolution(shape[0], 1, 1, self.outputs)

    def as_pixels(self, values: NDArray[Number]) -> NDArray[Number]:
        """Make every input a channel of one pixel."""
        return values.reshape(*values.shape, 1, 1)

    def from_pixels(self, pixels: NDArray[Number]) -> NDArray[Number]:
        """Flatten the one pixel."""
        return np.asarray(pixels.reshape(len(pixels), -1))
