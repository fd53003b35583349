"""What a service keeps on the disk: its locks, whether it runs, and a journal of its sessions."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from parties.frame.errors import ConfigError
from parties.frame.plan import RunFolders
from parties.frame.private_files import make_private_folder, write_private
from parties.frame.turnstile import Lock

MOST_LINES = 5000  # of the journal, which is halved beyond

OPENED = "ask"
"""How the runs of sessions begin that a member opened."""

_WAIT_S = 0.1


class Running(msgspec.Struct, frozen=True):
    """What a service that runs says of itself.

    Attributes:
        address: where it listens.
        served, failed: sessions since it was started, and those of them that failed.
        in_vain: processes in a row that ended before any session.
        now: the sessions that go on or wait for their turn.
        ends_within_s: how long its processes may take to end after they were told to.
    """

    pid: int
    address: str
    served: int = 0
    failed: int = 0
    in_vain: int = 0
    now: tuple[str, ...] = ()
    ends_within_s: float = 0.0


class SessionEnded(msgspec.Struct, frozen=True):
    """One line of the journal of sessions.

    Attributes:
        session, peer: its name, and the party that opened it.
        began, ended: seconds since 1970.
        outcome: finished or failed, with its `reason`.
        log: the name of the folder with the logs.
    """

    session: str
    peer: str
    began: float
    ended: float
    outcome: str
    reason: str
    log: str

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"session {self.session} {self.outcome} after {self.ended - self.began:.1f} s{why}"


@dataclass(frozen=True)
class ServiceFolder:
    """The files of the service for one role in a member's folder."""

    member: Path
    role: str

    @property
    def _services(self) -> Path:
        return make_private_folder(self.member / "services")

    @property
    def lock(self) -> Path:
        """The lock that a service holds while it runs."""
        return self._services / f"{self.role}.lock"

    @property
    def door(self) -> Path:
        return self._services / f"{self.role}.door"

    @property
    def turn(self) -> Path:
        return self._services / f"{self.role}.turn"

    @property
    def logs(self) -> Path:
        return make_private_folder(self.member / "logs")

    @property
    def log(self) -> Path:
        """The log of the supervisor."""
        return self.logs / f"{self.role}.log"

    @property
    def journal(self) -> Path:
        """The sessions that have ended, one JSON object a line."""
        return self.logs / f"{self.role}.sessions.jsonl"

    @property
    def _running(self) -> Path:
        return self._services / f"{self.role}.json"

    def session(self, name: str) -> RunFolders:
        """Return the folders of one process, which has a name of its own."""
        return RunFolders(self.member, self.logs, f"sessions/{name}")

    def clear(self) -> None:
        """Remove the private folders of processes whose supervisor was killed. They ended with it."""
        for path in (self.member / "sessions").glob(f"{self.role}-*"):
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the service's lock. Raises `ConfigError` where a service has it."""
        lock = Lock(self.lock)
        if not lock.try_to_take():
            running = self.running()
            raise ConfigError(
                f"serve: expected no service for {self.role} in {self.member}, found one that runs"
                + (f" (process {running.pid})." if running else ".")
            )
        try:
            yield
        finally:
            lock.give_back()

    # -- whether it runs ----------------------------------------------------------------------------------------------

    def running(self) -> Running | None:
        """Return what the service says of itself, or None where none runs. A file that was left behind is no sign."""
        lock = Lock(self.lock)
        if lock.try_to_take():
            lock.give_back()
            return None
        try:
            return msgspec.json.decode(self._running.read_bytes(), type=Running)
        except (OSError, msgspec.DecodeError):  # it is starting
            return None

    def wait_until_ended(self, within_s: float) -> bool:
        """Return whether the service has ended within so many seconds."""
        expires, lock = time.monotonic() + within_s, Lock(self.lock)
        while not lock.try_to_take():
            if time.monotonic() > expires:
                return False
            time.sleep(_WAIT_S)
        lock.give_back()
        return True

    def write_running(self, running: Running) -> None:
        write_private(self._running, msgspec.json.encode(running) + b"\n")

    def give_sign(self) -> None:
        """Give a sign of life, which is the time of the file that says that it runs."""
        with contextlib.suppress(OSError):  # a full disk is no reason to end, and the sign is missed
            os.utime(self._running)

    def silent_for(self) -> float:
        """Return for how many seconds a service has given no sign of life, or infinity where it never did."""
        try:
            return max(0.0, time.time() - self._running.stat().st_mtime)
        except FileNotFoundError:
            return math.inf

    def forget_running(self) -> None:
        self._running.unlink(missing_ok=True)

    # -- what has been ------------------------------------------------------------------------------------------------

    def append(self, ended: SessionEnded) -> None:
        """Add a line to the journal of sessions. The older half of a long journal goes."""
        lines = [msgspec.json.encode(one) for one in self.ended()] if self.journal.exists() else []
        kept = lines[-MOST_LINES // 2 :] if len(lines) >= MOST_LINES else lines
        if len(kept) < len(lines):
            write_private(self.journal, b"".join(line + b"\n" for line in kept))
        with self.journal.open("ab") as file:
            file.write(msgspec.json.encode(ended) + b"\n")

    def ended(self) -> list[SessionEnded]:
        """Return the sessions that have ended, the oldest first. A line that was cut off is left out."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for line in self.journal.read_bytes().splitlines():
                with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
                    found.append(msgspec.json.decode(line, type=SessionEnded))
        return found

    def prune(self, keep: int) -> int:
        """Remove the logs of all but the newest `keep` sessions, and return how many. Accounts are not touched."""
        return _remove_old(_by_age(self.logs / "sessions", f"{self.role}-*"), keep, self.member / "sessions")


def opened(logs: Path) -> list[Path]:
    """Return the folders with the logs of the sessions that a member opened, the oldest first."""
    return _by_age(logs, f"{OPENED}-*")


def prune_opened(logs: Path, keep: int) -> int:
    """Remove the logs of all but the newest `keep` sessions that a member opened, and return how many."""
    return _remove_old(opened(logs), keep, logs.parent)


def _by_age(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)


def _remove_old(folders: list[Path], keep: int, private: Path) -> int:
    """Remove old folders of logs, but none of a session that goes on, which has a party's folder in a private one."""
    old = [path for path in folders[: max(0, len(folders) - keep)] if not any((private / path.name).glob("*/"))]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)
