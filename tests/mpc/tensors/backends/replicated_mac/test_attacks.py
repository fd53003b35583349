"""One of three parties cheats in what it shares, tells and opens. Without the defence the others are deceived."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mpc.errors import CheatingError, OrderError, TransportError
from mpc.tensors.backends.replicated_mac import bits, check, outputs, pieces
from mpc.tensors.backends.replicated_mac.backend import ReplicatedMacBackend
from mpc.tensors.backends.replicated_mac.guarded import Guarded
from mpc.tensors.backends.replicated_mac.memory import in_memory
from tests.mpc.tensors.backends.replicated_mac.cheating import (
    DEADLINE_S,
    METHODS,
    MULTIPLY,
    PARTIES,
    RELU,
    TRUNCATE,
    Steps,
    X,
    Y,
    assert_aborted,
    both,
    carries_with,
    places,
    results,
    sends_otherwise,
    session,
    shares_with,
    without_the_proofs,
)
from tests.mpc.tensors.backends.session import OUTSIDE, outcomes, words

# -- what is shared ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_whatever_is_shared_wrongly_in_any_method_ends_the_session(method: str) -> None:
    for number, part, _, cheater in places(METHODS[method]):
        found, _ = session(METHODS[method], {cheater: shares_with(number, part, 1)})
        assert_aborted(cheater, found)


@pytest.mark.parametrize("method", METHODS)
def test_without_the_proofs_what_is_shared_wrongly_changes_results_unnoticed(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind of message changes the result for some error. A rounding that is stochastic is off by more than it."""
    kinds = {(what, part) for _, part, what, _ in places(METHODS[method])}
    if "stochastic" in method:  # whose carries serve the claims about the two numbers alone
        kinds.remove(("cut by 2 bits, stochastic", 0))
    without_the_proofs(monkeypatch)
    right = results(session(METHODS[method])[0])
    changed = set()
    for number, part, what, cheater in places(METHODS[method]):
        for error in (1, 2**64 - 1, 2**63, 2**64 - 100, 8, 64):
            if (what, part) in changed:
                break
            found, _ = session(METHODS[method], {cheater: shares_with(number, part, error, slice(None))})
            got = results(found)
            if any(np.abs(one - other).max() > ("stochastic" in method) for one, other in zip(got, right, strict=True)):
                changed.add((what, part))
    assert changed == kinds


@pytest.mark.parametrize("bit", range(64))
def test_an_error_of_every_power_of_two_is_found(bit: int) -> None:
    """A ring has divisors of zero: twice 2^63 is nothing, so that every second coin of one word would not see it."""
    for error in (2**bit, 2**64 - 2**bit):
        found, _ = session(MULTIPLY, {"p1": shares_with(0, 0, error)})
        assert_aborted("p1", found)
    (number, part, *_), *_ = [place for place in places(RELU) if place[2].startswith("carries")]
    cheater = next(who for found, _, _, who in places(RELU) if found == number)
    if bit < 4:
        found, _ = session(RELU, {cheater: shares_with(number, part, 2**bit)})
        assert_aborted(cheater, found)


