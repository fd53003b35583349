"""ONNX files as the layers of :meth:`mpc.inference.Network.from_layers`. This needs the extra ``onnx``.

The graph must be a chain. Every node takes the output of the one before, as the input where its operator has it, and
constants. Nodes of constants alone are computed. Anything else is refused with the node's name and what is supported,
down to attributes that are not known here. What was made of the file is run against onnx's reference evaluator
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError
from mpc.extras import needed
from mpc.inference.models.converted import DOUBLE, SINGLE, ConvertedLayers
from mpc.inference.models.endings import ending_of
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
from mpc.inference.models.floats.layer import first_line, reals

_OLDEST_OPSET = 7  # before, operators broadcast along attributes


@dataclass(frozen=True, repr=False)
class _Node:
    """One node, with its attributes, and its inputs in their positions. None is the moving one or one left out."""

    name: str
    operator: str
    attributes: dict[str, Any]
    inputs: list[NDArray[Any] | None]
    moving: int
    alone: bool

    def get(self, key: str, default: Any) -> Any:
        """Return an attribute."""
        return self.attributes.get(key, default)

    def require(self, holds: bool, expected: str, found: object) -> None:
        """Refuse the node if this does not hold."""
        if not holds:
            raise ParameterError(f"expected {expected} in {self.name}, found {found}")

    def has(self, index: int) -> bool:
        """Return whether there is a constant at a position."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def floats(self, index: int) -> Floats:
        """Return the constant at a position as floats."""
        self.require(self.has(index), f"a constant as input {index}", "none")
        return reals(self.inputs[index], self.name)


def from_onnx(path: str | Path, drop_endings: bool = False) -> ConvertedLayers:
    """Convert an ONNX file.

    Args:
        drop_endings: leave out a softmax, log softmax, sigmoid or arg max at the end (:mod:`.endings`).

    Raises:
        ParameterError: no ONNX file, a graph that is no chain, or a node or setting that is not supported, by name.
    """
    onnx = needed("onnx", "ONNX files")
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - not a part of `import onnx`

    try:
        model = onnx.load(str(path))
    except Exception as error:
        raise ParameterError(f"expected an ONNX file, found {path} ({type(error).__name__})") from error
    unit = _without_halves(onnx, model)
    source = f"the file {Path(path).name}"
    chain = _chain(onnx, model, drop_endings)
    entry, alone = chain.entry, chain.alone
    try:
        _pad_apart(onnx, model)
        whole = ReferenceEvaluator(model)
        if chain.endings:
            model.graph.output.append(onnx.ValueInfoProto(name=chain.logits))
            del model.graph.output[0]
        evaluator = ReferenceEvaluator(model)
    except Exception as error:
        raise ParameterError(
            f"expected a file that onnx's reference evaluator runs, found {type(error).__name__}: {first_line(error)}"
        ) from error
    kind = np.float64 if entry.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE else np.float32

    def computed_by(evaluator: Any) -> Callable[[Floats], Floats]:
        def compute(values: Floats) -> Floats:
            queries = values.astype(kind)
            batches = np.split(queries, len(queries)) if alone else [queries]
            return np.concatenate([reals(evaluator.run(None, {entry.name: one})[0], source) for one in batches])

        return compute

    return ConvertedLayers(chain.layers, computed_by(evaluator), source, unit, chain.endings, computed_by(whole))


def unsupported_nodes(path: str | Path) -> list[tuple[str, str]]:
    """Return the place and the operator of every node of an ONNX file that no layer stands for, of constants aside."""
    onnx = needed("onnx", "ONNX files")
    graph = onnx.load(str(path)).graph
    constant, found = {tensor.name for tensor in graph.initializer}, []
    for index, node in enumerate(graph.node):
        if {one for one in node.input if one} <= constant:
            constant.update(node.output)
        elif node.op_type not in _NODES and ending_of(node.op_type) is None:
            found.append((f"node {index}", node.op_type))
    return found


@dataclass(frozen=True, repr=False)
class _Chain:
    """What a graph holds, with its input, the name of its logits, and whether it takes one query at a time."""

    layers: list[FloatLayer]
    entry: Any
    alone: bool
    logits: str
    endings: list[str]


