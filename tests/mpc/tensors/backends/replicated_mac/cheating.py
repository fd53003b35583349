"""Three parties of whom one cheats, and sessions in which it takes part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from mpc.channels.frames import Buffer
from mpc.errors import CheatingError, MpcError, TransportError
from mpc.ring import Words
from mpc.tensors.backends.replicated_mac import check
from mpc.tensors.backends.replicated_mac.backend import ReplicatedMacBackend
from mpc.tensors.backends.replicated_mac.guarded import Part, Shares
from mpc.tensors.backends.replicated_mac.memory import in_memory
from tests.mpc.tensors.backends.session import names, outcomes, signed, words

DEADLINE_S = 80.0
PARTIES = names(3)
X = np.array([[5, -3, 0], [7, -8, 2]])
Y = np.array([[1, 4, -6], [-2, 3, 9]])
Steps = Callable[[Any, Any, Any], Sequence[Any]]
Cheat = Callable[[ReplicatedMacBackend], None]
Outcome = list[Words] | None | BaseException

METHODS: dict[str, Steps] = {
    "multiply": lambda b, x, y: b.multiply([(b.multiply([(x, y)])[0], y)]),
    "linear": lambda b, x, y: [b.linear(lambda a: a.sum(axis=0), (3,), b.multiply([(x, y)])[0])],
    "matmul": lambda b, x, y: b.matmul([(x, b.linear(np.transpose, (3, 2), b.multiply([(x, y)])[0]))]),
    "truncate, stochastic": lambda b, x, y: b.truncate(b.multiply([(x, y)]), 2, 100, "stochastic"),
    "truncate, floor": lambda b, x, y: b.truncate([b.add(x, y)], 2, 100, "floor"),
    "truncate, nearest": lambda b, x, y: b.truncate(b.multiply([(x, y)]), 2, 100, "nearest"),
    "negative": lambda b, x, y: b.negative(b.multiply([(x, y)]), 100),
    "keep_if": lambda b, x, y: b.keep_if(b.negative([x], 8), b.multiply([(x, y)])),
    "relu": lambda b, x, y: [value for values in b.relu([x], 8) for value in values],
}
MULTIPLY, RELU, TRUNCATE = METHODS["multiply"], METHODS["relu"], METHODS["truncate, stochastic"]


def session(
    steps: Steps, cheats: dict[str, Cheat] | None = None, reader: str = "p0", outside: Sequence[str] = (),
    **options: Any,
) -> tuple[dict[str, Outcome], dict[str, ReplicatedMacBackend]]:  # fmt: skip
    """What each party gets of a program on two inputs, opened to one reader, if one of the parties cheats."""
    backends = in_memory(PARTIES, None, outside, **{"deadline_s": DEADLINE_S, **options})
    for name, cheat in (cheats or {}).items():
        cheat(backends[name])

    def program(backend: ReplicatedMacBackend) -> list[Words] | None:
        x = backend.input("p0", words(X) if backend.me == "p0" else None, X.shape)
        y = backend.input("p1", words(Y) if backend.me == "p1" else None, Y.shape)
        return backend.open(steps(backend, x, y), [reader])

    return outcomes(backends, program), backends  # type: ignore[arg-type]  # a back-end of the same methods


def assert_aborted(cheater: str, found: dict[str, Outcome], sentence: str = "expected products of ") -> None:
    """All honest parties have ended, at least one because it noticed, and nobody was given a result."""
    errors = [error for name, error in found.items() if name != cheater]
    assert all(isinstance(error, CheatingError | TransportError) for error in errors), errors
    assert all(isinstance(error, MpcError) for error in errors), errors
    assert any(isinstance(error, CheatingError) and sentence in str(error) for error in errors), errors
    assert not any(isinstance(outcome, list) for outcome in found.values())


def results(found: dict[str, Outcome], reader: str = "p0") -> list[np.ndarray]:
    opened = found[reader]
    assert isinstance(opened, list), opened
    return [signed(value) for value in opened]


def without_the_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out the defence: nobody proves that its products were right."""
    monkeypatch.setattr(check, "_prove", lambda *_: None)


