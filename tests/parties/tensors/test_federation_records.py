"""What a member writes down: before anything leaves, and so that no more sessions than agreed begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import mpc.tensors as pt
from mpc.tensors.reveals import Reveal
from mpc.tensors.session import Session
from mpc.tensors.simulation import PartyRun, backends_in_memory, run_all
from orchestrator.federation.shared import read_shared
from parties.frame.errors import ConfigError
from parties.frame.journal import JournalError
from parties.frame.plan import Run, RunFolders
from parties.protocols import PROTOCOLS
from parties.tensors.records import DURABLE, FILE, SessionRecord, SessionsError, revealed_measures, revealed_view
from parties.tensors.settings import TensorsSettings
from tests.parties.tensors.federations import PROGRAM, ROLES, document, write_files

MEAN = Reveal("mean", ("alice",), (), ("alice", "bob"))


def record(path: Path, session: str = "alice/1", most: int | None = 2, computation: str = "c") -> SessionRecord:
    return SessionRecord(path, session, computation, ("own.py", "d" * 64), most)


def average(s: pt.Session) -> dict[str, object]:
    x = s.input("alice", lambda: np.array([3.0]), shape=(1,), bound=8)
    return {"mean": s.reveal(x, to="bob", noise=1)}


def test_a_reveal_that_cannot_be_written_down_is_sent_to_nobody(tmp_path: Path) -> None:
    there = record(tmp_path / "no such folder" / FILE)
    backends = backends_in_memory("dealer", ("alice", "bob"), "carol", (), 64)
    runs = {
        name: PartyRun(Session(each, tell=there.reveal if name == "alice" else lambda _: None))
        for name, each in backends.items()
    }
    party, error = run_all(average, runs) or ("", None)
    assert party == "alice"
    assert isinstance(error, JournalError)
    assert runs["bob"].session.reveals.done == []


def test_the_line_is_there_before_the_reveal_is_sent(tmp_path: Path) -> None:
    seen: list[bool] = []
    path = tmp_path / FILE

    def tell(reveal: Reveal) -> None:
        record(path).reveal(reveal)
        seen.append(b'"mean"' in path.read_bytes())

    backends = backends_in_memory("dealer", ("alice", "bob"), "carol", (), 64)
    runs = {name: PartyRun(Session(each, tell=tell)) for name, each in backends.items()}
    assert run_all(average, runs) is None
    assert seen == [True] * 3


def test_noise_averages_out_over_sessions_so_that_their_number_is_bounded(tmp_path: Path) -> None:
    def ask(there: SessionRecord) -> float:
        there.begin()
        result = pt.simulate(average, parties=("alice", "bob"), dealer="carol")
        return float(result.outputs["bob"]["mean"][0])

    free = [ask(record(tmp_path / "free", f"bob/{n}", most=None)) for n in range(150)]
    assert np.std(free) > 1  # each one is hidden
    assert abs(np.mean(free) - 3) < 0.5  # and all of them together are not
    for n in range(2):
        ask(record(tmp_path / "bounded", f"bob/{n}"))
    with pytest.raises(SessionsError, match="sessions: expected at most 2 in all, which there have been"):
        ask(record(tmp_path / "bounded", "bob/2"))
    ask(record(tmp_path / "bounded", "bob/3", computation="what all members have agreed to anew"))


def test_a_configuration_with_noise_and_without_a_bound_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, ROLES)
    path = tmp_path / "federation.yaml"
    hosts = dict.fromkeys(ROLES, "127.0.0.1")
    for choices, words in (
        ({"reveal_noise": {"largest": 0.5}}, "because noise averages out over sessions"),
        (
            {"outside": [], "files": {}, "outputs": {}, "reveal": {"largest": ["hospital"]}},
            "members: expected each under computing, provider or outside of the program, found registry",
        ),
        ({"outside": ["registry", "stranger"]}, "outside: expected members"),
        ({"computing": ["hospital", "registry"], "outside": ["laboratory"]}, "role: expected computing for registry"),
    ):
        path.write_text(yaml.safe_dump(document(hosts, **choices)))
        with pytest.raises(ConfigError, match=words):
            read_shared(path, PROTOCOLS)
    for roles, words in (
        (dict(ROLES) | {"provider": ["provider", "asking"]}, "expected provider to be provider alone"),
        (dict(ROLES) | {"registry": "asking"}, "expected registry to serve as outside, too"),
        (dict(ROLES) | {"hospital": "computing", "laboratory": "computing"}, "expected a member with role asking"),
    ):
        path.write_text(yaml.safe_dump(document(hosts, roles)))
        with pytest.raises(ConfigError, match=words):
            read_shared(path, PROTOCOLS)


def told(top: Path, program: str | None = None, **choices: Any) -> TensorsSettings:
    """What the laboratory's process is told by a shared file."""
    write_files(top, ROLES, *([program] if program else []))
    path = top / "federation.yaml"
    path.write_text(yaml.safe_dump(document(dict.fromkeys(ROLES, "127.0.0.1"), **choices)))
    shared = read_shared(path, PROTOCOLS)
    run = Run(RunFolders(top / "f", top / "l", "run"), "0" * 32, 0)
    plan = shared.protocol.member(shared.configuration.settings, shared.federation, "laboratory", "computing", run)
    (process,) = plan.processes
    assert isinstance(process.settings, TensorsSettings)
    return process.settings


def test_the_count_of_sessions_does_not_begin_anew_with_what_changes_no_output(tmp_path: Path) -> None:
    settings = told(tmp_path, sessions=2)
    assert settings.reveals is not None
    for change in (
        {"reveals": None}, {"seed": 7}, {"rounding": "nearest"}, {"fraction_bits": 12}, {"sessions": 3},
        {"backend": "dealer_mac"}, {"computing": tuple(reversed(settings.computing))},
    ):  # fmt: skip
        other = settings.model_copy(update=change)
        assert other.agreed() != settings.agreed()
        assert other.counted() == settings.counted(), change
    for change in ({"arguments": {"steps": 3}}, {"program_digest": "e" * 64}, {"policy": {}}):
        assert settings.model_copy(update=change).counted() != settings.counted(), change


def test_a_program_with_noise_of_its_own_and_without_a_bound_is_refused(tmp_path: Path) -> None:
    program = PROGRAM.replace('to="hospital")}', 'to="hospital", noise=0.5)}')
    with pytest.raises(ConfigError, match="sessions: expected how many there may be in all, because the noise on larg"):
        told(tmp_path, program)
    assert told(tmp_path, program, sessions=2).sessions == 2
    assert told(tmp_path).sessions is None


def test_what_was_revealed_is_shown_and_counted(tmp_path: Path) -> None:
    folder = tmp_path / DURABLE / "alice"
    folder.mkdir(parents=True)
    assert "nothing was revealed" in revealed_view(tmp_path).lines[0][1]
    for session in ("alice/1", "bob/2"):
        there = record(folder / FILE, session)
        there.begin()
        there.reveal(MEAN)
    lines: dict[str, Any] = dict(revealed_view(tmp_path).lines)
    assert lines["own.py dddddddddddddddd"].startswith("2 sessions, opened by alice, bob, last at ")
    assert lines["revealed mean"] == "a number, 2 times, to alice"
    figures = {(one.name, *one.marks.values()): one.value for one in revealed_measures(tmp_path)}
    assert figures == {("sessions_begun", "alice"): 1, ("sessions_begun", "bob"): 1, ("reveals", "mean", "alice"): 2}
    with (folder / FILE).open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(JournalError, match="expected a session or a reveal in line 5 of "):
        revealed_view(tmp_path)
