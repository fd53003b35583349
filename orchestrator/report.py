"""What a run leaves: `result.json`, a timing file, and the tables at the end of the terminal's output.

Everything here is the reporter's result and what the parties' events say of seconds and bytes.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from orchestrator.events import Event
from parties.plan import Plan, Summary
from parties.private_files import write_private

LINKS_SHOWN = 12  # with more links than this the table adds up those between the same roles
NOBODY = "-"


@dataclass(frozen=True)
class StepRecord:
    """One party's account of one step: with whom, how long, how many bytes out and in."""

    step: str
    title: str
    party: str
    peer: str | None
    seconds: float
    sent: int
    received: int


@dataclass
class Line:
    """One step on one link (or of one party alone), seen from both ends."""

    step: str
    title: str
    link: tuple[str, str]
    seconds: float = 0.0
    forth: int = 0
    back: int = 0


class Accounts:
    """Collects the steps that parties report as finished. A link is named from the party that the plan names first."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rank = {process.name: rank for rank, process in enumerate(plan.processes)}
        self.records: list[StepRecord] = []

    def tell(self, party: str, event: Event) -> None:
        if event.event != "step_finished" or event.step is None:
            return
        self.records.append(
            StepRecord(
                event.step,
                event.title or "",
                party,
                event.peer,
                event.seconds or 0.0,
                event.sent or 0,
                event.received or 0,
            )
        )

    def lines(self) -> list[Line]:
        """A line for each step and link, by step, and for each thing a party does alone. Both ends of a link report
        it: the longer time and the larger count hold. Repetitions of a step at one end add up."""
        ends: dict[tuple[str, str, str, str], Line] = {}
        for record in self.records:
            there = record.peer or NOBODY
            turned = self._order(record.party) > self._order(there)
            link = (there, record.party) if turned else (record.party, there)
            alone = "" if record.peer else record.title  # the two ends of a link may name a step differently
            end = ends.setdefault((record.step, record.party, there, alone), Line(record.step, record.title, link))
            end.seconds += record.seconds
            end.forth += record.received if turned else record.sent
            end.back += record.sent if turned else record.received
        merged: dict[tuple[str, tuple[str, str], str], Line] = {}
        for (*_, alone), end in ends.items():
            line = merged.setdefault((end.step, end.link, alone), Line(end.step, end.title, end.link))
            line.seconds = max(line.seconds, end.seconds)
            line.forth = max(line.forth, end.forth)
            line.back = max(line.back, end.back)
        return sorted(merged.values(), key=lambda line: (line.step, *map(self._order, line.link)))

    def lines_between_roles(self) -> list[Line]:
        """The same with all links between two roles in one line: the longest time, the bytes of all."""
        role = {}
        for pane in self._plan.panes:
            names = pane.processes
            for name in names:
                role[name] = name if len(names) == 1 else f"{names[0]} … {names[-1]}"
        grouped: dict[tuple[str, tuple[str, str], str], Line] = {}
        for line in self.lines():
            link = (role.get(line.link[0], line.link[0]), role.get(line.link[1], line.link[1]))
            alone = line.title if line.link[1] == NOBODY else ""
            group = grouped.setdefault((line.step, link, alone), Line(line.step, line.title, link))
            group.seconds = max(group.seconds, line.seconds)
            group.forth += line.forth
            group.back += line.back
        return list(grouped.values())

    def _order(self, name: str) -> int:
        return self._rank.get(name, len(self._rank))


def write_result(
    path: Path, *, header: Mapping[str, Any], result: Mapping[str, Any], accounts: Accounts, summary: Summary
) -> None:
    """Write `result.json` in one piece: the reporter's result, and seconds and bytes per step and link."""
    document = {
        **header,
        "result": dict(result),
        "warnings": list(summary.warnings),
        "links": [asdict(line) for line in accounts.lines()],
        "steps": [asdict(record) for record in accounts.records],
    }
    write_private(path, json.dumps(document, indent=2).encode() + b"\n")


def append_timings(path: Path, run: str, records: Iterable[StepRecord]) -> None:
    """Add one line a step and party to the timing file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    lines = [f"# {run} {now}: step, party, peer, seconds, bytes sent, bytes received, title"]
    for record in records:
        columns = (record.step, record.party, record.peer or NOBODY, f"{record.seconds:.6f}",
                   str(record.sent), str(record.received), record.title)  # fmt: skip
        lines.append("\t".join(columns))
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def show(console: Console, accounts: Accounts, summary: Summary, result_file: Path) -> None:
    """The table of seconds and bytes, the warnings, where the result lies, and last the result itself."""
    lines = accounts.lines()
    if len(lines) > LINKS_SHOWN:
        lines = accounts.lines_between_roles()
    if lines:
        console.print(_table(lines))
    _warn(console, summary)
    console.print(f"Result: {result_file}", markup=False, highlight=False, soft_wrap=True)
    _lines(console, summary)


def show_summary(console: Console, summary: Summary) -> None:
    """A summary by itself, warnings first."""
    _warn(console, summary)
    _lines(console, summary)


def _warn(console: Console, summary: Summary) -> None:
    for warning in summary.warnings:
        console.print(f"[yellow]warning:[/] {warning}", highlight=False, soft_wrap=True)


def _lines(console: Console, summary: Summary) -> None:
    for name, value in summary.lines:
        console.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)


def _table(lines: list[Line]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("step", "", "link"):
        table.add_column(heading)
    for heading in ("seconds", "→ bytes", "← bytes"):
        table.add_column(heading, justify="right")
    for line in lines:
        alone = line.link[1] == NOBODY
        link = line.link[0] if alone else f"{line.link[0]} ↔ {line.link[1]}"
        counts = ("", "") if alone else (in_bytes(line.forth), in_bytes(line.back))
        table.add_row(line.step, line.title, link, f"{line.seconds:.2f}", *counts)
    return table


def in_bytes(count: int) -> str:
    """A number of bytes with three digits or so."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
