"""The results as tables to read (Markdown), as rows of ``docs/speed.md``, and as a plot."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tensors.networks import NETWORKS
from benchmarks.tensors.parties import Cast
from benchmarks.tensors.peers import PEERS
from benchmarks.tensors.rows import ROWS, Found, Row, ratios

EMPTY = ""
LINKS = tuple(network.title for network in NETWORKS)
TIMES_WITH_MACS = 8  # the goal of a back-end with MACs, as a multiple of the same one without


def spread(values: Sequence[float]) -> str:
    """Return the median with its range."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{_short(middle)} [{_short(low)}-{_short(high)}]" if len(values) > 1 else _short(middle)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def met(row: Row, cast: Cast, found: Found) -> str:
    """Return a back-end's goal, and whether it was met.

    With MACs the goal is a multiple of what the same back-end took without, round by round, where both were measured.
    """
    mine, plain = found[cast.backend], cast.backend.removesuffix("_mac")
    if plain != cast.backend:
        without = found.get(plain, {})
        if not row.with_macs or "ms" not in without:
            return EMPTY
        times = statistics.median(ratios(mine, without))
        return f"{TIMES_WITH_MACS} x {plain}: {'met' if times <= TIMES_WITH_MACS else 'not met'}, {_short(times)} x"
    said = []
    trusting = not cast.nobody_trusted
    if (goal := row.goal_of(cast)) is not None:
        said.append(f"{_short(goal)}: {'met' if statistics.median(mine['ms']) <= goal else 'not met'}")
    if row.goal_mb is not None and trusting:
        said.append(f"{row.goal_mb:g} MB: {'met' if mine['mb'] <= row.goal_mb else 'not met'}")
    if row.beside is not None and trusting and "ms" in (peer := found.get(row.beside[1], {})):
        times = statistics.median(ratios(peer, mine))
        said.append(f"{row.beside[0]:g} x as fast as {row.beside[1]}: {'met' if times >= row.beside[0] else 'not met'}")
    return ", ".join(said)


def goal_rows(rows: Found, casts: Sequence[Cast]) -> list[list[str]]:
    """Return for each work and back-end the time, the goal, and each peer's time as a multiple of ours."""
    lines = []
    for row in ROWS:
        found = rows.get(row.name, {})
        for cast in casts:
            mine = found.get(cast.backend)
            if mine is None:
                continue
            if "missing" in mine:
                lines.append([row.title, cast.backend, mine["missing"], *[EMPTY] * (len(PEERS) + 1)])
                continue
            peers = [found.get(peer.name, {}) for peer in PEERS]
            multiples = [spread(ratios(peer, mine)) if "ms" in peer else EMPTY for peer in peers]
            lines.append([row.title, cast.backend, spread(mine["ms"]), met(row, cast, found), *multiples])
    return lines


def size_rows(rows: Found) -> list[list[str]]:
    """Return for each work and side what it takes beside time."""
    lines = []
    for row in ROWS:
        for name, found in rows.get(row.name, {}).items():
            if "missing" in found:
                lines.append([row.title, name, found["missing"], *[EMPTY] * 5])
                continue
            lines.append(
                [
                    row.title,
                    name,
                    spread(found["ms"]),
                    spread(found["cpu_ms"]),
                    f"{found['mb']:.2f}",
                    EMPTY if found["rounds"] is None else str(found["rounds"]),
                    f"{max(found['memory_mb'].values()):.0f}",
                    f"{found['error']:.5f}",
                ]
            )
    return lines


def accuracy_rows(works: Found) -> list[list[str]]:
    """Return the accuracy of each training, and of the same one in floats."""
    lines = []
    for title, found in works.items():
        for backend, mine in found.items():
            if "missing" in mine:
                lines.append([title, backend, mine["missing"], EMPTY, EMPTY, EMPTY])
                continue
            cells = [f"{mine[key]:.3f}" for key in ("accuracy", "twin_accuracy")]
            lines.append([title, backend, *cells, f"{mine['error']:.5f}", _short(mine["ms"][0])])
    return lines


def parties_rows(works: Found) -> list[list[str]]:
    lines = []
    for title, mine in works.items():
        if "missing" in mine:
            lines.append([title, mine["missing"], EMPTY, EMPTY, EMPTY, EMPTY])
            continue
        memory = max(mine["memory_mb"].values())
        cells = [spread(mine["ms"]), spread(mine["cpu_ms"]), f"{mine['mb']:.2f}", str(mine["rounds"]), f"{memory:.0f}"]
        lines.append([title, *cells])
    return lines


def batch_rows(works: Found) -> list[list[str]]:
    lines = []
    for batch, found in works.items():
        for backend, mine in found.items():
            if "missing" in mine:
                lines.append([batch, backend, mine["missing"], EMPTY, EMPTY, EMPTY])
                continue
            each = f"{statistics.median(mine['ms']) / int(batch):.2f}"
            lines.append([batch, backend, spread(mine["ms"]), each, f"{mine['mb']:.2f}", str(mine["rounds"])])
    return lines


