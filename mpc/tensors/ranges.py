"""Ranges of raw words: exact integers that no value of a tensor leaves, and what the ring can hold of them.

A tensor's raw words are integers. Its range follows from the ranges of its inputs by interval arithmetic (Moore, 1966),
on Python integers of any size. So a range is never rounded, and it depends on nothing secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mpc.errors import ParameterError, RangeError

ROOM_BITS = 2
"""One bit for the sign, and one that rounding and comparisons need."""


@dataclass(frozen=True)
class Format:
    """How real numbers stand in the ring. A number r stands as about r * 2^fraction_bits.

    Whole numbers, such as the results of comparisons, have no fraction bits and go with every format.
    """

    ring_bits: int
    fraction_bits: int

    def __str__(self) -> str:
        return f"{self.ring_bits} bits, {self.fraction_bits} of them fraction"


@dataclass(frozen=True)
class Range:
    """All integers from `low` to `high`."""

    low: int
    high: int

    @classmethod
    def around_zero(cls, bound: int) -> Range:
        return cls(-bound, bound)

    @property
    def bound(self) -> int:
        """The largest magnitude."""
        return max(-self.low, self.high)

    @property
    def bits(self) -> int:
        """How many bits of a ring values of this range need, with the room for sign and rounding."""
        return self.bound.bit_length() + ROOM_BITS

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Range:
        return Range(-self.high, -self.low)

    def __sub__(self, other: Range) -> Range:
        return self + -other

    def __mul__(self, other: Range) -> Range:
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Range(min(corners), max(corners))

    def square(self) -> Range:
        """Return the range of x * x, which is never negative."""
        least = 0 if self.low <= 0 <= self.high else min(self.low**2, self.high**2)
        return Range(least, self.bound**2)

    def times(self, count: int) -> Range:
        """Return the range of a sum of so many values."""
        return Range(self.low * count, self.high * count)

    def union(self, other: Range) -> Range:
        return Range(min(self.low, other.low), max(self.high, other.high))

    def meet(self, other: Range) -> Range:
        """Return what lies in both ranges, for a value that is known to lie in both."""
        return Range(max(self.low, other.low), min(self.high, other.high))

    def shift_left(self, bits: int) -> Range:
        return Range(self.low << bits, self.high << bits)

    def truncate(self, bits: int) -> Range:
        """Return the range of x / 2^bits, rounded up or down in whatever way."""
        return Range(self.low >> bits, -(-self.high >> bits))

    def maximum(self, other: Range) -> Range:
        return Range(max(self.low, other.low), max(self.high, other.high))


def raw_range(bound: object, fraction_bits: int) -> Range:
    """Return the raw range that a caller states as real numbers, as one magnitude or as a pair (lowest, highest)."""
    ends = bound if isinstance(bound, tuple) else (0, bound)
    try:
        low, high = (Fraction(end) for end in ends)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"expected a bound, or a pair (lowest, highest), of numbers, found {bound!r}") from None
    low = low if isinstance(bound, tuple) else -high
    if low > high:
        raise ParameterError(f"expected a bound of at least zero, or (lowest, highest), found {bound!r}")
    unit = 1 << fraction_bits
    return Range((low * unit).__floor__(), (high * unit).__ceil__())


def real(raw: int, fraction_bits: int) -> float:
    """Return the real number that a raw integer stands for, as a float that is only for reading."""
    return float(Fraction(raw, 1 << fraction_bits))


@dataclass(frozen=True)
class Factor:
    """What an operation multiplies, for the advice of a refusal.

    Attributes:
        bound: its largest raw magnitude.
        fraction_bits: of its raw words.
    """

    bound: int
    fraction_bits: int


def require_room(found: Range, ring_bits: int, label: str, why: str, fraction_bits: int, factors: list[Factor]) -> None:
    """Refuse what the ring cannot hold, before anything is computed.

    Args:
        found: the range of the result before it is rounded.
        label: the operation's running number and name.
        why: what the number of bits consists of.
        fraction_bits: of the session, which the advice lowers.
        factors: what is multiplied. One alone is only added up or scaled.

    Raises:
        RangeError: with the bits that are needed and those that are there, and what to change.
    """
    excess = found.bits - ring_bits
    if excess <= 0:
        return
    advice = []
    with_fractions = sum(factor.fraction_bits > 0 for factor in factors)
    lower = fraction_bits - -(-excess // max(1, with_fractions))
    if with_fractions and lower >= 1:
        advice.append(f"lower fraction_bits to {lower}")
    widest = max(factors, key=lambda factor: Fraction(factor.bound, 1 << factor.fraction_bits))
    clip = (widest.bound.bit_length() - 1) - widest.fraction_bits - excess
    if clip >= -widest.fraction_bits:
        advice.append(f"clip to 2^{clip}")
    advised = " or ".join(advice) or "use fewer or smaller values"
    raise RangeError(f"{label}: needs {found.bits} bits ({why}), ring has {ring_bits}; {advised}")
