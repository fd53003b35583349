"""Calls of torch's functions and of tensors' methods as float layers.

Nothing here imports torch. A call is known by the function's name, and the converted layers are run against the module
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from mpc.inference.models.floats.layer import pair


@dataclass(frozen=True, repr=False)
class Call:
    """One call, in which None stands for the moving tensor.

    Attributes:
        first: whether the moving tensor is the first argument by position.
        tensor: reads the values of a constant.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    first: bool
    tensor: Callable[[Any, str], Floats]

    def read(self, *defaults: tuple[str, Any]) -> list[Any]:
        """Return the arguments behind the moving tensor, by name or by position.

        Raises:
            ParameterError: the moving tensor is elsewhere, or an argument that is not known.
        """
        self.require(self.first, "the moving tensor as the first argument", "it elsewhere")
        names = [name for name, _ in defaults]
        given = self.args[1:]
        self.require(len(given) <= len(names), f"at most {len(names)} arguments", len(given))
        found = dict(defaults) | dict(zip(names, given, strict=False))
        for key, value in self.kwargs.items():
            self.require(key in names, f"arguments among {', '.join(names) or 'none'}", key)
            found[key] = value
        return [found[name] for name in names]

    def require(self, holds: bool, expected: str, found: object) -> None:
        """Refuse the call if this does not hold."""
        require(holds, self.name, expected, found)

    def channels(self, value: Any) -> Floats:
        """Return a constant number, or one a channel or a value of a row.

        Raises:
            ParameterError: a tensor of another shape, or no number.
        """
        if not hasattr(value, "detach") or value.numel() == 1:
            return np.array([self.number(value)])
        values = self.tensor(value, self.name)
        lead = values[0] if values.ndim == 4 and len(values) == 1 else values
        row, planes = lead.ndim == 1, lead.ndim == 3 and lead.shape[1:] == (1, 1)
        self.require(row or planes, "one number a channel", f"a tensor of shape {values.shape}")
        return lead.reshape(-1)

    def number(self, value: Any) -> float:
        """Return a constant number.

        Raises:
            ParameterError: a tensor of several values, or no number.
        """
        if hasattr(value, "detach"):
            values = self.tensor(value, self.name)
            self.require(values.size == 1, "one number", f"a tensor of shape {values.shape}")
            return float(values.reshape(()))
        self.require(isinstance(value, int | float | np.number), "a number", type(value).__name__)
        return float(value)


def _relu(call: Call) -> list[FloatLayer]:
    call.read(("inplace", False))
    return [ReLU()]


def _leaky_relu(call: Call) -> list[FloatLayer]:
    slope, _ = call.read(("negative_slope", 0.01), ("inplace", False))
    return [LeakyReLU(call.number(slope))]


def _clamp(call: Call) -> list[FloatLayer]:
    low, high = call.read(("min", None), ("max", None))
    call.require(low is not None and call.number(low) == 0 and high is None, "a lower bound of 0 alone", (low, high))
    return [ReLU()]


def _dropout(call: Call) -> list[FloatLayer]:
    _, training, _ = call.read(("p", 0.5), ("training", True), ("inplace", False))
    call.require(training is False, "training off in eval mode (training=self.training)", training)
    return []


def _flatten(call: Call) -> list[FloatLayer]:
    start, end = call.read(("start_dim", 0), ("end_dim", -1))
    call.require((start, end) in ((1, -1), (1, 3)), "all dimensions but the first", (start, end))
    return [Flatten()]


def _view(call: Call) -> list[FloatLayer]:
    call.require(call.first and not call.kwargs, "a shape", call.kwargs)
    wanted = call.args[1:]
    wanted = tuple(wanted[0]) if len(wanted) == 1 and isinstance(wanted[0], tuple | list) else wanted
    call.require(len(wanted) == 2, "a row a query", f"{len(wanted)} dimensions")
    queries = getattr(wanted[0], "place", wanted[0])
    call.require(queries in (0, -1) and not isinstance(wanted[0], bool), "one row for each query", f"{queries} rows")
    call.require(wanted[0] != -1 or isinstance(wanted[1], int), "a number of columns", "a computed one")
    return [Flatten()]


def _mean(call: Call) -> list[FloatLayer]:
    axes, keep, kind = call.read(("dim", None), ("keepdim", False), ("dtype", None))
    call.require(kind is None, "no other type", kind)
    axes = [axes] if isinstance(axes, int) else list(axes or [])
    call.require(sorted(axis % 4 for axis in axes) == [2, 3], "the mean of an image's pixels", f"axes {axes}")
    return [AdaptiveAvgPool2d(1)] if keep else [AdaptiveAvgPool2d(1), Flatten()]


def _max_pool(call: Call) -> list[FloatLayer]:
    kernel, stride, padding, dilation, ceil, indices = call.read(
        ("kernel_size", None), ("stride", None), ("padding", 0), ("dilation", 1), ("ceil_mode", False),
        ("return_indices", False),
    )  # fmt: skip
    call.require(pair(dilation) == (1, 1), "a dilation of 1", dilation)
    call.require(not ceil, "ceil_mode off", "on")
    call.require(not indices, "return_indices off", "on")
    rows, columns = pair(padding)
    return [MaxPool2d(pair(kernel), pair(stride or kernel), (rows, rows, columns, columns))]


