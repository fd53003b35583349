"""What a protocol tells its launcher: its processes, what each may know, and how a result is shown.

The launcher reads only this file. No word of a particular protocol stands here, so that another protocol is
one more class in `parties/protocols.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from parties.frame.charts import Headline, Section
from parties.frame.private_files import make_private_folder, write_private


@dataclass(frozen=True)
class RunFolders:
    """Where one run keeps its files: `files/<run>/<party>/` and `logs/<run>/`; and what outlives it.

    That is `files/cache/<party>/` (may be deleted at any time) and `files/durable/<party>/` (may not). Parties'
    folders have mode 0700. `files` and `logs` are the two top folders; no run may be called `cache` or `durable`.
    """

    files: Path
    logs: Path
    run: str

    def party(self, name: str) -> Path:
        """The party's private folder, made if absent: settings, keys, data, events, status, result."""
        return make_private_folder(self.files / self.run / name)

    def cache(self, name: str) -> Path:
        """The party's private folder for what it could make again."""
        return make_private_folder(self.files / "cache" / name)

    def durable(self, name: str) -> Path:
        """The party's private folder for what must never be lost (accounts)."""
        return make_private_folder(self.files / "durable" / name)

    def log(self, name: str) -> Path:
        """The file that the party writes its log to and a pane may follow."""
        folder = self.logs / self.run
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.log"

    def settings(self, name: str) -> Path:
        return self.party(name) / "settings.json"

    def events(self, name: str) -> Path:
        return self.party(name) / "events.jsonl"

    def status(self, name: str) -> Path:
        return self.party(name) / "status.json"

    def result(self, name: str) -> Path:
        return self.party(name) / "result.json"


@dataclass(frozen=True)
class Run:
    """The launcher's side of a run: everything a protocol needs to know about where and how it is started.

    `session` is fresh for every run and part of every hello. Ports from `start_port` up are the protocol's.
    A party ends itself once process `supervisor_pid` is gone. Each party finds `certificate.pem`, `key.pem`
    and `ca.pem` in its private folder; the launcher makes them after it has read the plan's names.
    """

    folders: RunFolders
    session: str
    start_port: int
    host: str = "127.0.0.1"
    supervisor_pid: int | None = None


@dataclass(frozen=True)
class Process:
    """One party's process: `python -m module --settings PATH`.

    `name` is its certificate's name, its folder's and its log's. `listens` is the port it binds, None when it
    only connects. Processes with the same `pane` share one.
    """

    name: str
    module: str
    settings: BaseModel
    pane: str
    listens: int | None = None


@dataclass(frozen=True)
class Pane:
    title: str
    processes: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """All processes of a run; `reporter` is the party whose `result.json` is the run's result.

    With `more_reporters` the result is `{"reports": [...]}`, the reporter's first. `steps` says in a few words what
    happens in each step, for who has not read the protocol.
    """

    processes: tuple[Process, ...]
    reporter: str
    deadline_s: float
    more_reporters: tuple[str, ...] = ()
    steps: Mapping[str, str] = field(default_factory=dict)

    @property
    def panes(self) -> tuple[Pane, ...]:
        """The panes in the order in which the processes name them."""
        grouped: dict[str, list[str]] = {}
        for process in self.processes:
            grouped.setdefault(process.pane, []).append(process.name)
        return tuple(Pane(title, tuple(names)) for title, names in grouped.items())


@dataclass(frozen=True)
class Summary:
    """What a person sees at the end: pairs of a name and a value, and warnings in plain words.

    In a report the headlines stand on top and the sections follow; without headlines the lines do.
    """

    lines: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = ()
    headlines: tuple[Headline, ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True)
class View:
    """Something to look at between runs. `show` gets the configuration and the folder of all runs' files."""

    help: str
    show: Callable[[Any, Path], Summary]


class RunnableProtocol(Protocol):
    """A protocol that the launcher can run.

    `Config` is frozen and refuses unknown keys; a field whose `json_schema_extra` has `flag` true is also a
    command-line flag of the same name, with its `description` and `unit` as help.
    """

    @property
    def name(self) -> str: ...

    @property
    def Config(self) -> type[BaseModel]: ...

    def plan(self, config: Any, run: Run) -> Plan:
        """The processes of a run. Writes each party's private data, nothing else. Raises `ConfigError`."""
        ...

    def summary(self, result: Mapping[str, Any]) -> Summary:
        """What to show of the reporter's result."""
        ...

    @property
    def views(self) -> Mapping[str, View]:
        """What can be looked at without a run, by the name of its flag (`--budget`)."""
        ...


def write_settings(process: Process, folders: RunFolders) -> Path:
    """Write one party's settings, readable by its owner alone, and return the path for `--settings`."""
    path = folders.settings(process.name)
    write_private(path, process.settings.model_dump_json(indent=2).encode() + b"\n")
    return path
