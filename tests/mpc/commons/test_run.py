"""A run of all roles in memory without faults: the results, and what each role has seen."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from mpc.commons.encoding import decode, encode
from mpc.commons.following import Follower, Update
from mpc.commons.functions import circuit_of
from mpc.commons.notes import Note
from mpc.commons.prio import AggregateError
from mpc.commons.roles.run import run_commons
from mpc.errors import OrderError, ParameterError, ProtocolError
from tests.mpc.commons.prepared import fresh

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


def test_least_squares_is_that_of_the_same_integers_in_exact_fractions() -> None:
    """Against the sum of squared errors itself: every other solution near by is worse, and the gradient is zero."""
    rows = [[3, 1, 20], [1, 5, 9], [7, 2, 31], [0, 6, 4], [5, 5, 30], [6, 0, 27]]
    found = run_commons(["regression/2/5"], [{"regression/2/5": row} for row in rows])["regression/2/5"].value
    weights, intercept = found.solve()
    errors = [weights[0] * a + weights[1] * b + intercept - y for a, b, y in rows]
    assert sum(errors) == 0
    assert sum(error * row[0] for error, row in zip(errors, rows, strict=True)) == 0
    assert sum(error * row[1] for error, row in zip(errors, rows, strict=True)) == 0
    assert any(errors)
    design = np.array([[a, b, 1] for a, b, _ in rows], dtype=float)
    expected = np.linalg.lstsq(design, np.array([y for *_, y in rows], dtype=float), rcond=None)[0]
    assert np.allclose([float(one) for one in (*weights, intercept)], expected)


def test_a_regression_with_several_solutions_is_refused_in_a_sentence() -> None:
    rows = [[value, 2 * value, 5] for value in (1, 2, 3)]
    found = run_commons(["regression/2/4"], [{"regression/2/4": row} for row in rows])["regression/2/4"].value
    with pytest.raises(AggregateError, match="expected features and a constant that do not depend on each other"):
        found.solve()


def test_who_follows_takes_what_a_quorum_has_certified_alone() -> None:
    run = fresh(name="example.org/follow")
    trustee = run.cast.trustees[1]
    update = trustee.update(0)
    assert update is not None
    certificate = Note.read(decode(Update, update).certificate)
    short = replace(decode(Update, update), certificate=bytes(Note(certificate.text, certificate.signatures[:3])))
    follower = Follower(run.cast.founding)
    with pytest.raises(ProtocolError, match="expected cosignatures of 3 trustees under a checkpoint, found 2"):
        follower.take(encode(short))
    found = decode(Update, update)
    with pytest.raises(ProtocolError, match="expected the root of"):
        follower.take(encode(replace(found, entries=(*found.entries[1:], found.entries[0]))))
    with pytest.raises(ProtocolError, match="expected"):
        follower.take(encode(replace(found, first=1, entries=found.entries[1:])))
    assert follower.size == 0
    follower.take(update)
    follower.take(update)
    assert follower.size == trustee.trustee.copy.certified_size
    assert trustee.update(follower.size) is None


def test_a_trustee_keeps_what_it_has_asked_for_alone() -> None:
    trustee = fresh(name="example.org/keep").cast.trustees[1]
    with pytest.raises(ProtocolError, match="expected an attachment that was asked for, found another"):
        trustee.keep(b"anything")
    assert trustee.attachment(bytes(32)) is None
    with pytest.raises(OrderError, match="expected the sequencer, found trustee-1"):
        trustee.propose()


def test_measurements_are_of_the_tasks_functions() -> None:
    with pytest.raises(ProtocolError, match=r"expected at least 2 reports in the batch, found 0"):
        run_commons(["sum/9"], [{"sum/8": 1}] * 3)  # each provider says why it does not report


def test_a_batch_below_the_smallest_is_refused() -> None:
    with pytest.raises(
        ProtocolError, match="the request is refused: expected at least 6 reports in the batch, found 5"
    ):
        run_commons(FUNCTIONS[:1], [{"histogram/4": 1}] * 5, smallest_batch=6)


@pytest.mark.parametrize(
    "function", ["mean", "sum", "sum/0", "sum/007", "histogram/4/4", "sum/x", "a.b/sum/3", "multihot/4/9"]
)
def test_a_function_that_nobody_can_compute_is_refused(function: str) -> None:
    with pytest.raises(ParameterError, match=r"function|numbers"):
        circuit_of(function)
