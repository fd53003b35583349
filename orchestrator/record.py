"""What is known of a run besides its events: `logs/<run>/run.json`, written when it starts and again when it ends.

Enough to look at the run while it lasts and to write its report at any time after.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.errors import Interrupted, RunFailed
from orchestrator.events import Event, EventFile
from parties.frame.errors import ConfigError
from parties.frame.plan import Pane, Plan, RunFolders
from parties.frame.private_files import write_private

NAME = "run.json"


class Failed(msgspec.Struct, frozen=True):
    """How the run failed, and the file to read on."""

    reason: str
    party: str | None = None
    step: str | None = None
    log: str | None = None


class Record(msgspec.Struct, frozen=True):
    """`outcome` is running, finished, failed or interrupted; `supervisor` is the process that it cannot outlive."""

    run: str
    protocol: str
    started: float
    supervisor: int
    panes: tuple[Pane, ...]
    reporters: tuple[str, ...]
    configuration: dict[str, Any]
    steps: dict[str, str] = {}  # what happens in each, where the protocol says so
    outcome: str = "running"
    ended: float | None = None
    failed: Failed | None = None

    @property
    def parties(self) -> tuple[str, ...]:
        return tuple(name for pane in self.panes for name in pane.processes)

    @property
    def over(self) -> bool:
        """Whether the run has ended, or its supervisor has without a word."""
        return self.outcome != "running" or not _exists(self.supervisor)

    def closed(self, when: float, error: BaseException | None) -> Record:
        """The record of the ended run."""
        outcome, failed = "finished", None
        if isinstance(error, Interrupted):
            outcome, failed = "interrupted", Failed(str(error))
        elif isinstance(error, RunFailed):
            outcome = "failed"
            failed = Failed(error.reason, error.party, error.step, str(error.log) if error.log else None)
        elif error is not None:
            outcome, failed = "failed", Failed(type(error).__name__)
        return msgspec.structs.replace(self, outcome=outcome, ended=when, failed=failed)

    def write(self, folders: RunFolders) -> None:
        content = msgspec.json.format(msgspec.json.encode(self), indent=1)
        write_private(folders.logs / folders.run / NAME, content + b"\n")


def begun(folders: RunFolders, protocol: str, started: float, plan: Plan, configuration: dict[str, Any]) -> Record:
    """The record of a run that this process starts."""
    reporters = (plan.reporter, *plan.more_reporters)
    return Record(folders.run, protocol, started, os.getpid(), plan.panes, reporters, configuration, dict(plan.steps))


def read(folders: RunFolders) -> Record:
    """The record of a run that was started. Raises `ConfigError`."""
    path = folders.logs / folders.run / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError as error:
        raise ConfigError(_unknown(folders)) from error
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: expected the record of a run, found what cannot be read ({error}).") from error


def latest(logs: Path) -> str:
    """The run that was started last. Raises `ConfigError`."""
    records = sorted(logs.glob(f"*/{NAME}"), key=lambda path: path.stat().st_mtime)
    if not records:
        raise ConfigError(f"run: expected the name of a run in {logs}, which has none.")
    return records[-1].parent.name


def event_files(folders: RunFolders, parties: tuple[str, ...]) -> dict[str, EventFile]:
    """Every party's events, wherever they lie now: in its private folder, or after the run beside its log."""
    private, kept = folders.files / folders.run, folders.logs / folders.run
    return {
        name: EventFile(private / name / "events.jsonl", moved_to=kept / f"{name}.events.jsonl") for name in parties
    }


def read_events(folders: RunFolders, parties: tuple[str, ...]) -> list[tuple[str, Event]]:
    """All events so far with the names of their parties, in the order in which they happened."""
    files = event_files(folders, parties)
    events = [(name, event) for name, file in files.items() for event in file.read_new()]
    return sorted(events, key=lambda pair: pair[1].t)


def _unknown(folders: RunFolders) -> str:
    try:
        return f"run: expected the name of a run, such as {latest(folders.logs)}, found {folders.run!r}."
    except ConfigError as error:
        return str(error)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is there, and somebody else's
        return True
    return True