def network_rows(networks: Found) -> list[list[str]]:
    """Return the milliseconds of each side on each network, one line a network and work."""
    titles = {row.name: row.title for row in ROWS}
    lines = []
    for network, works in networks.items():
        if network not in LINKS:
            continue
        for work, found in works.items():
            for name, mine in found.items():
                cell = mine["missing"] if "missing" in mine else spread(mine["ms"])
                lines.append([network, titles[work], name, cell])
    return lines


def tables(results: Found, casts: Sequence[Cast]) -> str:
    """Return all sections that were measured."""
    rows = results.get("rows", {})
    peers = [f"{peer.name} ÷ ours" for peer in PEERS]
    parts = [
        _table(
            "Goals, and peers in the same rounds",
            ["work", "back-end", "ms", "goal, ms", *peers],
            goal_rows(rows, casts),
        ),
        _table(
            "What each takes. CPU time is that of all processes, and bytes are those on the loopback device",
            ["work", "program", "ms", "CPU ms", "MB", "rounds", "memory of a party, MB", "largest error"],
            size_rows(rows),
        ),
        _table(
            "Accuracy on records held out",
            ["work", "back-end", "secret", "in floats", "largest difference of a weight", "ms"],
            accuracy_rows(results.get("accuracy", {})),
        ),
        _table(
            "More parties",
            ["back-end, parties, work", "ms", "CPU ms", "MB", "rounds", "memory of a party, MB"],
            parties_rows(results.get("parties", {})),
        ),
        _table(
            "A step of MLP 784-128-10",
            ["batch", "back-end", "ms", "ms an image", "MB", "rounds"],
            batch_rows(results.get("batches", {})),
        ),
        _table("Networks", ["network", "work", "program", "ms"], network_rows(results.get("networks", {}))),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(title: str, head: list[str], lines: Iterable[list[str]]) -> str:
    rows = [head, *lines]
    if len(rows) == 1:
        return EMPTY
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    padded = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join(
        [title, EMPTY, padded[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *padded[1:]]
    )


def plot(results: Found, path: Path) -> None:
    """Draw the time beside the peers', and time against parties, batch and network."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(15, 11))
    _plot_rows(axes[0, 0], results.get("rows", {}))
    _plot_parties(axes[0, 1], results.get("parties", {}))
    _plot_batches(axes[1, 0], results.get("batches", {}))
    _plot_networks(axes[1, 1], results.get("networks", {}))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _plot_rows(axis: Any, rows: Found) -> None:
    works = [row for row in ROWS if any("ms" in found for found in rows.get(row.name, {}).values())]
    names = list(dict.fromkeys(name for row in works for name in rows[row.name]))
    for place, name in enumerate(names):
        mine = [
            (height, rows[row.name][name]) for height, row in enumerate(works) if "ms" in rows[row.name].get(name, {})
        ]
        heights = [-height - 0.8 * (place + 0.5) / len(names) for height, _ in mine]
        axis.barh(heights, [statistics.median(found["ms"]) for _, found in mine], 0.8 / len(names), label=name)
    axis.set_yticks([-height - 0.4 for height in range(len(works))], [row.title for row in works])
    axis.set(xscale="log", xlabel="ms, preprocessing counted", title="Beside the peers, in the same rounds")
    if names:
        axis.legend(fontsize=8)


def _plot_parties(axis: Any, works: Found) -> None:
    lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for title, mine in works.items():
        if "ms" in mine:
            backend, _, work = title.split(", ")
            lines.setdefault((backend, work), []).append((mine["count"], statistics.median(mine["ms"])))
    for (backend, work), points in lines.items():
        axis.plot(*zip(*points, strict=True), "o-", label=f"{backend}, {work}")
    axis.set(xlabel="computing parties, all on this machine", ylabel="ms", yscale="log", title="Cost against parties")
    axis.grid(alpha=0.3)
    if lines:
        axis.legend(fontsize=8)


def _plot_batches(axis: Any, works: Found) -> None:
    names = list(dict.fromkeys(name for found in works.values() for name in found))
    for name in names:
        mine = [(int(batch), found[name]) for batch, found in works.items() if "ms" in found.get(name, {})]
        axis.plot([batch for batch, _ in mine], [statistics.median(found["ms"]) for _, found in mine], "o-", label=name)
    axis.set(xlabel="images a batch", ylabel="ms", xscale="log", yscale="log", title="A step of MLP 784-128-10")
    axis.grid(alpha=0.3)
    if names:
        axis.legend(fontsize=8)


def _plot_networks(axis: Any, networks: Found) -> None:
    titles = [title for title in networks if title in LINKS]
    lines = {(work, name) for title in titles for work, found in networks[title].items() for name in found}
    for work, name in sorted(lines):
        mine = [networks[title].get(work, {}).get(name, {}) for title in titles]
        times = [statistics.median(found["ms"]) if "ms" in found else float("nan") for found in mine]
        axis.plot(titles, times, "o-" if work == "mlp" else "s--", label=f"{work}: {name}")
    axis.set(ylabel="ms", yscale="log", title="Networks")
    axis.tick_params(axis="x", labelrotation=15, labelsize=8)
    axis.grid(alpha=0.3)
    if lines:
        axis.legend(fontsize=8)
