"""The parties of a run of encrypted training as processes, which a test may tell other settings, stop or kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator import certificates
from parties.encrypted.config import SecureTrainConfig
from parties.encrypted.protocol import PROTOCOL
from parties.frame.plan import Run, RunFolders, write_settings
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Running:
    """Processes by their parties' names."""

    folders: RunFolders
    processes: Mapping[str, subprocess.Popen[bytes]]

    def await_step(self, name: str, step: str) -> None:
        """Return when a party has begun a step. Fails where it ends before, or takes too long."""
        expires, path = time.monotonic() + PATIENCE_S, self.folders.events(name)
        while not (path.exists() and f'"step_started", "step": "{step}"' in path.read_text()):
            assert self.processes[name].poll() is None, self.folders.log(name).read_text()
            assert time.monotonic() < expires
            time.sleep(0.02)

    def status(self, name: str) -> dict[str, Any]:
        """Return how a party has ended, once it has."""
        self.processes[name].wait(PATIENCE_S)
        found: dict[str, Any] = json.loads(self.folders.status(name).read_text())
        return found

    def reports(self) -> dict[str, dict[str, Any]]:
        """Return all results, once all have ended well."""
        for name in self.processes:
            status = self.status(name)
            assert status["ok"], f"{name}: {status}\n{self.folders.log(name).read_text()}"
        return {name: json.loads(self.folders.result(name).read_text()) for name in self.processes}


@contextmanager
def running(top: Path, changed: Mapping[str, Mapping[str, Any]] | None = None, **choices: Any) -> Iterator[Running]:
    """Start all parties. `changed` has settings that single parties are told otherwise."""
    folders = RunFolders(top / "files", top / "logs", "run")
    config = SecureTrainConfig(**{"connect_deadline_s": 60, "message_deadline_s": 60, "run_deadline_s": 200} | choices)
    run = Run(folders, "0" * 32, free_ports(4), supervisor_pid=os.getpid())
    plan = PROTOCOL.plan(config, run)
    certificates.issue("run", [(process.name, folders.party(process.name)) for process in plan.processes])
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for process in plan.processes:
            told = process.settings.model_copy(update=dict((changed or {}).get(process.name, {})))
            path = write_settings(replace(process, settings=told), folders)
            command = [sys.executable, "-m", process.module, "--settings", str(path)]
            processes[process.name] = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
        yield Running(folders, processes)
    finally:
        for one in processes.values():
            one.kill()
            one.wait(60)
