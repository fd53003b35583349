"""A service as processes of its own, and clients of it in the test's process."""

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

import numpy as np

from mpc.tensors.ranges import Format
from orchestrator import certificates
from parties.frame.connections import Connections
from parties.frame.plan import Plan, Run, RunFolders, write_settings
from parties.tensors.config import TensorsConfig
from parties.tensors.protocol import PROTOCOL
from parties.tensors.serving.client import Client
from parties.tensors.serving.model import Model
from parties.tensors.serving.settings import ServingSettings
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 300.0
HOSTS = ("host-a", "host-b")
FORMAT, SIZE = Format(64, 16), 4
RECORDS = np.array([[1.0, -2.0, 0.5], [0.25, 4.0, -1.0], [3.0, 0.5, -7.5]])
WEIGHTS = np.array([[0.5, -1.25], [2.0, 0.75], [-3.0, 1.5]])
MODEL = """
import numpy as np

INPUT, BOUND = (3,), 8
OUTPUT = (2,)
PARAMETERS = {"weights": ((3, 2), 4), "offset": ((2,), (0, 1))}


def load(here):
    return {"weights": np.array([[0.5, -1.25], [2.0, 0.75], [-3.0, 1.5]]), "offset": np.array([0.25, 1.0])}


def records(here, client):
    return np.random.default_rng(len(client)).uniform(-8, 8, (20, 3))


def answer(s, parameters, x):
    return (x @ parameters["weights"] + parameters["offset"]).relu()
"""


def expected(records: np.ndarray) -> np.ndarray:
    """What the model gives in the clear."""
    return np.maximum(records @ WEIGHTS + [0.25, 1.0], 0)


def near(found: np.ndarray, records: np.ndarray) -> bool:
    """Whether answers are within the stated bound: a unit for the product, and the roundings of what was given."""
    return bool(np.abs(found - expected(records)).max() <= 2**-16 * (1.01 + 0.5 * 4 * 3 + 0.5 * 8 * 3 + 0.5))


@dataclass
class Notes:
    """What a client says."""

    said: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.said.append(text)


@dataclass
class Running:
    """A service that runs."""

    folders: RunFolders
    plan: Plan
    processes: dict[str, subprocess.Popen[bytes]]

    def settings(self, name: str) -> ServingSettings:
        found = next(process.settings for process in self.plan.processes if process.name == name)
        assert isinstance(found, ServingSettings)
        return found

    @contextmanager
    def client(self, name: str, **told: Any) -> Iterator[Client]:
        """A client in this process. `told` are settings that differ from the service's."""
        settings = self.settings(name).model_copy(update=told)
        model = Model(settings.model, settings.model_digest)
        with Connections(settings, self.folders.party(name), settings.role, settings.agreed()) as connections:
            client = Client(settings, model, connections, Notes())  # type: ignore[arg-type]
            yield client
            client.hang_up()

    def log(self, name: str) -> str:
        path = self.folders.log(name)
        return path.read_text() if path.exists() else ""

    def wait_for(self, name: str, words: str, times: int = 1) -> None:
        """Wait until a party's log has these words so often."""
        expires = time.monotonic() + PATIENCE_S
        while self.log(name).count(words) < times:
            assert time.monotonic() < expires, self.log(name)
            time.sleep(0.05)

    def worker(self, name: str) -> int:
        """The process of a party that its keeper has started."""
        kept = self.processes[name].pid
        expires = time.monotonic() + PATIENCE_S
        while not (children := Path(f"/proc/{kept}/task/{kept}/children").read_text().split()):
            assert time.monotonic() < expires
            time.sleep(0.02)
        return int(children[0])

    def status(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.folders.status(name).read_text()))

    def result(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.folders.result(name).read_text()))

    def end(self) -> dict[str, int]:
        """Ask all services to end, and return every process's status."""
        for name in self.plan.services:
            self.processes[name].terminate()
        return {name: process.wait(PATIENCE_S) for name, process in self.processes.items()}


@contextmanager
def running(
    top: Path, clients: tuple[str, ...] = (), run_clients: bool = False, changed: dict[str, Any] | None = None,
    model: str = MODEL, **choices: Any,
) -> Iterator[Running]:  # fmt: skip
    """A service with these choices under `serving:`. Clients are processes only where `run_clients` says so."""
    (top / "tiny.py").write_text(model)
    folders = RunFolders(top / "files", top / "logs", "run")
    hosts = choices.pop("computing", HOSTS)
    serving = {"clients": {name: {} for name in clients}, "max_batch": 8, "max_wait_ms": 2, "pool": 2, "low_water": 1}
    deadlines = {"connect_deadline_s": 60, "message_deadline_s": 60, "run_deadline_s": 300}
    config = TensorsConfig.model_validate({
        "program": str(top / "tiny.py"), "computing": hosts, "provider": "dora",
        "serving": serving | {"owner": "olga"} | choices, **deadlines,
    } | (changed or {}))  # fmt: skip
    plan = PROTOCOL.plan(config, Run(folders, "0" * 32, free_ports(len(hosts)), supervisor_pid=os.getpid()))
    certificates.issue("run", [(process.name, folders.party(process.name)) for process in plan.processes])
    found = Running(folders, plan, {})
    try:
        for process in plan.processes:
            if process.name in clients and not run_clients:
                continue
            command = [sys.executable, "-m", process.module, "--settings", str(write_settings(process, folders))]
            found.processes[process.name] = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
        yield found
    finally:
        for process in found.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in found.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
