"""Labels a minute, by the number of answering parties and of queries in a batch.

    python -m benchmarks.throughput [--parties 20 --batches 64]

Every cell is a run of the real programs, with one process for each party and TLS between them. The time includes the
preprocessing, but not training, set-up and the first batch. The program writes a table, ``throughput.json`` and a plot.
Cells that were measured stay in the file until they are measured again, so that a table can come about cell by cell.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from itertools import groupby, product
from operator import itemgetter
from pathlib import Path
from typing import Any

from benchmarks.runs import ROOT, querying, run
from benchmarks.speed_report import THROUGHPUT, add_flag, throughput_rows, write

MODEL = "sklearn-mlp"  # 64-32-10 on digits, as the default model, and trained in a tenth of its time
FEWEST_BATCHES = 2
TEST_IMAGES = 360
SECONDS_A_CELL = 15.0

Row = dict[str, Any]


def measure(
    folder: Path, start_port: int, aggregation: str, circuits: str, parties: int, batch: int, batches: int | None
) -> Row:
    """One cell; without a number of batches as many as take about SECONDS_A_CELL, found by a run of two."""

    def ask(times: int) -> Row:
        count = batch * times  # after one batch that is not counted
        flags = ["--n_parties", str(parties), "--models", MODEL, "--aggregation", aggregation]
        flags += ["--circuits", circuits]
        flags += ["--n_queries", str(count + batch), "--batch_size", str(batch)]
        place = folder / f"{parties}-parties"  # keeps the models, not the accounts: long ones take longer to add up
        shutil.rmtree(place / "files" / "durable", ignore_errors=True)
        done = run(place, start_port, flags)
        seconds, by_step = querying(done.events["client"], skipped=1)
        return {
            "aggregation": aggregation,
            "circuits": circuits,
            "parties": parties,
            "batch": batch,
            "queries": count,
            "seconds": seconds,
            "labels_a_minute": 60 * count / seconds,
            "ms_a_query": 1e3 * seconds / count,
            "ms_a_query_and_party": 1e3 * seconds / count / parties,
            "ms_a_query_by_step": {step: 1e3 * part / count for step, part in by_step.items()},
            "bytes_a_query": sum(link["forth"] + link["back"] for link in done.result["links"]) / (count + batch),
        }

    if batches:
        return ask(batches)
    first = ask(FEWEST_BATCHES)
    most = TEST_IMAGES // batch - 1
    times = min(most, int(SECONDS_A_CELL / (first["seconds"] / FEWEST_BATCHES)))
    return ask(times) if times > FEWEST_BATCHES else first


def table(rows: list[Row]) -> str:
    """The rows as text: labels a minute, milliseconds a query and party, and below each where the time went."""
    lines = ["aggregation  circuits  parties  batch   labels a minute   ms a query   ms a query and party   kB a query"]
    for row in rows:
        lines.append(
            f"{row['aggregation']:11s}  {row['circuits']:8s} {row['parties']:8d} {row['batch']:6d} "
            f"{row['labels_a_minute']:17.0f} {row['ms_a_query']:12.1f} {row['ms_a_query_and_party']:22.2f} "
            f"{row['bytes_a_query'] / 1e3:12.0f}"
        )
        parts = sorted(row["ms_a_query_by_step"].items(), key=lambda part: -part[1])
        lines += [f"{'':38s}{part:8.1f} ms  {step}" for step, part in parts if part > 0.02 * row["ms_a_query"]]
    return "\n".join(lines)


def plot(rows: list[Row], title: str, path: Path) -> None:
    """Time a query over answering parties and over queries in a batch, and where it goes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (by_parties, by_batch, split) = pyplot.subplots(1, 3, figsize=(15, 4.4))
    batches, counts = sorted({row["batch"] for row in rows}), sorted({row["parties"] for row in rows})
    for batch in batches:
        line = [row for row in rows if row["batch"] == batch]
        by_parties.loglog([row["parties"] for row in line], [row["ms_a_query"] for row in line], "o-", label=str(batch))
    by_parties.set(xlabel="answering parties", ylabel="ms a query, all parties on this machine", title="Time a query")
    by_parties.set_xticks(counts, [str(count) for count in counts], minor=False)
    by_parties.legend(title="queries in a batch", loc="lower right", ncols=len(batches))
    by_parties.set_ylim(bottom=min(row["ms_a_query"] for row in rows) / 4)
    for parties in counts:
        line = [row for row in rows if row["parties"] == parties]
        times = [row["ms_a_query_and_party"] for row in line]
        by_batch.loglog([row["batch"] for row in line], times, "s-", label=str(parties))
    by_batch.set(xlabel="queries in a batch", ylabel="ms a query and party", title="Cost of one vote")
    by_batch.set_xticks(batches, [str(batch) for batch in batches], minor=False)
    by_batch.legend(title="answering parties")
    for axis in (by_parties, by_batch):
        axis.minorticks_off()
        axis.grid(alpha=0.3)

    steps = sorted({step for row in rows for step in row["ms_a_query_by_step"]})
    places = range(len(rows))
    bottom = [0.0] * len(rows)
    for step in steps:
        shares = [row["ms_a_query_by_step"].get(step, 0.0) / row["ms_a_query"] for row in rows]
        if max(shares) > 0.02:
            split.bar(places, shares, bottom=bottom, label=step if len(step) < 45 else step[:42] + "...")
        bottom = [low + share for low, share in zip(bottom, shares, strict=True)]
    split.set_xticks(places, [f"{row['parties']}\n{row['batch']}" for row in rows])
    split.set(xlabel="answering parties, queries in a batch", ylabel="share of the time", title="Where the time goes")
    split.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parties", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--aggregation", nargs="+", default=["paillier"], choices=["paillier", "direct"])
    parser.add_argument("--circuits", nargs="+", default=["ahead"], choices=["ahead", "streamed"])
    parser.add_argument("--batches_a_cell", type=int, help=f"default: what takes about {SECONDS_A_CELL:g} s")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--folder", type=Path, help="keeps the trained models from one call to the next; default: none")
    parser.add_argument("--start_port", type=int, default=23700)
    add_flag(parser)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    file = chosen.out / "throughput.json"
    earlier = [{"circuits": "ahead"} | row for row in json.loads(file.read_text())] if file.exists() else []
    rows = {(row["aggregation"], row["circuits"], row["parties"], row["batch"]): row for row in earlier}
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        for cell in product(chosen.aggregation, chosen.circuits, chosen.parties, chosen.batches):
            rows[cell] = measure(folder, chosen.start_port, *cell, chosen.batches_a_cell)
            print(table([rows[cell]]), flush=True)
            if chosen.docs:
                write(THROUGHPUT, throughput_rows([rows[cell]]))
    ordered = [rows[cell] for cell in sorted(rows)]
    file.write_text(json.dumps(ordered, indent=2) + "\n")
    for (aggregation, circuits), alike in groupby(ordered, itemgetter("aggregation", "circuits")):
        title = f"aggregation: {aggregation}, circuits: {circuits}"
        plot(list(alike), title, chosen.out / f"throughput-{aggregation}-{circuits}.png")
    print(table(ordered))


if __name__ == "__main__":
    main()
