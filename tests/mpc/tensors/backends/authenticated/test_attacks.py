"""A computing party cheats in every way that it has. The honest ones end, and without the check they are deceived."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

import numpy as np
import pytest

from mpc.channels.frames import Buffer
from mpc.errors import CheatingError, MpcError, OrderError, TransportError
from mpc.tensors.backends.authenticated import check
from mpc.tensors.backends.authenticated.backend import DealerMacBackend
from mpc.tensors.backends.authenticated.memory import in_memory
from mpc.tensors.backends.commitments import commitment
from tests.mpc.tensors.backends.authenticated.cheating import (
    DEADLINE_S,
    METHODS,
    Cheat,
    Outcome,
    openings,
    opens_with,
    session,
    without_the_check,
)
from tests.mpc.tensors.backends.session import OUTSIDE, PROVIDER, names, outcomes, signed, words

DECEIVED = "expected what was opened to be what was shared, found another value; the check cannot tell who changed it"


def honest(n: int, cheater: str, found: dict[str, Outcome]) -> list[Outcome]:
    return [found[name] for name in names(n) if name != cheater]


def assert_aborted(n: int, cheater: str, found: dict[str, Outcome], sentence: str = DECEIVED) -> None:
    errors = honest(n, cheater, found)
    assert all(isinstance(error, MpcError) for error in errors), errors
    assert any(isinstance(error, CheatingError) and sentence in str(error) for error in errors), errors
    assert all(isinstance(error, CheatingError | TransportError) for error in errors), errors


def results(found: dict[str, Outcome], reader: str = "p0") -> list[np.ndarray]:
    opened = found[reader]
    assert isinstance(opened, list), opened
    return [signed(value) for value in opened]


def same(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> bool:
    return all((one == other).all() for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_an_error_in_any_opening_of_any_method_ends_the_session(n: int, method: str) -> None:
    kinds = openings(n, METHODS[method])
    assert kinds[-1] == "output"
    for number in range(len(kinds)):
        for cheater in ("p0", names(n)[-1]):
            found, _ = session(n, METHODS[method], {cheater: opens_with(number, 1)})
            assert_aborted(n, cheater, found)


@pytest.mark.parametrize("method", METHODS)
def test_without_the_check_the_same_errors_change_results_unnoticed(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For stochastic truncation the error is large, because its results differ by a unit anyway."""
    without_the_check(monkeypatch)
    error = 2**20 if "stochastic" in method else 1
    right = results(session(2, METHODS[method])[0])
    changed = []
    for number in range(len(openings(2, METHODS[method]))):
        found, _ = session(2, METHODS[method], {"p1": opens_with(number, error)})
        changed.append(any(np.abs(a - b).max() > 1 for a, b in zip(results(found), right, strict=True))
                       if error > 1 else not same(results(found), right))  # fmt: skip
    assert any(changed)
    assert changed[-1]  # the output's opening


MULTIPLY, TRUNCATE = METHODS["multiply"], METHODS["truncate, stochastic"]


@pytest.mark.parametrize("bit", range(64))
def test_an_error_of_every_power_of_two_is_found(bit: int) -> None:
    """A ring has divisors of zero. An error of 2^63 would meet one bit of a key, were a MAC not wider than a value."""
    for steps, error in ((MULTIPLY, 2**bit), (TRUNCATE, 2**bit + 2**100), (MULTIPLY, 2**128 - 2**bit)):
        found, _ = session(2, steps, {"p1": opens_with(0, error)})
        assert_aborted(2, "p1", found)


