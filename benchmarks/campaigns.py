"""Campaigns with the real cryptography, beside the same in the clear.

    python -m benchmarks.campaigns [--seeds 1]

For each experiment seed the configuration runs as real programs, with accounts of its own, and as
:mod:`parties.capc.simulation`. Both have the same parts, models, choices and votes, and noise of the same distribution.
The table, ``campaigns-NAME.json`` and ``.png`` hold the accuracy before and after for each querying party, the epsilon,
and the seconds of a query with the steps that took them. Seeds that were measured stay in the file until they are
measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.runs import ROOT, Seconds, querying, run
from benchmarks.speed_report import CAMPAIGNS, add_flag, campaign_row, write
from parties.capc.campaign import Accuracy
from parties.capc.config import CapcConfig
from parties.capc.simulation import simulate

Row = dict[str, Any]


def overall(accuracy: Accuracy | None) -> float:
    """Return the share that is right in all, of a campaign whose held-out records have labels."""
    if accuracy is None:
        raise SystemExit("expected held-out records with labels, found none")
    return accuracy.overall


def measure(config: Path, folder: Path, start_port: int, seed: int, draws: int) -> list[Row]:
    """One seed: a row for each querying party. The clear twin's figures are the mean of so many draws of the noise."""
    began = time.monotonic()
    done = run(folder / f"seed-{seed}", start_port, ["--config", str(config.resolve()), "--seed", str(seed)])
    took_s = time.monotonic() - began
    keys = yaml.safe_load(config.read_text())["capc"]
    keys["data_dir"] = keys.get("data_dir") or os.environ.get("CAPC_DATA_DIR")
    clear = [simulate(CapcConfig(**keys | {"seed": seed})) for _ in range(draws)]
    rows = []
    for place, report in enumerate(done.result["result"].get("reports", [done.result["result"]])):
        party = report["querying_party"]
        events = done.events.get(f"client-{party}", done.events.get("client"))
        if events is None:
            raise SystemExit(f"expected events of querying party {party}, found {', '.join(done.events)}")
        seconds, by_step = querying(events)
        twins = [campaigns[place] for campaigns in clear]
        asked = len(report["queries"])
        rows.append(
            {
                "seed": seed,
                "querying_party": party,
                "parties": report["n_parties"],
                "before": report["accuracy"]["before"],
                "after": report["accuracy"]["after"],
                "clear_before": overall(twins[0].before),
                "clear_after": [overall(twin.after) for twin in twins],
                "labels": report["answered"],
                "abstained": report["abstained"],
                "label_accuracy": report["label_accuracy"],
                "epsilon": report["epsilon_total"],
                "run_seconds": took_s,
                "seconds_a_query": seconds / asked,
                "seconds_a_query_by_step": {step: part / asked for step, part in by_step.items()},
            }
        )
    return rows


def table(rows: list[Row]) -> str:
    """A line for each campaign, and the averages that count."""
    lines = ["seed party   before    after  gain   in the clear  labels  right   epsilon  s a query"]
    for row in rows:
        right = "-" if row["label_accuracy"] is None else f"{row['label_accuracy']:.0%}"
        lines.append(
            f"{row['seed']:4d} {row['querying_party']:5d}   {row['before']:6.3f}   {row['after']:6.3f} "
            f"{100 * (row['after'] - row['before']):+5.1f} {np.mean(row['clear_after']):14.3f} {row['labels']:7d} "
            f"{right:>6s} {row['epsilon']:9.3f} {row['seconds_a_query']:10.3f}"
        )
    before, after, clear, query = (
        float(np.mean([np.mean(row[key]) for row in rows]))
        for key in ("before", "after", "clear_after", "seconds_a_query")
    )
    lines += [
        f"average: {before:.3f} -> {after:.3f}, {100 * (after - before):+.1f} points; in the clear {clear:.3f}, "
        f"{100 * (after - clear):+.1f} points from it; largest epsilon {max(row['epsilon'] for row in rows):.3f}",
        f"{query:.3f} s a query with {rows[0]['parties']} answering parties on {os.cpu_count()} cores, of which",
        *(f"    {part:.3f} s  {step}" for step, part in _average_split(rows).items() if part > 0.01 * query),
    ]
    return "\n".join(lines)


def _average_split(rows: list[Row]) -> Seconds:
    steps = sorted({step for row in rows for step in row["seconds_a_query_by_step"]})
    split = {step: float(np.mean([row["seconds_a_query_by_step"].get(step, 0.0) for row in rows])) for step in steps}
    return dict(sorted(split.items(), key=lambda item: -item[1]))


def plot(rows: list[Row], title: str, path: Path) -> None:
    """Before and after for every campaign, real beside clear, and where a query's seconds go."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (gains, split) = pyplot.subplots(1, 2, figsize=(13, 4.4), gridspec_kw={"width_ratios": (3, 2)})
    places = np.arange(len(rows))
    for place, row in zip(places, rows, strict=True):
        gains.plot([place, place], [row["before"], row["after"]], color="tab:gray", linewidth=2, zorder=1)
    gains.scatter(places, [row["before"] for row in rows], color="tab:blue", label="before", zorder=2)
    gains.scatter(places, [row["after"] for row in rows], color="tab:orange", label="after, real protocol", zorder=3)
    draws = [(place, after) for place, row in zip(places, rows, strict=True) for after in row["clear_after"]]
    beside, clear = [place + 0.2 for place, _ in draws], [after for _, after in draws]
    gains.scatter(beside, clear, color="tab:green", marker="x", s=25, label="after, in the clear")
    gains.set_xticks(places, [f"{row['seed']}\n{row['querying_party']}" for row in rows])
    gains.set(xlabel="experiment seed, querying party", ylabel="accuracy on held-out records", title=title)
    gains.grid(alpha=0.3, axis="y")
    gains.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, frameon=False)
    steps = dict(reversed(_average_split(rows).items()))
    split.barh(list(steps), list(steps.values()), color="tab:gray")
    split.set(xlabel="seconds a query", title=f"A query's seconds, {rows[0]['parties']} answering parties")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "hospitals.yaml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--draws", type=int, default=3, help="draws of the noise in the clear")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--start_port", type=int, default=23700)
    add_flag(parser)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    name = f"campaigns-{chosen.config.stem}"
    file = chosen.out / f"{name}.json"
    rows: list[Row] = json.loads(file.read_text()) if file.exists() else []
    for seed in chosen.seeds:
        with tempfile.TemporaryDirectory() as folder:
            measured = measure(chosen.config, Path(folder), chosen.start_port, seed, chosen.draws)
        rows = [row for row in rows if row["seed"] != seed] + measured
        rows.sort(key=lambda row: (row["seed"], row["querying_party"]))
        file.write_text(json.dumps(rows, indent=2) + "\n")
    plot(rows, chosen.config.stem, chosen.out / f"{name}.png")
    if chosen.docs:
        write(CAMPAIGNS, [campaign_row(chosen.config.name, rows)])
    print(table(rows))


if __name__ == "__main__":
    main()
