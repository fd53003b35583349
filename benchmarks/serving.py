"""Latency and throughput of a service of private tensors, CN-ReLU with batches of 64 records.

    python -m benchmarks.serving [--out serving.json]

Each row is a run of the real programs over TLS on this machine, a process for each party. `one batch at a time` is the
time from a client's request for 64 records to its answers. `many clients` is what eight clients with 16 records a
request get together. Correlations are prepared ahead where the provider finds the time, and their preparation runs on
the same processors.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.runs import ROOT, run

MODEL = ROOT / "benchmarks" / "serving_cn_relu.py"
BATCH = 64
Row = dict[str, Any]


def measure(
    folder: Path, start_port: int, name: str, clients: int, ask: int, requests: int, parties: int, pause_ms: float
) -> Row:
    """One run, as a row."""
    config = {
        "program": str(MODEL),
        "computing": [f"host-{number}" for number in range(parties)],
        "arguments": {"records": ask * requests},
        "serving": {
            "clients": {f"client-{number}": {"ask": ask, "pause_ms": pause_ms} for number in range(clients)},
            "max_batch": BATCH, "max_wait_ms": 5, "pool": 8, "low_water": 4,
        },
    }  # fmt: skip
    path = folder / f"{name.replace(' ', '-')}-{parties}.yaml"
    path.write_text(json.dumps({"protocol": "tensors", "tensors": config}))
    done = run(folder / path.stem, start_port, ["--config", str(path)])
    reports = done.result["result"]["reports"]
    asking = [report for report in reports if report["role"] == "client"]
    hosts = [report for report in reports if report["role"] == "computing party"]
    (provider,) = (report for report in reports if report["role"] == "provider of correlations")
    records = sum(report["records"] for report in asking)
    return {
        "row": name,
        "computing_parties": parties,
        "clients": clients,
        "records_a_request": ask,
        "requests": requests * clients,
        "median_ms": sorted(report["median_ms"] for report in asking)[clients // 2],
        "first_ms": max(report["first_ms"] for report in asking),
        "records_a_second": records / max(report["seconds"] for report in asking),
        "batches": hosts[0]["batches"],
        "rounds_a_batch": hosts[0]["rounds"] / hosts[0]["batches"],
        "bytes_a_batch": sum(report["sent"] for report in (*hosts, provider)) / hosts[0]["batches"],
        "most_prepared_ahead_bytes": max(report["pool_bytes"] for report in hosts),
    }


def main() -> None:
    """Measure all rows, and write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("serving.json"))
    parser.add_argument("--start_port", type=int, default=21700)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for parties in (2, 3):
            for name, clients, ask, requests, pause_ms in (
                ("one batch at a time", 1, BATCH, 30, 0.0),
                ("one batch at a time, prepared", 1, BATCH, 20, 500.0),
                ("many clients", 8, 16, 20, 0.0),
            ):
                rows.append(
                    measure(Path(folder), arguments.start_port, name, clients, ask, requests, parties, pause_ms)
                )
                print(json.dumps(rows[-1]), flush=True)
                arguments.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
