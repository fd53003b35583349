"""What leaves an answering party before a query is a function of public things: the attack, and the bounds."""

from __future__ import annotations

import dataclasses
import math
import re
import warnings
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.channels.memory import memory_pair
from mpc.errors import MpcError, ParameterError, ProtocolError, RangeError
from mpc.garbled.session import Evaluator, Garbler
from mpc.inference import AnsweringInference, BatchNorm, Conv2d, Flatten, Linear, Network, QueryingInference, ReLU
from mpc.inference.models.bounds import norm_squared, public_weight_bits
from mpc.inference.models.converted import SINGLE, ConvertedLayers
from mpc.inference.models.quantise import quantise
from tests.mpc.inference.examples import Agreement, Floats, Session, float_logits, mlp, run_both_sides

FEATURES, CLASSES = 8, 3


def trained(records: Floats, labels: Floats, size: float) -> list[object]:
    """Train a model on records, by ridge regression to targets of this size."""
    targets = size * (labels[:, None] == np.arange(CLASSES))
    weight = np.linalg.solve(records.T @ records + 0.1 * np.eye(FEATURES), records.T @ targets).T
    return [Linear(weight, np.zeros(CLASSES))]


def neighbours() -> tuple[list[object], list[object]]:
    """Return the models of two data sets that differ in one record, with norms on both sides of a power of two."""
    rng = np.random.default_rng(0)
    records, labels = rng.uniform(0, 1, (40, FEATURES)), rng.integers(0, CLASSES, 40)
    other = records.copy()
    other[7] = rng.uniform(0, 1, FEATURES)
    norms = [np.linalg.norm(trained(one, labels, 1.0)[0].weight) for one in (records, other)]  # type: ignore[attr-defined]
    size = 4.0 / float(np.mean(norms))
    first, second = (trained(one, labels, size) for one in (records, other))
    return first, second


def sent_before_a_query(network: Network, weight_norm: int) -> tuple[bytes, list[tuple[str, int]]]:
    """Return the architecture as the answering party sends it, and labels and lengths of all that it sends."""
    session = Session.open(network, weight_norm=weight_norm)
    run_both_sides(lambda: session.querying.prepare(2), lambda: session.answering.prepare(2))
    sent = [(label, body) for way, label, body in session.answering_channel.transcript if way == "sent"]
    (architecture,) = [body for label, body in sent if label == "network/architecture"]
    return architecture, [(label, len(body)) for label, body in sent]


