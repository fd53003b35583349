"""exp, softmax and log-sum-exp, with errors that are derived and stated.

exp of a number that is not positive is p(x / 2^k)^(2^k), for a polynomial p on a short interval and k squarings. All is
at most 1 there, so 29 fraction bits have room beside each other. Below the number whose exp is half a unit, x is
replaced by that number. exp of other numbers is exp(x - h) e^h, where h is the upper end of the range of x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, factorial, prod
from math import exp as float_exp

import numpy as np

from mpc.tensors import approximation
from mpc.tensors.arithmetic import as_fixed, axes_of, multiply, subtract
from mpc.tensors.autograd import Gradient
from mpc.tensors.comparing import relu
from mpc.tensors.extremes import maximum_of
from mpc.tensors.inverses import reciprocal_raw, short_reciprocal
from mpc.tensors.ranges import Factor, Range, real
from mpc.tensors.raw import Raw, nearest, polynomial, polynomial_error, polynomial_rounds, products
from mpc.tensors.tensor import PrivateTensor, Reals


@dataclass(frozen=True)
class Recipe:
    """How exp is computed on [-span, 0].

    Attributes:
        squarings: k.
        coefficients: of the polynomial.
        bits: of fraction, inside.
        error: the largest, as a real number, before the result is rounded.
    """

    squarings: int
    coefficients: tuple[Decimal, ...]
    bits: int
    error: float


@lru_cache(maxsize=64)
def recipe(span: int, ring_bits: int, wanted_error: float) -> Recipe:
    """Return the recipe with the fewest rounds whose error is small enough, or the one with the smallest error.

    The polynomial's own error is 2 (w/4)^(d+1) / (d+1)! on an interval of width w, because exp is at most 1 there. A
    squaring turns an error e into at most 2 e (1 + e) and one rounding.
    """
    bits = (ring_bits - 4) // 2
    found: list[tuple[int, int, float, int]] = []
    for squarings in range(1, 9):
        for degree in range(2, 10):
            width = span / 2**squarings
            if width > 1:
                continue
            own = 2 * prod([width / 4] * (degree + 1)) / factorial(degree + 1)  # the same on every machine
            error = (
                own + 2.0**-bits + polynomial_error([Decimal(1) / factorial(i) for i in range(degree + 1)], bits, bits)
            )
            for _ in range(squarings):
                error = 2 * error * (1 + error) + 2.0**-bits
            found.append((squarings + polynomial_rounds(degree), degree, error, squarings))
    good = [each for each in found if each[2] <= wanted_error]
    _, degree, error, squarings = min(good) if good else min(found, key=lambda each: each[2])
    low = Fraction(-span, 2**squarings)
    return Recipe(squarings, approximation.interpolate(approximation.exp, low, Fraction(0), degree), bits, error)


def exp_not_positive(x: Raw, tail_bits: int, bits: int) -> tuple[Raw, float]:
    """Return exp of numbers that are at most 0 with so many fraction bits at most, and the largest error.

    Of the error 2^-tail_bits is for the tail. The last squaring is rounded to the bits that are wanted.
    """
    span = ceil(tail_bits * 0.6931471805599454)
    lowest = -span << x.bits
    if x.range.low < lowest:
        shifted = x.add_integer(-lowest)
        kept = x.session.backend.relu([shifted.shared], shifted.range.bound)[0][0]
        clipped = Raw(x.session, x.label, kept, shifted.range.maximum(Range(0, 0)), x.bits)
        x = clipped.add_integer(lowest)
    session = x.session
    how = recipe(span, session.format.ring_bits, 2.0 ** -(tail_bits + 1))
    value = polynomial(x.read_with(x.bits + how.squarings).with_bits(how.bits), how.coefficients, how.bits)
    most = (1 << how.bits) + ceil(how.error * 2**how.bits)
    value = value.within(Range(0, most))
    for _ in range(how.squarings - 1):
        value = products([(value, value)], how.bits)[0].within(Range(0, most))
    wanted = min(bits, how.bits)
    value = products([(value, value)], wanted)[0].within(Range(0, (most >> (how.bits - wanted)) + 1))
    return value, how.error + 2.0**-tail_bits + (2.0**-wanted if wanted < how.bits else 0.0)


def exp(x: PrivateTensor) -> PrivateTensor:
    """Return e^x.

    For x of at most 0 the largest error is 2 units. Where the range of x ends at h > 0, it is 1 unit and e^h 2^-20 at
    16 fraction bits. The session's checker compares with the exact figure.

    Raises:
        RangeError: e^h does not fit the ring. Clip x first.
    """
    x = as_fixed(x)
    session = x.session
    label = session.label("exp")
    high = max(0, x.range.high)
    high_real = real(high, x.fraction_bits)
    whole_bits = ceil(high_real / 0.6931471805599453) + 1 if high else 0
    unit_bits = session.format.fraction_bits
    found = Range(0, 1 << (whole_bits + unit_bits))
    session.require_room(found, label, f"e^{high_real:g}", [Factor(x.bound, x.fraction_bits)])
    inside = session.format.ring_bits if high else unit_bits
    value, error = exp_not_positive(Raw.of(label, x).add_integer(-high), unit_bits + 1 + whole_bits, inside)
    largest = float_exp(high_real) if high else 1.0
    if high:
        top = approximation.exp(Decimal(high) / Decimal(2) ** x.fraction_bits)
        factor_bits = session.format.ring_bits - 4 - value.bits - whole_bits
        value = value.times_integer(nearest(top, factor_bits)).read_with(value.bits + factor_bits)
        error = largest * error + 2.0 ** -(factor_bits + 1)
        value = value.with_bits(unit_bits)
        error += session.unit()
    values = value.range.meet(found)
    result = session.result(
        label, value.shared, values, unit_bits, (x,), reference=np.exp, error=error,
        backward=lambda gradient: (_times(gradient, kept),),
    )  # fmt: skip
    kept = result.detach()
    return result


def _times(gradient: Gradient, value: PrivateTensor) -> PrivateTensor:
    return multiply(value, gradient)


def softmax(x: PrivateTensor, axis: int) -> PrivateTensor:
    """Return e^x / sum(e^x) along an axis, with the largest value taken off first.

    The largest error is 2 units and 2^-17 for each value along the axis, at 16 fraction bits. The values far below the
    largest one bring most of it.
    """
    x = as_fixed(x)
    session = x.session
    axis = axes_of("softmax", x.shape, axis)[0]
    with session.no_grad():
        powers, total, error = _shifted_exps(x, axis)
    label = powers.label
    count = x.shape[axis]
    inverse, relative = short_reciprocal(total) or reciprocal_raw(total, total.bits)
    value = products([(powers, inverse)], session.format.fraction_bits)[0]
    unit = session.unit()
    value = value.within(Range(0, (1 << value.bits) + 1 + ceil((count + 1) * error / unit)))
    kept: list[PrivateTensor] = []

    def backward(gradient: Gradient) -> Sequence[Gradient]:
        along = multiply(kept[0], gradient).sum(axis=axis, keepdims=True)
        return (multiply(kept[0], subtract(gradient, along)),)

    result = session.result(
        label, value.shared, value.range, value.bits, (x,), reference=lambda a: _softmax(a, axis),
        error=(count + 1) * error + relative + 2.0**-22 + unit, backward=backward,
    )  # fmt: skip
    kept.append(result.detach())
    return result


def _shifted_exps(x: PrivateTensor, axis: int) -> tuple[Raw, Raw, float]:
    """Return e^(x - max) and its sum along an axis, kept as an axis of size 1, and the largest error of the first."""
    session = x.session
    shifted = subtract(x, maximum_of(x, axis, True))
    shifted.range = shifted.range.meet(Range(shifted.range.low, 0))
    label = session.label("softmax")
    powers, error = exp_not_positive(Raw.of(label, shifted), session.format.fraction_bits + 2, 24)
    shape = tuple(1 if each == axis else size for each, size in enumerate(x.shape))
    shared = session.backend.linear(lambda words: words.sum(axis=axis, keepdims=True), shape, powers.shared)
    count = x.shape[axis]
    # One of the values along the axis is 0, whose exp is 1 but for the error.
    least = (1 << powers.bits) - ceil(error * 2**powers.bits)
    total = Raw(session, label, shared, Range(least, powers.range.high * count), powers.bits)
    return powers, total, error


def _softmax(values: Reals, axis: int) -> Reals:
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def log_sum_exp(x: PrivateTensor) -> PrivateTensor:
    """Return log(sum(e^x)) along the last axis.

    Its largest error is three units and two for each value along the axis, because small powers are never less than
    half a unit.

    No gradient flows through it. The loss that it is for has a simpler one.
    """
    x = as_fixed(x)
    with x.session.no_grad():
        largest = maximum_of(x, x.ndim - 1, False)
        powers = _not_positive(subtract(x, largest.reshape(*largest.shape, 1)))
        return largest + _log_of_sum(powers.sum(axis=-1))


def softplus(x: PrivateTensor) -> PrivateTensor:
    """Return log(1 + e^x) = max(0, x) + log(1 + e^-|x|), whose largest error is five units. No gradient flows."""
    x = as_fixed(x)
    with x.session.no_grad():
        positive = relu(x)
        powers = _not_positive(subtract(x, multiply(positive, 2)))
        return positive + _log_of_sum(powers + 1)


def _not_positive(x: PrivateTensor) -> PrivateTensor:
    """Return e^x for numbers that are at most 0 by their making, whatever their range says."""
    x.range = x.range.meet(Range(x.range.low, 0))
    return exp(x)


def _log_of_sum(x: PrivateTensor) -> PrivateTensor:
    """Return the logarithm of a sum, one of whose terms is 1 but for two units."""
    x.range = x.range.meet(Range((1 << x.fraction_bits) - 2, x.range.high))
    return x.log()
