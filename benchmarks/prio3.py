"""Prio3 beside its peers: processor time a report, of one thread, at the client and at both aggregators.

    python -m benchmarks.prio3 --peer reference=PYTHON:POC --peer npm=FOLDER

PYTHON is an interpreter (3.12 or newer) with pycryptodomex, POC the folder `poc` of cfrg/draft-irtf-cfrg-vdaf, and
FOLDER one where ``npm install @divviup/prio3`` was run. All programs take turns, case by case, in each round. Of each
the least time of all rounds is kept. The figures of libprio-rs, a Rust library, are quoted from a measurement on a
machine of this kind.

It writes ``prio3.json`` and ``prio3.md`` into the folder that ``--out`` names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mpc.commons.prio import Prio3Count, Prio3Histogram, Prio3Sum, Prio3SumVec

ROOT = Path(__file__).resolve().parent.parent
ROLES = ("leader", "helper", "shard")
BATCHES = (1, 8, 256)
CTX, KEY = b"benchmark", bytes(range(32))
CASES: dict[str, tuple[Any, Any]] = {
    "Count": (Prio3Count(2), 1),
    "Sum 8-bit": (Prio3Sum(2, 255), 100),
    "Histogram 10": (Prio3Histogram(2, 10, 3), 4),
    "Histogram 100": (Prio3Histogram(2, 100, 10), 4),
    "SumVec 1000": (Prio3SumVec(2, 1000, 1, 31), [1] * 1000),
}
LIBPRIO = {
    "Count": (1.5, 2.5, 3.4),
    "Sum 8-bit": (6.3, 7.45, 4.1),
    "Histogram 10": (10.4, 12.5, 21.0),
    "Histogram 100": (22.5, 28.4, 70.0),
    "SumVec 1000": (195.0, 223.0, 512.0),
}
GOALS = {"Sum 8-bit": 1.5, "Histogram 10": 3.1, "Histogram 100": 7.0, "SumVec 1000": 75.0}  # of a helper
REPORTS_OF_PEERS = {"Count": 20, "Sum 8-bit": 8, "Histogram 10": 8, "Histogram 100": 4, "SumVec 1000": 1}


def measure(case: str, batch: int) -> dict[str, float]:
    """Return microseconds a report, the least of several repetitions."""
    prio3, measurement = CASES[case]
    measurements = np.repeat(np.asarray([measurement]), batch, axis=0)
    reports = prio3.shard_batch(CTX, measurements)

    def verify(agg_id: int) -> Callable[[], object]:
        inputs = reports.input_shares[agg_id]
        return lambda: prio3.verify_init_batch(KEY, CTX, agg_id, reports.nonces, reports.public_shares, inputs)

    work = {"leader": verify(0), "helper": verify(1), "shard": lambda: prio3.shard_batch(CTX, measurements)}
    return {role: _least(work[role]) / batch for role in ROLES}


def _least(work: Callable[[], object], seconds: float = 0.05) -> float:
    least, spent = float("inf"), 0.0
    while spent < seconds:
        begun = time.thread_time()
        work()
        took = time.thread_time() - begun
        least, spent = min(least, took), spent + max(took, 1e-6)
    return 1e6 * least


class Peer:
    """A program of `benchmarks/peers` that takes orders."""

    def __init__(self, flag: str) -> None:
        self.name, _, place = flag.partition("=")
        programs = ROOT / "benchmarks" / "peers"
        if self.name == "reference":
            python, _, poc = place.partition(":")
            self._start([python, str(programs / "prio3_reference.py")], {"PYTHONPATH": poc}, ROOT)
        elif self.name == "npm":
            self._start(["node", str(programs / "prio3_npm.mjs")], {}, Path(place))
        else:
            raise SystemExit(f"--peer: expected reference=PYTHON:POC or npm=FOLDER, found {flag}")

    def _start(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        env = {**os.environ, **environment}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=folder, env=env, stdin=pipe, stdout=pipe, text=True)

    def measure(self, case: str) -> dict[str, float]:
        """Return microseconds a report."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"case": case, "reports": REPORTS_OF_PEERS[case]}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the peer {self.name} ended, see above")
        found: dict[str, float] = json.loads(line)
        return found

    def end(self) -> None:
        """Let the program end, which it does when it has no more orders to expect."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


def run(peers: list[Peer], rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return by case and program the least microseconds a report of each role."""
    found: dict[str, dict[str, dict[str, float]]] = {case: {} for case in CASES}
    for _ in range(rounds):
        for case, programs in found.items():
            turns: list[tuple[str, Callable[[], dict[str, float]]]] = []
            turns += [(f"batch of {batch}", lambda c=case, b=batch: measure(c, b)) for batch in BATCHES]  # type: ignore[misc]
            turns += [(peer.name, lambda p=peer, c=case: p.measure(c)) for peer in peers]  # type: ignore[misc]
            for name, turn in turns:
                figures = turn()
                kept = programs.setdefault(name, figures)
                programs[name] = {role: min(kept[role], figures[role]) for role in ROLES}
    return found


def table(found: dict[str, dict[str, dict[str, float]]], peers: list[str]) -> str:
    """Return the figures as Markdown: microseconds a report, and how many times as long others take."""
    ours = [f"batch of {batch}" for batch in BATCHES]
    heads = ["helper's `verify_init`", *ours, "goal", "libprio-rs (quoted)", *peers]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for case, programs in found.items():
        best = programs[ours[-1]]["helper"]
        quoted = LIBPRIO[case][1]
        row = [case, *(f"{programs[name]['helper']:.2f}" for name in ours), str(GOALS.get(case, ""))]
        row += [f"{quoted} ({quoted / best:.1f}x)"]
        row += [f"{programs[peer]['helper']:,.0f} ({programs[peer]['helper'] / best:,.0f}x)" for peer in peers]
        lines.append(f"| {' | '.join(row)} |")
    lines += ["", f"| {ours[-1]} | leader | helper | shard | libprio-rs, the same (quoted) |", "|" + "---|" * 5]
    for case, programs in found.items():
        row = [case, *(f"{programs[ours[-1]][role]:.2f}" for role in ROLES), " / ".join(map(str, LIBPRIO[case]))]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> None:
    """Measure, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PLACE", help="reference or npm")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args(words)
    peers = [Peer(flag) for flag in options.peer]
    try:
        found = run(peers, options.rounds)
    finally:
        for peer in peers:
            peer.end()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "prio3.json").write_text(json.dumps({"unit": "us a report", "cases": found}, indent=1) + "\n")
    text = table(found, [peer.name for peer in peers])
    (options.out / "prio3.md").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
