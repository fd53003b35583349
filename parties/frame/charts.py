"""What a protocol shows of itself, as plain data: figures while it runs, charts and tables of its result.

A launcher draws them without knowing what they mean. Values are numbers or text that anybody may read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """A value by name, such as what was spent; `of` is what it may come to. Text where it has no number."""

    name: str
    value: float | str
    of: float | None = None


@dataclass(frozen=True)
class Headline:
    """A figure that says at a glance what came out, and under it a few words more."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Series:
    """One value for each place of a chart; None where there is none."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Chart:
    """Series over the same places.

    Attributes:
        kind: bars for each place; or lines over places that are numbers.
        title: what it shows, in a sentence: also what is read out to who does not see it.
        places: names, or in lines numbers.
        unit: behind every value: "%", " s", or none.
        axis: what the places are.
        limit: a name and a value to draw a line at.
        most: where the scale ends; None for the largest value.
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
    """Rows of text under their headings; columns of numbers are recognised by their cells."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A part of a report: a few sentences, then charts and tables in their order."""

    title: str
    text: str = ""
    parts: tuple[Chart | Table, ...] = field(default=())
