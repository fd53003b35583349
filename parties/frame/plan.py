"""What a protocol tells its launcher.

A protocol names its processes, says what each of them may know, and shows a result. Besides this file the launcher
reads only the errors, the charts and the private files of this folder. It holds no word of a particular protocol, so
another protocol is one more name in `parties/protocols.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol, TypeGuard

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo

from parties.frame.charts import Headline, Measure, Section
from parties.frame.lifetime import process_started
from parties.frame.members import Federation
from parties.frame.private_files import make_private_folder, write_private
from parties.frame.settings import Peer, Supervisor

__all__ = [
    "FLAGS",
    "FOLDER",
    "Command",
    "FederatedProtocol",
    "NoOptions",
    "Pane",
    "PathInFile",
    "Plan",
    "Process",
    "Reach",
    "Role",
    "Run",
    "RunFolders",
    "RunnableProtocol",
    "Summary",
    "Tolerance",
    "Trials",
    "folder_of_file",
    "is_federated",
    "write_settings",
]


FOLDER = "folder"
"""The key of the configuration file's folder in the context with which a protocol's `Config` is validated."""


FLAGS = "flags"
"""The key, there, of the names that flags have given a value, which stands in no file."""


def folder_of_file(info: ValidationInfo) -> Path | None:
    """Return the folder that a path in a configuration is relative to, or None for the current one."""
    context = info.context or {}
    folder = None if info.field_name in context.get(FLAGS, ()) else context.get(FOLDER)
    return None if folder is None else Path(folder)


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder = folder_of_file(info)
    return path if folder is None else folder / path


PathInFile = AfterValidator(_beside_the_file)
"""Marks a path of a configuration that is relative to the configuration's file, wherever the run is started."""


@dataclass(frozen=True)
class RunFolders:
    """Where one run keeps its files, and where parties keep what outlives a run.

    A run has `files/<run>/<party>/` and `logs/<run>/`. Two folders outlive it: `files/cache/<party>/` may be deleted at
    any time, `files/durable/<party>/` may not. Parties' folders have mode 0700. `files` and `logs` are the two top
    folders. No run may be called `cache` or `durable`.
    """

    files: Path
    logs: Path
    run: str

    def party(self, name: str) -> Path:
        """Return the party's private folder (settings, keys, data, events, status, result), made if absent."""
        return make_private_folder(self.files / self.run / name)

    def cache(self, name: str) -> Path:
        """Return the party's private folder for what it could make again."""
        return make_private_folder(self.files / "cache" / name)

    def durable(self, name: str) -> Path:
        """Return the party's private folder for what must never be lost (accounts)."""
        return make_private_folder(self.files / "durable" / name)

    def log(self, name: str) -> Path:
        """Return the file that the party writes its log to and a pane may follow."""
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
    """The launcher's side of a run. It says where and how the protocol is started.

    `session` is fresh for every run and part of every hello. Ports from `start_port` up are the protocol's.
    A party exits when process `supervisor_pid` is gone. Each party finds `certificate.pem`, `key.pem` and `ca.pem` in
    its private folder. The launcher makes them after it has read the plan's names.

    A run on this machine may stand for a `federation`. Its members are then the parties, and their addresses are left
    aside. With `fresh` a member gives up what an earlier session of its own has left unfinished.
    """

    folders: RunFolders
    session: str
    start_port: int
    host: str = "127.0.0.1"
    supervisor_pid: int | None = None
    federation: Federation | None = None
    fresh: bool = False

    def common_settings(self, party: str) -> dict[str, Any]:
        """Return those of a party's `PartySettings` that only the launcher knows."""
        pid = self.supervisor_pid
        return {
            "name": party,
            "session": self.session,
            "log": self.folders.log(party).resolve(),
            "supervisor": None if pid is None else Supervisor(pid=pid, started=process_started(pid)),
        }


@dataclass(frozen=True)
class Process:
    """One party's process, which is `python -m module --settings PATH`, isolated as `parties.frame.start` says.

    Attributes:
        name: its certificate's name, its folder's and its log's.
        pane: processes with the same pane share one.
        listens: the port that it binds, or None for a process that only connects.
        serves: whether it is a service. A service has no end of its own. Once all other processes have ended well, it
            is asked to end (SIGTERM), see `parties.frame.lifetime.serving`. A service that ends earlier has failed.
        memory_bytes: what it holds at most beside what it has in common with other processes, as far as is known.
    """

    name: str
    module: str
    settings: BaseModel
    pane: str
    listens: int | None = None
    serves: bool = False
    memory_bytes: int = 0


