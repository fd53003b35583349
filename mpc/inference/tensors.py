"""Exact linear maps on tensors of ring elements, modulo 2^64: what both parties compute on their own shares.

Shapes are ``(n, channels, height, width)`` or ``(n, values)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpc.inference.architecture import AnyLayer, Convolve, Dense, Flatten, Shape, SumPool
from mpc.ring import Words

_EXACT_BITS = 53  # integers that a float64 holds


def public_map(layer: AnyLayer, values: Words) -> Words:
    """A public layer, applied by each party to its own share."""
    if isinstance(layer, Flatten):
        return values.reshape(len(values), -1)
    if isinstance(layer, SumPool):
        windows = np.lib.stride_tricks.sliding_window_view(values, layer.kernel, axis=(2, 3))
        kept: Words = windows[:, :, :: layer.stride[0], :: layer.stride[1]]
        return np.asarray(kept.sum(axis=(4, 5), dtype=np.uint64))
    raise TypeError(f"{type(layer).__name__} is not a public map")


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
