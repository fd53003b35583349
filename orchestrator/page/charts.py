"""Charts of bars and lines, as SVG inside the page.

They are drawn here because the page's style sets their colours and fonts. Colours are names in the style (`s0` ..), so
that one picture serves light and dark. Every chart has a title for screen readers, and its numbers follow as a table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.page.markup import Markup, element, escape, joined, table
from parties.frame.charts import Chart, Series

WIDTH = 600.0
FEWEST_PLACES = 2  # of a line
COLOURS = 8  # that the style has; more series begin again
_BAR, _GAP = 15.0, 9.0
GLYPH = 8.0  # width of a letter, generously, also in the larger letters on a narrow screen
_LEFT_MOST = 240.0  # that the names of places may take


def drawn(chart: Chart) -> Markup:
    """Return the chart, its legend and its numbers. A line through a single place would show nothing but a dot."""
    if chart.kind == "lines" and len(chart.places) < FEWEST_PLACES:
        return element("figure", element("figcaption", chart.title), _numbers(chart))
    picture = _bars(chart) if chart.kind == "bars" else _lines(chart)
    parts = [element("figcaption", chart.title)]
    if len(chart.series) > 1:
        parts.append(legend([series.name for series in chart.series]))
    parts.append(element("div", picture, class_="wide"))
    parts.append(element("details", element("summary", "The numbers"), _numbers(chart)))
    return element("figure", *parts)


def _numbers(chart: Chart) -> Markup:
    headings = [chart.axis or "", *(series.name for series in chart.series)]
    rows = [
        [_place(place), *(_value(series.values[index], chart.unit) for series in chart.series)]
        for index, place in enumerate(chart.places)
    ]
    return table(headings, rows)


def legend(names: Sequence[str]) -> Markup:
    entries = [
        element("li", element("span", "", class_=f"key b{index % COLOURS}"), " ", name)
        for index, name in enumerate(names)
    ]
    return element("ul", *entries, class_="legend")


def svg(height: float, title: str, *content: str) -> Markup:
    """Return the picture, whose title a screen reader reads out."""
    return element("svg", element("title", title), *content, viewBox=f"0 0 {WIDTH:g} {height:.0f}", role="img")


def text(x: float, y: float, content: str, anchor: str = "start", kind: str = "") -> Markup:
    style = {"class_": kind} if kind else {}
    return element("text", content, x=x, y=y, text_anchor=anchor, **style)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def ticks(most: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers from 0 on, the last of them at least `most`."""
    if most <= 0:
        return [0.0, 1.0]
    raw = most / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    return [step * index for index in range(math.ceil(most / step - 1e-9) + 1)]


def _bars(chart: Chart) -> Markup:
    """Draw a row for each place with a bar for each series, its value behind it."""
    longest = max((len(_place(place)) for place in chart.places), default=0)
    left = min(_LEFT_MOST, 12 + GLYPH * longest)
    right = 64.0
    marks = ticks(chart.most or _largest(chart))
    scale = (WIDTH - left - right) / marks[-1]
    row = _BAR * len(chart.series) + _GAP
    bottom = 8 + row * len(chart.places)
    parts = [line(left + mark * scale, 4, left + mark * scale, bottom, "grid") for mark in marks]
    parts += [text(left + mark * scale, bottom + 16, _tick(mark, chart.unit), "middle", "tick") for mark in marks]
    for index, place in enumerate(chart.places):
        y = 8 + row * index
        middle = y + _BAR * len(chart.series) / 2 + 4.5
        parts.append(text(left - 8, middle, _cut(_place(place), left), "end"))
        for number, series in enumerate(chart.series):
            value, top = series.values[index], y + _BAR * number
            if value is None:
                continue
            length = max(1.0, value * scale)
            parts.append(element("rect", x=left, y=top, width=length, height=_BAR - 2, class_=f"s{number % COLOURS}"))
            parts.append(text(left + length + 5, top + _BAR - 3.5, _value(value, chart.unit), "start", "value"))
    return svg(bottom + 24, chart.title, *parts)


def _lines(chart: Chart) -> Markup:
    """Draw a line for each series over places that are numbers, and a dashed line at the limit."""
    left, right, top, height = 64.0, 24.0, 18.0, 250.0
    places = [float(place) for place in chart.places]
    first, last = min(places, default=0.0), max(places, default=1.0)
    span = last - first or 1.0
    most = max(_largest(chart), chart.limit[1] if chart.limit else 0.0) if chart.most is None else chart.most
    marks = ticks(most)

    def at(place: float, value: float) -> tuple[float, float]:
        x = left + (place - first) / span * (WIDTH - left - right)
        return x, top + height * (1 - value / marks[-1])

    parts = [line(left, at(0, mark)[1], WIDTH - right, at(0, mark)[1], "grid") for mark in marks]
    parts += [text(left - 8, at(0, mark)[1] + 4.5, _tick(mark, chart.unit), "end", "tick") for mark in marks]
    shown = sorted({round(first + mark) for mark in ticks(span, 8) if first + mark <= last})
    parts += [text(at(place, 0)[0], top + height + 18, f"{place:g}", "middle", "tick") for place in shown]
    parts.append(text((left + WIDTH - right) / 2, top + height + 38, chart.axis, "middle", "tick"))
    if chart.limit is not None:
        name, value = chart.limit
        y = at(0, value)[1]
        parts += [line(left, y, WIDTH - right, y, "limit"), text(WIDTH - right, y - 5, name, "end", "value")]
    for number, series in enumerate(chart.series):
        values = [0.0 if value is None else value for value in series.values]
        parts.append(_path(series, number, [at(place, value) for place, value in zip(places, values, strict=True)]))
    return svg(top + height + 46, chart.title, *parts)


def _path(series: Series, number: int, points: Sequence[tuple[float, float]]) -> Markup:
    """Draw the series' line, broken where it has no value, and a dot at each value when there are few."""
    steps, drawing = [], False
    for (x, y), value in zip(points, series.values, strict=True):
        if value is not None:
            steps.append(f"{'L' if drawing else 'M'}{x:.1f} {y:.1f}")
        drawing = value is not None
    colour = number % COLOURS
    parts = [element("path", d=" ".join(steps), class_=f"line l{colour}")]
    if len(points) <= 60:
        parts += [
            element("circle", cx=x, cy=y, r=3, class_=f"s{colour}")
            for (x, y), value in zip(points, series.values, strict=True)
            if value is not None
        ]
    return joined(parts)


def _largest(chart: Chart) -> float:
    return max((value for series in chart.series for value in series.values if value is not None), default=1.0)


def _place(place: str | float) -> str:
    return place if isinstance(place, str) else f"{place:g}"


def _cut(name: str, width: float) -> str:
    letters = int((width - 12) / GLYPH)
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def _tick(value: float, unit: str) -> str:
    return escape(f"{value:g}{unit}")


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    number = f"{value:.0f}" if value >= 999.5 or value == round(value) else f"{value:.3g}"
    return f"{number}{unit}"