@dataclass(frozen=True)
class Tolerance:
    """A group of parties of which at most `losses` may fail or be killed, and the run goes on.

    The other parties must be able to go on without them. The launcher ends a lost party's process and its report names
    the party. Losing one more fails the run.
    """

    group: tuple[str, ...]
    losses: int

    def __post_init__(self) -> None:
        if not 0 <= self.losses <= len(self.group):
            raise ValueError(f"expected 0 to {len(self.group)} losses, found {self.losses}")


@dataclass(frozen=True)
class Pane:
    title: str
    processes: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """All processes of a run.

    Attributes:
        reporter: the party whose `result.json` is the run's result.
        deadline_s: how long the run may take.
        more_reporters: with these the result is `{"reports": [...]}`, the reporter's first.
        steps: says in a few words what happens in each step, for readers who do not know the protocol.
        ready_first: parties that must be listening before the launcher starts the others.
        tolerates: groups of parties of which some may be lost. No reporter may be among them.
        grace_s: how long a service may take to end after it was asked to.
        notes: sentences for the person who starts the run, shown before it starts and kept with its result.
        delivered: is called when the run has ended well and its result is where it remains, if it is given.
        memory_bytes: what the run holds at most beside its parties, such as programs that parties start in turn.
    """

    processes: tuple[Process, ...]
    reporter: str
    deadline_s: float
    more_reporters: tuple[str, ...] = ()
    steps: Mapping[str, str] = field(default_factory=dict)
    ready_first: tuple[str, ...] = ()
    tolerates: tuple[Tolerance, ...] = ()
    grace_s: float = 10.0
    notes: tuple[str, ...] = ()
    delivered: Callable[[], None] | None = None
    memory_bytes: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for a plan that contradicts itself, which is a bug of the protocol."""
        names = {process.name for process in self.processes}
        tolerated = [name for tolerance in self.tolerates for name in tolerance.group]
        if unknown := sorted({*self.reporters, *self.ready_first, *tolerated} - names):
            raise ValueError(f"expected names of processes, found {', '.join(unknown)}")
        if len(set(tolerated)) != len(tolerated):
            raise ValueError("expected each party in at most one group that may lose parties")
        if set(tolerated) & set(self.reporters):
            raise ValueError("expected no reporter among the parties that may be lost")
        if all(process.serves for process in self.processes):
            raise ValueError("expected a process that ends by itself, found only services")

    @property
    def reporters(self) -> tuple[str, ...]:
        """All parties whose results make up the run's."""
        return (self.reporter, *self.more_reporters)

    @property
    def services(self) -> tuple[str, ...]:
        """The processes without an end of their own."""
        return tuple(process.name for process in self.processes if process.serves)

    @property
    def panes(self) -> tuple[Pane, ...]:
        """The panes in the order in which the processes name them."""
        grouped: dict[str, list[str]] = {}
        for process in self.processes:
            grouped.setdefault(process.pane, []).append(process.name)
        return tuple(Pane(title, tuple(names)) for title, names in grouped.items())

    def tolerance_of(self, party: str) -> Tolerance | None:
        """Return the party's group if that group may lose parties, or None."""
        return next((tolerance for tolerance in self.tolerates if party in tolerance.group), None)


@dataclass(frozen=True)
class Summary:
    """What a person sees at the end. It has pairs of a name and a value, and warnings in plain words.

    In a report the lead, one sentence, stands on top, and headlines and sections follow. Without headlines the lines
    stand there. A terminal shows the lead before the lines. A program gets the document instead, if there is one.
    """

    lines: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = ()
    headlines: tuple[Headline, ...] = ()
    sections: tuple[Section, ...] = ()
    lead: str = ""
    document: Mapping[str, Any] | None = None


