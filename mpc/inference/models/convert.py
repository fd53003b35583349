"""Trained torch modules and scikit-learn estimators as the layers of :meth:`mpc.inference.Network.from_layers`.

A model is converted exactly or not at all. Anything that is not listed is refused with its name and what is supported.
Neither library is imported here, as the owner of a model has its library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError
from mpc.inference.models.floats import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    FloatLayer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
)

Pair = tuple[int, int]


def from_torch(module: Any) -> list[FloatLayer]:
    """Convert a ``torch.nn.Sequential`` (which may contain others) or one module, as in ``eval`` mode.

    The last layer must give the logits. Leave a softmax out, the largest logit is the same.

    Raises:
        ParameterError: a module or a setting that is not supported, with its place and name.
    """
    return [layer for name, leaf in _leaves(module, "") for layer in _from_module(leaf, name)]


def _leaves(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    kind = type(module).__name__
    if kind == "Sequential":
        for name, child in module.named_children():
            yield from _leaves(child, f"{path}.{name}" if path else name)
    else:
        yield f"module {path or '0'} ({kind})", module


def _from_module(module: Any, name: str) -> list[FloatLayer]:
    if not type(module).__module__.startswith("torch.nn."):
        raise ParameterError(f"expected one of {', '.join(_TORCH)} from torch.nn, found {name}")
    convert = _TORCH.get(type(module).__name__)
    if convert is None:
        raise ParameterError(f"expected one of {', '.join(_TORCH)}, found {name}")
    layer = convert(module, name)
    return [] if layer is None else [layer]


def _linear(module: Any, _: str) -> FloatLayer:
    weight = _array(module.weight)
    return Linear(weight, _bias(module.bias, len(weight)))


def _convolution(module: Any, name: str) -> FloatLayer:
    _require(module.padding_mode == "zeros", name, "zeros as padding", module.padding_mode)
    _require(_pair(module.dilation) == (1, 1), name, "a dilation of 1", module.dilation)
    weight = _array(module.weight)
    if module.padding == "valid":
        sides = (0, 0, 0, 0)
    elif module.padding == "same":  # torch puts the odd zero at the end
        rows, columns = (size - 1 for size in weight.shape[2:])
        sides = (rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)
    else:
        sides = _sides(module.padding)
    return Conv2d(weight, _bias(module.bias, len(weight)), _pair(module.stride), sides, module.groups)


def _normalisation(module: Any, name: str) -> FloatLayer:
    _require(module.running_mean is not None, name, "running statistics", "none")
    features = module.num_features
    scale = np.ones(features) if module.weight is None else _array(module.weight)
    mean, variance = _array(module.running_mean), _array(module.running_var)
    return BatchNorm(mean, variance, scale, _bias(module.bias, features), module.eps)


def _max_pool(module: Any, name: str) -> FloatLayer:
    _require(_pair(module.dilation) == (1, 1), name, "a dilation of 1", module.dilation)
    _require(not module.ceil_mode, name, "ceil_mode off", "on")
    _require(not module.return_indices, name, "return_indices off", "on")
    return MaxPool2d(_pair(module.kernel_size), _pair(module.stride), _sides(module.padding))


def _average_pool(module: Any, name: str) -> FloatLayer:
    padding = _sides(module.padding)
    _require(not module.ceil_mode, name, "ceil_mode off", "on")
    _require(module.divisor_override is None, name, "no divisor_override", module.divisor_override)
    _require(module.count_include_pad or not any(padding), name, "count_include_pad with padding", "none")
    return AvgPool2d(_pair(module.kernel_size), _pair(module.stride), padding)


def _adaptive_pool(module: Any, name: str) -> FloatLayer:
    sizes = module.output_size
    _require(isinstance(sizes, int) or None not in sizes, name, "a whole output size", sizes)
    return AdaptiveAvgPool2d(_pair(sizes))


def _flatten(module: Any, name: str) -> FloatLayer:
    dimensions = (module.start_dim, module.end_dim)
    _require(dimensions in ((1, -1), (1, 3)), name, "all dimensions but the first", dimensions)
    return Flatten()


_TORCH: dict[str, Callable[[Any, str], FloatLayer | None]] = {
    "Linear": _linear,
    "Conv2d": _convolution,
    "BatchNorm1d": _normalisation,
    "BatchNorm2d": _normalisation,
    "ReLU": lambda module, name: ReLU(),
    "LeakyReLU": lambda module, name: LeakyReLU(module.negative_slope),
    "MaxPool2d": _max_pool,
    "AvgPool2d": _average_pool,
    "AdaptiveAvgPool2d": _adaptive_pool,
    "Flatten": _flatten,
    "Dropout": lambda module, name: None,
    "Dropout2d": lambda module, name: None,
    "Identity": lambda module, name: None,
}


def from_sklearn(model: Any) -> list[FloatLayer]:
    """Convert a fitted ``LogisticRegression``, ``LinearSVC`` or ``MLPClassifier`` (ReLU or no activation).

    There is one logit a class, in the order of ``model.classes_``. Of two classes the first one's logit is 0. The class
    with the largest logit is then the one that ``predict`` gives.

    Raises:
        ParameterError: another estimator, one that is not fitted, or a setting that is not supported.
    """
    name = type(model).__name__
    if name in ("LogisticRegression", "LinearSVC"):
        _require(hasattr(model, "coef_"), name, "a fitted estimator", "one without coefficients")
        coefficients = np.asarray(model.coef_, np.float64)
        intercepts = np.broadcast_to(np.asarray(model.intercept_, np.float64), coefficients.shape[:1])
        return [Flatten(), _of_two_classes(coefficients, intercepts)]
    if name == "MLPClassifier":
        _require(hasattr(model, "coefs_"), name, "a fitted estimator", "one without coefficients")
        _require(model.activation in ("relu", "identity"), name, "activation relu or identity", model.activation)
        _require(model.out_activation_ != "logistic" or model.n_outputs_ == 1, name, "one label", "several")
        layers: list[FloatLayer] = [Flatten()]
        pairs = list(zip(model.coefs_, model.intercepts_, strict=True))
        for weights, bias in pairs[:-1]:
            layers.append(Linear(np.asarray(weights, np.float64).T, np.asarray(bias, np.float64)))
            layers += [ReLU()] if model.activation == "relu" else []
        return [*layers, _of_two_classes(np.asarray(pairs[-1][0], np.float64).T, np.asarray(pairs[-1][1], np.float64))]
    raise ParameterError(f"expected one of LogisticRegression, LinearSVC, MLPClassifier, found {name}")


def _of_two_classes(weights: NDArray[np.float64], bias: NDArray[np.float64]) -> Linear:
    """One decision value is the second class's logit beside a first one of zero."""
    if len(weights) > 1:
        return Linear(weights, bias)
    return Linear(np.concatenate([np.zeros_like(weights), weights]), np.concatenate([np.zeros(1), bias]))


def _array(tensor: Any) -> NDArray[np.float64]:
    return np.asarray(tensor.detach().cpu().numpy(), np.float64)


def _bias(tensor: Any, outputs: int) -> NDArray[np.float64]:
    return np.zeros(outputs) if tensor is None else _array(tensor)


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _sides(padding: Any) -> tuple[int, int, int, int]:
    rows, columns = _pair(padding)
    return rows, rows, columns, columns


def _require(holds: bool, name: str, expected: str, found: object) -> None:
    if not holds:
        raise ParameterError(f"expected {expected} in {name}, found {found}")
