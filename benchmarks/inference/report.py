"""The results as tables to read (Markdown) and as a plot."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
BEFORE, ONLINE = "offline", "online"


def tables(results: dict[str, Any]) -> str:
    """All sections that were measured."""
    parts = [_peers(results.get("rows", {}))]
    parts += [_bytes(row) for name, row in results.get("rows", {}).items() if row["batch"] == 1]
    parts += [_parties(results["parties"])] if "parties" in results else []
    parts += [_precision(results["precision"])] if "precision" in results else []
    parts += [_lenet(results["lenet"])] if "lenet" in results else []
    return "\n\n".join(part for part in parts if part)


def _peers(rows: dict[str, Row]) -> str:
    lines = []
    for row in rows.values():
        ours = [
            f"{row['ms']:.1f} ({row['online_ms']:.1f})",
            f"{row['mb']:.2f}",
            f"{row['error']:.4f}",
            f"{max(row['memory_mb'], row['server']['memory_mb']):.0f}",
        ]
        for name, peer in row["peers"].items():
            if "missing" in peer:
                lines.append([row["row"], name, peer["missing"], *([""] * 4), *ours])
                continue
            low, high = peer["ratio_range"]
            run = peer["runs"][-1]
            memory = max(run["memory_mb"], *run["other_memory_mb"])
            theirs = [f"{peer['ms']:.1f}", f"{run['mb']:.2f}", f"{run['error']:.4f}", f"{memory:.0f}"]
            ratio = f"{peer['ratio']:.1f} [{low:.1f}-{high:.1f}]"
            lines.append([row["row"], name, ratio, *theirs, *ours])
    head = ["work", "peer", "peer ÷ ours", "peer ms", "MB", "error", "memory MB"]
    return _table([*head, "ours ms (online)", "MB", "error", "memory MB"], lines)


def _bytes(row: Row) -> str:
    """By layer and phase."""
    lines = []
    for phase in (BEFORE, ONLINE):
        sizes = row[f"{phase}_bytes"]
        lines += [[*label.split(": ", 1), phase, f"{size / 1e3:.1f}"] for label, size in sorted(sizes.items()) if size]
        lines.append(["all", "", phase, f"{sum(sizes.values()) / 1e3:.1f}"])
    title = f"{row['row']}: kB of one query, {row['ring_bits']}-bit ring"
    return f"{title}\n\n" + _table(["layer", "what", "phase", "kB"], lines)


def _parties(rows: list[Row]) -> str:
    lines = [
        [
            f"{row['parties']}",
            f"{row['offline_ms']:.1f}",
            f"{row['online_ms']:.1f}",
            f"{row['ms'] / row['parties']:.1f}",
            f"{row['cpu_ms'] / row['parties']:.1f}",
            f"{row['mb'] * row['parties']:.1f}",
            f"{row['memory_mb']:.0f}",
        ]
        for row in rows
    ]
    head = [
        "answering parties",
        "ms before",
        "ms online",
        "ms a party",
        "QP CPU ms a party",
        "MB in all",
        "QP memory MB",
    ]
    return (
        "One query of CN-ReLU to K answering parties, which share the two cores with the querying party\n\n"
        + _table(head, lines)
    )


def _precision(rows: list[Row]) -> str:
    lines = [
        [
            f"{row['model']}",
            f"{row['fraction_bits']}",
            f"{row['ring_bits']}",
            f"{row['rlwe']['degree']}, {row['rlwe']['modulus_bits']} bits",
            f"{row['error']:.5f}",
            "yes",  # measure() raises otherwise
            f"{row['ms']:.1f}",
            f"{row['mb']:.2f}",
        ]
        for row in rows
    ]
    head = ["model", "fraction bits", "ring bits", "ciphertexts", "error", "secret = twin", "ms a query", "MB a query"]
    return _table(head, lines)


def _lenet(row: Row) -> str:
    lines = [
        ["images, secret logits equal to the twin's", f"{row['images']}, {row['logits_equal_to_the_twins']:.1%}"],
        ["accuracy, secret and float", f"{row['accuracy']:.1%}, {row['float_accuracy']:.1%}"],
        ["labels equal to the float's", f"{row['labels_equal_to_the_floats']:.1%}"],
        ["largest error of a logit", f"{row['error']:.4f}"],
        ["an image, both phases, batches of " + str(row["batch"]), f"{row['ms_an_image']:.0f} ms"],
        ["MB an image", f"{row['mb_an_image']:.1f}"],
        ["memory, querying and answering party", f"{row['memory_mb']:.0f}, {row['server']['memory_mb']:.0f} MB"],
    ]
    return _table([f"LeNet-5 on MNIST, {row['ring_bits']}-bit ring", ""], lines)


def _table(head: list[str], lines: Iterable[list[str]]) -> str:
    rows = [head, *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    padded = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([padded[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *padded[1:]])


def plot(results: dict[str, Any], path: Path) -> None:
    """Time beside the peers', bytes by layer, time and bytes over answering parties, error over fraction bits."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(13, 9))
    _plot_peers(axes[0, 0], results.get("rows", {}))
    _plot_bytes(axes[0, 1], results.get("rows", {}))
    _plot_parties(axes[1, 0], results.get("parties", []))
    _plot_precision(axes[1, 1], results.get("precision", []))
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def _plot_peers(axis: Any, rows: dict[str, Row]) -> None:
    bars = []
    for row in rows.values():
        bars.append((f"{row['row']}: ours", row["ms"], "tab:blue"))
        for name, peer in row["peers"].items():
            if "ms" in peer:
                bars.append((f"{row['row']}: {name}", peer["ms"], "tab:orange"))
    names, values, colours = zip(*bars[::-1], strict=True) if bars else ((), (), ())
    axis.barh(names, values, color=colours)
    for place, value in enumerate(values):
        axis.text(value, place, f" {value:.0f}" if value >= 10 else f" {value:.1f}", va="center", fontsize=8)
    axis.set(xscale="log", xlabel="ms, both phases", title="Beside the peers, same model and inputs, two cores")
    axis.tick_params(axis="y", labelsize=8)