def bounded_by_weights(network: Network) -> bytes:
    """Return the architecture as it would be sent without the defence: with norms from the weights."""
    norm_bits = tuple((max(norm_squared(one.weights) - 1, 0).bit_length() + 1) // 2 for one in network.weights)
    return msgspec.msgpack.encode(msgspec.structs.replace(network.architecture, norm_bits=norm_bits))


@pytest.mark.parametrize("weight_norm", [1, 2, 4])  # one norm is beyond the first two, the other beyond the first
def test_one_record_changes_nothing_that_is_sent_before_a_query(weight_norm: int) -> None:
    networks = [Network.from_layers(layers, (FEATURES,), weight_norm=weight_norm) for layers in neighbours()]
    if weight_norm == 4:  # neither is scaled
        assert bounded_by_weights(networks[0]) != bounded_by_weights(networks[1])
    sent = [sent_before_a_query(network, weight_norm) for network in networks]
    assert sent[0] == sent[1]


@pytest.mark.parametrize("scale", [0.0, 1e-3, 30.0])
def test_small_large_and_no_weights_have_one_architecture(scale: float) -> None:
    layers, shape = mlp(np.random.default_rng(0))
    sized = [Linear(one.weight * scale, np.zeros(len(one.bias))) if isinstance(one, Linear) else one for one in layers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        changed = Network.from_layers(sized, shape, samples=np.random.default_rng(1).uniform(0, 1, (5, *shape)))
    assert changed.architecture == Network.from_layers(layers, shape).architecture


@pytest.mark.parametrize(("factor", "shift"), [(1.0, 0.0), (2.0, 0.0), (2.0, 0.5), (-1.0, 0.0)])
def test_the_chain_of_layers_does_not_depend_on_a_normalisations_numbers(factor: float, shift: float) -> None:
    layers = [
        BatchNorm([0.0], [1.0], [factor], [shift], 0.0),
        Conv2d(np.ones((2, 1, 3, 3)), np.zeros(2), padding=1),
        ReLU(),
        Flatten(),
        Linear(np.ones((2, 32)), np.zeros(2)),
    ]
    kinds = [layer.kind for layer in quantise(layers, (1, 4, 4), 12).layers]
    assert kinds == ["convolve", "rescale", "convolve", "relu", "flatten", "dense"]


# --- weights beyond the bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("factors", [(100.0, 1.0), (1.0, 100.0), (40.0, 40.0), (100.0, 0.01)])
def test_layers_beyond_their_bounds_are_scaled_down_and_decide_the_same(factors: tuple[float, float]) -> None:
    layers, shape = mlp(np.random.default_rng(0))
    layers = [
        layers[0].__class__(layers[0].weight * factors[0], layers[0].bias * factors[0]),  # type: ignore[attr-defined,call-arg]
        ReLU(),
        layers[2].__class__(layers[2].weight * factors[1], layers[2].bias * factors[0] * factors[1]),  # type: ignore[attr-defined,call-arg]
    ]
    queries = np.random.default_rng(4).uniform(0, 1, (50, *shape))
    network = Network.from_layers(layers, shape)
    assert network.precision is not None
    assert (network.logit_scale_bits < 0) == (math.prod(factors) > 1)
    for fixed, bits in zip(network.weights, network.architecture.norm_bits, strict=True):
        assert norm_squared(fixed.weights) <= 4**bits
    encoded, expected = network.encode_inputs(queries), float_logits(layers, queries)
    found = network.decode_logits(network.run_clear(encoded))
    assert np.abs(found - expected).max() <= network.precision.bound < 0.02 * np.abs(expected).max()
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.98
    left, right = Session.open(network).run(encoded[:2])
    np.testing.assert_array_equal(network.ring.signed(network.ring.add(left, right)), network.run_clear(encoded[:2]))


def test_an_owner_may_have_weights_beyond_the_bounds_refused() -> None:
    layers = [Linear(np.full((2, 3), 7.77), np.zeros(2))]
    with pytest.raises(RangeError, match=r"norm up to 2\^15 in layer 0 \(Linear\), the public bound") as refusal:
        Network.from_layers(layers, (3,), beyond_bounds="refuse")
    assert "7" not in str(refusal.value).replace("needs 17 bits", "")
    Network.from_layers(layers, (3,), beyond_bounds="refuse", weight_norm=16)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda size: Network.from_layers([Linear(np.full((2, 3), 9.1 * size), [0, 0])], (3,), beyond_bounds="refuse"),
        lambda size: Network.from_layers([Linear(np.full((2, 3), 9.1 * size), [0, 0])], (3,), ring_bits=25),
        lambda size: Network.from_layers([Linear(np.full((2, 3), 9.1e9 * size), [0, 0])], (3,)),
        lambda size: Network.from_layers([Linear(np.full((2, 3), 1.0), np.full(2, 1.1e18 * size))], (3,)),
        lambda size: Network.from_layers([Linear(np.full((1, 4000), 2e-4 * size), [0])], (4000,), (0, 1), 8, 17),
        lambda size: Network.from_layers(
            ConvertedLayers([Linear(np.eye(3), np.zeros(3))], lambda x: x + 0.011 * size, "a model", SINGLE), (3,)
        ),
    ],
    ids=["norm", "ring", "far too large", "bias", "rounded away", "another function"],
)
def test_refusals_hold_bit_lengths_and_nothing_finer(attempt: Callable[[float], Network]) -> None:
    sentences = []
    for size in (1.0, 1.0123):
        with pytest.raises(MpcError) as refusal:
            attempt(size)
        sentences.append(str(refusal.value))
    assert sentences[0] == sentences[1]
    assert not re.search(r"\d{4}|\d\.\d|\d%", re.sub(r"\^-?\d+|65536", "", sentences[0]))


