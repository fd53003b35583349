"""Common parts of the peers' scripts, for the model's file, the use of a process, and the last line of the result.

They run in the peers' environments, with numpy only and nothing of this project. ``benchmarks/inference/models.py``
writes the file. In it are ``kinds``, the layers in order, ``{index}.{field}``, their numbers, and ``inputs`` with the
float ``logits`` that they give.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Model:
    """Layers ``(kind, numbers)`` of Conv2d, Linear, ReLU and Flatten; a batch of inputs and its logits."""

    layers: list[tuple[str, dict[str, np.ndarray]]]
    inputs: np.ndarray
    logits: np.ndarray

    @classmethod
    def read(cls, path: str, batch: int) -> Model:
        with np.load(path) as file:
            layers = []
            for index, kind in enumerate(file["kinds"]):
                prefix = f"{index}."
                layers.append((str(kind), {k[len(prefix) :]: file[k] for k in file.files if k.startswith(prefix)}))
            return cls(layers, file["inputs"][:batch].astype(np.float32), file["logits"][:batch])


def arguments(protocols: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocol", choices=protocols, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--runs", type=int, required=True)
    return parser.parse_args()


def loopback_bytes() -> int:
    """Sent over the loopback device so far, by anybody, with headers."""
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[8])


def peak_memory_mb() -> float:
    """Largest resident size of this process so far, in 10^6 bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def timed(query: Callable[[], np.ndarray], logits: np.ndarray, runs: int) -> dict[str, Any]:
    """The querying side: one query that does not count, then ``runs`` of them."""
    seconds, sizes, errors = [], [], []
    for _ in range(runs + 1):
        before, started = loopback_bytes(), time.perf_counter()
        found = query()
        seconds.append(time.perf_counter() - started)
        sizes.append(loopback_bytes() - before)
        errors.append(float(np.abs(found - logits).max()))
    return {
        "ms": statistics.median(seconds[1:]) * 1e3,
        "range_ms": [min(seconds[1:]) * 1e3, max(seconds[1:]) * 1e3],
        "first_ms": seconds[0] * 1e3,
        "mb": statistics.median(sizes[1:]) / 1e6,
        "error": max(errors),
        "memory_mb": peak_memory_mb(),
    }


def report(result: dict[str, Any]) -> None:
    print(json.dumps(result), flush=True)
