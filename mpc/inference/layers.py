"""Float layers of a trained network, as an answering party hands them over, and their way into fixed point.

Average pooling is a sum over windows, a public map that each party applies to its own shares, times
1 / (window size), which goes into the weights of a neighbouring private layer while they are still floats:

* a pool on narrow values (after a ReLU, or on the input) into the weights, not the bias, of the next private layer;
* a pool on wide values (between a private layer and its ReLU, or after the last one) into the weights and the
  bias of that private layer. Weights then lose log2(window size) of their f fraction bits.

The circuits drop f bits, which rounds down. Half a unit of what stays goes into the bias before them, so that
activations are rounded to nearest, for free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpc.errors import ParameterError, RangeError
from mpc.inference.architecture import AnyLayer, Convolve, Dense, Relu, Rescale, SumPool
from mpc.inference.architecture import Flatten as PublicFlatten

Pair = int | tuple[int, int]
LARGEST_WEIGHT_BITS = 32  # of a fixed-point weight's magnitude


@dataclass(frozen=True, repr=False)
class Conv2d:
    """Cross-correlation, as torch's: weight ``(outputs, inputs, kh, kw)``, bias ``(outputs,)``.

    ``padding`` is one number for every side, or ``(top, bottom, left, right)``.
    """

    weight: ArrayLike
    bias: ArrayLike
    stride: Pair = 1
    padding: int | tuple[int, int, int, int] = 0


@dataclass(frozen=True, repr=False)
class Linear:
    """Matrix product on a flat input: weight ``(outputs, inputs)``, bias ``(outputs,)``."""

    weight: ArrayLike
    bias: ArrayLike


@dataclass(frozen=True)
class ReLU:
    """max(0, x)."""


@dataclass(frozen=True)
class AvgPool2d:
    """Mean over windows; the stride is the kernel unless given."""

    kernel: Pair
    stride: Pair | None = None


@dataclass(frozen=True)
class Flatten:
    """``(channels, height, width)`` to one row."""


SUPPORTED = (Conv2d, Linear, ReLU, AvgPool2d, Flatten)


@dataclass(frozen=True, repr=False)
class FixedWeights:
    """One private layer: weights ``(outputs, channels, kh, kw)`` at scale 2^f, bias ``(outputs,)`` at 2^(2f)."""

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]


def quantise(layers: Sequence[object], fraction_bits: int) -> tuple[list[AnyLayer], list[FixedWeights]]:
    """Public layers and private weights. Where floats enter the ring.

    Two private layers in a row get a rescaling between them; a ReLU on the output of a ReLU is dropped.

    Raises:
        ParameterError: a layer that is not supported or does not fit its place, with its name.
        RangeError: a weight or bias that is not finite or far too large.
    """
    public: list[AnyLayer] = []
    floats: list[tuple[str, NDArray[np.float64], NDArray[np.float64]]] = []
    wide = False
    pending = 1.0  # what pools on narrow values leave to the next private layer
    shared = 1.0  # what pools on wide values took from the last one
    half = math.ldexp(0.5, -fraction_bits)

    def narrow(layer: Relu | Rescale) -> None:
        name, weight, bias = floats[-1]
        floats[-1] = (name, weight, bias + half * shared)
        public.append(layer)

    for index, layer in enumerate(layers):
        name = f"layer {index} ({type(layer).__name__})"
        if isinstance(layer, Conv2d | Linear):
            if wide:
                narrow(Rescale())
            weight, bias = _checked(layer, name)
            floats.append((name, weight * pending, bias))
            public.append(_private(layer, weight))
            wide, pending, shared = True, 1.0, 1.0
        elif isinstance(layer, ReLU):
            if wide:
                narrow(Relu())
                wide = False
            elif not any(isinstance(earlier, Relu) for earlier in public):
                raise ParameterError(f"expected a Conv2d or Linear layer before {name}, found none")
        elif isinstance(layer, AvgPool2d):
            kernel = _pair(layer.kernel)
            public.append(SumPool(kernel, _pair(layer.kernel if layer.stride is None else layer.stride)))
            share = 1.0 / math.prod(kernel)
            if wide:
                floats[-1] = (floats[-1][0], floats[-1][1] * share, floats[-1][2] * share)
                shared *= share
            else:
                pending *= share
        elif isinstance(layer, Flatten):
            public.append(PublicFlatten())
        else:
            supported = ", ".join(kind.__name__ for kind in SUPPORTED)
            raise ParameterError(f"expected one of {supported}, found {name}")
    if not wide:
        last = type(layers[-1]).__name__ if layers else "nothing"
        raise ParameterError(f"expected a Conv2d or Linear layer to give the logits, found {last} at the end")
    fixed = [
        FixedWeights(_scaled(weight, fraction_bits, name), _scaled(bias, 2 * fraction_bits, name))
        for name, weight, bias in floats
    ]
    return public, fixed


def _checked(layer: Conv2d | Linear, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights as ``(outputs, channels, kh, kw)`` and bias as ``(outputs,)``."""
    weight = np.asarray(layer.weight, dtype=np.float64)
    bias = np.asarray(layer.bias, dtype=np.float64)
    dimensions = 4 if isinstance(layer, Conv2d) else 2
    if weight.ndim != dimensions or 0 in weight.shape:
        raise ParameterError(f"expected weights of {dimensions} dimensions in {name}, found shape {weight.shape}")
    if bias.shape != weight.shape[:1]:
        raise ParameterError(f"expected a bias of shape {weight.shape[:1]} in {name}, found {bias.shape}")
    return weight.reshape(*weight.shape, *(1 for _ in range(4 - dimensions))), bias


def _private(layer: Conv2d | Linear, weight: NDArray[np.float64]) -> AnyLayer:
    if isinstance(layer, Linear):
        return Dense(len(weight))
    padding = layer.padding
    sides = (padding, padding, padding, padding) if isinstance(padding, int) else padding
    return Convolve(len(weight), (weight.shape[2], weight.shape[3]), _pair(layer.stride), sides)


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


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
