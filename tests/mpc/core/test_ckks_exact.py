"""Every operation of CKKS against Python integers, coefficient by coefficient (:mod:`tests.mpc.core.ckks_oracle`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from mpc import _core
from tests.mpc.core.ckks_oracle import Oracle, Polynomial, centred

SEED = bytes(range(32))
LARGEST_NOISE = 21  # of a coefficient: centred binomial
DEPTH, DEGREE, SLOTS = 4, 64, 32
STEPS = (1, 5, -1)


@dataclass(frozen=True)
class Setting:
    """Parameters with so many primes a digit, both sides' objects, and the same in integers."""

    parameters: _core.CkksParameters
    oracle: Oracle
    key: _core.CkksSecretKey
    secret: Polynomial
    relinearisation: bytes
    rotations: dict[int, bytes]
    evaluator: _core.CkksEvaluator

    def encrypted(self, values: NDArray[np.float64], level: int) -> _core.CkksCiphertext:
        return _core.CkksCiphertext.from_bytes(self.parameters, self.key.encrypt(values, level))

    def phase(self, halves: tuple[Polynomial, Polynomial], modulus: int) -> Polynomial:
        """Return c_0 + c_1 s around zero."""
        found = self.oracle.add(halves[0], self.oracle.multiply(halves[1], self.secret, modulus), modulus)
        return [centred(x, modulus) for x in found]


@pytest.fixture(scope="module", params=[1, 2, 3, 4], ids="{} primes a digit".format)
def setting(request: pytest.FixtureRequest) -> Setting:
    parameters = _core.CkksParameters(DEGREE, [47, 36, 40, 36, 40], [47] * request.param, 36, insecure=True)
    oracle, key = Oracle(parameters), _core.CkksSecretKey(parameters, SEED)
    relinearisation = key.relinearisation_key(DEPTH)
    rotations = {steps: key.rotation_key(steps, DEPTH - 1) for steps in STEPS}
    evaluator = _core.CkksEvaluator(parameters, relinearisation, list(rotations.values()))
    return Setting(parameters, oracle, key, oracle.secret(SEED), relinearisation, rotations, evaluator)


def values(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-1, 1, SLOTS)


