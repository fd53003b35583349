"""The parts of a report that every run has, which are time, bytes, parties and configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.accounts import NOBODY, Accounts, Line, in_bytes, in_time
from orchestrator.events import PartyState
from orchestrator.page import charts, timeline
from orchestrator.page.markup import Markup, element, joined, table
from orchestrator.page.timeline import Span
from orchestrator.record import Record
from parties.frame.charts import Chart, Series

LINKS_SHOWN = 12


def timeline_part(found: Sequence[Span], kept: Record, ended: float) -> Markup:
    """Draw the whole run. Where the first step takes most of it, draw the rest a second time, larger."""
    text = element(
        "p",
        "Pale is time in which a party waits for others to appear or for its turn. Time in other steps includes the "
        "waiting for the answers of the peer.",
        class_="soft",
    )
    titles = timeline.named_steps(found, kept.steps)
    parts = [text, timeline.drawn("The whole run", found, kept.parties, titles, (kept.started, ended))]
    later = [span.began for span in found if span.step != next(iter(titles))]
    if later and ended - min(later) < (ended - kept.started) / 2:
        window = (min(later), ended)
        parts.append(timeline.drawn("After the first step", found, kept.parties, titles, window, kept.started))
    return joined(parts)


def steps_part(found: Sequence[Span], kept: Record, accounts: Accounts) -> Markup:
    """Draw seconds and bytes of every step by role and over all links, and list them line by line."""
    titles = timeline.named_steps(found, kept.steps)
    names = tuple(titles.values())
    lasting = timeline.seconds_in_steps(found)
    longest = tuple(
        Series(
            pane.title,
            tuple(
                max((lasting[party, step] for party in pane.processes if (party, step) in lasting), default=None)
                for step in titles
            ),
        )
        for pane in kept.panes
    )
    moved: dict[str, int] = {}
    for line in accounts.lines():
        moved[line.step] = moved.get(line.step, 0) + line.forth + line.back
    size, unit = _unit(max(moved.values(), default=0))
    sent = Series("all links", tuple(moved.get(step, 0) / size for step in titles))
    rows = [_row(line) for line in accounts.lines_between_roles()]
    times = Chart("bars", "Seconds in each step: the longest of each role", names, longest, " s", "step")
    volumes = Chart("bars", "Bytes that each step moved, over all links", names, (sent,), unit, "step")
    return joined(
        [
            charts.drawn(times),
            charts.drawn(volumes),
            table(("step", "", "link", "seconds", "→ bytes", "← bytes"), rows, "Steps and links"),
            element(
                "p", "Of several links between the same roles the longest time and the bytes of all. An arrow points "
                "from the first party of a link to the second.", class_="soft",
            ),
        ]
    )  # fmt: skip


def links_part(accounts: Accounts) -> Markup:
    """Draw the bytes on the links that carried most, and list those of all links."""
    links = accounts.links()
    shown = links[:LINKS_SHOWN]
    names = tuple(_between(line) for line in shown)
    size, unit = _unit(max(max(line.forth, line.back) for line in shown))
    title = "Bytes on each link" if len(shown) == len(links) else f"Bytes on the {len(shown)} busiest links"
    chart = Chart(
        "bars", title, names,
        (
            Series("→ from the first to the second", tuple(line.forth / size for line in shown)),
            Series("← back", tuple(line.back / size for line in shown)),
        ), unit, "link",
    )  # fmt: skip
    rows = [(_between(line), in_bytes(line.forth), in_bytes(line.back)) for line in links]
    rest = [table(("link", "→ bytes", "← bytes"), rows, "All links")] if len(links) > len(shown) else []
    return joined([charts.drawn(chart), *rest])


def parties_part(kept: Record, states: Mapping[str, PartyState]) -> Markup:
    """List how every party ended, the lost ones with their reasons."""
    reasons = {loss.party: loss.reason for loss in kept.lost}
    role = {name: pane.title for pane in kept.panes for name in pane.processes}
    rows = []
    for name in kept.parties:
        state = states[name]
        step = state.step_name if state.outcome in ("failed", "lost") or kept.outcome != "finished" else None
        ending = state.outcome if step is None else f"{state.outcome}, in step {step}"
        ending += f": {reasons[name]}" if name in reasons else ""
        rows.append((name, role[name], ending, in_bytes(state.sent), in_bytes(state.received)))
    return table(("party", "role", "how it ended", "sent", "received"), rows)


def configuration_part(configuration: Mapping[str, Any], defaults: Mapping[str, Any]) -> Markup:
    """List every key. Those that were chosen come first."""
    chosen = [key for key in configuration if configuration[key] != defaults.get(key)]
    rows = [(key, _written(configuration[key]), _written(defaults.get(key))) for key in chosen]
    others = [(key, _written(value)) for key, value in configuration.items() if key not in chosen]
    return joined(
        [
            table(("key", "chosen", "default"), rows) if rows else element("p", "Every key has its default."),
            element("details", element("summary", "Keys at their defaults"), table(("key", "default"), others)),
        ]
    )


def notes_part(notes: Sequence[tuple[float, str, str]]) -> Markup:
    """List what the parties said."""
    return table(("at", "party", "said"), [(in_time(when), party, words) for when, party, words in notes])


def _unit(most: int) -> tuple[int, str]:
    """Return the unit in which a number of bytes up to `most` is shown."""
    return (1_000_000, " MB") if most >= 1_000_000 else (1_000, " kB")


def _row(line: Line) -> tuple[str, ...]:
    alone = line.link[1] == NOBODY
    counts = ("", "") if alone else (in_bytes(line.forth), in_bytes(line.back))
    return line.step, line.title, _between(line), f"{line.seconds:.2f}", *counts


def _between(line: Line) -> str:
    return line.link[0] if line.link[1] == NOBODY else f"{line.link[0]} ↔ {line.link[1]}"


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
