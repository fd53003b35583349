"""Exact discrete Gaussian noise, by integer arithmetic alone.

The algorithms are those of Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy", NeurIPS 2020
(arXiv:2004.00010). They are Algorithm 1 (Bernoulli(exp(-gamma))), Algorithm 2 (discrete Laplace) and Algorithm 3
(discrete Gaussian). No float is involved, so the floating-point attacks on Gaussian noise do not apply. As in the
paper, the running time depends on the sample (rejection sampling). A peer that times the guardian to the microsecond
learns a little about it.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, isqrt

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError
from mpc.randomness import SYSTEM, Randomness, uniform_below

TAIL_SIGMAS = 12
"""Samples beyond 12 sigma are drawn again. They are 2 exp(-12^2/2) < 2^-102 of the distribution (the sub-Gaussian tail
that Canonne et al. prove), an addition to delta that no accountant would show. In return the histogram's width has a
hard bound, so that wrap-around is impossible rather than unlikely."""


def noise_bound(sigma: Fraction) -> int:
    """Return the largest magnitude that :func:`discrete_gaussian` can return."""
    return ceil(TAIL_SIGMAS * sigma)


def part_scale(sigma: Fraction, parts: int) -> Fraction:
    """Return the scale of one of ``parts`` independent contributions whose variances add up to sigma^2.

    It is rounded up to a multiple of 2^-16. The sum of the parts is not quite a discrete Gaussian. For scales of at
    least 1/2, a bound on the difference follows from Kairouz, Liu, Steinke, "The Distributed Discrete Gaussian
    Mechanism for Federated Learning with Secure Aggregation", ICML 2021.
    """
    wanted = sigma * sigma * (1 << 32) / parts  # (2^16 scale)^2
    root = isqrt(ceil(wanted))
    return Fraction(root if root * root >= wanted else root + 1, 1 << 16)


def discrete_gaussian(sigma: Fraction, shape: tuple[int, ...], randomness: Randomness = SYSTEM) -> NDArray[np.int64]:
    """Draw independent samples with P[x] proportional to exp(-x^2 / (2 sigma^2)) on the integers up to 12 sigma.

    Args:
        sigma: the scale, an exact rational. 0 gives zeros.
        shape: of the array of samples, which are drawn in C order.
        randomness: the operating system's outside tests.
    """
    if sigma < 0:
        raise ParameterError(f"expected a noise scale of at least 0, found {sigma}")
    count = int(np.prod(shape, dtype=np.int64))
    if sigma == 0:
        return np.zeros(shape, dtype=np.int64)
    samples = [_sample(sigma, randomness) for _ in range(count)]
    return np.array(samples, dtype=np.int64).reshape(shape)


def _sample(sigma: Fraction, randomness: Randomness) -> int:
    """Draw one sample by Algorithm 3, with the tail beyond the bound rejected."""
    scale = floor(sigma) + 1
    variance = sigma * sigma
    bound = noise_bound(sigma)
    while True:
        candidate = _discrete_laplace(scale, randomness)
        if abs(candidate) > bound:
            continue
        gamma = (abs(candidate) - variance / scale) ** 2 / (2 * variance)
        if _bernoulli_exp(gamma, randomness):
            return candidate


def _discrete_laplace(scale: int, randomness: Randomness) -> int:
    """Draw by Algorithm 2 for an integer scale t, with P[x] proportional to exp(-|x| / t)."""
    while True:
        low = uniform_below(scale, randomness)
        if not _bernoulli_exp(Fraction(low, scale), randomness):
            continue
        high = 0
        while _bernoulli_exp(Fraction(1), randomness):
            high += 1
        magnitude = low + scale * high
        negative = uniform_below(2, randomness) == 1
        if negative and magnitude == 0:
            continue  # zero would count twice
        return -magnitude if negative else magnitude


def _bernoulli_exp(gamma: Fraction, randomness: Randomness) -> bool:
    """Return true with probability exp(-gamma), gamma >= 0, by Algorithm 1."""
    while gamma > 1:
        if not _bernoulli_exp(Fraction(1), randomness):
            return False
        gamma -= 1
    trials = 1
    while _bernoulli(gamma / trials, randomness):
        trials += 1
    return trials % 2 == 1


def _bernoulli(probability: Fraction, randomness: Randomness) -> bool:
    """Return true with the given rational probability in [0, 1]."""
    return uniform_below(probability.denominator, randomness) < probability.numerator
