"""Sums of subsets, fingerprints and tickets, and the coins that parties toss for them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from mpc.channels.memory import memory_pair
from mpc.errors import CheatingError, MpcError, ParameterError, ProtocolError
from mpc.tensors.backends.subsets import SUMS, subset_sums
from mpc.tensors.fingerprints import Ticket, fingerprint, tickets_of, toss
from mpc.tensors.network import Network


def test_sums_of_subsets_are_sums_of_subsets() -> None:
    """By the identity as rows, the sums show which words are in each. About half of them are."""
    chosen = subset_sums(np.eye(200, dtype=np.uint64), b"coins")
    assert chosen.shape == (200, SUMS)
    assert set(np.unique(chosen).tolist()) == {0, 1}
    assert (np.abs(chosen.sum(axis=0).astype(int) - 100) < 50).all()
    assert len({column.tobytes() for column in chosen.T}) == SUMS
    rows = np.random.default_rng(1).integers(0, 2**64, (3, 200), dtype=np.uint64)
    expected = (rows.astype(object) @ chosen.astype(object)) % 2**64
    assert (subset_sums(rows, b"coins") == expected).all()
    assert (subset_sums(rows, b"others") != expected).any()


def test_sums_of_many_words_are_those_of_their_parts() -> None:
    rows = np.random.default_rng(1).integers(0, 2**64, (1, 70_000), dtype=np.uint64)
    single = [subset_sums(np.where(np.arange(70_000) == place, rows, np.uint64(0)), b"coins") for place in (0, 40_000)]
    without = rows.copy()
    without[0, [0, 40_000]] = 0
    assert (subset_sums(rows, b"coins") == subset_sums(without, b"coins") + single[0] + single[1]).all()


@pytest.mark.parametrize("error", [1, 2**40, 2**63, 2**64 - 1])
def test_a_changed_word_keeps_its_fingerprint_with_a_chance_of_a_half_a_sum(error: int) -> None:
    """Over many coins: each sum misses the word every second time, and all of them together never here."""
    row = np.arange(5, dtype=np.uint64)[None]
    other = row.copy()
    other[0, 3:4] += np.uint64(error)
    pad = np.zeros((1, SUMS), dtype=np.uint64)
    missed = [
        fingerprint(row, pad, bytes([number])) == fingerprint(other, pad, bytes([number])) for number in range(200)
    ]
    each = np.concatenate(missed).mean(axis=0)
    assert ((each > 0.3) & (each < 0.7)).all()
    assert not any(one.all() for one in missed)


def test_tickets_are_whole_and_without_one_piece_say_nothing() -> None:
    words = np.arange(7, dtype=np.uint64)
    bodies = tickets_of(words, 3, 2)
    for number in range(2):
        each = [Ticket.read(body[number * Ticket.SIZE : (number + 1) * Ticket.SIZE]) for body in bodies]
        coins = bytes(a ^ b ^ c for a, b, c in zip(*(one.coins for one in each), strict=True))
        pad = each[0].pads + each[1].pads + each[2].pads
        assert (fingerprint(words[None], pad[None], coins)[0] == each[0].opened).all()
        assert len({one.digest for one in each}) == 1
        assert "hidden" in repr(each[0])
    with pytest.raises(ProtocolError, match=f"expected bytes of a ticket {Ticket.SIZE}, found 5"):
        Ticket.read(b"12345")
    with pytest.raises(ParameterError, match="expected a model of at least one word, found none"):
        tickets_of(words[:0], 3, 2)


@pytest.mark.parametrize("step", ["toss/hidden", "toss/shown"])
def test_a_party_that_tosses_other_coins_than_it_committed_to_is_named(step: str) -> None:
    one, two = memory_pair("a", "b", 20.0)
    networks = {"a": Network("a", {"b": one}), "b": Network("b", {"a": two})}
    swap = networks["b"].swap

    def bad(label: str, bodies: dict[str, list[bytes]], sizes: dict[str, int]) -> dict[str, memoryview]:
        if label == step:
            bodies = {name: [bytes(32)] for name in bodies}
        return swap(label, bodies, sizes)

    networks["b"].swap = bad  # type: ignore[method-assign, assignment]
    found: dict[str, object] = {}

    def side(name: str) -> None:
        try:
            found[name] = toss(networks[name], ("a", "b"))
        except MpcError as error:
            found[name] = error

    threads = [threading.Thread(target=side, args=(name,)) for name in networks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert isinstance(found["a"], CheatingError)
    assert found["a"].peer == "b"
    assert isinstance(found["b"], bytes)
