"""Float layers into fixed point: public layers, and private weights as integers. Where floats enter the ring.

Average pooling is a sum over windows, a public map that each party applies to its own shares, times
1 / (window size), which goes into the weights of a neighbouring private layer while they are still floats:

* a pool on narrow values (after a ReLU, or on the input) into the weights, not the bias, of the next private layer;
* a pool on wide values (between a private layer and its ReLU, or after the last one) into the weights and the
  bias of that private layer. Weights then lose log2(window size) of their f fraction bits.

Batch normalisation is folded into the private layer before it, or else into the next one; where neither is exact (a
non-linearity or zero padding lies between) it is a private layer of its own with a number a channel. Adaptive pooling
over unequal windows goes into the Linear layer after it. Max pooling and ReLU, in either order, are one circuit.

The circuits drop f bits, which rounds down. Half a unit of what stays goes into the bias before them, so that
activations are rounded to nearest, for free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError, RangeError
from mpc.inference.models.architecture import (
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
from mpc.inference.models.architecture import Flatten as PublicFlatten
from mpc.inference.models.layers import (
    SUPPORTED,
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Pair,
    ReLU,
    Sides,
)

Floats = NDArray[np.float64]
LARGEST_WEIGHT_BITS = 32  # of a fixed-point weight's magnitude


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


@dataclass(frozen=True, repr=False)
class _Pending:
    """What the next private layer still has to do to its input: scale x + shift, a number a channel or one for all.

    Attributes:
        windows: then, of adaptive pooling over unequal windows, the means of rows ``(oh, h)`` and columns ``(ow, w)``.
        name: of the layer that left this.
    """

    scale: Floats
    shift: Floats
    windows: tuple[Floats, Floats] | None = None
    name: str = ""

    @classmethod
    def nothing(cls) -> _Pending:
        return cls(np.ones(1), np.zeros(1))

    @property
    def affine(self) -> bool:
        """More than a positive factor for all: does not commute with non-linearities and zero padding."""
        return len(self.scale) > 1 or self.scale[0] <= 0 or bool(self.shift.any())

    def over(self, channels: int) -> tuple[Floats, Floats]:
        """Scale and shift for each of so many channels; of a flattened image, for each value."""
        if channels % len(self.scale):
            raise ParameterError(f"expected a multiple of {len(self.scale)} inputs after {self.name}, found {channels}")
        times = channels // len(self.scale)
        return np.repeat(self.scale, times), np.repeat(self.shift, times)

    def then(self, factor: Floats, shift: Floats, name: str) -> _Pending:
        """And after it factor x + shift."""
        scale, before = self.over(len(factor))
        return replace(self, scale=scale * factor, shift=before * factor + shift, name=name)

    def absorbed(self, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """Weights ``(outputs, channels, kh, kw)`` and bias that do it too."""
        if self.windows is not None:
            rows, columns = self.windows
            shape = (len(weight), -1, len(rows), len(columns))
            weight = np.einsum("ocij,ih,jw->ochw", weight.reshape(shape), rows, columns).reshape(len(weight), -1, 1, 1)
        if not self.affine:
            return weight * self.scale[0], bias
        scale, shift = (numbers.reshape(1, -1, 1, 1) for numbers in self.over(weight.shape[1]))
        return weight * scale, bias + (weight * shift).sum(axis=(1, 2, 3))


class _Quantiser:
    """The layers so far, and the private ones still as floats.

    Attributes:
        wide: whether values carry 2f fraction bits: after a private layer, up to the next non-linearity.
        pending: what layers on narrow values leave to the next private layer.
        shared: what pools on wide values took from the last one.
        edges: whether a pool on wide values padded them, so that a constant no longer goes into the bias before it.
        positive: whether values cannot be negative.
    """

    def __init__(self, input_shape: Shape, fraction_bits: int) -> None:
        self.public: list[AnyLayer] = []
        self.floats: list[tuple[str, Floats, Floats]] = []
        self._input_shape = input_shape
        self._fraction_bits = fraction_bits
        self._wide = False
        self._pending = _Pending.nothing()
        self._shared = 1.0
        self._edges = False
        self._positive = False

    def add(self, layer: object, name: str) -> None:
        if self._pending.windows is not None and not isinstance(layer, Flatten | Linear):  # a Linear wants it flat
            self._refuse_windows(name)
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
        if self._pending.windows is not None:
            self._refuse_windows("nothing")
        self._settle()
        if not self._wide:
            raise ParameterError(f"expected a Conv2d or Linear layer to give the logits, found {last} at the end")
        bits = self._fraction_bits
        return self.public, [
            FixedWeights(_scaled(weight, bits, name), _scaled(bias, 2 * bits, name))
            for name, weight, bias in self.floats
        ]

    def _shape(self) -> Shape:
        shape = self._input_shape
        for index, public in enumerate(self.public):
            shape = output_shape(public, shape, f"layer {index} ({type(public).__name__.lower()})")
        return shape

    def _private(self, layer: Conv2d | Linear, name: str) -> None:
        if self._wide:
            self._narrow(Rescale(), positive=False)
        if isinstance(layer, Conv2d) and any(_sides(layer.padding)) and self._settle():
            self._narrow(Rescale(), positive=False)
        weight, bias = _checked(layer, name)
        self._linear(name, _public(layer, weight), *self._pending.absorbed(weight, bias))

    def _linear(self, name: str, public: AnyLayer, weight: Floats, bias: Floats) -> None:
        self.floats.append((name, weight, bias))
        self.public.append(public)
        self._wide, self._pending, self._shared, self._edges = True, _Pending.nothing(), 1.0, False

    def _settle(self) -> bool:
        """Whether a private layer of its own had to do what was pending: a number a channel."""
        if not self._pending.affine:
            return False
        shape = self._shape()
        scale, shift = self._pending.over(shape[0])
        public: AnyLayer = Convolve(shape[0], (1, 1)) if len(shape) == 3 else Dense(shape[0])
        self._linear(self._pending.name, public, np.diag(scale).reshape(*2 * shape[:1], 1, 1), shift)
        return True

    def _normalise(self, layer: BatchNorm, name: str) -> None:
        shape = self._shape()
        parts = [np.asarray(p, np.float64) for p in (layer.mean, layer.variance, layer.scale, layer.shift)]
        if any(part.shape not in ((), (1,), shape[:1]) for part in parts):
            raise ParameterError(f"expected {shape[0]} channels in {name}, found {max(part.size for part in parts)}")
        mean, variance, scale, shift = (np.broadcast_to(part, shape[:1]) for part in parts)
        if (variance + layer.epsilon <= 0).any():
            raise ParameterError(f"expected variances above zero in {name}")
        factor = scale / np.sqrt(variance + layer.epsilon)
        shift = shift - mean * factor
        if self._wide and (self._edges or shape[0] != len(self.floats[-1][2])):
            self._narrow(Rescale(), positive=False)
        if self._wide:
            before, weight, bias = self.floats[-1]
            self.floats[-1] = before, weight * factor.reshape(-1, 1, 1, 1), bias * factor + shift * self._shared
        else:
            self._pending = self._pending.then(factor, shift, name)

    def _narrow(self, layer: AnyLayer, *, positive: bool) -> None:
        """A layer after which values are narrow; wide ones before it are rounded to nearest."""
        if self._wide:
            name, weight, bias = self.floats[-1]
            self.floats[-1] = name, weight, bias + math.ldexp(0.5, -self._fraction_bits) * self._shared
        self.public.append(layer)
        self._wide, self._positive = False, positive

    def _rectify(self, name: str) -> None:
        self._settle()
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
        self._settle()
        if self._wide or not self._positive:
            self._narrow(LeakyRelu(slope), positive=False)

    def _max_pool(self, layer: MaxPool2d) -> None:
        kernel = _pair(layer.kernel)
        stride = kernel if layer.stride is None else _pair(layer.stride)
        padding = _sides(layer.padding)
        self._settle()
        positive = not self._wide and self._positive
        if self.public and isinstance(self.public[-1], Relu):
            # The largest of what ReLU leaves is what ReLU leaves of the largest.
            self.public[-1] = MaxPool(kernel, stride, padding, rectify=True)
        else:
            rectify = positive and any(padding)  # changes nothing but admits padding
            self._narrow(MaxPool(kernel, stride, padding, rectify), positive=positive)

    def _average(self, kernel: tuple[int, int], stride: Pair | None, padding: tuple[int, int, int, int]) -> None:
        if any(padding):
            self._settle()
        self.public.append(SumPool(kernel, kernel if stride is None else _pair(stride), padding))
        share = 1.0 / math.prod(kernel)
        if self._wide:
            name, weight, bias = self.floats[-1]
            self.floats[-1] = name, weight * share, bias * share
            self._shared *= share
            self._edges |= any(padding)
        else:
            self._pending = replace(self._pending, scale=self._pending.scale * share)

    def _adapt(self, layer: AdaptiveAvgPool2d, name: str) -> None:
        shape, wanted = self._shape(), _pair(layer.output)
        if len(shape) != 3 or min(wanted) < 1:
            raise ParameterError(f"expected images to pool in {name}, found {wanted} of {shape}")
        if shape[1] % wanted[0] == 0 and shape[2] % wanted[1] == 0:
            self._average((shape[1] // wanted[0], shape[2] // wanted[1]), None, (0, 0, 0, 0))
            return
        if self._wide:
            self._narrow(Rescale(), positive=False)
        windows = _means(shape[1], wanted[0]), _means(shape[2], wanted[1])
        self._pending = replace(self._pending, windows=windows, name=name)

    def _refuse_windows(self, found: str) -> None:
        raise ParameterError(
            f"expected Flatten and Linear right after {self._pending.name}, whose output does not divide its input, "
            f"found {found}"
        )


def _means(size: int, outputs: int) -> Floats:
    """Adaptive pooling along one axis: ``(outputs, size)``."""
    means = np.zeros((outputs, size))
    for index in range(outputs):
        first, last = index * size // outputs, -(-(index + 1) * size // outputs)
        means[index, first:last] = 1 / (last - first)
    return means


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
