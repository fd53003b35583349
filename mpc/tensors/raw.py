"""Fixed-point numbers inside a function, with any fraction bits and without gradients. The ring is checked for each.

A function such as `exp` computes on these with more fraction bits than its result has, so that its roundings do not
show. It states its largest error from the number of roundings and from its approximation.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpc.errors import RangeError
from mpc.ring import Words
from mpc.tensors.arithmetic import wrapping
from mpc.tensors.backends.interface import ManyEnds, Shape, Shared, Times
from mpc.tensors.ranges import Factor, Range
from mpc.tensors.tensor import PrivateTensor

if TYPE_CHECKING:
    from mpc.tensors.session import Session

COEFFICIENT_BITS = 28
FEWEST_RING_BITS = 64
"""Functions have up to 30 fraction bits inside, and products of two such numbers."""


@lru_cache(maxsize=4096)
def nearest(value: Decimal, fraction_bits: int) -> int:
    """Return round(value * 2^fraction_bits). It is the same integer on every machine."""
    return int((value * Decimal(2) ** fraction_bits).to_integral_value())


class Raw(NamedTuple):
    """A shared array with its range and its fraction bits, within one operation.

    Attributes:
        session: whose back-end computes.
        label: the operation's, for refusals.
        shared: the handle.
        range: of the raw words.
        bits: of fraction.
    """

    session: Session
    label: str
    shared: Shared
    range: Range
    bits: int

    @classmethod
    def of(cls, label: str, x: PrivateTensor) -> Raw:
        """Return a tensor's numbers, or refuse a ring without room for the fraction bits inside."""
        if x.format.ring_bits < FEWEST_RING_BITS:
            raise RangeError(f"{label}: needs a ring of {FEWEST_RING_BITS} bits, ring has {x.format.ring_bits}")
        return cls(x.session, label, x.shared, x.range, x.fraction_bits)

    def __repr__(self) -> str:
        return f"Raw(shape={self.shape}, bits={self.bits})"

    @property
    def shape(self) -> Shape:
        return tuple(self.shared.shape)

    def within(self, found: Range) -> Raw:
        """Return the same numbers with a range that is known for another reason."""
        return self._replace(range=self.range.meet(found))

    def read_with(self, bits: int) -> Raw:
        """Return the same words read with other fraction bits, which multiplies the numbers by a power of two."""
        return self._replace(bits=bits)

    def add(self, other: Raw) -> Raw:
        """Return the sum of two numbers with the same fraction bits."""
        assert self.bits == other.bits  # noqa: S101  (each function sees to it)
        shared = self.session.backend.add(self.shared, other.shared)
        return self._checked(shared, self.range + other.range, self.bits, "a sum")

    def negate(self) -> Raw:
        shared = self.session.backend.linear(Times(-1), self.shape, self.shared)
        return self._replace(shared=shared, range=-self.range)

    def add_integer(self, raw: int) -> Raw:
        """Return the numbers with a public raw integer added."""
        words = np.full((), raw % (1 << 64), dtype=np.uint64)
        shared = self.session.backend.add_public(self.shared, words)
        return self._checked(shared, self.range + Range(raw, raw), self.bits, "a sum")

    def times_integer(self, factor: int) -> Raw:
        """Return the numbers times a public integer."""
        shared = self.session.backend.linear(Times(factor), self.shape, self.shared)
        return self._checked(
            shared, self.range * Range(factor, factor), self.bits, f"times {abs(factor).bit_length()} bits"
        )

    def times_real(self, factor: Decimal, bits: int = COEFFICIENT_BITS) -> Raw:
        """Return the numbers times a public factor with so many fraction bits of its own, not rounded yet."""
        product = self.times_integer(nearest(factor, bits))
        return product.read_with(self.bits + bits)

    def with_bits(self, bits: int) -> Raw:
        """Return the same numbers with other fraction bits, rounded where these are fewer."""
        if bits >= self.bits:
            return self.times_integer(1 << (bits - self.bits)).read_with(bits)
        return cut_all([self], bits)[0]

    def _checked(self, shared: Shared, found: Range, bits: int, why: str) -> Raw:
        self.session.require_room(found, self.label, why, [Factor(self.range.bound, self.bits)])
        return self._replace(shared=shared, range=found, bits=bits)


