"""The garbled-circuit engine against the hardware's limits: ``python -m benchmarks.engine``.

Every figure is taken in one run on the machine at hand and shown with the limit it is held against: AES blocks a second
on the same core, bytes a second on the same link. Writes a table, ``engine.json`` and ``engine.png``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.links import measure_link
from benchmarks.two_party import Transport, peak_memory_mb, run_two_party
from mpc._core import Circuit, EvaluatorSession, GarblerSession
from mpc.channel import Channel
from mpc.garbled import Evaluator, Garbler
from mpc.randomness import uniform_words

ROOT = Path(__file__).resolve().parent.parent
RELU = Circuit.relu(32, 0)
ARGMAX = Circuit.argmax(10, 37)
TABLE_BYTES = 32


def measure_kernel() -> dict[str, Any]:
    """AES, garbling and evaluation on one core, from the C++ benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["cmake", "-S", str(ROOT / "mpc"), "-B", folder, "-DCMAKE_BUILD_TYPE=Release"],
            check=True,
            capture_output=True,
        )
        subprocess.run(["cmake", "--build", folder, "--target", "bench_kernel", "-j2"], check=True, capture_output=True)
        binary = next(path for path in Path(folder).rglob("bench_kernel") if path.is_file())
        printed = subprocess.run([str(binary)], check=True, capture_output=True, text=True).stdout
    return dict(json.loads(printed))


def measure_ot_extension(count: int = 1 << 20) -> dict[str, float]:
    """Correlated OTs a second on one core, each side by itself, and bytes each."""
    garbler, evaluator = open_pair()
    receiving, sending, size = [], [], 0
    for _ in range(7):
        started = time.perf_counter()
        message = evaluator.extend(count)
        receiving.append(time.perf_counter() - started)
        started = time.perf_counter()
        garbler.extend(message)
        sending.append(time.perf_counter() - started)
        size = len(message)
    return {
        "ots": count,
        "receiver_per_s": count / statistics.median(receiving),
        "sender_per_s": count / statistics.median(sending),
        "bytes_each": size / count,
    }


def open_pair() -> tuple[GarblerSession, EvaluatorSession]:
    """Two sessions in this process, base OTs done."""
    garbler, evaluator = GarblerSession(), EvaluatorSession()
    garbler.finish_base(evaluator.receive_base(garbler.receive_base(evaluator.start_base())))
    return garbler, evaluator


def measure_relus(count: int, transport: Transport) -> dict[str, Any]:
    """``count`` 32-bit ReLUs on shares in an open session: OTs, inputs, tables, outputs to the garbler."""

    def garbler_side(channel: Channel) -> float:
        garbler = Garbler.open(channel)
        shares = uniform_words((count, len(RELU.garbler_widths)), 32)
        for _ in range(3):
            channel.recv("go")
            batch = garbler.prepare(RELU, count)
            batch.send_inputs(shares)
            batch.receive_outputs()
            channel.send("done")
        return peak_memory_mb()

    def evaluator_side(channel: Channel) -> dict[str, Any]:
        evaluator = Evaluator.open(channel)
        shares = uniform_words((count, len(RELU.evaluator_widths)), 32)
        taken = []
        for _ in range(3):
            started = time.perf_counter()
            channel.send("go")
            batch = evaluator.prepare(RELU, count, shares)
            batch.receive_inputs()
            batch.return_outputs()
            channel.recv("done")
            taken.append(time.perf_counter() - started)
        return {"seconds": min(taken), "median_s": statistics.median(taken), "memory_mb": peak_memory_mb()}

    garbler_memory, measured = run_two_party(garbler_side, evaluator_side, transport)
    gates = RELU.and_gates * count
    return {
        "transport": transport,
        "relus": count,
        "and_gates": gates,
        **measured,
        "garbler_memory_mb": garbler_memory,
        "and_per_s": gates / measured["seconds"],
    }


