"""A running run on one screen, wide or narrow, and who is to blame when it stands still."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator import record
from orchestrator.advance import advance
from orchestrator.dashboard import Dashboard, main
from orchestrator.events import Event, Figure, PartyState
from orchestrator.record import Failed, latest
from orchestrator.scene import _shared_row, figure_words
from orchestrator.stuck import Stuck, stuck_party, waited_for, without_idle_services
from parties.frame.plan import Pane
from tests.orchestrator.conftest import ROOT
from tests.orchestrator.recorded import START, advanced, recorded, step

PANES = (Pane("thrower", ("player-0",)), Pane("catchers", tuple(f"player-{index}" for index in range(1, 31))))
EVENTS = {
    "player-0": [advanced(1, 0, 10), advanced(10, 2, 10), advanced(20, 4, 10), *step(21, None, "player-7")],
    "player-7": [
        *step(2, 5, "player-0"),
        {"t": 22, "event": "note", "detail": "daydreaming"},
        *step(22, None, "player-0"),
    ],
}


def drawn(dashboard: Dashboard, width: int, height: int, colour: bool = False) -> str:
    said = io.StringIO()
    console = Console(file=said, width=width, force_terminal=colour, no_color=not colour)
    console.print(dashboard.scene.draw(width, height, START + 25))
    return said.getvalue()


@pytest.mark.parametrize(("width", "height"), [(110, 60), (80, 24), (40, 12)])
def test_it_fits_and_says_how_far_the_run_is(tmp_path: Path, width: int, height: int) -> None:
    picture = drawn(Dashboard(recorded(tmp_path, PANES, EVENTS, outcome="running")), width, height).splitlines()
    text = "\n".join(picture)
    assert len(picture) <= height
    assert max(map(len, picture)) <= width
    assert "4 of 10 throws" in text
    assert "25.0 s" in text
    assert "about 25 s left" in text  # 5 s a throw, 6 to go, 5 s since the last
    assert "spent 2 of" in text
    assert ("player-30" in text) == (height == 60)
    assert "30 × catc" in text or height == 60
    assert "daydream" in text or width == 40
    assert ("player-0 ↔ player-7" in text) == (width >= 80)


def test_failures_are_red_and_said_in_words(tmp_path: Path) -> None:
    failed = Failed("it fell", "player-7", "1", "/logs/player-7.log")
    dashboard = Dashboard(recorded(tmp_path, PANES, EVENTS, outcome="failed", failed=failed))
    assert not dashboard.look()
    assert "\x1b[1;31mplayer-7 failed in step 1: it fell (see /logs/player-7.log)" in drawn(
        dashboard, 110, 60, colour=True
    )
    assert "player-7 failed in step 1: it fell" in drawn(dashboard, 110, 60)


def test_by_hand_it_shows_the_latest_run_and_ends(tmp_path: Path) -> None:
    recorded(tmp_path, PANES, EVENTS)
    command = [sys.executable, "-m", "orchestrator.dashboard", "--files_dir", str(tmp_path / "files")]
    command += ["--logs_dir", str(tmp_path / "logs")]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "game · the-run" in shown
    assert "finished" in shown


def test_the_latest_run_is_the_one_that_was_started_last_whatever_its_name(tmp_path: Path) -> None:
    for age, run in enumerate(["b", "c", "a"]):  # youngest first
        (tmp_path / run).mkdir()
        (tmp_path / run / "run.json").touch()
        os.utime(tmp_path / run / "run.json", (1e9 - age, 1e9 - age))
    assert latest(tmp_path) == "b"


def test_a_run_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--logs_dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"run: expected the name of a run in {tmp_path}, which has none.\n"


def test_a_run_whose_supervisor_is_gone_has_ended(tmp_path: Path) -> None:
    folders = recorded(tmp_path, PANES, EVENTS, outcome="running")
    path = folders.logs / folders.run / "run.json"
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    path.write_text(path.read_text().replace('"supervisor": 1,', f'"supervisor": {child.pid},'))
    dashboard = Dashboard(folders)
    assert not dashboard.look()
    assert "The run ended without saying how." in drawn(dashboard, 110, 60)


def state(name: str, *events: Event) -> PartyState:
    made = PartyState(name)
    for event in events:
        made.apply(event)
    return made


def begins(t: float, peer: str | None = None, awaits: tuple[str, ...] = ()) -> Event:
    return Event("step_started", t=t, step="1", peer=peer, awaits=awaits)


def test_what_was_done_before_does_not_count_for_the_pace() -> None:
    figures = (Figure("spent", 1.0),)
    told = [
        Event("advanced", t=t, done=done, of=20, unit="throws", figures=figures)
        for t, done in ((0, 8), (30, 10), (40, 12))
    ]
    whole = advance([state("a", *told), state("b")], now=42)
    assert whole is not None
    assert (whole.done, whole.of, whole.seconds_each, whole.seconds_left) == (12, 20, 5.0, 38.0)
    ended = advance([state("a", *told, Event("finished", t=41))], now=42)
    assert ended is not None
    assert (ended.of, ended.seconds_left) == (12, None)
    assert advance([state("b")], now=time.time()) is None


def test_the_pace_does_not_count_what_came_before_the_first_piece() -> None:
    def told(*pairs: tuple[float, int]) -> list[Event]:
        return [Event("advanced", t=t, done=done, of=4, unit="throws") for t, done in pairs]

    one = advance([state("a", *told((1, 0), (90, 1)))], now=90)
    assert one is not None
    assert (one.seconds_each, one.seconds_left) == (None, 267.0)
    both = advance([state("a", *told((1, 0), (90, 1))), state("b", *told((1, 0), (50, 1), (54, 2)))], now=90)
    assert both is not None
    assert (both.seconds_each, both.seconds_left) == (4.0, 20.0)


def test_a_figure_shows_enough_digits_to_differ_from_its_most() -> None:
    assert figure_words(Figure("spent", 9.9996, 10.0)) == "spent 9.9996 of 10"
    assert figure_words(Figure("spent", 10.0, 10.0)) == "spent 10 of 10"
    assert figure_words(Figure("spent", 4.25, 10.0)) == "spent 4.25 of 10"


def test_who_only_waits_is_not_to_blame() -> None:
    trainer = state("trainer", begins(50))
    waiting = [
        state("asker", begins(1, awaits=("keeper",))),
        state("keeper", begins(2, awaits=("asker", "trainer", "early"))),
        state("early", begins(3, awaits=("asker",))),
        state("idle"),
    ]
    assert stuck_party([*waiting, trainer]) == Stuck(trainer, waiters=("keeper",))


def test_who_waits_for_one_that_has_begun_nothing_is_not_to_blame() -> None:
    absent, finished = state("absent"), state("between", begins(1), Event("step_finished", t=9, step="1"))
    asker = state("asker", begins(2, peer="between"), begins(2, awaits=("between",)))
    assert stuck_party([asker, finished, state("idle")]) == Stuck(finished, waiters=("asker",))
    other = state("other", begins(3, peer="absent"))
    assert stuck_party([asker, finished, other, absent]) == Stuck(absent, waiters=("other",))
    alone = state("alone", begins(0))
    assert stuck_party([asker, finished, alone]).party is finished  # nobody waits for the one that works alone


def test_a_stopped_process_is_to_blame_before_all_others() -> None:
    first, second = state("first", begins(1, peer="second")), state("second", begins(2, peer="first"))
    assert stuck_party([first, second], {"second"}) == Stuck(second, is_stopped=True, waiters=("first",))
    stuck = stuck_party([first, second, state("idle")], {"idle"})
    assert stuck.words("3 s passed") == "its process is stopped, and 3 s passed"


def test_a_step_that_has_just_begun_has_taken_no_time_whatever_the_clocks_say(tmp_path: Path) -> None:
    for begun in (25.0, 26.5):  # it is looked at after 25 s
        events = {"player-0": step(begun, None, "player-7")}
        picture = drawn(Dashboard(recorded(tmp_path / str(begun), PANES, events, outcome="running")), 110, 60)
        (row,) = [line for line in picture.splitlines() if "with player-7" in line]
        assert re.search(r" 0(\.0+)? m?s ", row), row


def test_a_service_counts_where_anybody_waits_for_it_at_however_many_removes() -> None:
    asker = state("asker", begins(1, peer="near"))
    near, far = state("near", begins(1, peer="far")), state("far", begins(1, peer="near"))
    idle = state("idle", begins(0))
    services = {"near", "far", "idle"}
    assert without_idle_services([asker, near, far, idle], services) == [asker, near, far]
    assert without_idle_services([near, far, idle], services) == [near, far, idle]


def test_who_gave_up_waiting_names_the_one_at_the_end_of_the_chain() -> None:
    asker = state("asker", begins(1, peer="keeper"))
    keeper = state("keeper", begins(1, peer="trainer"), begins(1, peer="asker"))
    trainer = state("trainer", begins(1))
    everybody = [asker, keeper, trainer, state("other", begins(0))]
    assert waited_for("asker", {"keeper"}, everybody, ()) == Stuck(trainer, waiters=("asker",))
    assert waited_for("asker", {"keeper"}, [asker, keeper], ()) == Stuck(keeper, waiters=("asker",))
    halted = waited_for("asker", {"keeper"}, everybody, {"keeper"})
    assert halted == Stuck(keeper, is_stopped=True, waiters=("asker",))
    assert waited_for("asker", {"keeper"}, everybody, {"other"}) == Stuck(trainer, waiters=("asker",))
    assert waited_for("asker", {"stranger"}, everybody, ()) is None


def test_who_gave_up_waiting_for_several_names_the_one_that_keeps_them() -> None:
    asker = state("asker", begins(1, awaits=("keeper", "trainer", "gone")))
    keeper, trainer = state("keeper", begins(1, peer="trainer")), state("trainer", begins(2))
    everybody = [asker, keeper, trainer, state("other", begins(0))]
    absent = {"keeper", "trainer", "gone"}
    assert waited_for("asker", absent, everybody, ()) == Stuck(trainer, waiters=("asker",))
    halted = waited_for("asker", absent, everybody, {"keeper"})
    assert halted == Stuck(keeper, is_stopped=True, waiters=("asker",))
    each_other = [asker, keeper, state("trainer", begins(0, peer="keeper"))]
    found = waited_for("asker", absent, each_other, ())
    assert found is not None
    assert (found.party.name, found.circle) == ("trainer", ())
    assert waited_for("asker", set(), everybody, ()) is None


def test_where_two_wait_for_each_other_the_silent_one_is_named_and_the_other_too() -> None:
    silent = state("silent", begins(5, peer="asker"))
    asker = state(
        "asker", begins(5, peer="silent"), begins(6, peer="other"), Event("step_finished", t=7, step="1", peer="other")
    )
    keeper = state("keeper", begins(1, peer="asker"))
    stuck = stuck_party([keeper, asker, silent])
    assert stuck == Stuck(silent, circle=("asker",))
    assert stuck.words("3 s passed") == "3 s passed, while it and asker waited for each other"


def test_where_nobody_is_in_a_step_the_silent_one_is_named() -> None:
    quiet = state("quiet", Event("listening", t=1))
    assert stuck_party([state("loud", Event("note", t=2)), quiet]) == Stuck(quiet)


def test_parties_of_one_role_are_in_their_steps_for_as_long_as_the_one_that_began_first_of_those_that_run() -> None:
    ended = state("a", begins(100.0), Event("failed", t=101.0, detail="it fell"))
    running = state("b", begins(107.0)), state("c", begins(109.0))
    assert ended.outcome == "failed"
    assert _shared_row("players", (ended, *running), 110.0)[3] == "3.00 s"
    assert _shared_row("players", (ended,), 110.0)[3] == ""


def test_a_dashboard_whose_disk_fails_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Path) -> str:
        raise OSError(errno.EIO, "Input/output error", "logs")

    monkeypatch.setattr(record, "latest", fail)
    assert main([]) == 1
    assert "Input/output error" in capsys.readouterr().err
