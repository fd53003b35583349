"""A run that nobody made: its record and events as a real one leaves them, for what is shown of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.record import Failed, Record
from parties.frame.plan import Pane, RunFolders

START = 1_800_000_000.0


def recorded(
    top: Path,
    panes: tuple[Pane, ...],
    events: dict[str, list[dict[str, Any]]],
    *,
    outcome: str = "finished",
    failed: Failed | None = None,
    result: dict[str, Any] | None = None,
    protocol: str = "game",
    configuration: dict[str, Any] | None = None,
) -> RunFolders:
    """Write the run's files; times of events count from its start."""
    folders = RunFolders(top / "files", top / "logs", "the-run")
    (folders.logs / folders.run).mkdir(parents=True)
    ended = None if outcome == "running" else START + 60
    reporter = panes[0].processes[:1]
    made = Record(
        folders.run, protocol, START, 1, panes, reporter, configuration or {}, {"1": "the only step"}, outcome, ended,
        failed,
    )  # fmt: skip
    made.write(folders)
    for name, told in events.items():
        path = folders.logs / folders.run / f"{name}.events.jsonl"
        path.write_text("".join(json.dumps({**event, "t": START + event["t"]}) + "\n" for event in told))
    if result is not None:
        (folders.files / folders.run).mkdir(parents=True)
        (folders.files / folders.run / "result.json").write_text(json.dumps({"result": result}))
    return folders


def step(began: float, ended: float | None, peer: str = "", **more: Any) -> list[dict[str, Any]]:
    """A step from one time to another; None for one that never ended."""
    what = {"step": "1", "title": "a step", **({"peer": peer} if peer else {})}
    events = [{"t": began, "event": "step_started", **what, **more}]
    if ended is not None:
        moved = {"sent": 1000, "received": 2000} if peer else {}
        events.append({"t": ended, "event": "step_finished", **what, "seconds": ended - began, **moved})
    return events


def advanced(at: float, done: int, of: int) -> dict[str, Any]:
    figures = [{"name": "spent", "value": done / 2, "of": 10.0}]
    return {"t": at, "event": "advanced", "done": done, "of": of, "unit": "throws", "figures": figures}
