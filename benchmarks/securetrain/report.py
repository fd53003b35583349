"""The rows of the table: a figure of ours, the peer's, how many times as much the peer takes, and the goal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

from benchmarks.securetrain.rivals import Row
from benchmarks.securetrain.works import (
    ACCURACY_GOAL,
    ACCURACY_TITLE,
    RANDOM_TITLE,
    REFRESHED_GOALS,
    REFRESHED_TITLE,
    RIDGE_GOAL,
    WORKS,
)

MEGA = 1e6


def milliseconds(value: float) -> str:
    """Return a time for a reader."""
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"


def megabytes(value: float) -> str:
    """Return a size for a reader."""
    return f"{value / MEGA:.3g} MB" if value < 1000 * MEGA else f"{value / MEGA / 1000:.3g} GB"


def turns(row: Row) -> tuple[float, float, float]:
    """Return the median, the least and the largest milliseconds of a side's turns."""
    times = [turn["ms"] for turn in row["turns"]]
    return statistics.median(times), min(times), max(times)


def spread(row: Row) -> str:
    """Return a side's turns for a reader, the median and the range."""
    median, low, high = turns(row)
    return f"{milliseconds(median)} [{milliseconds(low)}, {milliseconds(high)}]"


def times_as_much(ours: Row, peer: Row) -> str:
    """Return the peer's turns over ours, the median of neighbours in time and the range."""
    pairs = zip(ours["turns"], peer["turns"], strict=True)
    ratios = [theirs["ms"] / mine["ms"] for mine, theirs in pairs]
    return f"{statistics.median(ratios):.1f} [{min(ratios):.1f}-{max(ratios):.1f}]"


def judged(value: float, goal: float | None, text: Callable[[float], str]) -> list[str]:
    """Return the last two cells: the goal, and whether it is met."""
    return ["", ""] if goal is None else [f"at most {text(goal)}", "met" if value <= goal else "not met"]


def work_rows(title: str, goals: Mapping[str, float], sides: Mapping[str, Row]) -> list[list[str]]:
    """Return the rows of one training, beside SEAL if it was there."""
    ours, peer = sides["ours"], sides.get("SEAL")
    rows = [
        [
            title,
            "training",
            spread(ours),
            f"SEAL {spread(peer)}" if peer else "",
            times_as_much(ours, peer) if peer else "",
            *judged(turns(ours)[0], goals.get("train"), milliseconds),
        ]
    ]
    figures: tuple[tuple[str, str, str, Callable[[float], str]], ...] = (
        ("making keys", "keys_ms", "", milliseconds),
        ("encryption", "encrypt_ms", "", milliseconds),
        ("decryption", "decrypt_ms", "", milliseconds),
        ("decryption, twin beside", "verify_ms", "", milliseconds),
        ("keys sent", "key_bytes", "keys", megabytes),
        ("encrypted and sent", "data_bytes", "data", megabytes),
        ("memory of the trainer", "memory_bytes", "memory", megabytes),
    )
    for name, key, goal, text in figures:
        if key in ours:
            theirs = peer.get(key) if peer else None
            rows.append(
                [
                    title,
                    name,
                    text(ours[key]),
                    f"SEAL {text(theirs)}" if theirs else "",
                    f"{theirs / ours[key]:.1f}" if theirs else "",
                    *judged(ours[key], goals.get(goal), text),
                ]
            )
    rows.append(error_row(title, ours, f"SEAL {peer['error']:.1e}" if peer else ""))
    return rows


def error_row(title: str, ours: Row, peer: str) -> list[str]:
    """Return the row of the largest error of a weight. The bound is its goal, where one is derived."""
    goal = judged(ours["error"], ours.get("bound"), lambda value: f"{value:.1e}, derived")
    return [title, "largest error", f"{ours['error']:.1e}", peer, "", *goal]


