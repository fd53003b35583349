"""Members of a federation on this machine: each has a folder, a key that it made there, and services of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.federation.authority import Authority, fingerprint
from orchestrator.federation.identity import Identity
from orchestrator.federation.records import ServiceFolder, SessionEnded
from orchestrator.federation.shared import read_shared
from orchestrator.federation.state import MemberFolder
from parties.frame.private_files import make_private_folder
from parties.protocols import PROTOCOLS

COMMAND = (sys.executable, str(Path(__file__).resolve().parents[1] / "run_protocol.py"))
PATIENCE_S = 300.0
_TRIES = 10


@dataclass(frozen=True)
class Stopped:
    """A process of a member that is stopped in a session.

    `asked` is the process that opened the session, and `missed` counts the sessions that ended well before.
    """

    asked: subprocess.Popen[str]
    pid: int
    session: str
    missed: int

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@dataclass
class MembersHere:
    """The folders, and the services that were started.

    `within` holds, by member, the words before each of its commands, and `flags` those after its `serve`. `roles` has
    the role in which each member serves.
    """

    top: Path
    within: dict[str, tuple[str, ...]] = field(default_factory=dict)
    flags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    services: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.top / "federation.yaml"

    def folder(self, name: str) -> Path:
        return self.top / name

    def role(self, name: str) -> str:
        """The role in which a member serves."""
        return self.roles[name]

    def service(self, name: str) -> ServiceFolder:
        return ServiceFolder(self.folder(name), self.role(name))

    # -- services -----------------------------------------------------------------------------------------------------

    def serve(self, *names: str) -> None:
        """Start those of these services that do not run, and wait until each listens."""
        for name in names:
            if name not in self.services or self.services[name].poll() is not None:
                self.start_serving(name)
        for name in names:
            self.until(lambda name=name: self.service(name).running() is not None, f"{name} serves")

    def start_serving(self, name: str) -> None:
        with (self.top / f"{name}.out").open("ab") as log:
            command = (*self.within.get(name, ()), *COMMAND, "serve", "--dir", str(self.folder(name)))
            command += self.flags.get(name, ())
            self.services[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")

    def end(self, name: str, number: signal.Signals) -> int:
        service = self.services.pop(name)
        service.send_signal(number)
        return service.wait(PATIENCE_S)

    def until(self, condition: Any, what: str) -> None:
        expires = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < expires, f"expected that {what}"
            time.sleep(0.02)

    def processes(self, name: str, of: str = "sessions") -> list[int]:
        """The processes of a member's sessions, or those whose folder begins with another word."""
        marker = str(self.folder(name) / of).encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and marker in command_of(int(entry.name)):
                found.append(int(entry.name))
        return found

    def serving(self, name: str, event: str) -> int:
        """A process that serves a session, once its events hold a text."""
        found: list[int] = []

        def look() -> bool:
            found.extend(pid for path, said in self._said_by(name) if event in said for pid in self._in(name, path))
            return bool(found)

        self.until(look, f"{name} comes to {event}")
        return found[0]

    def stop(self, name: str, opener: str, *, at: str, before: str, times: int = 1) -> Stopped:
        """Have a session opened, and stop (SIGSTOP) a member's process in it, which the session needs and so waits for.

        It is stopped when its events hold the text `at`, and do not yet hold `before` so many times. Where a session
        was past that moment before anybody saw it, it ends well and the next one is opened.
        """
        for missed in range(_TRIES):
            earlier = {path for path, said in self._said_by(name) if '"admitted"' in said}
            asked = self.start_asking(opener)
            pid = self._stopped(name, asked, earlier, at)
            if pid is not None:
                said = next(said for path, said in self._said_by(name) if pid in self._in(name, path))
                if said.count(before) < times:
                    return Stopped(asked, pid, _session_in(said), missed)
                os.kill(pid, signal.SIGCONT)
            self.result(asked)
        raise AssertionError(f"expected to stop {name} between {at} and {before}, found it past that {_TRIES} times")

    def _stopped(self, name: str, asked: subprocess.Popen[str], earlier: set[Path], at: str) -> int | None:
        """Stop the process that serves a session once its events hold a text, or give None of one that ended first."""
        expires = time.monotonic() + PATIENCE_S
        while asked.poll() is None:
            for path, said in self._said_by(name):
                if path not in earlier and at in said:
                    for pid in self._in(name, path):
                        if stopped(pid):
                            return pid
            assert time.monotonic() < expires, f"expected that {name} comes to {at}"
            time.sleep(0.005)
        return None

    def _said_by(self, name: str) -> list[tuple[Path, str]]:
        """The event files of a member's sessions that go on or have just ended, with what they hold."""
        found = []
        for path in self.folder(name).glob(f"sessions/*/{name}/events.jsonl"):
            with contextlib.suppress(OSError):  # that session has just ended
                found.append((path, path.read_text()))
        return found

    def _in(self, name: str, events: Path) -> list[int]:
        """The process whose events these are, or none where it has ended."""
        return [pid for pid in self.processes(name) if str(events.parent).encode() in command_of(pid)]

    def ended(self, name: str, session: str, count: int = 1) -> list[SessionEnded]:
        """What a member's service has written down of a session, once that is so many lines."""

        def found() -> list[SessionEnded]:
            return [one for one in self.service(name).ended() if one.session == session]

        self.until(lambda: len(found()) >= count, f"{name} writes down {session}")
        return found()

    # -- asking -------------------------------------------------------------------------------------------------------

    def start_asking(self, name: str, **more: str | None) -> subprocess.Popen[str]:
        """Start a session with these flags. One whose value is None has none."""
        command = self.asking_command(name, **more)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")

    def asking_command(self, name: str, **more: str | None) -> tuple[str, ...]:
        flags = [part for key, value in more.items() for part in (f"--{key}", value) if part is not None]
        asking = ("ask", "--dir", str(self.folder(name)), "--json", "--progress", "none", *flags)
        return (*self.within.get(name, ()), *COMMAND, *asking)

    def result(self, asked: subprocess.Popen[str]) -> dict[str, Any]:
        """The result of a session that must end well."""
        output, errors = asked.communicate(timeout=PATIENCE_S)
        assert asked.returncode == 0, errors + self.logs()
        result: dict[str, Any] = json.loads(output)["result"]
        return result

    def refusal(self, name: str, status: int = 1, **more: str | None) -> str:
        """What a session that must fail says."""
        asked = self.start_asking(name, **more)
        _, errors = asked.communicate(timeout=PATIENCE_S)
        assert asked.returncode == status, errors
        return errors

    def said(self, name: str, text: str) -> bool:
        """Whether a member's service has written a text to any log."""
        return any(text in path.read_text() for path in self.folder(name).glob("logs/**/*.log"))

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.top.glob("*.out")))