def measure_argmax(transport: Transport) -> dict[str, Any]:
    """Session set-up, and the argmax of ten logits alone and in batches, both sides receiving shares."""
    batches = (1, 64, 256)

    def garbler_side(channel: Channel) -> None:
        for _ in range(5):
            channel.recv("open")
            garbler = Garbler.open(channel)
        for size in batches:
            shares = uniform_words((size, 10), 37)
            for _ in range(31):
                channel.recv("go")
                batch = garbler.prepare(ARGMAX, size)
                batch.send_inputs(shares)
                batch.share_bits(16)

    def evaluator_side(channel: Channel) -> dict[str, Any]:
        opening = []
        for _ in range(5):
            started = time.perf_counter()
            channel.send("open")
            evaluator = Evaluator.open(channel)
            opening.append(time.perf_counter() - started)
        result: dict[str, Any] = {"setup_ms": statistics.median(opening) * 1e3}
        for size in batches:
            shares = uniform_words((size, 10), 37)
            taken = []
            for _ in range(31):
                started = time.perf_counter()
                channel.send("go")
                batch = evaluator.prepare(ARGMAX, size, shares)
                batch.receive_inputs()
                batch.take_shares(16)
                taken.append(time.perf_counter() - started)
            result[f"batch_{size}_us_each"] = statistics.median(taken[1:]) / size * 1e6
        return result

    return {
        "transport": transport,
        "and_gates": ARGMAX.and_gates,
        **run_two_party(garbler_side, evaluator_side, transport)[1],
    }


def measure_scaling(transport: Transport, largest: int) -> list[dict[str, Any]]:
    """Seconds over instances, for the plot: linear if the engine is what it says."""
    counts = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]
    return [
        {key: row[key] for key in ("relus", "seconds", "memory_mb", "garbler_memory_mb")}
        for row in (measure_relus(count, transport) for count in counts if count <= largest)
    ]


def measure_executables() -> dict[str, float]:
    """Whole runs of the stand-alone programs, base OTs included, in milliseconds."""
    return {name: _program_ms(name) for name in ("argmax", "sum_histogram")}


def _program_ms(name: str) -> float:
    program = ROOT / "mpc" / "bin" / name
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        shares = np.random.default_rng(1).integers(-1000, 1000, size=(2, 10))
        for side in (1, 2):
            (Path(folder) / f"in{side}").write_text(",".join(map(str, shares[side - 1])))
        for attempt in range(11):
            port = 21000 + attempt
            started = time.perf_counter()
            sides = [
                subprocess.Popen(
                    [str(program), str(side), str(port), f"{folder}/in{side}", f"{folder}/out{side}"],
                    stdout=subprocess.DEVNULL,
                )
                for side in (1, 2)
            ]
            if any(side.wait(30) for side in sides):
                raise RuntimeError(f"{name} failed")
            taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--quick", action="store_true", help="leave out the million-instance run")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "machine": {"processor": platform.processor() or platform.machine(), "python": platform.python_version()},
        "kernel": measure_kernel(),
        "links": [measure_link(transport) for transport in ("tcp", "tls")],
        "ot_extension": measure_ot_extension(),
        "relus": [measure_relus(100_000, transport) for transport in ("tcp", "tls")],
        "argmax": [measure_argmax(transport) for transport in ("tcp", "tls")],
        "executables_ms": measure_executables(),
        "scaling": measure_scaling("tcp", 100_000 if chosen.quick else 1_000_000),
    }
    for row, link in zip(results["relus"], results["links"], strict=True):
        row["of_link"] = row["and_per_s"] * TABLE_BYTES / link["bytes_per_s"]
    (chosen.out / "engine.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))
    _plot(results, chosen.out / "engine.png")


def _plot(results: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    counts = [row["relus"] for row in results["scaling"]]
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.2))
    axes[0].loglog(counts, [row["seconds"] for row in results["scaling"]], "o-")
    axes[0].set(xlabel="32-bit ReLUs on shares", ylabel="seconds, both processes, TCP", title="Cost over instances")
    axes[1].semilogx(counts, [row["garbler_memory_mb"] for row in results["scaling"]], "o-", label="garbler")
    axes[1].semilogx(counts, [row["memory_mb"] for row in results["scaling"]], "o-", label="evaluator")
    axes[1].set(xlabel="32-bit ReLUs on shares", ylabel="peak memory, MB", title="Memory over instances")
    axes[1].legend()
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
