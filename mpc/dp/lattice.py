"""The exact privacy loss of sums of discrete Gaussians, and the delta that they have at an epsilon.

n discrete Gaussians at one sigma, each moved by 1, are told from unmoved ones by their sum S alone. The privacy loss is
(n - 2 S) / (2 sigma^2), so that it lives on a lattice. Its distribution is that of S:

- Below sigma 2 the distribution of S is computed by repeated squaring. All terms are positive and are added without
  cancellation, so that its error is relative and of the size of a float's.
- From sigma 2 on, S is a discrete Gaussian at sigma sqrt n within a factor exp(tau), with tau at most
  10 n exp(-pi^2 sigma^2) (Kairouz, Liu, Steinke 2021). The factor is added. Points of the lattice are taken together
  where there are many. Each then has the largest loss and the largest chance of its group.

What lies beyond 14 standard deviations counts as an infinite loss (a sum of n discrete Gaussians is sub-Gaussian with
variance n sigma^2: Canonne, Kamath, Steinke 2020). Memory depends on neither n nor sigma.

Different sigmas have different lattices. Their losses are rounded up to one grid, once for each sigma, and added there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DEVIATIONS = 14.0  # a sum lies beyond them with a chance of at most 2 exp(-14^2 / 2) < 6e-43
_BEYOND = 6e-43
_WIDE = 2.0  # from this sigma on a sum of discrete Gaussians is one, but for exp(-pi^2 sigma^2) < 1e-17 each
_GROUPS = 4096  # groups of points in a standard deviation, at most
_GRID = 20_000  # points of the grid on which different sigmas meet, at most
_ROUNDING = 1e-9  # relative, for floats: sums of at most some millions of positive terms


@dataclass(frozen=True)
class Losses:
    """A distribution of the privacy loss, rounded upwards.

    Attributes:
        loss: its values.
        chance: of each value, or more.
        infinite: the chance of an infinite loss, or more.
    """

    loss: Floats
    chance: Floats
    infinite: float

    def delta(self, epsilon: float) -> float:
        """Return the delta at this epsilon, or a little more. Only positive terms are added."""
        beyond = self.loss > epsilon
        terms = self.chance[beyond] * -np.expm1(epsilon - self.loss[beyond])
        return float(terms.sum()) * (1 + _ROUNDING) + self.infinite

    def epsilon(self, delta: float) -> float:
        """Return the epsilon at this delta, or a little more (1e-7 of it). It is infinite where none is enough."""
        if self.infinite >= delta:
            return math.inf
        low, high = 0.0, max(float(self.loss.max()), 0.0)
        if self.delta(low) <= delta:
            return 0.0
        while high - low > 1e-7 * high:
            middle = (low + high) / 2
            low, high = (low, middle) if self.delta(middle) <= delta else (middle, high)
        return high


@lru_cache(maxsize=16)
def losses(sigma: float, count: int) -> Losses:
    """Return the loss of so many discrete Gaussians at `sigma`, each moved by 1."""
    deviation = sigma * math.sqrt(count)
    reach = math.ceil(_DEVIATIONS * deviation)
    if sigma < _WIDE:
        chance = _sum_of(sigma, count, reach)
        at = np.arange(-reach, reach + 1, dtype=np.float64)
        infinite = count * 4 * _BEYOND  # what the squarings cut off
    else:
        size = max(1, math.floor(deviation / _GROUPS))
        first = np.arange(-reach, reach + 1, size, dtype=np.float64)  # the sum in a group with the largest loss
        last = first + (size - 1)
        nearest = np.where(last < 0, last, np.maximum(first, 0))  # the likeliest sum of the group
        logs = -(nearest**2) / (2 * deviation**2)
        # Of a discrete Gaussian at sigma of 2 or more the weights add up to sigma sqrt(2 pi), or more (Poisson).
        chance = size * np.exp(logs) / (deviation * math.sqrt(2 * math.pi))
        tau = min(10.0 * count * math.exp(-(math.pi**2) * sigma**2), 700.0)
        chance, at, infinite = chance * math.exp(tau), first, _BEYOND
    return Losses((count - 2 * at) / (2 * sigma**2), chance, infinite)


def together(parts: Sequence[Losses], interval: float) -> Losses:
    """Return the loss of all of them, each rounded up to a grid of `interval`, or a wider one where it is too long."""
    if len(parts) == 1:
        return parts[0]
    span = sum(float(part.loss.max() - part.loss.min()) for part in parts)
    step = max(interval, span / _GRID)
    start, chance, infinite = 0, np.ones(1), 0.0
    for part in parts:
        places = np.ceil(part.loss / step).astype(np.int64)
        lowest = int(places.min())
        chance = np.convolve(chance, np.bincount(places - lowest, weights=part.chance))
        start += lowest
        infinite += part.infinite
    loss = (start + np.arange(len(chance))) * step * (1 + np.sign(start + np.arange(len(chance))) * 1e-12)
    return Losses(loss, chance, infinite)


def _sum_of(sigma: float, count: int, reach: int) -> Floats:
    """Return the chances of the sums -reach to reach of so many discrete Gaussians, by repeated squaring."""
    one = np.exp(-(np.arange(-reach, reach + 1, dtype=np.float64) ** 2) / (2 * sigma**2))
    power, total = _trimmed(one / one.sum(), reach), np.ones(1)
    while count:
        if count & 1:
            total = _trimmed(np.convolve(total, power), reach)
        count >>= 1
        if count:
            power = _trimmed(np.convolve(power, power), reach)
    return np.pad(total, reach - len(total) // 2)


def _trimmed(chance: Floats, reach: int) -> Floats:
    """Return a symmetric distribution without sums beyond the reach, or too unlikely for a float."""
    middle = len(chance) // 2
    there = np.flatnonzero(chance[: middle + 1] > 1e-300)
    half = min(reach, middle - int(there[0]))
    return chance[middle - half : middle + half + 1]
