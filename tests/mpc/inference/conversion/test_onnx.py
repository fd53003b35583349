"""What is converted from an ONNX file is what the file computes, or refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mpc.errors import ParameterError
from mpc.inference import Network, from_onnx, from_torch
from mpc.inference.models.convert_onnx import _without_halves
from mpc.inference.models.converted import DOUBLE, SINGLE
from tests.mpc.inference.test_convert import write_onnx


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).normal(0, 0.4, shape).astype(np.float32)


def test_onnx_constants_that_other_nodes_compute_are_constants(tmp_path: Path) -> None:
    from onnx.helper import make_node

    nodes = [
        make_node("Constant", [], ["b"], value_floats=[0.5, -0.5, 0.25]),
        make_node("Identity", ["W"], ["W1"]),
        make_node("Transpose", ["W1"], ["W2"], perm=[1, 0]),
        make_node("Cast", ["W2"], ["W3"], to=1),
        make_node("MatMul", ["x0", "W3"], ["h"]),
        make_node("Add", ["b", "h"], ["y"]),
    ]
    path = write_onnx(tmp_path / "n.onnx", nodes, {"W": floats(3, 4).astype(np.float16)}, (4,))
    network = Network.from_layers(from_onnx(path), (4,), ring_bits=45)
    found = network.decode_logits(network.run_clear(network.encode_inputs(np.eye(4))))
    np.testing.assert_allclose(found, floats(3, 4).T + np.array([0.5, -0.5, 0.25]), atol=0.002)


def test_onnx_files_for_one_query_are_run_query_by_query(tmp_path: Path) -> None:
    model, path = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3)).eval(), tmp_path / "n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.zeros(1, 1, 5, 5),), str(path), dynamo=False)
    assert len(Network.from_layers(from_onnx(path), (1, 5, 5)).weights) == 2


def test_onnx_max_pooling_with_sides_that_differ_is_held_to_the_right_windows(tmp_path: Path) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.ReLU(), nn.MaxPool2d((2, 3), 1, (0, 1)), nn.Flatten(), nn.Linear(40, 3)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {"x": {0: "n"}}
        given = (torch.zeros(2, 1, 5, 5),)
        torch.onnx.export(model.eval(), given, str(tmp_path / "n"), dynamo=False, input_names=["x"], dynamic_axes=axes)
    network = Network.from_layers(from_onnx(tmp_path / "n"), (1, 5, 5), ring_bits=45)
    twin = Network.from_layers(from_torch(model), (1, 5, 5), ring_bits=45)
    queries = network.encode_inputs(np.random.default_rng(0).uniform(0, 1, (3, 1, 5, 5)))
    np.testing.assert_array_equal(network.run_clear(queries), twin.run_clear(queries))


@pytest.mark.parametrize(
    ("build", "constants", "message"),
    [
        (lambda n: [n("Gemm", ["W", "x0"], ["y"])], {"W": floats(4, 4)}, "the moving tensor as the first input"),
        (lambda n: [n("Gemm", ["x0", "W", "b"], ["y"])], {"W": floats(4, 2), "b": floats(2, 1)}, "a row in node 0"),
        (lambda n: [n("Relu", ["x0"], ["y"], domain="org.elsewhere")], {}, "of the domain org.elsewhere"),
        (
            lambda n: [n("MaxPool", ["x0"], ["y"], kernel_shape=[2])],
            {},
            r"expected two-dimensional windows .*found \(2,\)",
        ),
        (
            lambda n: [n("MaxPool", ["x0"], ["y"], kernel_shape=[2, 2], dilations=[2, 1])],
            {},
            r"expected dilations of 1 in .*found \[2, 1\]",
        ),
        (
            lambda n: [n("Conv", ["x0", "W"], ["y"], dilations=[1, 2])],
            {"W": floats(1, 1, 2, 2)},
            r"expected dilations of 1 in .*found \[1, 2\]",
        ),
        (
            lambda n: [n("MatMul", ["x0", "W"], ["h"]), n("Reshape", ["h", "s"], ["y"])],
            {"W": floats(4, 4), "s": np.array([1, -1])},
            r"0 or -1 rows\) in node 1",
        ),
        (
            lambda n: [n("MatMul", ["x0", "W"], ["h"]), n("Reshape", ["h", "s"], ["y"])],
            {"W": floats(4, 4), "s": np.array([-1, 2])},
            "with the outputs of the file",
        ),
        (
            lambda n: [n("MatMul", ["x0", "W"], ["h"]), n("Relu", ["h"], ["y"], consumed_inputs=[0])],
            {"W": floats(4, 4)},
            "attributes among none in node 1 .*, found consumed_inputs",
        ),
        (lambda n: [n("Cast", ["x0"], ["y"], to=7)], {}, "a cast to floats"),
        (lambda n: [n("Add", ["x0", "x0"], ["y"])], {}, "a chain, found node 0"),
    ],
)
def test_onnx_nodes_that_mean_something_else_are_refused(tmp_path: Path, build, constants, message: str) -> None:
    from onnx.helper import make_node

    with pytest.raises(ParameterError, match=message):
        Network.from_layers(from_onnx(write_onnx(tmp_path / "n.onnx", build(make_node), constants, (4,))), (4,))


@pytest.mark.parametrize(
    ("kinds", "roundoff"),
    [
        (("FLOAT",), SINGLE),
        (("DOUBLE",), DOUBLE),
        (("DOUBLE", "FLOAT"), SINGLE),
        (("DOUBLE", "FLOAT16"), SINGLE),
        (("INT64",), SINGLE),
    ],
)
def test_the_coarsest_floats_of_an_onnx_file_decide_how_far_it_may_be_off(
    kinds: tuple[str, ...], roundoff: float
) -> None:
    import onnx

    tensors = [onnx.helper.make_tensor(kind, getattr(onnx.TensorProto, kind), (1,), [1]) for kind in kinds]
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], initializer=tensors))
    assert _without_halves(onnx, model) == roundoff
