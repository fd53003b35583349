"""What labels cost: against the continuous Gaussian's closed form, an independent library, and published bounds."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from mpc.dp.accountant import Cost, answer_cost, check_cost, check_countable
from mpc.dp.accountant import epsilon as epsilon_of
from mpc.dp.accountant import epsilon_bound as bound_of
from mpc.dp.lattice import Losses, together
from mpc.errors import ParameterError

DELTA = 1e-5
Answers = Sequence[tuple[Fraction | str | int, int]]


def costs(answers: Answers) -> list[Cost]:
    return [answer_cost(str(sigma)).times(count) for sigma, count in answers]


def epsilon(answers: Answers, delta: float) -> float:
    return epsilon_of(costs(answers), delta)


def epsilon_bound(answers: Answers, delta: float) -> float:
    return bound_of(costs(answers), delta)


def analytic_gaussian(sigma: float, answers: int) -> float:
    """Balle and Wang 2018, Theorem 8, for the continuous Gaussian of L2 sensitivity sqrt(2 n)."""
    mean = math.sqrt(2 * answers) / sigma

    def delta_beyond(eps: float) -> float:
        tail = norm.logcdf(-mean / 2 - eps / mean)
        return norm.cdf(mean / 2 - eps / mean) - math.exp(eps + tail) - DELTA

    return float(brentq(delta_beyond, 0, 1000))


@pytest.mark.parametrize(("sigma", "answers"), [(2, 1), (2, 10), (7, 1), (7, 100), (40, 1), (40, 1000)])
def test_epsilon_is_that_of_the_gaussian_where_the_noise_is_wide(sigma: int, answers: int) -> None:
    assert epsilon([(Fraction(sigma), answers)], DELTA) == pytest.approx(analytic_gaussian(sigma, answers), rel=0.02)


@pytest.mark.parametrize(
    ("sigma", "answers", "published"),
    [(1, 1, 7.1), (1, 10, 30), (2, 1, 3.2), (2, 10, 12), (2, 100, 60), (7, 1, 0.8), (7, 100, 10.9), (40, 1000, 5.4)],
)
def test_epsilon_is_a_little_below_what_renyi_accounting_says(sigma: int, answers: int, published: float) -> None:
    assert 0.8 * published < epsilon([(sigma, answers)], DELTA) <= 1.01 * published


@pytest.mark.parametrize("sigma", ["1/2", "1", "7"])
def test_an_independent_library_agrees(sigma: str) -> None:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    mechanism = dp.c.make_zCDP_to_approxDP(dp.m.make_gaussian(*space, scale=float(Fraction(sigma))))
    theirs = mechanism.map(math.sqrt(2)).epsilon(delta=DELTA)
    assert epsilon([(sigma, 1)], DELTA) <= theirs <= epsilon_bound([(sigma, 1)], DELTA)


def test_the_closed_form_bounds_the_exact_figure() -> None:
    for sigma, answers in ((Fraction(1, 2), 1), (1, 3), (3, 20), (40, 500)):
        assert epsilon([(Fraction(sigma), answers)], DELTA) < epsilon_bound([(Fraction(sigma), answers)], DELTA)


def test_spending_in_parts_costs_what_spending_at_once_does() -> None:
    at_once = epsilon([("3", 12)], DELTA)
    assert epsilon([("3", 5), ("3", 7)], DELTA) == pytest.approx(at_once)
    assert epsilon([("3", 12), ("50", 1)], DELTA) > at_once
    assert epsilon([("3", 12), ("7", 0)], DELTA) == pytest.approx(at_once)


def test_no_noise_is_without_bound_and_no_answer_is_free() -> None:
    assert math.isinf(epsilon([(0, 1)], DELTA))
    assert math.isinf(epsilon([("2", 1), ("0", 1)], DELTA))
    assert epsilon([], DELTA) == 0
    assert epsilon([("0", 0)], DELTA) == 0


def test_the_ledgers_epsilon_is_the_gaussians_to_one_percent_over_a_campaign() -> None:
    """An independent computation: the closed form of the continuous Gaussian, which sigma 3 is close to."""
    assert epsilon([("3", 19)], 1e-5) == pytest.approx(analytic_gaussian(3, 19), rel=0.01)
    assert epsilon([("7", 100)], 1e-5) == pytest.approx(analytic_gaussian(7, 100), rel=0.01)


def exact_epsilon(answers: int, sigma: float, checks: int = 0, check_sigma: float = 1.0, delta: float = DELTA) -> float:
    """The sum over all outcomes: n discrete Gaussians moved by 1 are told from unmoved ones by their sum S alone, with
    privacy loss (n - 2 S) / (2 sigma^2), so that delta(epsilon) is a sum over the lattice of two such sums."""

    def sums(count: int, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        noise = np.arange(-math.ceil(12 * scale), math.ceil(12 * scale) + 1)
        one = np.exp(-(noise**2) / (2 * scale**2))
        total = np.ones(1)
        for _ in range(count):
            total = np.convolve(total, one / one.sum())
        lattice = np.arange(len(total)) - count * noise[-1]
        return total, (count - 2 * lattice) / (2 * scale**2)

    (chance, loss), (check_chance, check_loss) = sums(2 * answers, sigma), sums(checks, check_sigma)
    chances, losses = np.outer(chance, check_chance), np.add.outer(loss, check_loss)
    return float(brentq(lambda eps: float((chances * np.maximum(0, -np.expm1(eps - losses))).sum()) - delta, 0, 200))


@pytest.mark.parametrize(("sigma", "answers"), [("1/2", 1), ("1", 5), ("3/2", 20), ("3", 21), ("7", 40)])
def test_epsilon_is_the_discrete_gaussians_own_to_one_percent(sigma: str, answers: int) -> None:
    exact = exact_epsilon(answers, float(Fraction(sigma)))
    assert exact <= epsilon([(sigma, answers)], DELTA) * (1 + 1e-9)
    assert epsilon([(sigma, answers)], DELTA) == pytest.approx(exact, rel=0.01)


def test_two_changed_counts_cost_what_two_releases_of_one_do() -> None:
    two, one = Cost("answer", "5", 2, 3), Cost("check", "5", 1, 6)
    assert epsilon_of([two], DELTA) == pytest.approx(epsilon_of([one], DELTA))
    assert epsilon_of([two, one.times(-1)], DELTA) == 0
    with pytest.raises(ValueError, match="given back"):
        epsilon_of([two, one.times(-2)], DELTA)


def test_a_check_costs_what_a_gaussian_of_sensitivity_one_does() -> None:
    assert epsilon_of([check_cost("7").times(200)], DELTA) == pytest.approx(analytic_gaussian(7, 100), rel=0.02)


def test_a_sum_of_wide_parts_costs_what_one_gaussian_of_the_same_variance_does() -> None:
    one, parts = Cost("answer", "9", 2, 19), Cost("answer", "3", 2, 19, parts=9)
    assert parts.rho == pytest.approx(one.rho, rel=1e-6)
    assert bound_of([parts], DELTA) == pytest.approx(bound_of([one], DELTA), rel=1e-6)
    assert epsilon_of([parts], DELTA) == bound_of([parts], DELTA)


def test_a_sum_of_narrow_parts_costs_more_by_its_distance_from_a_gaussian() -> None:
    """Kairouz, Liu, Steinke 2021: tau for 20 parts of 0.67, by hand for its first two terms."""
    scale = Fraction(44, 65)
    parts, one = Cost("answer", str(scale), 2, 1, parts=20), Cost("answer", "3", 2, 1)
    first_terms = 10 * (math.exp(-(math.pi**2) * float(scale) ** 2) + math.exp(-4 / 3 * (math.pi * float(scale)) ** 2))
    distance = math.sqrt(2 * parts.rho) - 1 / (float(scale) * math.sqrt(20))
    assert first_terms < distance < 3 * first_terms
    assert parts.rho > 1.1 * one.rho


def exact_delta(sigma: float, parts: int, integers: int, epsilon: float) -> float:
    """The delta of so many integers that each move by 1, under sums of discrete Gaussians, from their chances alone."""
    support = np.arange(-math.ceil(12 * sigma), math.ceil(12 * sigma) + 1)
    one = np.exp(-(support.astype(float) ** 2) / (2 * sigma**2))
    here = np.ones(1)
    for _ in range(parts):
        here = np.convolve(here, one / one.sum())
    here, moved = np.append(here, 0.0), np.insert(here, 0, 0.0)
    for _ in range(integers - 1):
        size = len(support) * parts
        here, moved = (np.multiply.outer(chances, chances[:size]).ravel() for chances in (here, moved))
    return float(np.maximum(here - math.exp(epsilon) * moved, 0).sum())


@pytest.mark.parametrize("parts", [1, 2, 3, 9])
@pytest.mark.parametrize("sigma", ["1/2", "11/20", "3/4", "1"])
@pytest.mark.parametrize("integers", [1, 2])
def test_the_cost_of_narrow_parts_is_never_below_what_their_very_chances_give(
    sigma: str, parts: int, integers: int
) -> None:
    """Two integers are a class label, whose counts move by 1 each."""
    cost = Cost("answer", sigma, integers, 1, parts=parts)
    for delta in (1e-2, 1e-5):
        spent = epsilon_of([cost], delta)
        assert exact_delta(float(Fraction(sigma)), parts, integers, spent) <= delta
        assert parts == 1 or spent == bound_of([cost], delta)


def test_what_is_beyond_every_loss_counts_however_many_noise_scales_meet() -> None:
    def of(infinite: float) -> Losses:
        return Losses(np.array([-1.0, 1.0]), np.array([0.25, 0.75]), infinite)

    for parts in ([of(3e-6)], [of(3e-6), of(0.0)], [of(0.0), of(3e-6)], [of(1e-6), of(1e-6), of(1e-6)]):
        met = together(parts, 1e-3)
        assert met.infinite == pytest.approx(3e-6)
        assert math.isinf(met.epsilon(2.9e-6))
        assert met.epsilon(3.1e-6) == pytest.approx(len(parts), abs=0.01)


@pytest.mark.parametrize("sigma", ["1/3", "1", "19/10", "2", "5", "123/10", "400"])
@pytest.mark.parametrize("delta", [0.3, 1e-3, 1e-9, 1e-14])
def test_epsilon_is_the_exact_sum_over_the_lattice_and_never_below_it(sigma: str, delta: float) -> None:
    answers = 1 if sigma == "1/3" else 2 if sigma == "400" else 12
    exact = exact_epsilon(answers, float(Fraction(sigma)), delta=delta) if delta_at_0(answers, sigma) > delta else 0.0
    found = epsilon([(sigma, answers)], delta)
    assert exact * (1 - 1e-12) <= found <= exact * (1 + 1e-3) + 1e-9


def delta_at_0(answers: int, sigma: str) -> float:
    """Total variation distance of n moved discrete Gaussians from unmoved ones, at most that of the continuous."""
    return float(2 * norm.cdf(math.sqrt(2 * answers) / (2 * float(Fraction(sigma)))) - 1)


@pytest.mark.parametrize(
    ("answers", "sigma", "checks", "check_sigma", "delta"),
    [(4, 2.5, 11, 6.0, 1e-4), (9, 7.0, 1, 1.5, 1e-6), (1, 1.0, 30, 9.0, 1e-9)],
)
def test_epsilon_across_two_sigmas_is_the_exact_one_to_half_a_percent_and_never_below(
    answers: int, sigma: float, checks: int, check_sigma: float, delta: float
) -> None:
    exact = exact_epsilon(answers, sigma, checks, check_sigma, delta)
    spent = [answer_cost(Fraction(sigma)).times(answers), check_cost(Fraction(check_sigma)).times(checks)]
    assert exact <= epsilon_of(spent, delta) <= 1.005 * exact


@pytest.mark.parametrize(("sigma", "count"), [("1", 3), ("3", 42), ("20", 900)])
def test_a_numeric_accountant_agrees_where_it_works(sigma: str, count: int) -> None:
    from dp_accounting.pld import privacy_loss_distribution as pld

    one = pld.from_discrete_gaussian_mechanism(
        float(sigma), sensitivity=1, value_discretization_interval=2e-5, pessimistic_estimate=True
    )
    theirs = one.self_compose(count).get_epsilon_for_delta(DELTA)
    assert epsilon_of([check_cost(sigma).times(count)], DELTA) == pytest.approx(theirs, rel=0.005)


def test_a_hundred_thousand_answers_are_counted_in_little_memory() -> None:
    code = (
        "import resource; from mpc.dp.accountant import answer_cost, check_cost, epsilon\n"
        "resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))\n"
        "print(epsilon([answer_cost('400').times(100_000)], 1e-5))\n"
        "print(epsilon([answer_cost('400').times(90_000), check_cost('2000').times(10**7)], 1e-5))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    one, two = map(float, done.stdout.split())
    assert one == pytest.approx(analytic_gaussian(400, 100_000), rel=1e-3)
    mean = math.sqrt(180_000 / 400**2 + 10**7 / 2000**2)
    assert two == pytest.approx(analytic_gaussian(math.sqrt(2) / mean, 1), rel=0.01)


@pytest.mark.parametrize("sigma", ["1e-160", "1e-999999999", "0.0009", "2e9", "0.1234567890123456789", "1e999999999"])
def test_a_noise_scale_that_cannot_be_counted_is_refused_with_the_number(sigma: str) -> None:
    with pytest.raises(ParameterError, match=r"expected a noise scale of 0, or of 0\.001 .* found"):
        check_countable(Decimal(sigma))
    if "9999999" not in sigma:
        with pytest.raises(ParameterError, match="found"):
            check_countable(Fraction(sigma))
        assert math.isinf(epsilon_of([answer_cost(sigma)], DELTA))
        assert math.isinf(epsilon_of([answer_cost("3"), answer_cost(sigma)], DELTA))


def test_a_delta_that_the_cut_of_the_noise_would_fill_is_refused() -> None:
    for delta in (Decimal("1e-320"), Decimal("1e-999999"), 1e-21, 0.0, 1.0):
        with pytest.raises(ParameterError, match="expected a delta of at least 1e-20"):
            check_countable(Fraction(3), delta)
    check_countable(Fraction(3), 1e-20)
    assert math.isinf(epsilon([("3", 1)], 1e-320))
    assert math.isinf(epsilon([("3", 2**40)], 1e-20))  # so many cuts are more than delta
    assert epsilon([("3", 1)], 1e-20) < math.inf


def test_a_release_that_cannot_be_counted_is_free_only_when_it_did_not_happen() -> None:
    odd = Cost("answer", "1e-200", 2, 3)
    assert epsilon_of([odd, odd.times(-1)], DELTA) == 0
    assert math.isinf(epsilon_of([Cost("answer", "3", -1, 1)], DELTA))
    assert math.isinf(epsilon_of([Cost("answer", "3", 2, 1, parts=0)], DELTA))
