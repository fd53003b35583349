"""What events become: one line a step and link, a result written in one piece, a timing file that grows."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from pydantic import BaseModel
from rich.console import Console

from orchestrator import report
from orchestrator.accounts import Accounts, in_bytes, in_time
from orchestrator.events import Event, EventFile, PartyState, read_status
from parties.frame.plan import Plan, Process, Summary


class Nothing(BaseModel):
    """Settings that say nothing."""


def finished(step: str, peer: str | None, seconds: float, sent: int = 0, received: int = 0) -> Event:
    return Event("step_finished", step=step, title="a title", peer=peer, seconds=seconds, sent=sent, received=received)


PLAN = Plan(
    tuple(Process(name, "m", Nothing(), pane) for name, pane in (("a", "one"), ("b", "many"), ("c", "many"))), "a", 1.0
)


@pytest.fixture
def accounts() -> Accounts:
    made = Accounts(PLAN.panes)
    made.tell("a", finished("1", "b", 0.5, sent=100, received=7))
    made.tell("b", finished("1", "a", 0.7, sent=7, received=100))
    made.tell("a", finished("1", "c", 0.2, sent=50, received=5))
    made.tell("c", finished("2", None, 0.1))
    made.tell("c", Event("note", detail="no step"))
    return made


def test_both_ends_of_a_link_are_one_line(accounts: Accounts) -> None:
    found = {(line.step, line.link): (line.seconds, line.forth, line.back) for line in accounts.lines()}
    assert found == {("1", ("a", "b")): (0.7, 100, 7), ("1", ("a", "c")): (0.2, 50, 5), ("2", ("c", "-")): (0.1, 0, 0)}


def test_what_has_not_finished_and_what_is_no_step_has_no_line() -> None:
    made = Accounts(PLAN.panes)
    for event in ("step_started", "advanced", "note", "finished"):
        made.tell("a", Event(event, t=1.0, step="1", title="title", peer="b", sent=100))
    made.tell("a", Event("step_finished", t=2.0, seconds=1.0, sent=100))
    assert made.lines() == []


def test_a_repeated_step_adds_up_at_each_end(accounts: Accounts) -> None:
    accounts.tell("a", finished("1", "b", 0.5, sent=100, received=7))
    accounts.tell("b", finished("1", "a", 0.7, sent=7, received=100))
    line = next(line for line in accounts.lines() if line.link == ("a", "b"))
    assert (line.seconds, line.forth, line.back) == (1.4, 200, 14)


def test_a_link_is_named_from_the_party_that_comes_first() -> None:
    made = Accounts(PLAN.panes)
    made.tell("b", finished("1", "a", 0.7, sent=7, received=100))
    (line,) = made.lines()
    assert (line.link, line.forth, line.back) == (("a", "b"), 100, 7)


def test_links_between_the_same_roles_can_be_added_up(accounts: Accounts) -> None:
    lines = accounts.lines_between_roles()
    found = {(line.step, line.link): (line.seconds, line.forth, line.back) for line in lines}
    assert found == {("1", ("a", "b … c")): (0.7, 150, 12), ("2", ("b … c", "-")): (0.1, 0, 0)}


def test_the_last_line_is_the_result(accounts: Accounts) -> None:
    said = io.StringIO()
    summary = Summary((("Outcome", "[seven]"), ("Answer", "42")), ("mind the gap",))
    report.show(Console(file=said, width=100), accounts, summary, Path("/x/result.json"), Path("/x/report.html"))
    lines = said.getvalue().splitlines()
    assert lines[-2:] == ["Outcome: [seven]", "Answer: 42"]
    assert lines[-5:-2] == ["warning: mind the gap", "Result: /x/result.json", "Report: /x/report.html"]
    assert any(line.split() == ["1", "a", "title", "a", "↔", "b", "0.70", "100", "B", "7", "B"] for line in lines)


def test_the_result_is_written_in_one_piece(accounts: Accounts, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    report.write_result(path, header={"run": "r"}, result={"x": 1}, accounts=accounts, summary=Summary((), ("w",)))
    document = json.loads(path.read_text())
    assert (document["run"], document["result"], document["warnings"]) == ("r", {"x": 1}, ["w"])
    assert len(document["steps"]) == 4
    assert len(document["links"]) == 3
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(TypeError):
        report.write_result(path, header={}, result={"x": object()}, accounts=accounts, summary=Summary(()))
    assert json.loads(path.read_text()) == document
    assert [child.name for child in tmp_path.iterdir()] == ["result.json"]


def test_the_timing_file_grows(accounts: Accounts, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "timing.log"
    report.append_timings(path, "run-1", accounts.records)
    report.append_timings(path, "run-2", accounts.records[:1])
    lines = path.read_text().splitlines()
    assert [line.split()[1] for line in lines if line.startswith("#")] == ["run-1", "run-2"]
    assert lines[1] == "1\ta\tb\t0.500000\t100\t7\ta title"
    assert len(lines) == 2 + 4 + 1


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (123456, "123 kB"),
        (5_300_000, "5.3 MB"),
        (999_499, "999 kB"),
        (999_700, "1 MB"),
    ],
)
def test_bytes_in_words(count: int, text: str) -> None:
    assert in_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (9.99, "9.99 s"),
        (10, "10.0 s"),
        (10.5, "10.5 s"),
        (59.9, "59.9 s"),
        (60, "1:00"),
        (3727, "1:02:07"),
    ],
)
def test_seconds_in_words(seconds: float, text: str) -> None:
    assert in_time(seconds) == text


def test_an_event_file_is_read_by_whole_lines(tmp_path: Path) -> None:
    file = EventFile(tmp_path / "events.jsonl")
    assert file.read_new() == []
    with file.path.open("w") as out:
        out.write('{"event": "note", "detail": "a", "unknown": 1}\n{"event": "no')
        out.flush()
        assert [event.detail for event in file.read_new()] == ["a"]
        out.write('te"}\n\nnonsense\n')
        out.flush()
        assert [event.event for event in file.read_new()] == ["note", "note", "note"]
        assert file.read_new() == []


@pytest.mark.parametrize("content", ["", "{", '{"ok": 1}', '{"error": "x"}', "[]"])
def test_last_words_that_cannot_be_read_are_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "status.json"
    assert read_status(path) is None
    path.write_text(content)
    assert read_status(path) is None


def test_a_party_is_in_the_step_that_it_began_last() -> None:
    state = PartyState("a")
    assert state.step_name is None
    state.apply(Event("step_started", step="1", peer="b"))
    state.apply(Event("step_started", step="1", peer="c"))
    state.apply(Event("step_started", step="2", peer="b"))
    state.apply(Event("step_finished", step="2", peer="b", sent=3, received=4))
    assert state.step_name == "1"
    assert state.current_step is not None
    assert state.current_step.peer == "c"
    state.apply(Event("step_finished", step="1", peer="c"))
    state.apply(Event("step_finished", step="1", peer="b"))
    assert state.current_step is None
    assert state.step_name == "1"
    assert (state.sent, state.received) == (3, 4)


def test_a_party_that_begins_again_needs_nobody_of_the_steps_that_it_has_left() -> None:
    state = PartyState("a")
    state.apply(Event("step_started", step="1", peer="b"))
    state.apply(Event("step_started", step="2", awaits=("c", "d")))
    assert state.needed == {"b", "c", "d"}
    state.apply(Event("began_again", detail="a session broke"))
    assert state.needed == set()
    assert [note.detail for note in state.notes] == ["a session broke"]
    state.apply(Event("step_started", step="1", peer="c"))
    assert state.needed == {"c"}


def test_what_a_party_does_alone_is_not_added_up_under_another_title() -> None:
    accounts = Accounts(PLAN.panes)
    party = PLAN.processes[0].name
    for title, seconds in (("key pair", 3.0), ("connect", 40.0), ("key pair", 1.0)):
        accounts.tell(party, Event(event="step_finished", t=0.0, step="0", title=title, seconds=seconds))
    assert {line.title: line.seconds for line in accounts.lines()} == {"key pair": 4.0, "connect": 40.0}
