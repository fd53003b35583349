"""The rows of the comparison with peers. Peer and project run in turn, and each pair gives a ratio."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.inference.measure import measure
from benchmarks.inference.models import Model
from mpc.capc.parameters import Preprocessing
from mpc.garbled.session import Circuits

SCRIPTS = Path(__file__).resolve().parent.parent / "peers"
PEER_LIMIT_S = 60
ATTEMPTS = 2  # SPU's parties do not always find each other


@dataclass(frozen=True)
class Row:
    """One line of work, and the peers that do the same, as (environment, protocol)."""

    name: str
    model: str
    batch: int
    preprocessing: Preprocessing
    peers: tuple[tuple[str, str], ...]
    circuits: Circuits = "ahead"

    @property
    def runs(self) -> int:
        """How many times each pair does the work, after once that does not count."""
        return 9 if self.batch == 1 else 3


WITHOUT_DEALER = (("spu", "cheetah"),)
WITH_DEALER = (("spu", "semi2k"), ("spu", "aby3"), ("crypten", "third-party"), ("crypten", "first-party"))
ROWS = (
    Row("cn-relu-1", "cn-relu", 1, "he", WITHOUT_DEALER),
    Row("cn-relu-64", "cn-relu", 64, "he", WITHOUT_DEALER),
    Row("mlp-1", "mlp", 1, "he", WITHOUT_DEALER),
    Row("cn-relu-1-dealer", "cn-relu", 1, "dealer", WITH_DEALER),
    Row("cn-relu-64-dealer", "cn-relu", 64, "dealer", WITH_DEALER),
    Row("cn-relu-64-streamed", "cn-relu", 64, "he", WITHOUT_DEALER, "streamed"),
    Row("cn-relu-64-dealer-streamed", "cn-relu", 64, "dealer", WITH_DEALER, "streamed"),
)


def compare(row: Row, model: Model, fraction_bits: int, pythons: dict[str, str], pairs: int) -> dict[str, Any]:
    """The row's measurement, and for each peer that has an environment the ratios of ``pairs`` runs in turn."""

    def measured() -> dict[str, Any]:
        return measure(
            model, fraction_bits, row.batch, row.runs, preprocessing=row.preprocessing, circuits=row.circuits
        )

    peers: dict[str, Any] = {}
    mine: list[dict[str, Any]] = []
    for environment, protocol in row.peers:
        name = f"{environment} {protocol}"
        if environment not in pythons:
            peers[name] = {"missing": f"no --peer {environment}=PYTHON"}
            continue
        ratios, theirs = [], []
        for _ in range(pairs):
            found = run_peer(pythons[environment], environment, protocol, model, row)
            if "failed" in found:
                break
            mine.append(measured())
            theirs.append(found)
            ratios.append(found["ms"] / mine[-1]["ms"])
        if len(ratios) < pairs:
            peers[name] = {"missing": found["failed"]}
            continue
        peers[name] = {
            "ratio": statistics.median(ratios),
            "ratio_range": [min(ratios), max(ratios)],
            "ms": statistics.median(run["ms"] for run in theirs),
            "runs": theirs,
        }
    if not mine:
        mine = [measured()]
    middle = sorted(mine, key=lambda run: run["ms"])[len(mine) // 2]
    return {"row": row.name, "batch": row.batch, **middle, "ms_of_runs": [run["ms"] for run in mine], "peers": peers}


def run_peer(python: str, environment: str, protocol: str, model: Model, row: Row) -> dict[str, Any]:
    """What the peer's script reports; ``failed`` with its last words if it does not."""
    script = SCRIPTS / f"{environment}_inference.py"
    command = [python, str(script), "--protocol", protocol, "--model", str(model.path)]
    command += ["--batch", str(row.batch), "--runs", str(row.runs)]
    failed = ""
    for _ in range(ATTEMPTS):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            try:
                printed, errors = process.communicate(timeout=PEER_LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with the parties that it started
                failed = f"took more than {PEER_LIMIT_S} s"
                continue
        if process.returncode == 0:
            return dict(json.loads(printed.strip().splitlines()[-1]))
        failed = (errors.strip().splitlines() or ["no message"])[-1]
    return {"failed": failed}
