"""Float layers of a trained network, as an answering party hands them over, and their way into fixed point.

Average pooling is a sum over windows, a public map that each party applies to its own shares, times
1 / (window size), which goes into the weights of a neighbouring private layer while they are still floats:

* a pool on narrow values (after a ReLU, or on the input) into the weights, not the bias, of the next private layer;
* a pool on wide values (between a private layer and its ReLU, or after the last one) into the weights and the
  bias of that private layer. Weights then lose log2(window size) of their f fraction bits.

Batch normalisation is folded into the private layer before it. Max pooling and ReLU, in either order, are one circuit.

The circuits drop f bits, which rounds down. Half a unit of what stays goes into the bias before them, so that
activations are rounded to nearest, for free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpc.errors import ParameterError, RangeError
from mpc.inference.architecture import (
    AnyLayer,
    Convolve,
    Dense,
    LeakyRelu,
    MaxPool,
    Relu,
    Rescale,
    Shape,
    SumPool,
    output_shape,
)
from mpc.inference.architecture import Flatten as PublicFlatten

Pair = int | tuple[int, int]
Sides = int | tuple[int, int, int, int]
Floats = NDArray[np.float64]
LARGEST_WEIGHT_BITS = 32  # of a fixed-point weight's magnitude


@dataclass(frozen=True, repr=False)
class Conv2d:
    """Cross-correlation, as torch's: weight ``(outputs, inputs, kh, kw)``, bias ``(outputs,)``.

    ``padding`` is one number for every side, or ``(top, bottom, left, right)``. With ``groups`` g the weight is
    ``(outputs, inputs / g, kh, kw)``; it is filled up with zeros, so that g is not public.
    """

    weight: ArrayLike
    bias: ArrayLike
    stride: Pair = 1
    padding: Sides = 0
    groups: int = 1


@dataclass(frozen=True, repr=False)
class Linear:
    """Matrix product on a flat input: weight ``(outputs, inputs)``, bias ``(outputs,)``."""

    weight: ArrayLike
    bias: ArrayLike


@dataclass(frozen=True)
class ReLU:
    """max(0, x)."""


@dataclass(frozen=True)
class LeakyReLU:
    """x where x >= 0, else slope x with 0 <= slope < 1, rounded to f fraction bits; the slope is public."""

    slope: float = 0.01


@dataclass(frozen=True, repr=False)
class BatchNorm:
    """Trained batch normalisation, a number a channel (or feature): (x - mean) scale / sqrt(variance + e) + shift."""

    mean: ArrayLike
    variance: ArrayLike
    scale: ArrayLike = 1.0
    shift: ArrayLike = 0.0
    epsilon: float = 1e-5


@dataclass(frozen=True)
class AvgPool2d:
    """Mean over windows, padding counted as zeros; the stride is the kernel unless given."""

    kernel: Pair
    stride: Pair | None = None
    padding: Sides = 0


@dataclass(frozen=True)
class AdaptiveAvgPool2d:
    """Mean over equal windows, ``output`` (height, width) of them; both must divide the input's."""

    output: Pair = 1


@dataclass(frozen=True)
class MaxPool2d:
    """Largest value of each window; the stride is the kernel unless given. Padding wants a ReLU next to it."""

    kernel: Pair
    stride: Pair | None = None
    padding: Sides = 0


@dataclass(frozen=True)
class Flatten:
    """``(channels, height, width)`` to one row."""


SUPPORTED = (Conv2d, Linear, BatchNorm, ReLU, LeakyReLU, AvgPool2d, AdaptiveAvgPool2d, MaxPool2d, Flatten)


@dataclass(frozen=True, repr=False)
class FixedWeights:
    """One private layer: weights ``(outputs, channels, kh, kw)`` at scale 2^f, bias ``(outputs,)`` at 2^(2f)."""

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]


def quantise(
    layers: Sequence[object], input_shape: Shape, fraction_bits: int
) -> tuple[list[AnyLayer], list[FixedWeights]]:
    """Public layers and private weights. Where floats enter the ring.

    Two private layers in a row get a rescaling between them; a ReLU on values that are not negative is dropped.

    Raises:
        ParameterError: a layer that is not supported or does not fit its place, with its name.
        RangeError: a weight or bias that is not finite or far too large.
    """
    work = _Quantiser(input_shape, fraction_bits)
    for index, layer in enumerate(layers):
        work.add(layer, f"layer {index} ({type(layer).__name__})")
    return work.finish(type(layers[-1]).__name__ if layers else "nothing")


