"""Private tensors in processes over mutual TLS, beside their peers, with preprocessing counted.

    python -m benchmarks.tensors --peer crypten=PYTHON --peer spu=PYTHON --peer mpyc=PYTHON

These are the sections, which all run unless ``--only`` names some of them:

    rows         each piece of work beside the peers that can do it, in turn, with a back-end's goal
    accuracy     training on real data beside the same training in floats; MNIST's where CAPC_DATA_DIR names its files
    parties      some of the work with 2, 3, 5 and 10 computing parties
    batches      a step of training with small and large batches
    networks     a step of training and ReLUs on five networks, beside the peers; takes root

Every party of the project is a process of a real run, and has one thread. All back-ends of this checkout take part that
``--backend`` does not leave out. The program writes ``tensors.json`` whenever something was measured, and in the end
``tensors.md`` and ``tensors.png``. Figures that are not taken again stay. Peers run in environments of their own, see
``benchmarks/peers/README.md``. The kernels alone are ``python -m benchmarks.tensor_kernels``.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.speed_report import TENSOR_ACCURACY, TENSOR_NETWORKS, TENSORS, add_flag, processor, write
from benchmarks.tensors import report
from benchmarks.tensors.networks import measure_networks
from benchmarks.tensors.parties import Cast, backends, cast
from benchmarks.tensors.peers import PEERS
from benchmarks.tensors.rows import ROWS
from benchmarks.tensors.sections import measure_accuracy, measure_batches, measure_parties, measure_rows

ROOT = Path(__file__).resolve().parent.parent.parent
SECTIONS = ("rows", "accuracy", "parties", "batches", "networks")
NEW_NETWORK = 0x40000000  # CLONE_NEWNET, linux/sched.h


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the flags. Ends the program with a sentence for those that are wrong."""
    known = backends()
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS)
    )
    parser.add_argument("--row", nargs="+", choices=names, default=names, metavar="ROW", help=", ".join(names))
    parser.add_argument("--backend", nargs="+", choices=known, default=known, metavar="NAME", help=", ".join(known))
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="crypten, spu, mpyc")
    parser.add_argument("--rounds", type=int, default=5, help="in each of which all take a turn")
    parser.add_argument("--quick", action="store_true", help="one round, to see that everything works")
    parser.add_argument("--resume", action="store_true", help="leave out what tensors.json has already")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    add_flag(parser)
    chosen = parser.parse_args(words)
    environments = {peer.environment for peer in PEERS}
    for peer in chosen.peer:
        name, _, python = peer.partition("=")
        if name not in environments or not os.access(python, os.X_OK):
            parser.error(f"--peer: expected {', '.join(sorted(environments))} and its Python, found {peer}")
    if chosen.rounds < 1:
        parser.error(f"--rounds: expected at least 1, found {chosen.rounds}")
    if chosen.quick and chosen.docs:
        parser.error("--docs: expected figures of several rounds, found --quick")
    chosen.rounds = 1 if chosen.quick else chosen.rounds
    return chosen


def own_loopback() -> bool:
    """Move this process into a network of its own, so that nobody else's bytes are counted. It takes root."""
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK) != 0:
        return False
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    return True


def main() -> None:
    chosen = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # so that nothing is left
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / "tensors.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    pythons = dict(peer.split("=", 1) for peer in chosen.peer)
    casts = [found for name in chosen.backend if (found := cast(name)) is not None]

    def todo(section: str, name: str) -> bool:
        return not (chosen.resume and name in results.get(section, {}))

    def keep(section: str, name: str, measured: Any) -> None:
        """At once: a long run that is cut short has not been for nothing."""
        results.setdefault(section, {})[name] = measured
        path.write_text(json.dumps(results, indent=2) + "\n")
        print(f"{section}, {name}: measured", flush=True)

    keep("machine", "at start", machine())
    if "networks" in chosen.only:  # before this process leaves the machine's network
        measure_networks(casts, pythons, chosen.rounds, todo, keep)
    keep("machine", "loopback of its own", own_loopback())
    if "rows" in chosen.only:
        rows = [row for row in ROWS if row.name in chosen.row and todo("rows", row.name)]
        measure_rows(rows, casts, pythons, chosen.rounds, results, keep)
    if "accuracy" in chosen.only:
        measure_accuracy(casts, todo, keep)
    if "parties" in chosen.only:
        measure_parties(chosen.backend, chosen.rounds, todo, keep)
    if "batches" in chosen.only:
        measure_batches(casts, chosen.rounds, todo, keep)
    keep("machine", "at end", machine())
    finish(results, casts, chosen)


def finish(results: dict[str, Any], casts: Sequence[Cast], chosen: argparse.Namespace) -> None:
    text = report.tables(results, casts)
    (chosen.out / "tensors.md").write_text(text + "\n")
    print(text)
    report.plot(results, chosen.out / "tensors.png")
    if chosen.docs:
        rows = {name: row for name, row in results.get("rows", {}).items() if name in chosen.row}
        write(TENSORS, report.goal_rows(rows if "rows" in chosen.only else {}, casts))
        write(TENSOR_ACCURACY, report.accuracy_rows(results.get("accuracy", {}) if "accuracy" in chosen.only else {}))
        write(TENSOR_NETWORKS, report.network_rows(results.get("networks", {}) if "networks" in chosen.only else {}))


def machine() -> dict[str, Any]:
    """Return what a reader needs to judge the figures by."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "versions": {name: version(name) for name in ("numpy", "torch", "pyopenssl")},
    }


if __name__ == "__main__":
    main()