@pytest.mark.parametrize("bit", [0, 1, 31, 62, 63])
def test_without_the_check_errors_of_powers_of_two_change_the_output(bit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    without_the_check(monkeypatch)
    right = results(session(2, MULTIPLY)[0])
    found, _ = session(2, MULTIPLY, {"p1": opens_with(len(openings(2, MULTIPLY)) - 1, 2**bit)})
    difference = (results(found)[0] - right[0]).reshape(-1)
    assert difference[0] % 2**64 == 2**bit
    assert not difference[1:].any()


@pytest.mark.parametrize("method", ["multiply", "relu", "truncate, floor"])
def test_a_party_that_makes_its_mac_fit_its_own_key_is_found(method: str) -> None:
    """The other parties' keys are what it does not know."""
    for number in range(len(openings(2, METHODS[method]))):
        for bit in (0, 63):
            found, _ = session(2, METHODS[method], {"p1": opens_with(number, 2**bit, adjusts=True)})
            assert_aborted(2, "p1", found)


def test_a_check_that_opened_upper_words_after_its_coins_would_pass_every_second_cheat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Why all 128 bits are opened at once: an error of 2^63 vanishes in the sum with a chance of a half otherwise."""
    rng = np.random.default_rng(1)
    passed = 0
    for _ in range(200):
        coin = int(rng.integers(0, 2**64, dtype=np.uint64))
        error = coin * 2**63  # of the sum, which the cheater then mends by a multiple of 2^64 of its choice
        passed += error % 2**64 == 0
    assert 60 < passed < 140


# -- inputs and outputs ------------------------------------------------------------------------------------------------


def tells_one_party_otherwise(number_of_message: str, victim: str) -> Cheat:
    """Let a party change the first byte of a message to one party alone."""

    def cheat(backend: DealerMacBackend) -> None:
        channel = backend._network.channel(victim)
        send = channel.send

        def changed(label: str, *parts: Buffer) -> None:
            if label.startswith(number_of_message):
                whole = b"".join(bytes(part) for part in parts)
                parts = (bytes([whole[0] ^ 1]) + whole[1:],)
            send(label, *parts)

        channel.send = changed  # type: ignore[method-assign]

    return cheat


@pytest.mark.parametrize("n", [2, 3])
def test_an_owner_that_tells_parties_different_inputs_is_found(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The correction of an input is public. With two parties only an owner that does not compute can do this."""

    def steps(backend: DealerMacBackend, x: object, y: object) -> list[object]:
        value = np.array([3, 4], dtype=np.uint64) if backend.me == OUTSIDE else None
        return list(backend.multiply([(backend.input(OUTSIDE, value, (2,)),) * 2]))

    cheats = {OUTSIDE: tells_one_party_otherwise("input/2", "p1")}
    found, _ = session(n, steps, cheats, outside=(OUTSIDE,))  # type: ignore[arg-type]
    assert_aborted(n, "", found, "somebody has told both different things, which need not be that party")
    if n == 3:
        found, _ = session(n, MULTIPLY, {"p0": tells_one_party_otherwise("input/0", "p1")})
        assert_aborted(n, "p0", found, "expected to have seen the same as p")
    without_the_check(monkeypatch)
    found, _ = session(n, steps, cheats, outside=(OUTSIDE,))  # type: ignore[arg-type]
    assert results(found)[0].tolist() != [9, 16]


@pytest.mark.parametrize("n", [2, 3])
def test_parties_that_tell_an_outside_reader_otherwise_are_found(n: int) -> None:
    """One of them is honest. The first sends the words, and the others a hash."""
    sentence = "expected the same output from p0 and p1, found that they say different things"
    for cheater in ("p0", "p1"):
        cheats = {cheater: tells_one_party_otherwise("output/", OUTSIDE)}
        found, _ = session(n, MULTIPLY, cheats, OUTSIDE, (OUTSIDE,))
        assert isinstance(found[OUTSIDE], CheatingError)
        assert sentence in str(found[OUTSIDE])


@pytest.mark.parametrize("n", [3])
def test_a_party_that_opens_different_values_to_others_is_found(n: int) -> None:
    def cheat(backend: DealerMacBackend) -> None:
        swap = backend._network.swap

        def changed(label: str, bodies: dict[str, list[Buffer]], sizes: dict[str, int]) -> dict[str, memoryview]:
            if label.startswith("open/0/"):
                whole = b"".join(bytes(part) for part in bodies["p0"])
                bodies = {**bodies, "p0": [bytes([whole[0] ^ 1]) + whole[1:]]}
            return swap(label, bodies, sizes)

        backend._network.swap = changed  # type: ignore[method-assign, assignment]

    found, _ = session(n, MULTIPLY, {"p2": cheat})
    assert_aborted(n, "p2", found, "expected to have seen the same as")


# -- the check itself --------------------------------------------------------------------------------------------------


def sends_in_the_check(step: str, place: int) -> Cheat:
    """Let a party change one byte of what it sends in one step of the first check."""

    def cheat(backend: DealerMacBackend) -> None:
        swap = backend._network.swap

        def changed(label: str, bodies: dict[str, list[bytes]], sizes: dict[str, int]) -> dict[str, memoryview]:
            if label == f"check/0/{step}":
                body = bytearray(b"".join(next(iter(bodies.values()))))
                body[place] ^= 1
                bodies = {name: [bytes(body)] for name in bodies}
            return swap(label, bodies, sizes)

        backend._network.swap = changed  # type: ignore[method-assign, assignment]

    return cheat


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(("step", "places"), [("seeds", (0, 31)), ("sums", (0, 8, 16, 24, 63))])
def test_a_party_that_opens_something_else_than_it_committed_to_is_named(
    n: int, step: str, places: Sequence[int]
) -> None:
    for place in places:
        found, _ = session(n, MULTIPLY, {"p1": sends_in_the_check(step, place)})
        errors = [error for error in honest(n, "p1", found) if isinstance(error, CheatingError)]
        assert errors
        for error in errors:
            assert error.peer == "p1"
            assert "expected what the party had committed to, found another value" in str(error)


@pytest.mark.parametrize("word", range(4))
def test_a_wrong_sum_that_was_committed_to_ends_the_session(word: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in a MAC's share and nothing else. No value was wrong, and still nobody may go on."""
    plain, calls = check._sums, []

    def sums(pending: check.Pending, coins: object) -> tuple[np.uint64, np.uint64, np.ndarray]:
        low, high, polynomial = plain(pending, coins)  # type: ignore[arg-type]
        calls.append(1)
        if len(calls) == 1:
            low, high = low + np.uint64(word == 0), high + np.uint64(word == 1)
            polynomial = polynomial ^ np.array([word == 2, word == 3], dtype=np.uint64)
        return low, high, polynomial

    monkeypatch.setattr(check, "_sums", sums)
    found, _ = session(2, METHODS["relu"])
    assert all(isinstance(found[name], CheatingError) for name in names(2))


def test_a_commitment_is_of_its_party_alone() -> None:
    """Whoever repeats another party's commitment, to repeat its coin, cannot open it."""
    assert commitment("p0", bytes(32)) != commitment("p1", bytes(32))
    assert len(commitment("p0", bytes(32))) == hashlib.sha256().digest_size


# -- after an abort ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 5])
def test_after_an_abort_nothing_is_revealed_keys_are_gone_and_nobody_waits(n: int) -> None:
    began = time.monotonic()
    found, backends = session(n, MULTIPLY, {"p1": opens_with(0, 5)}, "p0", (OUTSIDE,))
    assert time.monotonic() - began < 0.75 * DEADLINE_S
    assert not any(isinstance(outcome, list) for outcome in found.values())
    for name in names(n):
        backend = backends[name]
        assert backend._party._dealing is None
        assert backend._party.pending.numbers == []
        with pytest.raises(OrderError, match="expected a session that goes on, found one that ended in the step open"):
            backend.constant(np.zeros(1, dtype=np.uint64))


def test_an_error_is_found_before_an_output_depends_on_it() -> None:
    """An output that was opened first would show y times the error, which the program never reveals."""
    opened: list[str] = []

    def watch(backend: DealerMacBackend) -> None:
        opens_with(0, 2**40)(backend)
        numbers = backend._party.open_numbers

        def watched(kind: str, shares: Sequence[object]) -> list[np.ndarray]:
            opened.append(kind)
            return numbers(kind, shares)  # type: ignore[arg-type]

        backend._party.open_numbers = watched  # type: ignore[method-assign, assignment]

    found, _ = session(2, MULTIPLY, {"p1": watch}, reader="p1")
    assert_aborted(2, "p1", found)
    assert opened == ["masked"]


def test_checks_come_in_time_where_nothing_is_revealed() -> None:
    """A party that cheats in a long program is found after so many bytes, whatever the program reveals."""
    backends = in_memory(names(2), PROVIDER, deadline_s=60, most_pending=1000)
    opens_with(1, 1)(backends["p0"])
    largest = 0

    def program(backend: DealerMacBackend) -> int:
        nonlocal largest
        value = backend.input("p0", words(np.arange(10)) if backend.me == "p0" else None, (10,))
        for step in range(40):
            (value,) = backend.multiply([(value, value)])
            largest = max(largest, backend._party.pending.size)
            if backend.me == "p1" and step > 20:
                return step
        return 40

    found = outcomes(backends, program)  # type: ignore[arg-type]
    assert isinstance(found["p1"], CheatingError)
    assert largest <= 1000
