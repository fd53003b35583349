"""What a run leaves in `result.json`, in a timing file, and at the end of the terminal's output.

All of it is the reporter's result, the parties that were lost, and the seconds and bytes that the parties' events
report.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.accounts import NOBODY, Accounts, Line, StepRecord, in_bytes
from orchestrator.losses import Loss
from parties.frame.plan import Summary
from parties.frame.private_files import write_private

LINKS_SHOWN = 12  # with more links than this the table adds up those between the same roles


def write_result(
    path: Path,
    *,
    header: Mapping[str, Any],
    result: Mapping[str, Any],
    accounts: Accounts,
    summary: Summary,
    lost: Sequence[Loss] = (),
) -> None:
    """Write `result.json` in one piece, with the reporter's result, and seconds and bytes per step and link."""
    document = {
        **header,
        "result": dict(result),
        "warnings": list(summary.warnings),
        "lost": [msgspec.structs.asdict(loss) for loss in lost],
        "links": [asdict(line) for line in accounts.lines()],
        "steps": [asdict(record) for record in accounts.records],
    }
    write_private(path, json.dumps(document, indent=2).encode() + b"\n")


def append_timings(path: Path, run: str, records: Iterable[StepRecord]) -> None:
    """Add one line for each step and party to the timing file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    lines = [f"# {run} {now}: step, party, peer, seconds, bytes sent, bytes received, title"]
    for record in records:
        columns = (record.step, record.party, record.peer or NOBODY, f"{record.seconds:.6f}",
                   str(record.sent), str(record.received), record.title)  # fmt: skip
        lines.append("\t".join(columns))
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def show(
    console: Console,
    accounts: Accounts,
    summary: Summary,
    result_file: Path,
    page: Path,
    lost: Sequence[Loss] = (),
) -> None:
    """Print the table of seconds and bytes, the losses and warnings, where the result lies, and the result itself."""
    lines = accounts.lines()
    if len(lines) > LINKS_SHOWN:
        lines = accounts.lines_between_roles()
    if lines:
        console.print(_table(lines))
    _warn(console, [*(loss.warning for loss in lost), *summary.warnings])
    show_files(console, Result=result_file, Report=page)
    _lines(console, summary)


def show_files(console: Console, **files: Path) -> None:
    """Print where each file lies, by its name."""
    for name, path in files.items():
        console.print(f"{name}: {path}", markup=False, highlight=False, soft_wrap=True)


def show_summary(console: Console, summary: Summary) -> None:
    """Print a summary by itself, warnings first."""
    _warn(console, summary.warnings)
    _lines(console, summary)


def _warn(console: Console, warnings: Sequence[str]) -> None:
    for warning in warnings:
        console.print(Text.assemble(("warning:", "yellow"), f" {warning}"), soft_wrap=True)


def _lines(console: Console, summary: Summary) -> None:
    if summary.lead:
        console.print(summary.lead, markup=False, highlight=False, soft_wrap=True)
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
