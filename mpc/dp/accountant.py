"""What noisy votes cost in privacy: epsilon at a given delta, independent of the data.

One training record lies at one party; changing it moves at most that party's one vote on each query, from one class
to another: two counts change by 1. Each count carries discrete Gaussian noise of its own, so a label is two discrete
Gaussian mechanisms of sensitivity 1 side by side (L2 sensitivity sqrt 2), and n labels are 2n of them. Where a query
has L labels of yes or no, one record can turn all L votes of its party, and an answer is L such mechanisms (L2
sensitivity sqrt L). What else a query may release is counted in the same coin (:class:`Cost`). They are composed by
their privacy loss distributions (Koskela, Jälkö, Honkela 2020; Google's dp-accounting), rounded upwards. What is
computed from the noisy counts alone costs no more than they do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import msgspec

_ROUNDING = 0.005  # how much, at most, rounding the privacy loss up to a grid may add to epsilon, relatively
_BEYOND_INTEREST = 100.0  # where the closed-form bound is good enough, and the exact composition slow


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count` releases of one kind, each made of noisy integers.

    Attributes:
        what: "answer" or "check", for people.
        sigma: scale of the discrete Gaussian on every integer, a rational ("2", "3/2").
        sensitivity: how many of a release's integers one record can change by 1. These are 2 counts for a label, the
            one top count for a check, and all L counts for L yes-or-no labels. Ledgers on disk call it `moved`.
        count: how many releases; negative for releases that were charged and did not happen.
        parts: how many independent discrete Gaussians at `sigma` add up on every integer.
    """

    what: str
    sigma: str
    sensitivity: int = msgspec.field(name="moved")
    count: int
    parts: int = 1

    def times(self, count: int) -> Cost:
        return Cost(self.what, self.sigma, self.sensitivity, self.count * count, self.parts)

    @property
    def rho(self) -> float:
        """Zero-concentrated differential privacy of one noisy integer; infinite at sigma 0.

        A discrete Gaussian: 1/(2 sigma^2) (Canonne, Kamath, Steinke 2020, Theorem 4). A sum of n of them at sigma of
        1/2 or more: (1/(sigma sqrt n) + tau)^2 / 2 with tau = 10 sum_{k=1}^{n-1} exp(-2 pi^2 sigma^2 k/(k+1)) (Kairouz,
        Liu, Steinke 2021, on sums of discrete Gaussians; in one dimension, as integers that do not move cost nothing).
        """
        sigma = float(Fraction(self.sigma))
        if sigma == 0:
            return math.inf
        terms = (math.exp(-2 * math.pi**2 * sigma**2 * k / (k + 1)) for k in range(1, self.parts))
        return (1 / (sigma * math.sqrt(self.parts)) + 10 * sum(terms)) ** 2 / 2


def answer_cost(sigma: Fraction | str, sensitivity: int = 2) -> Cost:
    """What comes out of one query's counts of votes, `sensitivity` of which one record can change."""
    return Cost("answer", str(sigma), sensitivity, 1)


def check_cost(sigma: Fraction | str) -> Cost:
    """Whether the largest count reaches a threshold: one record moves it by at most 1, so it is a Gaussian mechanism of
    sensitivity 1 (Papernot et al., "Scalable Private Learning with PATE", ICLR 2018)."""
    return Cost("check", str(sigma), 1, 1)


def load_accountant() -> None:
    """Import what takes a second to import, while there is nothing else to do."""
    import dp_accounting.pld.privacy_loss_distribution  # noqa: F401, PLC0415


def epsilon_bound(costs: Sequence[Cost], delta: float) -> float:
    """An upper bound in closed form, from zero-concentrated differential privacy: rho of all noisy integers together
    gives epsilon = rho + 2 sqrt(rho ln(1/delta)) (Bun, Steinke 2016, Proposition 1.3). Infinite at sigma 0."""
    rho = 0.0
    for unit, integers in _noisy_integers(costs).items():
        rho += integers * unit.rho
    return rho + 2 * math.sqrt(rho * math.log(1 / delta))


def epsilon(costs: Sequence[Cost], delta: float) -> float:
    """The epsilon of all releases together; infinite at sigma 0.

    Beyond 100, and where noise is a sum of parts (whose exact loss no accountant has), the closed-form bound stands in
    for the exact composition.
    """
    bound = epsilon_bound(costs, delta)
    integers = _noisy_integers(costs)
    if bound == 0 or bound > _BEYOND_INTEREST or any(unit.parts > 1 for unit in integers):
        return bound
    return min(bound, _composed(frozenset(integers.items()), _ROUNDING * bound / sum(integers.values()), delta))


@lru_cache(maxsize=64)
def _composed(integers: frozenset[tuple[Cost, int]], interval: float, delta: float) -> float:
    """The epsilon of so many noisy integers of each kind. A charge asks for the same sum several times: to see what
    fits the budget, for the account, for the run."""
    from dp_accounting.pld import privacy_loss_distribution as pld  # noqa: PLC0415  takes a second

    total = pld.identity(value_discretization_interval=interval)
    for unit, count in sorted(integers, key=lambda item: Fraction(item[0].sigma)):
        one_count = pld.from_discrete_gaussian_mechanism(
            float(Fraction(unit.sigma)), sensitivity=1, value_discretization_interval=interval
        )
        total = total.compose(one_count.self_compose(count))
    return float(total.get_epsilon_for_delta(delta))


def _noisy_integers(costs: Sequence[Cost]) -> Counter[Cost]:
    """How many noisy integers one record can change, for each kind of noise; what was given back is taken off."""
    integers: Counter[Cost] = Counter()
    for cost in costs:
        integers[Cost("integer", str(Fraction(cost.sigma)), 1, 1, cost.parts)] += cost.sensitivity * cost.count
    if any(count < 0 for count in integers.values()):
        raise ValueError("expected no more releases given back than were charged")
    return +integers
