"""However a run ends, it says so in one sentence and leaves nothing behind, with either launcher."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
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


@pytest.mark.parametrize("who", [0, 1, 2])
def test_a_stopped_party_is_to_blame(play: Callable[..., Game], launcher: str, who: int) -> None:
    manner = ("--throw_s", "600") if who != 1 else ("--manner", "hang")
    game = play("--launcher", launcher, *manner, "--silence_s", "10")
    game.wait_until_said("player-2: begins step catch")
    game.wait_until_said("player-1: note: daydreaming" if who == 1 else "player-0: begins step throw")
    os.kill(game.player(who), signal.SIGSTOP)
    assert game.wait() == 1
    words = rf"player-{who} failed in step \w+: its process is stopped, and no party said anything for 10 s"
    waiter = "" if who == 2 else rf", while player-{'1' if who == 0 else '2'} waited for it"
    assert re.match(words + waiter, game.sentence), game.sentence
    game.assert_nothing_left(result=False)


@pytest.mark.parametrize(("flag", "reason"), [("--silence_s", "no party said"), ("--deadline_s", "the run's deadline")])
def test_a_silent_party_without_a_step_is_to_blame(
    play: Callable[..., Game], launcher: str, flag: str, reason: str
) -> None:
    game = play("--launcher", launcher, "--manner", "mute", flag, "15")
    assert game.wait() == 1
    assert game.sentence.startswith(f"player-1 failed: {reason}"), game.sentence
    assert "while player-2 waited for it" in game.sentence
    game.assert_nothing_left(result=False)


@pytest.mark.parametrize("manner", ["late", "alone"])
def test_who_gives_up_waiting_is_not_to_blame(play: Callable[..., Game], launcher: str, manner: str) -> None:
    game = play("--launcher", launcher, "--manner", manner)
    assert game.wait() == 1
    words = "player-2 failed in step catch: player-1 waited for it in vain (no message within 3 s)"
    assert game.sentence.startswith(words), game.sentence
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


SIGNALLED = """
import signal, sys
from pathlib import Path
from pydantic import field_serializer
from tests.orchestrator import game

class Player(game.PlayerSettings):
    @field_serializer("log")
    def log_as_text(self, path: Path) -> str:
        if self.name == "player-1":
            {moment}
        return str(path)

game.PlayerSettings = Player
sys.exit(game.main({{"game": game.Game()}}))
"""
ARRIVES = "signal.raise_signal(signal.SIGINT)"


DROPPED = f"exec('class Dropped:\\n def __del__(self): {ARRIVES}'); locals()['Dropped']()"


@pytest.mark.parametrize("moment", [pytest.param(ARRIVES, id="converted"), pytest.param(DROPPED, id="dropped")])
def test_a_signal_that_the_code_of_others_does_not_let_pass_ends_the_run(
    launcher: str, tmp_path: Path, moment: str
) -> None:
    program = SIGNALLED.format(moment=moment)
    flags = command(launcher, tmp_path, "--manner", "hang")[3:]
    done = subprocess.run(
        [sys.executable, "-c", program, *flags], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "Ended by SIGINT.\n")
    (run,) = os.listdir(tmp_path / "logs")
    assert not processes_of(run)
    assert not (tmp_path / "files" / run).exists()
    assert json.loads((tmp_path / "logs" / run / "run.json").read_text())["outcome"] == "interrupted"


SIGNALLED_BEFORE_THE_GUARD = """
import signal, sys
import orchestrator.folders, orchestrator.run
from tests.orchestrator import game

