"""However a run ends, it says so in one sentence and leaves nothing behind, with either launcher."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.orchestrator.conftest import LAUNCHERS, PATIENCE_S, ROOT, Game, free_ports, processes_of, wait_for

pytestmark = pytest.mark.parametrize("launcher", LAUNCHERS)


def test_a_good_run_ends_with_its_result(play: Callable[..., Game], launcher: str) -> None:
    game = play("--launcher", launcher, "--throw_s", "0.2", "--session", "fine")
    assert game.wait() == 0, game.sentence
    assert game.said.splitlines()[-1] == "Ball: thrown"
    game.assert_nothing_left(result=True)
    result = json.loads((game.folder / "files" / game.run / "result.json").read_text())
    assert result["run"].startswith("fine-")
    assert result["result"] == {"ball": "thrown"}
    assert result["configuration"]["players"] == 3
    assert {(line["step"], *line["link"], line["forth"], line["back"]) for line in result["links"]} == {
        ("throw", "player-0", "player-1", 4, 0),
        ("throw", "player-1", "player-2", 4, 0),
        ("catch", "player-0", "player-1", 4, 0),
        ("catch", "player-1", "player-2", 4, 0),
    }
    assert (game.logs / "timing.log").read_text().count("\n") == 5
    assert {path.name for path in game.logs.iterdir()} == {
        "run.json", "run.log", "timing.log",
        *(f"player-{number}.{kind}" for number in range(3) for kind in ("log", "events.jsonl")),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        (
            "raise",
            "it ended with status 1 after printing 'ArithmeticError: the ball is square' (see {logs}/{who}.out).",
        ),
        ("silent_exit", "it ended without saying how (see {logs}/{who}.log)."),
        ("lie", "it ended with status 3 (see {logs}/{who}.log)."),
        ("complain", "expected a ball, found a brick (see {logs}/{who}.log)."),
        ("print_and_die", "it was ended by SIGKILL after printing 'out of breath' (see {logs}/{who}.out)."),
    ],
)
def test_a_failing_party_is_named(play: Callable[..., Game], launcher: str, manner: str, reason: str) -> None:
    game = play("--launcher", launcher, "--manner", manner)
    assert game.wait() == 1
    where = reason.format(logs=game.logs, who="player-1")
    assert game.sentence == f"player-1 failed in step throw: {where}\n"
    named = Path(game.sentence.split("(see ")[1].removesuffix(").\n"))
    assert named.is_file()
    assert "player-1 failed in step throw" in (game.logs / "run.log").read_text()
    game.assert_nothing_left(result=False)


@pytest.mark.parametrize(("who", "step", "flag"), [(0, "throw", "throw_s"), (1, "throw", "who"), (2, "catch", "who")])
def test_a_killed_party_ends_the_run(play: Callable[..., Game], launcher: str, who: int, step: str, flag: str) -> None:
    manner = ("--throw_s", "600") if flag == "throw_s" else ("--manner", "hang")
    game = play("--launcher", launcher, *manner)
    game.wait_until_said(f"player-{who}: begins step {step}")
    if who == 1:
        game.wait_until_said("player-1: note: daydreaming")
    os.kill(game.player(who), signal.SIGKILL)
    assert game.wait() == 1
    assert game.sentence.startswith(f"player-{who} failed in step {step}: it was ended by SIGKILL")
    game.assert_nothing_left(result=False)


def test_a_party_that_stops_breathing_ends_the_run(play: Callable[..., Game], launcher: str) -> None:
    game = play("--launcher", launcher, "--throw_s", "600", "--silence_s", "6")
    game.wait_until_said("player-0: begins step throw")
    os.kill(game.player(0), signal.SIGSTOP)
    assert game.wait() == 1
    assert "failed in step" in game.sentence
    assert "no party said anything for 6 s" in game.sentence
    game.assert_nothing_left(result=False)


def test_the_deadline_ends_the_run(play: Callable[..., Game], launcher: str) -> None:
    game = play("--launcher", launcher, "--manner", "hang", "--deadline_s", "4")
    assert game.wait() == 1
    # player 2 may have begun to wait before player 1 began to dream, and on a slow machine neither has begun
    assert re.match(r"player-\d failed( in step \w+)?: the run's deadline of 4 s passed", game.sentence)
    game.assert_nothing_left(result=False)


def test_a_stubborn_party_and_its_child_are_ended(play: Callable[..., Game], launcher: str) -> None:
    game = play("--launcher", launcher, "--manner", "stubborn")
    game.wait_until_said("player-1: note: daydreaming")
    stubborn = [pid for pid, command in processes_of(game.run).items() if "/player-1/settings.json" in command]
    assert len(stubborn) == 2
    game.process.send_signal(signal.SIGTERM)
    assert game.wait() == 143
    game.assert_nothing_left(result=False)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_run(play: Callable[..., Game], launcher: str, number: signal.Signals, status: int) -> None:
    game = play("--launcher", launcher, "--manner", "hang")
    game.wait_until_said("player-1: note: daydreaming")
    game.process.send_signal(number)
    assert game.wait() == status
    assert game.sentence == f"Ended by {number.name}.\n"
    game.assert_nothing_left(result=False)


def test_a_signal_while_starting_ends_the_run(play: Callable[..., Game], launcher: str) -> None:
    for pause in (0.0, 0.1, 0.3):
        game = play("--launcher", launcher, "--manner", "hang", players=8)
        game.wait_until_said("Logs: ")
        time.sleep(pause)  # anywhere in the start: no moment may leave something behind
        game.process.send_signal(signal.SIGINT)
        assert game.wait() == 130
        game.assert_nothing_left(result=False)


def test_a_second_signal_does_not_stop_the_teardown(play: Callable[..., Game], launcher: str) -> None:
    game = play("--launcher", launcher, "--manner", "stubborn")
    game.wait_until_said("player-1: note: daydreaming")
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        game.process.send_signal(number)
        time.sleep(0.3)
    assert game.wait() == 130
    game.assert_nothing_left(result=False)


def test_the_guard_ends_the_run_of_a_killed_orchestrator(play: Callable[..., Game], launcher: str) -> None:
    game = play("--launcher", launcher, "--manner", "stubborn")
    game.wait_until_said("player-1: note: daydreaming")
    assert len(processes_of(game.run)) >= 3
    game.process.kill()
    game.wait()
    wait_for(lambda: not processes_of(game.run), "the guard to end the run")
    game.assert_nothing_left(result=False)


def test_two_runs_do_not_meet(play: Callable[..., Game], launcher: str) -> None:
    first = play("--launcher", launcher, "--manner", "hang")
    first.wait_until_said("player-1: note: daydreaming")
    second = play("--launcher", launcher)
    assert second.wait() == 0, second.sentence
    second.assert_nothing_left(result=True)
    assert first.player(1)  # the end of the second run has not touched it
    first.process.send_signal(signal.SIGINT)
    assert first.wait() == 130
    first.assert_nothing_left(result=False)


def test_nohup_is_respected(play: Callable[..., Game], launcher: str) -> None:
    game = play("--launcher", launcher, "--throw_s", "2", prefix=("nohup",))
    game.wait_until_said("player-0: begins step throw")
    game.process.send_signal(signal.SIGHUP)
    assert game.wait() == 0
    game.assert_nothing_left(result=True)


def test_nobody_reads_the_output_any_more(launcher: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.orchestrator.game", "--launcher", launcher, "--manner", "hang"]
    command += [
        "--start_port",
        str(free_ports(3)),
        "--files_dir",
        f"{tmp_path}/files",
        "--logs_dir",
        f"{tmp_path}/logs",
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"Logs: ")
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 1  # quietly, as `| head` expects
    assert process.stderr.read() == b""
    (run,) = os.listdir(tmp_path / "logs")
    assert not processes_of(run)
    assert not os.listdir(tmp_path / "files")
