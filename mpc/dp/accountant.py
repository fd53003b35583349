"""The cost of noisy votes in privacy, as epsilon at a given delta, independent of the data.

One training record lies at one party. A change of it moves at most that party's one vote on each query from one class
to another, so that two counts change by 1. Each count carries discrete Gaussian noise of its own. A class label is
therefore two discrete Gaussian mechanisms of sensitivity 1 side by side (L2 sensitivity sqrt 2), and n class labels are
2n of them. Where a query has L labels of yes or no, one record can turn all L votes of its party. An answer is then L
such mechanisms (L2 sensitivity sqrt L). All other releases of a query are counted in the same way (:class:`Cost`).

The mechanisms are composed by their exact privacy loss distributions, rounded upwards (:mod:`mpc.dp.lattice`).
Whatever is computed from the noisy counts alone costs no more than they do.

The figures are never below the truth. What cannot be counted has an infinite epsilon (:attr:`Cost.countable`), and a
configuration with it is refused (:func:`check_countable`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec

from mpc.dp.lattice import losses, together
from mpc.errors import ParameterError

LEAST_SIGMA, LARGEST_SIGMA = Fraction(1, 1000), Fraction(10**9)
"""Noise scales that can be counted, besides 0. Smaller ones hide nothing, and their squares may be no floats."""
LARGEST_DENOMINATOR = 10**18
"""Of a noise scale. The noise is drawn by exact arithmetic on numbers of its square's length."""
LEAST_DELTA = 1e-20
"""Noise is cut at 12 sigma, which adds up to 2^-102 to delta for each integer. That is far below this delta."""

_NUMBER = re.compile(r"[0-9]+(/[0-9]+|\.[0-9]*)?([eE][-+]?[0-9]{1,3})?")  # of which no huge fraction can be made
_CUT = 2.0**-102
_ROUNDING = 0.0005  # rounding each sigma's loss up to a common grid adds at most this part of the closed form
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
    def scale(self) -> Fraction | None:
        """Sigma as a number. None where it cannot be counted."""
        try:
            sigma = Fraction(self.sigma) if len(self.sigma) < 100 and _NUMBER.fullmatch(self.sigma) else None
        except (ValueError, ZeroDivisionError):
            return None
        return sigma if sigma is not None and _countable(sigma) else None

    @property
    def countable(self) -> bool:
        """Whether the accountant has a figure for it. Otherwise its epsilon is infinite."""
        known = self.scale is not None and self.sensitivity > 0 and self.parts > 0
        return known and max(self.sensitivity, self.parts, abs(self.count)) < 2**63

    @property
    def rho(self) -> float:
        """Zero-concentrated differential privacy of one noisy integer. It is infinite at sigma 0 or an uncountable one.

        For a discrete Gaussian it is 1/(2 sigma^2) (Canonne, Kamath, Steinke 2020, Theorem 4). For a sum of n of them
        at sigma of 1/2 or more it is (1/(sigma sqrt n) + tau)^2 / 2 with tau = 10 sum_{k=1}^{n-1} exp(-2 pi^2 sigma^2
        k/(k+1)). This is from Kairouz, Liu, Steinke 2021, on sums of discrete Gaussians. It is used in one dimension,
        as integers that do not move cost nothing.
        """
        if self.scale is None or self.scale == 0:
            return math.inf
        sigma = float(self.scale)
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


def check_countable(sigma: Fraction | Decimal, delta: float | Decimal | None = None) -> None:
    """Raise `ParameterError` for a noise scale or a delta that the accountant cannot count."""
    if not _countable(sigma):
        raise ParameterError(
            f"expected a noise scale of 0, or of {float(LEAST_SIGMA):g} to {float(LARGEST_SIGMA):g} with at most 18 "
            f"digits after the point, found {_short(sigma)}"
        )
    if delta is not None and not LEAST_DELTA <= delta < 1:
        raise ParameterError(f"expected a delta of at least {LEAST_DELTA:g} and below 1, found {_short(delta)}")


def _countable(sigma: Fraction | Decimal) -> bool:
    if sigma == 0:
        return True
    # Decimals do not compare with fractions, and one far out of range would be a huge fraction.
    least, largest = (LEAST_SIGMA, LARGEST_SIGMA) if isinstance(sigma, Fraction) else (Decimal("0.001"), Decimal(10**9))
    if not least <= sigma <= largest:
        return False
    return Fraction(sigma).denominator <= LARGEST_DENOMINATOR


def _short(number: Fraction | Decimal | float) -> str:
    """Return a number in a few digits, however long it is."""
    if isinstance(number, Fraction):
        return f"about 1/{1 / float(number):.3g}" if 0 < float(number) < 1e-300 else f"{float(number):.17g}"
    return f"{number:.17g}"


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
    """Return the epsilon of all releases together. It is infinite at sigma 0 and where something cannot be counted.

    The closed-form bound stands in for the exact composition beyond 100, and where noise is a sum of parts, whose exact
    loss no accountant has.

    Raises:
        ValueError: more releases given back than were charged.
    """
    integers = _noisy_integers(costs)
    if not integers:
        return 0.0
    delta -= sum(count * unit.parts for unit, count in integers.items()) * _CUT
    if delta < LEAST_DELTA / 2 or not all(unit.countable for unit in integers):
        return math.inf
    bound = epsilon_bound(costs, delta)
    if bound > _BEYOND_INTEREST or any(unit.parts > 1 for unit in integers):
        return bound
    each = [losses(float(Fraction(unit.sigma)), count) for unit, count in sorted(integers.items(), key=_by_sigma)]
    return min(bound, together(each, _ROUNDING * bound / len(each)).epsilon(delta))


def _by_sigma(item: tuple[Cost, int]) -> Fraction:
    return Fraction(item[0].sigma)


def _noisy_integers(costs: Sequence[Cost]) -> Counter[Cost]:
    """Return how many noisy integers one record can change, for each kind of noise.

    Releases that were given back are taken off. More of them than were charged is a `ValueError`.
    """
    integers: Counter[Cost] = Counter()
    for cost in costs:
        sigma, sensitivity = cost.sigma if cost.scale is None else str(cost.scale), cost.sensitivity
        if cost.countable:
            integers[Cost("integer", sigma, 1, 1, cost.parts)] += sensitivity * cost.count
        elif cost.count:  # kept apart from what can be counted
            integers[Cost("integer", sigma, sensitivity, 1, cost.parts)] += cost.count
    if any(count < 0 for count in integers.values()):
        raise ValueError("expected no more releases given back than were charged")
    return +integers
