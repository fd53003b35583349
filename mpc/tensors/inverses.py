"""1/x, quotients, square roots and logarithms, with errors that are derived and stated.

Each takes x to [1/2, 1), or to [1/4, 1) for roots, by a secret power of two. There it uses Newton's iteration or a
polynomial, and scales back. The range of x must not reach zero, because no finite number is right there. Where it does,
`at_least` states from where on the result shall be right, and smaller magnitudes count as this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np

from mpc.errors import ParameterError, RangeError
from mpc.tensors import approximation
from mpc.tensors.arithmetic import as_fixed, multiply, multiply_all, subtract
from mpc.tensors.autograd import Gradient, Scaled
from mpc.tensors.comparing import clip, keep, relu_and_bit
from mpc.tensors.normalising import Normalised, normalise
from mpc.tensors.public import encode_at, encode_factor
from mpc.tensors.ranges import Range, real
from mpc.tensors.raw import Raw, cut_alike, exact_products, nearest, polynomial, polynomial_error, products
from mpc.tensors.tensor import PrivateTensor

LN2 = approximation.LN2
LOG_DEGREE = 8
ROOM = 62
MOST_FACTORS = 6
"""Of an inverse without scaling. With more it takes as many rounds as one with it."""
_SHORT_BITS = 28
_SLOPE_BITS = 10


def reciprocal_raw(x: Raw, fraction_bits: int) -> tuple[Raw, float]:
    """Return 1/x for positive numbers, and the largest relative error before it is rounded to its fraction bits.

    For w = 2.817 - 15/8 y, which is exact, e = 1 - y w is at most 0.061 on [1/2, 1], and 1/y is w (1 + e) (1 + e^2)
    (1 + e^4) but for e^8 < 2^-32 (Goldschmidt, 1964). The square of e and the product with 1 + e share their rounds.
    A unit here is half of a unit relative to y. Rounding y is off by two, each of w, e, e^2, e^4 and the three products
    by at most 1.1.
    """
    at = normalise(x)
    bits = min(29, ROOM - 1 - (at.top - at.lowest))
    y = at.value.with_bits(bits).within(Range(1 << (bits - 1), 1 << bits))
    first = y.times_integer(-15).add_integer(nearest(Decimal("2.817"), bits + 3)).read_with(bits + 3)
    (product,) = exact_products([(y, first)])
    most = 1 << (bits - 4)
    w, power = cut_alike([first.times_integer(1 << bits).read_with(product.bits), product], bits + 3)
    power = power.negate().add_integer(1 << bits).within(Range(-most, most))
    w = _product_form(w, power, 3, (2 << bits) + 20).within(Range((1 << bits) - 20, (2 << bits) + 20))
    inverse = exact_products([(w, at.scale)])[0]
    # 1/x = w scale 2^(fraction bits of x - top)
    result = inverse.read_with(bits + at.top - x.bits).with_bits(fraction_bits)
    return result, 2.0**-31 + 10 * 2.0**-bits


def _product_form(w: Raw, power: Raw, factors: int, highest: int) -> Raw:
    """Return w (1 + e) (1 + e^2) (1 + e^4) and so on with so many factors, in as many rounds.

    All e^i are below 1, and `highest` is above all products, as raw integers.
    """
    bits = power.bits
    for left in reversed(range(factors)):
        pairs = [(w, power.add_integer(1 << bits))] + ([(power, power)] if left else [])
        w, *rest = products(pairs, bits)
        w = w.within(Range(0, highest))
        power = rest[0].within(Range(0, power.range.bound)) if left else power
    return w


def short_reciprocal(x: Raw) -> tuple[Raw, float] | None:
    """Return 1/x for numbers of a short known range above zero, with its largest error, or None where it takes longer.

    No scaling is needed. For w = d (low + high - x), which is exact, e = 1 - x w is smallest by the d below, and the
    same at both ends as in the middle but for its sign. The rest is as in :func:`reciprocal_raw`. Each rounding of a
    power of e counts at most three units relative to 1/x. Each of a w counts one, and what later factors make of it.
    """
    low, high = (Fraction(end, 1 << x.bits) for end in (x.range.low, x.range.high))
    if low <= 0 or 2 * x.bits + _SLOPE_BITS + (high / low).__ceil__().bit_length() > ROOM:
        return None
    slope = round((1 << _SLOPE_BITS) * 8 / (4 * low * high + (low + high) ** 2))
    exact = Fraction(slope, 1 << _SLOPE_BITS)
    worst = float(max(abs(1 - exact * low * high), abs(1 - exact * (low + high) ** 2 / 4)))
    factors = next((each for each in range(1, MOST_FACTORS + 1) if worst ** (1 << each) < 2.0**-_SHORT_BITS), None)
    if not slope or factors is None:
        return None
    first = x.times_integer(-slope).add_integer(slope * (x.range.low + x.range.high)).read_with(x.bits + _SLOPE_BITS)
    first = first.within(Range(slope * x.range.low, slope * x.range.high))
    (product,) = exact_products([(x, first)])
    cut = product.bits - _SHORT_BITS
    w, power = cut_alike([first.times_integer(1 << x.bits).read_with(product.bits), product], cut)
    one = 1 << _SHORT_BITS
    most = int(worst * one) + 2
    power = power.negate().add_integer(one).within(Range(-most, most))
    unit = 2.0**-_SHORT_BITS
    relative = unit / (1 - worst) + 3 * (factors - 1) * unit + worst ** (1 << factors)
    error = relative / float(low) + (factors + 1) * unit / (1 - worst)
    highest = int((1 / float(low) + error) * one) + 2  # w (1 + e) ... is below 1/x but for the error
    return _product_form(w, power, factors, highest), error


def reciprocal(x: PrivateTensor, at_least: float | None) -> PrivateTensor:
    """Return 1/x. Its largest error is 2^-25 of the result, and one unit, at 16 fraction bits and up to 2^12.

    Args:
        x: numbers whose range does not reach zero, or any with `at_least`.
        at_least: smaller magnitudes count as this one, and zero as positive.
    """
    x = as_fixed(x)
    if x.range.low > 0:
        return _positive_reciprocal(x)
    if x.range.high < 0:
        return -_positive_reciprocal(-x)
    least = _least(x, "reciprocal", at_least)
    if x.range.low == 0:
        return _positive_reciprocal(clip(x, least, None))
    positive, bit = relu_and_bit(x)
    magnitude = subtract(multiply(positive, 2), x)
    magnitude.range = Range(0, x.bound)
    found = _positive_reciprocal(clip(magnitude, least, None))
    result = subtract(multiply(keep(bit, found), 2), found)
    result.range = Range(-found.range.high, found.range.high)
    return result


def _positive_reciprocal(x: PrivateTensor, more_bits: int = 0) -> PrivateTensor:
    """Return 1/x of positive numbers, with more fraction bits than x has, for a quotient that is rounded once."""
    session, label = x.session, x.session.label("reciprocal")
    value, relative = reciprocal_raw(Raw.of(label, x), x.fraction_bits + more_bits)
    one = 1 << (2 * x.fraction_bits + more_bits)
    slack = 2 + int(relative * one / x.range.low)
    exact = Range(one // x.range.high - slack, one // x.range.low + slack)
    value = value.within(Range(max(0, exact.low), exact.high))
    kept: list[PrivateTensor] = []

    def backward(gradient: Gradient) -> Sequence[Gradient | Scaled]:
        inverse = kept[0].in_format()
        return (Scaled(multiply(inverse, multiply(inverse, gradient)), -1.0),)

    result = session.result(
        label, value.shared, value.range, value.bits, (x,), reference=lambda a: 1 / a,
        error=relative / real(x.range.low, x.fraction_bits) + session.unit(value.bits), backward=backward,
    )  # fmt: skip
    kept.append(result.detach())
    return result


def divide(x: object, y: object) -> PrivateTensor:
    """Return x / y. The range of a private y must not reach zero. Use `x * y.reciprocal(at_least=…)` where it does.

    Its largest error is 2^-25 of the largest quotient, and two units, where the ring has the room. The inverse has as
    many fraction bits more as that takes.
    """
    if isinstance(y, PrivateTensor):
        y = as_fixed(y)
        if y.range.low <= 0 <= y.range.high:
            low, high = (real(end, y.fraction_bits) for end in (y.range.low, y.range.high))
            raise RangeError(
                f"divide: expected divisors whose range does not reach zero, found {low:g} to {high:g}; "
                "clip them, or multiply by reciprocal(at_least=…)"
            )
        if y.range.high < 0:
            return -divide(x, -y)
        numerator = x.range if isinstance(x, PrivateTensor) else encode_factor("divide", x, y.session.format, 64).range
        largest = numerator.bound.bit_length() + y.fraction_bits - y.range.low.bit_length() + 1
        inverse_bits = min(29, ROOM - 1 - largest)
        inverse = _positive_reciprocal(y, max(0, inverse_bits - y.fraction_bits))
        return multiply_all([(x, inverse)], mixed=True)[0] if isinstance(x, PrivateTensor) else multiply(inverse, x)
    assert isinstance(x, PrivateTensor)  # noqa: S101  (by the operators that lead here)
    divisor = np.asarray(y, dtype=np.float64)
    if (divisor == 0).any():
        raise ParameterError("divide: expected public divisors other than zero, found zero")
    return multiply(x, 1.0 / divisor)


def sqrt(x: PrivateTensor) -> PrivateTensor:
    """Return the root of numbers whose range is not negative. Its largest error is one unit and 2^-22 of the result.

    Goldschmidt's iteration holds z and h with z / 2h = y. It takes r = 1/2 - z h to 1.5 r^2 + r^3, from 0.11 to below
    2^-41 in four steps.
    """
    x = as_fixed(x)
    if x.range.low < 0:
        raise RangeError(
            "sqrt: expected numbers that cannot be negative, found a range from "
            f"{real(x.range.low, x.fraction_bits):g}; clip to at least 0"
        )
    session, label = x.session, x.session.label("sqrt")
    even = Raw.of(label, x)
    even = even.with_bits(even.bits + even.bits % 2)
    at = normalise(even, 2)
    bits = min(28, ROOM - 5 - at.top // 2)
    y = at.value.with_bits(bits)
    root, half_inverse = _roots(y)
    half_top, half_bits = at.top // 2, even.bits // 2
    # sqrt(v) = sqrt(y) 2^(e/2 + 1) for raw v with the exponent e, and sqrt(x) = sqrt(v) 2^-half_bits.
    back = at.combination([2 << (exponent // 2) for exponent in at.exponents], half_bits)
    value = exact_products([(root, back)])[0].with_bits(x.fraction_bits)
    unit = session.unit()
    largest = real(x.range.high, x.fraction_bits) ** 0.5
    relative = 2.0**-28 + 40 * 2.0**-bits
    plain = x.detach()
    value = value.within(Range(0, int((largest * (1 + relative)) / unit) + 2))

    def backward(gradient: Gradient) -> Sequence[Gradient]:
        if x.range.low <= 0:
            raise RangeError("sqrt: expected numbers above zero for a gradient, found a range from 0; clip before")
        # 1 / (2 sqrt x) = h 2^(half_bits - e/2 - 1)
        scale = at.combination([1 << (half_top - 1 - exponent // 2) for exponent in at.exponents], 0)
        slope = exact_products([(half_inverse, scale)])[0].read_with(bits + half_top - half_bits)
        found = slope.with_bits(x.fraction_bits)
        steepest = 0.5 / real(x.range.low, x.fraction_bits) ** 0.5
        tensor = session.result(
            session.label("slope"), found.shared, found.range, found.bits, (plain,),
            reference=lambda a: 0.5 / np.sqrt(a), error=2 * relative * steepest + unit,
        )  # fmt: skip
        return (multiply(tensor, gradient),)

    return session.result(
        label, value.shared, value.range, value.bits, (x,), reference=np.sqrt,
        error=relative * largest + unit, backward=backward,
    )  # fmt: skip


def _roots(y: Raw) -> tuple[Raw, Raw]:
    """Return sqrt(y) and 1 / (2 sqrt(y)) for y in [1/4, 1)."""
    bits = y.bits
    # 2.2 - 1.3 y is within 11 % of 1/sqrt(y).
    first = y.times_real(Decimal("-1.3")).add_integer(nearest(Decimal("2.2"), bits + 28)).with_bits(bits)
    z = products([(y, first)], bits)[0]
    h = first.read_with(bits + 1).with_bits(bits)
    for _ in range(4):
        rest = products([(z, h)], bits)[0].negate().add_integer(1 << (bits - 1))
        rest = rest.within(Range(-(1 << (bits - 2)), 1 << (bits - 1)))
        z_more, h_more = products([(z, rest), (h, rest)], bits)
        z = z.add(z_more).within(Range(0, (1 << bits) + (1 << (bits - 2))))
        h = h.add(h_more).within(Range(0, 6 << bits))
    return z, h


def log(x: PrivateTensor, at_least: float | None) -> PrivateTensor:
    """Return the natural logarithm. Its largest error is two units at 16 fraction bits.

    Args:
        x: numbers whose range is above zero, or any with `at_least`.
        at_least: smaller numbers count as this one.
    """
    x = as_fixed(x)
    if x.range.low <= 0:
        x = clip(x, _least(x, "log", at_least), None)
    session, label = x.session, x.session.label("log")
    at = normalise(Raw.of(label, x))
    value, error = log_raw(at, x.fraction_bits)
    kept = x.detach()
    return session.result(
        label, value.shared, value.range, value.bits, (x,), reference=np.log, error=error,
        backward=lambda gradient: (multiply(reciprocal(kept, None), gradient),),
    )  # fmt: skip


def log_raw(at: Normalised, fraction_bits: int) -> tuple[Raw, float]:
    """Return log(v 2^-fraction_bits) = log(y) + (e + 1 - fraction_bits) log(2), and the largest error.

    The polynomial of degree 8 on [1/2, 1) errs by at most 2 (1/8)^9 / 9 times 2^9, from the ninth derivative 8! / y^9.
    """
    session, bits = at.value.session, 28
    y = at.value.with_bits(bits).add_integer(-(3 << (bits - 2)))
    y = y.within(Range(-(1 << (bits - 2)), 1 << (bits - 2)))
    coefficients = _log_coefficients()
    part = polynomial(y, coefficients, bits)
    exponents = [nearest((exponent + 1 - fraction_bits) * LN2, bits) for exponent in at.exponents]
    unit_bits = session.format.fraction_bits
    value = part.add(at.combination(exponents, bits)).with_bits(unit_bits)
    error = 2 * 2.0**9 / (9 * 8.0**9) + polynomial_error(coefficients, bits, bits) + 3 * 2.0**-bits
    return value, error + 2.0**-unit_bits


def _log_coefficients() -> tuple[Decimal, ...]:
    """Return the polynomial of log on [1/2, 1) in y - 3/4."""
    return approximation.interpolate(_shifted_log, Fraction(-1, 4), Fraction(1, 4), LOG_DEGREE)


def _shifted_log(t: Decimal) -> Decimal:
    return approximation.log(t + Decimal("0.75"))


def _least(x: PrivateTensor, name: str, at_least: float | None) -> float:
    """Return the smallest magnitude that is told apart, or refuse a range that reaches zero without one."""
    low, high = (real(end, x.fraction_bits) for end in (x.range.low, x.range.high))
    if at_least is None:
        raise RangeError(
            f"{name}: expected a range that is above zero, found {low:g} to {high:g}; "
            "clip it, or say at_least=… for the smallest number that counts"
        )
    raw = encode_at(name, at_least, x.session.format, x.fraction_bits).range.low
    if raw < 1 or raw > x.bound:
        raise ParameterError(f"{name}: expected at_least from one unit to the bound {x.real_bound:g}, found {at_least}")
    return at_least