def test_a_warning_about_labels_holds_bit_lengths_and_nothing_finer() -> None:
    said = []
    for size in (1.0, 1.02):
        rng = np.random.default_rng(2)
        close = rng.uniform(-0.5, 0.5, (1, 20)) + rng.uniform(-1e-4, 1e-4, (3, 20))
        with pytest.warns(UserWarning, match="labels in fixed point differ") as found:
            Network.from_layers([Linear(close * size, np.zeros(3))], (20,))
        said.append(re.sub(r"about \d\d fraction", "about so many fraction", str(found[0].message)))
    assert said[0] == said[1]


# --- what the querying party checks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm_bits": (17, 15)}, r"expected norm bits of the network \(17, 16\), found \(17, 15\)"),
        ({"weight_bits": (12, 13)}, r"expected weight bits of the network \(12, 12\), found \(12, 13\)"),
        ({"degree": 8192}, "expected degree of the ciphertexts of the network 4096, found 8192"),
        ({"norm_bits": ()}, r"expected norm bits of the network \(17, 16\), found \(\)"),
    ],
)
def test_a_querying_party_derives_the_bounds_itself_and_names_what_differs(
    change: dict[str, object], message: str
) -> None:
    layers, shape = mlp(np.random.default_rng(0))
    network = Network.from_layers(layers, shape, session_queries=1)
    agreed = Agreement.of(network)
    other = msgspec.structs.replace(network.architecture, **change)
    mine, theirs = memory_pair("client", "server", 5)
    evaluator, garbler = run_both_sides(lambda: Evaluator.open(mine), lambda: Garbler.open(theirs))
    with pytest.raises(ParameterError):
        AnsweringInference.open(theirs, garbler, dataclasses.replace(network, architecture=other), agreed)
    theirs.send_message("network/architecture", other)
    with mine.in_step("0"), pytest.raises(ProtocolError, match=message):
        QueryingInference.open(mine, evaluator, agreed)


def test_a_querying_party_refuses_other_layers_than_those_agreed() -> None:
    layers, shape = mlp(np.random.default_rng(0))
    network = Network.from_layers(layers, shape)
    mine, theirs = memory_pair("client", "server", 5)
    evaluator = run_both_sides(lambda: Evaluator.open(mine), lambda: Garbler.open(theirs))[0]
    theirs.send_message("network/architecture", network.architecture)
    with pytest.raises(ProtocolError, match=r"layers of the network \(Dense\(outputs=9\),\), found \(Dense"):
        QueryingInference.open(
            mine,
            evaluator,
            Agreement.of(network),
            layers=quantise([Linear(np.zeros((9, 64)), np.zeros(9))], shape, 12).layers,
        )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**32) + 1, 2**32 - 1), min_size=1, max_size=20))
def test_the_norm_is_exact(weights: list[int]) -> None:
    assert norm_squared(np.array(weights, np.int64)) == sum(one * one for one in weights)


@pytest.mark.parametrize("fraction_bits", [2, 4, 9, 15])
@pytest.mark.parametrize("inputs", [1, 300, 40_000])
def test_a_ring_that_follows_from_the_bounds_leaves_them_as_they_are(inputs: int, fraction_bits: int) -> None:
    """Weight bits follow from the ring, too. A peer that is told the ring derives the same ones."""
    weight = np.random.default_rng(4).normal(size=(2, inputs)) / math.sqrt(inputs)
    network = Network.from_layers([Linear(weight, np.zeros(2))], (inputs,), (0, 1), fraction_bits, None)
    architecture = network.architecture
    assert architecture.bounded() == architecture
    assert architecture.private_bits != (fraction_bits,) or inputs < 40_000 or fraction_bits > 12


@pytest.mark.parametrize(("ring_bits", "weight_bits"), [(41, 14), (27, 14), (26, 13), (25, 12), (20, 7)])
def test_finer_weights_leave_eight_bits_of_the_ring_for_magnitudes(ring_bits: int, weight_bits: int) -> None:
    """A rounding of sqrt(n / 12) units is at most 2^-8 of an output, unless a sign, f, g and 8 bits do not fit."""
    weight = np.ones((2, 40_000)) / 200
    topology = Network.from_layers([Linear(weight, np.zeros(2))], (40_000,), (0, 1), 4, 41).architecture
    assert math.ceil(math.log2(math.sqrt(40_000 / 12) * 2**8)) == 14
    other = msgspec.structs.replace(topology, ring_bits=ring_bits, weight_bits=msgspec.UNSET)
    assert public_weight_bits(other) == (weight_bits,)
