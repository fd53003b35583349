"""Runs of the orchestrator as a person starts them, and what they may leave behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.environment import MARKER
from orchestrator.launchers import tmux
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 300.0  # a test has 900 s

LAUNCHERS = [
    "process",
    pytest.param("tmux", marks=pytest.mark.skipif(tmux.unavailable() is not None, reason="no usable tmux")),
]


def wait_for(condition: Callable[[], object], what: str) -> None:
    expires = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < expires, f"waited in vain for {what}"
        time.sleep(0.05)


def processes_of(run: str) -> dict[int, str]:
    """Every process of a run, the guard among them: its id and command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
                marker = f"{MARKER}={run}".encode()
                if marker in (entry / "environ").read_bytes().split(b"\0") or marker in command.split(b"\0"):
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found


@dataclass
class Game:
    """An orchestrator process that runs the game, its output in a file."""

    process: subprocess.Popen[bytes]
    output: Path
    errors: Path
    folder: Path
    start_port: int
    parties: int

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def sentence(self) -> str:
        return self.errors.read_text()

    @property
    def run(self) -> str:
        match = re.search(r"^Logs: .*/(\S+)$", self.said, re.MULTILINE)
        assert match, self.said + self.sentence
        return match[1]

    @property
    def logs(self) -> Path:
        return self.folder / "logs" / self.run

    def wait_until_said(self, text: str) -> None:
        wait_for(lambda: text in self.said or self.process.poll() is not None, text)
        assert text in self.said, self.said + self.sentence

    def player(self, number: int) -> int:
        """The process id of a player."""
        return self.party(f"player-{number}")

    def party(self, name: str) -> int:
        """The process id of a party."""
        for pid, command in processes_of(self.run).items():
            if f"/{name}/settings.json" in command:
                return pid
        raise AssertionError(f"{name} is not there")

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def assert_nothing_left(self, *, result: bool) -> None:
        """No process, guard, tmux socket, port, private folder or partial file; a result only if there may be one, and
        a report of a run that came to an end by itself."""
        wait_for(lambda: not processes_of(self.run), f"the end of {processes_of(self.run)}")
        assert not (tmux._socket_folder() / self.run).exists()
        for port in range(self.start_port, self.start_port + self.parties):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        files = self.folder / "files" / self.run
        left = sorted(str(path.relative_to(files)) for path in files.rglob("*")) if files.exists() else []
        ended_by_itself = self.process.returncode in (0, 1)
        assert left == (["report.html"] if ended_by_itself else []) + (["result.json"] if result else [])
        assert not [path for path in self.logs.rglob("*") if path.name.startswith(".")]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[..., Game]]:
    """Starts `python -m tests.orchestrator.game`, or another protocol's, with these flags; ends what a failing test has
    left running."""
    games = []

    def start(
        *flags: str,
        players: int = 3,
        others: int = 0,
        prefix: tuple[str, ...] = (),
        module: str = "game",
        **variables: str,
    ) -> Game:
        number = len(games)
        output, errors = tmp_path / f"output-{number}", tmp_path / f"errors-{number}"
        start_port = free_ports(players + others)
        command = [*prefix, sys.executable, "-m", f"tests.orchestrator.{module}"]
        command += ["--players", str(players)] if module == "game" else []
        command += ["--start_port", str(start_port), *flags]
        command += ["--files_dir", str(tmp_path / "files"), "--logs_dir", str(tmp_path / "logs")]
        environment = {name: value for name, value in {**os.environ, **variables}.items() if value}
        with output.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        game = Game(process, output, errors, tmp_path, start_port, players + others)
        games.append(game)
        return game

    yield start
    for game in games:
        if game.process.poll() is None:
            game.process.send_signal(signal.SIGTERM)
            game.process.wait(PATIENCE_S)
