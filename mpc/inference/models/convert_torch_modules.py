"""Modules of torch.nn as float layers, by their names. A module's settings that are not supported are refused.

torch is imported only where a model is converted.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from mpc.errors import ParameterError
from mpc.inference.models.converted import require
from mpc.inference.models.floats import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    FloatLayer,
    Floats,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
)
from mpc.inference.models.floats.layer import first_line, pair
from mpc.inference.models.shapes import Sides


def tensor_values(tensor: Any, name: str) -> Floats:
    """Return a tensor's values as float64.

    Raises:
        ParameterError: it has none, or none that are real numbers.
    """
    try:
        dense = tensor.detach()
        if dense.is_complex():
            raise TypeError(f"numbers of type {dense.dtype}")
        if dense.is_quantized:
            dense = dense.dequantize()
        if dense.layout is not _strided():
            dense = dense.to_dense()
        return np.asarray(dense.cpu().double().numpy(), np.float64).copy()
    except Exception as error:
        raise ParameterError(
            f"expected real numbers in {name}, found {getattr(tensor, 'dtype', type(tensor).__name__)} on "
            f"{getattr(tensor, 'device', 'no device')} ({type(error).__name__}: {first_line(error)})"
        ) from error


def _strided() -> Any:
    import torch  # noqa: PLC0415

    return torch.strided


def _bias(tensor: Any, outputs: int, name: str) -> Floats:
    return np.zeros(outputs) if tensor is None else tensor_values(tensor, name)


def _linear(module: Any, name: str) -> FloatLayer:
    weight = tensor_values(module.weight, name)
    return Linear(weight, _bias(module.bias, len(weight), name))


def _convolution(module: Any, name: str) -> FloatLayer:
    require(module.padding_mode == "zeros", name, "zeros as padding", module.padding_mode)
    require(pair(module.dilation) == (1, 1), name, "a dilation of 1", module.dilation)
    weight = tensor_values(module.weight, name)
    require(weight.ndim == 4, name, "weights of 4 dimensions", weight.ndim)
    stride, groups = pair(module.stride), operator.index(module.groups)
    return Conv2d(weight, _bias(module.bias, len(weight), name), stride, zeros(module.padding, weight), groups)


def zeros(padding: Any, weight: Floats) -> Sides:
    """Return the padding of a convolution on each side."""
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding == "same":  # torch puts the odd zero at the end
        rows, columns = (size - 1 for size in weight.shape[2:])
        return (rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)
    return _sides(padding)


def _sides(padding: Any) -> Sides:
    rows, columns = pair(padding)
    return rows, rows, columns, columns


def _normalisation(module: Any, name: str) -> FloatLayer:
    require(module.running_mean is not None, name, "running statistics", "none")
    mean, variance = tensor_values(module.running_mean, name), tensor_values(module.running_var, name)
    scale = np.ones(len(mean)) if module.weight is None else tensor_values(module.weight, name)
    return BatchNorm(mean, variance, scale, _bias(module.bias, len(mean), name), float(module.eps))


def _max_pool(module: Any, name: str) -> FloatLayer:
    require(pair(module.dilation) == (1, 1), name, "a dilation of 1", module.dilation)
    require(not module.ceil_mode, name, "ceil_mode off", "on")
    require(not module.return_indices, name, "return_indices off", "on")
    return MaxPool2d(pair(module.kernel_size), pair(module.stride), _sides(module.padding))


def _average_pool(module: Any, name: str) -> FloatLayer:
    padding = _sides(module.padding)
    require(not module.ceil_mode, name, "ceil_mode off", "on")
    require(module.divisor_override is None, name, "no divisor_override", module.divisor_override)
    require(module.count_include_pad or not any(padding), name, "count_include_pad with padding", "none")
    return AvgPool2d(pair(module.kernel_size), pair(module.stride), padding)


def _adaptive_pool(module: Any, name: str) -> FloatLayer:
    sizes = module.output_size
    require(not isinstance(sizes, tuple | list) or None not in sizes, name, "a whole output size", sizes)
    return AdaptiveAvgPool2d(pair(sizes))


def _flatten(module: Any, name: str) -> FloatLayer:
    dimensions = (module.start_dim, module.end_dim)
    require(dimensions in ((1, -1), (1, 3)), name, "all dimensions but the first", dimensions)
    return Flatten()


def _nothing(module: Any, name: str) -> None:
    """Dropout in eval mode and the like."""


MODULES: dict[str, Callable[[Any, str], FloatLayer | None]] = {
    "Linear": _linear,
    "Conv2d": _convolution,
    "BatchNorm1d": _normalisation,
    "BatchNorm2d": _normalisation,
    "ReLU": lambda module, name: ReLU(),
    "LeakyReLU": lambda module, name: LeakyReLU(float(module.negative_slope)),
    "MaxPool2d": _max_pool,
    "AvgPool2d": _average_pool,
    "AdaptiveAvgPool2d": _adaptive_pool,
    "Flatten": _flatten,
    "Dropout": _nothing,
    "Dropout1d": _nothing,
    "Dropout2d": _nothing,
    "AlphaDropout": _nothing,
    "Identity": _nothing,
}