def cut_all(numbers: Sequence[Raw], bits: int) -> list[Raw]:
    """Return numbers rounded to so many fraction bits, those that are cut alike in one round."""
    results = list(numbers)
    for cut in sorted({number.bits - bits for number in numbers} - {0}):
        places = [place for place, number in enumerate(numbers) if number.bits - bits == cut]
        for place, number in zip(places, cut_alike([numbers[place] for place in places], cut), strict=True):
            results[place] = number
    return results


def cut_alike(numbers: Sequence[Raw], cut: int) -> list[Raw]:
    """Return numbers with so many fraction bits fewer each, in one round."""
    bound = max(number.range.bound for number in numbers)
    shares = numbers[0].session.truncate([number.shared for number in numbers], cut, bound)
    return [
        number._replace(shared=shared, range=number.range.truncate(cut), bits=number.bits - cut)
        for number, shared in zip(numbers, shares, strict=True)
    ]


def exact_products(pairs: Sequence[tuple[Raw, Raw]]) -> list[Raw]:
    """Return products that are not rounded, with the sum of both fraction bits, in one round."""
    ranges = _product_ranges(pairs)
    shares = pairs[0][0].session.backend.multiply([(x.shared, y.shared) for x, y in pairs])
    return [
        Raw(x.session, x.label, shared, found, x.bits + y.bits)
        for (x, y), shared, found in zip(pairs, shares, ranges, strict=True)
    ]


def _product_ranges(pairs: Sequence[tuple[Raw, Raw]]) -> list[Range]:
    """Return the ranges of products, or refuse what the ring has no room for."""
    session = pairs[0][0].session
    ranges = []
    for x, y in pairs:
        found = x.range.square() if x.shared is y.shared else x.range * y.range
        why = f"a product of {x.range.bound.bit_length()} and {y.range.bound.bit_length()} bits inside"
        factors = [Factor(x.range.bound, x.bits), Factor(y.range.bound, y.bits)]
        session.require_room(found, x.label, why, factors)
        ranges.append(found)
    return ranges


def products(pairs: Sequence[tuple[Raw, Raw]], bits: int) -> list[Raw]:
    """Return products rounded to so many fraction bits. Each is off by less than one unit of these."""
    cuts = {x.bits + y.bits - bits for x, y in pairs}
    if len(cuts) > 1:
        return cut_all(exact_products(pairs), bits)
    (cut,), ranges = cuts, _product_ranges(pairs)
    bound = max(found.bound for found in ranges)
    shares = pairs[0][0].session.multiply_rounded([(x.shared, y.shared) for x, y in pairs], cut, bound)
    return [
        Raw(x.session, x.label, shared, found.truncate(cut), bits)
        for (x, _), shared, found in zip(pairs, shares, ranges, strict=True)
    ]


