"""Private inference, whole models, two processes on two cores over TLS: ``python -m benchmarks.inference``.

For each model and batch: milliseconds before the query (preprocessing) and after it (online), bytes by layer and phase,
memory, error against floating point; the secret logits must equal the fixed-point twin's. Then one query to several
answering parties at once. Writes a table, ``inference.json`` and ``inference.png``.

``--peer NAME=PYTHON:SCRIPT`` runs another implementation before and after each measurement, in its own environment:
``PYTHON SCRIPT --model MODEL --batch N`` must print, as its last line, JSON with ``ms`` and, if known, more.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.two_party import peak_memory_mb, run_many, run_with_dealer
from mpc.channel import Channel
from mpc.garbled import Evaluator, Garbler
from mpc.inference import (
    AnsweringInference,
    Conv2d,
    Dealer,
    Flatten,
    Linear,
    Network,
    QueryingInference,
    ReLU,
    dealer_give_seeds,
    querying_take_seeds,
)
from mpc.parameters import Preprocessing
from tests.inference.examples import Agreement, float_logits, uniform

ROOT = Path(__file__).resolve().parent.parent
SESSION_QUERIES = 2048
FRACTION_BITS = 13
Bytes = dict[str, int]


def cn_relu(rng: np.random.Generator) -> tuple[list[object], tuple[int, ...]]:
    """28x28; convolution 5x5, stride 2, to 5x13x13; ReLU; 845-100; ReLU; 100-10."""
    return [
        Conv2d(uniform(rng, 5, 1, 5, 5), uniform(rng, 5), stride=2, padding=1),
        ReLU(),
        Flatten(),
        Linear(uniform(rng, 100, 845), uniform(rng, 100)),
        ReLU(),
        Linear(3 * uniform(rng, 10, 100), uniform(rng, 10)),
    ], (1, 28, 28)


def mlp(rng: np.random.Generator) -> tuple[list[object], tuple[int, ...]]:
    """8x8 digits: 64-32-10."""
    return [
        Linear(uniform(rng, 32, 64), uniform(rng, 32)),
        ReLU(),
        Linear(uniform(rng, 10, 32), uniform(rng, 10)),
    ], (64,)


MODELS = {"cn-relu": cn_relu, "mlp": mlp}


@dataclass
class Meter:
    """Bytes that a channel carried in both directions, by label."""

    channel: Channel
    seen: Bytes

    @classmethod
    def on(cls, channel: Channel) -> Meter:
        meter = cls(channel, defaultdict(int))
        send, recv = channel.send, channel.recv

        def counted_send(label: str, *parts: Any) -> None:
            meter.seen[_phase(label)] += sum(memoryview(part).nbytes for part in parts)
            send(label, *parts)

        def counted_recv(label: str, *arguments: Any, **named: Any) -> memoryview:
            body = recv(label, *arguments, **named)
            meter.seen[_phase(label)] += len(body)
            return body

        channel.send, channel.recv = counted_send, counted_recv  # type: ignore[method-assign]
        return meter

    def take(self) -> Bytes:
        seen, self.seen = dict(self.seen), defaultdict(int)
        return seen


def _phase(label: str) -> str:
    """A label without the number of the batch that is in it."""
    return re.sub(r"^garbled/\d+/", "garbled/", re.sub(r"/\d+(/late)?/(?=[a-z]+$)", "/", label))


def measure(
    name: str, batch: int, repetitions: int, parties: int = 1, preprocessing: Preprocessing = "he"
) -> dict[str, Any]:
    """One model, ``batch`` queries at a time, to ``parties`` answering parties at once; one if there is a dealer."""
    layers, shape = MODELS[name](np.random.default_rng(0))
    network = Network.from_layers(
        layers, shape, fraction_bits=FRACTION_BITS, ring_bits=None, session_queries=SESSION_QUERIES
    )
    reals = np.random.default_rng(1).uniform(0, 1, (batch, *shape))
    queries, agreement = network.encode_inputs(reals), Agreement.of(network)

    dealt = preprocessing == "dealer"

    def deal(channels: list[Channel]) -> None:
        dealer = Dealer.open(channels[1], *dealer_give_seeds(channels[0], 1))
        for _ in range(repetitions + 1):
            dealer.deal(dealer.next())

    def answer(channels: list[Channel]) -> dict[str, Any]:
        guardian = channels.pop() if dealt else None

        def one(channel: Channel) -> Any:
            inference = AnsweringInference.open(channel, Garbler.open(channel), network, agreement, dealer=guardian)
            shares = None
            for _ in range(repetitions + 1):
                correlation = inference.prepare(batch)
                channel.send("ready")
                shares = inference.infer(correlation)
                channel.send("done")
            return shares

        return {"shares": _at_once(one, channels), "memory_mb": peak_memory_mb()}

    def ask(channels: list[Channel]) -> dict[str, Any]:
        meters = [Meter.on(channel) for channel in channels]
        guardian = channels.pop() if dealt else None
        started = time.perf_counter()
        seed = querying_take_seeds(guardian, 1)[0] if guardian else None
        sides = _at_once(
            lambda channel: QueryingInference.open(channel, Evaluator.open(channel), agreement, dealt=seed),
            channels,
        )
        open_ms = (time.perf_counter() - started) * 1e3
        opening = _each(meters, parties)
        pairs = dict(zip(channels, sides, strict=True))

        def prepare(channel: Channel) -> Any:
            correlation = pairs[channel].prepare(batch)
            channel.recv("ready", 0)
            return correlation

        def infer(channel: Channel) -> Any:
            shares = pairs[channel].infer(prepared[channel], queries)
            channel.recv("done", 0)
            return shares

        offline_ms, online_ms, offline, online, shares = [], [], {}, {}, None
        cpu = time.process_time()
        for _ in range(repetitions + 1):
            started = time.perf_counter()
            prepared = dict(zip(channels, _at_once(prepare, channels), strict=True))
            ready = time.perf_counter()
            offline = _each(meters, parties)
            shares = _at_once(infer, channels)
            online_ms.append((time.perf_counter() - ready) * 1e3)
            offline_ms.append((ready - started) * 1e3)
            online = _each(meters, parties)
        return {
            "shares": shares,
            "open_ms": open_ms,
            "open_bytes": opening,
            "first_ms": offline_ms[0] + online_ms[0],
            "offline_ms": statistics.median(offline_ms[1:]),
            "online_ms": statistics.median(online_ms[1:]),
            "range_ms": [f([a + b for a, b in zip(offline_ms[1:], online_ms[1:], strict=True)]) for f in (min, max)],
            "offline_bytes": offline,
            "online_bytes": online,
            "client_cpu_ms": (time.process_time() - cpu) / (repetitions + 1) * 1e3,
            "memory_mb": peak_memory_mb(),
        }

    served, asked = run_with_dealer(deal, answer, ask)[1:] if dealt else run_many(answer, ask, parties)
    for left, right in zip(asked.pop("shares"), served["shares"], strict=True):
        logits = network.ring.add(left, right)
        assert (network.ring.signed(logits) == network.run_clear(queries)).all(), "the secret logits are not the twin's"
    error = np.abs(network.decode_logits(network.run_clear(queries)) - float_logits(layers, reals)).max()
    parameters = network.architecture.rlwe()
    return {
        "model": name,
        "batch": batch,
        "parties": parties,
        "preprocessing": preprocessing,
        "ms": asked["offline_ms"] + asked["online_ms"],
        "mb": (sum(asked["offline_bytes"].values()) + sum(asked["online_bytes"].values())) / 1e6,
        "error": float(error),
        "server_memory_mb": served["memory_mb"],
        "ring_bits": network.architecture.ring_bits,
        "rlwe": {"degree": parameters.degree, "modulus_bits": parameters.modulus_bits},
        **asked,
    }


def _each(meters: list[Meter], parties: int) -> Bytes:
    """What was carried to one answering party, and the dealer; all meters are emptied."""
    seen = [meter.take() for meter in meters]
    return {label: size for part in (seen[0], *seen[parties:]) for label, size in part.items()}


def _at_once(step: Callable[[Channel], Any], channels: list[Channel]) -> list[Any]:
    """A step with every peer, each in a thread; the first error is raised."""
    results: list[Any] = [None] * len(channels)
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            results[index] = step(channels[index])
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(1, len(channels))]
    for thread in threads:
        thread.start()
    run(0)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def measure_peer(command: str, name: str, batch: int) -> dict[str, Any]:
    """What a peer's script prints, see the module."""
    python, script = command.split(":", 1)
    run = subprocess.run(
        [python, script, "--model", name, "--batch", str(batch)], capture_output=True, text=True, check=False
    )
    if run.returncode:
        return {"failed": run.stderr.strip().splitlines()[-1:] or ["no message"]}
    return dict(json.loads(run.stdout.strip().splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--parties", type=int, nargs="*", default=[1, 3, 10])
    parser.add_argument("--dealer_batches", type=int, nargs="*", default=[1, 64])
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON:SCRIPT")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    peers = dict(peer.split("=", 1) for peer in chosen.peer)
    rows = []
    for name in MODELS:
        for batch in chosen.batches:
            repetitions = max(3, min(chosen.repetitions, SESSION_QUERIES // batch - 1, 15 * 16 // batch))
            before = {peer: measure_peer(command, name, batch) for peer, command in peers.items()}
            row = measure(name, batch, repetitions)
            row["peers"] = {peer: [before[peer], measure_peer(command, name, batch)] for peer, command in peers.items()}
            rows.append(row)
            _print(row)
    rows += [_print(measure("cn-relu", batch, 9, preprocessing="dealer")) for batch in chosen.dealer_batches]
    many = [measure("cn-relu", 1, 5, parties) for parties in chosen.parties]
    for row in many:
        _print(row)
    (chosen.out / "inference.json").write_text(json.dumps({"models": rows, "parties": many}, indent=2) + "\n")
    _plot(rows, many, chosen.out / "inference.png")


def _print(row: dict[str, Any]) -> dict[str, Any]:
    what = f"{row['model']}, {row['preprocessing']}, {row['batch']} queries, {row['parties']} parties"
    print(
        f"{what}: {row['offline_ms']:.1f} ms before + {row['online_ms']:.1f} ms online; {row['mb']:.3f} MB each; "
        f"error {row['error']:.4f}; set-up {row['open_ms']:.0f} ms; "
        f"memory {row['memory_mb']:.0f} + {row['server_memory_mb']:.0f} MB"
    )
    if row["parties"] == 1 and row["batch"] == 1:
        for phase in ("offline", "online"):
            parts = ", ".join(f"{label} {size / 1e3:.1f}" for label, size in sorted(row[f"{phase}_bytes"].items()))
            print(f"    {phase} kB: {parts}")
    for peer, runs in row.get("peers", {}).items():
        times = [run["ms"] for run in runs if "ms" in run]
        ratio = f"{statistics.mean(times) / row['ms']:.2f} times our time" if times else str(runs[0])
        print(f"    {peer}: {ratio}")
    return row


def _plot(rows: list[dict[str, Any]], many: list[dict[str, Any]], path: Path) -> None:
    try:
        import matplotlib
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.2))
    for name in MODELS:
        mine = [row for row in rows if row["model"] == name and row["preprocessing"] == "he"]
        for phase, style in (("offline_ms", "o-"), ("online_ms", "s--")):
            times = [row[phase] / row["batch"] for row in mine]
            axes[0].loglog([row["batch"] for row in mine], times, style, label=f"{name}, {phase[:-3]}")
    axes[0].set(xlabel="queries in a batch", ylabel="ms a query, both processes, TLS", title="Time over batch size")
    for phase, style in (("offline_ms", "o-"), ("online_ms", "s--")):
        axes[1].plot([row["parties"] for row in many], [row[phase] for row in many], style, label=phase[:-3])
    axes[1].set(xlabel="answering parties", ylabel="ms", title="CN-ReLU, one query")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
