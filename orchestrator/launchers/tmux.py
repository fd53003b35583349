"""Panes in a tmux server that belongs to the run alone.

It has a window of logs, one for the dashboard, and a pane for each process. The server has its own socket and reads
only `tmux.conf` beside this file. It therefore works inside another tmux, without a terminal, and whatever the user's
settings are. Processes are started directly, without a shell, by `respawn-pane` in a pane that was waiting for it.
Nothing is typed into panes.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from libtmux import Server
from libtmux.common import tmux_cmd
from libtmux.exc import LibTmuxException

from orchestrator.environment import PANES_MARKER
from orchestrator.errors import LaunchError
from orchestrator.launchers import Exit, LogView, ProcessSpec
from orchestrator.launchers.forks import Forks

OLDEST = (3, 2)
CONFIGURATION = Path(__file__).with_name("tmux.conf")
PANES_A_WINDOW = 6
COLUMNS, ROWS = 220, 60  # until somebody attaches
ANSWER_S = 20.0  # for the server to answer; it may have been stopped
_WAITING = ("sleep", "2000000")
_STATE = "#{pane_id}|#{pane_dead}|#{pane_dead_status}|#{pane_dead_signal}"


def unavailable() -> str | None:
    """Return why this machine can show no panes, or None when it can."""
    path = shutil.which("tmux")
    if path is None:
        return "tmux is not installed"
    try:
        text = subprocess.run([path, "-V"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return f"{path} does not run"
    numbers = re.search(r"(\d+)\.(\d+)", text)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        return f"{text.strip()} is older than {OLDEST[0]}.{OLDEST[1]}"
    return None


class NoAnswer(LaunchError):
    """The tmux server is there and does not answer."""


class TmuxLauncher:
    """Starts each process in a pane.

    Args:
        server_name: the name of the server's socket (`tmux -L NAME`).
        session: the name of the session.
    """

    def __init__(self, server_name: str, session: str):
        self.command = ("tmux", "-L", server_name)
        self.socket = _socket_folder() / server_name
        self._session_name = session
        self.marker = f"{PANES_MARKER}={server_name}"
        _speak_utf8()
        self._server = Server(socket_name=server_name, config_file=str(CONFIGURATION))
        self._panes: dict[str, str] = {}  # each process's pane
        self._outputs: dict[str, Path] = {}
        self._ended: dict[str, Exit] = {}
        self._unclear: set[str] = set()
        self._groups: dict[str, int] = {}
        self._windows = 0  # of parties, so far
        self._forks: Forks | None = None

    def open(
        self, forks: Forks, views: Sequence[LogView], environment: Mapping[str, str], dashboard: Sequence[str] = ()
    ) -> tuple[int, ...]:
        """Make window 0 with a pane for each view in its order, and window 1 with the dashboard."""
        self._forks = forks
        forks.open(environment)
        prefix = _with_environment(environment)
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        logs = self._window("new-session", "-d", "-s", self._session_name, "-n", "logs", *size)
        for pane, view in zip(self._fill(logs, len(views)), views, strict=True):
            folder, names = _followed(view.logs)
            self._run_in(pane, view.title, (*prefix, "tail", "-n", "+1", "-F", "--", *names), folder)
        if dashboard:
            self._run_in(self._new_window("dashboard"), "dashboard", (*prefix, *dashboard))
        self._select_logs()
        return tuple(self._pids().values())

    def start(self, specs: Sequence[ProcessSpec]) -> Mapping[str, int]:
        """Start each process in a pane of one of the windows after the first two."""
        forks = self._forks
        if forks is None:
            raise RuntimeError("expected a launcher that was opened")
        waiting = iter(specs)
        while group := list(islice(waiting, PANES_A_WINDOW)):
            self._windows += 1
            window = self._new_window(f"parties-{self._windows}")
            for pane, spec in zip(self._fill(window, len(group)), group, strict=True):
                self._panes[spec.name] = pane
                self._outputs[spec.name] = spec.output
                variables = _with_environment(forks.environment(spec))
                self._run_in(pane, spec.name, (*variables, *forks.pane_command(spec)))
        self._select_logs()
        pids = self._pids()
        started = {spec.name: pids.get(self._panes[spec.name]) for spec in specs}
        self._groups |= {name: pid for name, pid in started.items() if pid is not None}  # a pane may be closed already
        return {name: pid for name, pid in started.items() if pid is not None}

    def ask_to_end(self, name: str) -> None:
        if name not in self.ended() and name in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._groups[name], signal.SIGTERM)

    def _pids(self) -> dict[str, int]:
        """Return the process in each pane by the pane's id."""
        form = "#{pane_id} #{pane_pid}"
        lines = self._tmux("list-panes", "-s", "-F", form, "-t", self._session_name)
        return {pane: int(pid) for pane, pid in map(str.split, lines)}

    def _select_logs(self) -> None:
        """Show the window of logs to a person who attaches."""
        self._tmux("select-pane", "-t", f"{self._session_name}:0.0")

    def ended(self) -> Mapping[str, Exit]:
        try:
            lines = self._tmux("list-panes", "-s", "-F", _STATE, "-t", self._session_name)
        except NoAnswer:
            raise
        except LaunchError as error:  # no party is to blame, although their terminals went with it
            raise LaunchError("the run's tmux server has ended") from error
        states = {row[0]: row[1:] for row in (line.split("|") for line in lines)}
        for name, pane in self._panes.items():
            if name not in self._ended:
                found = self._exit(name, states.get(pane))
                if found is not None:
                    self._ended[name] = found
        return self._ended

    def _exit(self, name: str, state: list[str] | None) -> Exit | None:
        """Return how a pane's process ended, or None while it runs. `state` is None when the pane was closed."""
        if state is None:
            return Exit()
        dead, status, number = state
        if dead != "1":
            return None
        if number:
            return Exit(signal=int(number) if number.isdigit() else signal.Signals[f"SIG{number}"].value)
        if status:
            return Exit(code=int(status))
        if name in self._unclear:
            return Exit()
        # Before 3.5 tmux may see the pane close before it has taken the exit status. A job's end makes it look again.
        self._unclear.add(name)
        self._tmux("run-shell", "-b", "true")
        return None

    def bring_back(self, name: str | None = None) -> None:
        """Do nothing, because everything is on this machine."""

    def keep_output(self, name: str) -> None:
        try:
            lines = self._tmux("capture-pane", "-p", "-J", "-S", "-", "-t", self._panes[name])  # wrapped lines as one
        except (LaunchError, KeyError):  # the pane is gone, and what it showed with it
            return
        text = "\n".join(line.rstrip() for line in lines if not line.startswith("Pane is dead")).strip()
        if text:
            with contextlib.suppress(OSError):  # a full disk
                self._outputs[name].write_text(f"{text}\n", encoding="utf-8")

    def close(self) -> None:
        """Release the fork server. The teardown has ended the tmux server, and with it the panes."""
        if self._forks is not None:
            self._forks.close()

    def attach(self) -> subprocess.Popen[bytes]:
        """Show the session in this terminal, also from within another tmux."""
        environment = {name: value for name, value in os.environ.items() if name not in ("TMUX", "TMUX_PANE")}
        return subprocess.Popen([*self.command, "attach", "-t", self._session_name], env=environment)

    def _new_window(self, name: str) -> str:
        return self._window("new-window", "-d", "-t", f"{self._session_name}:", "-n", name)

    def _window(self, *command: str) -> str:
        """Make a window with a waiting pane and return that pane."""
        return self._tmux(*command, "-P", "-F", "#{pane_id}", "-c", "/", *_WAITING)[0]

    def _fill(self, pane: str, count: int) -> list[str]:
        """Return `count` waiting panes in the window of `pane`, tiled, in reading order."""
        for _ in range(count - 1):
            self._tmux("split-window", "-d", "-t", pane, "-c", "/", *_WAITING)
            self._tmux("select-layout", "-t", pane, "tiled")  # each time, or the next split finds no room
        return self._tmux("list-panes", "-t", pane, "-F", "#{pane_id}")

    def _run_in(self, pane: str, title: str, arguments: Sequence[str], folder: str = "/") -> None:
        self._tmux("select-pane", "-t", pane, "-T", _literal(title))
        self._tmux("respawn-pane", "-k", "-t", pane, "-c", _literal(folder), *arguments)

    def _tmux(self, *arguments: str) -> list[str]:
        """Give the run's server a command and return the lines of its answer.

        Raises `NoAnswer` when none comes in time, and otherwise `LaunchError`.
        """
        answers: queue.Queue[tmux_cmd | Exception] = queue.Queue()

        def ask() -> None:
            try:
                answers.put(self._server.cmd(*map(_one_argument, arguments)))
            except (LibTmuxException, OSError, UnicodeError) as error:
                answers.put(error)

        variable, _, value = self.marker.partition("=")
        os.environ[variable] = value  # the first command starts the server, which keeps it
        try:
            # In a thread, because libtmux waits for an answer without end.
            threading.Thread(target=ask, daemon=True).start()
            answer = answers.get(timeout=ANSWER_S)
        except queue.Empty as error:
            raise NoAnswer(f"tmux did not answer within {ANSWER_S:g} s") from error
        finally:
            os.environ.pop(variable, None)
        if isinstance(answer, Exception):
            raise LaunchError(f"tmux could not make the panes ({answer})") from answer
        if answer.stderr:
            raise LaunchError(f"tmux could not make the panes ({' '.join(answer.stderr)})")
        return list(answer.stdout)


