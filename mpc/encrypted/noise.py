"""How large the noise of each operation on ciphertexts is, as a standard deviation.

Noise in the coefficients of a polynomial is taken as independent with mean 0 (Costache, Curtis, Hales, Murphy, Ogilvie,
Player, "On the precision loss in approximate homomorphic encryption", SAC 2023, section 3). The real parts of the N / 2
slots are then uncorrelated. Each has N / 2 times the coefficients' variance, since the squares of N cosines add up to
N / 2. The secret is ternary and uniform, so its squares add up to 2 N / 3.

Noise that is multiplied by the secret, or by a digit, is larger in some slots than in others. In slot i its variance is
the mean one times ``|s_i|^2`` over its mean, which behaves as half the sum of two squared normal numbers. For an output
with the coefficients a_i that factor counts with the weights ``a_i^2``. :func:`largest_share` bounds the weighted sum.

All deviations are of integers inside of a ciphertext. Divided by the scale they are deviations of slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mpc.encrypted.packing import Floats
from mpc.errors import ParameterError

ERROR_DEVIATION = 3.24
DEVIATIONS = 8.0
"""How many standard deviations a bound has. A normal number is beyond 8 of them with probability 2^-49."""

TAIL = 35.0
"""exp(-35) < 2^-50 is the probability that the variance of one operation's noise is above what a bound takes for it."""


def largest_share(coefficients: Floats) -> Floats:
    """Return a bound on ``sum_i a_i^2 X_i`` for each row a of ``(k, slots)``, where every 2 X_i is a sum of two squares
    of normal numbers.

    From Laurent and Massart ("Adaptive estimation of a quadratic functional by model selection", Annals of Statistics
    2000, lemma 1), except with probability exp(-:data:`TAIL`).
    """
    weights = coefficients**2
    middle = np.sqrt(2 * TAIL * (weights**2).sum(axis=1))
    found: Floats = weights.sum(axis=1) + middle + TAIL * weights.max(axis=1)
    return found


@dataclass(frozen=True)
class Chain:
    """What the noise depends on: the degree N, the primes q_0 ... q_L, the special primes, and the digits.

    Attributes:
        scale: at which records are encrypted.
        owners: of the key. With several the secret is the sum of their ternary ones, and each adds noise to every key.

    A digit of hybrid key switching holds as many primes as there are special ones.
    """

    degree: int
    primes: tuple[int, ...]
    special: tuple[int, ...]
    scale: Fraction
    owners: int = 1

    def __post_init__(self) -> None:
        if self.owners < 1:
            raise ParameterError(f"expected at least 1 owner of a key, found {self.owners}")
        if self.degree < 2 or self.degree & (self.degree - 1) or not self.primes or not self.special:
            raise ParameterError("expected a degree that is a power of two, primes and special primes")

    @property
    def slots(self) -> int:
        """The numbers in one ciphertext."""
        return self.degree // 2

    @property
    def levels(self) -> int:
        """How many rescalings a fresh ciphertext can take."""
        return len(self.primes) - 1

    def modulus(self, level: int) -> int:
        """Return the modulus of a ciphertext at this level."""
        return math.prod(self.primes[: level + 1])

    @property
    def _spread(self) -> float:
        """The factor from a coefficient's deviation to a slot's."""
        return math.sqrt(self.degree / 2)

    @property
    def _secret(self) -> float:
        return self.owners * 2 * self.degree / 3

    @property
    def rounding(self) -> float:
        """The deviation of a slot after a ciphertext's two parts were divided and rounded."""
        return self._spread * math.sqrt((1 + self._secret) / 12)

    @property
    def encoding(self) -> float:
        """The deviation of a slot of an encoded vector."""
        return self._spread * math.sqrt(1 / 12)

    @property
    def fresh(self) -> float:
        """The deviation of a slot that the holder of the secret key has encrypted."""
        return self._spread * math.sqrt(ERROR_DEVIATION**2 + 1 / 12)

    @property
    def fresh_public(self) -> float:
        """The deviation of a slot that was encrypted with the public key."""
        return self._spread * math.sqrt(ERROR_DEVIATION**2 * (1 + 2 * self._secret) + 1 / 12)

    @property
    def refreshed(self) -> float:
        """The deviation that a collective refresh adds to a slot, see :mod:`mpc.encrypted.threshold.refresh`."""
        return self._spread * ERROR_DEVIATION * math.sqrt(self.owners)

    def switching(self, level: int) -> float:
        """Return the deviation of a slot after one rotation at this level, whose key has an error of each owner."""
        return math.hypot(self._switching(level, self.owners), self.rounding)

    def product(self, level: int) -> float:
        """Return the deviation of a slot after one relinearisation and rescaling at this level.

        The relinearisation key of several owners has errors of each owner, and products of errors and ternary secrets
        (:mod:`mpc.encrypted.threshold.relinearisation`). Squares of these secrets in a slot are taken at :data:`TAIL`
        times their mean, above which each is with probability exp(-35).
        """
        errors = 1.0 if self.owners == 1 else 2 * self.owners * (1 + TAIL * self._secret)
        switched = math.hypot(self._switching(level, errors), self.rounding)
        return math.hypot(switched / self.primes[level], self.rounding)

    def _switching(self, level: int, errors: float) -> float:
        """Return the deviation of a slot by a key's errors, of ``errors`` times the usual variance."""
        special = math.prod(self.special)
        coefficients = 0.0
        for first in range(0, level + 1, len(self.special)):
            digit = math.prod(self.primes[first : min(first + len(self.special), level + 1)])
            # The digit is raised to the larger modulus without a correction, so that it is below its modulus times
            # the number of its primes.
            width = min(len(self.special), level + 1 - first)
            coefficients += self.degree * errors * (ERROR_DEVIATION * width * digit / special) ** 2 / 12
        return self._spread * math.sqrt(coefficients)
