"""Runs of the real party programs over TLS, one process each, without a launcher, and what they must give."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpc.capc.clear import plaintext_labels
from mpc.capc.quorum import with_voters
from mpc.capc.roles import CapcRandomness
from orchestrator import certificates
from parties.capc.config import CapcConfig
from parties.capc.settings import AnsweringSettings
from parties.frame.plan import Plan, Run, RunFolders, write_settings
from parties.learning.models import Model
from parties.learning.network import fixed_point
from parties.learning.records import Records
from parties.learning.training import model_path
from parties.protocols import PROTOCOLS
from tests import trained
from tests.ports import free_ports

QUICK = {
    "n_parties": 2,
    "epochs": 3,
    "dp_noise_scale": 0,
    "paillier_bits": 2048,
    "connect_deadline_s": 120,
    "run_deadline_s": 280,
}


@dataclass
class Running:
    plan: Plan
    folders: RunFolders
    processes: dict[str, subprocess.Popen[bytes]]

    def wait_for_event(self, name: str, text: str) -> None:
        """Until the events of this party, which goes on afterwards, hold this text; its deadline ends a party."""
        events = self.folders.events(name)
        while not (events.exists() and text in events.read_text()):
            assert self.processes[name].poll() is None, f"{name} ended without {text}"
            time.sleep(0.02)

    def wait(self) -> dict[str, dict[str, Any]]:
        """Every party's status, when all have ended."""
        for process in self.processes.values():
            process.wait(self.plan.deadline_s)
        return {name: json.loads(self.folders.status(name).read_text()) for name in self.processes}

    def finish(self) -> dict[str, Any]:
        """The result of a run in which nothing may go wrong."""
        for name, status in self.wait().items():
            assert status["ok"], f"{name}: {status}\n{self.folders.log(name).read_text()}"
        result: dict[str, Any] = json.loads(self.folders.result("client").read_text())
        return result


@contextmanager
def running(
    top: Path,
    name: str = "run",
    wrapper: str | None = None,
    prepare: Callable[[Plan, RunFolders], Plan] = lambda plan, _: plan,
    **choices: Any,
) -> Iterator[Running]:
    """All parties of a run, each started by module `wrapper` if that is given; none is left at the end.

    `prepare` may change the plan and the parties' folders before the start.

    A model that a run of this test session has trained is not trained again.
    """
    folders = RunFolders(top / "files", top / "logs", name)
    config = CapcConfig(**(QUICK | choices))
    run = Run(folders, f"session-{name}", free_ports(config.n_parties + 2), supervisor_pid=os.getpid())
    plan = PROTOCOLS["capc"].plan(config, run)
    certificates.issue(name, [(process.name, folders.party(process.name)) for process in plan.processes])
    plan = prepare(plan, folders)
    caches = [folders.cache(process.name) for process in plan.processes]
    trained.fill(caches)
    processes = {}
    try:
        for process in plan.processes:
            module = [wrapper, process.module] if wrapper else [process.module]
            command = [sys.executable, "-m", *module, "--settings", str(write_settings(process, folders))]
            processes[process.name] = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        yield Running(plan, folders, processes)
    finally:
        for started in processes.values():
            started.kill()
            started.wait(60)
        trained.keep(caches)


def expected_labels(
    run: Running, randomness: CapcRandomness | None = None, voters: Collection[str] | None = None
) -> list[int]:
    """The majority of the very models that the answering parties have trained, in the clear; ties to the lowest.

    With randomness it is the label under the noise that follows from it, -1 for an abstention. Without `voters` all
    parties vote.
    """
    queries = Records.read(run.folders.party("client") / "queries.npz")
    networks, parameters = [], None
    for process in run.plan.processes:
        settings = process.settings
        if isinstance(settings, AnsweringSettings) and (voters is None or process.name in voters):
            training, parameters = settings.training, settings.parameters
            path = model_path(training, Records.read(run.folders.party(process.name) / "records.npz"), settings.cache)
            networks.append(
                fixed_point(
                    Model.read(path, training.image_shape, training.layers),
                    parameters,
                    1,
                    settings.beyond_bounds,
                )
            )
    assert parameters is not None
    parameters = with_voters(parameters, len(networks))
    return [int(label) for label in plaintext_labels(queries.images, networks, parameters, randomness)]
