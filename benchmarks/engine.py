"""The garbled-circuit engine against the limits of the hardware.

    python -m benchmarks.engine

Every figure is taken in one run on the machine at hand. It is shown with its limit, which is the number of AES blocks a
second on the same core, or of bytes a second on the same link. The program prints a table, and writes ``engine.json``
and ``engine.png``.

"Streamed" is one call on each side (:meth:`mpc.garbled.session.Garbler.garble`), in which tables are evaluated as they
arrive. "Prepared" sends tables ahead of the garbler's inputs, and the time is that of both parts.
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
from typing import Any, Literal

import numpy as np

from benchmarks.engine_report import plot, table
from benchmarks.links import measure_link
from benchmarks.speed_report import ENGINE, KERNEL, add_flag, engine_rows, kernel_rows, write
from benchmarks.two_party import Transport, peak_memory_mb, run_two_party
from mpc._core import Circuit, EvaluatorSession, GarblerSession
from mpc.channels.frames import Channel
from mpc.garbled.batch import EvaluatedBatch, GarbledBatch, Projection
from mpc.garbled.session import Evaluator, Garbler
from mpc.randomness import uniform_words
from mpc.ring import Words

ROOT = Path(__file__).resolve().parent.parent
RELU = Circuit.relu(32, 0)
ARGMAX = Circuit.argmax(10, 37)
ACTIVATIONS, VOTES = Projection(32), Projection(16)  # what their outputs end as
MULTIPLIER = Circuit.leaky_relu(64, 0, (1 << 32) - 1, 32)  # a signed product by a constant: gates, and few inputs
TABLE_BYTES = 32
Mode = Literal["streamed", "prepared"]


def measure_kernel() -> dict[str, Any]:
    """AES, garbling and evaluation on one core, from the C++ benchmark."""
    folder = ROOT / "build" / "bench"
    for command in (
        ["cmake", "-S", str(ROOT / "mpc"), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release"],
        ["cmake", "--build", str(folder), "--target", "bench_kernel", "-j2"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    binary = next(path for path in folder.rglob("bench_kernel") if path.is_file())
    printed = subprocess.run([str(binary)], check=True, capture_output=True, text=True).stdout
    return dict(json.loads(printed))


def measure_ot_extension(count: int = 1 << 16, times: int = 64) -> dict[str, float]:
    """Correlated OTs a second on one core, each side by itself, and bytes each; ``count`` at a time, as batches do."""
    garbler, evaluator = open_pair()
    taker = Circuit.add(64)  # takes what was made, so that the stores stay as small as in use
    zeros = np.zeros((count // 64, 1), dtype=np.uint64)
    receiving, sending, size = [], [], 0
    for _ in range(times):
        started = time.perf_counter()
        message = evaluator.extend(count)
        receiving.append(time.perf_counter() - started)
        started = time.perf_counter()
        garbler.extend(message)
        sending.append(time.perf_counter() - started)
        size = len(message)
        piece = evaluator.evaluate(taker, count // 64, zeros)
        garbler.garble(taker, count // 64, piece.corrections)
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


def garbled(
    garbler: Garbler, circuit: Circuit, values: Words, mode: Mode, projection: Projection | None
) -> GarbledBatch:
    """The garbler's side of a batch up to its outputs; facing :func:`evaluated`."""
    if mode == "streamed":
        return garbler.garble(circuit, values, projection=projection)
    batch = garbler.prepare(circuit, len(values), projection=projection)
    batch.send_inputs(values)
    return batch


def evaluated(
    evaluator: Evaluator, circuit: Circuit, values: Words, mode: Mode, projection: Projection | None
) -> EvaluatedBatch:
    if mode == "streamed":
        return evaluator.evaluate(circuit, values, projection=projection)
    batch = evaluator.prepare(circuit, len(values), values, projection=projection)
    batch.receive_inputs()
    return batch


def drawn(circuit_widths: list[int], n: int) -> Words:
    return np.stack([uniform_words((n,), width) for width in circuit_widths], axis=1)