# -- what is shared ----------------------------------------------------------------------------------------------------


def shares_with(number: int, part: int, error: int, place: int | slice = 0) -> Cheat:
    """Let a party share something else in one part of one message, and believe in it itself."""

    def cheat(backend: ReplicatedMacBackend) -> None:
        trio, calls = backend._trio, count()
        plain = trio.shared

        def shared(what: str, parts: Sequence[Part]) -> list[Shares]:
            if next(calls) == number and trio.me in parts[part].provers:
                value = parts[part].value
                assert value is not None
                changed = np.broadcast_to(value, parts[part].shape).copy()
                flat = changed.reshape(-1)
                flat[place] = flat[place] ^ np.uint64(error) if parts[part].planes else flat[place] + np.uint64(error)
                parts = [*parts[:part], replace(parts[part], value=changed), *parts[part + 1 :]]
            return plain(what, parts)

        trio.shared = shared  # type: ignore[method-assign]

    return cheat


def carries_with(number: int, bit: int) -> Cheat:
    """Let a party share other carries of a rounding by two bits, and the two numbers that follow from them."""

    def cheat(backend: ReplicatedMacBackend) -> None:
        trio, calls = backend._trio, count()
        plain = trio.shared

        def shared(what: str, parts: Sequence[Part]) -> list[Shares]:
            if next(calls) == number and trio.me in parts[0].provers:
                carries, moved, top = (np.array(part.value) for part in parts)
                before = carries[0]
                carries[0] ^= np.uint64(1) << np.uint64(bit)
                factor = np.uint64(1 if bit == 1 else -(2**62) % 2**64)
                moved[0] += factor * (
                    (carries[0] >> np.uint64(bit) & np.uint64(1)) - (before >> np.uint64(bit) & np.uint64(1))
                )
                parts = [replace(part, value=value) for part, value in zip(parts, (carries, moved, top), strict=True)]
            with np.errstate(over="ignore"):
                return plain(what, parts)

        trio.shared = shared  # type: ignore[method-assign]

    return cheat


def messages(steps: Steps) -> list[tuple[str, list[Part]]]:
    """What is shared in a program, in order: the labels' words, and the parts at p0."""
    found: list[tuple[str, list[Part]]] = []

    def note(backend: ReplicatedMacBackend) -> None:
        plain = backend._trio.shared

        def shared(what: str, parts: Sequence[Part]) -> list[Shares]:
            found.append((what, list(parts)))
            return plain(what, parts)

        backend._trio.shared = shared  # type: ignore[method-assign]

    session(steps, {"p0": note})
    return found


def places(steps: Steps) -> list[tuple[int, int, str, str]]:
    """Every way to share something else: the message's number, the part's, its words, and who shares it."""
    return [
        (number, place, what, PARTIES[prover])
        for number, (what, parts) in enumerate(messages(steps))
        for place, part in enumerate(parts)
        for prover in part.provers
    ]


# -- what is sent ------------------------------------------------------------------------------------------------------


def sends_otherwise(label: str, receiver: str, place: int = 0, mask: int = 1) -> Cheat:
    """Let a party change one byte of what it sends one other party in a message whose label begins so."""

    def cheat(backend: ReplicatedMacBackend) -> None:
        swap = backend._network.swap

        def changed(found: str, bodies: dict[str, Sequence[Buffer]], sizes: dict[str, int]) -> dict[str, memoryview]:
            if found.startswith(label) and receiver in bodies:
                body = bytearray(b"".join(bytes(part) for part in bodies[receiver]))
                body[place] ^= mask
                bodies = {**bodies, receiver: [bytes(body)]}
            return swap(found, bodies, sizes)

        backend._network.swap = changed  # type: ignore[method-assign, assignment]

    return cheat


def both(*cheats: Cheat) -> Cheat:
    """Let a party do several things."""

    def cheat(backend: ReplicatedMacBackend) -> None:
        for each in cheats:
            each(backend)

    return cheat
