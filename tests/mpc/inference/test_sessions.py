"""Whole networks: shares that add up to the clear result exactly, refusals, and what each party saw."""

from __future__ import annotations

from typing import get_args

import msgspec
import numpy as np
import pytest

from mpc.channels.frames import Channel
from mpc.channels.memory import memory_pair, run_both_sides
from mpc.errors import MpcError, OrderError, ParameterError, ProtocolError, RangeError
from mpc.garbled.session import Circuits, Evaluator, Garbler
from mpc.inference import AnsweringInference, LeakyReLU, Linear, Network, NetworkWeights, QueryingInference, ReLU
from mpc.inference.linear.encoding import Layout
from mpc.inference.nonlinear import AnsweringNonlinear
from mpc.ring import Words, unpack_words
from tests.mpc.inference.examples import (
    Agreement,
    Session,
    cryptonets_relu,
    everything,
    float_logits,
    mlp,
    uniform,
)


@pytest.fixture(scope="module")
def network() -> Network:
    layers, shape = mlp(np.random.default_rng(0))
    return Network.from_layers(layers, shape)


@pytest.fixture(scope="module")
def session(network: Network) -> Session:
    return Session.open(network)


def leaky_first(rng: np.random.Generator) -> tuple[list[object], tuple[int, ...]]:
    """A circuit over the very shares that mask the query."""
    return [LeakyReLU(0.25), Linear(uniform(rng, 3, 6), uniform(rng, 3))], (6,)


@pytest.mark.parametrize("circuits", get_args(Circuits))
@pytest.mark.parametrize("build", [mlp, cryptonets_relu, everything, leaky_first])
@pytest.mark.parametrize("batches", [(1, 3)])
def test_secret_result_is_the_clear_one_bit_by_bit(build, batches: tuple[int, ...], circuits: Circuits) -> None:
    layers, shape = build(np.random.default_rng(1))
    network = Network.from_layers(layers, shape, (-1.0, 1.0), ring_bits=45 if build is leaky_first else 41)
    session = Session.open(network, circuits=circuits)
    for batch in batches:
        reals = np.random.default_rng(batch).uniform(-1, 1, (batch, *shape))
        queries = network.encode_inputs(reals)
        left, right = session.run(queries)
        logits = network.ring.add(left, right)
        assert logits.shape == (batch, network.architecture.classes)
        np.testing.assert_array_equal(network.ring.signed(logits), network.run_clear(queries))
        assert np.abs(network.decode_logits(logits) - float_logits(layers, reals)).max() < 0.005


def test_extreme_queries_and_a_ring_that_is_just_wide_enough() -> None:
    layers = [Linear([[1.0, -1.0], [0.5, 0.5]], [0.0, 0.0]), ReLU(), Linear([[1.0, 1.0]], [0.25])]
    needed = max(r.ring_bits for r in Network.from_layers(layers, (2,), (-1.0, 1.0), 6, 30).ranges)
    network = Network.from_layers(layers, (2,), (-1.0, 1.0), 6, needed)
    queries = network.encode_inputs([[-1, -1], [-1, 1], [1, -1], [1, 1], [0, 0]])
    left, right = Session.open(network).run(queries)
    np.testing.assert_array_equal(network.ring.signed(network.ring.add(left, right)), network.run_clear(queries))
    with pytest.raises(RangeError):
        Network.from_layers(layers, (2,), (-1.0, 1.0), 6, needed - 1)


def test_a_single_layer_needs_no_circuit() -> None:
    network = Network.from_layers([Linear(np.eye(3), np.zeros(3))], (3,), fraction_bits=4, ring_bits=16)
    queries = network.encode_inputs([[0.25, 0.5, 1.0]])
    left, right = Session.open(network).run(queries)
    np.testing.assert_array_equal(network.ring.signed(network.ring.add(left, right)), network.run_clear(queries))


