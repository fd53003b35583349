"""Questions about users' own records, and the function in the log that each becomes.

Numbers become whole numbers by public constants. A column from `least` to `most` in steps is counted in steps from
`least` on. So a sum is exact in steps, and a value is moved by at most half a step.

A policy allows functions by their names. So a name says all that was agreed about its numbers, as in
``stay-in-days_0_to_60_by_1.sum/60`` or ``age-in-years_in_0_18_40_65.histogram/3``. What a name cannot hold, because it
is too long or a word has other signs than a-z, 0-9 and a hyphen, stands there as SHA-256 of all
that was agreed, as JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from parties.learning.own.choices import ClassValue, refuse_absent

MOST_STEPS = 2**32 - 1
"""How many steps a range may have: those that 32 bits hold, which is what a regression's circuit takes."""

MOST_MAGNITUDE = 1e50
"""The largest magnitude of a bound, and the reciprocal of the smallest step. Results in units stay floats by far."""

_MOST_BARE, _MOST_WITH_NOISE = 128, 100  # letters of a name; noise takes up to 28 more
_MOST_BUCKETS = 10_000
_SHORT = 12  # letters of a name before a digest


def exact(number: float) -> Fraction:
    """Return a number as it is written, which the shortest text for a float is."""
    return Fraction(Decimal(repr(number)))


def text_of(number: float | Fraction) -> str:
    """Return a number in digits, without an exponent. A fraction without such digits is one of a float."""
    decimal = Decimal(repr(float(number) + 0.0))
    return f"{decimal.normalize():f}"


def slug(text: str) -> str:
    """Return a text in a-z, 0-9 and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _in_one_form(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _says(text: str) -> bool:
    """Return whether a text's slug says the same as the text, but for capital letters, blanks and underscores."""
    return slug(text) == re.sub(r"[ _]", "-", text.lower())


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class OneColumn(_Strict):
    """A column that a question reads.

    Attributes:
        name: of it in the log and in results, where the column's own does not do.
        outside: whether a value outside what was agreed refuses the file, goes to the nearer bound, or drops its
            record. A record that one question drops is in none.
        missing: whether a cell without a value refuses the file or drops its record.
    """

    column: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)] | None = None
    outside: Literal["refuse", "clamp", "drop"] = "refuse"
    missing: Literal["refuse", "drop"] = "refuse"

    @property
    def called(self) -> str:
        """What results call the column."""
        return self.name or self.column

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)

    @property
    def drops(self) -> bool:
        """Whether records may be dropped."""
        return "drop" in (self.outside, self.missing)

    def _named(self, unit: str, rest: str) -> str:
        """Return how this column stands in the name of a function."""
        handled = ("" if self.outside == "refuse" else f"_outside-{self.outside}") + (
            "" if self.missing == "refuse" else "_missing-drop"
        )
        return f"{slug(self.called)}{f'-in-{slug(unit)}' if unit else ''}_{rest}{handled}"


class Numbers(OneColumn):
    """A column of numbers, with the range and the step by which they become whole numbers."""

    unit: str = ""
    least: float
    most: float
    step: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _check_steps(self) -> Numbers:
        if not self.least < self.most:
            raise ValueError(f"least, most: expected a least below the most, found {self.least:g} and {self.most:g}")
        for key in ("least", "most"):
            if abs(bound := getattr(self, key)) > MOST_MAGNITUDE:
                raise ValueError(f"{key}: expected a magnitude of at most {MOST_MAGNITUDE:g}, found {bound:g}")
        if self.step < 1 / MOST_MAGNITUDE:
            raise ValueError(f"step: expected at least {1 / MOST_MAGNITUDE:g}, found {self.step:g}")
        steps = (exact(self.most) - exact(self.least)) / exact(self.step)
        if steps.denominator != 1:
            raise ValueError(
                f"step: expected a whole number of steps from {text_of(self.least)} to {text_of(self.most)}, found "
                f"{float(steps):g} of {text_of(self.step)}"
            )
        if steps > MOST_STEPS:
            raise ValueError(f"step: expected at most {MOST_STEPS} steps, found {steps}")
        return self

    @property
    def steps(self) -> int:
        """How many steps the range has, which is the largest number that is reported."""
        return int((exact(self.most) - exact(self.least)) / exact(self.step))

    @property
    def in_units(self) -> str:
        """What results call the column, with the unit."""
        return f"{self.called} in {self.unit}" if self.unit else self.called

    @property
    def words(self) -> tuple[str, ...]:
        """What must stand in a name in words."""
        return (self.called, *([self.unit] if self.unit else []))

    @property
    def in_a_name(self) -> str:
        """How these numbers stand in the name of a function."""
        return self._named(self.unit, f"{text_of(self.least)}_to_{text_of(self.most)}_by_{text_of(self.step)}")

    @property
    def range_in_words(self) -> str:
        """The range and the step, for people."""
        return f"from {text_of(self.least)} to {text_of(self.most)} in steps of {text_of(self.step)}"


