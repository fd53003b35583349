"""What the layers of a network in fixed point would compute without rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpc.inference.models.arithmetic import windows_of
from mpc.inference.models.fixed import AnyLayer, LeakyRectify, MaxPool, Nonlinearity, PrivateLayer, Rectify
from mpc.inference.models.floats.layer import Floats
from mpc.inference.models.quantiser import Quantised, RealWeights


def linear_product(layer: PrivateLayer, weight: Floats, values: Floats) -> Floats:
    """Compute a private layer's product without its bias, in floats."""
    stride = layer.convolution(values.shape[1:]).stride
    pixels: Any = layer.as_pixels(values)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, weight.shape[2:], axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1]]
    return np.asarray(layer.from_pixels(np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True)))


def real_layer(layer: AnyLayer, values: Floats, quantised: Quantised, place: int, private: int) -> Floats:
    """Compute a fixed-point layer's meaning for real numbers, in which nothing is rounded."""
    if isinstance(layer, PrivateLayer):
        real: RealWeights = quantised.weights[private]
        product = linear_product(layer, real.weight, values)
        return np.asarray(product + real.bias.reshape(-1, *(1,) * (product.ndim - 2)))
    if isinstance(layer, LeakyRectify):
        return np.asarray(np.where(values >= 0, values, quantised.slopes[place] * values))
    if isinstance(layer, MaxPool):
        largest = windows_of(values, layer.kernel, layer.stride, layer.padding).max(axis=-1)
        return np.asarray(np.maximum(largest, 0) if layer.rectify else largest)
    if isinstance(layer, Rectify):
        return np.maximum(values, 0)
    return np.asarray(values if isinstance(layer, Nonlinearity) else layer.apply(values))
