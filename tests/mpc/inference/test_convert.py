"""Models people have: their fixed-point twins agree with torch and scikit-learn, anything else is refused by name."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from torch import nn

from mpc.errors import ParameterError
from mpc.inference import AdaptiveAvgPool2d, Flatten, Network, from_onnx, from_sklearn, from_torch
from mpc.inference.models.fixed import LeakyRectify, MaxPool, Rectify
from tests.mpc.inference.examples import Session, lenet


@pytest.fixture(autouse=True)
def same_weights_in_every_run() -> None:
    torch.manual_seed(1)


def trained(module: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """With statistics and scales of batch normalisation that matter."""
    torch.manual_seed(0)
    module.train()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.3, 0.3)
        for _ in range(5):
            module(torch.rand(32, *shape))
    return module.eval()


def all_kinds() -> nn.Sequential:
    """Every module that is supported, in unusual places too."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4), nn.MaxPool2d(3, 2, 1), nn.ReLU(),
        nn.Sequential(nn.Conv2d(4, 6, 3, padding="same", groups=2), nn.LeakyReLU(0.2), nn.MaxPool2d(2, 1)),
        nn.Identity(), nn.Conv2d(6, 4, 1), nn.AvgPool2d(3, 1, 1), nn.BatchNorm2d(4), nn.LeakyReLU(0.01),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(),
        nn.Dropout(0.3), nn.Linear(8, 3),
    )  # fmt: skip


def worst_error(network: Network, module: nn.Module, queries: np.ndarray) -> float:
    found = network.decode_logits(network.run_clear(network.encode_inputs(queries)))
    with torch.no_grad():
        expected = module(torch.tensor(queries, dtype=torch.float32)).double().numpy()
    assert np.abs(expected).max() > 0.1
    return float(np.abs(found - expected).max())


@pytest.mark.parametrize(("build", "shape", "ring_bits"), [(lenet, (1, 28, 28), 45), (all_kinds, (2, 19, 19), 45)])
def test_torch_networks_agree_with_torch_and_in_secret_with_their_twin(build, shape, ring_bits: int) -> None:
    module = trained(build(), shape)
    network = Network.from_layers(from_torch(module), shape, ring_bits=ring_bits, fraction_bits=11)
    queries = np.random.default_rng(0).uniform(0, 1, (3, *shape))
    assert worst_error(network, module, queries) < 0.03
    encoded = network.encode_inputs(queries)
    left, right = Session.open(network).run(encoded)
    np.testing.assert_array_equal(network.ring.signed(network.ring.add(left, right)), network.run_clear(encoded))


@pytest.mark.parametrize(
    ("build", "private"),
    [
        # Folded, backwards or forwards, through pooling and flattening: no further private layer.
        (lambda: nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)), 2),
        (
            lambda: nn.Sequential(
                nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3)
            ),
            2,
        ),
        (
            lambda: nn.Sequential(
                nn.Conv2d(2, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.AvgPool2d(2), nn.Flatten(), nn.BatchNorm1d(16),
                nn.Linear(16, 3),
            ),
            2,
        ),
        (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 3)), 2),
        # A layer of its own: before zero padding, before a non-linearity, after padded means, at the end.
        (
            lambda: nn.Sequential(
                nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(108, 3)
            ),
            3,
        ),
        (
            lambda: nn.Sequential(
                nn.Conv2d(2, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
            ),
            3,
        ),
        (
            lambda: nn.Sequential(
                nn.Conv2d(2, 4, 3), nn.AvgPool2d(3, 1, 1), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.Flatten(),
                nn.Linear(16, 3),
            ),
            3,
        ),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 3), nn.ReLU(), nn.BatchNorm1d(3)), 2),
        # Means over windows of unequal size, alone and normalised before.
        (
            lambda: nn.Sequential(
                nn.Conv2d(2, 4, 2), nn.ReLU(), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d((3, 2)), nn.Flatten(),
                nn.Linear(24, 3),
            ),
            2,
        ),
        # Means over equal windows of images that are no squares.
        (
            lambda: nn.Sequential(
                nn.Conv2d(2, 4, (2, 1)), nn.ReLU(), nn.AdaptiveAvgPool2d((5, 3)), nn.Conv2d(4, 1, 1), nn.Flatten(),
                nn.Linear(15, 3),
            ),
            3,
        ),
    ],
)  # fmt: skip
def test_normalisation_and_adaptive_means_are_exact_wherever_they_stand(build, private: int) -> None:
    module = trained(build(), (2, 6, 6))
    network = Network.from_layers(from_torch(module), (2, 6, 6), ring_bits=45, fraction_bits=14)
    assert worst_error(network, module, np.random.default_rng(0).uniform(0, 1, (5, 2, 6, 6))) < 0.005
    assert len(network.weights) == private


