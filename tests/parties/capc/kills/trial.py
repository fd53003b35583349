"""One run of `run_protocol.py`, from its start to its end, with a hand on its processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.environment import MARKER, PARTY_MARKER
from tests.orchestrator.conftest import ROOT
from tests.parties.capc.kills.cases import LAUNCHER, Case, Scenario, Waits
from tests.ports import free_ports

PORTS = 6
LIMIT_S = 120.0  # beyond what a case waits for, a run that has not ended hangs
MARK = "KILLS_TRIAL"  # carried by launcher, guard and tmux server; the parties have an environment of their own
TRAINS_FOR = 0.15  # of a run whose parties train, so long does one of them train
_LOOK_S = 0.03
_given: set[int] = set()
_giving = threading.Lock()


@dataclass(frozen=True)
class Process:
    """A process of a run, as /proc shows it."""

    pid: int
    command: str
    party: str
    group: int
    session: int


@dataclass
class Trial:
    """A run that was started.

    Attributes:
        seen: groups and sessions of its processes, collected while it lasts.
        signalled: whether the victim was there to get the signal, and `signalled_at` when, in seconds since 1970.
    """

    scenario: Scenario
    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    began: float
    seen: set[int] = field(default_factory=set)
    signalled: bool = False
    signalled_at: float = 0.0

    @property
    def said(self) -> str:
        return (self.folder / "output").read_text()

    @property
    def sentence(self) -> str:
        return (self.folder / "errors").read_text()

    @property
    def run(self) -> str:
        """The run's name, or nothing before it has folders."""
        with suppress(FileNotFoundError):
            return next((path.name for path in (self.folder / "logs").iterdir()), "")
        return ""

    @property
    def over(self) -> bool:
        return self.process.poll() is not None

    def events(self, party: str) -> list[dict[str, Any]]:
        """Return what a party has written to its events so far, wherever they are by now."""
        top, run = self.folder, self.run
        for path in (top / "files" / run / party / "events.jsonl", top / "logs" / run / f"{party}.events.jsonl"):
            with suppress(OSError):
                lines = path.read_bytes().splitlines(keepends=True)
                return [json.loads(line) for line in lines if line.endswith(b"\n")]
        return []

    def processes(self) -> list[Process]:
        """Return all that live, by the mark in their environment, the run's name in their command or their session."""
        marks = {f"{MARK}={self.folder}".encode()}
        if run := self.run:
            marks.add(f"{MARKER}={run}".encode())
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with suppress(OSError, ValueError):
                    process = _process(entry)
                    variables = set((entry / "environ").read_bytes().split(b"\0"))
                    ours = bool(variables & marks) or bool(run and run in process.command)
                    if ours or {process.group, process.session} & self.seen:
                        found.append(process)
        return found

    def look(self) -> list[Process]:
        """Return the processes, and remember their groups and sessions."""
        processes = self.processes()
        ours = os.getpgid(0), os.getsid(0)
        self.seen |= {number for one in processes for number in (one.group, one.session) if number not in ours}
        return processes

    def victim(self, party: str, *, child: bool) -> int | None:
        """Return the process of a party, or of its training child, if it is there."""
        for one in self.look():
            is_child = "parties.learning.training" in one.command
            stands_for_it = "env -i" in one.command or "parties.frame.pane" in one.command
            if one.party == f"{self.run}/{party}" and child == is_child and not stands_for_it:
                return one.pid
        return None

    def until(self, condition: Callable[[], Any]) -> Any:
        """Return what the condition gives once it gives something, or None if the run is over before."""
        while True:
            over = self.over
            if (found := condition()) or over:
                return found or None
            time.sleep(_LOOK_S)

    def wait(self, waits: Waits) -> int | None:
        """Return the launcher's status, or None if it does not end in time."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(waits.longest + LIMIT_S)
        return None


@dataclass(frozen=True)
class Reference:
    """The same run undisturbed.

    Attributes:
        files: its files folder, with models and accounts.
        labels: what came out.
        seconds: how long it took.
        events: how many events each party wrote.
    """

    files: Path
    labels: list[Any]
    seconds: float
    events: dict[str, int]


def reference(scenario: Scenario, folder: Path) -> Reference:
    """Run a scenario undisturbed, with models trained before unless it is about the training. Raises AssertionError."""
    if not scenario.trains:
        _run_well(scenario, folder / "trained", None)
    trial = _run_well(scenario, folder / "reference", None if scenario.trains else folder / "trained" / "files")
    seconds = time.monotonic() - trial.began
    if scenario.trains:
        shutil.rmtree(trial.folder / "files" / "cache")
    return Reference(
        trial.folder / "files",
        labels(trial),
        seconds,
        {party: len(trial.events(party)) for party in scenario.parties},
    )


def _run_well(scenario: Scenario, folder: Path, files: Path | None) -> Trial:
    with started(scenario, "process", Waits(), folder, files) as trial:
        status = trial.wait(Waits())
        if status != 0:
            raise AssertionError(f"{scenario.name}: the undisturbed run ended with {status}: {trial.sentence}")
    return trial


def labels(trial: Trial) -> list[Any]:
    """Return the labels of a run that ended well, in order, of each querying party."""
    result = json.loads((trial.folder / "files" / trial.run / "result.json").read_bytes())["result"]
    return [[query["predicted"] for query in one["queries"]] for one in result.get("reports", [result])]


@contextmanager
def started(scenario: Scenario, launcher: str, waits: Waits, folder: Path, files: Path | None) -> Iterator[Trial]:
    """Start a run in a folder of its own, with a copy of an earlier run's models and accounts. End what is left."""
    folder.mkdir(parents=True)
    for kept in ("cache", "durable"):
        if files is not None and (files / kept).exists():
            shutil.copytree(files / kept, folder / "files" / kept)
    port = _take_ports()
    configuration = {
        "protocol": "capc",
        "run": {"launcher": launcher, "silence_s": waits.silence_s, "start_port": port, "progress": "none"},
        "capc": scenario.choices
        | {
            "connect_deadline_s": waits.connect_s,
            "message_deadline_s": waits.message_s,
            "run_deadline_s": waits.run_s,
        },
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(configuration))
    command = [sys.executable, "run_protocol.py", "--config", str(folder / "run.yaml")]
    command += ["--files_dir", str(folder / "files"), "--logs_dir", str(folder / "logs")]
    with (folder / "output").open("wb") as out, (folder / "errors").open("wb") as err:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {MARK: str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    trial = Trial(scenario, folder, port, process, time.monotonic())
    try:
        yield trial
    finally:
        for _ in range(2):  # the guard may have something left to do when it sees the launcher's end
            for one in trial.processes():
                with suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
        process.wait()
        _given.difference_update(range(port, port + PORTS))


def _take_ports() -> int:
    """Return the first of some ports that no other trial of this process has now."""
    with _giving:
        for _ in range(1000):
            first = free_ports(PORTS)
            if not _given & set(range(first, first + PORTS)):
                _given.update(range(first, first + PORTS))
                return first
    raise AssertionError("no ports that other trials have not taken")


def _process(entry: Path) -> Process:
    """Read a process's entry in /proc. Raises OSError when it has ended."""
    fields = (entry / "stat").read_text().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(entry.name)
    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    variables = (entry / "environ").read_bytes().split(b"\0")
    mark = f"{PARTY_MARKER}=".encode()
    party = next((one[len(mark) :].decode() for one in variables if one.startswith(mark)), "")
    return Process(int(entry.name), command, party, int(fields[2]), int(fields[3]))


def disturb(case: Case, trial: Trial, undisturbed: Reference) -> None:
    """Wait for the case's moment and send its signal."""
    if case.victim == LAUNCHER:
        share = undisturbed.seconds
        pid: int | None = trial.process.pid
    else:
        share = undisturbed.seconds - 1.0  # it takes the launcher about a second to start a party
        share *= TRAINS_FOR if case.is_child else 1.0
        pid = trial.until(lambda: trial.victim(case.victim, child=case.is_child))
    if case.after_event is not None:
        wanted = int(case.after_event * undisturbed.events[case.victim])
        trial.until(lambda: len(trial.events(case.victim)) >= wanted)
    else:
        moment = time.monotonic() + case.after_s * share
        trial.until(lambda: time.monotonic() >= moment)
    trial.look()
    if pid is None or trial.over:
        return
    first, _, then = case.signal.partition("+")
    trial.signalled_at = time.time()
    with suppress(ProcessLookupError):
        os.kill(pid, getattr(signal, f"SIG{first}"))
        trial.signalled = True
        if then:
            time.sleep(case.pause_s)
            os.kill(pid, getattr(signal, f"SIG{then}"))
