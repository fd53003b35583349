"""What a program of encrypted training computes with: one contract for ciphertexts and for their twin in the clear.

A program is written once, against :class:`Arithmetic`. Under :mod:`mpc.encrypted.ciphertexts` it computes on
ciphertexts. Under :mod:`mpc.encrypted.twin` it computes the same numbers in float64, with the same levels, the same
scales and the constants as they are encoded.

A value has a level, which is how many more rescalings it can take, and a scale, which is the exact rational number that
its slots are multiplied by inside of the ciphertext. Values of different levels meet at the lower one. Values of
different scales never meet. A program chooses the scale of its constants so that sums are at equal scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Protocol, TypeVar

from mpc.encrypted.packing import Floats


class Value(Protocol):
    """Numbers in slots, readable or not."""

    @property
    def level(self) -> int:
        """How many rescalings are left."""
        ...

    @property
    def scale(self) -> Fraction:
        """What the slots are multiplied by."""
        ...


V = TypeVar("V", bound=Value)


class Arithmetic(Protocol[V]):
    """Operations on values. Each raises `ParameterError` for values that cannot meet, and where no level is left."""

    def prime(self, level: int) -> int:
        """Return the prime by which a product at this level, 1 or more, is rescaled."""
        ...

    def add(self, first: V, second: V) -> V:
        """Add values of equal scale."""
        ...

    def subtract(self, first: V, second: V) -> V:
        """Subtract the second of two values of equal scale."""
        ...

    def add_plain(self, value: V, slots: Floats) -> V:
        """Add public numbers, ``(slots,)``, encoded at the value's scale."""
        ...

    def add_constant(self, value: V, constant: float) -> V:
        """Add the same number to every slot, encoded at the value's scale."""
        ...

    def lower(self, value: V, level: int) -> V:
        """Return the same numbers at a lower level, exactly."""
        ...

    def multiply(self, first: V, second: V) -> V:
        """Multiply slot by slot, relinearise and rescale. The product is one level lower."""
        ...

    def dot(self, first: Sequence[V], second: Sequence[V]) -> V:
        """Add up the products of as many values each, slot by slot, and relinearise and rescale the sum alone.

        All of the first have one scale, and all of the second.
        """
        ...

    def multiply_plain(self, value: V, slots: Floats, scale: Fraction) -> V:
        """Multiply by public numbers, ``(slots,)``, and rescale so that the product has just this scale."""
        ...

    def times_plain(self, like: V, slots: Floats, scale: Fraction) -> Callable[[V], V]:
        """Return :meth:`multiply_plain` by these numbers for values like this one, for which they are encoded once.

        What it returns takes values of the same level and scale, in any thread.
        """
        ...

    def multiply_constant(self, value: V, constant: float, scale: Fraction) -> V:
        """Multiply every slot by the same public number, and rescale so that the product has just this scale."""
        ...

    def scaled_up(self, value: V, bits: int, power: int = 0) -> V:
        """Return 2^power times the numbers at a scale that is 2^bits times as large, exactly and at the same level.

        Either may be below 0, but not their sum.
        """
        ...

    def rotate(self, value: V, step: int) -> V:
        """Return the value whose slot i is slot i + step of this one, counted in a circle."""
        ...

    def add_rotated(self, value: V, steps: Sequence[int]) -> V:
        """Add to the value its rotation by each step in turn, which doubles the reach of the sum each time."""
        ...

    def each(self, steps: Sequence[Callable[[], V]]) -> list[V]:
        """Do steps of which none needs another's result, and return what each gives, in order."""
        ...


def total(arithmetic: Arithmetic[V], values: Sequence[V]) -> V:
    """Return the sum of one value or more."""
    found, *others = values
    for other in others:
        found = arithmetic.add(found, other)
    return found
