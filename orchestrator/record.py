"""The record of a run, `logs/<run>/run.json`.

It is written when the run starts, when a party is lost, and when the run ends. With the parties' events it is enough to
look at the run while it lasts, and to write its report at any time after.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.errors import Interrupted, RunFailed
from orchestrator.events import Event, EventFile
from orchestrator.losses import Loss
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
    """What is known of a run.

    Attributes:
        supervisor: the run ends when this process exits.
        steps: what happens in each, where the protocol says so.
        outcome: running, finished, failed or interrupted.
        lost: the parties that the run went on without.
    """

    run: str
    protocol: str
    started: float
    supervisor: int
    panes: tuple[Pane, ...]
    reporters: tuple[str, ...]
    configuration: dict[str, Any]
    steps: dict[str, str] = {}
    outcome: str = "running"
    ended: float | None = None
    failed: Failed | None = None
    lost: tuple[Loss, ...] = ()

    @property
    def parties(self) -> tuple[str, ...]:
        return tuple(name for pane in self.panes for name in pane.processes)

    @property
    def over(self) -> bool:
        """Whether the run has ended, or its supervisor is gone."""
        return self.outcome != "running" or not _exists(self.supervisor)

    def closed(self, when: float, error: BaseException | None) -> Record:
        """Return the record of the ended run."""
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


class Recorder:
    """Keeps the record of a run that this process starts."""

    def __init__(
        self, folders: RunFolders, protocol: str, started: float, plan: Plan, configuration: dict[str, Any]
    ) -> None:
        self._folders = folders
        self.record = Record(
            folders.run, protocol, started, os.getpid(), plan.panes, plan.reporters, configuration, dict(plan.steps)
        )
        self.record.write(folders)

    def add_loss(self, loss: Loss) -> None:
        """Write down that the run goes on without a party."""
        self.record = msgspec.structs.replace(self.record, lost=(*self.record.lost, loss))
        with contextlib.suppress(OSError):  # the run goes on, and writes it again at its end
            self.record.write(self._folders)

    @contextmanager
    def until_end(self) -> Iterator[None]:
        """Within this the run goes on. On the way out, write down how it ended."""
        ended_by: BaseException | None = None
        try:
            yield
        except BaseException as error:
            ended_by = error
            raise
        finally:
            self.record = self.record.closed(time.time(), ended_by)
            # What ended the run is the news, and not that it cannot be written down as well.
            with contextlib.suppress(*([OSError] if ended_by else [])):
                self.record.write(self._folders)


def read(folders: RunFolders) -> Record:
    """Return the record of a run that was started. Raises `ConfigError`."""
    path = folders.logs / folders.run / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError as error:
        raise ConfigError(_unknown(folders)) from error
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: expected the record of a run, found what cannot be read ({error}).") from error


def latest(logs: Path) -> str:
    """Return the name of the run that was started last. Raises `ConfigError`."""
    records = sorted(logs.glob(f"*/{NAME}"), key=lambda path: path.stat().st_mtime)
    if not records:
        raise ConfigError(f"run: expected the name of a run in {logs}, which has none.")
    return records[-1].parent.name


def event_files(folders: RunFolders, parties: tuple[str, ...]) -> dict[str, EventFile]:
    """Return every party's event file, which lies in its private folder and after the run beside its log."""
    private, kept = folders.files / folders.run, folders.logs / folders.run
    return {
        name: EventFile(private / name / "events.jsonl", moved_to=kept / f"{name}.events.jsonl") for name in parties
    }


def read_events(folders: RunFolders, parties: tuple[str, ...]) -> list[tuple[str, Event]]:
    """Return all events so far with the names of their parties, in the order in which they happened."""
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
    except PermissionError:  # it exists and belongs to another user
        return True
    return True
