"""The offline check of a model: bytes against the messages' exact sizes, seconds by the stated formula, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.inference import Linear, MaxPool2d, Network, ReLU
from mpc.inference.models.floats import AvgPool2d, Conv2d, Flatten, LeakyReLU
from mpc.ring import packed_size
from parties.capc import model_check
from parties.capc.config import CapcConfig
from parties.capc.model_check import LINKS, Cost, accuracy, check_model, measure, relus
from parties.capc.model_check_view import ModelCheckOptions, model_check_command, refusal_text
from parties.frame.errors import ConfigError
from parties.learning.model_files.onnx_file import write_onnx
from parties.learning.model_files.source import model_source

RNG = np.random.default_rng(5)
LAYERS = [
    Linear(RNG.normal(size=(8, 6)) / 3, RNG.normal(size=8)),
    ReLU(),
    Linear(RNG.normal(size=(3, 8)) / 3, np.zeros(3)),
]
HEAD = 16  # bytes of a frame's fixed header
CONFIG = CapcConfig()


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.from_layers(LAYERS, (6,), fraction_bits=CONFIG.fraction_bits, ring_bits=CONFIG.ring_bits)


def test_bytes_are_those_of_the_messages(network: Network) -> None:
    """Online there are three messages, whose sizes follow from the shapes alone."""
    ahead, online = measure(network, CONFIG, RNG.random((1, 6)))
    bits = CONFIG.ring_bits
    words = packed_size(6, bits) + packed_size(8, bits)  # the masked query, and what the evaluator sends back
    labels = 8 * bits * 16  # a wire label for each bit of the garbler's share
    exact = words + labels
    heads = online.bytes - exact
    assert 3 * HEAD < heads < 3 * (HEAD + 60)
    assert online.round_trips == 1
    # Ahead: each ReLU takes an adder and a multiplexer, of which each gate is two blocks.
    gates = network.steps[1].layer.circuit(bits, CONFIG.fraction_bits, CONFIG.fraction_bits).and_gates
    tables = 8 * gates * 32
    assert ahead.bytes > tables
    again, same = measure(network, CONFIG, RNG.random((1, 6)))
    assert (again.bytes, same.bytes) == (ahead.bytes, online.bytes)


def test_three_halves_are_fewer_bytes(network: Network) -> None:
    query = RNG.random((1, 6))
    halves, _ = measure(network, CONFIG, query)
    three, _ = measure(network, CONFIG.model_copy(update={"garbling": "three-halves"}), query)
    assert three.bytes < halves.bytes


def test_seconds_on_a_link_follow_the_formula() -> None:
    cost = Cost(bytes=1_000_000, round_trips=3, seconds=0.5)
    assert cost.seconds_on("10 Gbit/s") == pytest.approx(0.5 + 0.0008)
    assert cost.seconds_on("20 Mbit/s, 80 ms") == pytest.approx(0.5 + 0.4 + 0.24)
    assert len(LINKS) == 5


def test_every_comparison_counts() -> None:
    layers = [
        Conv2d(RNG.normal(size=(2, 1, 3, 3)), np.zeros(2), 1, 1), ReLU(), MaxPool2d(2),
        Conv2d(RNG.normal(size=(3, 2, 1, 1)), np.zeros(3)), LeakyReLU(0.25), AvgPool2d(2),
        Flatten(), Linear(RNG.normal(size=(2, 3)), np.zeros(2)),
    ]  # fmt: skip
    found = Network.from_layers(layers, (1, 4, 4), ring_bits=45)
    pooled, leaky = 2 * 2 * 2, 3 * 2 * 2
    assert relus(found) == pooled + leaky  # a ReLU before max pooling is one circuit with it


def test_accuracy_counts_labels_and_finds_a_wrong_one(network: Network) -> None:
    queries = RNG.random((50, 6))
    truth = np.array([0] * 50)
    found = accuracy(network, LAYERS, queries, truth, "class")
    floats = np.maximum(queries @ LAYERS[0].weight.T + LAYERS[0].bias, 0) @ LAYERS[2].weight.T
    assert found["same_label"] == found["queries"] == 50
    assert 0 < found["largest_logit_error"] < 0.01
    assert found["right_in_floats"] == int((floats.argmax(1) == 0).sum())
    other = [LAYERS[0], ReLU(), Linear(-LAYERS[2].weight, np.zeros(3))]
    assert accuracy(network, other, queries, None, "class")["same_label"] < 50


def written(path: Path, layers: list[Any], shape: tuple[int, ...]) -> Any:
    write_onnx(path, layers, shape, ["a", "b", "c"], "class")
    return model_source(path, None, None, False, ())


def test_a_file_is_checked_in_a_child(tmp_path: Path) -> None:
    source = written(tmp_path / "net.onnx", LAYERS, (6,))
    np.savez(tmp_path / "samples.npz", inputs=RNG.random((20, 6)), labels=np.zeros(20, int))
    found = check_model(source, (6,), (0.0, 1.0), CONFIG, tmp_path / "samples.npz")
    assert found["refusal"] is None
    assert [one["output"] for one in found["layers"]] == [[6], [8], [8], [3]]
    assert found["accuracy"]["queries"] == 20
    assert found["ring_bits_needed"] <= found["ring_bits"] == CONFIG.ring_bits
    assert set(found["seconds_computed"]) == set(LINKS)


def test_a_layer_without_a_counterpart_is_named_with_what_to_use(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    written(tmp_path / "net.onnx", LAYERS, (6,))
    model = onnx.load(tmp_path / "net.onnx")
    (relu,) = [node for node in model.graph.node if node.op_type == "Relu"]
    relu.op_type = "Tanh"
    onnx.save(model, tmp_path / "net.onnx")
    source = model_source(tmp_path / "net.onnx", None, None, False, ())
    found = check_model(source, (6,), (0.0, 1.0), CONFIG)
    assert [one["kind"] for one in found["unsupported"]] == ["Tanh"]
    assert "node 1 (Tanh): use ReLU or LeakyReLU" in refusal_text(found)


@pytest.mark.parametrize(("narrow", "words"), [({"ring_bits": 28}, "bits"), ({"beyond_bounds": "refuse"}, "norm")])
def test_a_model_that_does_not_fit_says_what_would(narrow: dict[str, Any], words: str, tmp_path: Path) -> None:
    large = [Linear(RNG.normal(size=(8, 6)) * 40, np.zeros(8)), ReLU(), LAYERS[2]]
    source = written(tmp_path / "net.onnx", large, (6,))
    found = check_model(source, (6,), (0.0, 1.0), CONFIG.model_copy(update=narrow))
    assert words in found["refusal"]
    assert found["would_fit"].startswith("it fits with fraction_bits 13, ring_bits 45 and beyond_bounds scale")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((3, 5))}, r"expected an array \(n, 1, 1, 6\)"),
        ({"x": np.array([[None] * 6], object)}, r"cannot be read as an NPZ file \(ValueError\)"),
        ({"x": np.full((3, 6), 2.0)}, r"expected values in 0..1 .*found 2..2"),
        ({"x": np.zeros((3, 6)), "y": np.zeros(3)}, "expected one array of inputs"),
        ({"x": np.zeros((3, 6)), "labels": np.zeros(2)}, "expected 3 labels"),
    ],
)
def test_samples_that_do_not_fit_are_refused(arrays: dict[str, Any], words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", **arrays)
    with pytest.raises(ConfigError, match=words):
        model_check._queries(tmp_path / "samples.npz", (1, 1, 6), (0.0, 1.0))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"input": "6", "range": "1,0"}, "expected a range"), ({"input": "0"}, "sizes above zero")],
)
def test_flags_that_make_no_sense_are_refused(options: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        model_check_command(CONFIG, tmp_path, ModelCheckOptions(file=tmp_path / "net.onnx", **options))


@pytest.mark.parametrize("hidden", [0, 1, 2])
@pytest.mark.parametrize("circuits", ["ahead", "streamed"])
def test_a_query_waits_once_for_each_layer_of_comparisons(circuits: str, hidden: int) -> None:
    layers: list[object] = []
    for _ in range(hidden):
        layers += [Linear(RNG.normal(size=(4, 4)) / 2, np.zeros(4)), ReLU()]
    layers.append(Linear(RNG.normal(size=(3, 4)) / 2, np.zeros(3)))
    ahead, online = measure(Network.from_layers(layers, (4,)), CapcConfig(circuits=circuits), np.zeros((1, 4)))
    assert ahead.round_trips == 1 + (hidden if circuits == "ahead" else 0)  # encrypted masks, and the circuits' choices
    assert online.round_trips == hidden
    assert ahead.bytes > 100_000 > online.bytes
