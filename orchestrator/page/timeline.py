"""When each party was in which step, drawn as one lane a party from its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.accounts import in_time
from orchestrator.events import Event
from orchestrator.page import charts
from orchestrator.page.markup import Markup, element, joined, table

LANES = 40  # parties shown
_FINEST = 600  # pieces that the whole time is divided into at most
_LANE = 18.0


@dataclass(frozen=True)
class Span:
    """A time that a party spent in a step, alone or with some peers."""

    party: str
    step: str
    title: str
    began: float
    ended: float
    waiting: bool = False  # for others to appear


def spans(events: Iterable[tuple[str, Event]], end: float) -> list[Span]:
    """Return every step of every party. One that never finished lasts to the end."""
    opened: dict[tuple[str, str, str | None, str | None], Event] = {}
    found = []
    for party, event in events:
        if event.step is None or event.event not in ("step_started", "step_finished"):
            continue
        key = (party, event.step, event.peer, event.title)
        if event.event == "step_started":
            opened[key] = event
        elif key in opened:
            start = opened.pop(key)
            found.append(Span(party, event.step, event.title or "", start.t, event.t, bool(start.awaits)))
    found += [
        Span(party, step, title or "", event.t, end, bool(event.awaits))
        for (party, step, _, title), event in opened.items()
    ]
    return sorted(found, key=lambda span: span.began)


def united(times: Iterable[tuple[float, float]], gap: float = 0.0) -> list[tuple[float, float]]:
    """Return the times in their order, with those that overlap or are at most `gap` apart as one."""
    merged: list[tuple[float, float]] = []
    for began, ended in sorted(times):
        if merged and began <= merged[-1][1] + gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ended))
        else:
            merged.append((began, ended))
    return merged


def seconds_in_steps(found: Iterable[Span]) -> dict[tuple[str, str], float]:
    """Return how long each party was in each step. Time with several peers at once counts once."""
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for span in found:
        times.setdefault((span.party, span.step), []).append((span.began, span.ended))
    return {key: sum(ended - began for began, ended in united(value)) for key, value in times.items()}


def named_steps(found: Iterable[Span], names: Mapping[str, str]) -> dict[str, str]:
    """Return what to call each step, which is its mark and its name, in the order of their marks."""
    titles: dict[str, str] = {}
    for span in found:
        titles.setdefault(span.step, span.title)
    return {step: f"{step}  {names.get(step, titles[step])}".rstrip() for step in sorted(titles)}


def drawn(
    title: str,
    found: Sequence[Span],
    lanes: Sequence[str],
    steps: Mapping[str, str],
    window: tuple[float, float],
    zero: float | None = None,
) -> Markup:
    """Draw the lanes over the window, in seconds since `zero`, and list how long each party was in each step."""
    began, ended = window
    shown = lanes[:LANES]
    left = min(220.0, 14 + charts.GLYPH * max((len(name) for name in shown), default=0))
    offset = began - (began if zero is None else zero)
    marks = charts.ticks(ended - began, 8)
    marks = [mark for mark in (offset - offset % marks[1] + mark for mark in marks) if offset <= mark]
    scale = (charts.WIDTH - left - 24) / max(ended - began, 0.01)
    bottom = 6 + _LANE * len(shown)
    parts: list[str] = []
    for mark in marks:
        x = left + (mark - offset) * scale
        if x <= charts.WIDTH - 10:
            parts += [charts.line(x, 2, x, bottom, "grid"), charts.text(x, bottom + 16, f"{mark:g}", "middle", "tick")]
    parts.append(charts.text((left + charts.WIDTH - 24) / 2, bottom + 34, "seconds", "middle", "tick"))
    colours = {step: index % charts.COLOURS for index, step in enumerate(steps)}
    for index, name in enumerate(shown):
        parts.append(charts.text(left - 8, 6 + _LANE * index + 12, name, "end"))
        parts.append(_lane([span for span in found if span.party == name], 6 + _LANE * index, colours, window, left))
    caption = f"{title}: which party was in which step when"
    made = [
        element("figcaption", caption),
        charts.legend(list(steps.values())),
        element("div", charts.svg(bottom + 42, caption, *parts), class_="wide"),
    ]
    if not offset:
        lasting = seconds_in_steps(found)
        rows = [[name, *(_seconds(lasting.get((name, step))) for step in steps)] for name in lanes]
        numbers = table(["seconds in", *(f"step {step}" for step in steps)], rows)
        made.append(element("details", element("summary", "The numbers"), numbers))
    if len(lanes) > len(shown):
        made.insert(1, element("p", f"The first {len(shown)} of {len(lanes)} parties are shown."))
    return element("figure", *made)


def _lane(
    found: Sequence[Span], y: float, colours: Mapping[str, int], window: tuple[float, float], left: float
) -> Markup:
    """Draw one party's steps within the window, the longest first, so that shorter ones are drawn over it."""
    scale = (charts.WIDTH - left - 24) / max(window[1] - window[0], 0.01)
    times: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for span in found:
        cut = (max(span.began, window[0]), min(span.ended, window[1]))
        if cut[0] <= cut[1]:
            times.setdefault((span.step, span.waiting), []).append(cut)
    merged = {key: united(value, (window[1] - window[0]) / _FINEST) for key, value in times.items()}
    order = sorted(merged, key=lambda key: (not key[1], -max(ended - began for began, ended in merged[key])))
    parts = []
    for step, waiting in order:
        boxes = []
        for began, ended in merged[step, waiting]:
            width = max(0.8, (ended - began) * scale)
            boxes.append(f"M{left + (began - window[0]) * scale:.1f} {y + 2:g}h{width:.1f}v{_LANE - 5:g}h-{width:.1f}z")
        total = in_time(sum(ended - began for began, ended in united(times[step, waiting])))
        hint = element("title", f"{found[0].party}, step {step}: {total}" + (" of waiting" if waiting else ""))
        kind = f"s{colours[step]}" + (" pale" if waiting else "")
        parts.append(element("path", hint, d="".join(boxes), class_=kind))
    return joined(parts)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
