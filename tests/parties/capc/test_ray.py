"""Runs on a Ray cluster of three nodes, all on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.launchers import ray
from orchestrator.launchers.travel import AWAY
from tests.orchestrator.conftest import ROOT, processes_of
from tests.ports import free_ports

if TYPE_CHECKING:
    from ray._private.node import Node
    from ray.cluster_utils import Cluster

PATIENCE_S = 1200
FOUND = importlib.util.find_spec("ray")
needs_ray = pytest.mark.skipif(FOUND is None or FOUND.origin is None, reason="ray is not installed")


def command(folder: Path, launcher: str, parties: int) -> list[str]:
    places = ["--files_dir", str(folder / "files"), "--logs_dir", str(folder / "logs")]
    choices = ["--n_parties", str(parties), "--dp_noise_scale", "0", "--n_queries", "3", "--batch_size", "3"]
    start = ["--launcher", launcher, "--start_port", str(free_ports(parties + 1))]
    return [sys.executable, str(ROOT / "run_protocol.py"), *start, *choices, *places]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_worker_niceness", "0")  # or whatever else runs here would come first
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(**small)
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture
def address(cluster: Cluster) -> str:
    return str(cluster.address)


def left(run: str) -> list[Path]:
    """What nodes hold of a run."""
    return [path for path in Path(tempfile.gettempdir()).glob(f"{run}-*/**/*") if path.is_file()]


def labels(folder: Path) -> list[object]:
    (path,) = (folder / "files").glob("*/result.json")
    return [query["predicted"] for query in json.loads(path.read_bytes())["result"]["queries"]]


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE_S)
def test_twenty_parties_on_three_nodes_give_the_labels_of_a_run_on_this_machine(address: str, tmp_path: Path) -> None:
    environment = {**os.environ, "RAY_ADDRESS": address}
    for launcher in ("process", "ray"):
        folder = tmp_path / launcher
        done = subprocess.run(
            command(folder, launcher, 20),
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert labels(tmp_path / "ray") == labels(tmp_path / "process")
    run = next((tmp_path / "ray" / "logs").iterdir()).name
    assert not left(run)
    assert not processes_of(run)
    assert not list((tmp_path / "ray").rglob("*.pem"))
    accounts = {path.relative_to(tmp_path / "process") for path in (tmp_path / "process").rglob("durable/*/*")}
    assert {path.relative_to(tmp_path / "ray") for path in (tmp_path / "ray").rglob("durable/*/*")} == accounts
    addresses = {line for log in (tmp_path / "ray").rglob("*.log") for line in log.read_text().splitlines()}
    assert any("listening at port" in line for line in addresses)


def kill_actor(_: Cluster, actor: int) -> None:
    os.kill(actor, signal.SIGKILL)


def kill_node(cluster: Cluster, actor: int) -> None:
    """Kill the node on which an actor lives."""
    above = parent(actor)
    (node,) = [one for one in cluster.worker_nodes if above in pids_of(one)]
    cluster.remove_node(node, allow_graceful=False)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def pids_of(node: Node) -> set[int]:
    return {info.process.pid for infos in node.all_processes.values() for info in infos}


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize("kill", [kill_actor, kill_node])
def test_a_party_that_dies_with_its_actor_or_its_node_is_blamed_and_leaves_no_key(
    cluster: Cluster, address: str, tmp_path: Path, kill: Callable[[Cluster, int], None]
) -> None:
    environment = {**os.environ, "RAY_ADDRESS": address}
    with subprocess.Popen(
        [*command(tmp_path, "ray", 3), "--epochs", "10000"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        logs = tmp_path / "logs"
        expires = time.monotonic() + PATIENCE_S / 2
        while not any("step 0" in log.read_text() for log in logs.glob("*/server-1.log")):
            assert process.poll() is None
            assert time.monotonic() < expires
            time.sleep(0.1)
        run = next(logs.iterdir()).name
        found = [pid for pid, words in processes_of(run).items() if "/server-1/settings.json" in words]
        kill(cluster, parent(found[0]))
        _, said = process.communicate(timeout=PATIENCE_S / 2)
    assert process.returncode == 1
    named = re.match(r"(server-\d) failed in step 0: its actor at ", said)  # all of a node die at once
    assert named, said
    assert kill is kill_node or named[1] == "server-1"
    assert not processes_of(run)
    assert not [path for path in left(run) if path.suffix in (".pem", ".npz") or path.name == "settings.json"]
    assert (tmp_path / "files" / "durable" / "owner-2" / AWAY).exists()
    again = subprocess.run(command(tmp_path, "process", 3), capture_output=True, text=True, timeout=600, check=False)
    assert again.returncode == 2
    assert re.search(r"owner-\d to be complete, found that a run has taken them to", again.stderr)
    for kept in Path(tempfile.gettempdir()).glob(f"{run}-*"):  # its accounts, which stay until a person has them
        shutil.rmtree(kept)


def test_without_ray_a_run_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray.importlib.util, "find_spec", lambda _: None)
    assert ray.unavailable() == "expected the package `ray`, found none; `pip install 'ray>=2.40,<3'` brings it"
