"""End every process of a run and remove its keys.

The orchestrator calls `end_run` itself. In case it is killed before it can, it also starts this file as a guard. The
guard is a small process outside the orchestrator's session. It reads from a pipe what there is to end, and ends it when
the pipe closes before the orchestrator has reported that all is done. It needs only the standard library, so that it
starts at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

GRACE_S = 3.0  # between asking a process to end and ending it
HAS_PROC = Path("/proc/self/environ").exists()


@dataclass(frozen=True)
class Remains:
    """All that a run leaves behind if it is not ended.

    Attributes:
        marker: its processes carry this in their environment.
        groups: the process groups, needed only where there is no /proc to find the marker in.
        tmux: the command that reaches the run's own tmux server.
        panes: that server, and what waits in its panes, carry this in their environment.
        socket: that server's socket.
        private: folders whose subfolders hold keys.
    """

    marker: str
    groups: tuple[int, ...] = ()
    tmux: tuple[str, ...] = ()
    panes: str = ""
    socket: str = ""
    private: tuple[str, ...] = ()


def end_run(remains: Remains) -> None:
    """End the processes, then the tmux server and its socket, then the private folders. Safe to repeat."""
    end_processes(remains)
    if remains.tmux:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([*remains.tmux, "kill-server"], capture_output=True, timeout=GRACE_S, check=False)
        end_processes(replace(remains, marker=remains.panes))  # a stopped server does not heed the command
        Path(remains.socket).unlink(missing_ok=True)
    for folder in map(Path, remains.private):
        _empty(folder)


def end_processes(remains: Remains) -> None:
    """Ask the processes to end, wait, and kill those that are left. Safe to repeat."""
    _signal_all(remains, signal.SIGTERM)
    if not _wait(lambda: not running(remains), GRACE_S):
        _signal_all(remains, signal.SIGKILL)
        _wait(lambda: not running(remains), GRACE_S)


def _empty(folder: Path) -> None:
    """Remove the folders in `folder`, and `folder` itself when no file is left in it."""
    if not folder.is_dir():
        return
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child, ignore_errors=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def running(remains: Remains) -> list[int]:
    """Return the living processes, or the groups without /proc. A zombie has no environment and does not count."""
    if not HAS_PROC:
        return [group for group in remains.groups if _group_exists(group)]
    marker = remains.marker.encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            # another user's process, or one that has just ended
            with contextlib.suppress(OSError):
                if marker in Path(entry.path, "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it exists and has changed hands, so it is not the run's any more
        return False
    return True


def _signal_all(remains: Remains, number: signal.Signals) -> None:
    send = os.kill if HAS_PROC else os.killpg
    for target in running(remains):
        with contextlib.suppress(ProcessLookupError):
            send(target, number)


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    expires = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > expires:
            return False
        time.sleep(0.02)
    return True


class Guard:
    """The orchestrator's end of the pipe. The guard will end what it was told last.

    Args:
        apart: whether the guard is no child of this process, where something ends this process with its children.
    """

    def __init__(self, remains: Remains, *, apart: bool = False):
        self.remains = remains
        reading, self._pipe = os.pipe()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                __file__,
                remains.marker,
                *(["apart"] if apart else []),
            ],  # the marker, for `ps`
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a signal to the orchestrator's group does not reach it
            cwd="/",
        )
        os.close(reading)
        self._tell(asdict(remains))

    def add_groups(self, groups: tuple[int, ...]) -> None:
        self.remains = replace(self.remains, groups=self.remains.groups + groups)
        self._tell(asdict(self.remains))

    def end_run(self) -> None:
        """End the run here and now, then dismiss the guard."""
        end_run(self.remains)
        self._tell(None)
        os.close(self._pipe)
        self._process.wait()

    def _tell(self, value: dict[str, object] | None) -> None:
        with contextlib.suppress(BrokenPipeError):  # the guard was killed, and the orchestrator still does its part
            os.write(self._pipe, json.dumps(value).encode() + b"\n")


def _stand_guard() -> None:
    if sys.argv[2:] and os.fork():
        os._exit(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    told: dict[str, object] | None = None
    for line in sys.stdin:
        told = json.loads(line)
    if told is not None:
        end_run(Remains(**told))  # type: ignore[arg-type]  # written by `Guard` a moment ago


if __name__ == "__main__":
    _stand_guard()
