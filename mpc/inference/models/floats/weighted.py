"""The float layers with weights, and batch normalisation, which is folded into them."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from mpc.errors import ParameterError
from mpc.inference.models.arithmetic import padded
from mpc.inference.models.fixed import Convolve, Dense
from mpc.inference.models.floats.layer import (
    FloatLayer,
    Floats,
    Pair,
    Sides,
    check_image,
    gamma,
    pair,
    reals,
    sides,
    whole_numbers,
)
from mpc.inference.models.quantiser import Quantiser
from mpc.inference.models.shapes import Shape

Kind = TypeVar("Kind", bound="WeightedLayer")


@dataclass(frozen=True, repr=False)
class WeightedLayer(FloatLayer):
    """A layer with a weight array, one row an output, and a bias ``(outputs,)``."""

    weight: ArrayLike
    bias: ArrayLike

    def filled(self: Kind, weight: ArrayLike, bias: ArrayLike) -> Kind:
        """Return the same layer with other weights."""
        return replace(self, weight=weight, bias=bias)

    @abstractmethod
    def kernels(self, name: str) -> tuple[Floats, Floats]:
        """Return weights as ``(outputs, channels, kh, kw)``, and the bias.

        Raises:
            ParameterError: weights or bias of another shape, with the layer's name.
        """

    def rounding(self, values: Floats, error: Floats, unit: float) -> Floats:
        """Add the rounding of a sum of products."""
        weight, bias = np.abs(reals(self.weight, repr(self))), np.abs(reals(self.bias, repr(self)))
        terms = math.prod(weight.shape[1:])
        product = self.filled(weight, np.zeros_like(bias)).clear(error)
        return product + gamma(terms, unit) * self.filled(weight, bias).clear(np.abs(values) + error)

    def _checked(self, dimensions: int, name: str) -> tuple[Floats, Floats]:
        weight, bias = reals(self.weight, name), reals(self.bias, name)
        if weight.ndim != dimensions or 0 in weight.shape:
            raise ParameterError(f"expected weights of {dimensions} dimensions in {name}, found shape {weight.shape}")
        if bias.shape != weight.shape[:1]:
            raise ParameterError(f"expected a bias of shape {weight.shape[:1]} in {name}, found {bias.shape}")
        return weight, bias

    def __repr__(self) -> str:
        return f"{type(self).__name__}(weight={np.shape(self.weight)})"


@dataclass(frozen=True, repr=False)
class Conv2d(WeightedLayer):
    """Cross-correlation, as torch's, with weight ``(outputs, inputs, kh, kw)`` and bias ``(outputs,)``.

    ``padding`` is one number for every side, or ``(top, bottom, left, right)``. With ``groups`` g the weight is
    ``(outputs, inputs / g, kh, kw)``. It is filled up with zeros, so that g is not public.
    """

    stride: Pair = 1
    padding: Sides = 0
    groups: int = 1

    def output_shape(self, shape: Shape) -> Shape:
        """Return ``(outputs, height, width)``."""
        check_image(self, shape)
        outputs, inputs, rows, columns = np.shape(self.weight)
        if shape[0] != inputs * self.groups:
            raise ParameterError(f"expected {inputs * self.groups} channels in {self!r}, found {shape[0]}")
        (top, bottom, left, right), (down, across) = sides(self.padding), pair(self.stride)
        height, width = shape[1] + top + bottom, shape[2] + left + right
        return outputs, (height - rows) // down + 1, (width - columns) // across + 1

    def clear(self, values: Floats) -> Floats:
        """Correlate padded images with the kernels."""
        weight, bias = self.kernels(repr(self))
        down, across = pair(self.stride)
        images = padded(values, sides(self.padding))
        windows = np.lib.stride_tricks.sliding_window_view(images, weight.shape[2:], axis=(2, 3))
        product = np.einsum("nchwij,ocij->nohw", windows[:, :, ::down, ::across], weight, optimize=True)
        return np.asarray(product + bias[:, None, None])

    def enter(self, quantiser: Quantiser, name: str) -> None:
        """Become a private convolution."""
        weight, bias = self.kernels(name)
        outputs, _, rows, columns = weight.shape
        public = Convolve(outputs, (rows, columns), pair(self.stride), sides(self.padding))
        quantiser.add_private(public, weight, bias, name, padded=any(public.padding))

    def kernels(self, name: str) -> tuple[Floats, Floats]:
        """Return the weights with those between different groups filled in as zeros, and the bias."""
        weight, bias = self._checked(4, name)
        (groups,) = whole_numbers((self.groups,), f"groups of {name}")
        if groups == 1:
            return weight, bias
        if groups < 1 or len(weight) % groups:
            raise ParameterError(f"expected groups that divide {len(weight)} outputs in {name}, found {groups}")
        outputs, inputs = len(weight) // groups, weight.shape[1]
        whole = np.zeros((len(weight), inputs * groups, *weight.shape[2:]))
        for group in range(groups):
            rows = slice(group * outputs, (group + 1) * outputs)
            whole[rows, group * inputs : (group + 1) * inputs] = weight[rows]
        return whole, bias

    def __repr__(self) -> str:
        shape = np.shape(self.weight)
        return f"Conv2d(weight={shape}, stride={self.stride}, padding={self.padding}, groups={self.groups})"


@dataclass(frozen=True, repr=False)
class Linear(WeightedLayer):
    """Matrix product on a flat input, with weight ``(outputs, inputs)`` and bias ``(outputs,)``."""

    takes_unequal_means = True

    def output_shape(self, shape: Shape) -> Shape:
        """Return ``(outputs,)``."""
        outputs, inputs = np.shape(self.weight)
        if shape != (inputs,):
            raise ParameterError(f"expected {inputs} inputs in {self!r}, found {shape}")
        return (outputs,)

    def clear(self, values: Floats) -> Floats:
        """Multiply by the weights and add the bias."""
        return np.asarray(values @ np.asarray(self.weight, np.float64).T + np.asarray(self.bias, np.float64))

    def enter(self, quantiser: Quantiser, name: str) -> None:
        """Become a private matrix product."""
        weight, bias = self.kernels(name)
        quantiser.add_private(Dense(len(weight)), weight, bias, name)

    def kernels(self, name: str) -> tuple[Floats, Floats]:
        """Return the weights as kernels of one pixel, and the bias."""
        weight, bias = self._checked(2, name)
        return weight.reshape(*weight.shape, 1, 1), bias


@dataclass(frozen=True, repr=False)
class BatchNorm(FloatLayer):
    """Trained batch normalisation, (x - mean) scale / sqrt(variance + epsilon) + shift.

    Each of the four is one number, or a number a channel (a number a value of a flat input).
    """

    mean: ArrayLike
    variance: ArrayLike
    scale: ArrayLike = 1.0
    shift: ArrayLike = 0.0
    epsilon: float = 1e-5

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the input."""
        self.affine(shape[0], repr(self))
        return shape

    def clear(self, values: Floats) -> Floats:
        """Scale and shift every channel."""
        factor, shift = self.affine(values.shape[1], repr(self))
        ones = (1,) * (values.ndim - 2)
        return np.asarray(values * factor.reshape(-1, *ones) + shift.reshape(-1, *ones))

    def rounding(self, values: Floats, error: Floats, unit: float) -> Floats:
        """Add the rounding of a difference, a few products and a sum."""
        channels, ones = values.shape[1], (1,) * (values.ndim - 2)
        factor, _ = self.affine(channels, repr(self))
        centre = np.broadcast_to(np.abs(reals(self.mean, repr(self)) * factor), (channels,))
        constant = centre + np.abs(np.broadcast_to(reals(self.shift, repr(self)), (channels,)))
        stretched = np.abs(factor).reshape(-1, *ones)
        size = stretched * (np.abs(values) + error) + constant.reshape(-1, *ones)
        return np.asarray(stretched * error + gamma(8, unit) * size)

    def enter(self, quantiser: Quantiser, name: str) -> None:
        """Become a factor and a constant for every channel."""
        quantiser.normalise(*self.affine(quantiser.shape()[0], name), name)

    def affine(self, channels: int, name: str) -> tuple[Floats, Floats]:
        """Return the layer as factor x + shift, a number a channel ``(channels,)`` each. Raises `ParameterError`."""
        parts = [reals(p, name) for p in (self.mean, self.variance, self.scale, self.shift)]
        if any(part.shape not in ((), (1,), (channels,)) for part in parts):
            raise ParameterError(f"expected {channels} channels in {name}, found {max(part.size for part in parts)}")
        mean, variance, scale, shift = (np.broadcast_to(part, (channels,)) for part in parts)
        epsilon = reals(self.epsilon, name)
        if epsilon.shape or (variance + epsilon <= 0).any():
            raise ParameterError(f"expected variances above zero in {name}")
        factor = scale / np.sqrt(variance + epsilon)
        return factor, shift - mean * factor

    def __repr__(self) -> str:
        return f"BatchNorm(channels={np.size(self.mean)})"
