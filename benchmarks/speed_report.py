"""The tables of ``docs/speed.md``: every benchmark writes its own, when it is called with ``--docs``.

A table stands between two marks that name the benchmark::

    <!-- begin NAME: written by python -m benchmarks.MODULE --docs -->
    | work | ... | taken |
    <!-- end NAME -->

A row is known by its first cells. A row that was measured again takes the place of the old one. A row that was not
measured this time stays, with the day on which it was taken, so that a part of a benchmark can be run alone.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "docs" / "speed.md"
EMPTY = ""


@dataclass(frozen=True)
class Table:
    """One table of the page.

    Attributes:
        name: as in its marks.
        module: of the benchmark that writes it, below ``benchmarks``.
        head: the headings, without the last one, which is always "taken".
        keys: how many of the first cells name a row.
    """

    name: str
    module: str
    head: tuple[str, ...]
    keys: int = 1

    @property
    def begin(self) -> str:
        return f"<!-- begin {self.name}: written by python -m benchmarks.{self.module} --docs -->"

    @property
    def end(self) -> str:
        return f"<!-- end {self.name} -->"

    def find(self, page: str) -> re.Match[str]:
        """Return where the table stands on the page. Raises `ValueError` unless it is there once."""
        found = list(re.finditer(re.escape(self.begin) + "(.*?)" + re.escape(self.end), page, re.DOTALL))
        if len(found) != 1:
            raise ValueError(f"expected one table between the marks of {self.name}, found {len(found)}")
        return found[0]

    def rows(self, page: str) -> list[tuple[str, ...]]:
        """Return the rows that stand on the page, without the head."""
        lines = [line for line in self.find(page)[1].splitlines() if line.startswith("|")]
        return [_cells(line) for line in lines[2:]]

    def replace(self, page: str, measured: Sequence[Sequence[str]], taken: str) -> str:
        """Return the page with the measured rows in the table."""
        rows = {row[: self.keys]: row for row in self.rows(page)}
        for cells in measured:
            if len(cells) != len(self.head):
                raise ValueError(f"expected {len(self.head)} cells in a row of {self.name}, found {len(cells)}")
            rows[tuple(cells[: self.keys])] = (*cells, taken)
        head = (*self.head, "taken")
        lines = [head, tuple("---" for _ in head), *rows.values()]
        text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        place = self.find(page)
        return f"{page[: place.start()]}{self.begin}\n{text}\n{self.end}{page[place.end() :]}"


INFERENCE = Table("inference", "inference", ("work", "peer", "peer ÷ ours", "ours, ms", "of which online, ms"), 2)
SIZES = Table("inference-sizes", "inference", ("work", "program", "MB a query", "largest error", "memory, MB"), 2)
ENGINE = Table("engine", "engine", ("work", "TCP", "TLS"))
KERNEL = Table("kernel", "engine", ("level", "garble, of AES / 4", "evaluate, of AES / 2"))
TABLE_FORMATS = Table(
    "table_formats",
    "table_formats",
    ("link", "ReLUs", "half gates, ms", "three halves, ms", "half gates ÷ three halves"),
    2,
)
THROUGHPUT = Table(
    "throughput", "throughput", ("answering parties", "queries a batch", "masks", "circuits", "labels a minute"), 4
)
CAMPAIGNS = Table(
    "campaigns",
    "campaigns",
    ("configuration", "campaigns", "before", "after", "in the clear", "labels each", "largest epsilon", "s a query"),
)
TENSOR_KERNELS = Table(
    "tensor_kernels", "tensor_kernels", ("work, one core", "ours, ms", "numpy, ms", "torch, ms", "of the limit")
)
TENSORS = Table(
    "tensors",
    "tensors",
    (
        "work", "back-end", "ms", "goal, ms", "CrypTen, trusted first party", "CrypTen, trusted third party",
        "SEMI2K", "ABY3", "Cheetah", "MPyC",
    ),
    2,
)  # fmt: skip
TENSOR_ACCURACY = Table(
    "tensor_accuracy", "tensors", ("work", "back-end", "secret", "in floats", "largest difference of a weight", "ms"), 2
)
TENSOR_NETWORKS = Table("tensor_networks", "tensors", ("network", "work", "program", "ms"), 3)
CKKS = Table(
    "ckks", "ckks", ("set", "work, one core", "ours, ms", "SEAL, ms", "SEAL ÷ ours", "largest error, ours / SEAL"), 2
)
SECURETRAIN = Table("securetrain", "securetrain", ("work", "figure", "ours", "peer", "peer ÷ ours", "goal", "met"), 2)
CKKS_SIZES = Table("ckks_sizes", "ckks", ("set", "what is sent", "ours, MB", "SEAL, MB"), 2)
TABLES = (
    INFERENCE, SIZES, ENGINE, KERNEL, TABLE_FORMATS, THROUGHPUT, CAMPAIGNS, TENSOR_KERNELS, TENSORS, TENSOR_ACCURACY,
    TENSOR_NETWORKS, CKKS, CKKS_SIZES, SECURETRAIN,
)  # fmt: skip

WORK = {
    "cn-relu-1": "CN-ReLU, 1 query, nobody trusted",
    "cn-relu-64": "CN-ReLU, 64 queries, nobody trusted",
    "mlp-1": "digits MLP, 1 query, nobody trusted",
    "cn-relu-1-dealer": "CN-ReLU, 1 query, with a dealer",
    "cn-relu-64-dealer": "CN-ReLU, 64 queries, with a dealer",
    "cn-relu-64-streamed": "CN-ReLU, 64 queries, nobody trusted, streamed",
    "cn-relu-64-dealer-streamed": "CN-ReLU, 64 queries, with a dealer, streamed",
}
PEERS = {
    "spu cheetah": "Cheetah (SPU)",
    "spu semi2k": "SEMI2K (SPU), trusts its first party",
    "spu aby3": "ABY3 (SPU), three parties",
    "crypten third-party": "CrypTen, trusted third party",
    "crypten first-party": "CrypTen, trusts its first party",
}

Row = dict[str, Any]


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Add ``--docs`` to a benchmark's flags."""
    parser.add_argument("--docs", action="store_true", help="also write the figures into docs/speed.md")