def test_the_querying_share_is_known_before_the_query(session: Session, network: Network) -> None:
    asked, served = run_both_sides(lambda: session.querying.prepare(2), lambda: session.answering.prepare(2))
    known = asked.logit_shares.copy()
    queries = network.encode_inputs(np.full((2, 64), 0.5))
    left, _ = run_both_sides(lambda: session.querying.infer(asked, queries), lambda: session.answering.infer(served))
    np.testing.assert_array_equal(left, known)


def test_weights_transformed_ahead_serve_every_querying_party(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = NetworkWeights(network.architecture, [fixed.weights for fixed in network.weights])
    weights.transform(2)
    monkeypatch.setattr(Layout, "encode_weights", None)  # nobody needs it any more
    queries = network.encode_inputs(np.full((2, 64), 0.25))
    for _ in range(2):
        left, right = Session.open(network, prepared=weights).run(queries)
        np.testing.assert_array_equal(network.ring.signed(network.ring.add(left, right)), network.run_clear(queries))


def test_a_correlation_serves_once(session: Session, network: Network) -> None:
    asked, served = run_both_sides(lambda: session.querying.prepare(1), lambda: session.answering.prepare(1))
    queries = network.encode_inputs(np.zeros((1, 64)))
    run_both_sides(lambda: session.querying.infer(asked, queries), lambda: session.answering.infer(served))
    with pytest.raises(OrderError, match="a correlation that is fresh, found one that was used before"):
        session.querying.infer(asked, queries)
    with pytest.raises(OrderError, match="a correlation that is fresh, found one that was used before"):
        session.answering.infer(served)


def test_the_mask_of_a_query_is_wiped_once_it_has_hidden_it(session: Session, network: Network) -> None:
    """What was sent, with the mask that hid it, is the query."""
    asked, served = run_both_sides(lambda: session.querying.prepare(2), lambda: session.answering.prepare(2))
    ((mask, _),) = asked.prepared._held
    assert mask.shape == (2, 64)
    assert mask.any()
    queries = network.encode_inputs(np.zeros((2, 64)))
    run_both_sides(lambda: session.querying.infer(asked, queries), lambda: session.answering.infer(served))
    assert not mask.any()
    assert asked.prepared._held == []


def test_refused_queries_cost_nothing(session: Session, network: Network) -> None:
    asked, served = run_both_sides(lambda: session.querying.prepare(1), lambda: session.answering.prepare(1))
    sent = len(session.querying_channel.transcript)
    with pytest.raises(RangeError):
        session.querying.infer(asked, np.full((1, 64), 4097, dtype=np.uint64))
    with pytest.raises(ParameterError, match="expected 1 queries, found 2"):
        session.querying.infer(asked, np.zeros((2, 64), dtype=np.uint64))
    with pytest.raises(ParameterError, match="of shape"):
        session.querying.infer(asked, np.zeros((1, 8, 8), dtype=np.uint64))
    assert len(session.querying_channel.transcript) == sent
    queries = network.encode_inputs(np.zeros((1, 64)))
    left, right = run_both_sides(
        lambda: session.querying.infer(asked, queries), lambda: session.answering.infer(served)
    )
    np.testing.assert_array_equal(network.ring.signed(network.ring.add(left, right)), network.run_clear(queries))


def test_both_logit_shares_are_uniform_on_their_own(session: Session, network: Network) -> None:
    queries = network.encode_inputs(np.zeros((200, 64)))  # the same query 200 times
    for shares in session.run(queries):
        assert len(np.unique(shares)) == shares.size
        for shift in (0, 20, 37):
            counts = np.bincount(((shares.reshape(-1) >> np.uint64(shift)) & np.uint64(15)).astype(int), minlength=16)
            expected = shares.size / 16
            assert ((counts - expected) ** 2 / expected).sum() < 44.3  # 15 degrees of freedom, probability 1e-4


def test_the_answering_party_sees_masked_queries_and_activations_only(
    session: Session, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    run = AnsweringNonlinear.run

    def spy(step: AnsweringNonlinear, channel: Channel, shares: Words) -> Words:
        opened.append(run(step, channel, shares))
        return opened[-1]

    monkeypatch.setattr(AnsweringNonlinear, "run", spy)
    start = len(session.answering_channel.transcript)
    session.run(network.encode_inputs(np.full((100, 64), 0.5)))
    seen = session.answering_channel.transcript[start:]
    (body,) = [body for direction, label, body in seen if label == "inference/input" and direction == "received"]
    (masked,) = [body for direction, label, body in seen if label == "inference/masked" and direction == "received"]
    assert len(opened) == 1
    received = [unpack_words(packed, (100 * size,), 41) for packed, size in ((body, 64), (masked, opened[0][0].size))]
    for words in (*received, opened[0].reshape(-1)):
        assert len(np.unique(words)) == words.size
        for shift in (0, 37):
            counts = np.bincount(((words >> np.uint64(shift)) & np.uint64(15)).astype(int), minlength=16)
            expected = words.size / 16
            assert ((counts - expected) ** 2 / expected).sum() < 44.3


def test_a_session_ends_where_the_flooding_is_made_for(network: Network) -> None:
    layers, shape = mlp(np.random.default_rng(0))
    session = Session.open(Network.from_layers(layers, shape, session_queries=3))
    session.run(network.encode_inputs(np.zeros((2, 64))))
    with pytest.raises(ParameterError, match="at most 3 queries in a session, found 4"):
        session.answering.prepare(2)
    with pytest.raises(ParameterError, match="1 to 4096 queries at a time, found 0"):
        session.querying.prepare(0)
    with pytest.raises(ParameterError, match="1 to 4096 queries at a time, found 4097"):
        session.answering.prepare(4097)
    with pytest.raises(ParameterError, match="at most 3 queries in a session, found 4098"):
        session.answering.prepare(4096)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_shape": (65,)}, "input shape of the network"),
        ({"classes": 11}, "classes of the network"),
        ({"ring_bits": 40}, "ring bits of the network"),
        ({"fraction_bits": 11}, "fraction bits of the network"),
    ],
)
def test_another_agreement_is_refused(network: Network, change: dict[str, object], message: str) -> None:
    agreed = Agreement.of(network)
    other = Agreement(**{**vars(agreed), **change})
    mine, theirs = memory_pair("client", "server", 5)
    evaluator, garbler = run_both_sides(lambda: Evaluator.open(mine), lambda: Garbler.open(theirs))
    with pytest.raises(ParameterError, match=message.split(" of ", maxsplit=1)[0]):
        AnsweringInference.open(theirs, garbler, network, other)
    theirs.send_message("network/architecture", network.architecture)
    with mine.in_step("0"), pytest.raises(ProtocolError, match=f"step 0 server: .*{message}"):
        QueryingInference.open(mine, evaluator, other)


def test_hostile_architectures_and_keys_are_refused(network: Network) -> None:
    mine, theirs = memory_pair("client", "server", 5)
    evaluator, garbler = run_both_sides(lambda: Evaluator.open(mine), lambda: Garbler.open(theirs))
    plain = msgspec.to_builtins(network.architecture) | {"layers": [{"type": "Dense", "outputs": 1 << 40}]}
    theirs.send("network/architecture", msgspec.msgpack.encode(plain))
    with pytest.raises(ProtocolError, match="expected a Architecture in 'network/architecture'"):
        QueryingInference.open(mine, evaluator, Agreement.of(network))
    mine.send("network/key", bytes(100))
    with pytest.raises(ProtocolError, match="in 'network/key'"):
        AnsweringInference.open(theirs, garbler, network, Agreement.of(network))


def test_shares_never_print(session: Session) -> None:
    asked, served = run_both_sides(lambda: session.querying.prepare(1), lambda: session.answering.prepare(1))
    assert repr(asked) == "QueryingCorrelation(batch=1)"
    assert repr(served) == "AnsweringCorrelation(batch=1)"
    assert issubclass(ProtocolError, MpcError)