class NoOptions(BaseModel):
    """The options of a command that has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Command:
    """An offline program of a protocol. It starts no parties, and a person calls it by `run_protocol.py NAME`.

    Attributes:
        help: what it does, in a few words.
        run: gets the configuration, the folder of all runs' files and the command's options. Returns a summary to show,
            or an exit status after it has printed by itself. Raises `PartyError` for a failure that is one sentence.
        Options: its own flags, declared like those of `RunnableProtocol.Config`.
        group: what commands like it are for, such as `look at runs`. The help lists them together.
        alone: whether its word alone calls it, whatever the protocol, because it reads no configuration.
        of_member: whether it is one member's of a federation. Its options then have `member` and `member_role`, which
            the launcher gives where `--dir` or `--name` say whose it is.

    `run` and `Options` may be given as `module:name`, and are imported when the command is asked for.
    """

    help: str
    run: Callable[[Any, Path, Any], Summary | int] | str
    Options: type[BaseModel] | str = NoOptions
    group: str = ""
    alone: bool = False
    of_member: bool = False

    @property
    def function(self) -> Callable[[Any, Path, Any], Summary | int]:
        """What it runs."""
        found: Callable[[Any, Path, Any], Summary | int]
        found = resolve_name(self.run) if isinstance(self.run, str) else self.run
        return found

    @property
    def options(self) -> type[BaseModel]:
        """The model of its own flags."""
        found: type[BaseModel] = resolve_name(self.Options) if isinstance(self.Options, str) else self.Options
        return found


@dataclass(frozen=True)
class Trials:
    """How a protocol's configurations are tried many times over, for the figures that come out.

    Attributes:
        module: a worker in the clear, see `parties.frame.trials`.
        figures: the names of what it finds, each in a few letters.
        seed: the key of the experiment's seed.
        of_result: gives the same figures of a run's result. A figure that a run does not have is None.
        deadline_s: gives how long one trial of a configuration may take.
    """

    module: str
    figures: tuple[str, ...]
    seed: str
    of_result: Callable[[Mapping[str, Any]], Mapping[str, float | int | None]]
    deadline_s: Callable[[Any], float]


class RunnableProtocol(Protocol):
    """A protocol that the launcher can run.

    `Config` is frozen and refuses unknown keys. A field whose `json_schema_extra` has `flag` true is also a
    command-line flag of the same name, with its `description` and `unit` as help. A path that is marked `PathInFile` is
    relative to the configuration's file. A protocol may have `trials`, which is a :class:`Trials`.
    """

    @property
    def name(self) -> str: ...

    @property
    def Config(self) -> type[BaseModel]: ...

    def plan(self, config: Any, run: Run) -> Plan:
        """Return the processes of a run. Write each party's private data, nothing else. Raises `ConfigError`."""
        ...

    def summary(self, result: Mapping[str, Any]) -> Summary:
        """Return what to show of the reporter's result."""
        ...

    @property
    def commands(self) -> Mapping[str, Command]:
        """The offline programs by name. `run_protocol.py budget` and `run_protocol.py --budget` both call `budget`."""
        ...


@dataclass(frozen=True)
class Role:
    """A part that a member of a federation may have.

    Attributes:
        help: what it does, in a few words.
        serves: whether it listens, and takes part in one session after the other that others open. A role that does
            not serve opens sessions itself.
    """

    help: str
    serves: bool


@dataclass(frozen=True)
class Reach:
    """Whom a member of a federation should reach, and what it would say of itself.

    Attributes:
        agreed: all that the members must agree on, as text by name.
        peers: each service of another member, with its role in the protocol's own words.
    """

    agreed: Mapping[str, str]
    peers: tuple[tuple[Peer, str], ...]


class FederatedProtocol(RunnableProtocol, Protocol):
    """A protocol whose parties may be members of a federation, each on a machine of its own."""

    @property
    def roles(self) -> Mapping[str, Role]:
        """The parts that members may have, by the protocol's own words for them."""
        ...

    def check_federation(self, config: Any, federation: Federation) -> None:
        """Raise `ConfigError` where these members cannot take part as configured."""
        ...

    def member(self, config: Any, federation: Federation, name: str, role: str, run: Run) -> Plan:
        """Return the plan of one member's one process, for this role, and write the member's own data for it.

        Only what this member may know is read. A process of a role that serves gets its `place` and its `session` from
        the launcher, and one that opens a session makes its name from `run.session`. Raises `ConfigError`.
        """
        ...

    def reach(self, config: Any, federation: Federation, name: str, folders: RunFolders) -> Reach:
        """Return whom a member should reach, and what it would say. Its own data are read. Raises `ConfigError`."""
        ...

    def accounts(self, config: Any, files: Path) -> Summary:
        """Return what the accounts in a member's folder `files` hold. Raises `PartyError`."""
        ...

    def measures(self, config: Any, files: Path) -> Sequence[Measure]:
        """Return the same as figures to watch. It is called often, so that it must be quick. Raises `PartyError`."""
        ...


def is_federated(protocol: RunnableProtocol) -> TypeGuard[FederatedProtocol]:
    """Return whether the parties of a protocol may be members of a federation."""
    return hasattr(protocol, "member")


def write_settings(process: Process, folders: RunFolders) -> Path:
    """Write one party's settings, readable by its owner alone, and return the path for `--settings`."""
    path = folders.settings(process.name)
    write_private(path, process.settings.model_dump_json(indent=2).encode() + b"\n")
    return path
