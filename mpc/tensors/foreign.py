"""The functions of numpy and torch that private tensors take part in, by these libraries' own protocols.

`np.exp(x)` or `torch.matmul(x, w)` then is the private operation. A function that is not in the table is refused, so
that no library makes a plain array of a private tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mpc.tensors import arithmetic, comparing, convolution, products, shaping
from mpc.tensors.tensor import PrivateTensor

Operation = Callable[..., object]


def _method(name: str) -> Operation:
    def call_method(x: Any, *inputs: object, **options: object) -> object:
        return getattr(x, name)(*inputs, **options)

    return call_method


def _dim(name: str) -> Operation:
    """Return a reduction that also takes torch's words for its axis."""

    def reduce(x: Any, axis: object = None, keepdims: bool = False, **options: Any) -> object:
        axis = options.pop("dim", axis)
        keepdims = options.pop("keepdim", keepdims)
        if any(value is not None for value in options.values()):
            raise TypeError(f"{name}: expected the options axis and keepdims, found {', '.join(options)}")
        return getattr(x, name)(axis) if name == "argmax" else getattr(x, name)(axis, keepdims)

    return reduce


def _softmax(x: PrivateTensor, dim: int = -1, **_: object) -> PrivateTensor:
    return x.softmax(dim)


def _relu(x: PrivateTensor, inplace: bool = False) -> PrivateTensor:
    if inplace:
        raise TypeError("relu: expected inplace=False, because a private tensor does not change")
    return x.relu()


_UFUNCS: dict[str, Operation] = {
    "add": arithmetic.add_any,
    "subtract": arithmetic.subtract,
    "multiply": arithmetic.multiply_any,
    "matmul": products.matmul,
    "divide": lambda x, y: x / y if isinstance(x, PrivateTensor) else y.__rtruediv__(x),
    "power": lambda x, n: x**n,
    "negative": arithmetic.negate,
    "positive": lambda x: x,
    "square": _method("square"),
    "less": comparing.less,
    "greater": lambda x, y: comparing.less(y, x),
    "less_equal": lambda x, y: comparing.negated(comparing.less(y, x)),
    "greater_equal": lambda x, y: comparing.negated(comparing.less(x, y)),
    "equal": comparing.equal,
    "not_equal": lambda x, y: comparing.negated(comparing.equal(x, y)),
    "maximum": comparing.maximum,
    "minimum": comparing.minimum,
    **{name: _method(name) for name in ("exp", "log", "sqrt", "reciprocal", "tanh")},
    "absolute": _method("abs"),
}
_FUNCTIONS: dict[str, Operation] = {
    **{name: _dim(name) for name in ("sum", "mean", "max", "min", "argmax")},
    "amax": _dim("max"),
    "amin": _dim("min"),
    "where": comparing.where,
    "clip": _method("clip"),
    "concatenate": shaping.concatenate,
    "stack": shaping.stack,
    "dot": products.matmul,
    **{name: _method(name) for name in ("reshape", "transpose", "squeeze", "broadcast_to")},
    "shape": lambda x: x.shape,
    "ndim": lambda x: x.ndim,
    "size": lambda x: x.size,
}
_TORCH: dict[str, Operation] = {
    **_FUNCTIONS,
    **_UFUNCS,
    "concat": lambda tensors, dim=0: shaping.concatenate(tensors, dim),
    "cat": lambda tensors, dim=0: shaping.concatenate(tensors, dim),
    "stack": lambda tensors, dim=0: shaping.stack(tensors, dim),
    "mul": arithmetic.multiply_any,
    "sub": arithmetic.subtract,
    "div": _UFUNCS["divide"],
    "neg": arithmetic.negate,
    "abs": _method("abs"),
    "mm": products.matmul,
    "bmm": products.matmul,
    "lt": comparing.less,
    "gt": _UFUNCS["greater"],
    "le": _UFUNCS["less_equal"],
    "ge": _UFUNCS["greater_equal"],
    "eq": comparing.equal,
    "ne": _UFUNCS["not_equal"],
    "clamp": lambda x, min=None, max=None: x.clip(min, max),
    "sigmoid": _method("sigmoid"),
    "softmax": _softmax,
    "relu": _relu,
    "flatten": lambda x, start_dim=0: x.flatten(start_dim),
    "conv2d": convolution.conv2d,
    "avg_pool2d": convolution.avg_pool2d,
    "max_pool2d": convolution.max_pool2d,
}
_BY_LIBRARY = {"numpy": _FUNCTIONS, "torch": _TORCH}


def numpy_ufunc(function: object, method: str, inputs: Sequence[object], options: Mapping[str, object]) -> object:
    """Return what a numpy ufunc gives, such as `np.exp(x)` or an array plus a private tensor."""
    name = getattr(function, "__name__", str(function))
    if method != "__call__" or options or name not in _UFUNCS:
        raise TypeError(f"numpy.{name} takes no private tensor here: expected {_known(_UFUNCS)}")
    return _UFUNCS[name](*inputs)


def call(library: str, function: object, inputs: Sequence[object], options: Mapping[str, object]) -> object:
    """Return what a function of numpy or torch gives on private tensors."""
    name = getattr(function, "__name__", str(function))
    table = _BY_LIBRARY[library]
    if name not in table:
        raise TypeError(f"{library}.{name} takes no private tensor here: expected {_known(table)}")
    return table[name](*inputs, **options)


def _known(table: Mapping[str, Operation]) -> str:
    return f"one of {', '.join(sorted(table))}"
