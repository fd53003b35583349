"""Correlations prepared ahead: each one used once, in order, bounded in number, in memory alone."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from mpc.channels.memory import memory_pair
from mpc.errors import ParameterError, ProtocolError
from mpc.inference import AnsweringPool, Network, QueryingPool
from mpc.inference.pool import Order
from tests.mpc.inference.examples import Session, mlp, run_both_sides


def test_queries_are_answered_from_the_pool_and_exact() -> None:
    layers, shape = mlp(np.random.default_rng(0))
    network = Network.from_layers(layers, shape)
    session = Session.open(network)
    asking = QueryingPool(session.querying_channel, session.querying.prepare, size=2)
    serving = AnsweringPool(session.answering_channel, session.answering.prepare, size=2)
    rng = np.random.default_rng(1)
    batches = [network.encode_inputs(rng.uniform(0, 1, (n, 64))) for n in (1, 1, 3, 1)]

    def ask() -> list[np.ndarray]:
        shares = []
        for queries in batches:
            asking.fill(1)
            assert asking.ready == 2
            start = len(session.querying_channel.transcript)
            shares.append(session.querying.infer(asking.take(len(queries)), queries))
            labels = [label for _, label, _ in session.querying_channel.transcript[start:]]
            # Prepared ahead, the online phase is input, labels and colours; the batch of 3 was not.
            assert ("linear/0/upload" in labels) == (len(queries) == 3)
        asking.end()
        return shares

    def serve() -> list[np.ndarray]:
        shares = []
        while (taken := serving.next()) is not None:
            shares.append(session.answering.infer(taken[1]))
        return shares

    for queries, left, right in zip(batches, *run_both_sides(ask, serve), strict=True):
        np.testing.assert_array_equal(network.ring.signed(network.ring.add(left, right)), network.run_clear(queries))
    assert asking.ready == serving.ready == 0


class Half:
    def __init__(self, number: int) -> None:
        self.number = number


def halves(size: int) -> tuple[QueryingPool[Half], AnsweringPool[Half]]:
    mine, theirs = memory_pair("client", "server", 5)
    numbers = [iter(range(100)), iter(range(100))]
    return (
        QueryingPool(mine, lambda _: Half(next(numbers[0])), size),
        AnsweringPool(theirs, lambda _: Half(next(numbers[1])), size),
    )


def test_the_halves_of_one_correlation_meet() -> None:
    asking, serving = halves(3)
    asking.fill(4, most=2)
    asking.fill(5)
    pairs = []
    for batch in (5, 4, 4, 4, 7):
        mine = asking.take(batch)
        taken = serving.next()
        assert taken is not None
        assert taken[0] == batch
        pairs.append((mine.number, taken[1].number))
    assert pairs == [(2, 2), (0, 0), (1, 1), (3, 3), (4, 4)]


def test_what_was_handed_out_is_forgotten() -> None:
    asking, serving = halves(1)
    asking.fill(1)
    seen = [weakref.ref(asking.take(1)), weakref.ref(serving.next()[1])]  # type: ignore[index]
    gc.collect()
    assert [half() for half in seen] == [None, None]


def test_a_pool_of_none_prepares_on_the_spot() -> None:
    asking, serving = halves(0)
    asking.fill(1)
    assert asking.ready == 0
    assert asking.take(1).number == 0
    assert serving.next()[1].number == 0  # type: ignore[index]


def test_the_end_forgets_what_is_left() -> None:
    asking, serving = halves(2)
    asking.fill(1)
    asking.end()
    assert serving.next() is None
    assert asking.ready == serving.ready == 0


def test_a_querying_party_that_hoards_or_skips_preparation_is_refused() -> None:
    mine, theirs = memory_pair("client", "server", 5)
    serving: AnsweringPool[int] = AnsweringPool(theirs, lambda batch: batch, 1, largest=2)
    for _ in range(3):
        mine.send_message("pool/order", Order("prepare", 1))
    with theirs.in_step("0'"), pytest.raises(ProtocolError, match="step 0' client: expected at most 2 correlations"):
        serving.next()
    mine.send_message("pool/order", Order("use", 2))
    with pytest.raises(ProtocolError, match="prepared, found none for 2 queries"):
        serving.next()
    mine.send_message("pool/order", Order("prepare", 3))
    with pytest.raises(ProtocolError, match="at most 2 queries at a time, found 3"):
        serving.next()
    for body in (b"\x80", b"\x82\xa4kind\xa7prepare\xa5batch\x00"):
        mine.send("pool/order", body)
        with pytest.raises(ProtocolError):
            serving.next()
    with pytest.raises(ParameterError, match="0 or more"):
        QueryingPool(mine, lambda batch: batch, -1)
