"""ONNX files as the layers of :meth:`mpc.inference.Network.from_layers`. This needs the extra ``onnx``.

The graph must be a chain. Every node takes the output of the one before, and constants. Anything else is refused with
the node's name and what is supported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class _Node:
    """One node, with its attributes, and its constant inputs in order."""

    name: str
    attributes: dict[str, Any]
    constants: list[NDArray[Any]]

    def get(self, key: str, default: Any) -> Any:
        """Return an attribute."""
        return self.attributes.get(key, default)

    def require(self, holds: bool, expected: str, found: object) -> None:
        """Refuse the node if this does not hold."""
        if not holds:
            raise ParameterError(f"expected {expected} in {self.name}, found {found}")

    def floats(self, index: int) -> Floats:
        """Return a constant input as floats."""
        self.require(index < len(self.constants), f"a constant input {index}", f"{len(self.constants)} constants")
        return np.asarray(self.constants[index], np.float64)


def from_onnx(path: str | Path) -> list[FloatLayer]:
    """Convert an ONNX file.

    Raises:
        ParameterError: no ONNX file, a graph that is no chain, or a node or setting that is not supported, by name.
    """
    try:
        import onnx  # noqa: PLC0415 - an optional extra
        from onnx import numpy_helper  # noqa: PLC0415
    except ImportError as error:
        raise ParameterError("expected the package onnx for ONNX files: pip install 'capc[onnx]'") from error
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:
        raise ParameterError(f"expected an ONNX file, found {path} ({type(error).__name__})") from error
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ParameterError(f"expected one input and one output, found {len(inputs)} and {len(graph.output)}")
    current, layers = inputs[0], list[FloatLayer]()
    for index, node in enumerate(graph.node):
        name = f"node {index} ({node.op_type})"
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            if "value" not in attributes:
                raise ParameterError(f"expected a tensor as value of {name}, found {', '.join(attributes)}")
            constants[node.output[0]] = numpy_helper.to_array(attributes["value"])
            continue
        if node.op_type not in _NODES:
            raise ParameterError(f"expected one of {', '.join(_NODES)}, found {name}")
        moving = [source for source in node.input if source and source not in constants]
        if moving != [current]:
            raise ParameterError(f"expected a chain, found {name} with inputs {', '.join(moving)} after {current}")
        found = _Node(name, attributes, [constants[source] for source in node.input if source in constants])
        _NODES[node.op_type](found, layers)
        current = node.output[0]
    if current != graph.output[0].name:
        raise ParameterError(f"expected the last node to give the output {graph.output[0].name}, found {current}")
    return layers


def _gemm(node: _Node, layers: list[FloatLayer]) -> None:
    node.require(node.get("transA", 0) == 0, "transA 0", node.get("transA", 0))
    weight = node.floats(0) * node.get("alpha", 1.0)
    weight = weight if node.get("transB", 0) else weight.T
    bias = node.floats(1) * node.get("beta", 1.0) if len(node.constants) > 1 else np.zeros(1)
    layers.append(Linear(weight, _row(node, bias, len(weight))))


def _matmul(node: _Node, layers: list[FloatLayer]) -> None:
    weight = node.floats(0)
    node.require(weight.ndim == 2, "a matrix", f"shape {weight.shape}")
    layers.append(Linear(weight.T, np.zeros(weight.shape[1])))


def _add(node: _Node, layers: list[FloatLayer]) -> None:
    last = layers[-1] if layers else None
    if not isinstance(last, Linear):
        raise ParameterError(f"expected {node.name} right after a MatMul, found it elsewhere")
    bias = np.asarray(last.bias, np.float64)
    layers[-1] = Linear(last.weight, bias + _row(node, node.floats(0), len(bias)))


def _convolution(node: _Node, layers: list[FloatLayer]) -> None:
    weight = node.floats(0)
    node.require(weight.ndim == 4, "two-dimensional images", f"weights of shape {weight.shape}")
    node.require(set(node.get("dilations", [1])) == {1}, "dilations of 1", node.get("dilations", [1]))
    bias = node.floats(1) if len(node.constants) > 1 else np.zeros(len(weight))
    stride = tuple(node.get("strides", [1, 1]))
    layers.append(Conv2d(weight, bias, stride, _sides(node), node.get("group", 1)))


def _normalisation(node: _Node, layers: list[FloatLayer]) -> None:
    node.require(not node.get("training_mode", 0), "training_mode 0", 1)
    scale, shift, mean, variance = (node.floats(index) for index in range(4))
    layers.append(BatchNorm(mean, variance, scale, shift, node.get("epsilon", 1e-5)))


def _pool(node: _Node, layers: list[FloatLayer]) -> None:
    kernel = tuple(node.get("kernel_shape", []))
    node.require(len(kernel) == 2, "two-dimensional windows", kernel)
    node.require(not node.get("ceil_mode", 0), "ceil_mode 0", 1)
    node.require(set(node.get("dilations", [1])) == {1}, "dilations of 1", node.get("dilations", [1]))
    stride, sides = tuple(node.get("strides", [1, 1])), _sides(node)
    if "MaxPool" in node.name:
        layers.append(MaxPool2d(kernel, stride, sides))
    else:
        counted = node.get("count_include_pad", 0) or not any(sides)
        node.require(bool(counted), "count_include_pad with padding", "none")
        layers.append(AvgPool2d(kernel, stride, sides))


def _flatten(node: _Node, layers: list[FloatLayer]) -> None:
    node.require(node.get("axis", 1) == 1, "axis 1", node.get("axis", 1))
    layers.append(Flatten())


def _reshape(node: _Node, layers: list[FloatLayer]) -> None:
    shape = node.floats(0).tolist()
    node.require(len(shape) == 2, "a row a query", shape)
    layers.append(Flatten())


def _mean(node: _Node, layers: list[FloatLayer]) -> None:
    axes = node.floats(0).tolist() if node.constants else node.get("axes", [])
    node.require(sorted(axis % 4 for axis in axes) == [2, 3], "the mean of an image's pixels", f"axes {axes}")
    layers.append(AdaptiveAvgPool2d(1))
    if not node.get("keepdims", 1):
        layers.append(Flatten())


def _sides(node: _Node) -> tuple[int, int, int, int]:
    automatic = node.get("auto_pad", b"NOTSET").decode()
    node.require(automatic in ("NOTSET", "VALID", "SAME_UPPER"), "auto_pad NOTSET, VALID or SAME_UPPER", automatic)
    if automatic == "SAME_UPPER":
        stride = node.get("strides", [1, 1])
        node.require(set(stride) == {1}, "strides of 1 with auto_pad SAME_UPPER", stride)
        rows, columns = (size - 1 for size in node.get("kernel_shape", [1, 1]))
        return rows // 2, rows - rows // 2, columns // 2, columns - columns // 2
    top, left, bottom, right = node.get("pads", [0, 0, 0, 0])
    return top, bottom, left, right


def _row(node: _Node, values: Floats, outputs: int) -> Floats:
    node.require(values.size in (1, outputs), f"a bias of {outputs} values", f"shape {values.shape}")
    return np.broadcast_to(values.reshape(-1), (outputs,)).copy()


_NODES: dict[str, Callable[[_Node, list[FloatLayer]], None]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Conv": _convolution,
    "BatchNormalization": _normalisation,
    "Relu": lambda node, layers: layers.append(ReLU()),
    "LeakyRelu": lambda node, layers: layers.append(LeakyReLU(node.get("alpha", 0.01))),
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": lambda node, layers: layers.append(AdaptiveAvgPool2d(1)),
    "ReduceMean": _mean,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Dropout": lambda node, layers: None,
    "Identity": lambda node, layers: None,
}
