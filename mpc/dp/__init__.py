"""Differential privacy, with exact discrete noise and the cost of releases."""

from mpc.dp.accountant import Cost, answer_cost, check_cost, check_countable, epsilon, epsilon_bound
from mpc.dp.data_dependent import data_dependent_epsilon
from mpc.dp.discrete_gaussian import discrete_gaussian, noise_bound, part_scale

__all__ = [
    "Cost",
    "answer_cost",
    "check_cost",
    "check_countable",
    "data_dependent_epsilon",
    "discrete_gaussian",
    "epsilon",
    "epsilon_bound",
    "noise_bound",
    "part_scale",
]
