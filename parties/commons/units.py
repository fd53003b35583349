"""Results of questions about own records, in the units that people have asked in.

What comes out of the log's functions is counted in steps. All here is computed in exact fractions, and turned into
decimal numbers last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from parties.commons import clinics
from parties.commons.questions import Count, Histogram, Numbers, Question, Regression, Sum, exact, text_of, value_text


def question_of(questions: Sequence[Question], function: str) -> Question | None:
    """Return the question of a function about own records, with or without noise, or None for another function."""
    return next((one for one in questions if one.function == function.partition(clinics.NOISE)[0]), None)


def in_words_of(questions: Sequence[Question], function: str) -> str:
    """Return what a function is, in words."""
    question = question_of(questions, function)
    if question is None:
        return clinics.about(function)
    scale = function.partition(clinics.NOISE)[2]
    if not scale:
        return question.about
    step = question.step if isinstance(question, Sum) else 1.0
    return f"{question.about}, with noise of scale {text_of(float(Decimal(scale) * Decimal(repr(step))))}"


def in_units(question: Question, value: Mapping[str, Any], reports: int) -> dict[str, Any]:
    """Return a result in units, for JSON.

    Args:
        value: as :func:`parties.commons.results.shown` returns it.
        reports: how many are in it.
    """
    if "unsolvable" in value:
        return dict(value)
    if isinstance(question, Histogram):
        return {"buckets": dict(zip(question.buckets, value["counts"], strict=True))}
    if isinstance(question, Count):
        return {"count": value["sum"], "share": value["sum"] / reports}
    if isinstance(question, Regression):
        return _line(question, [Fraction(one) for one in value["exact"]])
    total = reports * exact(question.least) + exact(question.step) * value["sum"]
    return {"sum": float(total), "mean": float(total / reports), "unit": question.unit,
            "rounded_by_at_most": float(exact(question.step) / 2)}  # fmt: skip


def in_words(question: Question, found: Mapping[str, Any]) -> str:
    """Return a result in units as text."""
    if "unsolvable" in found:
        return str(found["unsolvable"])
    if isinstance(question, Histogram):
        return ", ".join(f"{bucket}: {count}" for bucket, count in found["buckets"].items())
    if isinstance(question, Count):
        return f"{found['count']}, which is {found['share']:.1%}"
    if isinstance(question, Regression):
        terms = [f"{one:+.6g} {name}" for name, one in found["coefficients"].items()]
        return f"{' '.join(terms).removeprefix('+')} {found['intercept']:+.6g}"
    unit = f" {question.unit}" if question.unit else ""
    total, mean = f"sum {found['sum']:.10g}{unit}", f"mean {found['mean']:.6g}{unit}"
    return f"{total}, {mean}" if question.kind == "sum" else f"{mean}, {total}"


def _line(question: Regression, solution: Sequence[Fraction]) -> dict[str, Any]:
    """Return coefficients and intercept in units.

    With x = least + step k for each column, the line in steps becomes one in units.
    """
    *steps, start = solution
    target = question.target
    coefficients = [
        exact(target.step) * one / exact(source.step) for one, source in zip(steps, question.sources, strict=True)
    ]
    moved = sum(
        (one * exact(source.least) for one, source in zip(coefficients, question.sources, strict=True)), Fraction()
    )
    intercept = exact(target.least) + exact(target.step) * start - moved
    return {
        "coefficients": {source.called: float(one) for one, source in zip(coefficients, question.sources, strict=True)},
        "intercept": float(intercept),
        "exact": [str(one) for one in (*coefficients, intercept)],
    }


def agreed_rows(question: Question, function: str) -> list[tuple[str, str, str, str]]:
    """Return what was agreed, one row a column: the function, the column, its range or values, and what is done."""
    if isinstance(question, Regression):
        parts: Sequence[Numbers | Histogram | Count] = question.numbers
    else:
        parts = (question,)
    return [(function, *_agreed(one)) for one in parts]


def _agreed(asked: Numbers | Histogram | Count) -> tuple[str, str, str]:
    if isinstance(asked, Count):
        name, told = asked.called, ", ".join(map(value_text, asked.values))
    elif isinstance(asked, Histogram):
        name, told = asked.called + (f" in {asked.unit}" if asked.unit else ""), "; ".join(asked.buckets)
    else:
        name, told = asked.in_units, f"{asked.range_in_words}, to the nearest step"
    return name, told, f"beyond these: {asked.outside}; without a value: {asked.missing}"
