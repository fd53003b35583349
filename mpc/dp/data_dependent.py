"""The cost of class labels in privacy, given the very votes behind them. This analysis is not itself private.

Where nearly all parties agree, the noise hardly ever changes the label. A changed vote then shows less than the
accountant of :mod:`mpc.dp.accountant` has to assume. The difference depends on the votes, which nobody sees in a run.
This module is therefore for simulated campaigns (:mod:`parties.capc.simulation`). To publish its figures is to publish
something about other parties' records. No ledger uses it.

The analysis is that of Papernot, Song, Mironov, Raghunathan, Talwar, Erlingsson, "Scalable Private Learning with PATE",
ICLR 2018. Proposition 7 bounds the probability that the noise changes the label. Theorem 6, with the orders of
Proposition 10, gives the Rényi divergence that follows. They hold for Gaussian noise, to which a discrete Gaussian of
scale 1 or more is close.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

ORDERS: Floats = np.concatenate([np.arange(1.1, 12, 0.1), np.arange(12, 64), 2.0 ** np.arange(6, 12)])


def data_dependent_epsilon(
    counts: Counts,
    sigma: float,
    delta: float,
    *,
    threshold: int = 0,
    threshold_sigma: float = 0.0,
    answered: NDArray[np.bool_] | None = None,
    majority_of: int = 0,
) -> float:
    """Return epsilon at `delta` of the labels that these histograms ``(n, classes)`` led to. Never publish it.

    With a threshold every query costs its check, and those that were `answered` cost their label. With `majority_of` so
    many parties, the counts are of several labels, each a yes or no of its own. It is infinite at scale 0.
    """
    if sigma == 0 or (threshold and threshold_sigma == 0):
        return math.inf
    divergence = np.zeros_like(ORDERS)
    for index, histogram in enumerate(counts):
        if threshold:
            divergence += rdp_of_check(histogram, threshold, threshold_sigma)
        if answered is None or answered[index]:
            divergence += (
                rdp_of_majorities(histogram, majority_of, sigma) if majority_of else rdp_of_label(histogram, sigma)
            )
    return float((divergence + math.log(1 / delta) / (ORDERS - 1)).min()) if divergence.any() else 0.0


def rdp_of_label(histogram: Counts, sigma: float, orders: Floats = ORDERS) -> Floats:
    """Return the Rényi divergence at each order of the noisy argmax of one histogram, with `sigma` on every count."""
    top = int(histogram.argmax())
    others = np.delete(histogram, top)
    changed = sum(math.erfc(float(histogram[top] - other) / (2 * sigma)) for other in others) / 2
    return _rdp(min(changed, 1 - 1 / len(histogram)), sigma, orders)


def rdp_of_majorities(counts: Counts, parties: int, sigma: float, orders: Floats = ORDERS) -> Floats:
    """Return the Rényi divergence at each order of all labels of one query.

    Each label is a check whether its count reaches the first integer above half of the parties. The count is an integer
    with noise that is nearly continuous.
    """
    checks = [rdp_of_check(count.reshape(1), parties // 2 + 0.5, sigma, orders) for count in counts]
    total: Floats = np.sum(checks, axis=0)
    return total


def rdp_of_check(histogram: Counts, threshold: float, sigma: float, orders: Floats = ORDERS) -> Floats:
    """Return the Rényi divergence at each order of the check whether the largest count reaches the threshold.

    Its sensitivity is 1, so it is like a class label's at a scale of sqrt 2 sigma.
    """
    passed = math.erfc((threshold - int(histogram.max())) / (math.sqrt(2) * sigma)) / 2
    return _rdp(min(passed, 1 - passed), math.sqrt(2) * sigma, orders)


def _rdp(unlikely: float, sigma: float, orders: Floats) -> Floats:
    """Return the bound of Theorem 6, for a mechanism with Rényi divergence order / sigma^2.

    Its likeliest outcome fails with at most the given probability. The bound is never more than order / sigma^2.
    """
    whatever: Floats = orders / sigma**2
    if unlikely >= 1:
        return whatever
    log_q = math.log(max(unlikely, 1e-300))
    mu2 = sigma * math.sqrt(-log_q)
    if mu2 <= 1:
        return whatever
    mu1 = mu2 + 1
    epsilon1, epsilon2 = mu1 / sigma**2, mu2 / sigma**2
    largest_q = (mu2 - 1) * epsilon2 - mu2 * math.log(mu1 / (mu1 - 1) * mu2 / (mu2 - 1))
    if log_q > largest_q:  # the theorem's other condition, q e^epsilon2 < 1, is that mu2 > 1
        return whatever
    log_rest = math.log1p(-math.exp(log_q))
    log_a = (orders - 1) * (log_rest - math.log(-math.expm1((log_q + epsilon2) * (mu2 - 1) / mu2)))
    log_b = (orders - 1) * (epsilon1 - log_q / (mu1 - 1))
    bound = np.logaddexp(log_rest + log_a, log_q + log_b) / (orders - 1)
    result: Floats = np.where(orders <= mu2, np.minimum(bound, whatever), whatever)
    return result