@contextmanager
def members(here: MembersHere) -> Iterator[Authority]:
    """Certificates for all members of the shared file. Nothing of them runs at the end."""
    shared = read_shared(here.file, PROTOCOLS)
    authority = Authority.make(make_private_folder(here.top / "authority"), shared.federation)
    for name in shared.federation.names:
        join(here, authority, name)
    try:
        yield authority
    finally:
        for service in here.services.values():
            service.terminate()
        for service in here.services.values():
            service.wait(PATIENCE_S)


def join(here: MembersHere, authority: Authority, name: str) -> None:
    """Make a member's key in its folder, and install the certificate of an authority."""
    install(authority, name, here.folder(name), here.file)


def install(authority: Authority, name: str, place: Path, shared_file: Path) -> None:
    """The same in any folder, for a member with this shared file."""
    folder = make_private_folder(place)
    (folder / "member.json").write_bytes(msgspec.json.encode({"name": name, "shared_file": str(shared_file)}))
    identity = Identity(name, MemberFolder(folder))
    request, _ = identity.request()
    identity.install(authority.approve(request.read_bytes()), fingerprint(authority.certificate))


def _session_in(said: str) -> str:
    """The session that a process was admitted to last, by its events."""
    admitted = [event for event in map(json.loads, said.splitlines()) if event["event"] == "admitted"]
    name: str = admitted[-1]["detail"]
    return name


def command_of(pid: int) -> bytes:
    """The command line of a process, which is empty of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def kill(pid: int) -> None:
    """Kill a process, which may have ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def stopped(pid: int) -> bool:
    """Stop a process with all its threads. Tell whether it was there to be stopped."""
    expires = time.monotonic() + PATIENCE_S
    with contextlib.suppress(OSError):  # it has ended
        os.kill(pid, signal.SIGSTOP)
        while states := {_state(task) for task in Path(f"/proc/{pid}/task").iterdir()}:
            if not states - {"T"}:
                return True
            if states & {"Z", "X"}:
                return False
            assert time.monotonic() < expires, f"expected that process {pid} stops"
            time.sleep(0.001)
    return False


def _state(task: Path) -> str:
    """The letter of a thread's state (proc(5))."""
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
