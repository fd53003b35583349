"""What noisy labels cost in privacy: epsilon at a given delta, independent of the data.

One training record lies at one party; changing it moves at most that party's one vote on each query, from one class
to another: two counts change by 1. Each count carries discrete Gaussian noise of its own, so an answer is two
discrete Gaussian mechanisms of sensitivity 1 side by side (L2 sensitivity sqrt 2), and n answers are 2n of them. They
are composed by their privacy loss distributions (Koskela, Jälkö, Honkela 2020; Google's dp-accounting), rounded
upwards. The label is computed from the noisy counts alone, so it costs no more than they do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

_ROUNDING = 0.005  # how much, at most, rounding the privacy loss up to a grid may add to epsilon, relatively
_NO_PRIVACY = 10.0  # an epsilon beyond which a record can practically be told from its absence
_MANY = 50  # answering parties, from which on there is noise that hides a record and leaves the majority
_BEYOND_INTEREST = 100.0  # where the closed-form bound is good enough, and the exact composition slow


def epsilon_bound(spent: Sequence[tuple[Fraction | str, int]], delta: float) -> float:
    """An upper bound in closed form, from zero-concentrated differential privacy.

    Each answer at sigma is (1/sigma^2)-zCDP (Canonne, Kamath, Steinke 2020, Theorem 4, for L2 sensitivity sqrt 2), and
    rho-zCDP gives epsilon = rho + 2 sqrt(rho ln(1/delta)) (Bun, Steinke 2016, Proposition 1.3). Infinite at sigma 0.
    """
    rho = 0.0
    for sigma, answers in spent:
        scale = float(Fraction(sigma))
        if answers and scale == 0:
            return math.inf
        rho += answers / scale**2 if answers else 0.0
    return rho + 2 * math.sqrt(rho * math.log(1 / delta))


def epsilon(spent: Sequence[tuple[Fraction | str, int]], delta: float) -> float:
    """The epsilon of all answers together, given as pairs of sigma and number of answers; infinite at sigma 0.

    Beyond 100 the closed-form bound stands in for the exact composition.
    """
    answers_at: Counter[Fraction] = Counter()
    for sigma, answers in spent:
        if answers:
            answers_at[Fraction(sigma)] += answers
    bound = epsilon_bound(list(answers_at.items()), delta)
    if bound == 0 or bound > _BEYOND_INTEREST:
        return bound
    from dp_accounting.pld import privacy_loss_distribution as pld  # noqa: PLC0415  takes a second

    interval = _ROUNDING * bound / (2 * answers_at.total())
    total = pld.identity(value_discretization_interval=interval)
    for sigma, answers in sorted(answers_at.items()):
        one_count = pld.from_discrete_gaussian_mechanism(
            float(sigma), sensitivity=1, value_discretization_interval=interval
        )
        total = total.compose(one_count.self_compose(2 * answers))
    return min(bound, float(total.get_epsilon_for_delta(delta)))


def warnings(spent_epsilon: float, parties: int) -> tuple[str, ...]:
    """What a person must be told about this epsilon, in plain words."""
    if math.isinf(spent_epsilon):
        return (
            "The votes carry no noise (dp_noise_scale 0): the labels give no differential privacy to anybody's "
            "training records.",
        )
    if spent_epsilon <= _NO_PRIVACY:
        return ()
    remedy = "A larger dp_noise_scale or fewer queries would give some."
    if parties < _MANY:
        remedy = (
            f"With {parties} answering {'party' if parties == 1 else 'parties'}, noise that hides them would drown "
            "the votes; meaningful privacy takes dozens of parties (50 with dp_noise_scale 7, or 250 with 40)."
        )
    return (
        f"Epsilon {spent_epsilon:.3g} is no privacy to speak of: the noise hides next to nothing about single "
        f"training records. {remedy}",
    )
