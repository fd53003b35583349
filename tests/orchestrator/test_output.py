"""What a run prints: text, lines, the result alone, or nothing."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli import main
from orchestrator.command_line import CommandLine
from orchestrator.display import RunDisplay
from orchestrator.events import Event
from orchestrator.streams import plain_console
from parties.frame.plan import Pane, Plan, Process
from parties.protocols import PROTOCOLS
from tests.orchestrator.conftest import ROOT, Game
from tests.orchestrator.game import Game as GameProtocol
from tests.orchestrator.recorded import recorded
from tests.orchestrator.test_report import Nothing

QUICK = ("--launcher", "process")


def run(game: Game) -> str:
    (logs,) = (game.folder / "logs").iterdir()
    return logs.name


def test_json_is_the_result_and_nothing_else(play: Callable[..., Game]) -> None:
    game = play(*QUICK, "--json")
    assert game.wait() == 0, game.sentence
    assert game.said == (game.folder / "files" / run(game) / "result.json").read_text()
    assert json.loads(game.said)["result"] == {"ball": "thrown"}


def test_quiet_prints_a_failure_alone(play: Callable[..., Game]) -> None:
    game = play(*QUICK, "--quiet")
    assert (game.wait(), game.said, game.sentence) == (0, "", "")
    failing = play(*QUICK, "--quiet", "--manner", "complain")
    assert (failing.wait(), failing.said) == (1, "")
    assert failing.sentence.startswith("player-1 failed in step throw: expected a ball, found a brick")


def test_no_progress_leaves_the_result(play: Callable[..., Game]) -> None:
    game = play(*QUICK, "--progress", "none")
    assert game.wait() == 0
    assert "begins step" not in game.said
    assert game.said.splitlines()[-1] == "Ball: thrown"
    assert "begins step" in (game.logs / "run.log").read_text()


def test_repeated_steps_are_printed_once_and_advance_once_a_second(tmp_path: Path) -> None:
    said = io.StringIO()
    plan = Plan((Process("a", "m", Nothing(), "a"),), "a", 1.0)
    with RunDisplay(plan, Console(file=said, width=100), tmp_path / "run.log", "t") as display:
        for number in range(300):
            t = display.scene.started + number / 100
            display.tell("a", Event("step_started", t=t, step="1", title="throw"))
            display.tell("a", Event("step_finished", t=t, step="1", title="throw", seconds=0.1))
            display.tell("a", Event("advanced", t=t, done=number + 1, of=300, unit="throws"))
    lines = said.getvalue().splitlines()
    assert len([line for line in lines if "step 1" in line]) == 2
    assert [line.split(": ")[1] for line in lines if "throws" in line] == [
        "1 of 300 throws", "101 of 300 throws", "201 of 300 throws", "300 of 300 throws",
    ]  # fmt: skip
    assert (tmp_path / "run.log").read_text().count("\n") == 900


def test_the_live_picture_is_drawn_on_the_console_that_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = io.StringIO()
    plan = Plan((Process("a", "m", Nothing(), "a"),), "a", 1.0)
    console = Console(file=terminal, width=100, force_terminal=True)
    with RunDisplay(plan, console, tmp_path / "run.log", "the title", "live") as display:
        display.show()
    assert "the title" in terminal.getvalue()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_gets_a_picture_and_anything_else_lines(tmp_path: Path, terminal: bool) -> None:
    said = io.StringIO()
    plan = Plan((Process("a", "m", Nothing(), "a"),), "a", 1.0)
    console = Console(file=said, width=100, force_terminal=terminal)
    with RunDisplay(plan, console, tmp_path / "run.log", "the title") as one:
        one.show()
        one.tell("a", Event("step_started", t=one.scene.started, step="1", title="throw"))
    assert ("the title" in said.getvalue()) == terminal
    assert ("a: begins step 1" in said.getvalue()) != terminal


@pytest.mark.skipif(not PROTOCOLS, reason="no protocol is there to be explained")
def test_help_may_be_read_in_part(tmp_path: Path) -> None:
    script = f"set -o pipefail; '{sys.executable}' '{ROOT}/run_protocol.py' --help | head -1"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: run_protocol.py")


def test_the_version_stands_behind_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"game": GameProtocol()}, ["--version"], CommandLine("play", "1.2.3")) == 0
    assert capsys.readouterr().out == "play 1.2.3\n"


def test_a_report_is_asked_for_by_name_folder_or_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = recorded(tmp_path, (Pane("a", ("a",)),), {})
    page = folders.files / folders.run / "report.html"
    tops = ["--files_dir", str(folders.files), "--logs_dir", str(folders.logs)]

    def report(name: str) -> tuple[int, str, str]:
        status = main({"game": GameProtocol()}, ["--report", name, *tops])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    for name in (folders.run, str(folders.logs / folders.run), str(folders.logs / folders.run / "run.json"), str(page)):
        assert report(name) == (0, f"Report: {page}\n", "")
    for name in ("/", ".", "", "./nothing", str(tmp_path / "elsewhere" / folders.run)):
        status, out, err = report(name)
        assert (status, out) == (2, "")
        assert err.startswith(f"report: expected a run in {folders.files} or {folders.logs} (see --files_dir")
    assert report("nothing")[2] == f"run: expected the name of a run, such as {folders.run}, found 'nothing'.\n"


def test_words_of_parties_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    plain_console(60).print("[bold]a[/bold] :warning: 12")
    assert capsys.readouterr().out == "[bold]a[/bold] :warning: 12\n"
