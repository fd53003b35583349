"""Correlations from a dealer: exact, seeds instead of data, and nobody alone sees weights or queries."""

from __future__ import annotations

import numpy as np
import pytest

from mpc.channels.memory import MemoryChannel, memory_pair
from mpc.errors import ParameterError, ProtocolError
from mpc.garbled.session import Evaluator, Garbler
from mpc.inference import (
    TRUST,
    AnsweringInference,
    Dealer,
    Network,
    QueryingInference,
    dealer_give_seeds,
    querying_take_seeds,
)
from mpc.inference.linear.dealt import CorrelationRequest, Keystream, _masks, _shares, _weight_pads
from mpc.ring import Words, unpack_words
from tests.mpc.inference.examples import Agreement, cryptonets_relu, everything, mlp, run_both_sides


class Triangle:
    """QP, AP and dealer over channels in memory."""

    def __init__(self, network: Network) -> None:
        self.network, agreement = network, Agreement.of(network)
        self.querying, self.answering = memory_pair("client", "server")
        self.querying_dealer, self.dealer_querying = memory_pair("client", "privacy-guardian")
        self.answering_dealer, dealer_answering = memory_pair("server", "privacy-guardian")
        self.dealer_ends: list[MemoryChannel] = [self.dealer_querying, dealer_answering]
        evaluator, garbler = run_both_sides(lambda: Evaluator.open(self.querying), lambda: Garbler.open(self.answering))
        (given,) = dealer_give_seeds(self.dealer_querying, 1)
        (taken,) = querying_take_seeds(self.querying_dealer, 1)
        (self.asking, self.serving), self.dealer = run_both_sides(
            lambda: run_both_sides(
                lambda: QueryingInference.open(self.querying, evaluator, agreement, dealt=taken),
                lambda: AnsweringInference.open(
                    self.answering, garbler, network, agreement, dealer=self.answering_dealer
                ),
            ),
            lambda: Dealer.open(dealer_answering, given),
        )

    def run(self, queries: Words) -> tuple[Words, Words]:
        count = len(queries)
        (asked, served), _ = run_both_sides(
            lambda: run_both_sides(lambda: self.asking.prepare(count), lambda: self.serving.prepare(count)),
            lambda: self.dealer.deal(self.dealer.next()),
        )
        return run_both_sides(lambda: self.asking.infer(asked, queries), lambda: self.serving.infer(served))


@pytest.mark.parametrize("build", [mlp, cryptonets_relu, everything])
def test_secret_result_is_the_clear_one_bit_by_bit(build) -> None:
    layers, shape = build(np.random.default_rng(1))
    network = Network.from_layers(layers, shape, (-1.0, 1.0))
    triangle = Triangle(network)
    for batch in (1, 3):
        queries = network.encode_inputs(np.random.default_rng(batch).uniform(-1, 1, (batch, *shape)))
        logits = network.ring.add(*triangle.run(queries))
        np.testing.assert_array_equal(network.ring.signed(logits), network.run_clear(queries))


