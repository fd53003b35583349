"""What is converted is what the model computes: compared with the model itself, within a derived error, or refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegressionCV, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVC
from torch import nn

from mpc.errors import ParameterError, RangeError
from mpc.inference import AvgPool2d, Conv2d, Flatten, Linear, Network, ReLU, from_onnx, from_sklearn, from_torch
from mpc.inference.models.convert_onnx import _without_halves
from mpc.inference.models.converted import DOUBLE, SINGLE, ConvertedLayers
from mpc.inference.models.fixed import MaxPool, Rectify
from tests.mpc.inference.examples import Session
from tests.mpc.inference.fuzz_networks import fuzz
from tests.mpc.inference.test_convert import write_onnx


@pytest.fixture(autouse=True)
def same_weights_in_every_run() -> None:
    torch.manual_seed(3)


def error_of(model: nn.Module, shape: tuple[int, ...], bits: int = 14) -> float:
    network = Network.from_layers(from_torch(model), shape, (-0.5, 1.0), bits, 45)
    queries = np.random.default_rng(5).uniform(-0.5, 1, (6, *shape))
    with torch.no_grad():
        expected = model.eval()(torch.tensor(queries, dtype=torch.float32)).numpy()
    assert np.abs(expected).max() > 0.05
    return float(np.abs(network.decode_logits(network.run_clear(network.encode_inputs(queries))) - expected).max())


# --- torch


class OwnForward(nn.Module):
    """A user's class, with functions, methods and a module that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.again, self.last = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        image = (image - 0.25) / 0.5
        image = nn.functional.relu(self.conv(image))
        image = torch.relu(self.again(nn.functional.max_pool2d(image, 2)))
        image = self.again(image).clamp(min=0)
        image = nn.functional.dropout(image, 0.5, self.training)
        image = image.mean((2, 3))
        return self.last(image.view(image.size(0), -1))


class Doubling(nn.Linear):
    """Only called a Linear layer by its base."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(values)


def test_forward_is_followed_through_functions_and_modules_called_twice() -> None:
    assert error_of(OwnForward(), (2, 9, 8)) < 0.003


class Reshaped(nn.Module):
    """Rows of an image by a call that the test chooses."""

    def __init__(self, reshape: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.reshape, self.last = reshape, nn.Linear(12, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.last(self.reshape(image))


@pytest.mark.parametrize(
    "reshape",
    [
        lambda image: image.view(image.size(0), -1),
        lambda image: image.view((image.size(0), -1)),
        lambda image: image.view([image.shape[0], 12]),
        lambda image: image.view(-1, 12),
        lambda image: image.reshape(image.shape[0], -1),
        lambda image: image.reshape((-1, 12)),
        lambda image: torch.reshape(image, (image.shape[0], -1)),
        lambda image: image.flatten(1),
        lambda image: torch.flatten(image, start_dim=1),
    ],
)
def test_every_way_to_write_a_row_a_query_is_the_same(reshape: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert error_of(Reshaped(reshape), (1, 3, 4)) < 0.002


@pytest.mark.parametrize(
    "reshape",
    [
        lambda image: image.view(image.size(0), 3, 4),
        lambda image: image.view((1, -1)),
        lambda image: image.view(-1),
        lambda image: image.view(False, 12),
    ],
)
def test_other_shapes_of_a_tensor_are_refused(reshape: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(ParameterError, match=r"a row a query|one row for each query"):
        from_torch(Reshaped(reshape))


@pytest.mark.parametrize("reshape", [lambda image: image.flatten(), torch.flatten])
def test_queries_are_not_flattened_into_one(reshape: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(ParameterError, match=r"expected all dimensions but the first .*found \(0, -1\)"):
        from_torch(Reshaped(reshape))


def test_what_a_subclass_computes_counts_not_its_base() -> None:
    assert error_of(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), Doubling(6, 3)), (5,)) < 0.002


def test_parametrised_weights_are_those_that_are_used() -> None:
    parametrised = torch.nn.utils.parametrizations.weight_norm(nn.Linear(5, 4))
    parametrised.parametrizations.weight.original0.data.mul_(3)
    assert error_of(nn.Sequential(parametrised, nn.ReLU(), nn.Linear(4, 2)), (5,)) < 0.002


def test_conversion_leaves_the_module_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, 2)).half()
    layers = from_torch(model)
    assert model.training
    assert model[0].weight.dtype == torch.float16
    with torch.no_grad():
        model[0].weight.zero_()  # training goes on: the layers stay what they were, and so does their original
    assert len(Network.from_layers(layers, (4,)).weights) == 2


class Normalised(nn.Module):
    """Scaled by numbers a channel, with weights that are computed, and an input that has a default."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.conv = nn.Parameter(torch.randn(3, 12)), nn.Conv2d(3, 3, 2)
        self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1))

    def forward(self, image: torch.Tensor, slope: float = 0.2) -> torch.Tensor:
        image = nn.functional.leaky_relu(self.conv((image - self.mean) / self.mean), slope)
        return torch.flatten(image, 1) @ (self.weight * 0.5).t()


