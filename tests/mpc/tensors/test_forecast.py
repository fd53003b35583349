"""What a program will cost and reveal, which is foreseen without anybody's data and then comes true exactly."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import pytest

import mpc.tensors as pt
from mpc.tensors.backends import dry, interface
from mpc.tensors.backends.kinds import KINDS
from mpc.tensors.metering import Metered

RNG = np.random.default_rng(3)
X, Y = RNG.uniform(-3, 3, (6, 5)), RNG.uniform(-3, 3, (5, 6))


def _inputs(s: pt.Session) -> tuple[pt.PrivateTensor, pt.PrivateTensor]:
    x = s.input("alice", lambda: X, shape=(6, 5), bound=4)
    y = s.input("olga" if "olga" in s.parties else "bob", lambda: Y, shape=(5, 6), bound=(-3, 3))
    return x, y


def arithmetic(s: pt.Session) -> dict[str, object]:
    x, y = _inputs(s)
    several = x @ y + (x * y.T).sum() * 0.25 - x.square().mean()
    return {"several": several.reveal(to="alice"), "part": (x[1:3] * 3 + x[:2]).reveal(to=("alice", "bob"))}


def comparisons(s: pt.Session) -> dict[str, object]:
    x, y = _inputs(s)
    chosen = pt.where(x < y.T, x, 1 - abs(y.T)).clip(-2, 1)
    return {
        "chosen": chosen.reveal(to="bob"), "place": x.argmax(axis=1).reveal(to="bob"),
        "equal": (x == y.T).reveal(to="alice"), "largest": y.max().reveal(to="alice"),
    }  # fmt: skip


def functions(s: pt.Session) -> dict[str, object]:
    x, _ = _inputs(s)
    found = x.sigmoid() + x.softmax(1) * x.clip(0.5, 4).reciprocal() - x.clip(-1, 1).exp() + abs(x).sqrt()
    return {"found": found.reveal(to="alice")}


def training(s: pt.Session) -> dict[str, object]:
    x, y = _inputs(s)
    net = pt.nn.Sequential(pt.nn.Linear(5, 4), pt.nn.ReLU(), pt.nn.Linear(4, 5))
    optimiser = pt.optim.SGD(net.parameters(), lr=0.5, momentum=0.5)
    targets = y.T > 0
    for _ in range(2):
        loss = pt.nn.cross_entropy(net(x), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {"weights": net.weights().reveal(to="alice"), "guard": optimiser.guard()}


PROGRAMS = [arithmetic, comparisons, functions, training]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("where", [{}, {"outside": ("olga",)}, {"parties": ("alice", "bob", "dan")}])
def test_a_run_costs_and_reveals_what_was_foreseen(program: Callable[..., object], where: dict[str, object]) -> None:
    options = {"parties": ("alice", "bob"), "dealer": "carol"} | where
    foreseen = pt.cost(program, **options)
    found = pt.simulate(program, **options)
    assert foreseen.costs == found.costs
    assert foreseen.reveals == found.reveals
    assert foreseen.trust == found.trust
    assert foreseen.rounds == max(cost.rounds for cost in found.costs.values()) > 0


@pytest.mark.parametrize(
    "options", [{"ring_bits": 32, "fraction_bits": 8}, {"ring_bits": 40, "fraction_bits": 12, "rounding": "nearest"}]
)
def test_it_is_exact_in_other_rings_and_with_other_roundings(options: dict[str, object]) -> None:
    for program in (arithmetic, comparisons):
        foreseen = pt.cost(program, ("alice", "bob"), dealer="carol", **options)
        assert foreseen.costs == pt.simulate(program, ("alice", "bob"), dealer="carol", **options).costs


def test_an_array_without_entries_is_counted_too() -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("alice", lambda: np.zeros((0, 3)), shape=(0, 3), bound=1)
        return {"found": ((x * x) < 1).reveal(to="bob")}

    assert pt.cost(program, dealer="carol").costs == pt.simulate(program, dealer="carol").costs


@pytest.mark.parametrize("backend", KINDS)
def test_the_rows_of_every_back_end_add_up_to_the_whole_but_for_the_first_messages(backend: str) -> None:
    kind = KINDS[backend]
    options = {"backend": backend, "parties": tuple("abc"[: kind.parties or 2]), "dealer": "p" if kind.dealt else None}

    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("a", None, shape=(3, 4), bound=4)
        y = s.input("b", None, shape=(4,), bound=4)
        return {"found": ((x * y).sum(axis=0) * 0.3 + x.max() - s.constant(1.5)).reveal(to="a")}

    foreseen, nothing = pt.cost(program, **options), pt.cost(lambda s: {}, **options)
    assert sum(row.sent for row in foreseen.rows) == foreseen.sent - nothing.sent


def test_the_rows_add_up_to_the_whole_but_for_the_first_messages() -> None:
    foreseen, nothing = pt.cost(training, dealer="carol"), pt.cost(lambda s: {}, dealer="carol")
    assert sum(row.sent for row in foreseen.rows) == foreseen.sent - nothing.sent
    assert sum(row.correlations for row in foreseen.rows) == sum(foreseen.costs["carol"].correlations.values())
    assert sum(row.rounds for row in foreseen.rows if row.operation != "open") < foreseen.rounds
    assert {row.where for row in foreseen.rows} >= {"linear0", "relu1 back", "sgd", "guard"}
    assert "guard" in str(foreseen)
    assert f"{foreseen.rounds} rounds" in str(foreseen)


def test_no_data_are_needed() -> None:
    def missing() -> NoReturn:
        raise FileNotFoundError

    def program(s: pt.Session) -> dict[str, object]:
        assert s.me == dry.PLANNER
        x = s.input("alice", missing, shape=(3,), bound=(5, 9))
        return {"square": (x * x).reveal(to="alice")}

    assert pt.cost(program, dealer="carol").reveals[0].name == "square"


def test_what_a_program_reads_is_named_with_its_line_and_is_a_number_of_the_range() -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("alice", None, shape=(), bound=(5, 9))
        found = x.reveal(to="bob", name="found")
        assert float(found) == 5
        assert not found.readable
        return {"next": (x * float(found)).reveal(to="bob")}

    line = program.__code__.co_firstlineno
    readings = pt.cost(program, dealer="carol").readings
    assert readings == tuple(f"test_forecast.py line {line + place} (found)" for place in (3, 4, 5))


def test_what_would_be_refused_is_refused_with_its_line() -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("alice", None, shape=(3,), bound=9)
        shown = x.reveal(to="bob", name="shown")
        return {"again": x.reveal(to="bob"), "shown": shown}

    line = program.__code__.co_firstlineno
    with pytest.raises(pt.ProgramError, match=rf"line {line + 2} of .*: the policy allows again, and no output of"):
        pt.cost(program, dealer="carol", policy=pt.Policy({"again": "bob"}))
    with pytest.raises(pt.ProgramError, match=rf"test_forecast.py line {line + 3}: reveal 'again': the policy"):
        pt.cost(program, dealer="carol", policy=pt.Policy({"shown": "bob"}))

    def wide(s: pt.Session) -> None:
        x = s.input("alice", None, shape=(3,), bound=10**6)
        x * x

    with pytest.raises(pt.ProgramError, match="multiply #2: needs 74 bits"):
        pt.cost(wide, dealer="carol")
    with pytest.raises(pt.ProgramError, match="who could open every value"):
        pt.cost(arithmetic, dealer="bob")


def test_any_other_back_end_computes_on_made_up_inputs() -> None:
    foreseen = pt.cost(arithmetic, backend="clear")
    assert foreseen.rounds == foreseen.sent == 0
    assert [reveal.name for reveal in foreseen.reveals] == ["several", "part"]
    assert [(reveal.name, times) for reveal, times in foreseen.counted] == [("several", 1), ("part", 1)]


def test_a_session_reveals_nothing_that_was_not_foreseen() -> None:
    from mpc.tensors.backends.clear import ClearBackend
    from mpc.tensors.session import Session

    foreseen = pt.cost(arithmetic, dealer="carol").counted
    session = Session(ClearBackend("alice", ("alice",)), foreseen=dict(foreseen[1:]))
    x = session.input("alice", lambda: X, shape=(6, 5), bound=4)
    with pytest.raises(pt.RefusedRevealError, match=r"'x': expected what was foreseen before the run, which is 0"):
        x.reveal(to="alice", name="x")
    assert session.reveals.done == []


def test_a_compiled_program_is_traced_once_and_shown_before_it_runs() -> None:
    shown: list[str] = []
    followed: list[str] = []

    def program(s: pt.Session) -> dict[str, object]:
        followed.append(s.me)
        return arithmetic(s)

    compiled = pt.compile(program, shown.append)
    for _ in range(2):
        found = pt.simulate(compiled, dealer="carol")
    assert [str(compiled.forecasts[0])] * 2 == shown
    assert compiled.forecasts[0].costs == found.costs
    assert sorted(followed) == sorted([dry.PLANNER, *("alice", "bob", "carol") * 2])
    assert pt.cost(compiled, dealer="carol").costs == found.costs
    assert pt.simulate(compiled, backend="clear")["several"] == pytest.approx(found["several"], abs=1e-3)
    assert len(compiled.forecasts) == 2


def test_a_compiled_program_shows_its_reveals_with_every_back_end() -> None:
    shown: list[str] = []
    three = {"parties": ("alice", "bob", "dan"), "backend": "replicated"}
    found = pt.simulate(pt.compile(arithmetic, shown.append), **three)
    assert found["part"].shape == (2, 5)
    assert len(shown) == 1
    assert shown[0].splitlines()[:2] == [
        "what it costs takes as long as a run to find: see pt.cost", "reveals several, 6 x 6, to alice",
    ]  # fmt: skip
    assert pt.cost(arithmetic, **three).costs == found.costs


def test_a_compiled_program_is_refused_before_anything_is_sent() -> None:
    @pt.compile
    def program(s: pt.Session) -> dict[str, object]:
        x, _ = _inputs(s)
        return {"first": x.reveal(to="bob") if x.sum() > 0 else None}

    line = program.__wrapped__.__code__.co_firstlineno + 3
    with pytest.raises(pt.ProgramError, match=f"line {line} of test_forecast.py: TypeError: a private tensor has no"):
        pt.simulate(program, dealer="carol")


def test_a_compiled_program_is_held_to_its_trace() -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x, _ = _inputs(s)
        return {"first" if s.me == dry.PLANNER else "other": x.reveal(to="bob")}

    with pytest.raises(pt.ProgramError, match="reveal 'other': expected what was foreseen before the run"):
        pt.simulate(pt.compile(program, lambda _: None), dealer="carol")


def test_what_a_back_end_offers_besides_is_seen_behind_the_meter_by_every_python() -> None:
    """From Python 3.12 on `isinstance` looks for what stands there, and not for what `__getattr__` would give."""
    optional = {
        name
        for protocol in vars(interface).values()
        if getattr(protocol, "_is_runtime_protocol", False)
        for name in vars(protocol)
        if not name.startswith("_")
    }
    assert {"mask_ahead", "multiply_rounded", "below", "subset_sums"} <= optional

    class Offering:
        def __getattr__(self, name: str) -> object:
            return lambda *_: name

    metered = Metered(Offering(), dict)  # type: ignore[arg-type]
    assert [name for name in sorted(optional) if inspect.getattr_static(metered, name, None) is None] == []
