"""Sigmoid and tanh by cubic pieces, with secret coefficients that comparisons choose.

All comparisons are one call. The middle piece is odd about 1/2, and the others come in pairs by
sigmoid(-x) = 1 - sigmoid(x). Beyond the last knot the result is 0 or 1 exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np

from mpc.tensors import approximation
from mpc.tensors.arithmetic import as_fixed, multiply, subtract
from mpc.tensors.autograd import Gradient, Scaled
from mpc.tensors.backends.interface import Shared
from mpc.tensors.normalising import constant_like
from mpc.tensors.ranges import Range
from mpc.tensors.raw import Raw, below_each, cut_alike, exact_products, nearest, stepwise
from mpc.tensors.tensor import PrivateTensor, Reals

KNOTS = (Fraction(19, 25), Fraction(48, 25), Fraction(187, 50), Fraction(59, 10), Fraction(97, 10))
PIECES_ERROR = 6.2e-5
"""The largest distance of the pieces from sigmoid, without roundings."""
INNER_BITS = 24
CURVE_BITS = 28
ROUNDING_ERROR = 2.5e-6
"""Of coefficients with 28 fraction bits, times powers up to 9.7^3, and of the roundings in between."""


def coefficients() -> list[tuple[Decimal, ...]]:
    """Return the cubics from below the lowest knot to above the highest one, each with four coefficients."""
    sigmoid = approximation.sigmoid
    right = [approximation.interpolate(sigmoid, low, high, 3) for low, high in pairwise(KNOTS)]
    middle = approximation.interpolate(sigmoid, -KNOTS[0], KNOTS[0], 3)
    left = [(1 - c[0], c[1], -c[2], c[3]) for c in reversed(right)]
    zero, one = (Decimal(0),) * 4, (Decimal(1), *(Decimal(0),) * 3)
    return [zero, *left, middle, *right, one]


def sigmoid(x: PrivateTensor) -> PrivateTensor:
    """Return 1 / (1 + e^-x). Its largest error is 2^-14 and two units, for every x."""
    x = as_fixed(x)
    label = x.session.label("sigmoid")
    value, error = _sigmoid(Raw.of(label, x))
    kept: list[PrivateTensor] = []

    def backward(gradient: Gradient) -> Sequence[Gradient]:
        slope = subtract(kept[0], multiply(kept[0], kept[0]))
        return (multiply(slope, gradient),)

    result = x.session.result(
        label, value.shared, value.range, value.bits, (x,), reference=plain_sigmoid, error=error, backward=backward
    )
    kept.append(result.detach())
    return result


def tanh(x: PrivateTensor) -> PrivateTensor:
    """Return tanh(x) = 2 sigmoid(2x) - 1. Its largest error is 2^-13 and four units, for every x."""
    x = as_fixed(x)
    session = x.session
    label = session.label("tanh")
    value, error = _sigmoid(Raw.of(label, x).times_integer(2))
    value = value.times_integer(2).add_integer(-(1 << value.bits))
    kept: list[PrivateTensor] = []

    def backward(gradient: Gradient) -> Sequence[Gradient | Scaled]:
        return (multiply(subtract(1, multiply(kept[0], kept[0])), gradient),)

    result = session.result(
        label, value.shared, value.range, value.bits, (x,), reference=np.tanh, error=2 * error, backward=backward
    )
    kept.append(result.detach())
    return result


def _sigmoid(x: Raw) -> tuple[Raw, float]:
    """Return the pieces at x with the session's fraction bits, and the largest error.

    With coefficients c the result is (c0 + c1 y) + (c2 + c3 y) y^2. A coefficient is off by 2^-29, a rounding by 2^-24
    or 2^-28.
    """
    session, unit_bits = x.session, x.session.format.fraction_bits
    inner = max(INNER_BITS, unit_bits)
    knots = [-knot for knot in reversed(KNOTS)] + list(KNOTS)
    thresholds = [nearest(Decimal(knot.numerator) / knot.denominator, x.bits) for knot in knots]
    # A threshold that the range of x does not reach is left out, and so is the piece beyond it.
    pieces = coefficients()
    first = sum(threshold <= x.range.low for threshold in thresholds)
    last = sum(threshold <= x.range.high for threshold in thresholds)
    used, pieces = thresholds[first:last], pieces[first : last + 1]
    below = below_each(x, used) if used else []

    def coefficient(order: int) -> Raw:
        each = [nearest(piece[order], CURVE_BITS) for piece in pieces]
        return stepwise(x, below, each, CURVE_BITS) if below else constant_like(x, each[0], CURVE_BITS)

    end = thresholds[-1]
    y = x
    if below and (first == 0 or last == len(thresholds)):
        # Beyond the knots the coefficients are 0, so there 0 stands for x, which would be too large to be squared.
        kept = _kept(x, below, from_below=first == 0, from_above=last == len(thresholds))
        y = Raw(session, x.label, kept, Range(-end, end).meet(x.range.union(Range(0, 0))), x.bits)
    y = y.with_bits(inner)
    quadratic = coefficient(2)
    session.mask_ahead([quadratic.shared])
    square, slope, curve = exact_products([(y, y), (coefficient(1), y), (coefficient(3), y)])
    square, curve = cut_alike([square, curve], inner)
    outer = exact_products([(curve.add(quadratic), square)])[0]
    low = slope.with_bits(outer.bits).add(coefficient(0).with_bits(outer.bits))
    value = outer.add(low).with_bits(unit_bits)
    error = PIECES_ERROR + ROUNDING_ERROR
    slack = 2 + int(error * 2**unit_bits)
    value = value.within(Range(-slack, (1 << unit_bits) + slack))
    return value, error + 2.0**-unit_bits


def _kept(x: Raw, below: Sequence[Shared], *, from_below: bool, from_above: bool) -> Shared:
    """Return x between the outermost knots, and 0 beyond them.

    Each bit is multiplied by itself. A bit that a comparison gave takes no round, and a difference of two would.
    """
    backend = x.session.backend
    taken = [below[0]] * from_below + [below[-1]] * from_above
    kept = backend.keep_if(taken, [x.shared] * len(taken))
    reached = kept[-1] if from_above else x.shared
    return backend.subtract(reached, kept[0]) if from_below else reached


def plain_sigmoid(values: Reals) -> Reals:
    """Return sigmoid in floats, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))
