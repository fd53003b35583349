"""The back-end in the clear: exact, and it catches a bound that is not true."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from mpc.errors import DeadlineError, OrderError, ParameterError, RangeError
from mpc.ring import Ring
from mpc.tensors.backends.clear import Board, ClearBackend, EndedError, in_memory

RING = Ring(64)


def backend() -> ClearBackend:
    return ClearBackend("alice", ("alice",))


def words(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64).astype(np.uint64)


def integers(b: ClearBackend, shared: object) -> list[int]:
    return RING.signed(b.open([shared], ["alice"])[0]).tolist()


@pytest.mark.parametrize(
    ("rounding", "expected"), [("floor", [-2, -2, -1, 0, 0, 1]), ("nearest", [-1, -1, -1, 0, 1, 1])]
)
def test_exact_roundings(rounding: str, expected: list[int]) -> None:
    b = backend()
    x = b.constant(words([-6, -5, -4, 1, 2, 4]))
    assert integers(b, b.truncate([x], 2, 6, rounding)[0]) == expected


def test_stochastic_rounding_is_off_by_less_than_one_unit_and_unbiased() -> None:
    b = backend()
    count = 200_000
    for value in (5, -5, 8, -1):
        x = b.constant(np.full(count, value, dtype=np.int64).astype(np.uint64))
        found = np.array(integers(b, b.truncate([x], 3, 8, "stochastic")[0]))
        assert np.abs(found - value / 8).max() < 1
        assert abs(found.mean() - value / 8) < 5 * 0.5 / count**0.5


def test_a_bound_that_is_not_true_is_found_and_its_value_is_not_told() -> None:
    b = backend()
    x = b.constant(words([1, -1001]))
    for step in (
        lambda: b.truncate([x], 1, 1000, "floor"),
        lambda: b.negative([x], 1000),
        lambda: b.relu([x], 1000),
    ):
        with pytest.raises(RangeError, match="at most 1000, found a larger one") as refused:
            step()
        assert "1001" not in str(refused.value)
    assert integers(b, b.negative([x], 1001)[0]) == [0, 1]


def test_a_bound_without_room_is_refused() -> None:
    with pytest.raises(RangeError, match=r"below 2\^62"):
        backend().truncate([backend().constant(words([1]))], 1, 1 << 62, "floor")


def test_several_parties_need_a_simulation() -> None:
    with pytest.raises(ParameterError, match="expected one party for values in the clear, found 2"):
        ClearBackend("alice", ("alice", "bob"))


def test_an_input_reaches_the_threads_of_all_parties() -> None:
    backends = in_memory(("alice", "bob"), "carol")
    found: dict[str, list[int]] = {}

    def run(name: str) -> None:
        shared = backends[name].input("bob", words([3, -4]) if name == "bob" else None, (2,))
        found[name] = RING.signed(shared.words).tolist()

    threads = [threading.Thread(target=run, args=(name,)) for name in backends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {name: [3, -4] for name in ("alice", "bob", "carol")}


def test_waiting_for_an_input_ends() -> None:
    silent = ClearBackend("alice", ("alice", "bob"), Board(deadline_s=0.05))
    with pytest.raises(DeadlineError, match="bob: no input within"):
        silent.input("bob", None, (1,))
    board = Board()
    board.end()
    with pytest.raises(EndedError):
        ClearBackend("alice", ("alice", "bob"), board).input("bob", None, (1,))


def test_parties_that_disagree_about_an_input_are_refused() -> None:
    board = Board()
    ClearBackend("bob", ("alice", "bob"), board).input("bob", words([1, 2]), (2,))
    with pytest.raises(OrderError, match=r"one of bob of shape \(3,\), found one of bob of shape \(2,\)"):
        ClearBackend("alice", ("alice", "bob"), board).input("bob", None, (3,))


def test_it_prints_no_value() -> None:
    assert repr(backend().constant(words([12345]))) == "Clear(shape=(1,))"