class _Asked(_Strict):
    """What all questions have."""

    def agreed(self) -> str:
        """Return all that was agreed about this question, as JSON in one form."""
        return _in_one_form(self.model_dump(mode="json", by_alias=True))

    def _function(self, readable: str, circuit: str, words: Sequence[str], called: str, most: int) -> str:
        """Return the function's name, with all that was agreed in it or with a digest of that."""
        found = f"{readable}.{circuit}"
        is_one_to_one = len({slug(one) for one in words}) == len(set(words))
        if is_one_to_one and all(map(_says, words)) and len(found) <= most:
            return found
        digest = hashlib.sha256(self._digested().encode()).hexdigest()
        return f"{slug(called)[:_SHORT].strip('-')}_sha256-{digest}.{circuit}"

    def _digested(self) -> str:
        return self.agreed()


class Histogram(OneColumn, _Asked):
    """How many records are in each bucket, which lies between `edges` or is one of some `categories`.

    A bucket holds its lower edge. The last one holds its upper edge, too. With `clamp`, which is for edges alone, the
    first and the last bucket are open.
    """

    kind: Literal["histogram"]
    unit: str = ""
    edges: tuple[float, ...] | None = None
    categories: tuple[ClassValue, ...] | None = None

    @model_validator(mode="after")
    def _check_buckets(self) -> Histogram:
        if (self.edges is None) == (self.categories is None):
            raise ValueError("edges, categories: expected one of the two")
        if self.edges is not None and (
            not 3 <= len(self.edges) <= _MOST_BUCKETS + 1 or any(low >= high for low, high in pairwise(self.edges))
        ):
            raise ValueError(f"edges: expected 3 to {_MOST_BUCKETS + 1} numbers, each above the one before")
        if self.categories is not None:
            _check_categories("categories", self.categories)
            if self.outside == "clamp" or self.unit:
                raise ValueError("outside, unit: expected no clamp and no unit with categories, found one")
        return self

    @property
    def buckets(self) -> tuple[str, ...]:
        """The buckets in words."""
        if self.categories is not None:
            return tuple(map(value_text, self.categories))
        edges = self.edges or ()
        found = [f"{text_of(low)} to {text_of(high)}" for low, high in pairwise(edges)]
        if self.outside == "clamp":
            found[0], found[-1] = f"below {text_of(edges[1])}", f"from {text_of(edges[-2])} on"
        return tuple(found)

    @property
    def function(self) -> str:
        """The name of the function in the log, without noise."""
        if self.categories is not None:
            words = [self.called, *self.buckets]
            told = [slug(one) for one in self.buckets]
        else:
            words = [self.called, *([self.unit] if self.unit else [])]
            told = [text_of(one) for one in self.edges or ()]
        readable = self._named(self.unit, f"in_{'_'.join(told)}")
        return self._function(readable, f"histogram/{len(self.buckets)}", words, self.called, _MOST_WITH_NOISE)

    @property
    def about(self) -> str:
        """The question for people."""
        return f"{self.called}{f' in {self.unit}' if self.unit else ''}, records in each bucket"


class Sum(Numbers, _Asked):
    """The sum of a column and, as the number of reports is public, its mean."""

    kind: Literal["sum", "mean"]

    @property
    def function(self) -> str:
        """The name of the function in the log, without noise."""
        return self._function(self.in_a_name, f"sum/{self.steps}", self.words, self.called, _MOST_WITH_NOISE)

    def _digested(self) -> str:
        """Return what was agreed. A sum and a mean of the same numbers are the same function."""
        return _in_one_form(self.model_dump(mode="json", by_alias=True) | {"kind": "sum"})

    @property
    def about(self) -> str:
        """The question for people."""
        return f"{self.kind} of {self.in_units}, {self.range_in_words}"


