"""Members of a federation on this machine: each has a folder, a key that it made there, and services of its own."""

from __future__ import annotations

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
from orchestrator.federation.records import ServiceFolder
from orchestrator.federation.shared import read_shared
from orchestrator.federation.state import MemberFolder
from parties.frame.private_files import make_private_folder
from parties.protocols import PROTOCOLS

COMMAND = (sys.executable, str(Path(__file__).resolve().parents[1] / "run_protocol.py"))
PATIENCE_S = 120.0


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
            if entry.name.isdigit():
                try:
                    if marker in (entry / "cmdline").read_bytes():
                        found.append(int(entry.name))
                except OSError:  # it has just ended
                    continue
        return found

    def serving(self, name: str, event: str) -> int:
        """The process that serves a session, once its events hold a text."""
        found: list[Path] = []

        def look() -> bool:
            for path in self.folder(name).glob(f"sessions/*/{name}/events.jsonl"):
                try:
                    if event in path.read_text():
                        found.append(path)
                except OSError:  # that session has just ended
                    continue
            return bool(found)

        self.until(look, f"{name} comes to {event}")
        folder = str(found[0].parent).encode()
        return next(pid for pid in self.processes(name) if folder in Path(f"/proc/{pid}/cmdline").read_bytes())

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


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
