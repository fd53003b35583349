"""Float layers as an ONNX file for their owner, held to the layers when it is written. Only a child imports this.

operators   version 17, of ONNX itself, in float32
input       ``records``, (batch, channels, height, width), or (batch, values) where records are rows of values
output      ``logits``, (batch, classes)
metadata    ``classes``, their names as a JSON list; ``labelling``, class or labels
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mpc.extras import needed
from mpc.inference.models.converted import SINGLE, ConvertedLayers
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
from mpc.inference.models.floats.layer import pair, reals, sides
from parties.frame.private_files import write_private
from parties.learning.labels import Labelling
from parties.learning.model_files.layers_file import without_rows

OPSET, _IR_VERSION = 17, 8
INPUT, OUTPUT = "records", "logits"
_SAMPLES = 16


def write_onnx(
    path: Path, layers: Sequence[FloatLayer], shape: tuple[int, ...], classes: Sequence[str], labelling: Labelling
) -> float:
    """Write for the owner alone (0600), atomically, and return the largest difference of a logit on samples in 0..1.

    Raises `ParameterError` if the file computes other logits than the layers by more than rounding explains.
    """
    onnx = needed("onnx", "an ONNX file")
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - not a part of `import onnx`

    layers, shape = without_rows(layers, shape)
    graph = _Graph(onnx.helper)
    current = shape
    for layer in layers:
        _WRITERS[type(layer)](graph, layer, current)
        current = layer.output_shape(current)
    graph.node("Identity", OUTPUT)
    floats = onnx.TensorProto.FLOAT
    whole = onnx.helper.make_graph(
        graph.nodes,
        "model",
        [onnx.helper.make_tensor_value_info(INPUT, floats, ["batch", *shape])],
        [onnx.helper.make_tensor_value_info(OUTPUT, floats, ["batch", *current])],
        [onnx.numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
    )
    opset = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(whole, opset_imports=opset, ir_version=_IR_VERSION, producer_name="capc")
    onnx.helper.set_model_props(model, {"classes": json.dumps(list(classes)), "labelling": labelling})
    onnx.checker.check_model(model, full_check=True)
    evaluator: Any = ReferenceEvaluator(model)

    def original(values: Floats) -> Floats:
        return reals(evaluator.run(None, {INPUT: values.astype(np.float32)})[0], path.name)

    held = ConvertedLayers(layers, original, f"the file {path.name}", SINGLE)
    difference = held.compare(np.random.default_rng(0).random((_SAMPLES, *shape)))
    write_private(path, model.SerializeToString())
    return difference


class _Graph:
    """Nodes in a chain, and their constants."""

    def __init__(self, helper: Any) -> None:
        self._helper = helper
        self._last = INPUT
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def constant(self, value: Any, kind: type = np.float32) -> str:
        """Return the name of a constant."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value, np.float64).astype(kind)
        return name

    def node(
        self, operator: str, output: str = "", before: Sequence[str] = (), after: Sequence[str] = (), **more: Any
    ) -> None:
        """Add a node that takes the last result, between other inputs."""
        result = output or f"t{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(operator, [*before, self._last, *after], [result], **more))
        self._last = result


def _linear(graph: _Graph, layer: Linear, shape: tuple[int, ...]) -> None:
    graph.node("Gemm", after=[graph.constant(layer.weight), graph.constant(layer.bias)], transB=1)


def _convolution(graph: _Graph, layer: Conv2d, shape: tuple[int, ...]) -> None:
    weights = [graph.constant(layer.weight), graph.constant(layer.bias)]
    graph.node("Conv", after=weights, strides=pair(layer.stride), pads=_pads(layer), group=int(layer.groups))


def _normalisation(graph: _Graph, layer: BatchNorm, shape: tuple[int, ...]) -> None:
    # Mean 0, variance 1 and no epsilon. What is left is a factor and a constant for every channel.
    parts = [*layer.affine(shape[0], repr(layer)), np.zeros(shape[0]), np.ones(shape[0])]
    graph.node("BatchNormalization", after=[graph.constant(part) for part in parts], epsilon=0.0)


def _average(graph: _Graph, layer: AvgPool2d, shape: tuple[int, ...]) -> None:
    graph.node("AveragePool", count_include_pad=1, **_windows(layer))


def _maximum(graph: _Graph, layer: MaxPool2d, shape: tuple[int, ...]) -> None:
    top, bottom, left, right = sides(layer.padding)
    windows = _windows(layer)
    if (top, left) != (bottom, right):  # onnx's reference evaluator mixes up the sides in the node itself
        borders = graph.constant([0, 0, top, left, 0, 0, bottom, right], np.int64)
        graph.node("Pad", after=[borders, graph.constant(-np.inf)])
        windows["pads"] = [0, 0, 0, 0]
    graph.node("MaxPool", **windows)


def _adaptive(graph: _Graph, layer: AdaptiveAvgPool2d, shape: tuple[int, ...]) -> None:
    rows, columns = pair(layer.output)
    if shape[1] % rows == 0 and shape[2] % columns == 0:
        kernel = (shape[1] // rows, shape[2] // columns)
        graph.node("AveragePool", kernel_shape=kernel, strides=kernel)
        return
    # Windows of unequal size are a matrix for the rows and one for the columns.
    down = AdaptiveAvgPool2d((rows, 1)).clear(np.eye(shape[1])[:, None, :, None])[:, 0, :, 0].T
    across = AdaptiveAvgPool2d((columns, 1)).clear(np.eye(shape[2])[:, None, :, None])[:, 0, :, 0]
    graph.node("MatMul", after=[graph.constant(across)])
    graph.node("MatMul", before=[graph.constant(down)])


def _pads(layer: Any) -> list[int]:
    top, bottom, left, right = sides(layer.padding)
    return [top, left, bottom, right]


def _windows(layer: Any) -> dict[str, Any]:
    stride = layer.kernel if layer.stride is None else layer.stride
    return {"kernel_shape": pair(layer.kernel), "strides": pair(stride), "pads": _pads(layer)}


_WRITERS: dict[type[FloatLayer], Callable[[_Graph, Any, tuple[int, ...]], None]] = {
    Linear: _linear,
    Conv2d: _convolution,
    BatchNorm: _normalisation,
    ReLU: lambda graph, layer, shape: graph.node("Relu"),
    LeakyReLU: lambda graph, layer, shape: graph.node("LeakyRelu", alpha=float(layer.slope)),
    AvgPool2d: _average,
    MaxPool2d: _maximum,
    AdaptiveAvgPool2d: _adaptive,
    Flatten: lambda graph, layer, shape: graph.node("Flatten", axis=1),
}
