"""Exact arithmetic on tensors, such as windows and products of ring elements modulo 2^64.

Both parties compute this on their own shares. Tensors are ``(n, channels, height, width)`` or ``(n, values)``.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mpc.inference.models.shapes import Pair, Sides
from mpc.ring import Words

_EXACT_BITS = 53  # integers that a float64 holds

Number = TypeVar("Number", bound=np.generic)
Integers = NDArray[np.object_]  # Python integers: intervals can leave 64 bits before they are refused


def padded(images: NDArray[Number], padding: Sides) -> NDArray[Number]:
    """Surround images ``(n, channels, height, width)`` with zeros."""
    top, bottom, left, right = padding
    return np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right)))


def windows_of(images: NDArray[Number], kernel: Pair, stride: Pair, padding: Sides) -> NDArray[Number]:
    """Cut padded images into windows: ``(n, channels, output height, output width, values of a window)``."""
    kept = _sliding(padded(images, padding), kernel, stride)
    return kept.reshape(*kept.shape[:4], -1)


def convolve(pixels: Words, weights: NDArray[np.int64], stride: Pair) -> Words:
    """Convolve padded pixels with weights ``(outputs, channels, kh, kw)``, modulo 2^64.

    Returns:
        ``(n, outputs, height, width)``.
    """
    rows, columns, (n, height, width) = _as_matrices(pixels, weights, stride)
    product = matmul(rows, columns)
    return np.ascontiguousarray(product.reshape(n, height, width, -1).transpose(0, 3, 1, 2))


def convolve_integers(pixels: Integers, weights: NDArray[np.int64], stride: Pair) -> Integers:
    """Convolve as :func:`convolve` does, but without a modulus.

    The sum is taken in 64 bits where the magnitudes allow it, otherwise in Python integers.
    """
    rows, columns, (n, height, width) = _as_matrices(pixels, weights, stride)
    largest = max(int(np.abs(rows).max()), 1) * int(np.abs(columns).sum(axis=0).max())
    exact: NDArray[np.generic] = rows.astype(np.int64) @ columns if largest < 1 << 62 else rows @ columns.astype(object)
    return exact.astype(object).reshape(n, height, width, -1).transpose(0, 3, 1, 2)


def matmul(left: Words, right: NDArray[np.int64]) -> Words:
    """Multiply ring elements by small signed integers, modulo 2^64.

    The left factor is cut into limbs so small that sums in float64 are exact. The processor's floating-point matrix
    product then does the work. Where the right factor is too large for that, integers do it.

    Idle threads of the library behind it (OpenBLAS) spin for a while and take the processor from another party. A
    program of your own should set ``OPENBLAS_NUM_THREADS=1``. A run's parties have their share of the threads.
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


def _sliding(images: NDArray[Number], kernel: Pair, stride: Pair) -> NDArray[Number]:
    """``(n, channels, output height, output width, kh, kw)``, a view."""
    windows = np.lib.stride_tricks.sliding_window_view(images, kernel, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]]


def _as_matrices(
    pixels: NDArray[Number], weights: NDArray[np.int64], stride: Pair
) -> tuple[NDArray[Number], NDArray[np.int64], tuple[int, int, int]]:
    """A convolution as a product of matrices, a row a window and a column an output. Then ``(n, height, width)``."""
    windows = _sliding(pixels, (weights.shape[2], weights.shape[3]), stride).transpose(0, 2, 3, 1, 4, 5)
    n, height, width = windows.shape[:3]
    return windows.reshape(n * height * width, -1), weights.reshape(len(weights), -1).T, (n, height, width)
