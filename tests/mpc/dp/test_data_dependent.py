"""The data-dependent analysis bounds the true divergence, is no worse than the data-independent one, no ledger's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from mpc.dp.accountant import answer_cost, epsilon_bound
from mpc.dp.data_dependent import ORDERS, data_dependent_epsilon, rdp_of_check, rdp_of_label


def true_divergence(first: float, second: float, order: float) -> float:
    """Rényi divergence between two coins."""
    sides = ((first, second), (1 - first, 1 - second))
    return math.log(sum(p**order * q ** (1 - order) for p, q in sides)) / (order - 1)


@pytest.mark.parametrize("votes", [(20, 0), (18, 2), (15, 5), (11, 9)])
@pytest.mark.parametrize("sigma", [2.0, 3.0, 5.0])
def test_the_bound_of_a_label_holds_for_every_neighbour_of_two_classes(votes: tuple[int, int], sigma: float) -> None:
    def first_wins(ahead: int) -> float:
        return float(norm.cdf(ahead / (math.sqrt(2) * sigma)))

    orders = np.array([1.5, 2, 3, 5, 8, 12])
    bounds = rdp_of_label(np.array(votes), sigma, orders)
    ahead = votes[0] - votes[1]
    for neighbour in (ahead - 2, ahead + 2):
        for order, bound in zip(orders, bounds, strict=True):
            assert true_divergence(first_wins(ahead), first_wins(neighbour), order) <= bound * (1 + 1e-9)


@pytest.mark.parametrize("top", [5, 12, 15, 19])
def test_the_bound_of_a_check_holds_for_every_neighbour(top: int) -> None:
    def passes(count: int) -> float:
        return float(norm.sf((12 - count) / 2.5))

    orders = np.array([1.5, 2, 3, 5, 8])
    bounds = rdp_of_check(np.array([top, 20 - top] if top > 10 else [top, 5, 5, 5]), 12, 2.5, orders)
    for neighbour in (top - 1, top + 1):
        for order, bound in zip(orders, bounds, strict=True):
            assert true_divergence(passes(top), passes(neighbour), order) <= bound * (1 + 1e-9)


def test_agreement_makes_labels_cheap_and_disagreement_never_dearer_than_they_are() -> None:
    agreed, split = np.array([[250, 0, 0]] * 100), np.array([[84, 83, 83]] * 100)
    independent = epsilon_bound([answer_cost("40").times(100)], 1e-5)
    assert data_dependent_epsilon(agreed, 40, 1e-5) < 0.5 * independent
    assert data_dependent_epsilon(split, 40, 1e-5) <= independent * 1.01
    assert (rdp_of_label(split[0], 40) == ORDERS / 40**2).all()


def test_who_abstained_costs_a_check_alone() -> None:
    counts = np.array([[9, 8, 3]] * 10)
    check = {"threshold": 15, "threshold_sigma": 4.0}
    none = data_dependent_epsilon(counts, 3, 1e-4, answered=np.zeros(10, bool), **check)
    some = data_dependent_epsilon(counts, 3, 1e-4, answered=np.arange(10) < 3, **check)
    assert 0 < none < some < data_dependent_epsilon(counts, 3, 1e-4, **check)
    assert math.isinf(data_dependent_epsilon(counts, 0, 1e-4))
    assert data_dependent_epsilon(counts, 3, 1e-4, answered=np.zeros(10, bool)) == 0


@pytest.mark.parametrize("sigma", [1.0, 3.0, 10.0, 40.0, 100.0, 300.0])
def test_the_grid_of_orders_is_near_the_best_order_at_every_noise_scale(sigma: float) -> None:
    """Of split votes a label costs order / sigma^2, whose best order has a closed form."""
    delta = 1e-5
    best = (1 + 2 * math.sqrt(math.log(1 / delta)) * sigma) / sigma**2
    found = data_dependent_epsilon(np.array([[7, 7, 7]]), sigma, delta)
    assert best <= found <= 1.05 * best
