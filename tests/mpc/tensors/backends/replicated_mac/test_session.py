"""What the back-end refuses, what it says of itself, what its steps cost, and what it sends."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import mpc.tensors as pt
from mpc.errors import DeadlineError, ParameterError, ProtocolError, TransportError
from mpc.ring import Words
from mpc.tensors.backends.replicated_mac import check
from mpc.tensors.backends.replicated_mac.backend import ReplicatedMacBackend
from mpc.tensors.backends.replicated_mac.memory import in_memory
from tests.mpc.tensors.backends.replicated_mac.cheating import METHODS, PARTIES, session
from tests.mpc.tensors.backends.session import OUTSIDE, outcomes, run, signed, transcript, words
from tests.mpc.tensors.backends.test_messages import listed, of_three

X = np.arange(-6, 6).reshape(3, 4)
AMONG: Any = {"parties": ("alice", "bob", "carol"), "backend": "replicated_mac", "outside": ("olga",)}


def input_of(backend: ReplicatedMacBackend, owner: str = "p0", value: np.ndarray = X) -> Any:
    return backend.input(owner, words(value) if backend.me == owner else None, value.shape)


@pytest.mark.parametrize(("parties", "provider", "bits", "sentence"), [
    (("a", "b"), None, 64, "expected exactly 3 computing parties for the back-end replicated_mac, found 2"),
    (("a", "b", "c", "d"), None, 64, "found 4"),
    (("a", "b", "c"), "d", 64, "expected no provider of correlations for the back-end replicated_mac, found d"),
    (("a", "b", "a"), None, 64, "expected every party once, found a, b, a"),
    (("a", "b", "c"), None, 32, "expected a ring of 64 bits for replicated_mac, found 32 bits"),
])  # fmt: skip
def test_parties_and_rings_that_it_cannot_have(
    parties: tuple[str, ...], provider: str | None, bits: int, sentence: str
) -> None:
    with pytest.raises(ParameterError, match=sentence):
        in_memory(parties, provider, (), bits)


def test_it_says_whom_to_trust_and_how_often_it_waits() -> None:
    backends = in_memory(PARTIES, None, (OUTSIDE,))
    rounds: list[int] = []

    def program(backend: ReplicatedMacBackend) -> None:
        def note() -> None:
            if backend.me == "p0":
                rounds.append(backend.cost.rounds)

        x = input_of(backend, "p1")
        note()
        (y,) = backend.multiply([(x, x)])
        note()
        backend.truncate([y], 2, 36, "stochastic")
        note()
        backend.negative([x], 7)
        note()
        backend.open([y], ["p0"])
        note()
        backend.open([y, x], ["p0", OUTSIDE])
        note()

    run(backends, program)
    assert backends["p0"].trust == (
        "replicated_mac: no two of p0, p1 and p2 collude; one of them may cheat, which ends the session before "
        "anything wrong is revealed, but for a probability below 2^-45; nobody deals anything"
    )
    steps = np.diff(rounds).tolist()
    assert steps[-2:] == [check_rounds() + 1, 1]  # what was checked once is opened at once
    assert rounds[0] == 0
    costs = [backend.cost for backend in backends.values()]
    assert sum(cost.sent for cost in costs) == sum(cost.received for cost in costs)


def check_rounds() -> int:
    """The rounds of a check, as its module says them."""
    assert check.__doc__ is not None
    return len(re.findall(r"^    [1-9]  ", check.__doc__, re.MULTILINE))


def test_a_product_takes_what_the_page_says() -> None:
    """8 bytes when it is shared, 8 of its upper word and 4 of the inner product when it is checked."""
    count = 40_000
    backends = in_memory(PARTIES)

    def program(backend: ReplicatedMacBackend) -> tuple[int, int]:
        x = sum_of_inputs(backend, np.arange(count))
        before = backend.cost.sent
        backend.multiply([(x, x)])
        shared = backend.cost.sent
        backend.open([backend.constant(words([1]))], ["p0"])
        return shared - before, backend.cost.sent - before

    for shared, checked in run(backends, program).values():
        assert 8 <= shared / count < 8.01
        assert 20 <= checked / count < 20.2


def sum_of_inputs(backend: ReplicatedMacBackend, value: np.ndarray) -> Any:
    """A value of which no component is known to be zero."""
    parts = [input_of(backend, owner, value) for owner in PARTIES]
    return backend.add(backend.add(parts[0], parts[1]), parts[2])


def test_a_party_that_dies_or_is_silent_ends_the_others() -> None:
    for dies, kind in ((True, TransportError), (False, DeadlineError)):
        backends = in_memory(PARTIES, deadline_s=60 if dies else 2)

        def program(backend: ReplicatedMacBackend, dies: bool = dies) -> object:
            x = input_of(backend)
            if backend.me == "p1":
                if dies:
                    raise KeyboardInterrupt
                return None
            (y,) = backend.multiply([(x, x)])
            return backend.open(backend.multiply([(y, y)]), ["p0"])

        found = outcomes(backends, program)  # type: ignore[arg-type]
        assert any(isinstance(found[name], kind) for name in ("p0", "p2"))
        assert all(isinstance(found[name], TransportError) for name in ("p0", "p2")), found


@pytest.mark.parametrize("size", [0, 95, 97])
def test_a_share_of_another_length_is_refused(size: int) -> None:
    backends = in_memory(PARTIES, deadline_s=60)

    def program(backend: ReplicatedMacBackend) -> None:
        x = sum_of_inputs(backend, X)
        if backend.me == "p0":
            backend._network.channel("p1").send("share/products/0/3x4", bytes(size))
        else:
            backend.multiply([(x, x)])

    error = outcomes(backends, program)["p1"]  # type: ignore[arg-type]
    assert isinstance(error, ProtocolError)
    assert "step multiply p0: expected 96 bytes in 'share/products/0/3x4'" in str(error)


def test_a_whole_program_trains_and_is_as_exact_as_floats() -> None:
    rng = np.random.default_rng(1)
    records, labels = rng.normal(size=(20, 4)).clip(-4, 4), rng.integers(0, 3, 20)

    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("alice", lambda: records, shape=(20, 4), bound=4)
        y = s.input("bob", lambda: np.eye(3)[labels], shape=(20, 3), bound=(0, 1), whole=True)
        net = pt.nn.Sequential(pt.nn.Linear(4, 5), pt.nn.ReLU(limit=8), pt.nn.Linear(5, 3))
        optimiser = pt.optim.SGD(net.parameters(), lr=0.5)
        loss = pt.nn.cross_entropy(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return {
            "weights": net.weights().reveal(to=["alice", "olga"]),
            "classes": net(x).argmax(axis=1).reveal(to=["alice"]),
        }

    result = pt.simulate(program, check=True, **AMONG)
    assert result.deviations["weights"] < 0.01
    assert (result.outputs["olga"]["weights"] == result.outputs["alice"]["weights"]).all()
    assert max(result.used_error.values()) <= 1
    assert result.trust.startswith("replicated_mac: no two of alice, bob and carol collude; one of them may cheat")


def test_what_a_program_costs_is_foreseen() -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("olga", lambda: np.array([[1.5, -2], [3, 0.25]]), shape=(2, 2), bound=4)
        return {"shown": (x @ x).sigmoid().reveal(to=["alice", "olga"]), "sum": x.sum().reveal(to="bob")}

    assert pt.cost(program, **AMONG).costs == pt.simulate(program, **AMONG).costs


def test_every_message_is_listed_and_every_row_is_sent() -> None:
    sent = set()

    def look(backends: dict[str, ReplicatedMacBackend]) -> None:
        for name, backend in backends.items():
            for peer in backend._network.peers:
                for direction, label, _ in transcript(backend, peer):  # type: ignore[arg-type]
                    if direction == "sent":
                        sent.add(row(label, name, peer))

    for method in METHODS:
        found, backends = session(METHODS[method], reader=OUTSIDE, outside=(OUTSIDE,), kept=True)
        assert isinstance(found[OUTSIDE], list)
        look(backends)

    def given(b: Any, x: Any, y: Any) -> list[Any]:
        value = b.input(OUTSIDE, words([3]) if b.me == OUTSIDE else None, (1,))
        return b.truncate([b.add(value, value)], 1, 100, "stochastic")

    look(session(given, outside=(OUTSIDE,), kept=True)[1])
    assert sent == listed("of three parties of whom one may cheat")


def row(label: str, sender: str, receiver: str) -> tuple[str, str]:
    kind, *rest = label.split("/")
    known = f"check/K/{rest[1]}" if kind == "check" else of_three(label)
    if known == "join/agreement":
        return known, "each → each"
    if sender == OUTSIDE:
        return known, f"O → {receiver[1]}"
    if receiver == OUTSIDE:
        return known, "C → O"
    return known, "C → next" if (int(receiver[1]) - int(sender[1])) % 3 == 1 else "C → before"


def test_shares_keys_and_masks_are_not_printed() -> None:
    backends = in_memory(PARTIES)

    def program(backend: ReplicatedMacBackend) -> str:
        x = backend.input("p0", words([123456789]) if backend.me == "p0" else None, (1,))
        (product,) = backend.multiply([(x, x)])
        backend.matmul([(backend.linear(lambda a: a.reshape(1, 1), (1, 1), x),) * 2])
        trio = backend._trio
        gates = trio.pending.numbers
        claims = [claim for gate in gates for claim in getattr(gate, "claims", [])]
        return " ".join(map(repr, [backend, trio, trio.pending, x, product, *gates, *claims]))

    for printed in run(backends, program).values():
        assert not re.search(r"\d{6}", printed), printed


def test_an_array_of_no_elements_and_one_of_no_inner_length_are_right() -> None:
    backends = in_memory(PARTIES)

    def program(backend: ReplicatedMacBackend) -> list[Words] | None:
        x = input_of(backend, "p0", np.zeros((0, 3), dtype=int))
        turned = backend.linear(np.transpose, (3, 0), x)
        products = backend.matmul([(turned, x), (x, turned)])
        return backend.open([*products, *backend.multiply([(x, x)])], ["p0"])

    found = run(backends, program)["p0"]
    assert found is not None
    assert [value.shape for value in found] == [(3, 3), (0, 0), (0, 3)]
    assert not signed(found[0]).any()