orchestrator.{moment} = lambda *_, **__: signal.raise_signal(signal.SIGINT)
sys.exit(game.main({{"game": game.Game()}}))
"""


@pytest.mark.parametrize("moment", ["folders.RunFolders", "run._launcher", "run.Guard"])
def test_a_signal_before_the_guard_is_there_leaves_no_folder(launcher: str, tmp_path: Path, moment: str) -> None:
    program = SIGNALLED_BEFORE_THE_GUARD.format(moment=moment)
    flags = command(launcher, tmp_path)[3:]
    done = subprocess.run(
        [sys.executable, "-c", program, *flags], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "Ended by SIGINT.\n")
    assert [os.listdir(tmp_path / top) for top in ("files", "logs")] == [[], []]


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


def command(launcher: str, folder: Path, *flags: str) -> list[str]:
    where = ("--files_dir", f"{folder}/files", "--logs_dir", f"{folder}/logs", "--start_port", str(free_ports(3)))
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "from tests.orchestrator.game import Game, main; sys.exit(main({'game': Game()}))"
    )
    return [sys.executable, "-c", program, "--launcher", launcher, *where, *flags]


def test_nobody_reads_the_output_any_more(launcher: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(launcher, tmp_path, "--throw_s", "1"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"Logs: ")
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 0  # as `| head -1` expects: the run went well
    assert process.stderr.read() == b""
    (run,) = os.listdir(tmp_path / "logs")
    assert not processes_of(run)
    assert (tmp_path / "files" / run / "result.json").exists()


def test_a_full_standard_output_is_one_sentence_and_the_run_ends_well(launcher: str, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command(launcher, tmp_path), cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "standard output: expected to write all of it, found: No space left on device.\n"
    (run,) = os.listdir(tmp_path / "logs")
    assert (tmp_path / "files" / run / "result.json").exists()


@pytest.mark.parametrize(
    "name", ["f{time}", "x;", "y\\;", "#{pane_id} #S", "two\nlines", "%H $HOME `id` 'q' \"", "é", "-"]
)
def test_a_folder_may_have_any_name(launcher: str, tmp_path: Path, name: str) -> None:
    top = tmp_path / name
    top.mkdir()
    places = ("--files_dir", f"{top}/f{name}", "--logs_dir", f"{top}/l{name}", "--log_timing_file", f"{top}/t{name}")
    done = subprocess.run(command(launcher, tmp_path, *places), cwd=top, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(tmp_path) == [name]
    assert sorted(os.listdir(top)) == sorted([f"f{name}", f"l{name}", f"t{name}"])
    (run,) = os.listdir(top / f"l{name}")
    assert {f"player-{number}.log" for number in range(3)} <= set(os.listdir(top / f"l{name}" / run))


def test_a_name_that_no_system_takes_is_one_sentence(launcher: str, tmp_path: Path) -> None:
    for name, sentence in (
        ("n" * 300, rb"files_dir: expected to make .*, found File name too long\.\n"),
        (os.fsdecode(b"\xff"), rb"'.*udcff/files': expected text in UTF-8, found other bytes\.\n"),
    ):
        done = subprocess.run(command(launcher, tmp_path / name), cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 2
        assert re.fullmatch(sentence, done.stderr), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.parametrize("size", ["5k", "37k", "59k", "91k", "400k"])
def test_a_full_disk_is_one_sentence(launcher: str, tmp_path: Path, size: str) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"'
    inside = ["unshare", "-m", "bash", "-c", mount, "bash", size, str(small), *command(launcher, small)]
    done = subprocess.run(inside, cwd=ROOT, capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("no small disk may be mounted here")
    if size == "400k":
        assert (done.returncode, done.stderr) == (0, "")
        return
    assert done.returncode == 1
    assert re.search(r"No space left on device|the disk of \S+ is full", done.stderr), done.stderr
    assert done.stderr.count("\n") == 1


SHARED = Path("/dev/shm")  # noqa: S108  another file system than that of temporary files


@pytest.mark.skipif(not os.access(SHARED, os.W_OK), reason="needs a second file system")
def test_logs_may_lie_on_another_disk(launcher: str, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=SHARED) as elsewhere:
        flags = command(launcher, tmp_path, "--logs_dir", elsewhere)
        done = subprocess.run(flags, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        (run,) = os.listdir(elsewhere)
        assert (Path(elsewhere) / run / "player-1.events.jsonl").stat().st_size > 0
        assert sorted(os.listdir(tmp_path / "files" / run)) == ["report.html", "result.json"]


def test_what_lies_in_the_current_folder_is_not_imported(
    play: Callable[..., Game], launcher: str, tmp_path: Path
) -> None:
    mark = tmp_path / "was-imported"
    here = tmp_path / "here"
    here.mkdir()
    for name in ("argparse", "json", "signal", "socket", "runpy", "site", "sitecustomize", "usercustomize", "rich"):
        (here / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write({name!r})\n")
    start = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); import tests.orchestrator.game as g; "
        f"os.chdir({str(here)!r}); os.environ['PYTHONPATH'] = '.'; sys.exit(g.main({{'game': g.Game()}}, sys.argv[1:]))"
    )
    flags = command(launcher, tmp_path, "--scored")[3:]
    port = str(free_ports(4))
    done = subprocess.run(
        [sys.executable, "-c", start, *flags, "--start_port", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not mark.exists(), mark.read_text()
