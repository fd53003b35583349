"""Encrypted training from keys to the decrypted model, beside SEAL and TenSEAL.

    python -m benchmarks.securetrain [--peer tenseal=PYTHON]

SEAL is among the project's own packages for development, and runs the same program operation by operation
(``benchmarks/peers/seal_logistic.py``). TenSEAL has an environment of its own, see ``benchmarks/peers/README.md``.

Every side is a process with one thread, and they train in turn. Times are of the processor, the median of all rounds
with the range. A turn of ours takes the keys out of their file's bytes and trains. SEAL has its keys at hand. Our
decryption reads the files of the command, and writes the model.

These are the sections, which all run unless ``--only`` names some of them:

    small, large         records are encrypted, with the two sets of parameters
    model-2, model-10    the model is encrypted, and trained by so many steps
    refreshed            20 iterations with refreshes, beside an epoch of TenSEAL's
    accuracy             encrypted runs on random splits, beside scikit-learn
    ridge                one key, by the number of features
    pooled               runs of three owners and a trainer as processes; with MNIST where CAPC_DATA_DIR names its files
    random               a hundred random programs beside their twins, within the derived bounds

With both peers everything takes about five minutes of a calm machine. The program writes ``securetrain.json`` whenever
something was measured, and in the end ``securetrain.md``. Figures that are not taken again stay.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.securetrain import report
from benchmarks.securetrain.measure import (
    measure_accuracy,
    measure_model,
    measure_records,
    measure_refreshed,
    measure_tenseal,
)
from benchmarks.securetrain.pooled import BREAST_CANCER, DIGITS, SIZES, measure_pooled, measure_ridge
from benchmarks.securetrain.random_programs import measure_random
from benchmarks.securetrain.rivals import ROOT
from benchmarks.securetrain.works import RECORDS, REFRESHED, WORKS
from benchmarks.speed_report import SECURETRAIN, add_flag, processor, write

SECTIONS = (*(work.name for work in WORKS), "refreshed", "accuracy", "ridge", "pooled", "random")
PEERS = ("seal", "tenseal")


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the flags. Ends the program with a sentence for those that are wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS)
    )
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help=", ".join(PEERS))
    parser.add_argument("--rounds", type=int, default=3, help="in each of which all take a turn")
    parser.add_argument("--splits", type=int, default=10, help="of the records, for accuracy")
    parser.add_argument("--tenseal_records", type=int, default=91, help="of the epoch that TenSEAL really does")
    parser.add_argument("--programs", type=int, default=100, help="that are drawn at random")
    parser.add_argument("--quick", action="store_true", help="one round and one split, to see that everything works")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    add_flag(parser)
    chosen = parser.parse_args(words)
    chosen.pythons = {"seal": sys.executable} if find_spec("seal") else {}
    for peer in chosen.peer:
        name, _, python = peer.partition("=")
        if name not in PEERS or not os.access(python, os.X_OK):
            parser.error(f"--peer: expected {' or '.join(PEERS)} and its Python, found {peer}")
        chosen.pythons[name] = python
    for name in ("rounds", "splits", "tenseal_records", "programs"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name}: expected at least 1, found {getattr(chosen, name)}")
    if chosen.tenseal_records > RECORDS:
        parser.error(f"--tenseal_records: expected at most {RECORDS}, found {chosen.tenseal_records}")
    if chosen.quick and chosen.docs:
        parser.error("--docs: expected figures of several rounds, found --quick")
    if chosen.quick:
        chosen.rounds, chosen.splits, chosen.tenseal_records = 1, 1, min(10, chosen.tenseal_records)
        chosen.programs = min(10, chosen.programs)
    return chosen


def _pooled(digits: str | None) -> dict[str, Any]:
    """Return what runs of several owners found. Without a folder of MNIST there is one less."""
    found = {}
    for work in (BREAST_CANCER, *([DIGITS] if digits else [])):
        with tempfile.TemporaryDirectory() as name:
            found[work] = measure_pooled(work, Path(name), Path(digits) if digits else None)
    return found


def measure(section: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Return what a section found, by name. TenSEAL belongs to "refreshed"."""
    if section == "accuracy":
        return {section: measure_accuracy(chosen.splits)}
    if section == "ridge":
        return {section: {str(size): measure_ridge(size, chosen.rounds) for size in SIZES}}
    if section == "pooled":
        return {section: _pooled(os.environ.get("CAPC_DATA_DIR"))}
    if section == "random":
        return {section: measure_random(chosen.programs)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if section == "refreshed":
            found = {section: measure_refreshed(REFRESHED, chosen.rounds)}
            if "tenseal" in chosen.pythons:
                found["tenseal"] = measure_tenseal(chosen.pythons["tenseal"], chosen.tenseal_records, folder)
            return found
        work = next(work for work in WORKS if work.name == section)
        how = measure_model if work.steps else measure_records
        return {section: how(work, chosen.pythons, chosen.rounds, folder)}


def main() -> None:
    chosen = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # so that nothing is left
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / "securetrain.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    taken: dict[str, Any] = {}
    for section in (section for section in SECTIONS if section in chosen.only):
        load = os.getloadavg()[0]
        taken |= measure(section, chosen)
        machine = {"processor": processor(), "cores": len(os.sched_getaffinity(0)), "load": load}
        results |= taken | {"machine": results.get("machine", {}) | {section: machine}}
        path.write_text(json.dumps(results, indent=2) + "\n")
        print(f"{section}: measured", flush=True)
    text = report.markdown(SECURETRAIN.head, report.rows(results))
    (chosen.out / "securetrain.md").write_text(text + "\n")
    print(text)
    if chosen.docs:
        write(SECURETRAIN, report.rows(taken))


if __name__ == "__main__":
    main()
