"""Simulations: every party runs the program, learns what it may, and no error is lost."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import mpc.tensors as pt
from mpc.errors import OrderError, ParameterError
from mpc.tensors.reveals import program_digest

HIDING = {
    "dealer": {"parties": ("alice", "bob"), "dealer": "carol"}, "replicated": {"parties": ("alice", "bob", "carol")},
    "replicated_mac": {"parties": ("alice", "bob", "carol")}, "two_party": {"parties": ("alice", "bob")},
}  # fmt: skip
Options = dict[str, object]


@pytest.fixture(params=["clear", *HIDING])
def options(request: pytest.FixtureRequest) -> Options:
    """Return where a simulation runs, with each back-end in turn."""
    return {"backend": request.param, **HIDING.get(request.param, HIDING["dealer"])}


def everybody(options: Options) -> set[str]:
    """Return the names of all who run the program."""
    return {*options["parties"], *([options["dealer"]] if "dealer" in options else [])}


def load_x() -> np.ndarray:
    return np.array([[1.0, 2.0], [3.0, 4.0]])


def inputs(s: pt.Session) -> tuple[pt.PrivateTensor, pt.PrivateTensor]:
    x = s.input("alice", load_x, shape=(2, 2), bound=8)
    y = s.input("bob", lambda: [[0.5], [-1.0]], shape=(2, 1), bound=2)
    return x, y


def product(s: pt.Session) -> dict[str, object]:
    x, y = inputs(s)
    scaled = (x * 0.3).sum()
    assert scaled.real_bound < 10
    return {"product": (x @ y).reveal(to="alice"), "total": x.sum().reveal(to=("alice", "bob")), "rows": 2}


def test_each_party_reads_what_was_revealed_to_it_and_nothing_else(options: Options) -> None:
    result = pt.simulate(product, **options)
    assert np.abs(result["product"] - [[-1.5], [-2.5]]).max() < 1e-4
    assert result.outputs["bob"].keys() == {"total", "rows"}
    assert result.outputs["bob"]["total"] == 10
    assert [(each.name, each.to, each.shape, each.owners) for each in result.reveals] == [
        ("product", ("alice",), (2, 1), ("alice", "bob")),
        ("total", ("alice", "bob"), (), ("alice",)),
    ]
    trusted = {"clear": "in the clear", "two_party": "nobody is trusted"}
    assert trusted.get(options["backend"], "carol") in result.trust
    assert result.costs.keys() == everybody(options)
    with pytest.raises(KeyError, match="expected an output among product, rows, total, found 'weights'"):
        result["weights"]


def test_a_loader_runs_at_its_owner_alone(options: Options) -> None:
    ran: list[str] = []

    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("bob", lambda: ran.append(threading.current_thread().name) or [1.0], shape=(1,), bound=1)
        return {"x": x.reveal(to="alice")}

    pt.simulate(program, **options)
    assert ran == ["party bob"]


def test_outsiders_give_inputs_and_take_outputs(options: Options) -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("hospital", lambda: [3.0], shape=(1,), bound=4)
        return {"square": (x * x).reveal(to="hospital")}

    result = pt.simulate(program, outside=("hospital",), **options)
    assert {name: list(outputs) for name, outputs in result.outputs.items()} == {
        **{name: [] for name in everybody(options)}, "hospital": ["square"],
    }  # fmt: skip


def test_a_reveal_beyond_the_policy_is_refused_before_anything_is_opened(options: Options) -> None:
    policy = pt.Policy({"product": "alice", "total": ["alice", "bob"]})
    assert pt.simulate(product, policy=policy, **options).policy == policy.digest
    for other, sentence in (
        (pt.Policy({"product": "alice"}), "reveal 'total': the policy allows product, and no output of this name"),
        (
            pt.Policy({"product": "alice", "total": "bob"}),
            "reveal 'total': the policy allows it to bob, found alice as well",
        ),
    ):
        opened: list[object] = []

        def program(s: pt.Session, opened: list[object] = opened) -> dict[str, object]:
            s.backend.open = lambda *values: opened.append(values)
            return product(s)

        with pytest.raises(pt.ProgramError, match=sentence):
            pt.simulate(program, policy=other, **options)
        assert opened == []


def test_a_name_is_revealed_as_often_as_the_policy_says(options: Options) -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x, _ = inputs(s)
        for _ in range(3):
            x.sum().reveal(to="alice", name="loss")
        return {}

    assert len(pt.simulate(program, policy=pt.Policy({"loss": "alice"}, {"loss": 3}), **options).reveals) == 3
    with pytest.raises(pt.ProgramError, match="reveal 'loss': the policy allows it 2 times, found 3"):
        pt.simulate(program, policy=pt.Policy({"loss": "alice"}, {"loss": 2}), **options)
    with pytest.raises(ParameterError, match="expected times of outputs that it allows, found weights"):
        pt.Policy({"loss": "alice"}, {"weights": 2})
    with pytest.raises(ParameterError, match="expected every output at least once"):
        pt.Policy({"loss": "alice"}, {"loss": 0})


def test_a_named_reveal_is_read_within_the_program_where_it_is(options: Options) -> None:
    seen: dict[str, object] = {}

    def program(s: pt.Session) -> dict[str, object]:
        x, _ = inputs(s)
        early = x.sum().reveal(to="alice", name="total")
        try:
            seen[s.me] = float(early)
        except ParameterError as error:
            seen[s.me] = str(error)
        return {"total": early}

    result = pt.simulate(program, policy=pt.Policy({"total": "alice"}), **options)
    elsewhere = "output 'total' was revealed to alice alone"
    assert seen == {**dict.fromkeys(everybody(options), elsewhere), "alice": 10.0}
    assert [each.name for each in result.reveals] == ["total"]


def test_a_reveal_without_a_name_is_neither_read_early_nor_forgotten(options: Options) -> None:
    def early(s: pt.Session) -> dict[str, object]:
        return {"x": float(inputs(s)[0].sum().reveal(to="alice"))}

    def forgotten(s: pt.Session) -> dict[str, object]:
        inputs(s)[0].reveal(to="alice")
        return {}

    def twice(s: pt.Session) -> dict[str, object]:
        revealed = inputs(s)[0].reveal(to="alice")
        return {"x": revealed, "y": revealed}

    with pytest.raises(pt.ProgramError, match="found one that the program returns twice"):
        pt.simulate(twice, **options)
    with pytest.raises(pt.ProgramError, match="OrderError: this reveal has no name, so it is opened when"):
        pt.simulate(early, **options)
    with pytest.raises(pt.ProgramError, match=r"OrderError: test_simulation.py line \d+: expected a reveal that has a"):
        pt.simulate(forgotten, **options)


def test_one_partys_error_ends_all_and_names_party_and_line(options: Options) -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("bob", lambda: 1 / 0, shape=(1,), bound=1)
        return {"x": x.reveal(to="alice")}

    before = threading.active_count()
    with pytest.raises(pt.ProgramError, match=r"^bob, line \d+ of test_simulation.py: ZeroDivisionError") as ended:
        pt.simulate(program, **options)
    assert ended.value.party == "bob"
    assert isinstance(ended.value.__cause__, ZeroDivisionError)
    assert ended.value.line == program.__code__.co_firstlineno + 1
    assert threading.active_count() == before


def test_an_interrupt_leaves_no_thread(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    join = threading.Thread.join

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        threads.append(thread)
        monkeypatch.setattr(threading.Thread, "join", join)
        raise KeyboardInterrupt

    def program(s: pt.Session) -> dict[str, object]:
        if s.me == "bob":
            started.wait(60)
        x, y = inputs(s)
        return {"x": (x @ y).reveal(to="alice")}

    started = threading.Event()
    before = set(threading.enumerate())
    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pt.simulate(program, **options)
    started.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()
    assert threads


def test_parties_that_do_different_things_get_no_result(options: Options) -> None:
    def by_party(s: pt.Session) -> dict[str, object]:
        x, _ = inputs(s)
        return {"x": (x * (2.5 if s.me == "alice" else 2.25)).reveal(to="alice")}

    if options["backend"] == "replicated_mac":  # which notices before the end that shares do not fit
        with pytest.raises(pt.ProgramError, match="CheatingError: expected "):
            pt.simulate(by_party, **options)
        return
    with pytest.raises(ParameterError, match="the same operations on the same public numbers at all parties"):
        pt.simulate(by_party, **options)


def test_outputs_are_revealed_or_public(options: Options) -> None:
    with pytest.raises(pt.ProgramError, match="expected outputs that are revealed, found the private 'x'"):
        pt.simulate(lambda s: {"x": inputs(s)[0]}, **options)
    with pytest.raises(pt.ProgramError, match="returns its outputs by name, found list"):
        pt.simulate(lambda s: [1], **options)
    with pytest.raises(pt.ProgramError, match=r"reveal: expected parties among alice, bob.*, found eve"):
        pt.simulate(lambda s: {"x": inputs(s)[0].reveal(to="eve")}, **options)


def test_checking_compares_with_floats_and_names_what_deviates(options: Options) -> None:
    result = pt.simulate(product, check=True, **options)
    assert result.deviations.keys() == {"product", "total"}
    assert result.deviations["product"] < 1e-4
    assert 0 < result.used_error["multiply"] <= 1

    def wrong(s: pt.Session) -> dict[str, object]:
        honest = s.backend.matmul
        s.backend.matmul = lambda pairs: [s.backend.add(z, z) for z in honest(pairs)]
        return product(s)

    with pytest.raises(pt.ProgramError, match="DeviationError: matmul #5: expected a deviation of at most"):
        pt.simulate(wrong, check=True, **options)


def test_digests_of_policy_and_program(options: Options) -> None:
    assert pt.Policy({"a": ["x", "y"], "b": "z"}).digest == pt.Policy({"b": ["z"], "a": ["y", "x"]}).digest
    different = [pt.Policy({"a": "x"}), pt.Policy({"a": "y"}), pt.Policy({"b": "x"}), pt.Policy({"a": "x"}, {"a": 2})]
    assert len({policy.digest for policy in different}) == 4
    assert program_digest(product) == pt.simulate(product, **options).program
    typed = eval("lambda s: None")  # noqa: S307  (a program without a file)
    with pytest.raises(ParameterError, match="a program whose text can be read"):
        program_digest(typed)
    assert pt.simulate(typed, **options).program is None


def test_unusable_arguments() -> None:
    with pytest.raises(ParameterError, match=r"expected a back-end among clear, dealer, .*, found"):
        pt.simulate(product, backend="trusted")
    with pytest.raises(ParameterError, match="expected dealer=…, a party that provides correlations"):
        pt.simulate(product, backend="dealer")
    for parties in (("alice", "bob"), ("alice", "bob", "carol", "dave")):
        with pytest.raises(ParameterError, match=f"exactly 3 computing parties .* replicated, found {len(parties)}"):
            pt.simulate(product, parties, backend="replicated")
    with pytest.raises(ParameterError, match="no provider of correlations for the back-end replicated, found dora"):
        pt.simulate(product, ("alice", "bob", "carol"), backend="replicated", dealer="dora")
    for parties in (("alice",), ("alice", "bob", "carol")):
        with pytest.raises(
            ParameterError, match=f"exactly 2 computing parties for the back-end two_party, found {len(parties)}"
        ):
            pt.simulate(product, parties, backend="two_party")
    with pytest.raises(ParameterError, match="no provider of correlations for the back-end two_party, found dora"):
        pt.simulate(product, backend="two_party", dealer="dora")
    for wrong in (
        {"dealer": "bob"},
        {"dealer": "carol", "outside": ("alice",)},
        {"outside": ("carol",), "dealer": "carol"},
    ):
        with pytest.raises(ParameterError, match="expected a dealer and outside parties that do not compute, found"):
            pt.simulate(product, backend="clear", **wrong)
    with pytest.raises(ParameterError, match="names of their own, found alice, alice"):
        pt.simulate(product, ("alice", "alice"), backend="clear")
    with pytest.raises(OrderError, match="make layers within a program"):
        pt.nn.Linear(1, 1)


def test_public_names_are_there() -> None:
    assert pt.__all__ == sorted(pt.__all__)
    for _ in range(2):
        assert all(getattr(pt, name) is not None for name in pt.__all__)
    assert callable(pt.simulate)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pt.nothing  # noqa: B018


def test_whole_numbers_beyond_what_a_float_holds_are_exact() -> None:
    value = np.array([2**30 + 1, -(2**30) - 1])

    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("alice", lambda: value, shape=(2,), bound=2**30 + 1, whole=True)
        return {"square": (x * x).reveal(to="bob"), "same": x.reveal(to="bob")}

    found = pt.simulate(program, dealer="carol").outputs["bob"]
    assert found["square"].dtype == np.int64
    assert found["square"].tolist() == [int(v) ** 2 for v in value]
    assert found["same"].dtype == np.float64


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"a/b": 1}, "expected names of outputs without a slash, found 'a/b'"),
        ({"": 1}, "found ''"),
        ({"thing": object()}, "found 'thing', which is a object"),
        ({"thing": b"bytes"}, "found 'thing', which is a bytes"),
        ({"thing": {"a": 1}}, "found 'thing', which is a dict"),
        ({"thing": [[1], [1, 2]]}, "found 'thing', which is a list"),
    ],
)
def test_outputs_that_could_not_be_written_are_refused_before_anything_is_opened(
    outputs: dict[str, object], words: str
) -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("alice", lambda: 1.0, shape=(), bound=1)
        return outputs | {"x": x.reveal(to="alice")}

    with pytest.raises(pt.ProgramError, match=words):
        pt.simulate(program, dealer="carol")
