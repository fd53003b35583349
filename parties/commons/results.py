"""Results of functions as they are written down, and the same in the clear, to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mpc.commons.prio.errors import AggregateError
from mpc.commons.prio.regression import RegressionSums


def shown(value: Any) -> dict[str, Any]:
    """Return a result by names, for JSON. Exact fractions are text, with a number beside them.

    A regression that has no single solution is the sentence that says why.
    """
    if not isinstance(value, RegressionSums):
        return {"counts" if isinstance(value, list) else "sum": value}
    try:
        coefficients, intercept = value.solve()
    except AggregateError as error:
        return {"unsolvable": str(error)}
    return {
        "coefficients": [float(one) for one in coefficients],
        "intercept": float(intercept),
        "exact": [str(one) for one in (*coefficients, intercept)],
    }


def in_the_clear(function: str, measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a function of all measurements is, computed without any secrecy.

    Args:
        function: a count, a sum, a histogram or a regression, without noise.
    """
    values = [one[function] for one in measured]
    kind, *numbers = function.rpartition(".")[2].split("/")
    if kind in ("sum", "count"):
        return shown(sum(values))
    if kind == "histogram":
        return shown([values.count(bucket) for bucket in range(int(numbers[0]))])
    width = int(numbers[0])
    rows = [(row[:width], row[width]) for row in values]
    sums = RegressionSums(
        len(rows),
        tuple(sum(x[i] for x, _ in rows) for i in range(width)),
        sum(y for _, y in rows),
        tuple(tuple(sum(x[i] * x[j] for x, _ in rows) for j in range(width)) for i in range(width)),
        tuple(sum(x[i] * y for x, y in rows) for i in range(width)),
    )
    return shown(sums)