def test_numbers_a_channel_and_computed_weights_are_constants() -> None:
    assert error_of(Normalised(), (3, 3, 3)) < 0.02


class Scaled(nn.Module):
    """Scales every value by a number of its own."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("factors", torch.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * self.factors


@pytest.mark.parametrize("shape", [(4,), (1, 4)])
def test_numbers_for_the_values_of_a_row_are_constants_as_a_row_alone(shape: tuple[int, ...]) -> None:
    build = lambda: nn.Sequential(nn.Linear(4, 4), Scaled(*shape), nn.Linear(4, 2))  # noqa: E731
    if len(shape) == 1:
        assert error_of(build(), (4,)) < 0.02
    else:
        with pytest.raises(
            ParameterError, match=r"expected one number a channel in call mul .*found a tensor of shape \(1, 4\)"
        ):
            error_of(build(), (4,))


class Residual(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + torch.relu(values)


class Folding(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.view(-1, 2)


class Dropping(nn.Module):
    """Drops values in eval mode too, because the function's own default is to train."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(values, 0.5)


class Branching(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values if values.sum() > 0 else -values


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(4, 4), Residual(), nn.Linear(4, 2)), r"a chain, .* found call add \(add\)"),
        (nn.Sequential(nn.Linear(4, 4), Folding()), r"outputs of the module Sequential, .*\(24, 2\).*found \(12, 4\)"),
        (nn.Sequential(nn.Linear(4, 4), Dropping()), r"training off in eval mode .* found True"),
        (nn.Sequential(nn.Linear(4, 4), Branching()), "torch.fx can follow, found Sequential"),
        (nn.Sequential(nn.Linear(4, 4), nn.Softmax(1)), r"module 1 \(Softmax\); leave it out"),
        (torch.nn.utils.spectral_norm(nn.Linear(4, 2)), r"no forward hooks in module 0 \(Linear\), found SpectralNorm"),
        (nn.Sequential(nn.Linear(4, 2, dtype=torch.complex64)), r"real numbers in module 0 \(Linear\)"),
    ],
)
def test_what_is_no_chain_is_refused_by_name(model: nn.Module, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Network.from_layers(from_torch(model), (4,))


def test_hooks_on_every_module_are_refused() -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda module, given, found: found)
    try:
        with pytest.raises(ParameterError, match="no hooks on every module"):
            from_torch(nn.Linear(2, 2))
    finally:
        handle.remove()


def test_layers_that_differ_from_their_original_are_refused_with_the_number() -> None:
    weight = np.array([[1.0, 2.0], [3.0, 4.0]])
    honest = ConvertedLayers([Linear(weight, np.zeros(2))], lambda x: x @ weight.T, "a model", SINGLE)
    network = Network.from_layers(honest, (2,))
    assert network.precision is not None
    assert network.precision.original is not None
    assert network.precision.original < 1e-12
    for wrong in (lambda x: x @ weight.T + 1e-4, lambda x: x @ weight, lambda x: x @ weight.T + x.mean()):
        with pytest.raises(ParameterError, match=r"found logits that differ by up to 2\^\S+ where rounding explains"):
            Network.from_layers(ConvertedLayers(honest, wrong, "a model", SINGLE), (2,))
    with pytest.raises(ParameterError, match="to run on queries"):
        Network.from_layers(ConvertedLayers(honest, lambda x: 1 / 0, "a model", SINGLE), (2,))  # type: ignore[arg-type,return-value]


