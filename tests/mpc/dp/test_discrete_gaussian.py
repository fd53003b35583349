"""The noise is the exact discrete Gaussian: distribution, tail bound, known answers, refusals."""

from __future__ import annotations

import importlib
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from mpc.dp.discrete_gaussian import discrete_gaussian, noise_bound
from mpc.errors import ParameterError
from mpc.randomness import SeededRandomness


@pytest.mark.parametrize("sigma", [Fraction(1, 2), Fraction(1), Fraction(7, 3), Fraction(7), Fraction(40)])
def test_samples_follow_the_discrete_gaussian(sigma: Fraction) -> None:
    samples = discrete_gaussian(sigma, (6000,), SeededRandomness(f"chi-square {sigma}".encode()))
    bound = noise_bound(sigma)
    support = np.arange(-bound, bound + 1)
    weights = np.exp(-(support.astype(float) ** 2) / (2 * float(sigma) ** 2))
    expected = 6000 * weights / weights.sum()
    observed = np.bincount(samples + bound, minlength=len(support))
    # Cells with few expected samples are pooled with their neighbours towards the middle, tail by tail.
    rich = np.flatnonzero(expected >= 10)
    low, high = rich[0], rich[-1]

    def pool(cells):
        return np.concatenate(([cells[: low + 1].sum()], cells[low + 1 : high], [cells[high:].sum()]))

    statistic, p_value = stats.chisquare(pool(observed), pool(expected))
    assert p_value > 1e-4, (statistic, p_value)


def test_a_wrong_scale_fails_the_same_chi_square() -> None:
    samples = discrete_gaussian(Fraction(8), (6000,), SeededRandomness(b"wrong scale"))
    expected_variance = 49.0
    statistic = (len(samples) - 1) * samples.var(ddof=1) / expected_variance
    assert stats.chi2.sf(statistic, len(samples) - 1) < 1e-6


def test_zero_scale_adds_nothing_and_shape_is_kept() -> None:
    assert not discrete_gaussian(Fraction(0), (3, 10)).any()
    assert discrete_gaussian(Fraction(3), (3, 10)).shape == (3, 10)


def test_no_sample_exceeds_the_bound() -> None:
    sigma = Fraction(1, 5)
    assert noise_bound(sigma) == 3
    assert np.abs(discrete_gaussian(sigma, (2000,))).max() <= 3


def test_a_candidate_beyond_the_bound_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for such a candidate: less than one sample in 2^102 lies there."""
    candidates = iter([13, -13, 12, 0, -14, 100, -12])
    module = importlib.import_module("mpc.dp.discrete_gaussian")  # the package has a function of this name
    monkeypatch.setattr(module, "_discrete_laplace", lambda scale, randomness: next(candidates))
    monkeypatch.setattr(module, "_bernoulli_exp", lambda gamma, randomness: True)
    assert discrete_gaussian(Fraction(1), (3,)).tolist() == [12, 0, -12]
    assert next(candidates, None) is None


@pytest.mark.parametrize("sigma", [Fraction(1, 1000), Fraction(1, 12), Fraction(1, 5), Fraction(1), Fraction(97, 12)])
def test_the_bound_is_the_least_integer_that_is_no_less_than_twelve_sigma(sigma: Fraction) -> None:
    assert noise_bound(sigma) - 1 < 12 * sigma <= noise_bound(sigma)


def test_known_answer_under_injected_randomness() -> None:
    again = [discrete_gaussian(Fraction(5, 2), (12,), SeededRandomness(b"known answer")).tolist() for _ in range(2)]
    assert again[0] == again[1] == [-3, -1, 0, -2, 1, 0, 1, 0, -2, -2, 3, 0]
    assert again[0] != discrete_gaussian(Fraction(5, 2), (12,), SeededRandomness(b"another")).tolist()


def test_negative_scale_is_refused() -> None:
    with pytest.raises(ParameterError, match="at least 0"):
        discrete_gaussian(Fraction(-1), (1,))
