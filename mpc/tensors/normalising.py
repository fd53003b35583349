"""Scaling a positive number by a secret power of two, so that it lies between 1/2 and 1.

The power follows from comparisons with all powers of two within the number's range, in one call. This is how numbers of
any size get an inverse, a root or a logarithm from one short approximation (Catrina and Saxena, FC 2010, section 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpc.tensors.backends.interface import Shared
from mpc.tensors.ranges import Factor, Range
from mpc.tensors.raw import Raw, below_each, stepwise


@dataclass(frozen=True, repr=False)
class Normalised:
    """A number v = y 2^top / scale, as raw integers, with y in [1/base, 1) or zero.

    Attributes:
        value: y, with `top` fraction bits, exact.
        scale: what v is multiplied by, as whole numbers.
        top: all raw words are below 2^top.
        steps: the exponents that were compared with, ascending.
        lowest: the exponent that is taken where no threshold is reached.
        below: for each threshold the bits of whether the number is below it.
    """

    value: Raw
    scale: Raw
    top: int
    step: int
    lowest: int
    steps: tuple[int, ...]
    below: tuple[Shared, ...]

    def combination(self, of_exponent: list[int], fraction_bits: int) -> Raw:
        """Return f(e) for the secret exponent e, given f at `lowest` and at each of `steps`, as raw integers."""
        return _by_exponent(self.value, self.below, of_exponent, fraction_bits)

    @property
    def exponents(self) -> list[int]:
        return [self.lowest, *self.steps]


def _by_exponent(x: Raw, below: Sequence[Shared], values: Sequence[int], fraction_bits: int) -> Raw:
    return stepwise(x, below, values, fraction_bits) if below else constant_like(x, values[0], fraction_bits)


def constant_like(like: Raw, constant: int, fraction_bits: int) -> Raw:
    """Return a public integer in the shape of another number."""
    return like.times_integer(0).add_integer(constant).read_with(fraction_bits)


def normalise(x: Raw, step: int = 1) -> Normalised:
    """Return x times a power of 2^step that takes it to [2^-step, 1). Zero stays zero.

    Args:
        x: numbers that are not negative.
        step: 1 for halves, 2 for quarters.
    """
    bits = max(1, x.range.high.bit_length())
    top = -(-bits // step) * step
    lowest = max(0, x.range.low.bit_length() - 1) // step * step
    steps = tuple(range(lowest + step, top, step))
    below = tuple(below_each(x, [1 << exponent for exponent in steps])) if steps else ()
    scale = _by_exponent(x, below, [1 << (top - step - exponent) for exponent in (lowest, *steps)], 0)
    least = 1 << (top - step) if x.range.low > 0 else 0
    found = Range(least, (1 << top) - 1)
    x.session.require_room(found, x.label, "a number scaled to the top", [Factor(x.range.bound, x.bits)])
    # The scale is small where x is large, so their product is far below the product of their bounds.
    shared = (
        x.session.backend.multiply([(x.shared, scale.shared)])[0]
        if steps
        else x.times_integer(1 << (top - step - lowest)).shared
    )
    value = Raw(x.session, x.label, shared, found, top)
    return Normalised(value, scale, top, step, lowest, steps, below)
