"""What a protocol shows of itself, as plain data.

There are figures while it runs, and charts and tables of its result. A launcher draws them without knowing what they
mean. Values are numbers or text that anybody may read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """A value by name, such as what was spent. `of` is the most that it may come to. A value may be text."""

    name: str
    value: float | str
    of: float | None = None


@dataclass(frozen=True)
class Measure:
    """A figure of a member's accounts, for whoever watches it over months.

    Attributes:
        name: in small letters and underscores, with its unit.
        help: what it is, in a sentence.
        value: a number, which may be infinite.
        marks: what tells the figures of one name apart, by name.
        grows: whether it counts something, and never falls.
    """

    name: str
    help: str
    value: float
    marks: Mapping[str, str] = field(default_factory=dict)
    grows: bool = False


@dataclass(frozen=True)
class Headline:
    """A figure that says the result at a glance, and a few words below it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Series:
    """One value for each place of a chart, or None for a place without one."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Chart:
    """Series over the same places.

    Attributes:
        kind: bars for each place, or lines over places that are numbers.
        title: what it shows, in a sentence. Screen readers read it out.
        places: names, or numbers in a chart of lines.
        unit: stands behind every value. It is "%", " s", or empty.
        axis: what the places are.
        limit: a name and a value to draw a line at.
        most: where the scale ends. None stands for the largest value.
    """

    kind: Literal["bars", "lines"]
    title: str
    places: tuple[str | float, ...]
    series: tuple[Series, ...]
    unit: str = ""
    axis: str = ""
    limit: tuple[str, float] | None = None
    most: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows of text under their headings. Columns of numbers are recognised by their cells."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A part of a report. It has a few sentences, then charts and tables in their order."""

    title: str
    text: str = ""
    parts: tuple[Chart | Table, ...] = field(default=())