def test_max_pooling_and_relu_are_one_circuit_in_either_order() -> None:
    for order in (
        (nn.ReLU(), nn.MaxPool2d(2)),
        (nn.MaxPool2d(2), nn.ReLU()),
        (nn.MaxPool2d(2), nn.Flatten(), nn.ReLU()),
    ):
        module = nn.Sequential(nn.Conv2d(1, 2, 3), *order, nn.Flatten(), nn.Linear(8, 2))
        network = Network.from_layers(from_torch(module), (1, 6, 6))
        kinds = [layer for layer in network.architecture.layers if isinstance(layer, MaxPool | Rectify)]
        assert kinds == [MaxPool((2, 2), (2, 2), (0, 0, 0, 0), True)]


def test_a_leaky_slope_is_a_rational_with_an_exact_twin() -> None:
    module = nn.Sequential(nn.Linear(1, 1), nn.LeakyReLU(0.01), nn.Linear(1, 1))
    network = Network.from_layers(from_torch(module), (1,), (-1.0, 1.0))
    assert network.architecture.layers[1] == LeakyRectify(41)  # of 4096
    with pytest.raises(
        ParameterError, match=r"slope from 0 to 1 in steps of 2\^-12 in layer 1 \(LeakyReLU\), found 1.5"
    ):
        Network.from_layers(from_torch(nn.Sequential(nn.Linear(1, 1), nn.LeakyReLU(1.5), nn.Linear(1, 1))), (1,))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()), r"expected one of Linear, .*, found module 1 \(Sigmoid\)"),
        (nn.Sequential(nn.Sequential(nn.GELU())), r"found module 0.0 \(GELU\)"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softmax(1)), r"found module 1 \(Softmax\)"),
        (nn.Conv2d(1, 1, 3, dilation=2), r"dilation of 1 in module 0 \(Conv2d\)"),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), "zeros as padding"),
        (nn.MaxPool2d(2, ceil_mode=True), "ceil_mode off"),
        (nn.AvgPool2d(3, padding=1, count_include_pad=False), "count_include_pad"),
        (nn.BatchNorm2d(3, track_running_stats=False), "running statistics"),
        (nn.Flatten(0), "all dimensions but the first"),
    ],
)
def test_other_modules_are_refused_by_name(module: nn.Module, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        from_torch(module)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (
            nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(2), nn.Flatten()),
            (1, 4, 4),
            r"1 channels in layer 1 \(BatchNorm\), found 2",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 1, 1), nn.AdaptiveAvgPool2d(3), nn.Conv2d(1, 1, 1)),
            (1, 4, 4),
            r"Flatten and Linear right after layer 1 \(AdaptiveAvgPool2d\), .* found layer 2 \(Conv2d\)",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 1, 1), nn.MaxPool2d(2, 1, 1), nn.Flatten(), nn.Linear(25, 1)),
            (1, 4, 4),
            "a ReLU with",
        ),
    ],
)
def test_layers_in_the_wrong_place_are_refused_by_name(module: nn.Module, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Network.from_layers(from_torch(module), shape)


@pytest.mark.parametrize("classes", [2, 4])
def test_sklearn_models_predict_the_same(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 300)
    records = np.clip(rng.normal(0.5, 0.15, (300, 6)) + 0.3 * np.eye(classes, 6)[labels], 0, 1)
    models = (
        LogisticRegression().fit(records, labels),
        LinearSVC().fit(records, labels),
        MLPClassifier((7,), max_iter=80, random_state=0).fit(records, labels),
        MLPClassifier((5, 4), activation="identity", max_iter=80, random_state=0).fit(records, labels),
    )
    for model in models:
        network = Network.from_layers(from_sklearn(model), (6,), ring_bits=45)
        predicted = network.run_clear(network.encode_inputs(records)).argmax(axis=1)
        assert (predicted != model.predict(records)).sum() <= 1  # a tie within fixed-point error may flip


def test_other_estimators_are_refused_by_name() -> None:
    with pytest.raises(ParameterError, match="LogisticRegression, LinearSVC, MLPClassifier, found LinearRegression"):
        from_sklearn(LinearRegression())
    with pytest.raises(ParameterError, match="a fitted estimator in LinearSVC"):
        from_sklearn(LinearSVC())
    fitted = MLPClassifier((2,), activation="tanh", max_iter=1).fit(np.eye(4), [0, 1, 2, 3])
    with pytest.raises(ParameterError, match="relu or identity in MLPClassifier, found tanh"):
        from_sklearn(fitted)


# --- ONNX


def write_onnx(path: Path, nodes: list[object], constants: dict[str, np.ndarray], shape: tuple[int, ...]) -> Path:
    from onnx import TensorProto, helper, numpy_helper, save

    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array.astype(array.dtype), name) for name, array in constants.items()],
    )
    save(helper.make_model(graph), str(path))
    return path