def _chain(onnx: Any, model: Any, drop_endings: bool) -> _Chain:
    """Follow the nodes from the input to the output."""
    graph = model.graph
    version = max((one.version for one in model.opset_import if one.domain in _DOMAINS), default=0)
    if version < _OLDEST_OPSET:
        raise ParameterError(f"expected operators of version {_OLDEST_OPSET} or later, found version {version}")
    if model.functions or graph.sparse_initializer:
        raise ParameterError("expected no functions and no sparse constants in the file, found some")
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ParameterError(
            f"expected one input and one output, found {len(inputs)} and {len(graph.output)}"
            + ("; a classifier of scikit-learn converts by from_sklearn" if len(graph.output) > 1 else "")
        )
    entry, current, logits, layers, endings = inputs[0], inputs[0].name, "", list[FloatLayer](), list[str]()
    if entry.type.tensor_type.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        raise ParameterError(f"expected an input of floats, found type {entry.type.tensor_type.elem_type}")
    dimensions = entry.type.tensor_type.shape.dim
    alone = bool(dimensions) and dimensions[0].dim_value == 1
    for index, node in enumerate(graph.node):
        name = f"node {index} ({node.op_type})"
        if node.domain not in _DOMAINS:
            raise ParameterError(f"expected operators of ONNX itself, found {name} of the domain {node.domain}")
        sources = list(node.input)
        moving = [source for source in sources if source and source not in constants]
        if not moving and (sources or node.op_type == "Constant"):
            constants.update(_computed(onnx, model, node, constants, name))
            continue
        ending = ending_of(node.op_type) if drop_endings else None
        if endings and ending is None and node.op_type not in ("Identity", "Cast"):
            raise ParameterError(f"expected the {endings[-1]} as the last node, found {name} behind it")
        if node.op_type not in _NODES and ending is None:
            raise ParameterError(f"expected one of {', '.join(_NODES)}, found {name}{_ADVICE.get(node.op_type, '')}")
        if moving != [current]:
            raise ParameterError(f"expected a chain, found {name} with inputs {', '.join(moving)} after {current}")
        known, convert = _NODES[node.op_type] if ending is None else (("axis", "keepdims", "select_last_index"), _last)
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        unknown = sorted(set(attributes) - set(known))
        values = [constants.get(source) if source else None for source in sources]
        found = _Node(name, node.op_type, attributes, values, sources.index(current), alone)
        found.require(not unknown, f"attributes among {', '.join(known) or 'none'}", ", ".join(unknown))
        found.require(
            found.moving == 0 or node.op_type == "Add", "the moving tensor as the first input", f"input {found.moving}"
        )
        convert(found, layers)
        if ending is not None:
            logits = logits or current
            endings.append(ending)
        current = node.output[0]
    if current != graph.output[0].name:
        raise ParameterError(f"expected the last node to give the output {graph.output[0].name}, found {current}")
    return _Chain(layers, entry, alone, logits or current, endings)


