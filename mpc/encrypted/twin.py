"""The twin of an encrypted program: the same operations in float64, with the error that the encrypted run may have.

The twin computes with the constants as they are encoded, so that only the noise of the encryption is between it and the
encrypted run. Each operation refuses what the encrypted one could not hold, by the number that is too large.

The bound on the error is derived operation by operation. Every operation adds noise of a known deviation to the slots
of its result (:mod:`mpc.encrypted.noise`), and the noise of different operations is independent. To first order the
error of an output is a linear function of all that noise. The twin walks back from the output through all operations,
as reverse differentiation does, and so finds the coefficients of that function. The sum of their squares times the
variances is the output's variance. What is left out are products of two errors. They are smaller than the bound by the
factor of the relative error, which :meth:`Twin.errors` keeps below a thousandth or refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mpc.encrypted.embedding import encoded
from mpc.encrypted.noise import DEVIATIONS, Chain, largest_share
from mpc.encrypted.packing import Floats
from mpc.errors import ParameterError, RangeError

LARGEST_ERROR = 1e-3
"""The largest deviation, relative to the largest number of an output, for which the bound of first order is given."""

Backward = Callable[[Floats], Floats]


@dataclass(frozen=True, repr=False)
class Clear:
    """Numbers in slots, in the clear, with the level and the scale of the ciphertext that they stand for.

    Attributes:
        place: of the operation that made it, among all operations of its twin.
    """

    slots: Floats
    level: int
    scale: Fraction
    place: int

    def __repr__(self) -> str:
        return f"Clear(slots={len(self.slots)}, level={self.level})"


@dataclass(frozen=True, repr=False)
class _Operation:
    """How the derivatives of an output go back to the operands, and the deviation of each slot of the result."""

    operands: tuple[tuple[int, Backward], ...]
    deviation: float


def _unchanged(derivatives: Floats) -> Floats:
    return derivatives


def _times(factor: Floats) -> Backward:
    return lambda derivatives: derivatives * factor


def _rounded(constant: float, scale: Fraction) -> float:
    """Return a constant as it is encoded at a scale.

    Raises:
        RangeError: rounding changes it by more than 2^-10 of it, which the core refuses, too.
    """
    exact = Fraction(constant) * scale
    if abs(round(exact) - exact) > abs(exact) / 1024:
        raise RangeError(
            f"expected constants that rounding changes by at most 2^-10 of them, found {constant:.3g} at a scale of "
            f"{float(scale):.3g}: take a larger learning rate or fewer records"
        )
    return float(round(exact) / scale)


class Twin:
    """Arithmetic in the clear.

    Args:
        chain: the primes and the noise of the encryption that this is the twin of.

    Attributes:
        products_level: the highest level at which two values were multiplied, 0 for none.
        rotations: the steps by which values were rotated, each with the highest level. So the keys can be cut to where
            they are used.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.products_level = 0
        self.rotations: dict[int, int] = {}
        self._operations: list[_Operation] = []

    def __repr__(self) -> str:
        return f"Twin(operations={len(self._operations)})"

    # -- values --------------------------------------------------------------------------------------------------------

    def fresh(self, slots: Floats, scale: Fraction, *, public: bool = False, level: int | None = None) -> Clear:
        """Return the twin of a fresh ciphertext, encrypted with the secret key or with the public one."""
        if slots.shape != (self.chain.slots,):
            raise ParameterError(f"expected {self.chain.slots} slots, found shape {slots.shape}")
        deviation = self.chain.fresh_public if public else self.chain.fresh
        level = self.chain.levels if level is None else level
        if not 0 <= level <= self.chain.levels:
            raise ParameterError(f"expected a level of 0 to {self.chain.levels}, found {level}: fewer iterations?")
        return self._made(np.asarray(slots, np.float64), level, scale, (), deviation)

    def _made(
        self, slots: Floats, level: int, scale: Fraction, operands: tuple[tuple[int, Backward], ...], deviation: float
    ) -> Clear:
        """Keep an operation and return its result. Raises `RangeError` where the ciphertext cannot hold it.

        ``deviation`` is of integers inside of the ciphertext. A coefficient is at most the largest slot times the
        scale, so that it does not wrap below half of the modulus.
        """
        largest = float(np.abs(slots).max())
        room = self.chain.modulus(level) / 2 / float(scale)
        if not largest < room:
            raise RangeError(
                f"expected numbers below {room:.3g} in a ciphertext of level {level}, found {largest:.3g}: take a "
                "smaller rate or smaller numbers"
            )
        self._operations.append(_Operation(operands, deviation / float(scale)))
        return Clear(slots, level, scale, len(self._operations) - 1)

    # -- operations, see mpc.encrypted.arithmetic ----------------------------------------------------------------------

    def prime(self, level: int) -> int:
        """Return the prime by which a product at this level is rescaled."""
        if not 1 <= level <= self.chain.levels:
            raise ParameterError(f"expected a level of 1 to {self.chain.levels} for a product, found {level}")
        return self.chain.primes[level]

    def add(self, first: Clear, second: Clear) -> Clear:
        """Add values of equal scale."""
        if first.scale != second.scale:
            raise ParameterError("expected values of equal scale in a sum, found two scales")
        operands = ((first.place, _unchanged), (second.place, _unchanged))
        level = min(first.level, second.level)
        return self._made(first.slots + second.slots, level, first.scale, operands, 0.0)

    def subtract(self, first: Clear, second: Clear) -> Clear:
        """Subtract the second of two values of equal scale."""
        if first.scale != second.scale:
            raise ParameterError("expected values of equal scale in a difference, found two scales")
        operands = ((first.place, _unchanged), (second.place, np.negative))
        level = min(first.level, second.level)
        return self._made(first.slots - second.slots, level, first.scale, operands, 0.0)

    def add_plain(self, value: Clear, slots: Floats) -> Clear:
        """Add public numbers, as they are encoded at the value's scale."""
        operands = ((value.place, _unchanged),)
        return self._made(value.slots + encoded(slots, value.scale), value.level, value.scale, operands, 0.0)

    def add_constant(self, value: Clear, constant: float) -> Clear:
        """Add the same number to every slot. A constant is one coefficient, so its rounding is known exactly."""
        rounded = _rounded(constant, value.scale)
        return self._made(value.slots + rounded, value.level, value.scale, ((value.place, _unchanged),), 0.0)

    def lower(self, value: Clear, level: int) -> Clear:
        """Return the same numbers at a lower level, exactly."""
        if not 0 <= level <= value.level:
            raise ParameterError(f"expected a level of 0 to {value.level}, found {level}")
        return self._made(value.slots, level, value.scale, ((value.place, _unchanged),), 0.0)

    def refreshed(self, value: Clear, level: int) -> Clear:
        """Return the same numbers at a higher level, as several owners refresh them, with their noise and some more."""
        if not value.level <= level <= self.chain.levels:
            raise ParameterError(f"expected a level of {value.level} to {self.chain.levels}, found {level}")
        return self._made(value.slots, level, value.scale, ((value.place, _unchanged),), self.chain.refreshed)

    def multiply(self, first: Clear, second: Clear) -> Clear:
        """Multiply slot by slot, relinearise and rescale."""
        level = min(first.level, second.level)
        prime = self.prime(level)
        self.products_level = max(self.products_level, level)
        scale = first.scale * second.scale / prime
        operands = (
            (first.place, _times(second.slots)),
            (second.place, _times(first.slots)),
        )
        return self._made(first.slots * second.slots, level - 1, scale, operands, self.chain.product(level))

    def dot(self, first: Sequence[Clear], second: Sequence[Clear]) -> Clear:
        """Add up products slot by slot, and relinearise and rescale the sum alone."""
        if len({one.scale for one in first}) > 1 or len({one.scale for one in second}) > 1:
            raise ParameterError("expected values of equal scale on each side of a sum of products, found others")
        level = min(one.level for one in (*first, *second))
        prime = self.prime(level)
        self.products_level = max(self.products_level, level)
        operands: list[tuple[int, Backward]] = []
        for a, b in zip(first, second, strict=True):
            operands += [(a.place, _times(b.slots)), (b.place, _times(a.slots))]
        slots = sum(a.slots * b.slots for a, b in zip(first, second, strict=True))
        scale = first[0].scale * second[0].scale / prime
        return self._made(np.asarray(slots), level - 1, scale, tuple(operands), self.chain.product(level))

    def multiply_plain(self, value: Clear, slots: Floats, scale: Fraction) -> Clear:
        """Multiply by public numbers and rescale to just this scale."""
        return self.times_plain(value, slots, scale)(value)

    def times_plain(self, like: Clear, slots: Floats, scale: Fraction) -> Callable[[Clear], Clear]:
        """Return the product with public numbers, rescaled to just this scale, for values like this one."""
        public = encoded(slots, scale * self.prime(like.level) / like.scale)

        def product(value: Clear) -> Clear:
            if (value.level, value.scale) != (like.level, like.scale):
                raise ParameterError("expected a value of the level and the scale that numbers are encoded for")
            operands = ((value.place, _times(public)),)
            return self._made(value.slots * public, value.level - 1, scale, operands, self.chain.rounding)

        return product

    def multiply_constant(self, value: Clear, constant: float, scale: Fraction) -> Clear:
        """Multiply every slot by the same public number, which is one coefficient, and rescale to just this scale."""
        prime = self.prime(value.level)
        at = scale * prime / value.scale
        rounded = _rounded(constant, at)
        operands = ((value.place, lambda derivatives: derivatives * rounded),)
        return self._made(value.slots * rounded, value.level - 1, scale, operands, self.chain.rounding)

    def scaled_up(self, value: Clear, bits: int, power: int = 0) -> Clear:
        """Return 2^power times the numbers at a scale that is 2^bits times as large, exactly."""
        if bits + power < 0:
            raise ParameterError(f"expected a product with an integer, found 2^{bits + power}")
        factor, scale = 2.0**power, value.scale * Fraction(2) ** bits
        operands = ((value.place, lambda derivatives: derivatives * factor),)
        return self._made(value.slots * factor, value.level, scale, operands, 0.0)

    def rotate(self, value: Clear, step: int) -> Clear:
        """Return the value whose slot i is slot i + step of this one, counted in a circle."""
        operands = ((value.place, lambda derivatives: np.roll(derivatives, step)),)
        deviation = self.chain.switching(value.level)
        self.rotations[step] = max(self.rotations.get(step, 0), value.level)
        return self._made(np.roll(value.slots, -step), value.level, value.scale, operands, deviation)

    def add_rotated(self, value: Clear, steps: Sequence[int]) -> Clear:
        """Add to the value its rotation by each step in turn."""
        for step in steps:
            value = self.add(value, self.rotate(value, step))
        return value

    def each(self, steps: Sequence[Callable[[], Clear]]) -> list[Clear]:
        """Do independent steps, one after the other."""
        return [step() for step in steps]

    # -- errors --------------------------------------------------------------------------------------------------------

    def errors(self, value: Clear, outputs: Floats) -> tuple[Floats, Floats]:
        """Return the standard deviation of each output of the encrypted run, and a bound on its error, both ``(k,)``.

        The bound holds for all outputs together except with probability below ``(operations + outputs) * 2^-48``.

        Args:
            value: what the outputs are read from.
            outputs: ``(k, slots)``, each output as a linear function of the value's slots.

        Raises:
            RangeError: the noise is so large that errors of second order count.
        """
        backward: dict[int, Floats] = {value.place: outputs}
        variance, largest_variance = np.zeros(len(outputs)), np.zeros(len(outputs))
        for place in range(value.place, -1, -1):
            if (derivatives := backward.pop(place, None)) is None:
                continue
            operation = self._operations[place]
            if operation.deviation:
                variance += operation.deviation**2 * (derivatives**2).sum(axis=1)
                largest_variance += operation.deviation**2 * largest_share(derivatives)
            for operand, back in operation.operands:
                found = np.stack([back(row) for row in derivatives])
                backward[operand] = backward[operand] + found if operand in backward else found
        deviations: Floats = np.sqrt(variance)
        largest = float(np.abs(outputs @ value.slots).max())
        if deviations.max() > LARGEST_ERROR * largest:
            raise RangeError(
                f"expected noise of a deviation below {LARGEST_ERROR * largest:.1g} in the result, whose largest "
                f"number is {largest:.2g}, found {deviations.max():.1g}: take fewer iterations, larger numbers or "
                "larger parameters"
            )
        return deviations, DEVIATIONS * np.sqrt(largest_variance)
