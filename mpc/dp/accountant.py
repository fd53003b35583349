"""The cost of noisy votes in privacy, as epsilon at a given delta, independent of the data.

One training record lies at one party. A change of it moves at most that party's one vote on each query from one class
to another, so that two counts change by 1. Each count carries discrete Gaussian noise of its own. A class label is
therefore two discrete Gaussian mechanisms of sensitivity 1 side by side (L2 sensitivity sqrt 2), and n class labels are
2n of them. Where a query has L labels of yes or no, one record can turn all L votes of its party. An answer is then L
such mechanisms (L2 sensitivity sqrt L). All other releases of a query are counted in the same way (:class:`Cost`).

The mechanisms are composed by their privacy loss distributions, rounded upwards (Koskela, Jälkö, Honkela 2020, in
Google's dp-accounting). Whatever is computed from the noisy counts alone costs no more than they do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import msgspec

_ROUNDING = 0.005  # rounding the privacy loss up to a grid adds at most this part of epsilon
_BEYOND_INTEREST = 100.0  # the closed-form bound is good enough here, and the exact composition slow


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count` releases of one kind, each made of noisy integers.

    Attributes:
        what: kind of release, "answer" or "check".
        sigma: scale of the discrete Gaussian on every integer, a rational ("2", "3/2").
        sensitivity: how many of a release's integers one record can change by 1. These are 2 counts for a label, the
            one top count for a check, and all L counts for L yes-or-no labels. Ledgers on disk call it `moved`.
        count: how many releases. It is negative for releases that were charged and did not happen.
        parts: how many independent discrete Gaussians at `sigma` add up on every integer.
    """

    what: str
    sigma: str
    sensitivity: int = msgspec.field(name="moved")
    count: int
    parts: int = 1

    def times(self, count: int) -> Cost:
        """Return the cost of so many times these releases."""
        return Cost(self.what, self.sigma, self.sensitivity, self.count * count, self.parts)

    @property
    def rho(self) -> float:
        """Zero-concentrated differential privacy of one noisy integer, which is infinite at sigma 0.

        For a discrete Gaussian it is 1/(2 sigma^2) (Canonne, Kamath, Steinke 2020, Theorem 4). For a sum of n of them
        at sigma of 1/2 or more it is (1/(sigma sqrt n) + tau)^2 / 2 with tau = 10 sum_{k=1}^{n-1} exp(-2 pi^2 sigma^2
        k/(k+1)). This is from Kairouz, Liu, Steinke 2021, on sums of discrete Gaussians. It is used in one dimension,
        as integers that do not move cost nothing.
        """
        sigma = float(Fraction(self.sigma))
        if sigma == 0:
            return math.inf
        terms = (math.exp(-2 * math.pi**2 * sigma**2 * k / (k + 1)) for k in range(1, self.parts))
        return (1 / (sigma * math.sqrt(self.parts)) + 10 * sum(terms)) ** 2 / 2


def answer_cost(sigma: Fraction | str, sensitivity: int = 2) -> Cost:
    """Return the cost of one query's answer, from counts of votes of which one record can change `sensitivity`."""
    return Cost("answer", str(sigma), sensitivity, 1)


def check_cost(sigma: Fraction | str) -> Cost:
    """Return the cost of the check whether the largest count reaches a threshold.

    One record moves this count by at most 1, so the check is a Gaussian mechanism of sensitivity 1 (Papernot et al.,
    "Scalable Private Learning with PATE", ICLR 2018).
    """
    return Cost("check", str(sigma), 1, 1)


def load_accountant() -> None:
    """Import the library behind :func:`epsilon` ahead of its first use, because this takes a second."""
    import dp_accounting.pld.privacy_loss_distribution  # noqa: F401, PLC0415


def epsilon_bound(costs: Sequence[Cost], delta: float) -> float:
    """Return an upper bound in closed form, from zero-concentrated differential privacy.

    With rho of all noisy integers together, epsilon = rho + 2 sqrt(rho ln(1/delta)) (Bun, Steinke 2016, Proposition
    1.3). It is infinite at sigma 0.
    """
    rho = 0.0
    for unit, integers in _noisy_integers(costs).items():
        rho += integers * unit.rho
    return rho + 2 * math.sqrt(rho * math.log(1 / delta))


def epsilon(costs: Sequence[Cost], delta: float) -> float:
    """Return the epsilon of all releases together, which is infinite at sigma 0.

    The closed-form bound stands in for the exact composition beyond 100, and where noise is a sum of parts, whose exact
    loss no accountant has.
    """
    bound = epsilon_bound(costs, delta)
    integers = _noisy_integers(costs)
    if bound == 0 or bound > _BEYOND_INTEREST or any(unit.parts > 1 for unit in integers):
        return bound
    return min(bound, _composed(frozenset(integers.items()), _ROUNDING * bound / sum(integers.values()), delta))


@lru_cache(maxsize=64)
def _composed(integers: frozenset[tuple[Cost, int]], interval: float, delta: float) -> float:
    """Return the epsilon of so many noisy integers of each kind.

    A charge asks for the same sum several times, to see how much fits the budget, for the account and for the run.
    """
    from dp_accounting.pld import privacy_loss_distribution as pld  # noqa: PLC0415  takes a second

    total = pld.identity(value_discretization_interval=interval)
    for unit, count in sorted(integers, key=lambda item: Fraction(item[0].sigma)):
        one_count = pld.from_discrete_gaussian_mechanism(
            float(Fraction(unit.sigma)), sensitivity=1, value_discretization_interval=interval
        )
        total = total.compose(one_count.self_compose(count))
    return float(total.get_epsilon_for_delta(delta))


def _noisy_integers(costs: Sequence[Cost]) -> Counter[Cost]:
    """Return how many noisy integers one record can change, for each kind of noise.

    Releases that were given back are taken off. More of them than were charged is a `ValueError`.
    """
    integers: Counter[Cost] = Counter()
    for cost in costs:
        integers[Cost("integer", str(Fraction(cost.sigma)), 1, 1, cost.parts)] += cost.sensitivity * cost.count
    if any(count < 0 for count in integers.values()):
        raise ValueError("expected no more releases given back than were charged")
    return +integers
