"""Arithmetic on ciphertexts, by the C++ core (RNS-CKKS, ``mpc/core/ckks``).

The core's scales are products of powers of two and of primes. A program's are exact fractions. Both are kept, and
compared after every operation, so that a sum of values at different scales cannot happen in silence.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

from mpc._core import CkksCiphertext, CkksEvaluator, CkksParameters, CkksScale
from mpc.encrypted.noise import Chain
from mpc.encrypted.packing import Floats
from mpc.errors import ParameterError, ProtocolError


def chain_of(parameters: CkksParameters, owners: int = 1) -> Chain:
    """Return what the noise of these parameters depends on, for a key of so many owners."""
    scale = Fraction(float(parameters.scale))
    return Chain(parameters.degree, tuple(parameters.primes), tuple(parameters.special_primes), scale, owners)


def core_scale(parameters: CkksParameters, scale: Fraction) -> CkksScale:
    """Return a scale in the core's form.

    Raises:
        ParameterError: the fraction has factors beside 2 and the primes of these parameters.
    """
    found = CkksScale.power_of_two(parameters, 0)
    above, below = scale.numerator, scale.denominator
    for level, prime in enumerate(parameters.primes):
        while above % prime == 0:
            above, found = above // prime, found * parameters.prime_scale(level)
        while below % prime == 0:
            below, found = below // prime, found / parameters.prime_scale(level)
    if above & (above - 1) or below & (below - 1):
        raise ParameterError("expected a scale of powers of 2 and of the parameters' primes, found another factor")
    return found * CkksScale.power_of_two(parameters, above.bit_length() - below.bit_length())


@dataclass(frozen=True, repr=False)
class Encrypted:
    """A ciphertext and its exact scale."""

    ciphertext: CkksCiphertext
    scale: Fraction

    @property
    def level(self) -> int:
        """How many rescalings are left."""
        return self.ciphertext.level

    def __repr__(self) -> str:
        return f"Encrypted(level={self.level})"


class Ciphertexts:
    """Arithmetic on ciphertexts of one key, see :mod:`mpc.encrypted.arithmetic`. It holds no secret."""

    def __init__(self, parameters: CkksParameters, evaluator: CkksEvaluator) -> None:
        self._parameters = parameters
        self._evaluator = evaluator
        # A program comes to few scales, each many times, and finding the factors of one takes a while.
        self._core_scale = functools.cache(functools.partial(core_scale, parameters))

    def read(self, message: bytes, scale: Fraction | None = None) -> Encrypted:
        """Return the ciphertext of a message, at this scale or at that of the parameters.

        Raises:
            ProtocolError: the message is no ciphertext of these parameters, or has another scale.
        """
        ciphertext = CkksCiphertext.from_bytes(self._parameters, message)
        expected = Fraction(float(self._parameters.scale)) if scale is None else scale
        if ciphertext.scale != self._core_scale(expected):
            raise ProtocolError(f"expected a ciphertext of scale {float(expected):.6g}, found one of another")
        return Encrypted(ciphertext, expected)

    def _checked(self, ciphertext: CkksCiphertext, scale: Fraction) -> Encrypted:
        if ciphertext.scale != self._core_scale(scale):
            raise ParameterError(
                f"expected a scale of {float(scale):.6g} after this operation, found {float(ciphertext.scale):.6g}"
            )
        return Encrypted(ciphertext, scale)

    def _meet(self, first: Encrypted, second: Encrypted) -> tuple[CkksCiphertext, CkksCiphertext]:
        level = min(first.level, second.level)
        return self._drop(first.ciphertext, level), self._drop(second.ciphertext, level)

    def _drop(self, ciphertext: CkksCiphertext, level: int) -> CkksCiphertext:
        return ciphertext if ciphertext.level == level else self._evaluator.drop(ciphertext, level)

    def prime(self, level: int) -> int:
        """Return the prime by which a product at this level is rescaled."""
        if not 1 <= level <= self._parameters.depth:
            raise ParameterError(f"expected a level of 1 to {self._parameters.depth} for a product, found {level}")
        return self._parameters.primes[level]

    def add(self, first: Encrypted, second: Encrypted) -> Encrypted:
        """Add values of equal scale."""
        if first.scale != second.scale:
            raise ParameterError("expected values of equal scale in a sum, found two scales")
        return self._checked(self._evaluator.add(*self._meet(first, second)), first.scale)

    def subtract(self, first: Encrypted, second: Encrypted) -> Encrypted:
        """Subtract the second of two values of equal scale."""
        if first.scale != second.scale:
            raise ParameterError("expected values of equal scale in a difference, found two scales")
        return self._checked(self._evaluator.subtract(*self._meet(first, second)), first.scale)

    def add_plain(self, value: Encrypted, slots: Floats) -> Encrypted:
        """Add public numbers, encoded at the value's scale."""
        plain = self._evaluator.encode(slots, value.level, self._core_scale(value.scale))
        return self._checked(self._evaluator.add_plain(value.ciphertext, plain), value.scale)

    def add_constant(self, value: Encrypted, constant: float) -> Encrypted:
        """Add the same number to every slot, encoded at the value's scale."""
        plain = self._evaluator.encode(constant, value.level, self._core_scale(value.scale))
        return self._checked(self._evaluator.add_plain(value.ciphertext, plain), value.scale)

    def lower(self, value: Encrypted, level: int) -> Encrypted:
        """Return the same numbers at a lower level, exactly."""
        return self._checked(self._drop(value.ciphertext, level), value.scale)

    def multiply(self, first: Encrypted, second: Encrypted) -> Encrypted:
        """Multiply slot by slot, relinearise and rescale."""
        a, b = self._meet(first, second)
        scale = first.scale * second.scale / self.prime(a.level)
        return self._checked(self._evaluator.multiply(a, b, rescale=True), scale)

    def dot(self, first: Sequence[Encrypted], second: Sequence[Encrypted]) -> Encrypted:
        """Add up products slot by slot, and relinearise and rescale the sum alone."""
        level = min(value.level for value in (*first, *second))
        a, b = ([self._drop(value.ciphertext, level) for value in side] for side in (first, second))
        scale = first[0].scale * second[0].scale / self.prime(level)
        return self._checked(self._evaluator.dot(a, b, rescale=True), scale)

    def multiply_plain(self, value: Encrypted, slots: Floats, scale: Fraction) -> Encrypted:
        """Multiply by public numbers and rescale to just this scale."""
        return self._by_plain(value, slots, scale)

    def times_plain(self, like: Encrypted, slots: Floats, scale: Fraction) -> Callable[[Encrypted], Encrypted]:
        """Return the product with public numbers, rescaled to just this scale, for values like this one."""
        at = self._core_scale(scale * self.prime(like.level) / like.scale)
        plain = self._evaluator.encode(slots, like.level, at)

        def product(value: Encrypted) -> Encrypted:
            if (value.level, value.scale) != (like.level, like.scale):
                raise ParameterError("expected a value of the level and the scale that numbers are encoded for")
            return self._checked(self._evaluator.multiply_plain(value.ciphertext, plain, rescale=True), scale)

        return product

    def multiply_constant(self, value: Encrypted, constant: float, scale: Fraction) -> Encrypted:
        """Multiply every slot by the same public number, and rescale to just this scale."""
        return self._by_plain(value, constant, scale)

    def _by_plain(self, value: Encrypted, numbers: Floats | float, scale: Fraction) -> Encrypted:
        at = self._core_scale(scale * self.prime(value.level) / value.scale)
        plain = self._evaluator.encode(numbers, value.level, at)
        return self._checked(self._evaluator.multiply_plain(value.ciphertext, plain, rescale=True), scale)

    def scaled_up(self, value: Encrypted, bits: int, power: int = 0) -> Encrypted:
        """Return 2^power times the numbers at a scale that is 2^bits times as large, by a product with an integer."""
        factor = self._evaluator.encode(2.0**power, value.level, CkksScale.power_of_two(self._parameters, bits))
        scale = value.scale * Fraction(2) ** bits
        return self._checked(self._evaluator.multiply_plain(value.ciphertext, factor), scale)

    def rotate(self, value: Encrypted, step: int) -> Encrypted:
        """Return the value whose slot i is slot i + step of this one, counted in a circle."""
        return self._checked(self._evaluator.rotate(value.ciphertext, step), value.scale)

    def add_rotated(self, value: Encrypted, steps: Sequence[int]) -> Encrypted:
        """Add to the value its rotation by each step in turn."""
        ciphertext = value.ciphertext
        for step in steps:
            ciphertext = self._evaluator.rotate_sum([ciphertext, ciphertext], [0, step])
        return self._checked(ciphertext, value.scale)

    def each(self, steps: Sequence[Callable[[], Encrypted]]) -> list[Encrypted]:
        """Do independent steps, in as many threads as there are cores for this process. The core is left to them."""
        threads = min(len(steps), len(os.sched_getaffinity(0)))
        if threads < 2:
            return [step() for step in steps]
        with ThreadPoolExecutor(threads) as pool:
            return [waiting.result() for waiting in [pool.submit(step) for step in steps]]
