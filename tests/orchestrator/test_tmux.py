"""What a person sees in panes, and that panes work wherever the orchestrator is started."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.launchers import Exit, tmux
from parties.frame.lifetime import process_started
from tests.orchestrator.conftest import PATIENCE_S, ROOT, Game, free_ports, wait_for

pytestmark = pytest.mark.skipif(tmux.unavailable() is not None, reason="no usable tmux")


def panes(game: Game, form: str) -> list[str]:
    command = ["tmux", "-L", game.run, "list-panes", "-s", "-F", form]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def shown(game: Game, pane: str) -> str:
    command = ["tmux", "-L", game.run, "capture-pane", "-p", "-J", "-t", f":{pane}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def dreaming(play: Callable[..., Game], **more: object) -> Game:
    game = play("--manner", "hang", **more)
    game.wait_until_said("Logs: ")
    log = game.logs / "run.log"  # with many players the terminal shows only some of it
    wait_for(lambda: log.exists() and "player-1: note: daydreaming" in log.read_text(), "the second player")
    return game


def end(game: Game) -> None:
    game.process.send_signal(signal.SIGINT)
    assert game.wait() == 130
    game.assert_nothing_left(result=False)


def test_window_0_has_the_logs_in_the_demos_order(play: Callable[..., Game]) -> None:
    game = dreaming(play, players=4)
    listing = panes(game, "#{window_index}.#{pane_index} #{window_name} #{pane_title} #{pane_left} #{pane_top}")
    positions = {}
    for line in listing[:4]:
        place, window, title, left, top = line.split()
        assert window == "logs"
        positions[place] = (title, int(left) > 0, int(top) > 5)
    # pane: title, in the right half, in the lower half
    assert positions == {
        "0.0": ("thrower", False, False),
        "0.1": ("middle", True, False),
        "0.2": ("run", False, True),
        "0.3": ("catcher", True, True),
    }
    wait_for(lambda: "player-0 listening" in shown(game, "0.0"), "the first player's log")
    wait_for(lambda: re.search("player-1 note.*daydreaming", shown(game, "0.1")), "the second player's log")
    wait_for(lambda: "player-2 listening" in shown(game, "0.1"), "the third player's log beside the second's")
    wait_for(lambda: "player-1: note: daydreaming" in shown(game, "0.2"), "the run's log")
    wait_for(lambda: "player-3 listening" in shown(game, "0.3"), "the last player's log")
    end(game)


def test_every_process_has_a_pane(play: Callable[..., Game]) -> None:
    game = dreaming(play, players=30)
    assert "player-0: " in game.said  # the reporter's own
    assert "player-2: " not in game.said
    listing = panes(game, "#{window_index} #{window_name} #{pane_title} #{pane_width} #{pane_height}")
    assert len(listing) == 4 + 1 + 30
    assert listing[4].startswith("1 dashboard dashboard ")
    titles = []
    for line in listing[5:]:
        index, window, title, width, height = line.split()
        assert window == f"parties-{int(index) - 1}"
        assert int(width) >= 40
        assert int(height) >= 8
        titles.append(title)
    assert titles == [f"player-{number}" for number in range(30)]
    end(game)


def test_a_party_gets_only_the_environment_it_needs(play: Callable[..., Game]) -> None:
    game = dreaming(play, SECRET_OF_THE_USER="do not pass on")
    environment = Path(f"/proc/{game.player(1)}/environ").read_bytes().split(b"\0")
    names = {entry.split(b"=")[0].decode() for entry in environment if entry}
    assert "SECRET_OF_THE_USER" not in names
    assert {"PATH", "LANG", "OMP_NUM_THREADS", "ORCHESTRATED_RUN"} <= names
    assert not any(name.startswith(("TMUX", "PYTHON")) for name in names)
    end(game)


@pytest.mark.parametrize("how", ["kill-pane", "kill-server"])
def test_somebody_closes_a_pane_or_the_server(play: Callable[..., Game], how: str) -> None:
    game = dreaming(play)
    target = ["-t", ":2.1"] if how == "kill-pane" else []
    subprocess.run(["tmux", "-L", game.run, how, *target], check=True)
    assert game.wait() == 1
    if how == "kill-server":
        assert game.sentence == "the run's tmux server has ended.\n"
    else:
        assert re.match(r"player-[12] failed in step (throw|catch): it (disappeared|was ended by)", game.sentence)
    game.assert_nothing_left(result=False)


def test_a_server_that_is_stopped_ends_the_run_and_is_ended(play: Callable[..., Game]) -> None:
    game = dreaming(play)
    shown = subprocess.run(
        ["tmux", "-L", game.run, "display-message", "-p", "#{pid}"], capture_output=True, text=True, check=True
    )
    server = int(shown.stdout)
    os.kill(server, signal.SIGSTOP)
    assert game.wait() == 1
    assert re.match(r"tmux did not answer within 20 s", game.sentence), game.sentence
    wait_for(lambda: process_started(server) is None, "the end of the server")
    game.assert_nothing_left(result=False)


def test_it_runs_with_no_terminal_no_home_and_a_strange_shell(play: Callable[..., Game]) -> None:
    game = play(prefix=("setsid",), TERM="", SHELL="/usr/sbin/nologin", HOME="/nonexistent", LANG="C", LC_ALL="C")
    assert game.wait() == 0, game.sentence
    game.assert_nothing_left(result=True)


def test_it_ignores_the_users_own_configuration(play: Callable[..., Game], tmp_path: Path) -> None:
    (tmp_path / ".tmux.conf").write_text("set -g base-index 7\nset -g remain-on-exit off\nset -g pane-base-index 3\n")
    game = dreaming(play, HOME=str(tmp_path))
    assert panes(game, "#{window_index}.#{pane_index}")[:4] == ["0.0", "0.1", "0.2", "0.3"]
    end(game)


def test_it_runs_inside_another_tmux(tmp_path: Path) -> None:
    outer = f"outer-{os.getpid()}"
    port = free_ports(3)
    done = tmp_path / "status"
    command = (
        f"cd {ROOT} && {sys.executable} -m tests.orchestrator.game --start_port {port} "
        f"--files_dir {tmp_path}/files --logs_dir {tmp_path}/logs > {tmp_path}/out 2>&1; echo $? > {done}.partial; "
        f"mv {done}.partial {done}"
    )
    try:
        subprocess.run(["tmux", "-L", outer, "-f", "/dev/null", "new-session", "-d", command], check=True)
        wait_for(done.exists, "the run inside the other tmux")
        assert done.read_text() == "0\n", (tmp_path / "out").read_text()
        assert "Ball: thrown" in (tmp_path / "out").read_text()
        assert "Panes: tmux -L " in (tmp_path / "out").read_text()
    finally:
        subprocess.run(["tmux", "-L", outer, "kill-server"], capture_output=True, check=False)
        (tmux._socket_folder() / outer).unlink(missing_ok=True)
    (run,) = os.listdir(tmp_path / "logs")
    assert not (tmux._socket_folder() / run).exists()


def test_without_tmux_the_parties_are_plain_processes(play: Callable[..., Game], tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    game = play(PATH=str(empty))
    assert game.wait() == 0, game.sentence
    assert "tmux is not installed: the parties run as plain processes." in game.said
    game.assert_nothing_left(result=True)


def test_an_old_tmux_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "tmux"
    old.write_text("#!/bin/sh\necho tmux 3.1c\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tmux.unavailable() == "tmux 3.1c is older than 3.2"


class Terminal:
    """A terminal of our own with the orchestrator in it."""

    def __init__(self, *flags: str, folder: Path):
        self.port = free_ports(3)
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.environ["TERM"] = "xterm"
            arguments = [sys.executable, "-m", "tests.orchestrator.game", "--start_port", str(self.port), *flags]
            arguments += ["--files_dir", f"{folder}/files", "--logs_dir", f"{folder}/logs"]
            os.execv(arguments[0], arguments)  # noqa: S606
        self.seen = ""

    def read(self, seconds: float = 0.1) -> str:
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
            except OSError:  # the other end is closed
                time.sleep(seconds)
        return self.seen

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def detach(self) -> None:
        """Type C-b d until the panes are gone. Keys that come quickly one after the other tmux may take for pasted."""
        expires = time.monotonic() + PATIENCE_S
        while "[detached" not in self.seen:
            assert time.monotonic() < expires, self.seen
            for key in (b"\x02", b"d"):
                self.type(key)
                self.read(0.2)
            until = time.monotonic() + 2.0
            while "[detached" not in self.seen and time.monotonic() < until:
                self.read()

    def wait(self) -> int:
        expires = time.monotonic() + PATIENCE_S
        while time.monotonic() < expires:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.read(0.5)
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"the orchestrator did not end: {self.seen}")


def test_attached_it_shows_the_panes_and_goes_on_after_detaching(tmp_path: Path) -> None:
    terminal = Terminal("--attach", "--throw_s", "2", folder=tmp_path)
    wait_for(lambda: "thrower" in terminal.read() and "catcher" in terminal.seen, "the panes")
    terminal.detach()
    assert terminal.wait() == 0, terminal.seen
    assert "[detached" in terminal.seen
    assert "Ball: thrown" in terminal.seen.split("[detached")[1]


def test_attached_it_waits_for_the_viewer_at_the_end(tmp_path: Path) -> None:
    terminal = Terminal("--attach", folder=tmp_path)
    wait_for(lambda: "All parties have finished" in terminal.read(), "the run's last line in its pane")
    terminal.detach()
    assert terminal.wait() == 0, terminal.seen
    assert "Ball: thrown" in terminal.seen


def test_on_a_terminal_a_table_follows_the_parties(tmp_path: Path) -> None:
    terminal = Terminal("--throw_s", "5", folder=tmp_path)
    wait_for(lambda: re.search(r"player-0 +running +throw let go", terminal.read()), "the table")
    assert terminal.wait() == 0, terminal.seen
    assert "Ball: thrown" in terminal.seen


def test_ctrl_c_in_the_terminal_ends_the_run(tmp_path: Path) -> None:
    terminal = Terminal("--throw_s", "600", folder=tmp_path)
    wait_for(lambda: "throw let go" in terminal.read(), "the run to be under way")
    terminal.type(b"\x03")
    assert terminal.wait() == 130
    assert "Ended by SIGINT." in terminal.seen


def test_hanging_up_the_terminal_ends_the_run(tmp_path: Path) -> None:
    terminal = Terminal("--throw_s", "600", folder=tmp_path)
    wait_for(lambda: "throw let go" in terminal.read(), "the run to be under way")
    os.close(terminal.master)
    _, status = os.waitpid(terminal.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert not list((tmp_path / "files").iterdir())


def test_attach_needs_a_terminal(play: Callable[..., Game]) -> None:
    game = play("--attach")
    assert game.wait() == 2
    assert game.sentence == "attach: expected a terminal, found none.\n"


class Silent(tmux.TmuxLauncher):
    """Panes that are there without a server. What would be said to the server is kept."""

    def __init__(self, *rows: str) -> None:
        super().__init__("nobody", "nothing")
        self._panes = {"player": "%1"}
        self.rows = [*rows]
        self.asked: list[str] = []

    def _tmux(self, *arguments: str) -> list[str]:
        self.asked.append(arguments[0])
        return [self.rows.pop(0)] if arguments[0] == "list-panes" else []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["%1|0||"], [None]),
        (["%1|1|3|"], [Exit(code=3)]),
        (["%1|1|0|"], [Exit(code=0)]),
        (["%1|1||9"], [Exit(signal=9)]),
        (["%1|1||KILL"], [Exit(signal=9)]),
        (["%2|0||"], [Exit()]),
        (["%1|1||", "%1|1|0|"], [None, Exit(code=0)]),  # the status comes after the end
        (["%1|1||", "%1|1||"], [None, Exit()]),  # the status never comes
    ],
)
def test_how_a_pane_ended_is_what_tmux_says_of_it_at_the_second_look_at_the_latest(
    rows: list[str], expected: list[Exit | None]
) -> None:
    launcher = Silent(*rows)
    assert [dict(launcher.ended()).get("player") for _ in rows] == expected
    assert launcher.asked.count("run-shell") == len(rows) - 1  # asks tmux to look again, once
