"""Functions against floats: their stated errors, at the ends of their domains, and what lies outside."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.errors import ParameterError, RangeError
from mpc.ring import Ring
from mpc.tensors.backends.dry import DryDealer
from mpc.tensors.exponentials import log_sum_exp, recipe, softplus
from mpc.tensors.inverses import short_reciprocal
from mpc.tensors.raw import Raw, nearest, polynomial, polynomial_error, polynomial_rounds
from mpc.tensors.session import Session
from mpc.tensors.sigmoids import KNOTS, coefficients, plain_sigmoid
from mpc.tensors.tensor import PrivateTensor
from tests.mpc.tensors.sessions import opened, private, session

UNIT = 2.0**-16
POSITIVE = np.concatenate([np.geomspace(UNIT, 1000, 400), [UNIT, 2 * UNIT, 0.5, 1, 2, 512, 1000]])
ANY = np.concatenate([np.linspace(-40, 40, 801), [0.0, UNIT, -UNIT, 40, -40]])
AROUND_KNOTS = np.array(
    [sign * float(knot) + shift for knot in KNOTS for sign in (-1, 1) for shift in (-UNIT, 0, UNIT)]
)

# Each with its domain, the values that are tried, and the largest error at 16 fraction bits that its docstring states.
STATED: dict[str, tuple[Callable[[PrivateTensor], PrivateTensor], Callable, np.ndarray, object, Callable]] = {
    "exp of 0 and below": (lambda x: x.exp(), np.exp, -np.abs(ANY), (-40, 0), lambda y: 2 * UNIT),
    "exp up to 5": (lambda x: x.exp(), np.exp, np.clip(ANY, -40, 5), (-40, 5), lambda y: UNIT + np.exp(5) * 2.0**-20),
    "exp up to 10": (lambda x: x.exp(), np.exp, np.clip(ANY, -9, 10), 10, lambda y: UNIT + np.exp(10) * 2.0**-20),
    "sigmoid": (lambda x: x.sigmoid(), plain_sigmoid, ANY, 40, lambda y: 2.0**-14 + 2 * UNIT),
    "sigmoid at its knots": (lambda x: x.sigmoid(), plain_sigmoid, AROUND_KNOTS, 10, lambda y: 2.0**-14 + 2 * UNIT),
    "tanh": (lambda x: x.tanh(), np.tanh, ANY, 40, lambda y: 2.0**-13 + 4 * UNIT),
    "log": (lambda x: x.log(), np.log, POSITIVE, (UNIT, 1000), lambda y: 2 * UNIT),
    "reciprocal": (lambda x: x.reciprocal(), lambda a: 1 / a, POSITIVE, (UNIT, 1000), lambda y: UNIT + y * 2.0**-22),
    "reciprocal of 1 to 4": (
        lambda x: x.reciprocal(), lambda a: 1 / a, np.linspace(1, 4, 200), (1, 4), lambda y: 1.1 * UNIT,
    ),
    "sqrt": (lambda x: x.sqrt(), np.sqrt, np.append(POSITIVE, 0.0), (0, 1000), lambda y: UNIT + 32 * 2.0**-22),
    "softplus": (softplus, lambda a: np.logaddexp(0, a), ANY, 40, lambda y: 5 * UNIT),
}  # fmt: skip


@pytest.mark.parametrize("name", STATED)
def test_errors_are_within_what_is_stated(name: str) -> None:
    function, exact, values, bound, stated = STATED[name]
    values = np.rint(values / UNIT) * UNIT
    expected = exact(values)
    found = opened(function(private(session(), values, bound)))
    assert (np.abs(found - expected) <= stated(expected)).all(), np.abs(found - expected).max() / UNIT


@pytest.mark.parametrize("degree", range(1, 13))
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, -1)], ids=str)
def test_a_polynomial_is_within_its_stated_error_at_any_degree(degree: int, signs: tuple[int, int]) -> None:
    """Coefficients are as large as the ring has room for, so that a rounding that is left out shows."""
    coefficients = [Decimal(signs[i % 2]) * Decimal(i + 7) / Decimal(3 * i + 8) for i in range(degree + 1)]
    values = np.append(np.linspace(-1, 1, 4001), [0, 1, -1])
    x = private(session(), values, 1)
    plain = np.polynomial.Polynomial([float(each) for each in coefficients])(np.rint(values / UNIT) * UNIT)
    found = polynomial(Raw.of("polynomial", x).with_bits(27), coefficients, 26)
    stated = polynomial_error(coefficients, 27, 26)
    error = np.abs(opened(PrivateTensor(x.session, found.shared, found.range, found.bits)) - plain)
    assert error.max() <= stated <= 120 * 2.0**-27 + (degree + 1) * 2.0**-29 + 2.0**-26


@pytest.mark.parametrize("degree", range(1, 13))
def test_a_polynomial_takes_as_many_rounds_as_are_foreseen(degree: int) -> None:
    """One opens x, if there are products, and one rounds the result. Products of rounded values open nothing."""
    planner = Session(DryDealer(("alice", "bob"), "carol", (), 64))
    x = planner.input("alice", None, shape=(3,), bound=1)
    polynomial(Raw.of("polynomial", x).with_bits(28), [Decimal("0.1")] * (degree + 1), 28)
    rounds = max(cost.rounds for cost in planner.backend.costs.values())
    assert rounds == polynomial_rounds(degree) + 1 + (degree > 1)
    assert polynomial_rounds(degree) == {1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 3, 8: 3}.get(degree, 3)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.floats(-12, 12), min_size=1, max_size=12))
def test_softmax_and_its_logarithm_at_any_values(values: list[float]) -> None:
    x = private(session(), [values, values[::-1]], 12)
    found = opened(x.softmax(-1))
    shifted = np.exp(np.array(values) - max(values))
    assert np.abs(found[0] - shifted / shifted.sum()).max() <= 2 * UNIT + len(values) * 2.0**-20
    assert np.abs(opened(x.T.softmax(0)) - found.T).max() <= 4 * UNIT + len(values) * 2.0**-19
    exact = max(values) + np.log(shifted.sum())
    assert np.abs(opened(log_sum_exp(x)) - exact).max() <= (3 + len(values) / 4) * UNIT


@pytest.mark.parametrize("count", [2, 16, 32, 100])
@pytest.mark.parametrize("others", [-30.0, -18.0, -11.6, -9.0])
def test_many_small_values_beside_a_large_one_are_within_what_is_stated(count: int, others: float) -> None:
    """Each of them is replaced by the smallest number whose power counts, which adds up."""
    values = np.full((1, count), others)
    values[0, 0] = 0.0
    x, expected = private(session(), values, 32), 1 / np.exp(values).sum()
    found = opened(x.softmax(-1))[0]
    assert np.abs(found - np.exp(values[0]) * expected).max() <= 2 * UNIT + count * 2.0**-17
    assert np.abs(opened(log_sum_exp(x)) + np.log(expected)).max() <= (3 + 2 * count) * UNIT


@pytest.mark.parametrize("high", [1.0, 1.5, 2, 3, 10, 15])
def test_the_inverse_of_a_short_range_is_off_by_its_stated_error(high: float) -> None:
    """Both ends, and numbers of all of the range."""
    values = np.linspace(1, high, 301)
    s = session()
    x = Raw.of("x", private(s, values, (1, high))).times_integer(1 << 8).read_with(24)
    found = short_reciprocal(x)
    assert found is not None
    inverse, error = found
    assert error < 2.0**-22
    words = s.backend.open([inverse.shared], [s.me])
    assert words is not None
    raw = Ring(64).signed(words[0]).astype(np.float64)
    assert (np.abs(raw * 2.0**-inverse.bits - 1 / (np.rint(values / UNIT) * UNIT)) <= error).all()
    assert inverse.range.low <= raw.min() <= raw.max() <= inverse.range.high


def test_the_inverse_of_a_long_range_or_of_one_with_zero_is_left_to_others() -> None:
    for low, high in ((1, 100), (0, 2), (-1, 1)):
        assert short_reciprocal(Raw.of("x", private(session(), [1.0], (low, high))).read_with(24)) is None


@pytest.mark.parametrize("fraction_bits", [8, 12, 15, 20, 22, 24])
def test_other_formats_are_right_or_refused(fraction_bits: int) -> None:
    """A checked session compares each function with floats by its own stated error."""
    s = session(fraction_bits=fraction_bits)
    x = private(s, np.linspace(0.25, 3, 30), (0.25, 3))
    for name in ("exp", "log", "sqrt", "reciprocal", "sigmoid", "tanh", "softmax"):
        found = getattr(x, name)()
        assert found.fraction_bits == fraction_bits
    exponentials = opened((x * -1).exp())
    assert np.abs(exponentials - np.exp(-opened(x))).max() <= 3 * 2.0 ** -min(fraction_bits, 23)


def test_wide_fractions_with_exp_are_right_or_an_error() -> None:
    x = private(session(fraction_bits=24), [20.0, -3.0], 20)
    assert abs(opened(x.exp())[0] / np.exp(20) - 1) < 2.0**-18
    with pytest.raises(RangeError, match=r"^exp #\d+: needs 7\d bits \(e\^30\), ring has 64"):
        private(session(fraction_bits=24), [30.0], 30).exp()
    with pytest.raises(RangeError, match=r"^sigmoid #\d+: needs"):
        private(session(fraction_bits=28), [1.0], 30).sigmoid()


def test_zero_and_negative_numbers_are_refused_until_somebody_says_what_counts() -> None:
    s = session()
    x = private(s, [-2.0, 0.0, 0.01, 4.0], 4)
    for name in ("log", "reciprocal"):
        with pytest.raises(RangeError, match=rf"^{name}: expected a range that is above zero, found -4 to 4; clip it"):
            getattr(x, name)()
    with pytest.raises(RangeError, match="sqrt: expected numbers that cannot be negative"):
        x.sqrt()
    with pytest.raises(RangeError, match="divide: expected divisors whose range does not reach zero, found -4 to 4"):
        1 / x
    with pytest.raises(ParameterError, match="expected at_least from one unit to the bound 4"):
        x.log(at_least=0)
    assert np.abs(opened(x.log(at_least=0.5)) - np.log([0.5, 0.5, 0.5, 4])).max() <= 2 * UNIT
    assert np.abs(opened(x.reciprocal(at_least=0.5)) - [-0.5, 2, 2, 0.25]).max() <= 2 * UNIT
    assert np.abs(opened(1 / x.clip(1, 4)) - [1, 1, 1, 0.25]).max() <= 2 * UNIT
    assert np.abs(opened(-1 / -x.clip(1, 4)) - [1, 1, 1, 0.25]).max() <= 2 * UNIT
    assert opened(x.clip(0, 4).sqrt())[1] == 0


def test_public_coefficients_do_not_depend_on_the_machine() -> None:
    """They come from decimal arithmetic. Parties whose constants differed in one bit would compute nonsense."""
    found = [nearest(c, 28) for piece in coefficients() for c in piece]
    assert found[20:28] == [134217728, 67086839, 0, -5285119, 130965324, 77898824, -12624938, 15514]
    how = recipe(12, 64, UNIT / 4)
    assert (how.squarings, [nearest(c, 28) for c in how.coefficients]) == EXP_OF_12


EXP_OF_12 = (4, [268435432, 268433186, 134182137, 44533407, 10638614, 1545179])


def test_sigmoid_is_exact_beyond_its_last_knot() -> None:
    x = private(session(), [9.75, -9.75, 1000, -1000], 2**20)
    assert opened(x.sigmoid()).tolist() == [1, 0, 1, 0]
    assert opened(x.tanh())[2:].tolist() == [1, -1]


def test_quotients_are_rounded_once() -> None:
    """An inverse of 16 fraction bits alone would be off by 1000 units after the product."""
    s = session()
    a, b = np.linspace(-1000, 1000, 101), np.linspace(1, 7, 101)
    x, y = private(s, a, 1000), private(s, b, (1, 7))
    a, b = opened(x), opened(y)
    for found, expected in ((x / y, a / b), (1000 / y, 1000 / b), (x / -y, -a / b), (a / y, a / b)):
        assert np.abs(opened(found) - expected).max() <= 2 * UNIT + 1000 * 2.0**-22
    wide = private(s, [2.0**20, 3.0], (1, 2.0**40))
    assert np.abs(opened(wide.log()) - np.log([2.0**20, 3])).max() <= 2 * UNIT
    assert np.abs(opened(wide.sqrt()) - [2**10, 3**0.5]).max() <= UNIT + 2.0**20 * 2.0**-22


def test_a_narrow_ring_is_refused_where_functions_need_more() -> None:
    x = private(session(fraction_bits=10, ring_bits=32), [0.5, 2.0], (0.25, 4))
    assert opened(x.relu()).tolist() == [0.5, 2]
    for name in ("exp", "log", "sqrt", "reciprocal", "sigmoid", "tanh", "softmax"):
        with pytest.raises(RangeError, match=rf"^{name} #\d+: needs a ring of 64 bits, ring has 32$"):
            getattr(x, name)()
