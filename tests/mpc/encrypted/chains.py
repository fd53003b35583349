"""Chains of primes for twins, as the core's sets have them, and small ones."""

from __future__ import annotations

from fractions import Fraction

from mpc.encrypted.noise import Chain


def chain(degree: int = 16384, levels: int = 9, bits: int = 36, special: int = 1) -> Chain:
    """A chain of numbers near powers of two, which stand for primes."""
    primes = (2**47 - 115, *(2**bits + 2 * level + 1 for level in range(levels)))
    return Chain(degree, primes, (2**47 - 1,) * special, Fraction(2**bits))
