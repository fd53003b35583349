"""The real party programs over TLS, one process each, without a launcher: labels, account, failures."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.ring import Ring
from orchestrator import certificates
from parties.capc_config import CapcConfig
from parties.data import Records
from parties.models import Model
from parties.network import fixed_point
from parties.plan import Plan, Run, RunFolders, write_settings
from parties.protocols import PROTOCOLS
from parties.settings import AnsweringSettings
from parties.training import model_path

QUICK = {"n_parties": 2, "epochs": 3, "dp_noise_scale": 0, "paillier_bits": 2048, "connect_deadline_s": 120}


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on."""
    for start in range(42000, 60000, 16):
        sockets = []
        try:
            for port in range(start, start + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        else:
            return start
        finally:
            for opened in sockets:
                opened.close()
    raise AssertionError("no free ports")


@dataclass
class Running:
    plan: Plan
    folders: RunFolders
    processes: dict[str, subprocess.Popen[bytes]]

    def wait(self) -> dict[str, dict[str, Any]]:
        """Every party's status, when all have ended."""
        for process in self.processes.values():
            process.wait(200)
        return {name: json.loads(self.folders.status(name).read_text()) for name in self.processes}

    def finish(self) -> dict[str, Any]:
        """The result of a run in which nothing may go wrong."""
        for name, status in self.wait().items():
            assert status["ok"], f"{name}: {status}\n{self.folders.log(name).read_text()}"
        result: dict[str, Any] = json.loads(self.folders.result("client").read_text())
        return result


@contextmanager
def running(top: Path, name: str = "run", **choices: Any) -> Iterator[Running]:
    """All parties of a run; none is left at the end."""
    folders = RunFolders(top / "files", top / "logs", name)
    config = CapcConfig(**(QUICK | choices))
    run = Run(folders, f"session-{name}", free_ports(config.n_parties + 1), supervisor_pid=os.getpid())
    plan = PROTOCOLS["capc"].plan(config, run)
    certificates.issue(name, [(process.name, folders.party(process.name)) for process in plan.processes])
    processes = {}
    try:
        for process in plan.processes:
            command = [sys.executable, "-m", process.module, "--settings", str(write_settings(process, folders))]
            processes[process.name] = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        yield Running(plan, folders, processes)
    finally:
        for started in processes.values():
            started.kill()
            started.wait(60)


def expected_labels(run: Running) -> list[int]:
    """The majority of the very models that the answering parties have trained, in the clear; ties to the lowest."""
    queries = Records.read(run.folders.party("client") / "queries.npz")
    counts = np.zeros((len(queries), 10), np.int64)
    for process in run.plan.processes:
        settings = process.settings
        if isinstance(settings, AnsweringSettings):
            records = Records.read(run.folders.party(process.name) / "records.npz")
            training = settings.training
            path = model_path(training, records, settings.cache)
            network = fixed_point(Model.read(path, training.image_shape, training.layers), settings.parameters, 1)
            encoded = Ring(settings.parameters.ring_bits).encode(queries.images, settings.parameters.fraction_bits)
            counts[np.arange(len(queries)), network.run_clear(encoded).argmax(1)] += 1
    return [int(label) for label in counts.argmax(1)]


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for several runs, so that the later ones find the earlier ones' models in the cache."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("aggregation", ["paillier", "direct"])
def test_without_noise_the_labels_are_the_majority_of_different_models(top: Path, aggregation: str) -> None:
    choices = {"models": "mlp,cnn-avgpool", "n_queries": 5, "batch_size": 2, "start_batch": 40}
    with running(top, aggregation, aggregation=aggregation, **choices) as run:
        result = run.finish()
        labels = [query["predicted"] for query in result["queries"]]
        assert labels == expected_labels(run)
    assert [query["index"] for query in result["queries"]] == [40, 41, 42, 43, 44]
    assert result["epsilon"] is None
    events = [json.loads(line) for line in run.folders.events("client").read_text().splitlines()]
    costs = {(event["step"], event.get("peer")) for event in events if event["event"] == "step_finished"}
    assert {("1a", "server-0"), ("1c", "server-1"), ("3", "privacy-guardian")} <= costs
    keys = {"t", "event", "step", "title", "peer", "seconds", "sent", "received", "detail"}
    assert set.union(*(set(event) for event in events)) <= keys
    for name in ("server-0", "privacy-guardian"):
        listening = [json.loads(line) for line in run.folders.events(name).read_text().splitlines()]
        assert any(event["event"] == "listening" for event in listening)


def test_the_second_run_is_charged_on_top_and_one_over_budget_is_refused(tmp_path: Path) -> None:
    spending = {"dp_noise_scale": "2", "epsilon_budget": 4.5, "n_parties": 1}
    with running(tmp_path, "first", **spending) as run:
        first = run.finish()
    assert first["epsilon"] == pytest.approx(2.95, abs=0.05)
    with running(tmp_path, "second", **spending) as run:
        second = run.finish()
    assert first["epsilon"] < second["epsilon_total"] < 2 * first["epsilon"]
    with running(tmp_path, "third", **spending) as run:
        status = run.wait()
    assert "expected at most epsilon 4.5 for digits/party-0" in status["client"]["error"]
    assert status["client"]["error"] == status["privacy-guardian"]["error"]
    assert not run.folders.result("client").exists()


def test_a_killed_party_ends_the_others_with_its_name(top: Path) -> None:
    with running(top, "killed", models="mlp,cnn-avgpool", n_queries=300) as run:
        log = run.folders.events("client")
        expires = time.monotonic() + 120
        while not (log.exists() and '"step": "3"' in log.read_text()):
            assert time.monotonic() < expires
            time.sleep(0.02)
        run.processes["server-1"].send_signal(signal.SIGKILL)
        for name in ("client", "server-0", "privacy-guardian"):
            assert run.processes[name].wait(60) == 1
        status = json.loads(run.folders.status("client").read_text())
    assert status["ok"] is False
    assert status["peer"] == "server-1"
    assert "Traceback" not in run.folders.log("client").read_text()


def test_a_model_that_does_not_fit_the_ring_fails_before_anybody_is_asked(tmp_path: Path) -> None:
    with running(tmp_path, n_parties=1, ring_bits=28) as run:
        assert run.processes["server-0"].wait(120) == 1
        status = json.loads(run.folders.status("server-0").read_text())
        events = run.folders.events("server-0").read_text()
    assert "layer" in status["error"]
    assert "listening" not in events