def measure_circuit(
    circuit: Circuit,
    count: int,
    transport: Transport,
    mode: Mode,
    projection: Projection | None = None,
    times: int = 5,
) -> dict[str, Any]:
    """``count`` instances in an open session: OTs, both inputs, tables, outputs in shares or to the garbler."""

    def garbler_side(channel: Channel) -> tuple[float, float]:
        garbler = Garbler.open(channel)
        values = drawn(circuit.garbler_widths, count)
        started = time.process_time()
        for _ in range(times):
            channel.recv("go")
            batch = garbled(garbler, circuit, values, mode, projection)
            if projection is None:
                batch.receive_outputs()
            else:
                batch.shares()
            channel.send("done")
        return peak_memory_mb(), (time.process_time() - started) / times

    def evaluator_side(channel: Channel) -> dict[str, Any]:
        evaluator = Evaluator.open(channel)
        values = drawn(circuit.evaluator_widths, count)
        taken = []
        processor = time.process_time()
        for _ in range(times):
            started = time.perf_counter()
            channel.send("go")
            batch = evaluated(evaluator, circuit, values, mode, projection)
            if projection is None:
                batch.return_outputs()
            else:
                batch.shares()
            channel.recv("done")
            taken.append(time.perf_counter() - started)
        return {
            "seconds": min(taken),
            "median_s": statistics.median(taken),
            "evaluator_cpu_s": (time.process_time() - processor) / times,
            "evaluator_memory_mb": peak_memory_mb(),
        }

    (memory, processor), measured = run_two_party(garbler_side, evaluator_side, transport)
    gates = circuit.and_gates * count
    return {
        "transport": transport,
        "mode": mode,
        "circuit": circuit.name,
        "instances": count,
        "and_gates": gates,
        **measured,
        "garbler_cpu_s": processor,
        "garbler_memory_mb": memory,
        "and_per_s": gates / measured["seconds"],
    }


def measure_argmax(transport: Transport, mode: Mode) -> dict[str, Any]:
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
                garbled(garbler, ARGMAX, shares, mode, VOTES).shares()

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
                evaluated(evaluator, ARGMAX, shares, mode, VOTES).shares()
                taken.append(time.perf_counter() - started)
            result[f"batch_{size}_us_each"] = statistics.median(taken[1:]) / size * 1e6
        return result

    return {
        "transport": transport,
        "mode": mode,
        "and_gates": ARGMAX.and_gates,
        **run_two_party(garbler_side, evaluator_side, transport)[1],
    }


def measure_scaling(transport: Transport, largest: int) -> list[dict[str, Any]]:
    """Seconds and memory over instances, for the plot: linear and flat if the engine is what it says."""
    counts = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]
    return [measure_circuit(RELU, count, transport, "streamed", ACTIVATIONS, 3) for count in counts if count <= largest]


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
                    stderr=subprocess.DEVNULL,
                )
                for side in (1, 2)
            ]
            # Given a limit, Python would look only every few ms; the programs have a deadline of their own.
            if any([side.wait() for side in sides]):
                raise RuntimeError(f"{name} failed")
            taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--quick", action="store_true", help="leave out the million-instance run")
    add_flag(parser)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    transports: tuple[Transport, ...] = ("tcp", "tls")
    modes: tuple[Mode, ...] = ("streamed", "prepared")
    pairs = [(transport, mode) for transport in transports for mode in modes]
    links = {transport: measure_link(transport) for transport in transports}
    results: dict[str, Any] = {
        "machine": {"processor": platform.processor() or platform.machine(), "python": platform.python_version()},
        "kernel": measure_kernel(),
        "links": list(links.values()),
        "ot_extension": measure_ot_extension(),
        "relus": [measure_circuit(RELU, 100_000, *pair, ACTIVATIONS) for pair in pairs],
        "gates": [measure_circuit(MULTIPLIER, 8_192, transport, "streamed") for transport in transports],
        "argmax": [measure_argmax(*pair) for pair in pairs],
        "executables_ms": measure_executables(),
        "scaling": measure_scaling("tcp", 100_000 if chosen.quick else 1_000_000),
    }
    for row in (*results["relus"], *results["gates"]):
        row["of_link"] = row["and_per_s"] * TABLE_BYTES / links[row["transport"]]["bytes_per_s"]
    (chosen.out / "engine.json").write_text(json.dumps(results, indent=2) + "\n")
    if chosen.docs:
        write(ENGINE, engine_rows(results))
        write(KERNEL, kernel_rows(results))
    print(table(results))
    plot(results["scaling"], chosen.out / "engine.png")


if __name__ == "__main__":
    main()
