"""What two parties who trust nobody else refuse of each other, and a whole session over TLS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.channels.frames import Channel
from mpc.errors import ParameterError, ProtocolError, TransportError
from mpc.ring import Words
from mpc.tensors.backends import DealerBackend, TwoPartyBackend, two_party
from mpc.tensors.backends.two_party.oblivious import Transfers
from mpc.tensors.network import Network
from tests.authority import issue
from tests.mpc.channels.meeting import meet
from tests.mpc.tensors.backends.session import names, outcomes, run, words
from tests.mpc.tensors.backends.two_party.arrays import RNG


@pytest.mark.parametrize(
    ("parties", "choices", "sentence"),
    [
        (("a",), {}, "exactly 2 computing parties for the back-end two_party, found 1"),
        (("a", "b", "c"), {}, "exactly 2 computing parties for the back-end two_party, found 3"),
        (("a", "b"), {"provider": "p"}, "no provider of correlations for the back-end two_party, found p"),
        (("a", "b"), {"outside": ("a",)}, "every party once"),
        (("a", "b"), {"ring_bits": 72}, "a ring of 16 to 64 bits in whole bytes, found 72"),
        (("a", "b"), {"ring_bits": 20}, "found 20"),
    ],
)
def test_sessions_that_cannot_be(parties: tuple[str, ...], choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        two_party.in_memory(parties, **choices)


def test_values_of_others_and_wrong_arrays_are_refused() -> None:
    mine, other = two_party.in_memory(names(2))["p0"], two_party.in_memory(names(2))["p0"]
    value = other.constant(words([1]))
    with pytest.raises(ParameterError, match="in this session, found one of p0"):
        mine.multiply([(value, value)])
    with pytest.raises(ParameterError, match="expected a shared array of this back-end, found a list"):
        mine.add([1], value)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="an owner that computes or is outside, found eve"):
        mine.input("eve", None, (1,))
    own = mine.constant(words([1, 2]))
    with pytest.raises(ParameterError, match="shapes that broadcast"):
        mine.add(own, mine.constant(words([1, 2, 3])))
    with pytest.raises(ParameterError, match="expected matrices"):
        mine.matmul([(own, own)])
    assert "exactly" not in repr(mine)
    assert repr(own) == "Handle(shape=(2,))"


def test_a_party_of_another_back_end_is_refused() -> None:
    backends: dict[str, Any] = dict(two_party.in_memory(names(2)))
    network = backends["p1"]._network
    backends["p1"] = TwoPartyBackend.join(network, computing=("p1", "p0"))
    found = outcomes(backends, lambda backend: backend.open([backend.constant(words([1]))], ["p0"]))
    assert any(isinstance(error, ProtocolError) for error in found.values())
    assert DealerBackend.name != TwoPartyBackend.name


def refusal_of(monkeypatch: pytest.MonkeyPatch, kind: str, change: Callable[[bytes], bytes]) -> str:
    """What p0 says of p1, which changes its messages of a kind in a product."""
    swap = Transfers._swap

    def changed(self: Transfers, label: str, body: list[Any], size: int) -> memoryview:
        if self._network.me == "p1" and label.endswith(kind):
            body = [change(b"".join(map(bytes, body)))]
        return swap(self, label, body, size)

    monkeypatch.setattr(Transfers, "_swap", changed)
    found = outcomes(
        two_party.in_memory(names(2)),
        lambda backend: backend.multiply([(backend.constant(words([3])), backend.constant(words([4])))]),
    )
    assert isinstance(found["p0"], ProtocolError)
    assert found["p0"].peer == "p1"
    return str(found["p0"])


@pytest.mark.parametrize("kind", ["choices", "words"])
def test_a_message_that_was_cut_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    assert "bytes in 'ot/0/products/64 bits" in refusal_of(monkeypatch, kind, lambda body: body[:-1])


def test_an_extension_that_does_not_fit_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = refusal_of(monkeypatch, "choices", lambda body: bytes([body[0] ^ 1]) + body[1:])
    assert "consistency check failed" in refusal


@pytest.mark.parametrize(
    "step",
    [
        lambda backend, x: backend.multiply([(x, x)]),
        lambda backend, x: backend.matmul([(x, backend.linear(np.transpose, (50, 45), x))]),
        lambda backend, x: backend.relu([x], 2**20),
        lambda backend, x: backend.truncate([x], 8, 2**20, "nearest"),
    ],
    ids=["products in polynomials", "matrices", "garbled comparison", "rounding"],
)
def test_a_party_that_is_gone_in_mid_step_is_named(step: Any) -> None:
    """It has joined, and left when the other one waits for it within a step."""
    value = RNG.integers(-(2**20), 2**20, (45, 50))

    def program(backend: TwoPartyBackend) -> None:
        x = backend.input("p0", value.view(np.uint64) if backend.me == "p0" else None, value.shape)
        step(backend, x)
        if backend.me == "p0":
            raise KeyboardInterrupt
        step(backend, x)

    found = outcomes(two_party.in_memory(names(2)), program)
    assert isinstance(found["p0"], KeyboardInterrupt)
    assert isinstance(found["p1"], TransportError)
    assert found["p1"].peer == "p0"


def test_the_same_over_tls(tmp_path: Path) -> None:
    credentials = issue(tmp_path, "server-0", "client")
    near, far = meet(credentials["server-0"], credentials["client"], 120.0)
    near.peer, far.peer = "p1", "p0"
    channels: dict[str, dict[str, Channel]] = {"p0": {"p1": near}, "p1": {"p0": far}}
    backends = {name: TwoPartyBackend.join(Network(name, channels[name]), computing=names(2)) for name in names(2)}
    value = RNG.integers(-(2**20), 2**20, (45, 50))

    def program(backend: TwoPartyBackend) -> list[Words] | None:
        x = backend.input("p0", value.view(np.uint64) if backend.me == "p0" else None, value.shape)
        (square,) = backend.multiply([(x, x)])
        (kept,), _ = backend.relu([x], 2**20)
        (product,) = backend.matmul([(x, backend.linear(np.transpose, (50, 45), kept))])
        return backend.open([square, kept, *backend.truncate([product], 8, 2**50, "floor")], ["p1"])

    found = run(backends, program)["p1"]
    for backend in backends.values():
        assert "nobody is trusted" in backend.trust
        assert backend.cost.rounds > 5
        backend.close()
    assert found is not None
    kept = np.maximum(value, 0)
    for result, wanted in zip(found, [value * value, kept, (value @ kept.T) >> 8], strict=True):
        assert (result.view(np.int64) == wanted).all()
