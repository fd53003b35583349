"""Differential privacy, with exact discrete noise and the cost of releases."""

from mpc.dp.accountant import Cost, answer_cost, check_cost, epsilon, epsilon_bound, load_accountant
from mpc.dp.data_dependent import data_dependent_epsilon
from mpc.dp.discrete_gaussian import discrete_gaussian, noise_bound, part_scale

__all__ = [
    "Cost",
    "answer_cost",
    "check_cost",
    "data_dependent_epsilon",
    "discrete_gaussian",
    "epsilon",
    "epsilon_bound",
    "load_accountant",
    "noise_bound",
    "part_scale",
]