def _computed(onnx: Any, model: Any, node: Any, constants: dict[str, Any], name: str) -> dict[str, NDArray[Any]]:
    """What a node of constants alone gives, by onnx's reference evaluator.

    Raises:
        ParameterError: it gives no tensor.
    """
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

    try:
        given = {source: constants[source] for source in node.input if source}
        results = [one for one in node.output if one]
        typed = [
            onnx.helper.make_tensor_value_info(source, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for source, value in given.items()
        ]
        graph = onnx.helper.make_graph([node], "constant", typed, [onnx.ValueInfoProto(name=one) for one in results])
        whole = onnx.helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
        found = dict(zip(results, ReferenceEvaluator(whole).run(None, given), strict=True))
    except Exception as error:
        raise ParameterError(
            f"expected a constant that onnx can compute in {name}, found {type(error).__name__}: {first_line(error)}"
        ) from error
    for value in found.values():
        if not isinstance(value, np.ndarray | np.generic):
            raise ParameterError(f"expected a tensor as value of {name}, found {type(value).__name__}")
    return {key: np.asarray(value) for key, value in found.items()}


def _pad_apart(onnx: Any, model: Any) -> None:
    """Pad before max pooling, not in it.

    onnx's reference evaluator mixes up the sides there if they differ (found with onnx 1.23), and pads well by itself.
    """
    if max((one.version for one in model.opset_import if one.domain in _DOMAINS), default=0) < 11:
        return  # Pad had attributes instead of inputs
    double = model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    nodes = []
    for index, node in enumerate(model.graph.node):
        pads = next((attribute for attribute in node.attribute if attribute.name == "pads"), None)
        if node.op_type == "MaxPool" and pads is not None and any(pads.ints):
            top, left, bottom, right = pads.ints
            names = [f"padded apart {index} {part}" for part in ("sides", "value", "image")]
            lowest = np.array(-np.inf, np.float64 if double else np.float32)
            sides = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
            for name, value in zip(names, (sides, lowest), strict=False):
                model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
            nodes.append(onnx.helper.make_node("Pad", [node.input[0], *names[:2]], names[2:]))
            node.input[0] = names[2]
            node.attribute.remove(pads)
        nodes.append(node)
    whole = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(whole)


def _without_halves(onnx: Any, model: Any) -> float:
    """Turn 16-bit floats into 32-bit ones, which is exact for constants. Returns the unit roundoff of what is left."""
    halves = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    single: int = onnx.TensorProto.FLOAT
    kinds: set[int] = set()

    def widened(tensor: Any) -> None:
        if tensor.data_type in halves:
            values = np.asarray(onnx.numpy_helper.to_array(tensor)).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        kinds.add(tensor.data_type)

    for tensor in model.graph.initializer:
        widened(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                widened(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i in halves:
                attribute.i = single
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        tensor_type = value.type.tensor_type
        if tensor_type.elem_type in halves:
            tensor_type.elem_type = single
        kinds.add(tensor_type.elem_type)
    return SINGLE if single in kinds or onnx.TensorProto.DOUBLE not in kinds else DOUBLE


def _gemm(node: _Node, layers: list[FloatLayer]) -> None:
    node.require(node.get("transA", 0) == 0, "transA 0", node.get("transA", 0))
    weight = node.floats(1) * node.get("alpha", 1.0)
    node.require(weight.ndim == 2, "a matrix", f"shape {weight.shape}")
    weight = weight if node.get("transB", 0) else weight.T
    bias = node.floats(2) * node.get("beta", 1.0) if node.has(2) else np.zeros(1)
    layers.append(Linear(weight, _row(node, bias, len(weight))))


def _matmul(node: _Node, layers: list[FloatLayer]) -> None:
    weight = node.floats(1)
    node.require(weight.ndim == 2, "a matrix", f"shape {weight.shape}")
    layers.append(Linear(weight.T, np.zeros(weight.shape[1])))


def _add(node: _Node, layers: list[FloatLayer]) -> None:
    last = layers[-1] if layers else None
    if not isinstance(last, Linear):
        raise ParameterError(f"expected {node.name} right after a MatMul, found it elsewhere")
    bias = np.asarray(last.bias, np.float64)
    layers[-1] = Linear(last.weight, bias + _row(node, node.floats(1 - node.moving), len(bias)))


def _convolution(node: _Node, layers: list[FloatLayer]) -> None:
    weight = node.floats(1)
    node.require(weight.ndim == 4, "two-dimensional images", f"weights of shape {weight.shape}")
    node.require(set(node.get("dilations", [1])) == {1}, "dilations of 1", node.get("dilations", [1]))
    bias = node.floats(2) if node.has(2) else np.zeros(len(weight))
    kernel = list(node.get("kernel_shape", weight.shape[2:]))
    node.require(kernel == list(weight.shape[2:]), f"kernels of {weight.shape[2:]}", kernel)
    stride = tuple(node.get("strides", [1, 1]))
    layers.append(Conv2d(weight, bias, stride, _sides(node, kernel), node.get("group", 1)))


def _normalisation(node: _Node, layers: list[FloatLayer]) -> None:
    node.require(not node.get("training_mode", 0), "training_mode 0", 1)
    scale, shift, mean, variance = (node.floats(index) for index in range(1, 5))
    layers.append(BatchNorm(mean, variance, scale, shift, node.get("epsilon", 1e-5)))


def _pool(node: _Node, layers: list[FloatLayer]) -> None:
    kernel = tuple(node.get("kernel_shape", []))
    node.require(len(kernel) == 2, "two-dimensional windows", kernel)
    node.require(not node.get("ceil_mode", 0), "ceil_mode 0", 1)
    node.require(set(node.get("dilations", [1])) == {1}, "dilations of 1", node.get("dilations", [1]))
    stride, sides = tuple(node.get("strides", [1, 1])), _sides(node, list(kernel))
    if node.operator == "MaxPool":
        layers.append(MaxPool2d(kernel, stride, sides))
    else:
        counted = node.get("count_include_pad", 0) or not any(sides)
        node.require(bool(counted), "count_include_pad with padding", "none")
        layers.append(AvgPool2d(kernel, stride, sides))


def _flatten(node: _Node, layers: list[FloatLayer]) -> None:
    node.require(node.get("axis", 1) == 1, "axis 1", node.get("axis", 1))
    layers.append(Flatten())


def _reshape(node: _Node, layers: list[FloatLayer]) -> None:
    shape = [int(size) for size in node.floats(1).reshape(-1)]
    node.require(len(shape) == 2, "a row a query", shape)
    queries = (0, -1, 1) if node.alone else (0, -1)  # 1 cuts nothing where the file takes one query at a time
    node.require(shape[0] in queries, "a row for each query (0 or -1 rows)", shape)
    node.require(not (0 in shape and node.get("allowzero", 0)), "allowzero 0", 1)
    layers.append(Flatten())


def _last(node: _Node, layers: list[FloatLayer]) -> None:
    axis = node.get("axis", 0 if node.operator == "ArgMax" else -1)
    if node.operator != "Sigmoid":
        node.require(axis in (1, -1), "the axis of the classes (1 or -1)", axis)
    node.require(not node.get("select_last_index", 0), "select_last_index 0", 1)


def _dropout(node: _Node, layers: list[FloatLayer]) -> None:
    training = node.inputs[2] if len(node.inputs) > 2 else None
    node.require(training is None or not np.asarray(training).any(), "training_mode false", True)


def _cast(node: _Node, layers: list[FloatLayer]) -> None:
    node.require(node.get("to", 1) in (1, 11), "a cast to floats", f"type {node.get('to', 1)}")  # FLOAT, DOUBLE


def _mean(node: _Node, layers: list[FloatLayer]) -> None:
    axes = [int(axis) for axis in node.floats(1).reshape(-1)] if node.has(1) else node.get("axes", [])
    node.require(sorted(axis % 4 for axis in axes) == [2, 3], "the mean of an image's pixels", f"axes {axes}")
    layers.append(AdaptiveAvgPool2d(1))
    if not node.get("keepdims", 1):
        layers.append(Flatten())


def _sides(node: _Node, kernel: list[int]) -> tuple[int, int, int, int]:
    automatic = node.get("auto_pad", b"NOTSET").decode()
    node.require(automatic in ("NOTSET", "VALID", "SAME_UPPER"), "auto_pad NOTSET, VALID or SAME_UPPER", automatic)
    pads = list(node.get("pads", [0, 0, 0, 0]))
    node.require(len(pads) == 4, "pads of 4 numbers", pads)
    node.require(automatic == "NOTSET" or not any(pads), "pads or auto_pad", "both")
    if automatic == "SAME_UPPER":
        stride = node.get("strides", [1, 1])
        node.require(set(stride) == {1}, "strides of 1 with auto_pad SAME_UPPER", stride)
        rows, columns = (size - 1 for size in kernel)
        return rows // 2, rows - rows // 2, columns // 2, columns - columns // 2
    top, left, bottom, right = pads
    return top, bottom, left, right


def _row(node: _Node, values: Floats, outputs: int) -> Floats:
    """A bias that is the same for every query."""
    shapes = ((), (1,), (1, 1), (outputs,), (1, outputs))
    node.require(values.shape in shapes, f"a bias of {outputs} values in a row", f"shape {values.shape}")
    return np.broadcast_to(values.reshape(-1), (outputs,)).copy()


_DOMAINS = ("", "ai.onnx")
_ADVICE = {
    name: "; leave it out, the largest logit is the same" for name in ("Softmax", "LogSoftmax", "Sigmoid", "Hardmax")
}
_WINDOWS = ("auto_pad", "dilations", "kernel_shape", "pads", "strides")

# What is converted, with the attributes that are read. Of `momentum` and `seed` nothing depends in inference.
_NODES: dict[str, tuple[tuple[str, ...], Callable[[_Node, list[FloatLayer]], None]]] = {
    "Gemm": (("alpha", "beta", "transA", "transB"), _gemm),
    "MatMul": ((), _matmul),
    "Add": ((), _add),
    "Conv": ((*_WINDOWS, "group"), _convolution),
    "BatchNormalization": (("epsilon", "momentum", "training_mode"), _normalisation),
    "Relu": ((), lambda node, layers: layers.append(ReLU())),
    "LeakyRelu": (("alpha",), lambda node, layers: layers.append(LeakyReLU(node.get("alpha", 0.01)))),
    "MaxPool": ((*_WINDOWS, "ceil_mode", "storage_order"), _pool),
    "AveragePool": ((*_WINDOWS, "ceil_mode", "count_include_pad"), _pool),
    "GlobalAveragePool": ((), lambda node, layers: layers.append(AdaptiveAvgPool2d(1))),
    "ReduceMean": (("axes", "keepdims", "noop_with_empty_axes"), _mean),
    "Flatten": (("axis",), _flatten),
    "Reshape": (("allowzero",), _reshape),
    "Dropout": (("ratio", "seed"), _dropout),
    "Cast": (("to", "saturate"), _cast),
    "Identity": ((), lambda node, layers: None),
}
