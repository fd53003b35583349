"""What is refused, by whom and in which words, and how a session ends for the others when one party fails."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from mpc.channels.frames import Channel
from mpc.channels.memory import memory_pair
from mpc.errors import DeadlineError, MpcError, ParameterError, ProtocolError, RangeError, TransportError
from mpc.tensors.backends import DealerBackend, in_memory, memory
from mpc.tensors.backends.interface import Shared
from mpc.tensors.network import Network
from tests.mpc.tensors.backends.session import (
    OUTSIDE,
    PROVIDER,
    REPLICATED,
    Backend,
    Replicated,
    names,
    outcomes,
    run,
    sessions_of,
    words,
)

X = words(np.arange(-6, 6).reshape(3, 4))
ALL = (*names(3), PROVIDER)


def cut(backend: Backend, x: Shared) -> object:
    """The shortest step for which the provider sends something."""
    return backend.truncate([x], 3, 1000, "stochastic")


def input_of(backend: Backend, owner: str = "p0", value: np.ndarray = X) -> Shared:
    return backend.input(owner, value if backend.me == owner else None, value.shape)


@pytest.mark.parametrize(
    ("parties", "provider", "outside", "bits", "sentence"),
    [
        (("a", "b"), "b", (), 64, "expected a provider of correlations that does not compute, found b, who could open"),
        (("a",), "c", (), 64, "expected at least 2 computing parties, found 1"),
        (("a", "b", "a"), "c", (), 64, "expected every party once, found a, b, a, c"),
        (("a", "b"), "c", ("c",), 64, "expected every party once, found a, b, c, c"),
        (("a", "b"), "c", (), 65, "expected a ring of 16 to 64 bits in whole bytes, found 65 bits"),
        (("a", "b"), "c", (), 128, "found 128 bits"),
        (("a", "b"), "c", (), 33, "found 33 bits"),
        (("a", "b"), "c", (), 8, "found 8 bits"),
    ],
)
def test_parties_and_rings_that_it_cannot_have(
    parties: tuple[str, ...], provider: str, outside: tuple[str, ...], bits: int, sentence: str
) -> None:
    network = Network("a", {name: memory_pair("a", name)[0] for name in {*parties, provider} - {"a"}})
    with pytest.raises(ParameterError, match=sentence):
        DealerBackend.join(network, computing=parties, provider=provider, outside=outside, ring_bits=bits)


def test_a_party_needs_a_channel_to_each_other_and_a_part_of_its_own() -> None:
    channels: dict[str, Channel] = {"b": memory_pair("a", "b")[0]}
    with pytest.raises(ParameterError, match=r"expected a to have channels to \['b', 'c'\], found \['b'\]"):
        DealerBackend.join(Network("a", channels), computing=("a", "b"), provider="c")
    with pytest.raises(ParameterError, match="expected one of d, b, c, found a"):
        DealerBackend.join(Network("a", channels), computing=("d", "b"), provider="c")


REFUSED: list[tuple[Callable[[Backend, Shared], object], type[MpcError], str]] = [
    (lambda b, x: b.add(x, b.constant(words([1, 2, 3]))), ParameterError, r"broadcast, found \(3, 4\) and \(3,\)"),
    (lambda b, x: b.add_public(x, words([1, 2, 3])), ParameterError, "expected shapes that broadcast"),
    (lambda b, x: b.multiply([(x, b.constant(words([1, 2])))]), ParameterError, "expected shapes that broadcast"),
    (lambda b, x: b.matmul([(x, x)]), ParameterError, r"\(\.\.\., k, n\), found \(3, 4\) and \(3, 4\)"),
    (lambda b, x: b.matmul([(x, b.constant(words([1, 2, 3, 4])))]), ParameterError, "expected matrices"),
    (lambda b, x: b.keep_if([x, x], [x]), ParameterError, "expected a value for each of 2 bits, found 1"),
    (lambda b, x: b.constant(np.ones(3)), ParameterError, "a constant as an array of uint64, found one of float64"),
    (lambda b, x: b.constant(3), ParameterError, "expected a constant as an array of uint64, found int"),  # type: ignore[arg-type]
    (lambda b, x: b.linear(np.negative, (2,)), ParameterError, "expected at least one value, found none"),
    (lambda b, x: b.add(x, X), ParameterError, "expected a shared array of this back-end, found a ndarray"),  # type: ignore[arg-type]
    (lambda b, x: b.negative([x], 2**63), RangeError, r"2\^63 - 1 for a ring of 64 bits, found 9223372036854775808"),
    (lambda b, x: b.negative([x], -1), RangeError, "found -1"),
    (lambda b, x: b.relu([x], 2**63), RangeError, "for a ring of 64 bits"),
    (lambda b, x: b.truncate([x], 4, 2**62, "stochastic"), RangeError, r"2\^62 - 1 to divide by 2\^4 .*found 46116"),
    (lambda b, x: b.truncate([x], 4, 2**62 - 8, "nearest"), RangeError, r"2\^62 - 1 - 8 to divide"),
    (lambda b, x: b.truncate([x], 4, -1, "floor"), RangeError, "found -1"),
    (lambda b, x: b.truncate([x], 63, 5, "floor"), ParameterError, "to cut 0 to 62 bits in a ring of 64, found 63"),
    (lambda b, x: b.truncate([x], -1, 5, "floor"), ParameterError, "found -1"),
    (lambda b, x: b.truncate([x], 1, 5, "up"), ParameterError, "stochastic, floor or nearest, found 'up'"),  # type: ignore[arg-type]
    (lambda b, x: b.open([x], [PROVIDER]), ParameterError, "receivers that compute or are outside, found carol"),
    (lambda b, x: b.open([x], ["nobody"]), ParameterError, "found nobody"),
    (lambda b, x: b.input(PROVIDER, None, (1,)), ParameterError, "expected an owner that computes or is outside"),
    (lambda b, x: b.input(b.me, None, (1,)), ParameterError, "alone, found none at|owner that computes"),
]  # fmt: skip


@pytest.mark.parametrize("n", [3, REPLICATED])
@pytest.mark.parametrize(("call", "kind", "sentence"), REFUSED)
def test_every_party_refuses_the_same_before_anything_is_sent(
    n: int, call: Callable[[Backend, Shared], object], kind: type[MpcError], sentence: str
) -> None:
    backends = sessions_of(n, kept=True)

    def program(backend: Backend) -> tuple[int, int]:
        x = input_of(backend)
        backend.add(x, x)
        sent = backend.cost.sent
        with pytest.raises(kind, match=sentence):
            call(backend, x)
        return sent, backend.cost.sent

    for before, after in run(backends, program).values():
        assert before == after


@pytest.mark.parametrize("n", [2, REPLICATED])
def test_functions_that_return_something_else_are_refused(n: int) -> None:
    backends = sessions_of(n)

    def program(backend: Backend) -> None:
        x = input_of(backend)
        if backend.me == PROVIDER:
            return
        for function, found in [
            (lambda a: a[0], r"uint64 of shape \(4,\)"),
            (lambda a: a.astype(np.int64), "int64 of shape"),
            (lambda a: None, r"NoneType of shape \(\)"),
        ]:
            with pytest.raises(ParameterError, match=rf"returns uint64 of shape \(3, 4\), found {found}"):
                backend.linear(function, (3, 4), x)
        with pytest.raises(ValueError, match="read-only"):
            backend.linear(lambda a: np.add(a, a, out=a), (3, 4), x)

    run(backends, program)


@pytest.mark.parametrize("n", [2, REPLICATED])
def test_inputs_that_do_not_fit_are_refused_at_their_owner(n: int) -> None:
    backend = sessions_of(n, ring_bits=32)["p0"]
    for value, sentence in [
        (X, r"expected an input of shape \(2,\), found \(3, 4\)|wider"),
        (words([1, 2**32]), r"expected an input modulo 2\^32, found wider words"),
        (np.ones(2), "expected an input as an array of uint64, found one of float64"),
    ]:
        with pytest.raises(ParameterError, match=sentence) as caught:
            backend.input("p0", value, (2,))  # type: ignore[arg-type]
        assert str(2**32) not in str(caught.value)
    with pytest.raises(ParameterError, match="expected words of p1 at p1 alone, found some at p0"):
        backend.input("p1", words([1, 2]), (2,))


@pytest.mark.parametrize("n", [2, REPLICATED])
def test_handles_of_another_session_party_or_back_end_are_refused(n: int) -> None:
    first, second = sessions_of(n), sessions_of(n)
    mine = run(first, input_of)
    other = run(second, input_of)
    for handle, sentence in [
        (other["p0"], "expected a shared array of p0 in this session, found one of p0"),
        (mine["p1"], "expected a shared array of p0 in this session, found one of p1"),
        (object(), "expected a shared array of this back-end, found a object"),
    ]:
        for call in (
            lambda h: first["p0"].add(mine["p0"], h), lambda h: first["p0"].multiply([(h, mine["p0"])]),
            lambda h: first["p0"].matmul([(mine["p0"], h)]), lambda h: first["p0"].open([h], ["p0"]),
            lambda h: first["p0"].truncate([h], 1, 1, "floor"), lambda h: first["p0"].negative([h], 1),
            lambda h: first["p0"].relu([h], 1), lambda h: first["p0"].keep_if([h], [h]),
            lambda h: first["p0"].linear(np.negative, (3, 4), h), lambda h: first["p0"].add_public(h, X),
            lambda h: first["p0"].subtract(h, mine["p0"]),
        ):  # fmt: skip
            with pytest.raises(ParameterError, match=sentence):
                call(handle)  # type: ignore[arg-type]


@pytest.mark.parametrize(("changed", "sentence"), [
    ({"ring_bits": 32}, "expected ring_bits 64, found 32"),
    ({"outside": ("olga",)}, r"expected outside \(\), found \('olga',\)"),
    ({"computing": ("p1", "p0")}, r"expected computing \('p0', 'p1'\), found \('p1', 'p0'\)"),
])  # fmt: skip
def test_parties_that_agreed_on_something_else_refuse_each_other(changed: dict[str, object], sentence: str) -> None:
    ends = {("p0", "p1"): memory_pair("p0", "p1"), ("p0", "carol"): memory_pair("p0", "carol")}
    right = DealerBackend.join(
        Network("p0", {"p1": ends["p0", "p1"][0], "carol": ends["p0", "carol"][0]}),
        computing=("p0", "p1"),
        provider=PROVIDER,
    )
    wrong: dict[str, object] = {"computing": ("p0", "p1"), "provider": PROVIDER} | changed
    channels = {"p0": ends["p0", "p1"][1], "carol": memory_pair("p1", "carol")[0]}
    if "outside" in changed:
        channels["olga"] = memory_pair("p1", "olga")[0]
    DealerBackend.join(Network("p1", channels), **wrong)  # type: ignore[arg-type]
    with pytest.raises(ProtocolError, match=sentence) as caught:
        right.open([right.constant(X)], ["p0"])
    assert (caught.value.peer, caught.value.step) == ("p1", "join")


def ended_by(dead: str, n: int, work: Callable[[Backend, Shared], object]) -> dict[str, object]:
    """How a session ends for each party, if one of them dies after the first product."""
    backends = sessions_of(n, deadline_s=120)

    def program(backend: Backend) -> object:
        x = input_of(backend)
        (x,) = backend.multiply([(x, x)])
        if backend.me == dead:
            raise KeyboardInterrupt
        work(backend, x)
        return backend.open([x], names(n))

    started = time.monotonic()
    found = outcomes(backends, program)
    assert time.monotonic() - started < 90
    return dict(found)


@pytest.mark.parametrize("n", [2, 3, REPLICATED])
@pytest.mark.parametrize("work", [
    lambda b, x: b.multiply([(x, x)]), lambda b, x: b.relu([x], 1000), lambda b, x: b.negative([x], 1000),
    lambda b, x: b.truncate([x], 3, 1000, "floor"), lambda b, x: None,
], ids=["multiply", "relu", "negative", "truncate", "open"])  # fmt: skip
def test_a_party_that_dies_ends_the_others_with_its_name(n: int, work: Callable[[Backend, Shared], object]) -> None:
    found = ended_by("p0", n, work)
    for name in names(n)[1:]:
        error = found[name]
        if isinstance(n, Replicated) and isinstance(error, list):
            continue  # an opening takes one message of one other party, who may not need the lost one either
        assert isinstance(error, TransportError), error
        assert "p0: the peer closed the connection" in str(error) or error.peer in names(n)
    assert any(getattr(found[name], "peer", "") == "p0" for name in names(n)[1:])


def test_a_provider_that_ends_too_early_is_named_with_what_was_expected_of_it() -> None:
    found = ended_by(PROVIDER, 2, lambda b, x: b.truncate([x], 3, 1000, "stochastic"))
    error = found["p1"]
    assert isinstance(error, TransportError)
    assert str(error) == (
        "step truncate carol: expected 'dealt/1/truncate (stochastic by 3 bits)/3x4', found that the peer closed the "
        "connection"
    )


@pytest.mark.parametrize(("theirs", "mine", "sentence"), [
    (lambda b, x: b.negative([x], 7), lambda b, x: b.truncate([x], 2, 9, "floor"),
     "step truncate carol: expected message 'dealt/0/truncate (floor by 2 bits)/3x4', found message "
     "'dealt/0/negative (4 bits)/3x4'"),
    (lambda b, x: cut(b, b.linear(lambda a: a[:2], (2, 4), x)), cut,
     "step truncate carol: expected message 'dealt/0/truncate (stochastic by 3 bits)/3x4', found message "
     "'dealt/0/truncate (stochastic by 3 bits)/2x4'"),
    (lambda b, x: (b.multiply([(x, x)]), cut(b, x)), cut,
     "step truncate carol: expected message 'dealt/0/truncate (stochastic by 3 bits)/3x4', found message "
     "'dealt/1/truncate (stochastic by 3 bits)/3x4'"),
    (lambda b, x: b.open(b.multiply([(x, x)]), ["p0"]),
     lambda b, x: b.open(b.matmul([(x, b.linear(np.transpose, (4, 3), x))]), ["p0"]),
     "step open carol: expected message 'dealt/1/settle/3x3', found message 'dealt/1/settle/3x4'"),
    (lambda b, x: b.truncate([x], 12, 9, "stochastic"), lambda b, x: b.truncate([x], 5, 9, "stochastic"),
     "step truncate carol: expected message 'dealt/0/truncate (stochastic by 5 bits)/3x4', found message "
     "'dealt/0/truncate (stochastic by 12 bits)/3x4'"),
    (lambda b, x: b.negative([x], 8), lambda b, x: b.negative([x], 7),
     "step negative carol: expected message 'dealt/0/negative (4 bits)/3x4', found message "
     "'dealt/0/negative (5 bits)/3x4'"),
], ids=["kind", "shape", "number", "product", "bits", "bound"])  # fmt: skip
def test_a_provider_that_is_out_of_step_is_refused_with_both_correlations(
    theirs: Callable[[DealerBackend, Shared], object], mine: Callable[[DealerBackend, Shared], object], sentence: str
) -> None:
    backends = in_memory(names(2), PROVIDER, deadline_s=60)
    found = outcomes(backends, lambda b: (theirs if b.me == PROVIDER else mine)(b, input_of(b)))
    assert isinstance(found["p1"], ProtocolError)
    assert str(found["p1"]) == sentence


@pytest.mark.parametrize(("size", "sentence"), [
    (0, "at least 96, found 0"), (95, "at least 96, found 95"), (107, "at least 108, found 107"),
    (109, "108, found 109"), (1000, "108, found 1000"),
])  # fmt: skip
def test_a_correction_of_another_length_is_refused(size: int, sentence: str) -> None:
    backends = in_memory(names(2), PROVIDER, deadline_s=60)

    def program(backend: DealerBackend) -> None:
        x = input_of(backend)
        if backend.me == PROVIDER:
            backend._network.channel("p1").send("dealt/0/truncate (stochastic by 3 bits)/3x4", bytes(size))
        else:
            cut(backend, x)

    error = outcomes(backends, program)["p1"]
    assert isinstance(error, ProtocolError)
    assert str(error) == (
        f"step truncate carol: expected bytes in 'dealt/0/truncate (stochastic by 3 bits)/3x4' {sentence}"
    )


def test_parties_that_are_out_of_step_refuse_each_other() -> None:
    backends = in_memory(names(2), PROVIDER, deadline_s=60)

    def program(backend: DealerBackend) -> None:
        x = input_of(backend)
        y = backend.linear(lambda a: a[:2], (2, 4), x) if backend.me == "p0" else x
        backend.negative([y], 9)

    found = outcomes(backends, program)
    assert str(found["p1"]).startswith(
        "step negative p0: expected message 'open/0/narrow/3x4', found message 'open/0/narrow/2x4'"
    )


def test_a_replayed_or_changed_correction_is_refused() -> None:
    for change, sentence in [(0, "expected frame number"), (1, "expected message 'dealt/1/truncate (")]:
        backends = in_memory(names(2), PROVIDER, deadline_s=60)

        def program(backend: DealerBackend, change: int = change) -> None:
            x = input_of(backend)
            cut(backend, x)
            if backend.me == PROVIDER:
                channel = backend._network.channel("p1")
                channel._sent_frames -= 1 - change
                channel.send(f"dealt/{1 - change}/truncate (stochastic by 3 bits)/3x4", bytes(108))
            else:
                cut(backend, x)

        found = outcomes(backends, program)
        assert isinstance(found["p1"], ProtocolError), found["p1"]
        assert sentence in str(found["p1"])


def test_a_provider_in_memory_runs_ahead_so_far_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "RUN_AHEAD_BYTES", 1000)
    backends = in_memory(names(2), PROVIDER, deadline_s=60)
    steps = {name: 0 for name in backends}
    furthest = 0

    def program(backend: DealerBackend) -> None:
        nonlocal furthest
        x = input_of(backend)
        for _ in range(50):
            cut(backend, x)
            steps[backend.me] += 1
            if backend.me == PROVIDER:
                furthest = max(furthest, steps[PROVIDER] - steps["p1"])

    run(backends, program)
    assert set(steps.values()) == {50}
    assert furthest <= 12


def test_a_silent_provider_is_given_up_by_name() -> None:
    backends = in_memory(names(2), PROVIDER, deadline_s=0.5)

    def program(backend: DealerBackend) -> None:
        x = input_of(backend)
        if backend.me != PROVIDER:
            cut(backend, x)

    found = outcomes(backends, program)
    assert isinstance(found["p1"], DeadlineError)
    assert found["p1"].peer == PROVIDER


def test_it_says_whom_to_trust_and_what_it_cost() -> None:
    backends = in_memory(names(3), PROVIDER, (OUTSIDE,))

    def program(backend: DealerBackend) -> None:
        x = input_of(backend, OUTSIDE)
        (square,) = backend.multiply([(x, x)])
        backend.negative([x], 7)
        backend.open([square], [OUTSIDE])

    run(backends, program)
    for name in ALL:
        assert backends[name].trust == (
            "dealer: all parties follow the protocol, and carol, who deals the correlations, colludes with nobody; "
            "up to 2 of the 3 computing parties may collude"
        )
    costs = {name: backend.cost for name, backend in backends.items()}
    assert [costs[name].rounds for name in ("p0", "p1", "p2", PROVIDER, OUTSIDE)] == [2, 2, 2, 0, 1]
    assert costs["p0"].correlations == costs[PROVIDER].correlations == {"settle": 12, "negative": 8 + 12}
    assert costs[OUTSIDE].correlations == {}
    assert sum(cost.sent for cost in costs.values()) == sum(cost.received for cost in costs.values())
    assert "share" not in repr(backends["p0"])