def _average_pool(call: Call) -> list[FloatLayer]:
    kernel, stride, padding, ceil, counted, divisor = call.read(
        ("kernel_size", None), ("stride", None), ("padding", 0), ("ceil_mode", False), ("count_include_pad", True),
        ("divisor_override", None),
    )  # fmt: skip
    rows, columns = pair(padding)
    call.require(not ceil, "ceil_mode off", "on")
    call.require(divisor is None, "no divisor_override", divisor)
    call.require(counted or not (rows or columns), "count_include_pad with padding", "none")
    return [AvgPool2d(pair(kernel), pair(stride or kernel), (rows, rows, columns, columns))]


def _adaptive_pool(call: Call) -> list[FloatLayer]:
    (size,) = call.read(("output_size", None))
    whole = [size] if isinstance(size, int) else list(size or [None])
    call.require(None not in whole, "a whole output size", size)
    return [AdaptiveAvgPool2d(pair(size))]


def _linear(call: Call) -> list[FloatLayer]:
    weight, bias = call.read(("weight", None), ("bias", None))
    call.require(hasattr(weight, "detach"), "constant weights", "other ones")
    values = call.tensor(weight, call.name)
    return [Linear(values, np.zeros(len(values)) if bias is None else call.tensor(bias, call.name))]


def _matmul(call: Call) -> list[FloatLayer]:
    (weight,) = call.read(("other", None))
    call.require(hasattr(weight, "detach"), "constant weights", "other ones")
    values = call.tensor(weight, call.name)
    call.require(values.ndim == 2, "a matrix", f"shape {values.shape}")
    return [Linear(values.T, np.zeros(values.shape[1]))]


def _convolution(call: Call) -> list[FloatLayer]:
    weight, bias, stride, padding, dilation, groups = call.read(
        ("weight", None), ("bias", None), ("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1)
    )
    call.require(hasattr(weight, "detach"), "constant weights", "other ones")
    call.require(pair(dilation) == (1, 1), "a dilation of 1", dilation)
    call.require(not isinstance(padding, str), "padding in numbers", padding)
    values, (rows, columns) = call.tensor(weight, call.name), pair(padding)
    constant = np.zeros(len(values)) if bias is None else call.tensor(bias, call.name)
    return [Conv2d(values, constant, pair(stride), (rows, rows, columns, columns), groups)]


def _normalisation(call: Call) -> list[FloatLayer]:
    """Convert the operator, whose arguments stand in another order than the function's."""
    scale, shift, mean, variance, training, _, epsilon, _ = call.read(
        ("weight", None), ("bias", None), ("running_mean", None), ("running_var", None), ("training", False),
        ("momentum", 0.1), ("eps", 1e-5), ("cudnn_enabled", False),
    )  # fmt: skip
    call.require(training is False, "training off", training)
    call.require(mean is not None and variance is not None, "running statistics", "none")
    mean, variance = call.tensor(mean, call.name), call.tensor(variance, call.name)
    scale = 1.0 if scale is None else call.tensor(scale, call.name)
    shift = 0.0 if shift is None else call.tensor(shift, call.name)
    return [BatchNorm(mean, variance, scale, shift, call.number(epsilon))]


def _same(call: Call) -> list[FloatLayer]:
    call.read()
    return []


def _affine(combine: Callable[[Floats, bool], tuple[Floats, Floats]]) -> Callable[[Call], list[FloatLayer]]:
    """Make layers of a call with a number or one a channel, from the factor and the shift that it stands for."""

    def convert(call: Call) -> list[FloatLayer]:
        call.require(len(call.args) == 2 and not call.kwargs, "one number", "other arguments")
        number = call.channels(call.args[1] if call.first else call.args[0])
        call.require(bool(np.isfinite(number).all()), "finite numbers", number)
        factor, shift = combine(number, call.first)
        return [BatchNorm(np.zeros_like(factor), np.ones_like(factor), factor, shift, 0.0)]

    return convert


def _divide(number: Floats, first: bool) -> tuple[Floats, Floats]:
    if not first or not number.all():
        raise ParameterError(f"expected a division by a number other than zero, found {'zero' if first else 'another'}")
    return 1 / number, 0 * number


_ADD = _affine(lambda number, first: (np.ones_like(number), number))
_SUBTRACT = _affine(lambda number, first: (np.ones_like(number), -number) if first else (-np.ones_like(number), number))
_MULTIPLY = _affine(lambda number, first: (number, 0 * number))
_DIVIDE = _affine(_divide)

_BOTH: dict[str, Callable[[Call], list[FloatLayer]]] = {
    "relu": _relu,
    "relu_": _relu,
    "clamp": _clamp,
    "flatten": _flatten,
    "reshape": _view,
    "mean": _mean,
    "add": _ADD,
    "sub": _SUBTRACT,
    "mul": _MULTIPLY,
    "div": _DIVIDE,
    "matmul": _matmul,
}
METHODS: dict[str, Callable[[Call], list[FloatLayer]]] = _BOTH | {
    "view": _view,
    "contiguous": _same,
    "clone": _same,
    "detach": _same,
}
FUNCTIONS: dict[str, Callable[[Call], list[FloatLayer]]] = _BOTH | {
    "leaky_relu": _leaky_relu,
    "leaky_relu_": _leaky_relu,
    "dropout": _dropout,
    "dropout2d": _dropout,
    "max_pool2d": _max_pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _adaptive_pool,
    "linear": _linear,
    "conv2d": _convolution,
    "truediv": _DIVIDE,
}
OPERATORS: dict[str, Callable[[Call], list[FloatLayer]]] = METHODS | FUNCTIONS | {"batch_norm": _normalisation}
"""Those of torch itself, which a program of ``torch.export`` calls."""