def refreshed_rows(ours: Row, peer: Row | None) -> list[list[str]]:
    """Return the rows of the training with refreshes. An epoch of TenSEAL's is one iteration, scaled up to all."""
    theirs, ratio, their_error = "", "", ""
    if peer is not None:
        epoch = turns(peer)[0] * peer["of"] / peer["records"]
        theirs = f"TenSEAL, one epoch {milliseconds(epoch)}, from {peer['records']} of {peer['of']} records"
        ratio = f"{epoch * ours['iterations'] / turns(ours)[0]:.0f}"
        their_error = f"TenSEAL {peer['error']:.1e}"
    return [
        [
            REFRESHED_TITLE,
            "training",
            spread(ours),
            theirs,
            ratio,
            *judged(turns(ours)[0], REFRESHED_GOALS["train"], milliseconds),
        ],
        [
            REFRESHED_TITLE,
            "a refresh moves",
            megabytes(ours["refresh_bytes"]),
            "",
            "",
            *judged(ours["refresh_bytes"], REFRESHED_GOALS["refresh"], megabytes),
        ],
        [
            REFRESHED_TITLE,
            "encrypted and sent",
            megabytes(ours["data_bytes"]),
            f"TenSEAL {megabytes(peer['data_bytes'] * peer['of'] / peer['records'])}" if peer else "",
            f"{peer['data_bytes'] * peer['of'] / peer['records'] / ours['data_bytes']:.0f}" if peer else "",
            "",
            "",
        ],
        error_row(REFRESHED_TITLE, ours, their_error),
    ]


def accuracy_rows(found: Mapping[str, list[float]]) -> list[list[str]]:
    """Return the rows of accuracy beside scikit-learn. The goal is for training with refreshes."""
    best, rows = statistics.mean(found["scikit-learn"]), []
    for name, goal in (("without refresh", None), ("with refresh", ACCURACY_GOAL)):
        mean = statistics.mean(found[name])
        cells = judged(best - mean, goal, lambda gap: f"{100 * gap:.1f} points below")
        theirs = f"scikit-learn {best:.4f} over {len(found[name])} splits"
        rows.append([ACCURACY_TITLE, name, f"{mean:.4f}", theirs, "", *cells])
    return rows


def ridge_rows(found: Mapping[str, Row]) -> list[list[str]]:
    """Return the rows of ridge regression by the number of features."""
    rows = []
    for size, row in found.items():
        title = f"ridge, {size} features, any number of records"
        rows.append([title, "training", spread(row), "", "", *judged(turns(row)[0], RIDGE_GOAL, milliseconds)])
        rows.append([title, "keys sent", megabytes(row["key_bytes"]), "", "", "", ""])
        rows.append([title, "encrypted and sent", megabytes(row["data_bytes"]), "", "", "", ""])
        rows.append(error_row(title, row, ""))
    return rows


def pooled_rows(found: Mapping[str, Row]) -> list[list[str]]:
    """Return the rows of whole runs of three owners."""
    rows = []
    for work, row in found.items():
        title = f"three owners' joint key, {work}, {row['records']} records"
        twin = row["twin"]
        best = f"scikit-learn, logistic {twin['scikit-learn']:.4f}; in the clear {twin['accuracy']:.4f}"
        for name, mine, peer in (
            ("the whole run", f"{row['seconds']:.3g} s", ""),
            ("training", f"{row['training_seconds']:.3g} s", ""),
            ("an owner sends, receives", f"{megabytes(row['sent'])}, {megabytes(row['received'])}", ""),
            ("the trainer sends", megabytes(row["trainer_sent"]), ""),
            ("accuracy, opened with noise", f"{row['accuracy']:.4f}", f"{best}; one owner alone {twin['alone']:.4f}"),
            ("leak of the encryption's error, on average", f"{row['leak']:.2g} nats", ""),
        ):
            rows.append([title, name, mine, peer, "", "", ""])
    return rows


def random_rows(found: Row) -> list[list[str]]:
    """Return the row of random programs. Every error is below its bound, or there would be none."""
    title = f"{found['programs']} random programs of {found['operations']} operations in all"
    mine = f"{found['part']:.2f} of its bound, on average {found['mean_part']:.2f}"
    return [[RANDOM_TITLE, "largest error", mine, "", "", f"at most the bound, in {title}", "met"]]


def rows(results: Row) -> list[list[str]]:
    """Return all rows of what was measured."""
    found: list[list[str]] = []
    for work in WORKS:
        if work.name in results:
            sides = {
                name: row | ({"memory_bytes": row["memory_mb"] * MEGA} if "memory_mb" in row else {})
                for name, row in results[work.name].items()
            }
            found += work_rows(work.title, work.goals, sides)
    if "refreshed" in results:
        found += refreshed_rows(results["refreshed"], results.get("tenseal"))
    if "accuracy" in results:
        found += accuracy_rows(results["accuracy"])
    if "ridge" in results:
        found += ridge_rows(results["ridge"])
    if "pooled" in results:
        found += pooled_rows(results["pooled"])
    if "random" in results:
        found += random_rows(results["random"])
    return found


def markdown(head: tuple[str, ...], cells: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [list(head), ["---"] * len(head), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