def _one_argument(argument: str) -> str:
    """Return what tmux reads as this argument. It takes a semicolon at the end of one for the end of the command."""
    return f"{argument[:-1]}\\;" if argument.endswith(";") else argument


def _literal(text: str) -> str:
    """Return what tmux shows as this text where it expands `#{...}`."""
    return text.replace("#", "##")


def _followed(logs: Sequence[Path]) -> tuple[str, list[str]]:
    """Return the folder to follow logs from, and what to call them there, which is their short names if possible.

    tmux prints the current folder of every pane on a line of its own, which a line break would end.
    """
    folder = str(logs[0].parent)
    return (folder, [log.name for log in logs]) if folder.isprintable() else ("/", list(map(str, logs)))


def _with_environment(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command that runs another one with these variables and no others."""
    variables = [f"{name}={value}" for name, value in {**environment, "TERM": "screen-256color"}.items()]
    return ("env", "-i", *variables)


def _speak_utf8() -> None:
    """Put a UTF-8 locale into this process's environment if it has none.

    tmux replaces all that is not ASCII, libtmux's separator included, for a client whose locale is not UTF-8. The
    environment is the only way to tell it. Parties have an environment of their own.
    """
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or ""
    if not re.search("utf-?8", locale, re.IGNORECASE):
        os.environ["LC_ALL"] = "C.UTF-8"


def _socket_folder() -> Path:
    """Return where tmux puts the sockets of `-L` (tmux(1), ENVIRONMENT)."""
    chosen = Path(os.environ.get("TMUX_TMPDIR") or "/tmp")  # noqa: S108  (tmux's own choice)
    base = chosen if chosen.is_dir() else Path("/tmp")  # noqa: S108
    return base.resolve() / f"tmux-{os.geteuid()}"