def encoded(setting: Setting, numbers: NDArray[np.float64], scale: float) -> Sequence[float]:
    """Return the coefficients before rounding, by solving for them."""
    n = DEGREE
    powers = np.array([[pow(5, i, 2 * n) * k % (2 * n) for k in range(n)] for i in range(n // 2)])
    points = np.exp(1j * np.pi / n * powers)
    return np.real(points.conj().T @ numbers * 2 / n) * scale


def test_the_secret_is_ternary_and_depends_on_seed_and_parameters(setting: Setting) -> None:
    assert set(setting.secret) == {-1, 0, 1}
    other = _core.CkksSecretKey(setting.parameters, SEED[::-1])
    assert setting.oracle.secret(SEED[::-1]) != setting.secret
    assert other.key_id != setting.key.key_id
    assert _core.CkksSecretKey(setting.parameters, SEED).key_id == setting.key.key_id


@pytest.mark.parametrize("level", range(DEPTH + 1))
def test_an_encryption_is_the_rounded_message_and_small_noise(setting: Setting, level: int) -> None:
    numbers = values(level)
    message = encoded(setting, numbers, float(setting.parameters.scale))
    modulus = setting.oracle.product(level)
    phase = setting.phase(setting.oracle.halves(setting.key.encrypt(numbers, level)), modulus)
    assert max(abs(x - m) for x, m in zip(phase, message, strict=True)) <= LARGEST_NOISE + 0.51
    public = _core.CkksPublicKey(setting.parameters, setting.key.public_key()).encrypt(numbers, level)
    errors = [abs(x - m) for x, m in zip(setting.phase(setting.oracle.halves(public), modulus), message, strict=True)]
    assert max(errors) <= LARGEST_NOISE * (1 + 2 * DEGREE) + 0.51
    assert max(errors) > LARGEST_NOISE  # two products of noise are in it


def test_a_public_key_is_an_encryption_of_zero(setting: Setting) -> None:
    message = setting.key.public_key()
    phase = setting.phase(setting.oracle.halves(message), setting.oracle.product(DEPTH))
    assert 0 < max(map(abs, phase)) <= LARGEST_NOISE
    assert message != setting.key.public_key()  # fresh each time


@pytest.mark.parametrize("level", range(DEPTH + 1))
def test_switching_keys_hold_the_gadget(setting: Setting, level: int) -> None:
    """b + a s' = e + P g s for every digit, with g one modulo the digit's primes and zero modulo the others."""
    oracle, secret = setting.oracle, setting.secret
    modulus = oracle.product(level) * oracle.special_product
    square = oracle.multiply(secret, secret, modulus)
    back = oracle.rotate(secret, SLOTS - 5, modulus)
    for message, source, target in (
        (setting.key.relinearisation_key(level), square, secret),
        (setting.key.rotation_key(5, level), secret, back),
    ):
        assert len(message) == setting.parameters.switching_key_bytes(level)
        for primes, (b, a) in zip(oracle.digit_primes(level), oracle.key(message, level), strict=True):
            size = int(np.prod(np.array(primes, dtype=object)))
            others = oracle.product(level) // size
            gadget = others * pow(others, -1, size) * oracle.special_product
            noise = oracle.add(b, oracle.multiply(a, target, modulus), modulus)
            noise = [centred(x - gadget * m, modulus) for x, m in zip(noise, source, strict=True)]
            assert 0 < max(map(abs, noise)) <= LARGEST_NOISE


def test_sums_are_sums_of_polynomials(setting: Setting) -> None:
    oracle, evaluator = setting.oracle, setting.evaluator
    for level in (0, DEPTH):
        modulus = oracle.product(level)
        a, b = setting.encrypted(values(1), level), setting.encrypted(values(2), level)
        x, y = oracle.halves(a), oracle.halves(b)
        for i in (0, 1):
            minus = [-c % modulus for c in y[i]]
            assert oracle.halves(evaluator.add(a, b))[i] == oracle.add(x[i], y[i], modulus)
            assert oracle.halves(evaluator.subtract(a, b))[i] == oracle.add(x[i], minus, modulus)
            assert oracle.halves(evaluator.negate(b))[i] == minus


def test_products_with_plaintexts_are_products_of_polynomials(setting: Setting) -> None:
    """The plaintext is seen by adding it, and must be the rounded message."""
    oracle, evaluator, level = setting.oracle, setting.evaluator, 2
    modulus, numbers = oracle.product(level), values(3)
    a = setting.encrypted(values(4), level)
    x = oracle.halves(a)
    for given, message in (
        (numbers, encoded(setting, numbers, float(a.scale))),
        (0.3, [0.3 * float(a.scale)] + [0.0] * (DEGREE - 1)),
    ):
        plain = evaluator.encode(given, DEPTH, a.scale)
        total = oracle.halves(evaluator.add_plain(a, plain))
        found = [centred(t - c, modulus) for t, c in zip(total[0], x[0], strict=True)]
        assert max(abs(f - m) for f, m in zip(found, message, strict=True)) <= 0.51
        assert total[1] == x[1]
        product = oracle.halves(evaluator.multiply_plain(a, plain))
        assert product == (oracle.multiply(x[0], found, modulus), oracle.multiply(x[1], found, modulus))
        lower = oracle.halves(evaluator.multiply_plain(a, plain, rescale=True))
        assert lower == tuple(oracle.divide(half, oracle.primes[level], modulus) for half in product)


@pytest.mark.parametrize("level", range(1, DEPTH + 1))
def test_rescaling_rounds_every_coefficient(setting: Setting, level: int) -> None:
    oracle, a = setting.oracle, setting.encrypted(values(5), level)
    expected = tuple(oracle.divide(x, oracle.primes[level], oracle.product(level)) for x in oracle.halves(a))
    lower = setting.evaluator.rescale(a)
    assert oracle.halves(lower) == expected
    assert lower.level == level - 1
    assert lower.scale == a.scale / setting.parameters.prime_scale(level)
    for below in range(level):
        dropped = setting.evaluator.drop(a, below)
        assert oracle.halves(dropped) == tuple([c % oracle.product(below) for c in x] for x in oracle.halves(a))
        assert (dropped.level, dropped.scale) == (below, a.scale)


@pytest.mark.parametrize("level", range(1, DEPTH + 1))
def test_products_are_relinearised_exactly(setting: Setting, level: int) -> None:
    oracle, evaluator = setting.oracle, setting.evaluator
    small = _core.CkksScale.power_of_two(setting.parameters, 30)
    a, b, c = (
        _core.CkksCiphertext.from_bytes(setting.parameters, setting.key.encrypt(values(6 + i), level, small))
        for i in range(3)
    )
    x, y, z = oracle.halves(a), oracle.halves(b), oracle.halves(c)
    modulus, special = oracle.product(level), oracle.special_product
    key = oracle.key(setting.relinearisation, level)

    def tensor(pairs: list[tuple[tuple[Polynomial, Polynomial], tuple[Polynomial, Polynomial]]]) -> list[Polynomial]:
        sums = [[0] * DEGREE for _ in range(3)]
        for left, right in pairs:
            for i in (0, 1):
                for j in (0, 1):
                    sums[i + j] = oracle.add(sums[i + j], oracle.multiply(left[i], right[j], modulus), modulus)
        return sums

    for pairs, product, lower in (
        ([(x, y)], evaluator.multiply(a, b), evaluator.multiply(a, b, rescale=True)),
        ([(x, x), (y, z)], evaluator.dot([a, b], [a, c]), evaluator.dot([a, b], [a, c], rescale=True)),
    ):
        constant, linear, square = tensor(pairs)
        switched = oracle.switch(square, key, level)
        total = [oracle.lifted(part, rest, level) for part, rest in zip(switched, (constant, linear), strict=True)]
        assert oracle.halves(product) == tuple(oracle.divide(part, special, modulus * special) for part in total)
        both = special * oracle.primes[level]
        assert oracle.halves(lower) == tuple(oracle.divide(part, both, modulus * special) for part in total)
        assert product.scale == a.scale * b.scale
        assert lower.scale == a.scale * b.scale / setting.parameters.prime_scale(level)


@pytest.mark.parametrize("level", range(DEPTH))
def test_rotations_are_switched_exactly_and_sums_divide_once(setting: Setting, level: int) -> None:
    oracle, evaluator = setting.oracle, setting.evaluator
    a, b = setting.encrypted(values(9), level), setting.encrypted(values(10), level)
    modulus, special = oracle.product(level), oracle.special_product

    def switched(half: tuple[Polynomial, Polynomial], steps: int) -> list[Polynomial]:
        first, second = oracle.switch(half[1], oracle.key(setting.rotations[steps], level), level)
        lifted = oracle.lifted(first, half[0], level)
        return [oracle.rotate(part, steps % SLOTS, modulus * special) for part in (lifted, second)]

    def divided(parts: list[Polynomial]) -> tuple[Polynomial, ...]:
        return tuple(oracle.divide(part, special, modulus * special) for part in parts)

    x, y = oracle.halves(a), oracle.halves(b)
    for steps in STEPS:
        assert oracle.halves(evaluator.rotate(a, steps)) == divided(switched(x, steps))
    each = evaluator.rotate_each(a, [5, 0, -1])
    assert [oracle.halves(found) for found in each] == [divided(switched(x, 5)), x, divided(switched(x, -1))]
    sums = [[0] * DEGREE, [0] * DEGREE]
    for half, steps in ((x, 1), (x, 5), (y, 1)):
        sums = [oracle.add(s, t, modulus * special) for s, t in zip(sums, switched(half, steps), strict=True)]
    expected = tuple(oracle.add(s, t, modulus) for s, t in zip(divided(sums), y, strict=True))
    assert oracle.halves(evaluator.rotate_sum([a, b, a, b], [1, 0, 5, 1])) == expected


def test_decryption_is_the_phase_over_the_scale(setting: Setting) -> None:
    for level in range(DEPTH + 1):
        a = setting.encrypted(values(11), level)
        phase = setting.phase(setting.oracle.halves(a), setting.oracle.product(level))
        scale = setting.oracle.scale(setting.oracle.read(a.to_bytes()).scale)
        expected = setting.oracle.slots([float(x / scale) for x in phase])
        assert np.abs(setting.key.decrypt(a) - expected).max() < 2**-45


def test_scales_are_exact_rationals(setting: Setting) -> None:
    parameters, oracle = setting.parameters, setting.oracle
    scale = parameters.scale
    for level in range(DEPTH, 0, -1):
        scale = scale * scale / parameters.prime_scale(level)
    a = _core.CkksCiphertext.from_bytes(parameters, setting.key.encrypt(values(12), 1, scale))
    exact = oracle.scale(oracle.read(a.to_bytes()).scale)
    assert abs(float(exact) / float(scale) - 1) < 2**-50
    assert a.scale == scale
    assert hash(a.scale) == hash(scale)
    assert a.scale != parameters.scale
    assert a.scale / scale == _core.CkksScale.power_of_two(parameters, 0)
