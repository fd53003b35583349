"""Products of secret words under encryption: exact for any words, with parameters that say so."""

from __future__ import annotations

from math import log2, prod, sqrt

import numpy as np
import pytest

from mpc._core import RlweEvaluator, RlweParameters, RlweSecretKey, RlweSlots
from mpc.errors import ParameterError

N, TERMS, RESULTS = 8192, 1 << 14, 1 << 32
SLOTS = RlweSlots(N, 4, 47)
RNG = np.random.default_rng(11)


def negacyclic(message: np.ndarray, weights: dict[int, int], modulus: int) -> list[int]:
    """The product with a polynomial of few terms, in Python's integers."""
    total = np.zeros(N, dtype=object)
    for place, weight in weights.items():
        turned = np.concatenate([-message[N - place :], message[: N - place]]) if place else message
        total += turned * weight
    return [int(value) % modulus for value in total]


@pytest.mark.parametrize("prime", [0, *SLOTS.primes])
def test_any_words_are_multiplied_exactly(prime: int) -> None:
    modulus = prime or 2**64
    parameters = RlweParameters.for_products(prime, TERMS, RESULTS)
    key = RlweSecretKey(parameters)
    evaluator = RlweEvaluator(parameters, key.public_key())
    message = RNG.integers(0, modulus, N, dtype=np.uint64)
    message[:3] = [modulus - 1, 0, modulus // 2]
    half = modulus // 2
    terms = {0: half - (1 if prime == 0 else 0), 1: -half, 5: 1, 4000: -(half - 7), 8191: half // 3}
    weights = np.zeros((1, 1, N), dtype=np.int64)
    for place, weight in terms.items():
        weights[0, 0, place] = weight
    masks = RNG.integers(0, modulus, N, dtype=np.uint64)
    everywhere = np.arange(N)
    reply = evaluator.apply(evaluator.load(weights, 0), key.encrypt(message[None]), masks, everywhere)
    assert len(reply) == parameters.reply_bytes(everywhere, 1)
    found = key.decrypt(reply, everywhere, 1)
    wanted = negacyclic(message.astype(object), terms, modulus)
    assert [int(value) for value in found] == [(a + int(b)) % modulus for a, b in zip(wanted, masks, strict=True)]


def test_slots_hold_signed_words_and_their_products() -> None:
    x, y = RNG.integers(0, 2**64, (2, 300), dtype=np.uint64)
    x[:4], y[:4] = [2**63, 2**63, 2**63 - 1, 0], [2**63, 2**63 - 1, 2**63 - 1, 5]
    left, right = SLOTS.encode(x), SLOTS.encode_factors(y)
    assert all((row < p).all() for row, p in zip(left, SLOTS.primes, strict=True))
    halves = np.array(SLOTS.primes, dtype=np.int64)[:, None] // 2
    assert (np.abs(right.view(np.int64)) <= halves).all()
    assert (SLOTS.decode(left, 300) == words_modulo_all(x)).all()
    # Element-wise in each slot, by the same transforms: decode(encode(x y)) where the factors are small.
    small = SLOTS.decode(SLOTS.encode(np.array([3 * 5], dtype=np.uint64)), 1)
    assert small[0] == 15


def words_modulo_all(x: np.ndarray) -> np.ndarray:
    """The integers in [0, T) that signed words stand for, modulo 2^64."""
    total = prod(SLOTS.primes)
    signed = x.view(np.int64).astype(object)
    return np.array([int(value) % total % 2**64 for value in signed], dtype=np.uint64)


def test_masks_are_below_their_primes_and_even() -> None:
    uniform = RNG.integers(0, 2**64, 8 * N, dtype=np.uint64)
    masks = SLOTS.masks(uniform)
    for row, prime in zip(masks, SLOTS.primes, strict=True):
        assert (row < prime).all()
        assert abs(row.astype(float).mean() / prime - 0.5) < 6 / sqrt(12 * N)
    assert (SLOTS.masks(np.full(8 * N, 2**64 - 1, dtype=np.uint64)) == np.array(SLOTS.primes)[:, None] - 1).all()


@pytest.mark.parametrize("prime", [0, SLOTS.primes[0]])
def test_parameters_leave_room_for_flood_noise_and_switch(prime: int) -> None:
    """The derivation of parameters.hpp once more, in Python's floats."""
    parameters = RlweParameters.for_products(prime, TERMS, RESULTS)
    half = (prime or 2**64) / 2
    deviation = sqrt(10.75 * TERMS * half**2 + 21 * N) + 0.5
    assert log2(RESULTS * deviation) + 40 - 1 <= parameters.flood_bits <= log2(RESULTS * deviation) + 40 - 1 + 0.2
    q, k = prod(parameters.primes), parameters.reply_bits
    skew = sum(p * 2.0 ** (k + 2 - 128) for p in parameters.primes)
    noise = (2**parameters.flood_bits + 9 * deviation + 1) * 2.0**k / q
    assert noise + 9 * sqrt(N / 12) + 2 + 9 * skew * sqrt(2 * N / 3) <= 512
    assert parameters.modulus_bits <= 214


def test_a_sum_of_products_leaves_the_integers_of_the_slots_with_less_than_two_to_the_minus_53() -> None:
    assert 2**127 / prod(SLOTS.primes) < 2**-59
    assert 4 * 2**-56 + 2**-59 < 2**-53


def test_what_is_refused() -> None:
    with pytest.raises(ParameterError, match="prime of 20 to 47 bits that is 1 modulo 16384, found 97"):
        RlweParameters.for_products(97, 1, 1)
    with pytest.raises(ParameterError, match="1 to 2\\^20 weights"):
        RlweParameters.for_products(0, 0, 1)
    with pytest.raises(ParameterError, match="degree 8192 allows 214"):
        RlweParameters.for_products(0, 1 << 20, 1 << 40, 60)
    parameters = RlweParameters.for_products(0, 2, RESULTS)
    evaluator = RlweEvaluator(parameters, RlweSecretKey(parameters).public_key())
    weights = np.zeros((1, 1, N), dtype=np.int64)
    weights[0, 0, :3] = [1, -1, 5]
    with pytest.raises(ParameterError, match="at most 2 words behind output 0, found 3"):
        evaluator.load(weights, 0)
    prime = SLOTS.primes[0]
    small = RlweParameters.for_products(prime, TERMS, RESULTS)
    key = RlweSecretKey(small)
    with pytest.raises(ParameterError, match="messages of 47 bits"):
        key.encrypt(np.full((1, N), prime, dtype=np.uint64))
    weights[0, 0, 0] = prime // 2 + 1
    with pytest.raises(ParameterError, match="within half of the prime"):
        RlweEvaluator(small, key.public_key()).load(weights, 0)
    with pytest.raises(ParameterError, match="at most 8192 words, found 8193"):
        SLOTS.encode(np.zeros(N + 1, dtype=np.uint64))
    with pytest.raises(ParameterError, match="1 to 8 primes of 40 to 47 bits"):
        RlweSlots(N, 4, 48)