def test_seeds_travel_instead_of_data_and_weights_once() -> None:
    network = Network.from_layers(*mlp(np.random.default_rng(0)))
    triangle = Triangle(network)
    queries = network.encode_inputs(np.zeros((2, 64)))
    for _ in range(2):
        triangle.run(queries)
    assert [(label, len(body)) for _, label, body in triangle.querying_dealer.transcript] == [("dealer/seeds", 32)]
    seen = [(label, len(body)) for way, label, body in triangle.answering_dealer.transcript if way == "received"]
    outputs = [("linear/0/dealt", 2 * 32 * 41 // 8), ("linear/1/dealt", -(-2 * 10 * 41 // 8))]
    assert seen == [("dealer/seed", 32), *outputs, *outputs]
    labels = [label for _, label, _ in triangle.querying.transcript]
    assert labels.count("linear/0/masked") == labels.count("linear/1/masked") == 1


def test_what_each_party_sees_is_uniform_whatever_weights_and_queries_are() -> None:
    layers, shape = mlp(np.random.default_rng(0))
    network = Network.from_layers(layers, shape)
    triangle = Triangle(network)
    triangle.run(network.encode_inputs(np.full((200, 64), 0.5)))  # the same query 200 times
    triangle.run(network.encode_inputs(np.full((200, 64), 0.5)))
    bodies = [
        (label, body) for end in (triangle.querying, triangle.answering_dealer) for _, label, body in end.transcript
    ]
    masked = np.concatenate([unpack_words(b, (32 * 64,), 41) for label, b in bodies if label == "linear/0/masked"])
    dealt = np.concatenate([unpack_words(b, (200 * 32,), 41) for label, b in bodies if label == "linear/0/dealt"])
    inputs = np.concatenate([unpack_words(b, (200 * 64,), 41) for label, b in bodies if label == "inference/input"])
    for words in (masked, dealt, inputs):
        assert len(np.unique(words)) == words.size
        for shift in (0, 20, 37):
            counts = np.bincount(((words >> np.uint64(shift)) & np.uint64(15)).astype(int), minlength=16)
            expected = words.size / 16
            assert ((counts - expected) ** 2 / expected).sum() < 44.3  # 15 degrees of freedom, probability 1e-4
    # The dealer saw no ring element at all: an architecture and numbers of queries.
    received = {label for end in triangle.dealer_ends for way, label, _ in end.transcript if way == "received"}
    assert received == {"dealer/architecture", "dealer/request"}


def test_every_batch_has_masks_of_its_own() -> None:
    first, again, second, other = (
        Keystream(seed, lane).bytes(32)
        for seed, lane in ((bytes(32), 1), (bytes(32), 1), (bytes(32), 2), (b"1" * 32, 1))
    )
    assert first == again
    assert len({first, second, other}) == 3
    assert repr(Keystream(bytes(32), 1)) == "Keystream(<seed hidden>)"
    with pytest.raises(ParameterError, match="seed of 32 B, found 31"):
        Keystream(bytes(31), 0)


def test_no_value_that_follows_from_a_seed_serves_twice() -> None:
    """If u began as r does, an answering party, which knows A and A r - u, could solve for r and open the query."""
    architecture = Network.from_layers(*mlp(np.random.default_rng(0))).architecture
    seed = bytes(range(32))
    drawn = _weight_pads(architecture, seed)
    for number in (1, 2, 3):
        drawn += _masks(architecture, 4, seed, number)[0] + _shares(architecture, 4, seed, number)
    values = np.concatenate([part.reshape(-1) for part in drawn])
    assert len(values) > 4000
    assert len(np.unique(values)) == len(values)  # two of so many 41-bit values are equal with a chance of 4e-6


def test_the_end_and_malformed_messages() -> None:
    network = Network.from_layers(*mlp(np.random.default_rng(0)))
    triangle = Triangle(network)
    triangle.serving.end()
    assert triangle.dealer.next() == 0
    for body in (b"", b"\x81\xa5batch\xff", b"\x81\xa5batch\xcd\x20\x00"):
        triangle.answering_dealer.send("dealer/request", body)
        with pytest.raises(ProtocolError):
            triangle.dealer.next()
    with pytest.raises(ParameterError, match="0 to 4096 queries"):
        CorrelationRequest(-1)
    with pytest.raises(ProtocolError, match="linear/0/dealt"):
        triangle.dealer_ends[1].send("linear/0/dealt", bytes(3))
        triangle.serving.prepare(1)
    triangle.dealer_querying.send("dealer/seeds", bytes(33))
    with pytest.raises(ProtocolError, match="32 bytes in 'dealer/seeds', found 33"):
        querying_take_seeds(triangle.querying_dealer, 1)


def test_the_trust_of_each_way_is_said() -> None:
    assert set(TRUST) == {"he", "dealer"}
    assert "privacy guardian" in TRUST["dealer"]
