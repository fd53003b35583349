"""Convolutions and pools of images (N, C, H, W), as matrix products and maxima over gathered windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mpc.errors import ParameterError
from mpc.tensors.arithmetic import add, linear
from mpc.tensors.autograd import Gradient
from mpc.tensors.products import matmul
from mpc.tensors.shaping import pad, reshape
from mpc.tensors.tensor import PrivateTensor


def conv2d(x: PrivateTensor, weight: object, bias: object = None, stride: int = 1, padding: int = 0) -> PrivateTensor:
    """Return the convolution of images (N, C, H, W) with filters (O, C, h, w), as torch's. Its error is one unit.

    Either side may be public. A bias has shape (O,).
    """
    filters, height, width = _filters(weight)
    _require_images("conv2d", x, height, width, stride, padding)
    channels = weight.shape[1]  # type: ignore[attr-defined]  # it has four axes
    if channels != x.shape[1]:
        raise ParameterError(f"conv2d: expected filters of {x.shape[1]} channels, found {channels}")
    windows = gather(pad(x, padding), height, width, stride)
    count, _, rows, columns = windows.shape[:4]
    inner = channels * height * width
    columns_of_windows = windows.transpose(0, 1, 4, 5, 2, 3).reshape(count, inner, rows * columns)
    matrix = _reshaped(weight, (filters, inner))
    result = reshape(matmul(matrix, columns_of_windows), (count, filters, rows, columns))
    if bias is None:
        return result
    return add(result, _reshaped(bias, (filters, 1, 1)))


def _reshaped(array: object, shape: tuple[int, ...]) -> object:
    return reshape(array, shape) if isinstance(array, PrivateTensor) else np.reshape(np.asarray(array), shape)


def avg_pool2d(x: PrivateTensor, kernel_size: int, stride: int | None = None) -> PrivateTensor:
    """Return the mean of each window of kernel_size^2 values. Its error is one unit, and that of the public factor."""
    return _pooled(x, kernel_size, stride, "avg_pool2d").mean(axis=-1)


def max_pool2d(x: PrivateTensor, kernel_size: int, stride: int | None = None) -> PrivateTensor:
    """Return the largest value of each window of kernel_size^2 values, exact."""
    return _pooled(x, kernel_size, stride, "max_pool2d").max(axis=-1)


def _pooled(x: PrivateTensor, kernel_size: int, stride: int | None, name: str) -> PrivateTensor:
    """Return the windows of a pool along a last axis."""
    step = kernel_size if stride is None else stride
    _require_images(name, x, kernel_size, kernel_size, step, 0)
    windows = gather(x, kernel_size, kernel_size, step)
    return windows.reshape(*windows.shape[:4], kernel_size * kernel_size)


def gather(x: PrivateTensor, height: int, width: int, stride: int) -> PrivateTensor:
    """Return all windows (N, C, rows, columns, height, width) of images, which is linear and local."""
    before = x.shape

    def windows(values: np.ndarray) -> np.ndarray:
        view = sliding_window_view(values, (height, width), axis=(2, 3))
        return np.ascontiguousarray(view[:, :, ::stride, ::stride])

    def back(values: np.ndarray) -> np.ndarray:
        """Add every window to where it was taken from."""
        into = np.zeros(before, dtype=values.dtype)
        rows, columns = values.shape[2:4]
        for i in range(height):
            for j in range(width):
                into[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride] += values[..., i, j]
        return into

    def backward(gradient: Gradient) -> Sequence[Gradient]:
        if not isinstance(gradient, PrivateTensor):
            return (back(gradient),)
        most = -(-height // stride) * -(-width // stride)
        summed = linear(
            gradient, "gather_back", back, before, found=gradient.range.times(most).union(gradient.range.times(0)),
            why=f"{most} values added", reference=back, backward=lambda again: (gather(again, height, width, stride),),  # type: ignore[arg-type]
        )  # fmt: skip
        return (summed,)

    rows, columns = ((size - kernel) // stride + 1 for size, kernel in zip(before[2:], (height, width), strict=True))
    shape = (*before[:2], rows, columns, height, width)
    return linear(x, "gather", windows, shape, reference=windows, backward=backward)


def _filters(weight: object) -> tuple[int, int, int]:
    shape = weight.shape if isinstance(weight, PrivateTensor) else np.asarray(weight).shape
    if len(shape) != 4:
        raise ParameterError(f"conv2d: expected filters of shape (O, C, h, w), found {shape}")
    return shape[0], shape[2], shape[3]


def _require_images(name: str, x: PrivateTensor, height: int, width: int, stride: int, padding: int) -> None:
    if x.ndim != 4:
        raise ParameterError(f"{name}: expected images of shape (N, C, H, W), found {x.shape}")
    if stride < 1 or padding < 0 or height < 1 or width < 1:
        raise ParameterError(
            f"{name}: expected windows and a stride of at least 1 and a padding of at least 0, "
            f"found {height} x {width}, {stride} and {padding}"
        )
    if x.shape[2] + 2 * padding < height or x.shape[3] + 2 * padding < width:
        raise ParameterError(f"{name}: expected windows within the images, found {height} x {width} and {x.shape}")
