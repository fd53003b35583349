"""Coefficients of polynomials that stand for functions, the same on every machine.

Parties must multiply by the same public integers. So coefficients are computed in decimal arithmetic, whose results the
standard defines to the last digit, and not in floats, whose exp and cos differ between machines.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

CONTEXT = Context(prec=50)
LN2 = CONTEXT.ln(Decimal(2))


def exp(x: Decimal) -> Decimal:
    with localcontext(CONTEXT):
        return x.exp()


def log(x: Decimal) -> Decimal:
    with localcontext(CONTEXT):
        return x.ln()


def sigmoid(x: Decimal) -> Decimal:
    with localcontext(CONTEXT):
        return 1 / (1 + (-x).exp())


@lru_cache(maxsize=256)
def interpolate(
    function: Callable[[Decimal], Decimal], low: Fraction, high: Fraction, degree: int
) -> tuple[Decimal, ...]:
    """Return the coefficients, the constant one first, of the polynomial through a function at Chebyshev's nodes.

    Its error on [low, high] is at most the largest derivative of order degree + 1, times
    2 ((high - low) / 4)^(degree + 1) / (degree + 1)!, for nodes that are exact (Trefethen, Approximation Theory and
    Approximation Practice, chapter 4). These nodes are exact to 15 digits.
    """
    with localcontext(CONTEXT):
        middle, half = _decimal((low + high) / 2), _decimal((high - low) / 2)
        nodes = [middle + half * node for node in _chebyshev(degree + 1)]
        differences = [function(node) for node in nodes]
        for order in range(1, degree + 1):
            for i in range(degree, order - 1, -1):
                differences[i] = (differences[i] - differences[i - 1]) / (nodes[i] - nodes[i - order])
        coefficients = [differences[degree]]
        for i in range(degree - 1, -1, -1):
            shifted = [Decimal(0), *coefficients]
            coefficients = [a - nodes[i] * b for a, b in zip(shifted, [*coefficients, Decimal(0)], strict=True)]
            coefficients[0] += differences[i]
        return tuple(coefficients)


def _chebyshev(count: int) -> list[Decimal]:
    """Return cos((2i + 1) pi / 2 count), by the cosine's series."""
    pi = Decimal("3.14159265358979323846264338327950288419716939937510")
    return [_cosine((2 * i + 1) * pi / (2 * count)) for i in range(count)]


def _cosine(angle: Decimal) -> Decimal:
    total = term = Decimal(1)
    for i in range(1, 30):
        term = -term * angle * angle / ((2 * i - 1) * (2 * i))
        total += term
    return total


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