def test_a_function_that_shows_on_the_owners_samples_alone_is_found() -> None:
    rare = np.array([[0.123, 0.9]])
    weight = np.eye(2)
    layers = ConvertedLayers([Linear(weight, np.zeros(2))], lambda x: x + (np.abs(x - rare) < 1e-9), "a model", SINGLE)
    Network.from_layers(layers, (2,))
    with pytest.raises(ParameterError, match=r"differ by up to 2\^0 where"):
        Network.from_layers(layers, (2,), samples=rare)
    with pytest.raises(RangeError, match="samples from 0"):
        Network.from_layers(layers, (2,), samples=[[0.0, 1.5]])
    with pytest.raises(ParameterError, match=r"samples of shape \(n, 2\)"):
        Network.from_layers(layers, (2,), samples=[[0.0, 1.5, 2.0]])


# --- ONNX


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


# --- scikit-learn


@pytest.mark.parametrize("scaler", [None, StandardScaler(), StandardScaler(with_mean=False), MinMaxScaler((-1, 2))])
@pytest.mark.parametrize(
    "estimator",
    [RidgeClassifier(), SGDClassifier(random_state=0), Perceptron(), LinearDiscriminantAnalysis(),
     LogisticRegressionCV(cv=2, max_iter=500)],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_estimators_with_coefficients_and_their_scalers_decide_the_same(estimator, scaler) -> None:
    records, labels = load_iris(return_X_y=True)
    names = np.array(["c", "a", "b"])[labels]
    for chosen in (names, names == "a"):
        model = make_pipeline(scaler, estimator) if scaler is not None else estimator
        model.fit(records, chosen)
        network = Network.from_layers(from_sklearn(model), (4,), (0.0, 8.0), 14, 45)
        found = network.run_clear(network.encode_inputs(records)).argmax(axis=1)
        assert (np.asarray(estimator.classes_)[found] == model.predict(records)).mean() > 0.98


def test_estimators_that_decide_otherwise_are_refused() -> None:
    records, labels = load_iris(return_X_y=True)
    several = np.stack([labels == 0, labels == 1], axis=1).astype(int)
    for model, message in (
        (RidgeClassifier().fit(records, several), "one label in RidgeClassifier"),
        (make_pipeline(Normalizer(), Perceptron()).fit(records, labels), r"found step normalizer \(Normalizer\)"),
        (make_pipeline(MinMaxScaler(clip=True), Perceptron()).fit(records, labels), "clip off"),
        (SVC(kernel="linear").fit(records, labels), "one for every pair"),
        (SVC(kernel="rbf").fit(records, labels), "found one without coefficients"),
        (object(), "found object"),
    ):
        with pytest.raises(ParameterError, match=message):
            from_sklearn(model)


# --- number types


@pytest.mark.parametrize(
    ("attempt", "kind"),
    [
        (lambda: Network.from_layers([Linear(np.eye(2), [0, 0])], (2,), (-np.inf, 1.0)), RangeError),
        (lambda: Network.from_layers([Linear(np.eye(2), [0, 0])], (2,), ("a", "b")), ParameterError),
        (lambda: Network.from_layers([Linear([["a", "b"]], [0])], (2,)), ParameterError),
        (lambda: Network.from_layers([Linear(np.eye(2) * 1j, [0, 0])], (2,)), ParameterError),
        (lambda: Network.from_layers([Linear(np.eye(2), [0, 0])], (2.5,)), ParameterError),
        (lambda: Network.from_layers([Linear(np.eye(2), [0, 0])], (2,)).encode_inputs([["1", "2"]]), ParameterError),
        (lambda: Network.from_layers([Linear(np.eye(2), [0, 0])], (2,)).encode_inputs([[1j, 0]]), ParameterError),
        (lambda: Network.from_layers([Linear(np.eye(2) * 1e300, [0, 0])], (2,)), RangeError),
        (lambda: Network.from_layers([Linear(np.eye(2), [0, 0])], (2,), fraction_bits=3000), ParameterError),
        (lambda: Network.from_layers([AvgPool2d(0), Flatten(), Linear([[1.0]], [0])], (1, 2, 2)), ParameterError),
        (lambda: Network.from_layers([Conv2d(np.ones((1, 1, 1, 1)), [0], groups="a"), Flatten()], (1, 2, 2)),
         ParameterError),
        (lambda: Network.from_layers(None, (2,)), ParameterError),
        (lambda: from_torch("a model"), ParameterError),
    ],
)  # fmt: skip
def test_odd_numbers_are_refused_with_a_sentence(attempt, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="expected"):
        attempt()


def test_numbers_of_numpy_are_whole_numbers_too() -> None:
    one = np.int64(1)
    plain = Network.from_layers([Linear(np.eye(2), np.zeros(2))], (2,), (0, 1), 12, 41, 64)
    odd = Network.from_layers(
        [Linear(np.eye(2), np.zeros(2))], (2 * one,), (0 * one, one), 12 * one, 41 * one, 64 * one
    )
    assert odd.architecture.digest() == plain.architecture.digest()


# --- precision


def wide_mean(scale: float) -> tuple[list[object], tuple[int, ...]]:
    rng = np.random.default_rng(2)
    first = Linear(rng.uniform(-1, 1, (20, 400)) / 400 * scale, rng.uniform(-1, 1, 20) * scale)
    return [first, ReLU(), Linear(rng.uniform(-1, 1, (5, 20)) / scale, np.zeros(5))], (400,)


@pytest.mark.parametrize("scale", [1.0, 1e-1, 1e-3])
def test_small_weights_and_small_activations_keep_their_labels_in_secret_too(scale: float) -> None:
    layers, shape = wide_mean(scale)
    queries = np.random.default_rng(4).uniform(0, 1, (20, *shape))
    network = Network.from_layers(layers, shape, fraction_bits=10, ring_bits=45)
    assert network.precision is not None
    assert network.precision.error <= network.precision.bound < 0.2
    assert network.precision.labels > 0.97
    assert network.architecture == Network.from_layers(*wide_mean(100.0), fraction_bits=10, ring_bits=45).architecture
    encoded = network.encode_inputs(queries)
    twin = network.run_clear(encoded)
    floating = np.maximum(queries @ layers[0].weight.T + layers[0].bias, 0) @ layers[2].weight.T  # type: ignore[attr-defined]
    np.testing.assert_allclose(network.decode_logits(twin), floating, atol=network.precision.bound)
    left, right = Session.open(network).run(encoded)
    np.testing.assert_array_equal(network.ring.signed(network.ring.add(left, right)), twin)


def test_weights_that_need_no_more_bits_leave_the_architecture_as_it_is() -> None:
    network = Network.from_layers([Linear(np.eye(3), np.zeros(3))], (3,))
    assert network.architecture.private_bits == (12,)
    assert b"weight_bits" not in __import__("msgspec").msgpack.encode(network.architecture)


def test_a_ring_too_narrow_for_more_bits_warns_or_refuses_with_numbers() -> None:
    rng = np.random.default_rng(2)
    layers = [Linear(rng.uniform(-1, 1, (3, 4000)) * 2e-4, np.zeros(3))]
    with pytest.warns(UserWarning, match=r"labels in fixed point differ .* about \d+ fraction bits instead of 8"):
        Network.from_layers(
            [Linear(rng.uniform(-1, 1, (3, 400)) * 4e-3, np.zeros(3))], (400,), fraction_bits=8, ring_bits=18
        )
    with pytest.raises(RangeError, match=r"lost: about \d+ bits would do"):
        Network.from_layers(layers, (4000,), fraction_bits=8, ring_bits=17)


@pytest.mark.parametrize("difference", [2**-9, -(2**-9)])
def test_a_twin_outside_its_bound_is_refused(monkeypatch: pytest.MonkeyPatch, difference: float) -> None:
    layers = [Linear(np.eye(3) / 2, np.zeros(3))]
    assert Network.from_layers(layers, (3,), fraction_bits=10).precision is not None
    honest = Network.decode_logits
    monkeypatch.setattr(Network, "decode_logits", lambda self, logits: honest(self, logits) + difference)
    with pytest.raises(ParameterError, match=r"within \S+ of the float layers', found a difference of"):
        Network.from_layers(layers, (3,), fraction_bits=10)


@pytest.mark.parametrize("layer", [Rectify(), MaxPool((1, 1), (1, 1))])
def test_circuits_get_shares_in_a_row_whatever_order_memory_has(layer) -> None:
    shares = np.arange(64, dtype=np.uint64).reshape(4, 8, 2, 1)[:, :, :1]  # every other word
    rows = layer.circuit_rows(shares)
    assert rows.flags.c_contiguous
    np.testing.assert_array_equal(rows[:, 0], np.arange(0, 64, 2))


def test_random_networks_are_right_or_refused() -> None:
    tally = fuzz(100, 10)
    assert sum(tally.right.values()) > 60
    assert tally.secret == 10
    assert set(tally.right) >= {"torch", "onnx", "sklearn"}


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
