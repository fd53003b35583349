"""Parties that cheat, and sessions in which one of them takes part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
import pytest

from mpc.ring import Words
from mpc.tensors.backends.authenticated import check
from mpc.tensors.backends.authenticated.backend import DealerMacBackend
from mpc.tensors.backends.authenticated.memory import in_memory
from mpc.tensors.backends.authenticated.values import Value
from mpc.tensors.backends.authenticated.wide import Wide
from mpc.tensors.network import Part
from tests.mpc.tensors.backends.session import PROVIDER, names, outcomes, words

DEADLINE_S = 80.0
X = np.array([[5, -3, 0], [7, -8, 2]])
Y = np.array([[1, 4, -6], [-2, 3, 9]])
Steps = Callable[[DealerMacBackend, Value, Value], Sequence[Value]]
Cheat = Callable[[DealerMacBackend], None]
Outcome = list[Words] | None | BaseException

METHODS: dict[str, Steps] = {
    "open": lambda b, x, y: [x, y],
    "add": lambda b, x, y: [b.add(x, y), b.subtract(x, b.constant(words(Y))), b.add_public(y, words(X))],
    "linear, picked": lambda b, x, y: [b.linear(lambda a: a[::-1], (2, 3), x)],
    "linear, dealt": lambda b, x, y: [b.linear(lambda a: a.sum(axis=0), (3,), b.multiply([(x, y)])[0])],
    "multiply": lambda b, x, y: b.multiply([(b.multiply([(x, y)])[0], y)]),
    "matmul": lambda b, x, y: b.matmul([(x, b.linear(np.transpose, (3, 2), b.multiply([(x, y)])[0]))]),
    "truncate, stochastic": lambda b, x, y: b.truncate(b.multiply([(x, y)]), 2, 100, "stochastic"),
    "truncate, floor": lambda b, x, y: b.truncate(b.multiply([(x, y)]), 2, 100, "floor"),
    "truncate, nearest": lambda b, x, y: b.truncate(b.multiply([(x, y)]), 2, 100, "nearest"),
    "negative": lambda b, x, y: b.negative(b.multiply([(x, y)]), 100),
    "keep_if": lambda b, x, y: b.keep_if(b.negative([x], 8), b.multiply([(x, y)])),
    "relu": lambda b, x, y: [value for values in b.relu([x], 8) for value in values],
}


def session(
    n: int, steps: Steps, cheats: dict[str, Cheat] | None = None, reader: str = "p0", outside: Sequence[str] = ()
) -> tuple[dict[str, Outcome], dict[str, DealerMacBackend]]:
    """What each party gets of a program on two inputs, opened to one reader, if some of the parties cheat."""
    backends = in_memory(names(n), PROVIDER, outside, deadline_s=DEADLINE_S)
    for name, cheat in (cheats or {}).items():
        cheat(backends[name])

    def program(backend: DealerMacBackend) -> list[Words] | None:
        x = backend.input("p0", words(X) if backend.me == "p0" else None, X.shape)
        y = backend.input("p1", words(Y) if backend.me == "p1" else None, Y.shape)
        return backend.open(steps(backend, x, y), [reader])

    return outcomes(backends, program), backends  # type: ignore[arg-type]  # a back-end of the same methods


def opens_with(number: int, error: int, *, adjusts: bool = False) -> Cheat:
    """Let a party add an error to its share in one opening, of numbers or of bits, and believe in it itself.

    One that adjusts adds to its MAC what its own part of the key gives.
    """

    def cheat(backend: DealerMacBackend) -> None:
        party, place = backend._party, count()
        numbers, bits = party.open_numbers, party.open

        def open_numbers(kind: str, shares: Sequence[Wide]) -> list[Words]:
            if next(place) == number:
                first = Wide(shares[0].low.copy(), shares[0].high.copy())
                first.low.reshape(2, -1)[0, 0] += np.uint64(error % 2**64)
                first.high.reshape(2, -1)[0, 0] += np.uint64(error >> 64)
                if adjusts:
                    more = error * int(party._keys.key) % 2**128
                    more += int(first.low.reshape(2, -1)[1, 0]) + (int(first.high.reshape(2, -1)[1, 0]) << 64)
                    first.low.reshape(2, -1)[1, 0] = np.uint64(more % 2**64)
                    first.high.reshape(2, -1)[1, 0] = np.uint64((more >> 64) % 2**64)
                shares = [first, *shares[1:]]
            return numbers(kind, shares)

        def open_bits(kind: str, parts: Sequence[Part], shapes: Sequence[tuple[int, ...]]) -> list[Words]:
            if next(place) == number:
                changed = parts[0].shares.copy()
                changed.reshape(-1)[0] ^= np.uint64(1) ^ (party.one if adjusts else np.uint64(0))
                parts = [Part(changed, planes=True), *parts[1:]]
            return bits(kind, parts, shapes)

        party.open_numbers, party.open = open_numbers, open_bits  # type: ignore[method-assign]

    return cheat


def openings(n: int, steps: Steps) -> list[str]:
    """The kinds of all openings of a program, in order."""
    kinds: list[str] = []

    def note(backend: DealerMacBackend) -> None:
        label = backend._party._label

        def noted(kind: str, shapes: Sequence[tuple[int, ...]]) -> str:
            kinds.append(kind)
            return label(kind, shapes)

        backend._party._label = noted  # type: ignore[method-assign]

    session(n, steps, {"p0": note})
    return kinds


def without_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out the defence: nothing that was opened is checked."""
    monkeypatch.setattr(check, "check", lambda network, others, pending, *_: pending.forget())
