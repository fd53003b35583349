"""Training that would leave the polynomial's range is refused before anything is encrypted."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mpc.encrypted.packing import Floats, Packing
from mpc.encrypted.programs.logistic import Logistic
from mpc.encrypted.programs.sigmoid import sigmoid
from mpc.encrypted.ranges import foresee, largest_z, worst_case
from mpc.encrypted.twin import Twin
from mpc.errors import ParameterError, RangeError
from tests.mpc.encrypted.chains import chain


def records(n: int, d: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, d))


def test_the_polynomials_are_the_published_ones() -> None:
    """Kim et al. 2018 give 0.5 + 1.20096 (z/8) - 0.81562 (z/8)^3, and degree 7 besides."""
    first, third = sigmoid(3).coefficients
    assert first * 8 == pytest.approx(1.20096, abs=2e-3)
    assert third * 512 == pytest.approx(-0.81562, abs=2e-3)
    z = np.linspace(-8, 8, 999)
    for degree in (3, 5):
        distance = np.abs(sigmoid(degree)(z) - 1 / (1 + np.exp(-z)))
        assert distance.max() == pytest.approx(sigmoid(degree).worst, abs=1e-4)
    assert sigmoid(5).worst < sigmoid(3).worst < 0.12
    with pytest.raises(ParameterError, match="expected a sigmoid of degree 3 or 5, found 4"):
        sigmoid(4)


def test_the_sentence_names_iteration_value_and_a_rate_that_works() -> None:
    of = chain(degree=1024)
    packing, data = Packing.fit(60, 8, of.slots), 3 * records(60, 8) + 1
    with pytest.raises(RangeError) as caught:
        foresee(Twin(of), packing, data, Logistic(4.0, 3))
    sentence = str(caught.value)
    found = re.fullmatch(
        r"iteration (\d) would reach ([\d.e+]+), outside of the sigmoid's -8\.\.8: lower learning_rate from 4 to "
        r"([\d.]+) or iterations from 3 to (\d)",
        sentence,
    )
    assert found, sentence
    iteration, value, rate, iterations = int(found[1]), float(found[2]), float(found[3]), int(found[4])
    reach = largest_z(data, Logistic(4.0, 3), packing.records)
    assert value == pytest.approx(reach[iteration - 2], rel=1e-2)
    assert iterations == iteration - 1
    foresee(Twin(of), packing, data, Logistic(rate, 3))
    foresee(Twin(of), packing, data, Logistic(4.0, iterations))
    step = 10 ** np.floor(np.log10(rate))
    assert max(largest_z(data, Logistic(rate + step, 3), packing.records)) > 8  # the largest that works


@pytest.mark.parametrize("rate", [1e-7, 1e-12])
def test_training_that_hardly_moves_is_refused(rate: float) -> None:
    """Within such a bound the weights 0 would pass for trained ones."""
    of = chain(degree=1024)
    packing, data = Packing.fit(60, 8, of.slots), records(60, 8)
    with pytest.raises(RangeError, match=r"expected (constants that rounding|noise of a deviation|a bound on)"):
        foresee(Twin(of), packing, data, Logistic(rate, 2))
    found = foresee(Twin(of), packing, data, Logistic(0.5, 2))
    assert found.bound.max() <= 0.01 * np.abs(found.weights).max()
    narrow = chain(degree=1024, bits=26)  # larger noise, not yet beyond what the first order is good for
    with pytest.raises(RangeError, match=r"expected a bound on the error of at most 0.01 times the largest weight"):
        for small in (0.5, 0.25, 0.1, 0.05, 0.025, 0.01, 0.005):
            foresee(Twin(narrow), packing, data, Logistic(small, 2))


def test_no_records_leave_the_worst_case() -> None:
    choices, norm = Logistic(0.05, 4), 2.0 * np.sqrt(8)
    random = np.random.default_rng(1)
    for count in (16, 10):
        bounds = worst_case(norm, choices, count / 16)
        for _ in range(20):
            data = 2.0 * np.sign(random.normal(size=(count, 8)))
            data[: random.integers(1, count)] = data[0]
            found = largest_z(data, choices, 16)
            assert all(z <= bound for z, bound in zip(found, bounds, strict=True))
        same = np.full((count, 8), 2.0)
        assert largest_z(same, choices, 16)[0] == pytest.approx(bounds[0])  # it is reached
