"""Arithmetic on arrays of shares, beside numpy and torch, and against the limits of the hardware.

    python -m benchmarks.tensor_kernels

Everything runs on one core, in turns, and the best of many runs counts. First the stand-alone program ``bench_tensor``
measures the kernels and what the hardware allows. A limit of matrix products is what the multiply instructions alone
take. A limit of key streams is AES itself, and one of packing is a copy of the words in memory. Then the same work is
done from Python by the core, by numpy and by torch, whose results are compared. The program prints a table, and writes
``tensor_kernels.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed_report import TENSOR_KERNELS, add_flag, write
from mpc import _core
from mpc.ring import Words

ROOT = Path(__file__).resolve().parent.parent
COUNT = 1_000_000
RUNS, LEAST_S = 30, 0.5
LIMITS = {
    "matmul 256": "64 bits 256x256x256",
    "matmul 1000": "64 bits 1000x1000x1000",
    "128 x 784 x 128": "64 bits 128x784x128",
    "10^6 words of a key stream": "key stream, fill",
    "planes of 10^6 words of 41 bits": "planes of words, 41 bits",
    "pack 10^6 words of 41 bits": "pack, 41 bits",
    "unpack 10^6 words of 41 bits": "unpack, 41 bits",
    "AND of 64 x 10^6 shared bits": "and layer",
    "product of 10^6 shared words": "multiply layer",
}  # a piece of work, and its name in what bench_tensor prints
Way = Callable[[], Any]


def measure_limits() -> dict[str, Any]:
    """Return what the C++ program prints."""
    folder = ROOT / "build" / "bench"
    for command in (
        ["cmake", "-S", str(ROOT / "mpc"), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release"],
        ["cmake", "--build", str(folder), "--target", "bench_tensor", "-j2"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    binary = next(path for path in folder.rglob("bench_tensor") if path.is_file())
    return dict(json.loads(subprocess.run([str(binary)], check=True, capture_output=True, text=True).stdout))


def torch_of(words: Words) -> torch.Tensor:
    return torch.from_numpy(words.view(np.int64))


def packed_by_numpy(words: Words, bits: int) -> bytes:
    unpacked = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1, count=bits, bitorder="little")
    return np.packbits(unpacked.reshape(-1), bitorder="little").tobytes()


def unpacked_by_numpy(packed: bytes, count: int, bits: int) -> Words:
    unpacked = np.unpackbits(np.frombuffer(packed, np.uint8), count=count * bits, bitorder="little")
    wide = np.zeros((count, 8), np.uint8)
    narrow = np.packbits(unpacked.reshape(count, bits), axis=1, bitorder="little")
    wide[:, : narrow.shape[1]] = narrow
    return wide.view(np.uint64)[:, 0]


def planes_by_numpy(words: Words, bits: int) -> Words:
    unpacked = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1, count=bits, bitorder="little")
    return np.packbits(np.ascontiguousarray(unpacked.T), axis=1, bitorder="little").view(np.uint64)


def products(m: int, k: int, n: int, stream: _core.KeyStream) -> dict[str, Way]:
    a, b = stream.words((m, k)), stream.words((k, n))
    one, two = torch_of(a), torch_of(b)
    return {
        "ours": lambda: _core.matmul_u64(a, b),
        "numpy": lambda: a @ b,
        "torch": lambda: (one @ two).numpy().view(np.uint64),
    }


def works() -> dict[str, dict[str, Way]]:
    """Return each piece of work with the ways to do it, whose results are the same except for random words."""
    stream = _core.KeyStream(os.urandom(32))
    words = stream.words(COUNT)
    d, e, a, b, c = (stream.words(COUNT) for _ in range(5))
    td, te, ta, tb, tc = (torch_of(array) for array in (d, e, a, b, c))
    packed = _core.pack_words(words, 41)
    return {
        "matmul 256": products(256, 256, 256, stream),
        "matmul 1000": products(1000, 1000, 1000, stream),
        "128 x 784 x 128": products(128, 784, 128, stream),
        "10^6 words of a key stream": {
            "ours": lambda: stream.words(COUNT),
            "numpy": lambda: np.frombuffer(os.urandom(8 * COUNT), np.uint64),
        },
        "planes of 10^6 words of 41 bits": {
            "ours": lambda: _core.planes_of_words(words, 41),
            "numpy": lambda: planes_by_numpy(words, 41),
        },
        "pack 10^6 words of 41 bits": {
            "ours": lambda: np.frombuffer(_core.pack_words(words, 41), np.uint8),
            "numpy": lambda: np.frombuffer(packed_by_numpy(words, 41), np.uint8),
        },
        "unpack 10^6 words of 41 bits": {
            "ours": lambda: _core.unpack_words(packed, COUNT, 41),
            "numpy": lambda: unpacked_by_numpy(packed, COUNT, 41),
        },
        "AND of 64 x 10^6 shared bits": {
            "ours": lambda: _core.and_layer(d, e, a, b, c, True),
            "numpy": lambda: c ^ (d & b) ^ (a & e) ^ (d & e),
            "torch": lambda: (tc ^ (td & tb) ^ (ta & te) ^ (td & te)).numpy().view(np.uint64),
        },
        "product of 10^6 shared words": {
            "ours": lambda: _core.multiply_layer(d, e, a, b, c, True),
            "numpy": lambda: c + d * b + a * e + d * e,
            "torch": lambda: (tc + td * tb + ta * te + td * te).numpy().view(np.uint64),
        },
    }


def fastest(way: Way) -> float:
    """Return the milliseconds of the fastest of many runs, by this thread's own time, as others use the machine."""
    best, spent, runs = float("inf"), 0.0, 0
    while runs < RUNS and (spent < LEAST_S or runs < 2):
        started = time.thread_time()
        way()
        took = time.thread_time() - started
        best, spent, runs = min(best, took), spent + took, runs + 1
    return best * 1e3


def measure() -> dict[str, dict[str, float]]:
    """Return milliseconds by work and way. Raises `ValueError` if two ways have different results."""
    torch.set_num_threads(1)
    times: dict[str, dict[str, float]] = {}
    for work, ways in works().items():
        if "key stream" not in work:
            wanted = ways["ours"]()
            for name, way in ways.items():
                if not np.array_equal(wanted, way()):
                    raise ValueError(f"{work}: {name} gives another result than the core")
        times[work] = {name: fastest(way) for name, way in ways.items()}
    return times


def rows_of(results: dict[str, Any]) -> list[list[str]]:
    """Return a row for each piece of work: ours, numpy's and torch's milliseconds, and the share of the limit."""
    limits = results["limits"]
    return [
        [
            work,
            *(
                f"{times[way]:,.{0 if times[way] >= 100 else 2}f}" if way in times else ""
                for way in ("ours", "numpy", "torch")
            ),
            f"{100 * limits[LIMITS[work]]['of limit']:.0f}%",
        ]
        for work, times in results["times"].items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("tensor_kernels.json"), help="where figures are written")
    add_flag(parser)
    arguments = parser.parse_args()
    results = {"limits": measure_limits(), "times": measure()}
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")
    rows = rows_of(results)
    for row in (TENSOR_KERNELS.head, *rows):
        print(f"{row[0]:<34}" + "".join(f"{cell:>20}" for cell in row[1:]))
    if arguments.docs:
        write(TENSOR_KERNELS, rows)


if __name__ == "__main__":
    main()