def polynomial(x: Raw, coefficients: Sequence[Decimal], bits: int) -> Raw:
    """Return a polynomial with public coefficients, the constant one first, in :func:`polynomial_rounds` of products.

    Where |x| <= 1, power i is off by less than 2i - 1 units of x. For some degrees it is A + x^h B, where h is a power
    of two and the upper part B is rounded with x^h (Paterson and Stockmeyer, 1973). See :func:`polynomial_error`.
    """
    degree = len(coefficients) - 1
    height = _height(degree)
    if height is None:
        powers = _powers(x, degree)
        return combined([powers[i] for i in range(1, degree + 1)], coefficients, COEFFICIENT_BITS).with_bits(bits)
    powers = _powers(x, height // 2)
    wanted = range(height // 2 + 1, height + 1)
    exact = exact_products([(powers[(i + 1) // 2], powers[i // 2]) for i in wanted])
    above = combined([powers[i] for i in range(1, degree - height + 1)], coefficients[height:], x.bits)
    *found, above = cut_all([*exact, above], x.bits)
    powers |= dict(zip(wanted, found, strict=True))
    (upper,) = exact_products([(powers[height], above)])
    lower = combined([powers[i] for i in range(1, height)], coefficients[:height], x.bits)
    return upper.add(lower).with_bits(bits)


def _powers(x: Raw, degree: int) -> dict[int, Raw]:
    """Return the powers up to a degree, each off by less than 2i - 1 units where |x| <= 1."""
    powers = {1: x}
    while len(powers) < degree:
        have = len(powers)
        wanted = range(have + 1, min(2 * have, degree) + 1)
        found = products([(powers[(i + 1) // 2], powers[i // 2]) for i in wanted], x.bits)
        powers |= dict(zip(wanted, found, strict=True))
    return powers


def _height(degree: int) -> int | None:
    """Return the h of :func:`polynomial`, or None where the upper part would have to wait for x^h."""
    height = 1 << max(0, (degree - 1).bit_length() - 1)
    return height if height > 1 and degree - height <= height // 2 else None


def polynomial_rounds(degree: int) -> int:
    """Return the rounds of products that are rounded before the last rounding."""
    ladder = (degree - 1).bit_length()
    return ladder if _height(degree) is None else ladder - 1


def combined(powers: Sequence[Raw], coefficients: Sequence[Decimal], bits: int) -> Raw:
    """Return numbers times public coefficients, and the first of these alone, as one linear function.

    The coefficients have so many fraction bits, which are added to those of the numbers. Nothing is rounded.
    """
    first = powers[0]
    constant, *factors = (nearest(coefficient, bits) for coefficient in coefficients)
    found = Range(0, 0)
    for power, factor in zip(powers, factors, strict=True):
        found = found + power.range * Range(factor, factor)
    words = [np.uint64(factor % (1 << 64)) for factor in factors]

    def sum_of(*arrays: Words) -> Words:
        total = np.asarray(arrays[0] * words[0])
        for array, word in zip(arrays[1:], words[1:], strict=True):
            total += array * word
        return total

    shared = first.session.backend.linear(wrapping(sum_of), first.shape, *[power.shared for power in powers])
    largest = max(powers, key=lambda power: power.range.bound)
    total = largest._checked(shared, found, first.bits + bits, f"a sum of {len(powers)} terms")
    return total.add_integer(constant << first.bits)


def polynomial_error(coefficients: Sequence[Decimal], x_bits: int, bits: int) -> float:
    """Return how far roundings alone can move a polynomial on |x| <= 1, as a real number.

    Each power counts by its own roundings times its coefficient. Of A + x^h B those of x^h count for all of B, those of
    B as for a polynomial of its own, and two units for its rounding and for products of errors. Each coefficient is off
    by half a unit of its own, and the result is rounded once.
    """
    height = _height(len(coefficients) - 1)
    sizes = [abs(float(coefficient)) for coefficient in coefficients]
    if height is None:
        units = sum(size * (2 * i - 1) for i, size in enumerate(sizes) if i > 1)
        return units * 2.0**-x_bits + len(sizes) * 2.0 ** -(COEFFICIENT_BITS + 1) + 2.0**-bits
    units = sum(size * (2 * min(i, height) - 1) for i, size in enumerate(sizes) if i > 1)
    units += sum(size * (2 * i - 1) for i, size in enumerate(sizes[height:]) if i > 1)
    return (units + 2 + len(sizes) / 2) * 2.0**-x_bits + 2.0**-bits


def below_each(x: Raw, thresholds: Sequence[int]) -> list[Shared]:
    """Return for each public raw threshold the bits of whether x is below it, all in one comparison."""
    backend = x.session.backend
    reached = Range(x.range.low - max(thresholds), x.range.high - min(thresholds))
    x.session.require_room(reached, x.label, "a comparison", [Factor(x.range.bound, x.bits)])
    if isinstance(backend, ManyEnds):
        return list(backend.below(x.shared, thresholds, reached.bound))
    offsets = [np.full((), -threshold % (1 << 64), dtype=np.uint64) for threshold in thresholds]
    differences = [backend.add_public(x.shared, offset) for offset in offsets]
    return list(backend.negative(differences, reached.bound))


def stepwise(x: Raw, below: Sequence[Shared], values: Sequence[int], fraction_bits: int) -> Raw:
    """Return for each number the public value of its step, of which there is one more than thresholds.

    Args:
        x: the numbers.
        below: as :func:`below_each` gives it, for ascending thresholds.
        values: from below the lowest threshold to above the highest one.
        fraction_bits: of the values.
    """
    backend = x.session.backend
    # The last value, and at each threshold that is not reached the jump back.
    factors = [np.uint64((before - after) % (1 << 64)) for before, after in pairwise(values)]

    def sum_of(*bits: Words) -> Words:
        total = bits[0] * factors[0]
        for bit, factor in zip(bits[1:], factors[1:], strict=True):
            total = total + bit * factor
        return total

    shared = backend.linear(wrapping(sum_of), x.shape, *below)
    shared = backend.add_public(shared, np.full((), values[-1] % (1 << 64), dtype=np.uint64))
    return x._replace(shared=shared, range=Range(min(values), max(values)), bits=fraction_bits)