class _Quantiser:
    """The layers so far, and the private ones still as floats.

    Attributes:
        wide: whether values carry 2f fraction bits: after a private layer, up to the next non-linearity.
        pending: what pools on narrow values leave to the next private layer.
        shared: what pools on wide values took from the last one.
        positive: whether values cannot be negative.
    """

    def __init__(self, input_shape: Shape, fraction_bits: int) -> None:
        self.public: list[AnyLayer] = []
        self.floats: list[tuple[str, Floats, Floats]] = []
        self._input_shape = input_shape
        self._fraction_bits = fraction_bits
        self._wide = False
        self._pending = 1.0
        self._shared = 1.0
        self._positive = False

    def add(self, layer: object, name: str) -> None:
        if isinstance(layer, Conv2d | Linear):
            self._private(layer, name)
        elif isinstance(layer, BatchNorm):
            self._normalise(layer, name)
        elif isinstance(layer, LeakyReLU) and layer.slope != 0:
            self._leaky(layer, name)
        elif isinstance(layer, ReLU | LeakyReLU):
            self._rectify(name)
        elif isinstance(layer, MaxPool2d):
            self._max_pool(layer)
        elif isinstance(layer, AvgPool2d):
            self._average(_pair(layer.kernel), layer.stride, _sides(layer.padding))
        elif isinstance(layer, AdaptiveAvgPool2d):
            self._adapt(layer, name)
        elif isinstance(layer, Flatten):
            self.public.append(PublicFlatten())
        else:
            supported = ", ".join(kind.__name__ for kind in SUPPORTED)
            raise ParameterError(f"expected one of {supported}, found {name}")

    def finish(self, last: str) -> tuple[list[AnyLayer], list[FixedWeights]]:
        if not self._wide:
            raise ParameterError(f"expected a Conv2d or Linear layer to give the logits, found {last} at the end")
        bits = self._fraction_bits
        return self.public, [
            FixedWeights(_scaled(weight, bits, name), _scaled(bias, 2 * bits, name))
            for name, weight, bias in self.floats
        ]

    def _private(self, layer: Conv2d | Linear, name: str) -> None:
        if self._wide:
            self._narrow(Rescale(), positive=False)
        weight, bias = _checked(layer, name)
        self.floats.append((name, weight * self._pending, bias))
        self.public.append(_public(layer, weight))
        self._wide, self._pending, self._shared = True, 1.0, 1.0

    def _normalise(self, layer: BatchNorm, name: str) -> None:
        if not self._wide:
            raise ParameterError(f"expected {name} right after a Conv2d or Linear layer, found it elsewhere")
        before, weight, bias = self.floats[-1]
        parts = (layer.mean, layer.variance, layer.scale, layer.shift)
        mean, variance, scale, shift = (np.broadcast_to(np.asarray(p, np.float64), bias.shape) for p in parts)
        if (variance + layer.epsilon <= 0).any():
            raise ParameterError(f"expected variances above zero in {name}")
        factor = scale / np.sqrt(variance + layer.epsilon)
        shift = (shift - mean * factor) * self._shared
        self.floats[-1] = before, weight * factor.reshape(-1, 1, 1, 1), bias * factor + shift

    def _narrow(self, layer: AnyLayer, *, positive: bool) -> None:
        """A layer after which values are narrow; wide ones before it are rounded to nearest."""
        if self._wide:
            name, weight, bias = self.floats[-1]
            self.floats[-1] = name, weight, bias + math.ldexp(0.5, -self._fraction_bits) * self._shared
        self.public.append(layer)
        self._wide, self._positive = False, positive

    def _rectify(self, name: str) -> None:
        if self._wide:
            self._narrow(Relu(), positive=True)
        elif not self._positive:
            place = len(self.public) - 1
            while place >= 0 and isinstance(self.public[place], PublicFlatten):
                place -= 1
            pool = self.public[place] if place >= 0 else None
            if not isinstance(pool, MaxPool):
                raise ParameterError(f"expected a Conv2d or Linear layer before {name}, found none")
            self.public[place] = msgspec.structs.replace(pool, rectify=True)
            self._positive = True

    def _leaky(self, layer: LeakyReLU, name: str) -> None:
        slope = round(math.ldexp(layer.slope, self._fraction_bits)) if 0 < layer.slope < 1 else 0
        if not 0 < slope < 1 << self._fraction_bits:
            raise ParameterError(
                f"expected a slope from 0 to 1 in steps of 2^-{self._fraction_bits} in {name}, found {layer.slope}"
            )
        if self._wide or not self._positive:
            self._narrow(LeakyRelu(slope), positive=False)

    def _max_pool(self, layer: MaxPool2d) -> None:
        kernel = _pair(layer.kernel)
        stride = kernel if layer.stride is None else _pair(layer.stride)
        padding = _sides(layer.padding)
        positive = not self._wide and self._positive
        if self.public and isinstance(self.public[-1], Relu):
            # The largest of what ReLU leaves is what ReLU leaves of the largest.
            self.public[-1] = MaxPool(kernel, stride, padding, rectify=True)
        else:
            rectify = positive and any(padding)  # changes nothing but admits padding
            self._narrow(MaxPool(kernel, stride, padding, rectify), positive=positive)

    def _average(self, kernel: tuple[int, int], stride: Pair | None, padding: tuple[int, int, int, int]) -> None:
        self.public.append(SumPool(kernel, kernel if stride is None else _pair(stride), padding))
        share = 1.0 / math.prod(kernel)
        if self._wide:
            name, weight, bias = self.floats[-1]
            self.floats[-1] = name, weight * share, bias * share
            self._shared *= share
        else:
            self._pending *= share

    def _adapt(self, layer: AdaptiveAvgPool2d, name: str) -> None:
        shape = self._input_shape
        for index, public in enumerate(self.public):
            shape = output_shape(public, shape, f"layer {index} ({type(public).__name__.lower()})")
        wanted = _pair(layer.output)
        if len(shape) != 3 or min(wanted) < 1 or shape[1] % wanted[0] or shape[2] % wanted[1]:
            raise ParameterError(f"expected an output that divides the input of {name}, found {wanted} of {shape}")
        self._average((shape[1] // wanted[0], shape[2] // wanted[1]), None, (0, 0, 0, 0))


def _checked(layer: Conv2d | Linear, name: str) -> tuple[Floats, Floats]:
    """Weights as ``(outputs, channels, kh, kw)`` and bias as ``(outputs,)``."""
    weight = np.asarray(layer.weight, dtype=np.float64)
    bias = np.asarray(layer.bias, dtype=np.float64)
    dimensions = 4 if isinstance(layer, Conv2d) else 2
    if weight.ndim != dimensions or 0 in weight.shape:
        raise ParameterError(f"expected weights of {dimensions} dimensions in {name}, found shape {weight.shape}")
    if bias.shape != weight.shape[:1]:
        raise ParameterError(f"expected a bias of shape {weight.shape[:1]} in {name}, found {bias.shape}")
    if isinstance(layer, Linear):
        return weight.reshape(*weight.shape, 1, 1), bias
    if layer.groups < 1 or len(weight) % layer.groups:
        raise ParameterError(f"expected groups that divide {len(weight)} outputs in {name}, found {layer.groups}")
    outputs, inputs = len(weight) // layer.groups, weight.shape[1]
    whole = np.zeros((len(weight), inputs * layer.groups, *weight.shape[2:]))
    for group in range(layer.groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        whole[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return whole, bias


def _public(layer: Conv2d | Linear, weight: Floats) -> AnyLayer:
    if isinstance(layer, Linear):
        return Dense(len(weight))
    return Convolve(len(weight), (weight.shape[2], weight.shape[3]), _pair(layer.stride), _sides(layer.padding))


def _scaled(reals: NDArray[np.float64], scale_bits: int, name: str) -> NDArray[np.int64]:
    """round(real * 2^scale_bits), ties to even."""
    if not np.isfinite(reals).all():
        raise RangeError(f"expected finite weights in {name}, found NaN or infinity")
    scaled = np.rint(np.ldexp(reals, scale_bits))
    limit = 2.0 ** (LARGEST_WEIGHT_BITS if reals.ndim > 1 else 62)
    if np.abs(scaled).max(initial=0) >= limit:
        raise RangeError(
            f"expected weights below {limit * 2.0**-scale_bits:g} in {name}, found {np.abs(reals).max():g}"
        )
    return scaled.astype(np.int64)


def _sides(padding: Sides) -> tuple[int, int, int, int]:
    return (padding, padding, padding, padding) if isinstance(padding, int) else padding


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
