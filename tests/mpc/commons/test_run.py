"""A run of all roles in memory without faults: the results, and what each role has seen."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mpc.commons.functions import circuit_of
from mpc.commons.roles.run import run_commons
from mpc.errors import ParameterError, ProtocolError

FUNCTIONS = ["histogram/4", "age.sum/100", "regression/1/6"]
ROWS = [{"histogram/4": i % 4, "age.sum/100": 10 * i, "regression/1/6": [i, 2 * i + 3 + i % 2]} for i in range(5)]


def test_the_results_are_those_of_the_measurements() -> None:
    found = run_commons(FUNCTIONS, ROWS)
    assert found["histogram/4"].value == [2, 1, 1, 1]
    assert found["age.sum/100"].value == 100
    assert found["regression/1/6"].value.solve() == ((Fraction(2),), Fraction(17, 5))
    for result in found.values():
        assert (result.rejected, result.liars, result.silent) == ((), (), ())
        assert len(result.reports) == 5


def test_a_batch_below_the_smallest_is_refused() -> None:
    with pytest.raises(
        ProtocolError, match="the request is refused: expected at least 6 reports in the batch, found 5"
    ):
        run_commons(FUNCTIONS[:1], [{"histogram/4": 1}] * 5, smallest_batch=6)


@pytest.mark.parametrize(
    "function", ["mean", "sum", "sum/0", "sum/007", "histogram/4/4", "sum/x", "a.b.sum/3", "multihot/4/9"]
)
def test_a_function_that_nobody_can_compute_is_refused(function: str) -> None:
    with pytest.raises(ParameterError, match=r"function|numbers"):
        circuit_of(function)
