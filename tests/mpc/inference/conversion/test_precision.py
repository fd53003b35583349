"""Converted layers stay within a derived error of their original, whatever types its numbers have."""

from __future__ import annotations

import numpy as np
import pytest

from mpc.errors import ParameterError, RangeError
from mpc.inference import AvgPool2d, Conv2d, Flatten, Linear, Network, ReLU, from_torch
from mpc.inference.models.converted import SINGLE, ConvertedLayers
from mpc.inference.models.fixed import MaxPool, Rectify
from tests.mpc.inference.examples import Session
from tests.mpc.inference.fuzz_networks import fuzz

# --- the original


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
