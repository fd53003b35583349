"""Exact linear maps on tensors of ring elements, modulo 2^64: what both parties compute on their own shares.

Shapes are ``(n, channels, height, width)`` or ``(n, values)``.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mpc.inference.models.architecture import (
    AnyLayer,
    Convolve,
    Dense,
    Flatten,
    LeakyRelu,
    MaxPool,
    Relu,
    Shape,
    SumPool,
)
from mpc.ring import Words

_EXACT_BITS = 53  # integers that a float64 holds

Number = TypeVar("Number", bound=np.generic)


def public_map(layer: AnyLayer, values: Words) -> Words:
    """A public layer, applied by each party to its own share."""
    if isinstance(layer, Flatten):
        return values.reshape(len(values), -1)
    if isinstance(layer, SumPool):
        return np.asarray(windows_of(layer, values).sum(axis=-1, dtype=np.uint64))
    raise TypeError(f"{type(layer).__name__} is not a public map")


def windows_of(layer: SumPool | MaxPool, values: NDArray[Number]) -> NDArray[Number]:
    """The values of each window, padded with zeros: ``(n, channels, output height, output width, window)``."""
    top, bottom, left, right = layer.padding
    padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, layer.kernel, axis=(2, 3))
    kept = windows[:, :, :: layer.stride[0], :: layer.stride[1]]
    return kept.reshape(*kept.shape[:4], -1)


def circuit_rows(layer: AnyLayer, values: Words) -> Words:
    """What a non-linear layer's circuit takes of one party's shares: a row an instance, a word a value."""
    return (
        windows_of(layer, values).reshape(-1, math.prod(layer.kernel))
        if isinstance(layer, MaxPool)
        else (values.reshape(-1, 1))
    )


def nonlinear(layer: AnyLayer, values: NDArray[Number], shift: int, fraction_bits: int) -> NDArray[Number]:
    """A non-linear layer in the clear, the exact twin of its circuit; ``shift`` bits of its input are dropped.

    Args:
        values: signed, ``(n, *shape)``: 64-bit, or Python integers of any size.
    """
    integers: NDArray[Any] = values
    if isinstance(layer, MaxPool):
        integers = windows_of(layer, integers).max(axis=-1)
    shifted: NDArray[Any] = integers >> shift
    if isinstance(layer, LeakyRelu):
        return np.asarray(np.where(shifted >= 0, shifted, (shifted * layer.slope) >> fraction_bits))
    rectified = isinstance(layer, Relu) or (isinstance(layer, MaxPool) and layer.rectify)
    return np.asarray(np.maximum(shifted, 0)) if rectified else shifted


def as_pixels(layer: AnyLayer, values: Words) -> Words:
    """The input of a private layer, ``(n, channels, height, width)``, padded with zeros."""
    if isinstance(layer, Convolve):
        top, bottom, left, right = layer.padding
        return np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    return values.reshape(*values.shape, 1, 1)


def from_pixels(layer: AnyLayer, values: Words) -> Words:
    """The output of a private layer as the next one wants it: a dense layer's is flat."""
    return values.reshape(len(values), -1) if isinstance(layer, Dense) else values


def convolve(pixels: Words, weights: NDArray[np.int64], stride: tuple[int, int]) -> Words:
    """Padded pixels under weights ``(outputs, channels, kh, kw)``: ``(n, outputs, height, width)``, modulo 2^64."""
    outputs = len(weights)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, weights.shape[2:], axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1]].transpose(0, 2, 3, 1, 4, 5)
    n, height, width = windows.shape[:3]
    product = matmul(windows.reshape(n * height * width, -1), weights.reshape(outputs, -1).T)
    return np.ascontiguousarray(product.reshape(n, height, width, outputs).transpose(0, 3, 1, 2))


def matmul(left: Words, right: NDArray[np.int64]) -> Words:
    """Ring elements times small signed integers, modulo 2^64.

    The left factor is cut into limbs small enough that float64 sums are exact, so that the processor's
    floating-point matrix product does the work; where the right factor is too large for that, integers do.
    Idle threads of the library behind it (OpenBLAS) spin for a while and take the processor from another party: a
    program of your own wants ``OPENBLAS_NUM_THREADS=1``; a run's parties have their share of the threads.
    """
    largest = int(np.abs(right).max(initial=0))
    limb_bits = _EXACT_BITS - largest.bit_length() - max(left.shape[1] - 1, 1).bit_length()
    if limb_bits < 8:
        return left @ right.astype(np.uint64)
    reals = right.astype(np.float64)
    top = int(left.max(initial=0)).bit_length()
    total = np.zeros((len(left), right.shape[1]), dtype=np.uint64)
    for shift in range(0, max(top, 1), limb_bits):
        limb = (left >> np.uint64(shift)) & np.uint64((1 << limb_bits) - 1)
        total += (limb.astype(np.float64) @ reals).astype(np.int64).astype(np.uint64) << np.uint64(shift)
    return total


def bias_shape(bias: NDArray[np.int64], output: Shape) -> Words:
    """A bias ``(outputs,)`` to add to ``(n, *output)``, modulo 2^64."""
    return bias.astype(np.uint64).reshape(1, -1, *(1 for _ in output[1:]))
