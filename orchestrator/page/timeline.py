"""Who was in which step when: a lane for each party, from its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.accounts import in_time
from orchestrator.events import Event
from orchestrator.page import charts
from orchestrator.page.markup import Markup, element, joined, table

LANES = 40  # parties shown; of more, the first of each role
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


def spans(events: Iterable[tuple[str, Event]], end: float) -> list[Span]:
    """Every step of every party. One that never finished lasts to the end."""
    opened: dict[tuple[str, str, str | None, str | None], Event] = {}
    found = []
    for party, event in events:
        if event.step is None or event.event not in ("step_started", "step_finished"):
            continue
        key = (party, event.step, event.peer, event.title)
        if event.event == "step_started":
            opened[key] = event
        elif key in opened:
            found.append(Span(party, event.step, event.title or "", opened.pop(key).t, event.t))
    found += [Span(party, step, title or "", event.t, end) for (party, step, _, title), event in opened.items()]
    return sorted(found, key=lambda span: span.began)


def united(times: Iterable[tuple[float, float]], gap: float = 0.0) -> list[tuple[float, float]]:
    """The times in their order, those that overlap or are no more than `gap` apart as one."""
    merged: list[tuple[float, float]] = []
    for began, ended in sorted(times):
        if merged and began <= merged[-1][1] + gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ended))
        else:
            merged.append((began, ended))
    return merged


def seconds_in_steps(found: Iterable[Span]) -> dict[tuple[str, str], float]:
    """How long each party was in each step, with however many peers at once."""
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for span in found:
        times.setdefault((span.party, span.step), []).append((span.began, span.ended))
    return {key: sum(ended - began for began, ended in united(value)) for key, value in times.items()}


def steps_in_order(found: Iterable[Span]) -> dict[str, str]:
    """The steps, in the order of their names, and what the first party to name it calls each when it has one name."""
    titles: dict[str, list[str]] = {}
    for span in found:
        known = titles.setdefault(span.step, [])
        if span.title not in known:
            known.append(span.title)
    return {step: titles[step][0] if len(titles[step]) <= 2 else "" for step in sorted(titles)}


def drawn(found: Sequence[Span], lanes: Sequence[str], began: float, ended: float) -> Markup:
    """The lanes over seconds since the run began, and as numbers how long each party was in which step."""
    steps = list(steps_in_order(found))
    colours = {step: index % charts.COLOURS for index, step in enumerate(steps)}
    shown = lanes[:LANES]
    left = min(220.0, 14 + 7.0 * max((len(name) for name in shown), default=0))
    marks = charts.ticks(max(ended - began, 0.01), 8)
    scale = (charts.WIDTH - left - 24) / marks[-1]
    bottom = 6 + _LANE * len(shown)
    parts: list[str] = []
    for mark in marks:
        x = left + mark * scale
        parts += [charts.line(x, 2, x, bottom, "grid"), charts.text(x, bottom + 16, f"{mark:g}", "middle", "tick")]
    parts.append(charts.text((left + charts.WIDTH - 24) / 2, bottom + 34, "seconds", "middle", "tick"))
    for index, name in enumerate(shown):
        parts.append(charts.text(left - 8, 6 + _LANE * index + 12, name, "end"))
        parts.append(_lane(found, name, 6 + _LANE * index, colours, (began, left, scale, ended - began)))
    title = f"Which party was in which step when, over {in_time(ended - began)}"
    lasting = seconds_in_steps(found)
    rows = [[name, *(_seconds(lasting.get((name, step))) for step in steps)] for name in lanes]
    names = [f"step {step}" for step in steps]
    parts_of_figure = [
        element("figcaption", title),
        charts.legend(names),
        element("div", charts.svg(bottom + 42, title, *parts), class_="wide"),
        element("details", element("summary", "The numbers"), table(["seconds in", *names], rows)),
    ]
    if len(lanes) > len(shown):
        parts_of_figure.insert(1, element("p", f"The first {len(shown)} of {len(lanes)} parties are shown."))
    return element("figure", *parts_of_figure)


def _lane(
    found: Sequence[Span], party: str, y: float, colours: Mapping[str, int], where: tuple[float, float, float, float]
) -> Markup:
    """One party's steps: the longest first, so that what happens within is drawn over it."""
    zero, left, scale, whole = where
    times: dict[str, list[tuple[float, float]]] = {}
    for span in found:
        if span.party == party:
            times.setdefault(span.step, []).append((span.began, span.ended))
    merged = {step: united(value, whole / _FINEST) for step, value in times.items()}
    order = sorted(merged, key=lambda step: -max(ended - began for began, ended in merged[step]))
    parts = []
    for step in order:
        boxes = [
            f"M{left + (began - zero) * scale:.1f} {y + 2:g}h{max(0.8, (ended - began) * scale):.1f}v{_LANE - 5:g}"
            f"h-{max(0.8, (ended - began) * scale):.1f}z"
            for began, ended in merged[step]
        ]
        total = sum(ended - began for began, ended in united(times[step]))
        hint = element("title", f"{party}, step {step}: {in_time(total)}")
        parts.append(element("path", hint, d="".join(boxes), class_=f"s{colours[step]}"))
    return joined(parts)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
