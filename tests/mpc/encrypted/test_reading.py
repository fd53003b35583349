"""Weights that are read from shares of a polynomial by integers alone."""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest

from mpc.encrypted import reading as reading_module
from mpc.encrypted.embedding import coefficients
from mpc.encrypted.packing import Floats, Packing
from mpc.encrypted.reading import Reading, Residues, _cosines
from mpc.errors import ParameterError, RangeError

PRIMES = (2**47 - 115, 2**36 - 5)
SCALE = Fraction(2**36)


def residues(polynomial: list[int], primes: tuple[int, ...]) -> Residues:
    return np.array([[number % prime for number in polynomial] for prime in primes], np.uint64)


def encoded(packing: Packing, weights: Floats) -> list[int]:
    return [round(c * float(SCALE)) for c in coefficients(packing.repeat(weights)).tolist()]


@pytest.mark.parametrize(
    ("features", "level", "grid_bits"), [(8, 0, 20), (8, 1, 20), (1, 0, 12), (64, 0, 4), (8, 0, 35)]
)
def test_shares_of_a_polynomial_give_shares_of_weights(features: int, level: int, grid_bits: int) -> None:
    random = np.random.default_rng(features + level)
    packing = Packing.fit(1, features, 512)
    reading = Reading(packing, PRIMES[: level + 1], SCALE, grid_bits, 3)
    weights = random.uniform(-7.9, 7.9, features)
    polynomial = encoded(packing, weights)
    mask = [int(number) for number in random.integers(0, 2**62, 1024)]
    masked = reading.read(residues([a + b for a, b in zip(polynomial, mask, strict=True)], reading.primes))
    unmasked = reading.read(residues(mask, reading.primes))
    half = reading.modulus // 2
    found = np.array([(a - b + half) % reading.modulus - half for a, b in zip(masked, unmasked, strict=True)])
    exact = [sum(a * m for a, m in zip(row, polynomial, strict=True)) for row in reading.factors.tolist()]
    assert found.tolist() == exact
    steps = np.array(exact, np.float64) / 2.0**reading.shift
    assert np.allclose(steps / 2.0**grid_bits, reading.matrix @ weights, atol=1e-8)
    step = 2.0**-grid_bits
    opened = reading.weights(np.round(steps).astype(np.int64))
    assert (np.abs(opened - weights) <= reading.errors(np.full(features, step / 2 + 1e-8))).all()


def test_the_matrix_is_near_the_identity_and_nearer_with_more_room() -> None:
    packing = Packing.fit(1, 8, 512)
    low, high = (Reading(packing, PRIMES[: level + 1], SCALE, 20, 3) for level in (0, 1))
    assert 1e-4 < np.abs(low.matrix - np.eye(8)).max() < 0.05
    assert np.abs(high.matrix - np.eye(8)).max() < 1e-7


def test_what_is_read_is_a_sum_over_real_and_imaginary_parts_of_slots() -> None:
    """Of any polynomial, also one whose slots are not real, as noise is."""
    random = np.random.default_rng(3)
    packing = Packing.fit(1, 8, 512)
    reading = Reading(packing, PRIMES[:1], SCALE, 20, 3)
    noise = random.integers(-1000, 1000, 1024)
    powers = np.array([pow(5, i, 2048) for i in range(512)])
    slots = np.exp(1j * np.pi / 1024 * np.outer(powers, np.arange(1024))) @ noise
    expected = (reading.real @ slots.real + reading.imaginary @ slots.imag) * 2.0 ** (reading.shift + 20 - 36)
    assert np.allclose(reading.factors @ noise, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("level", [0, 1])
def test_factors_are_those_of_integers_alone(level: int) -> None:
    """Doubles decide most of them. So all are computed here from cosines that are integers, as another machine may."""
    packing = Packing.fit(1, 4, 256)
    reading = Reading(packing, PRIMES[: level + 1], SCALE, 20, 3)
    drawn = np.frombuffer(hashlib.shake_256(b"capc reading 1/256/4").digest(2 * 4 * 512), "<u2").reshape(4, 512)
    cosines = [int(number) for number in _cosines(512)]
    factor = Fraction(2) ** (reading.shift + 20 - 36) / packing.rows
    for j in range(4):
        exponents = [pow(5, i, 1024) for i in range(64 * j, 64 * (j + 1))]
        for k in range(512):
            total = Fraction(sum(cosines[e * k % 1024] for e in exponents), 2**40)
            assert reading.factors[j, k] == math.floor(total * factor + Fraction(int(drawn[j, k]), 2**16))


def test_factors_do_not_depend_on_how_well_a_machine_transforms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubles that are off by nearly as much as is allowed for, which is far more than they are."""
    packing = Packing.fit(1, 64, 512)
    exact = Reading(packing, PRIMES, SCALE, 20, 3).factors
    random = np.random.default_rng(5)
    off = 0.9 * 2.0**-36 * packing.rows / packing.slots
    monkeypatch.setattr(
        reading_module, "coefficients", lambda slots: coefficients(slots) + random.uniform(-off, off, 1024)
    )
    assert np.array_equal(Reading(packing, PRIMES, SCALE, 20, 3).factors, exact)


def test_cosines_are_right_to_the_last_bit() -> None:
    found = _cosines(1024)
    assert np.abs(found / 2.0**40 - np.cos(np.pi / 1024 * np.arange(2048))).max() <= 0.501 * 2.0**-40
    assert found[0] == 2**40
    assert found[512] == 0


def test_what_has_no_room_is_refused_with_the_limit_that_has() -> None:
    packing = Packing.fit(1, 8, 512)
    with pytest.raises(RangeError, match=r"lower the limit to 2\^9"):
        Reading(packing, PRIMES[:1], SCALE, 20, 12)
    assert Reading(packing, PRIMES[:1], SCALE, 20, 8).shift >= 1
    with pytest.raises(RangeError, match="room for weights"):
        Reading(packing, PRIMES[:1], SCALE, 45, 3)
    with pytest.raises(RangeError, match=r"enlarges errors by at most 2, found \d.*: lower the limit of weights"):
        Reading(Packing.fit(1, 256, 2048), PRIMES[:1], SCALE, 20, 9)


def test_other_polynomials_are_refused() -> None:
    packing = Packing.fit(1, 8, 512)
    reading = Reading(packing, PRIMES, SCALE, 20, 3)
    with pytest.raises(ParameterError, match=r"shape \(2, 1024\)"):
        reading.read(np.zeros((1, 1024), np.uint64))
    with pytest.raises(ParameterError, match="below their prime"):
        reading.read(np.full((2, 1024), PRIMES[1], np.uint64))
