"""Runs for measuring, in which ``run_protocol.py`` starts every party as a process. They tell where the time went."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Event = dict[str, Any]
Seconds = dict[str, float]

SET_UP = ("connect", "base oblivious transfers", "public key", "train", "turn")  # in titles of step 0


@dataclass(frozen=True)
class Run:
    """A run that ended well: what ``result.json`` says, and every party's events."""

    result: dict[str, Any]
    events: dict[str, list[Event]]


def run(folder: Path, start_port: int, flags: Sequence[str]) -> Run:
    """Run to the end, with accounts, models and logs in `folder`; a failure ends the program with its own words."""
    command = [sys.executable, "run_protocol.py", "--launcher", "process", "--start_port", str(start_port), *flags]
    command += ["--files_dir", str(folder / "files"), "--logs_dir", str(folder / "logs")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    newest = max((folder / "files").glob("*/result.json"), key=lambda path: path.stat().st_mtime)
    result = json.loads(newest.read_text())
    logs = folder / "logs" / result["run"]
    events = {
        path.name.removesuffix(".events.jsonl"): [json.loads(line) for line in path.read_text().splitlines()]
        for path in logs.glob("*.events.jsonl")
    }
    return Run(result, events)


def querying(events: Iterable[Event], skipped: int = 0) -> tuple[float, Seconds]:
    """The seconds from a querying party's first preprocessing to its last label, and what it was in meanwhile.

    The first `skipped` batches are left out, and with them what happens once. The party is in steps with many
    parties at once. An instant counts in equal parts for all of them, so that the parts add up to the whole.
    "between steps" is its own work and waiting outside of all.
    """
    edges = []
    for event in events:
        title = event.get("title", "")
        if event["event"] in ("step_started", "step_finished") and not (
            event["step"] == "4" or (event["step"] == "0" and any(words in title for words in SET_UP))
        ):
            edges.append((event["t"], 1 if event["event"] == "step_started" else -1, f"{event['step']}  {title}"))
    edges.sort(key=lambda edge: edge[0])
    labelled = [at for at, change, step in edges if change < 0 and step.startswith("3  ")]
    first = labelled[skipped - 1] if skipped else edges[0][0]
    open_steps: dict[str, int] = defaultdict(int)
    seconds: Seconds = defaultdict(float)
    for (begins, change, step), (ends, _, _) in pairwise(edges):
        open_steps[step] += change
        total = sum(open_steps.values())
        if begins < first:
            continue
        if total == 0:
            seconds["between steps"] += ends - begins
        for name, count in open_steps.items():
            if count:
                seconds[name] += (ends - begins) * count / total
    return edges[-1][0] - first, dict(sorted(seconds.items()))
