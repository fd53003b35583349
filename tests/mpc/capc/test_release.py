"""What becomes of noisy counts: no index without a class, noise of its own for each query, room for every sum."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import msgspec
import numpy as np
import pytest

from mpc.capc.confident import ConfidentArgmax, confident_bits
from mpc.capc.parameters import PublicParameters
from mpc.capc.release import NoisyArgmax, checked_labels, histogram_bits
from mpc.channels.memory import memory_pair, run_both_sides
from mpc.dp.accountant import Cost
from mpc.dp.discrete_gaussian import noise_bound, part_scale
from mpc.errors import ParameterError, ProtocolError
from mpc.garbled.session import Evaluator, Garbler
from mpc.randomness import SeededRandomness
from mpc.ring import Ring


@pytest.mark.parametrize("classes", [1, 2, 10])
def test_an_index_has_a_class_or_is_refused(classes: int) -> None:
    channel, _ = memory_pair("client", "privacy-guardian")
    known = np.arange(classes, dtype=np.uint64)
    assert checked_labels(known, classes, channel).tolist() == list(range(classes))
    for beyond in (classes, classes + 1, 2**32):
        indices = np.array([0, beyond, 0], dtype=np.uint64)
        with pytest.raises(ProtocolError, match=f"class labels below {classes}, found {beyond}"):
            checked_labels(indices, classes, channel)


@pytest.mark.parametrize("parts", range(1, 12))
@pytest.mark.parametrize("sigma", [Fraction(0), Fraction(1, 1000), Fraction(1, 2), Fraction(1), Fraction(7, 3)])
def test_a_part_is_the_least_scale_on_the_grid_whose_parts_have_the_whole_variance(sigma: Fraction, parts: int) -> None:
    part, step = part_scale(sigma, parts), Fraction(1, 1 << 16)
    assert (part / step).denominator == 1
    assert parts * part**2 >= sigma**2
    assert part == 0 or parts * (part - step) ** 2 < sigma**2


def in_parts(parties: int, sigma: str, noise_parts: int, classes: int = 3) -> PublicParameters:
    return PublicParameters(
        parties=parties, classes=classes, input_shape=(1,), ring_bits=30, fraction_bits=4, sigma=sigma, key_bits=1024,
        noise_parts=noise_parts,
    )  # fmt: skip


def test_every_noisy_number_that_a_query_releases_is_charged() -> None:
    """A label moves two counts. A check of the threshold is one more number, with noise of its own."""
    fields = msgspec.structs.asdict(in_parts(9, "2", 0))
    label = Cost("answer", "2", 2, 1)
    assert PublicParameters(**fields).costs == (label,)
    checked = PublicParameters(**fields | {"threshold": 5, "threshold_sigma": "3"})
    assert checked.costs == (Cost("check", "3", 1, 1), label)
    traits = PublicParameters(**fields | {"labelling": "labels"})
    assert traits.costs == (Cost("answer", "2", traits.classes, 1),)
    parts = in_parts(9, "2", 4)
    assert parts.costs == (Cost("answer", str(parts.part_scale), 2, 1, parts=4),)


@pytest.mark.parametrize(("threshold", "scale"), [(-1, "3"), (5, "-3"), (-1, "-3")])
def test_a_threshold_and_its_noise_are_at_least_zero(threshold: int, scale: str) -> None:
    fields = msgspec.structs.asdict(in_parts(9, "2", 0))
    with pytest.raises(ParameterError, match=f"of at least 0, found {threshold} and {scale}"):
        PublicParameters(**fields | {"threshold": threshold, "threshold_sigma": scale})
    assert PublicParameters(**fields | {"threshold": 0, "threshold_sigma": "0"}).threshold == 0


def test_a_part_of_one_half_is_taken_and_a_smaller_one_refused() -> None:
    """The bound of Kairouz, Liu and Steinke 2021 on sums of discrete Gaussians holds from a scale of 1/2."""
    assert in_parts(9, "1", 4).part_scale == Fraction(1, 2)
    assert in_parts(9, "1.5", 9).part_scale == Fraction(1, 2)
    with pytest.raises(ParameterError, match=r"at least 1/2 for each part of the noise, found 0\.447"):
        in_parts(9, "1", 5)
    with pytest.raises(ParameterError, match="at least 1/2 for each part"):
        in_parts(9, "0.999", 4)


@pytest.mark.parametrize(("parties", "parts"), [(1, 1), (2, 1), (3, 3), (9, 4), (21, 20), (64, 3)])
@pytest.mark.parametrize("sigma", ["2.25", "4.5", "7"])
def test_parts_at_their_very_bounds_fit_and_one_bit_less_would_not_hold_them(
    parties: int, parts: int, sigma: str
) -> None:
    """All parties vote for one class, and each draws the largest part of the noise for it, or against it."""
    parameters = in_parts(parties, sigma, parts)
    bound = noise_bound(parameters.part_scale)
    assert bound >= 12 * parameters.part_scale > bound - 1
    largest = parties * (1 + bound)
    assert Ring(parameters.width).signed(Ring(parameters.width).reduce(np.array([largest, -largest]))).tolist() == [
        largest,
        -largest,
    ]
    assert largest >= 2 ** (parameters.width - 2)


@pytest.mark.parametrize(("parties", "sigma"), [(1, "0"), (3, "0.5"), (3, "40"), (100, "1/3")])
def test_the_circuit_finds_the_largest_count_at_the_very_bounds(parties: int, sigma: str) -> None:
    width = histogram_bits(parties, Fraction(sigma))
    largest = parties + noise_bound(Fraction(sigma))
    counts = np.array([[-largest, largest, 0], [largest, -largest, largest], [-largest, -largest, 1 - largest]])
    ring = Ring(width)
    assert (ring.signed(ring.reduce(counts)) == counts).all()
    assert largest >= 2 ** (width - 2)
    querying, guardian = memory_pair("client", "privacy-guardian", 20)
    evaluator, garbler = run_both_sides(lambda: Evaluator.open(querying), lambda: Garbler.open(guardian))
    share, other = ring.share(ring.reduce(counts))
    rule = NoisyArgmax(width)
    labels, _ = run_both_sides(
        lambda: rule.querying(evaluator, share), lambda: rule.guardian(garbler, np.zeros_like(other), other)
    )
    assert labels.tolist() == counts.argmax(axis=1).tolist() == [1, 0, 2]


def test_every_query_has_a_limit_of_its_own_and_the_limits_spread_as_the_noise_on_the_threshold() -> None:
    rule = ConfidentArgmax(70, Fraction(5), confident_bits(100, Fraction(3), 70, Fraction(5)))
    limits = rule.limits(3000, SeededRandomness(b"limits"))
    assert limits.shape == (3000,)
    assert abs(limits.mean() - 70) < 4 * 5 / 3000**0.5
    assert 4.7 < limits.std() < 5.3
    assert abs(np.corrcoef(limits[1:], limits[:-1])[0, 1]) < 0.08  # four standard errors
    assert ConfidentArgmax(70, Fraction(0), rule.width).limits(4).tolist() == [70] * 4


@pytest.mark.parametrize(("sigma", "check"), list(product(("0", "2"), ("0", "5/2"))))
def test_the_width_behind_a_threshold_has_no_bit_to_spare_that_is_not_needed(sigma: str, check: str) -> None:
    parties, threshold = 50, 30
    width = confident_bits(parties, Fraction(sigma), threshold, Fraction(check))
    noise, limit_noise = noise_bound(Fraction(sigma)), noise_bound(Fraction(check))
    assert parties + noise + threshold + limit_noise + 1 < 2 ** (width - 2)
    assert parties + noise + threshold + limit_noise + 1 >= 2 ** (width - 3)