def _plot_bytes(axis: Any, rows: dict[str, Row]) -> None:
    row = rows.get("cn-relu-1")
    if row is None:
        return
    left: dict[str, float] = {}
    kinds = sorted({label.split(": ", 1)[1] for phase in (BEFORE, ONLINE) for label in row[f"{phase}_bytes"]})
    for kind in kinds:
        sizes: dict[str, float] = {}
        for phase in (BEFORE, ONLINE):
            for label, size in row[f"{phase}_bytes"].items():
                layer, what = label.split(": ", 1)
                if what == kind:
                    key = f"{layer}, {phase}"
                    sizes[key] = sizes.get(key, 0) + size / 1e3
        axis.barh(list(sizes), list(sizes.values()), left=[left.get(key, 0) for key in sizes], label=kind)
        left.update({key: left.get(key, 0) + size for key, size in sizes.items()})
    axis.set(xlabel="kB", title=f"One query of CN-ReLU, no dealer, {row['mb']:.2f} MB")
    axis.tick_params(axis="y", labelsize=8)
    axis.legend(fontsize=8)


def _plot_parties(axis: Any, rows: list[Row]) -> None:
    parties = [row["parties"] for row in rows]
    for phase, style in ((BEFORE, "o-"), (ONLINE, "s-")):
        axis.plot(parties, [row[f"{phase}_ms"] for row in rows], style, label=f"ms {phase}")
    axis.plot(parties, [row["mb"] * row["parties"] for row in rows], "^--", label="MB in all")
    axis.plot(parties, [row["cpu_ms"] / row["parties"] for row in rows], "d:", label="QP CPU ms a party")
    axis.set(xlabel="answering parties, all on two cores", title="One query of CN-ReLU to K parties", yscale="log")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)


def _plot_precision(axis: Any, rows: list[Row]) -> None:
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        axis.semilogy([row["fraction_bits"] for row in mine], [row["error"] for row in mine], "o-", label=model)
        for row in mine:
            axis.annotate(f"{row['ring_bits']} bits", (row["fraction_bits"], row["error"]), fontsize=7)
    axis.axhline(2e-3, color="grey", linestyle=":", label="0.002")
    axis.set(xlabel="fraction bits", ylabel="largest error of a logit", title="Precision, and the ring that it takes")
    axis.legend(fontsize=8)
