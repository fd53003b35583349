"""The public bounds on weights and on the ring are the figures that an independent computation gives."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from mpc.errors import ParameterError
from mpc.inference import AvgPool2d, Conv2d, Flatten, Linear, ReLU
from mpc.inference.models.bounds import check_weight_norm, norm_squared, public_norm_bits, public_ring_bits, within_norm
from mpc.inference.models.fixed import Topology
from mpc.inference.models.quantise import quantise

F = 12
Shape = tuple[int, ...]


def topology(layers: list[object], shape: Shape, ring_bits: int = 45) -> Topology:
    found = quantise(layers, shape, F).layers
    return Topology(input_shape=shape, input_range=(0, 1 << F), layers=found, fraction_bits=F, ring_bits=ring_bits)


def linear(outputs: int, inputs: int) -> Linear:
    return Linear(np.zeros((outputs, inputs)), np.zeros(outputs))


CONVOLUTION = Conv2d(np.ones((3, 1, 3, 3)), np.zeros(3), padding=1)
POOL = AvgPool2d(2)
NETWORKS = {  # layers, input shape, and for each private layer its outputs and the p of the means whose 1/p it holds
    "one output": ([linear(1, 16)], (16,), [(1, 1)]),
    "an odd number": ([linear(7, 16)], (16,), [(7, 1)]),
    "two layers": ([linear(5, 16), ReLU(), linear(3, 5)], (16,), [(5, 1), (3, 1)]),
    "a mean after a ReLU": ([CONVOLUTION, ReLU(), POOL, Flatten(), linear(3, 48)], (1, 8, 8), [(3, 1), (3, 4)]),
    "a mean before a ReLU": ([CONVOLUTION, POOL, ReLU(), Flatten(), linear(3, 48)], (1, 8, 8), [(3, 4), (3, 1)]),
    "a mean of the input": ([POOL, Flatten(), linear(3, 16)], (1, 8, 8), [(3, 4)]),
}


def least_exponent(squared: Fraction) -> int:
    """Return the smallest n with 4^n at least this."""
    exponent = 0
    while 4**exponent < squared:
        exponent += 1
    return exponent


@pytest.mark.parametrize("weight_norm", [1, 2, 4, 64, 1 << 16])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_norms_bits_are_the_fewest_that_hold_the_agreed_norm(name: str, weight_norm: int) -> None:
    layers, shape, expected = NETWORKS[name]
    whole = topology(layers, shape)
    squares = [Fraction(weight_norm**2 * outputs * 4**F, pooled**2) for outputs, pooled in expected]
    # 2^29 is the largest norm that the ciphertexts' noise is derived for.
    assert public_norm_bits(whole, weight_norm) == tuple(min(least_exponent(one), 29) for one in squares)


@pytest.mark.parametrize(
    "kernel", [(3, 3), (7, 73), (65, 63), (64, 64)]
)  # the second and third are just below 2^9, 2^12
def test_a_norm_is_never_rounded_below_the_agreed_one(kernel: tuple[int, int]) -> None:
    """A mean over a number of values that is no power of two leaves a bound that is no integer."""
    layers = [AvgPool2d(kernel), Flatten(), linear(1, 1)]
    found = public_norm_bits(topology(layers, (1, *kernel)), 1)
    assert found == (least_exponent(Fraction(4**F, math.prod(kernel) ** 2)),)


@pytest.mark.parametrize("weight_norm", [-4, 0, 3, 6, 1 << 17, (1 << 16) + 1])
def test_another_norm_than_a_power_of_two_up_to_the_largest_is_refused(weight_norm: int) -> None:
    with pytest.raises(ParameterError, match=rf"a weight norm that is a power of two from 1 to 65536, .*{weight_norm}"):
        check_weight_norm(weight_norm)


@pytest.mark.parametrize("weight_norm", [1, 2, 1 << 16])
def test_every_power_of_two_up_to_the_largest_is_a_norm(weight_norm: int) -> None:
    check_weight_norm(weight_norm)


@pytest.mark.parametrize("bits", [1, 5, 12])
def test_a_norm_is_within_its_bound_up_to_equality(bits: int) -> None:
    assert within_norm(np.array([1 << bits]), bits)
    assert within_norm(np.array([-(1 << bits)]), bits)
    assert not within_norm(np.array([1 << bits, 1]), bits)


@pytest.mark.parametrize("weight", [1 << 32, -(1 << 32), -(1 << 40)])
def test_weights_whose_sum_of_squares_would_not_fit_are_refused(weight: int) -> None:
    with pytest.raises(ParameterError, match=r"below 2\^32, found larger ones"):
        norm_squared(np.array([1, weight], np.int64))


@pytest.mark.parametrize("inputs", [1, 4, 9, 16, 49, 64, 100, 225])
def test_a_ring_holds_the_largest_value_within_the_bounds_and_is_no_wider(inputs: int) -> None:
    """All inputs 1, all weights alike and as large as the norm of 4 allows, and a bias as large as they are."""
    largest = (4 * math.isqrt(inputs) + 4) << (2 * F)
    assert public_ring_bits(topology([linear(1, inputs)], (inputs,)), 4) == largest.bit_length() + 1


def test_a_ring_holds_what_a_second_layer_makes_of_the_largest_values() -> None:
    """Both layers have their whole norm in one output, to which every input is 1."""
    first, bias = 4 * math.sqrt(2) * 4, 4 * math.sqrt(2)  # two outputs: 4 sqrt 2, for which 2^3 is the bound
    assert public_norm_bits(topology([linear(2, 16), ReLU(), linear(1, 2)], (16,)), 4) == (F + 3, F + 2)
    value = 8 * 4 + 8
    assert value >= first + bias
    largest = (4 * value + 4) << (2 * F)
    found = public_ring_bits(topology([linear(2, 16), ReLU(), linear(1, 2)], (16,)), 4)
    assert largest.bit_length() + 1 <= found <= largest.bit_length() + 2
