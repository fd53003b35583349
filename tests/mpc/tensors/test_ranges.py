"""Ranges: sound, exact, and refused before anything is computed."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc.errors import ParameterError, RangeError
from mpc.tensors.ranges import Range, raw_range
from tests.mpc.tensors.sessions import opened, private, session

ENDS = st.tuples(st.integers(-50, 50), st.integers(-50, 50)).map(lambda ends: Range(min(ends), max(ends)))


@given(ENDS, ENDS)
def test_a_range_holds_every_result_and_its_ends_are_reached(x: Range, y: Range) -> None:
    corners = [(a, b) for a in (x.low, x.high) for b in (y.low, y.high)]
    for found, function in (
        (x + y, lambda a, b: a + b),
        (x - y, lambda a, b: a - b),
        (x * y, lambda a, b: a * b),
        (x.maximum(y), max),
    ):
        results = [function(a, b) for a, b in corners]
        assert (found.low, found.high) == (min(results), max(results))


@given(ENDS, st.integers(0, 6))
def test_squares_and_roundings(x: Range, bits: int) -> None:
    squares = [value * value for value in range(x.low, x.high + 1)]
    assert (x.square().low, x.square().high) == (min(squares), max(squares))
    for value in (x.low, x.high):
        exact = Fraction(value, 2**bits)
        assert x.truncate(bits).low <= exact.__floor__()
        assert exact.__ceil__() <= x.truncate(bits).high


def test_a_stated_bound_is_rounded_outwards() -> None:
    assert raw_range(0.3, 4) == Range(-5, 5)
    assert raw_range((-0.3, 0.7), 4) == Range(-5, 12)
    for wrong in (-1, (2, 1), "much", float("inf"), float("nan")):
        with pytest.raises(ParameterError, match="expected a bound"):
            raw_range(wrong, 4)


def test_what_peers_overflow_on_is_right_or_refused() -> None:
    """The square of 10^5 fits 64 bits with 8 fraction bits, and that of 10^6 with 16 needs 74."""
    s = session(fraction_bits=8)
    assert opened(private(s, [1e5, -1e5], 1e5).square()).tolist() == [1e10, 1e10]
    with pytest.raises(RangeError, match=re.escape("needs 74 bits")) as refused:
        private(session(), [1e6], 1e6).square()
    assert str(refused.value) == (
        "multiply #2: needs 74 bits (a product of 36 and 36 bits), ring has 64; "
        "lower fraction_bits to 11 or clip to 2^9"
    )


def test_the_advice_of_a_refusal_works() -> None:
    for bits in (10, 11):
        private(session(fraction_bits=bits), [1e6], 1e6).square()
    private(session(), [1e6], 1e6).clip(-(2**9), 2**9).square()
    with pytest.raises(RangeError):
        private(session(fraction_bits=12), [1e6], 1e6).square()


def test_nothing_is_computed_before_a_refusal() -> None:
    s = session(check=False)
    x = private(s, np.ones((3, 3)), 1e6)
    s.backend.matmul = lambda *_: pytest.fail("computed")
    with s.scope("fc1"), pytest.raises(RangeError, match=r"^matmul #2 'fc1': needs 76 bits \(3 products of 36 and 36"):
        x @ x


def test_at_the_bound_and_one_beyond() -> None:
    """In 64 bits raw magnitudes are below 2^62."""
    s = session()
    at_bound = private(s, [2.0**30 - 1], 2**30 - 1, whole=True)
    assert at_bound.bound == 2**30 - 1
    most = at_bound * (2**32)
    assert most.bound < 2**62
    assert opened(most).tolist() == [(2.0**30 - 1) * 2**32]
    with pytest.raises(RangeError, match="needs 65 bits"):
        at_bound * (2**33)


def test_bounds_of_a_program_hold_in_what_it_computes() -> None:
    """The checker of a session compares each result with its range."""
    s = session()
    x = private(s, np.linspace(-3, 3, 12).reshape(3, 4), 3)
    y = (x @ x.T).sum(axis=0) - x[:, 0] * 2.5
    assert y.range.low <= opened(y).min() * 2**16 <= opened(y).max() * 2**16 <= y.range.high


def test_a_ring_of_32_bits_has_its_own_limits() -> None:
    s = session(fraction_bits=10, ring_bits=32)
    assert opened(private(s, [20.0], 20).square()).tolist() == [400.0]
    with pytest.raises(RangeError, match=r"needs 35 bits .* ring has 32; lower fraction_bits to 8 or clip to 2\^3$"):
        private(s, [40.0], 64).square()