class Count(OneColumn, _Asked):
    """How many records have one value in a column of true and false, or of a few words.

    Attributes:
        value: the one that is counted.
        among: all values that there may be. For true and false that is clear.
    """

    kind: Literal["count"]
    value: ClassValue = True
    among: tuple[ClassValue, ...] = ()
    outside: Literal["refuse", "drop"] = "refuse"

    @model_validator(mode="after")
    def _check_values(self) -> Count:
        if not self.among and not isinstance(self.value, bool):
            raise ValueError(f"among: expected all values that the column may hold beside {self.value!r}, found none")
        _check_categories("among", self.values)
        if value_text(self.value) not in map(value_text, self.values):
            raise ValueError(f"value: expected one of {', '.join(map(value_text, self.values))}, found {self.value!r}")
        return self

    @property
    def values(self) -> tuple[ClassValue, ...]:
        """All values that the column may hold."""
        return self.among or (True, False)

    @property
    def place(self) -> int:
        """The place of the counted value among them."""
        return [*map(value_text, self.values)].index(value_text(self.value))

    @property
    def function(self) -> str:
        """The name of the function in the log, without noise."""
        texts = [*map(value_text, self.values)]
        readable = self._named("", f"is_{slug(texts[self.place])}_of_{'_'.join(map(slug, texts))}")
        return self._function(readable, "count", (self.called, *texts), self.called, _MOST_WITH_NOISE)

    @property
    def about(self) -> str:
        """The question for people."""
        return f"records whose {self.called} is {value_text(self.value)}"


class Regression(_Asked):
    """Least squares: `target` from the columns of `from`, in their own units.

    Attributes:
        sources: the columns, each with its range and its step.
    """

    kind: Literal["regression"]
    target: Numbers
    sources: Annotated[tuple[Numbers, ...], Field(min_length=1, max_length=1000, alias="from")]

    @field_validator("sources")
    @classmethod
    def _check_sources(cls, sources: tuple[Numbers, ...]) -> tuple[Numbers, ...]:
        names = [one.called for one in sources]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"from: expected different names, found {', '.join(twice)} twice")
        return sources

    @property
    def numbers(self) -> tuple[Numbers, ...]:
        """The columns in the order in which a measurement has them, with the target behind the others."""
        return (*self.sources, self.target)

    @property
    def called(self) -> str:
        """What results call the target."""
        return self.target.called

    @property
    def function(self) -> str:
        """The name of the function in the log. The circuit takes as many bits as the largest range needs."""
        readable = "_".join((self.target.in_a_name, "from", *(one.in_a_name for one in self.sources)))
        words = [word for one in self.numbers for word in one.words]
        bits = max(one.steps for one in self.numbers).bit_length()
        return self._function(readable, f"regression/{len(self.sources)}/{bits}", words, self.called, _MOST_BARE)

    @property
    def about(self) -> str:
        """The question for people."""
        return f"{self.target.in_units} from {' and '.join(one.in_units for one in self.sources)}, by least squares"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return tuple(one.column for one in self.numbers)

    @property
    def drops(self) -> bool:
        """Whether records may be dropped."""
        return any(one.drops for one in self.numbers)


Question = Annotated[Histogram | Sum | Count | Regression, Field(discriminator="kind")]


def value_text(value: bool | int | str) -> str:
    """Return a value as results show it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_categories(key: str, values: Sequence[Any]) -> None:
    """Raise `ValueError` unless there are two values or more that nobody takes for one another, or for none."""
    texts = [value_text(value) for value in values]
    if not 2 <= len(values) <= _MOST_BUCKETS or len(set(texts)) != len(texts):
        raise ValueError(f"{key}: expected 2 to {_MOST_BUCKETS} different values, found {', '.join(texts[:10])}")
    refuse_absent(values, f"{key}: ")


def check_questions(questions: Sequence[Histogram | Sum | Count | Regression]) -> None:
    """Raise `ValueError` where a question has no name for the log, or two questions have one."""
    functions = dict[str, int]()
    for place, one in enumerate(questions, 1):
        if not slug(one.called):
            raise ValueError(
                f"question {place}: expected a name with a letter or a digit, found {one.called!r}: add name"
            )
        if one.function in functions:
            raise ValueError(
                f"question {place}: expected another than question {functions[one.function]}, found the same: "
                f"{one.about}"
            )
        functions[one.function] = place