def write(table: Table, measured: Sequence[Sequence[str]], page: Path = PAGE) -> None:
    """Put the measured rows into the page, with today and the processor that they were taken on."""
    page.write_text(table.replace(page.read_text(), measured, f"{date.today().isoformat()}, {processor()}"))


def processor(about: Path = Path("/proc/cpuinfo")) -> str:
    """Return this processor's maker and its widest vectors, which decide how fast the engine is."""
    facts = dict(line.split(":", 1) for line in about.read_text().splitlines() if ":" in line) if about.exists() else {}
    known = {name.strip(): text.split() for name, text in facts.items()}
    flags = known.get("flags", [])
    wide = "VAES-512" if {"vaes", "avx512f"} <= {*flags} else "VAES-256" if "vaes" in flags else "no VAES"
    return f"{' '.join(known.get('model name', ['unknown'])[:2])}, {wide}"


def inference_rows(results: Row) -> list[list[str]]:
    """Return the rows of INFERENCE: one for each piece of work and peer that was really measured."""
    rows = []
    for name, row in results.get("rows", {}).items():
        ours = [f"{row['ms']:.1f}", f"{row['online_ms']:.1f}"]
        for peer, found in row["peers"].items():
            if "ratio" in found:
                low, high = found["ratio_range"]
                rows.append([WORK[name], PEERS[peer], f"{found['ratio']:.1f} [{low:.1f}-{high:.1f}]", *ours])
        if not any("ratio" in found for found in row["peers"].values()):
            rows.append([WORK[name], "none beside it", EMPTY, *ours])
    return rows


