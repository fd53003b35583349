"""The life of the federation of `deploy/compose.yaml`: provisioned, asked, killed, made again, and asked again.

    python -m tests.deploy.rehearsal IMAGE     in containers of an image that buildah has built, as root

The image comes of `buildah bud -t IMAGE .` or the like.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.deploy.compose import Backend, FromImage, write_shared
from tests.ports import free_ports

PATIENCE_S = 600.0


class Rehearsal:
    """The services of the file in one of the two ways."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, name: str, *command: str, entry: bool = True, status: int = 0) -> str:
        """`docker compose run --rm NAME COMMAND`, which must end with this status. Returns what it printed."""
        argv = self.backend.argv(name, command, entry=entry)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd="/")
        assert done.returncode == status, f"{name} {command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def provision(self) -> None:
        """Do as the head of the file says."""
        shared = ("--config", "/shared/federation.yaml")
        said = self.run("coordinator", "init", "/shared/federation.yaml", "--dir", "/state")
        authority = said.split("compare: ")[1].split()[0]
        for name in self.backend.services:
            if name == "coordinator":
                continue
            letter, answer = f"/letters/{name}.csr", f"/letters/{name}.crt"
            said = self.run(name, "request", *shared, "--name", name, "--dir", "/state", "--out", letter)
            key = said.split("compare: ")[1].split()[0]
            signed = ("--dir", "/state", "--fingerprint", key, "--out", answer)
            self.run("coordinator", "approve", letter, *shared, *signed)
            self.run(name, "install", answer, "--dir", "/state", "--fingerprint", authority)

    def up(self) -> None:
        """Start every service without a profile, as `docker compose up` does, and wait until each is healthy."""
        for name, service in self.backend.services.items():
            if not service.profiles:
                argv = self.backend.argv(name, service.command)
                log = (self.backend.top / f"{name}.out").open("ab")
                with log:
                    self.running[name] = subprocess.Popen(argv, stdout=log, stderr=log, cwd="/", start_new_session=True)
        for name in self.running:
            self.until(lambda name=name: self.is_healthy(name), f"{name} is healthy")  # type: ignore[misc]

    def is_healthy(self, name: str) -> bool:
        argv = self.backend.argv(name, self.backend.services[name].health, entry=False)
        return subprocess.run(argv, capture_output=True, timeout=PATIENCE_S, check=False, cwd="/").returncode == 0

    def ask(self) -> list[str]:
        """Run the service that asks with its own command, and return its labels."""
        self.run("clinic-a", *self.backend.services["clinic-a"].command)
        _, *rows = (self.backend.folder("clinic-a") / "labels.csv").read_text().splitlines()
        return [row.split(",")[1] for row in rows]

    def kill(self) -> None:
        """Kill every process of every service at once, as when a machine loses its power."""
        processes = [pid for service in self.running.values() for pid in descendants(service.pid)]
        assert len(processes) >= 3 * len(self.running)  # each has a supervisor and the processes that stand by
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for service in self.running.values():
            service.wait(60)
        self.running.clear()
        self.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), "all of them are gone")

    def until(self, condition: Callable[[], bool], what: str) -> None:
        expires = time.monotonic() + PATIENCE_S
        while not condition():
            ended = {name: one.poll() for name, one in self.running.items() if one.poll() is not None}
            assert not ended, f"{ended}\n" + "\n".join(log.read_text() for log in self.backend.top.glob("*.out"))
            assert time.monotonic() < expires, f"expected that {what}"
            time.sleep(0.5)

    def charged(self) -> int:
        """How many answers the guardian's ledger holds, read from its lines alone."""
        (path,) = self.backend.folder("trustee").glob("durable/*/ledger.jsonl")
        costs = [cost for line in path.read_text().splitlines() for cost in json.loads(line)["costs"]]
        return sum(cost["count"] for cost in costs)

    def down(self) -> None:
        """Remove all that is left."""
        for service in self.running.values():
            service.terminate()
        for service in self.running.values():
            service.wait(60)
        self.backend.remove()


def descendants(pid: int) -> list[int]:
    """A process and all that it has started, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def rehearse(backend: Backend) -> None:
    """Go through the life, and assert what the ledger and the labels say."""
    rehearsal = Rehearsal(backend)
    try:
        rehearsal.provision()
        rehearsal.up()
        first = rehearsal.ask()
        assert rehearsal.charged() == len(first) == 2
        rehearsal.kill()
        rehearsal.up()
        second = rehearsal.ask()
        assert rehearsal.charged() == 4
        assert len(second) == 2
        budget = rehearsal.run("trustee", "budget", "--dir", "/state")
        assert "for 4 answers" in budget, budget
    finally:
        rehearsal.down()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        top.chmod(0o711)
        write_shared(top / "federation.yaml", free_ports(4))
        rehearse(FromImage(top, top / "federation.yaml", sys.argv[1]))
    print("the ledger survived its containers")
