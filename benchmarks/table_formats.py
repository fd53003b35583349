"""Half gates against three halves, end to end.

    python -m benchmarks.table_formats

The work is 32-bit ReLUs on shares in a session, with OTs and inputs. Each process has a core of its own. The links are
loopback TCP, TLS, and TLS in a network namespace whose loopback the kernel holds to a rate by a token bucket. Those
last rows need root and iproute2, and are left out without them. The two formats take turns in the same run. The program
writes a table and ``table_formats.json``.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.speed_report import TABLE_FORMATS, add_flag, format_rows, write
from benchmarks.two_party import Transport, run_two_party
from mpc._core import Circuit
from mpc.channels.frames import Channel
from mpc.garbled.batch import Projection
from mpc.garbled.session import Evaluator, Garbler, Tables
from mpc.randomness import uniform_words

RELU = Circuit.relu(32, 0)
FORMATS: tuple[Tables, ...] = ("half-gates", "three-halves")
RUNS = 9
LINKS: tuple[tuple[str, Transport, str | None], ...] = (
    ("TCP", "tcp", None),
    ("TLS", "tls", None),
    ("TLS, 10 Gbit/s", "tls", "10gbit"),
    ("TLS, 2.5 Gbit/s", "tls", "2500mbit"),
    ("TLS, 1 Gbit/s", "tls", "1gbit"),
    ("TLS, 100 Mbit/s", "tls", "100mbit"),
)
NEW_NETWORK = 0x40000000  # CLONE_NEWNET, linux/sched.h


def measure(transport: Transport, count: int) -> dict[str, Any]:
    """Median seconds and bytes from the garbler, by format; the first run of each does not count."""

    def garbler_side(channel: Channel) -> dict[Tables, int]:
        sides = {tables: Garbler.open(channel, tables=tables) for tables in FORMATS}
        shares = uniform_words((count, 1), 32)
        sent: dict[Tables, int] = {}
        for _ in range(RUNS):
            for tables, garbler in sides.items():
                before = sum(step.sent for step in channel.traffic.values())
                channel.recv("go")
                garbler.garble(RELU, shares, projection=Projection(32)).shares()
                channel.send("done")
                sent[tables] = sum(step.sent for step in channel.traffic.values()) - before
        return sent

    def evaluator_side(channel: Channel) -> dict[Tables, list[float]]:
        sides = {tables: Evaluator.open(channel, tables=tables) for tables in FORMATS}
        shares = uniform_words((count, 1), 32)
        taken: dict[Tables, list[float]] = {tables: [] for tables in FORMATS}
        for _ in range(RUNS):
            for tables, evaluator in sides.items():
                started = time.perf_counter()
                channel.send("go")
                evaluator.evaluate(RELU, shares, projection=Projection(32)).shares()
                channel.recv("done")
                taken[tables].append(time.perf_counter() - started)
        return taken

    sent, taken = run_two_party(garbler_side, evaluator_side, transport)
    rows: dict[str, Any] = {
        tables: {
            "seconds": statistics.median(taken[tables][1:]),
            "min_s": min(taken[tables][1:]),
            "max_s": max(taken[tables][1:]),
            "garbler_bytes": sent[tables],
            "and_per_s": RELU.and_gates * count / statistics.median(taken[tables][1:]),
        }
        for tables in FORMATS
    }
    pairs = zip(*(taken[tables][1:] for tables in FORMATS), strict=True)  # neighbours in time
    return {"relus": count, **rows, "gain": statistics.median(half / three for half, three in pairs)}


def measure_shaped(rate: str, count: int) -> dict[str, Any] | str:
    """As :func:`measure` over TLS on a loopback of that rate; what stood in the way if there can be none."""

    def play(pipe: Any) -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK) != 0:
                raise OSError(ctypes.get_errno(), "no network namespace")
            for command in (
                "ip link set lo up",
                f"tc qdisc add dev lo root tbf rate {rate} burst 256kb latency 20ms",
            ):
                subprocess.run(command.split(), check=True, capture_output=True)
            pipe.send(measure("tls", count))
        except (OSError, subprocess.CalledProcessError) as error:
            pipe.send(f"{type(error).__name__}: {error}")

    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=play, args=(sending,))
    process.start()
    sending.close()
    try:
        found: dict[str, Any] | str = receiving.recv()
    except EOFError:
        found = "the process ended without a result"
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "results")
    parser.add_argument("--relus", type=int, default=20_000)
    add_flag(parser)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    links: dict[str, Any] = {}
    print(f"{'link':16} {'half gates, ms':>24} {'three halves, ms':>24} {'gain':>6}")
    for name, transport, rate in LINKS:
        count = chosen.relus if rate != "100mbit" else max(1, chosen.relus // 10)
        row = measure(transport, count) if rate is None else measure_shaped(rate, count)
        if isinstance(row, str):
            print(f"{name}: left out, {row}", file=sys.stderr)
            continue
        links[name] = row
        cells = [
            f"{cell['seconds'] * 1e3:8.1f} [{cell['min_s'] * 1e3:.1f}-{cell['max_s'] * 1e3:.1f}]"
            for cell in (row[tables] for tables in FORMATS)
        ]
        print(f"{name:16} {cells[0]:>24} {cells[1]:>24} {row['gain']:6.2f}", flush=True)
    (chosen.out / "table_formats.json").write_text(json.dumps(links, indent=2) + "\n")
    if chosen.docs:
        write(TABLE_FORMATS, format_rows(links))


if __name__ == "__main__":
    main()