def size_rows(results: Row) -> list[list[str]]:
    """Return the rows of SIZES: bytes, error and memory, of ours and of every peer that was measured."""
    rows = []
    for name, row in results.get("rows", {}).items():
        memory = max(row["memory_mb"], row["server"]["memory_mb"])
        rows.append([WORK[name], "ours", f"{row['mb'] / row['batch']:.2f}", f"{row['error']:.4f}", f"{memory:.0f}"])
        for peer, found in row["peers"].items():
            if "ratio" in found:
                run = found["runs"][-1]
                memory = max(run["memory_mb"], *run["other_memory_mb"])
                rows.append(
                    [WORK[name], PEERS[peer], f"{run['mb'] / row['batch']:.2f}", f"{run['error']:.4f}", f"{memory:.0f}"]
                )
    return rows


def engine_rows(results: Row) -> list[list[str]]:
    """Return the rows of ENGINE, TCP beside TLS; modes as in :mod:`benchmarks.engine`."""
    cells: dict[str, dict[str, str]] = {}

    def put(work: str, row: Row, text: str) -> None:
        cells.setdefault(work, {})[row["transport"]] = text

    for row in results["links"]:
        put("what the link carries", row, f"{row['bytes_per_s'] / 1e9:.1f} GB/s")
    for row in results["gates"]:
        put("gates alone, two processes", row, f"{row['and_per_s'] / 1e6:.0f} M AND/s")
    for row in results["relus"]:
        work = f"{row['instances']:,} 32-bit ReLUs, shares to shares, {row['mode']}"
        put(work, row, f"{row['seconds'] * 1e3:.0f} ms")
    for row in results["argmax"]:
        put(f"argmax of ten, alone, {row['mode']}", row, f"{row['batch_1_us_each'] / 1e3:.2f} ms")
        for size in (64, 256):
            put(f"argmax of ten, each of {size}, {row['mode']}", row, f"{row[f'batch_{size}_us_each']:.0f} us")
        put("session set-up with base OTs", row, f"{row['setup_ms']:.1f} ms")
    return [[work, both.get("tcp", EMPTY), both.get("tls", EMPTY)] for work, both in cells.items()]


def kernel_rows(results: Row) -> list[list[str]]:
    """Return the row of KERNEL for this processor's level: the range over circuits and instances."""
    kernel = results["kernel"]
    measured = [
        value
        for name, value in kernel.items()
        if isinstance(value, dict) and re.search(r" x (64|256|1024)$", name)  # half gates in whole tiles
    ]
    ranges = []
    for work in ("garble", "evaluate"):
        shares = [100 * value[f"{work}_of_aes"] for value in measured]
        ranges.append(f"{min(shares):.0f}-{max(shares):.0f}%")
    return [[kernel["level"], *ranges]]


def format_rows(links: Row) -> list[list[str]]:
    """Return the rows of TABLE_FORMATS, one a link."""
    return [
        [
            name,
            f"{row['relus']:,}",
            *(
                f"{cell['seconds'] * 1e3:.1f} [{cell['min_s'] * 1e3:.1f}-{cell['max_s'] * 1e3:.1f}]"
                for cell in (row["half-gates"], row["three-halves"])
            ),
            f"{row['gain']:.2f}",
        ]
        for name, row in links.items()
    ]


def throughput_rows(rows: Sequence[Row]) -> list[list[str]]:
    """Return the rows of THROUGHPUT, one a cell."""
    return [
        [
            f"{row['parties']}",
            f"{row['batch']}",
            row["aggregation"],
            row["circuits"],
            f"{row['labels_a_minute']:,.0f}",
        ]
        for row in rows
    ]


def campaign_row(name: str, rows: Sequence[Row]) -> list[str]:
    """Return the row of CAMPAIGNS: the average of the campaigns of one configuration."""

    def mean(key: str) -> float:
        values = [row[key] if not isinstance(row[key], list) else sum(row[key]) / len(row[key]) for row in rows]
        return float(sum(values) / len(values))

    return [
        name,
        f"{len(rows)}",
        *(f"{mean(key):.2f}" for key in ("before", "after", "clear_after")),
        f"{mean('labels'):.0f}",
        f"{max(row['epsilon'] for row in rows):.1f}",
        f"{mean('seconds_a_query'):.2f}",
    ]


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