def test_onnx_files_give_the_same_layers_as_torch(tmp_path: Path) -> None:
    from onnx.helper import make_node

    module = trained(
        nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, groups=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 4, 3, groups=2), nn.LeakyReLU(0.1), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(16, 6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 3),
        ),
        (1, 12, 12),
    )  # fmt: skip
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    state["11.weight"] = state["11.weight"].T
    normal = ["1.weight", "1.bias", "1.running_mean", "1.running_var"]
    nodes = [
        make_node("Conv", ["x0", "0.weight", "0.bias"], ["x1"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        make_node("BatchNormalization", ["x1", *normal], ["x2"]),
        make_node("Relu", ["x2"], ["x3"]),
        make_node("MaxPool", ["x3"], ["x4"], kernel_shape=[2, 2], strides=[2, 2]),
        make_node("Conv", ["x4", "4.weight", "4.bias"], ["x5"], group=2),
        make_node("LeakyRelu", ["x5"], ["x6"], alpha=0.1),
        make_node("AveragePool", ["x6"], ["x7"], kernel_shape=[2, 2], strides=[2, 2]),
        make_node("Flatten", ["x7"], ["x8"]),
        make_node("Gemm", ["x8", "8.weight", "8.bias"], ["x9"], transB=1),
        make_node("Relu", ["x9"], ["x10"]),
        make_node("Dropout", ["x10"], ["x11"]),
        make_node("MatMul", ["x11", "11.weight"], ["x12"]),
        make_node("Add", ["x12", "11.bias"], ["x13"]),
    ]
    layers = from_onnx(write_onnx(tmp_path / "network.onnx", nodes, state, (1, 12, 12)))
    network = Network.from_layers(layers, (1, 12, 12))
    twin = Network.from_layers(from_torch(module), (1, 12, 12))
    assert network.architecture.layers == twin.architecture.layers
    queries = np.random.default_rng(0).uniform(0, 1, (4, 1, 12, 12))
    assert worst_error(network, module, queries) < 0.01
    np.testing.assert_array_equal(
        network.run_clear(network.encode_inputs(queries)), twin.run_clear(twin.encode_inputs(queries))
    )


def test_files_that_torch_writes_are_read(tmp_path: Path) -> None:
    module, path = trained(all_kinds(), (2, 19, 19)), tmp_path / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is called legacy
        torch.onnx.export(module, (torch.zeros(1, 2, 19, 19),), str(path), dynamo=False)
    network = Network.from_layers(from_onnx(path), (2, 19, 19), ring_bits=45)
    assert worst_error(network, module, np.random.default_rng(0).uniform(0, 1, (3, 2, 19, 19))) < 0.03


def test_a_mean_over_pixels_is_adaptive_pooling(tmp_path: Path) -> None:
    from onnx.helper import make_node

    for keepdims, axes in ((1, [2, 3]), (0, [-1, -2])):
        nodes = [make_node("ReduceMean", ["x0", "axes"], ["y"], keepdims=keepdims)]
        layers = from_onnx(write_onnx(tmp_path / "network.onnx", nodes, {"axes": np.array(axes)}, (1, 4, 4)))
        assert layers == [AdaptiveAvgPool2d(1), *([] if keepdims else [Flatten()])]


def test_other_onnx_graphs_are_refused_by_name(tmp_path: Path) -> None:
    from onnx.helper import make_node

    for nodes, message in (
        ([make_node("Sigmoid", ["x0"], ["y"])], r"expected one of Gemm, .*, found node 0 \(Sigmoid\)"),
        ([make_node("Relu", ["x0"], ["x1"]), make_node("Relu", ["x0"], ["y"])], r"a chain, found node 1 \(Relu\)"),
        ([make_node("Add", ["x0", "c"], ["y"])], r"node 0 \(Add\) right after a MatMul"),
        ([make_node("MaxPool", ["x0"], ["y"], kernel_shape=[2, 2], ceil_mode=1)], "ceil_mode 0 in node 0"),
        (
            [make_node("ReduceMean", ["x0"], ["y"], axes=[1])],
            r"mean of an image's pixels in node 0 .*, found axes \[1\]",
        ),
    ):
        path = write_onnx(tmp_path / "network.onnx", nodes, {"c": np.zeros(3, np.float32)}, (1, 4, 4))
        with pytest.raises(ParameterError, match=message):
            from_onnx(path)
    (tmp_path / "no.onnx").write_bytes(b"\x00nothing")
    with pytest.raises(ParameterError, match="expected an ONNX file"):
        from_onnx(tmp_path / "no.onnx")
