"""Private inference of whole models, in two processes on two cores over TLS.

    python -m benchmarks.inference

These are the sections, which all run unless ``--only`` names some of them:

    cn-relu-1, cn-relu-64, mlp-1, cn-relu-1-dealer, cn-relu-64-dealer    beside their peers, in turn
    cn-relu-64-streamed, cn-relu-64-dealer-streamed                      the same, circuits sent with the queries
    parties      one query to K answering parties at once: time and bytes against K
    precision    error, ring width and cost of a query at each number of fraction bits
    lenet        LeNet-5 on 200 MNIST images; where CAPC_DATA_DIR names a folder with the files

The program prints tables and writes ``inference.json``, ``inference.md`` and ``inference.png``. Sections that are not
run again keep their figures. Peers run in environments of their own, see ``benchmarks/peers/README.md``.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from benchmarks.inference.measure import measure, measure_labels
from benchmarks.inference.models import model
from benchmarks.inference.report import plot, tables
from benchmarks.inference.rows import ROWS, compare
from benchmarks.speed_report import INFERENCE, SIZES, add_flag, inference_rows, size_rows, write

ROOT = Path(__file__).resolve().parent.parent.parent
PARTIES = (1, 3, 10, 30)
FRACTION_BITS = 15  # the largest error of a CN-ReLU logit stays below 0.002
PRECISIONS = {"cn-relu": range(9, 18), "mlp": range(9, 18)}


def main() -> None:
    sections = [row.name for row in ROWS] + ["parties", "precision", "lenet"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sections, default=sections, metavar="SECTION")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="spu=PYTHON, crypten=PYTHON")
    parser.add_argument("--pairs", type=int, default=3, help="runs of peer and project in turn")
    parser.add_argument("--fraction_bits", type=int, default=FRACTION_BITS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    add_flag(parser)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / "inference.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    results.setdefault("rows", {})
    pythons = dict(peer.split("=", 1) for peer in chosen.peer)
    bits = chosen.fraction_bits

    def keep(section: str, measured: Any) -> None:
        """At once: a long run that is cut short has not been for nothing."""
        results[section] = measured
        path.write_text(json.dumps(results, indent=2) + "\n")

    for row in ROWS:
        if row.name in chosen.only:
            found = compare(row, model(row.model, chosen.out), bits, pythons, chosen.pairs)
            rows = results["rows"] | {row.name: found}
            keep("rows", {each.name: rows[each.name] for each in ROWS if each.name in rows})
    if "parties" in chosen.only:
        keep("parties", [measure(model("cn-relu", chosen.out), bits, 1, 5, count) for count in PARTIES])
    if "precision" in chosen.only:
        pairs = [(model(name, chosen.out), f) for name, choices in PRECISIONS.items() for f in choices]
        keep("precision", [measure(each, f, 1, 5) for each, f in pairs])
    if "lenet" in chosen.only and "CAPC_DATA_DIR" in os.environ:
        keep("lenet", measure_labels(model("lenet", chosen.out), 12, 10))
    if chosen.docs:
        measured = {"rows": {name: row for name, row in results["rows"].items() if name in chosen.only}}
        write(INFERENCE, inference_rows(measured))
        write(SIZES, size_rows(measured))
    text = tables(results)
    (chosen.out / "inference.md").write_text(text + "\n")
    print(text)
    plot(results, chosen.out / "inference.png")


if __name__ == "__main__":
    main()
