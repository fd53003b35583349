"""The figures of :mod:`benchmarks.engine` for readers, as a table with the need beside each figure, and as a plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

Row = tuple[str, str, str, str]  # work, figure, what it is held against, figure over that


def table(results: dict[str, Any]) -> str:
    """Fixed-width lines; the last column is above 1 where a rate, below 1 where a time keeps its need."""
    rows: list[Row] = [("work", "figure", "need or limit", "ratio")]
    rows += [*_kernel(results["kernel"]), *_links(results)]
    for row in results["relus"]:
        work = f"{row['instances']:,} {row['circuit']}, {row['transport']}, {row['mode']}"
        rows.append(_time(work, row["seconds"] * 1e3, "ms", 150))
        rows.append(("  processor, garbler / evaluator", _both(row, "cpu_s", 1e3, "ms"), "", ""))
        rows.append(("  peak memory, garbler / evaluator", _both(row, "memory_mb", 1, "MB"), "", ""))
    for row in results["gates"]:
        need = {"tcp": 100, "tls": 35}[row["transport"]]
        rows.append(_rate(f"gates alone, {row['transport']}", row["and_per_s"] / 1e6, "M AND/s", need))
        rows.append(("  of what the link carries", f"{row['of_link']:.0%}", "80%", f"{row['of_link'] / 0.8:.2f}"))
    for row in results["argmax"]:
        place = f"{row['transport']}, {row['mode']}"
        rows.append(_time(f"argmax of ten, alone, {place}", row["batch_1_us_each"] / 1e3, "ms", 1))
        rows.extend(
            _time(f"argmax of ten, each of {size}, {place}", row[f"batch_{size}_us_each"], "us", 40)
            for size in (64, 256)
        )
        rows.append(_time(f"session set-up, {row['transport']}", row["setup_ms"], "ms", 60))
    rows += [_time(f"mpc/bin/{name}, whole run", taken, "ms", 25) for name, taken in results["executables_ms"].items()]
    for row in results["scaling"]:
        seconds = f"{row['seconds'] * 1e3:,.2f} ms, {row['seconds'] / row['instances'] * 1e6:.2f} us each"
        rows.append((f"{row['instances']:,} {row['circuit']}, streamed", seconds, "", ""))
        rows.append(("  peak memory, garbler / evaluator", _both(row, "memory_mb", 1, "MB"), "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{work:<{widths[0]}}  {figure:>{widths[1]}}  {need:>{widths[2]}}  {ratio:>{widths[3]}}".rstrip()
        for work, figure, need, ratio in rows
    )


def _kernel(kernel: dict[str, Any]) -> list[Row]:
    rows = [(f"AES-128, one core, {kernel['level']}", f"{kernel['aes_mblocks_per_s']:,.0f} M blocks/s", "", "")]
    for name, measured in kernel.items():
        if not name.startswith("relu") or not name.endswith(" x 64"):
            continue
        for work, need in (("garble", 0.55), ("evaluate", 0.50)):
            share = measured[f"{work}_of_aes"]
            figure = f"{measured[f'{work}_mand_per_s']:,.0f} M AND/s"
            rows.append((f"{work}, one core, of AES", f"{figure}, {share:.0%}", f"{need:.0%}", f"{share / need:.2f}"))
    return rows


def _links(results: dict[str, Any]) -> list[Row]:
    rows = [
        (
            f"{link['transport']} link, frames of the engine's size",
            f"{link['bytes_per_s'] / 1e9:.2f} GB/s, round trip {link['round_trip_us']:.0f} us",
            "",
            "",
        )
        for link in results["links"]
    ]
    extension = results["ot_extension"]
    rows += [
        _rate(f"OT extension, {side}, from Python", extension[f"{side}_per_s"] / 1e6, "M/s", 60)
        for side in ("sender", "receiver")
    ]
    size = extension["bytes_each"]
    return [*rows, ("  bytes an OT", f"{size:.2f}", "4", f"{size / 4:.2f}")]


def _rate(work: str, figure: float, unit: str, need: float) -> Row:
    return work, f"{figure:,.0f} {unit}", f">= {need:g} {unit}", f"{figure / need:.2f}"


def _time(work: str, figure: float, unit: str, need: float) -> Row:
    return work, f"{figure:,.2f} {unit}", f"<= {need:g} {unit}", f"{figure / need:.2f}"


def _both(row: dict[str, Any], what: str, scale: float, unit: str) -> str:
    return f"{row[f'garbler_{what}'] * scale:,.0f} / {row[f'evaluator_{what}'] * scale:,.0f} {unit}"


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Time and memory over instances."""
    counts = [row["instances"] for row in rows]
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.2))
    axes[0].loglog(counts, [row["seconds"] for row in rows], "o-")
    axes[0].set(xlabel="32-bit ReLUs on shares", ylabel="seconds, both processes, TCP", title="Cost over instances")
    for side in ("garbler", "evaluator"):
        axes[1].semilogx(counts, [row[f"{side}_memory_mb"] for row in rows], "o-", label=side)
    axes[1].set(xlabel="32-bit ReLUs on shares", ylabel="peak memory, MB", title="Memory over instances")
    axes[1].set_ylim(bottom=0)
    axes[1].legend()
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