@pytest.mark.parametrize("bit", [0, 1, 31, 62, 63])
def test_without_the_proofs_an_error_of_a_power_of_two_changes_the_product(
    bit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_the_proofs(monkeypatch)
    steps: Steps = lambda b, x, y: b.multiply([(x, y)])  # noqa: E731
    found, _ = session(steps, {"p1": shares_with(0, 0, 2**bit)})
    difference = (results(found)[0] - X * Y).reshape(-1)
    assert difference[0] % 2**64 == 2**bit
    assert not difference[1:].any()


@pytest.mark.parametrize("bit", [1, 63])
@pytest.mark.parametrize("proven", [True, False])
def test_carries_that_fit_a_wrong_number_are_found(bit: int, proven: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rounding by two bits takes carries 1 and 63. A party that changes one and what follows from it alike."""
    if not proven:
        monkeypatch.setattr(bits.Right, "holds", lambda *_: True)
    right = results(session(TRUNCATE)[0])[0]
    for number, part, what, cheater in places(TRUNCATE):
        if what.startswith("cut by") and part == 0:
            found, _ = session(TRUNCATE, {cheater: carries_with(number, bit)})
            if proven:
                assert_aborted(cheater, found)
            else:
                assert np.abs(results(found)[0] - right).reshape(-1)[0] >= (2**61 if bit == 63 else 0)


def wide(rows: int, inner: int, columns: int) -> Steps:
    """A product of matrices, of which one input is a part."""

    def steps(b: Any, x: Any, y: Any) -> Sequence[Any]:
        left = b.linear(lambda a: np.resize(a, (rows, inner)), (rows, inner), x)
        right = b.linear(lambda a: np.resize(a, (inner, columns)), (inner, columns), y)
        return b.matmul([(left, right)])

    return steps


@pytest.mark.parametrize("shape", [(60, 3, 5), (4, 2, 70), (50, 7, 49), (3, 2, 4)])
@pytest.mark.parametrize("bit", [0, 31, 63])
def test_an_error_in_one_number_of_a_large_matrix_is_found(shape: tuple[int, int, int], bit: int) -> None:
    """Large products are made smaller before they are proven, and must not lose an error."""
    steps = wide(*shape)
    right = results(session(steps)[0])[0]
    assert (right == np.resize(X, shape[:2]).astype(object) @ np.resize(Y, shape[1:])).all()
    for place in (0, shape[0] * shape[2] - 1):
        for cheater in PARTIES[:2]:
            found, _ = session(steps, {cheater: shares_with(0, 0, 2**bit, place)})
            assert_aborted(cheater, found)


def test_one_row_of_coins_in_the_place_of_48_would_miss_every_second_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SMALLER", 1)
    passed = 0
    for _ in range(24):
        found, _ = session(wide(2, 1, 2), {"p0": shares_with(0, 0, 2**63)})
        passed += isinstance(found["p0"], list)
    assert 0 < passed < 24  # a quarter sees it


def test_several_errors_that_cancel_each_other_in_a_sum_are_found() -> None:
    cheat = both(shares_with(0, 0, 7, 0), shares_with(0, 0, 2**64 - 7, 1))
    found, _ = session(METHODS["linear"], {"p2": cheat})
    assert_aborted("p2", found)


# -- what is told, given and opened ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cheater", range(3))
def test_a_mask_that_is_told_wrongly_is_found(cheater: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is not fresh gets a new mask before it is rounded, which one party tells another one.

    Who tells something else, and believes it itself, deceives all proofs. The third party has the same mask.
    """
    turns: Steps = lambda b, x, y: [b.truncate([b.add(x, y)], 2, 100, "stochastic")[0] for _ in range(3)]  # noqa: E731
    name, reader = PARTIES[cheater], PARTIES[cheater - 1]

    def cheat(backend: ReplicatedMacBackend) -> None:
        plain = backend._trio.tell

        def tell(what: str, told: np.ndarray) -> None:
            told += np.uint64(400)
            plain(what, told)

        backend._trio.tell = tell  # type: ignore[method-assign]

    found, _ = session(turns, {name: cheat})
    assert_aborted(name, found, "found that somebody has told both different things, which need not be that party")
    monkeypatch.setattr(Guarded, "digest", lambda *_: bytes(32))
    found, _ = session(turns, {name: cheat}, reader)
    assert sum(int(np.abs(one - (X + Y) // 4).max() > 99) for one in results(found, reader)) == 1
    found, _ = session(turns, {name: sends_otherwise("tell/anew", PARTIES[(cheater + 1) % 3], 4)}, reader)
    assert_aborted(name, found)  # who does not believe it itself is found by the proofs


@pytest.mark.parametrize("receiver", ["p1", "p2"])
def test_an_owner_that_tells_parties_different_inputs_is_found(receiver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner that computes cannot do it, because its words reach one party alone."""

    def steps(b: Any, x: Any, y: Any) -> Sequence[Any]:
        value = b.input(OUTSIDE, np.array([3, 4], dtype=np.uint64) if b.me == OUTSIDE else None, (2,))
        return b.multiply([(value, value)])

    cheat = {OUTSIDE: sends_otherwise("input/", receiver)}
    found, _ = session(steps, cheat, outside=(OUTSIDE,))
    assert_aborted(OUTSIDE, found, "found that somebody has told both different things, which need not be that party")
    monkeypatch.setattr(Guarded, "digest", lambda *_: bytes(32))
    monkeypatch.setattr(check, "_prove", lambda *_: None)
    found, _ = session(steps, cheat, outside=(OUTSIDE,), reader="p1")
    assert results(found, "p1")[0].tolist() != [9, 16]


def test_an_owner_that_gives_the_holders_of_a_component_different_keys_is_found() -> None:
    backends = in_memory(PARTIES, None, (OUTSIDE,), deadline_s=60)
    keys = backends["p2"]._keys
    plain = keys.receive

    def receive() -> None:
        plain()
        keys._seeds[OUTSIDE, 0] = bytes(32)  # which p0 has got another one of

    keys.receive = receive  # type: ignore[method-assign]

    def program(backend: ReplicatedMacBackend) -> Any:
        value = np.array([3, 4], dtype=np.uint64) if backend.me == OUTSIDE else None
        return backend.open([backend.input(OUTSIDE, value, (2,))], ["p0"])

    assert_aborted(OUTSIDE, outcomes(backends, program), "expected to have got the same as p")  # type: ignore[arg-type]


@pytest.mark.parametrize("cheater", ["p1", "p2"])
def test_a_component_that_is_opened_wrongly_is_found(cheater: str) -> None:
    """The party before sends the component, and the other one its hash."""
    found, _ = session(lambda b, x, y: [x], {cheater: sends_otherwise("output/", "p0")})
    assert isinstance(found["p0"], CheatingError)
    assert "expected p2 and p1 to hold the same component of an output, found different ones" in str(found["p0"])


def test_without_the_hash_an_opened_component_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Alike:
        @staticmethod
        def sha256(_: object) -> Alike:
            return Alike()

        def digest(self) -> bytes:
            return bytes(32)

    monkeypatch.setattr(outputs, "hashlib", Alike)
    found, _ = session(lambda b, x, y: [x], {"p2": sends_otherwise("output/", "p0")})
    assert results(found)[0].reshape(-1)[0] != X[0, 0]


@pytest.mark.parametrize("cheater", PARTIES)
@pytest.mark.parametrize("place", [0, -8])
def test_an_outside_reader_that_is_told_something_else_notices(cheater: str, place: int) -> None:
    cheat = {cheater: sends_otherwise("output/", OUTSIDE, place)}
    found, _ = session(MULTIPLY, cheat, OUTSIDE, (OUTSIDE,))
    assert isinstance(found[OUTSIDE], CheatingError)
    assert "expected the same output from each two of p0, p1, p2, found different ones" in str(found[OUTSIDE])


@pytest.mark.parametrize("cheater", PARTIES)
def test_an_outside_reader_with_two_sums_of_three_would_believe_the_party_in_both(cheater: str) -> None:
    """It changes both of its shares alike. So two sums agree, and only that of the two others does not."""
    cheat = both(sends_otherwise("output/", OUTSIDE, 0), sends_otherwise("output/", OUTSIDE, 48))
    found, _ = session(lambda b, x, y: [x], {cheater: cheat}, OUTSIDE, (OUTSIDE,))
    assert isinstance(found[OUTSIDE], CheatingError)


# -- after an abort ----------------------------------------------------------------------------------------------------


def test_after_an_abort_nothing_is_revealed_keys_are_gone_and_nobody_waits() -> None:
    began = time.monotonic()
    found, backends = session(MULTIPLY, {"p1": shares_with(0, 0, 5)}, "p0", (OUTSIDE,))
    assert time.monotonic() - began < 0.75 * DEADLINE_S
    assert not any(isinstance(outcome, list) for outcome in found.values())
    for name in PARTIES:
        backend = backends[name]
        assert backend._keys._seeds == {}
        assert backend._keys._streams == {}
        assert backend._trio.pending.numbers == []
        with pytest.raises(OrderError, match="expected a session that goes on, found one that ended in the step open"):
            backend.open([], [])


def test_checks_come_in_time_where_nothing_is_revealed() -> None:
    """A party that cheats in a long program is found after so many bytes, whatever the program reveals."""
    backends = in_memory(PARTIES, deadline_s=60, most_pending=5000)
    shares_with(1, 0, 1)(backends["p0"])
    largest = 0

    def program(backend: ReplicatedMacBackend) -> int:
        nonlocal largest
        value = backend.input("p0", words(np.arange(10)) if backend.me == "p0" else None, (10,))
        for _ in range(40):
            (value,) = backend.multiply([(value, value)])
            largest = max(largest, backend._trio.pending.size)
        return 40

    found = outcomes(backends, program)  # type: ignore[arg-type]
    errors = [found[name] for name in ("p1", "p2")]
    assert all(isinstance(error, CheatingError | TransportError) for error in errors)
    assert any(isinstance(error, CheatingError) for error in errors)
    assert largest <= 5000
