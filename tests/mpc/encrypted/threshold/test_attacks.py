"""Attacks on one owner's secret by all others and the receiver, who put together what they see. Each works on a copy
without the defence.

The ring is small, so that an attacker's linear algebra is, too. It has no security, and the attacks do not use that.
"""

from __future__ import annotations

import numpy as np
import pytest

from mpc._core import CkksCiphertext, CkksEvaluator, CkksParameters, ckks_open_residues
from mpc.encrypted import parameters
from mpc.encrypted.threshold import decryption, relinearisation
from mpc.encrypted.threshold.masks import Mask, largest_coefficient, mask_of
from mpc.encrypted.threshold.owner import Owner
from mpc.errors import OrderError
from tests.mpc.encrypted.threshold.joint import owners_of, public_of, seed_of

DEGREE = 64


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> str:
    """A set of degree 64."""

    def make() -> CkksParameters:
        return CkksParameters(DEGREE, [47] + [36] * 3, [47], 36, insecure=True)

    monkeypatch.setattr(parameters, "SETS", {"ring": make})
    monkeypatch.setattr(parameters, "_made", {})
    return "ring"


# -- an attacker's algebra modulo q_0, at level 0 ----------------------------------------------------------------------


def coefficients_of(attacker: Owner, ciphertext: CkksCiphertext, second: bool) -> list[int]:
    """One part of a ciphertext, which is public: an opening of (part, 0), of which the attacker knows the mask."""
    core, message = attacker.key.core, bytearray(ciphertext.to_bytes())
    half = (len(message) - (2 * core.seeded_bytes(0) - core.ciphertext_bytes(0))) // 2
    if second:
        message[-2 * half : -half] = message[-half:]
    message[-half:] = bytes(half)
    part = CkksCiphertext.from_bytes(core, bytes(message))
    opened = ckks_open_residues(part, [attacker.secret.decryption(part, 1)])
    masks = decryption.owner_mask(attacker, part, Mask(1, 0.0, 0, 126))
    return [(int(one) - mask) % core.primes[0] for one, mask in zip(opened, masks, strict=True)]


def quotient(product: list[int], factor: list[int], prime: int) -> list[int]:
    """product / factor modulo X^N + 1 and a prime, around zero, by their values at the roots."""
    exponent = (prime - 1) // (2 * DEGREE)
    root = next(r for g in range(2, 100) if pow(r := pow(g, exponent, prime), DEGREE, prime) == prime - 1)
    points = [pow(root, 2 * k + 1, prime) for k in range(DEGREE)]

    def at(polynomial: list[int], point: int) -> int:
        return sum(c * pow(point, n, prime) for n, c in enumerate(polynomial)) % prime

    values = [at(product, point) * pow(at(factor, point), -1, prime) % prime for point in points]
    over = pow(DEGREE, -1, prime)
    found = [
        sum(v * pow(p, -n, prime) for v, p in zip(values, points, strict=True)) * over % prime for n in range(DEGREE)
    ]
    return [one - prime if one > prime // 2 else one for one in found]


def secret_of(owner: Owner, ciphertext: CkksCiphertext) -> list[int]:
    """The truth to compare with, from a share and its mask, which only its owner knows."""
    c1, prime = coefficients_of(owner, ciphertext, second=True), owner.key.core.primes[0]
    masks = decryption.owner_mask(owner, ciphertext, Mask(1, 0.0, 0, 126))
    found = quotient(_product_of(owner, owner, ciphertext, 1, masks), c1, prime)
    assert set(found) == {-1, 0, 1}
    return found


def _product_of(
    attacker: Owner, victim: Owner, ciphertext: CkksCiphertext, bits: int, masks: list[int] | None = None
) -> list[int]:
    """What a share of the victim holds: c_1 s with its mask, or without masks that are known."""
    prime = victim.key.core.primes[0]
    opened = ckks_open_residues(ciphertext, [victim.secret.decryption(ciphertext, bits)])
    c0 = coefficients_of(attacker, ciphertext, second=False)
    known = [0] * DEGREE if masks is None else masks
    return [(int(one) - zero - mask) % prime for one, zero, mask in zip(opened, c0, known, strict=True)]


# -- attacks -----------------------------------------------------------------------------------------------------------


def averaged(attacker: Owner, victim: Owner, result: CkksCiphertext, bits: int, count: int) -> list[int]:
    """Li and Micciancio with all others' secrets: the mean of many shares for one c_1, divided by it.

    Results that differ by a public number have one second part, and masks of their own.
    """
    core, prime = victim.key.core, victim.key.core.primes[0]
    evaluator, sums = CkksEvaluator(core, None, []), np.zeros(DEGREE)
    for number in range(count):
        shifted = evaluator.add_plain(result, evaluator.encode(number / 8, 0, core.scale))
        product = _product_of(attacker, victim, shifted, bits)
        if number == 0:
            first = product
        sums += [(one - begun + prime // 2) % prime - prime // 2 for one, begun in zip(product, first, strict=True)]
    # The mean of a mask is -1/2.
    means = [(begun + round(mean + 0.5)) % prime for begun, mean in zip(first, sums / count, strict=True)]
    return quotient(means, coefficients_of(attacker, result, second=True), prime)


def test_many_decryptions_tell_an_owners_secret_without_wide_masks_and_a_record(ring: str) -> None:
    attacker, victim = owners_of(ring, 2)
    result = public_of([attacker, victim]).encrypt(np.zeros(DEGREE // 2), 0)
    secret = secret_of(victim, result)
    assert averaged(attacker, victim, result, bits=3, count=700) == secret
    # As wide as the noise has to be hidden to 2^-20. It would take 2^50 decryptions and more.
    assert sum(a == b for a, b in zip(averaged(attacker, victim, result, 36, 700), secret, strict=True)) < DEGREE // 2
    # And the owner gives one.
    evaluator = CkksEvaluator(victim.key.core, None, [])
    plain = evaluator.encode(1.0, 0, victim.key.core.scale)
    mask = Mask(3, 0.0, 0, 126)
    decryption.owner_shares(victim, [result], mask)
    with pytest.raises(OrderError, match="expected one question for the step 'decryption' of a joint key"):
        decryption.owner_shares(victim, [evaluator.add_plain(result, plain)], mask)


def test_a_result_tells_nothing_of_its_noise_behind_masks(ring: str) -> None:
    """Two results of one value with different noise: opened with masks they have one distribution, without two."""
    owners = owners_of(ring, 3)
    key, scale = owners[0].key, float(owners[0].key.core.scale)
    public, evaluator = public_of(owners), CkksEvaluator(key.core, None, [])
    largest = largest_coefficient(1.0, scale)
    mask = mask_of(key.chain, largest, largest)

    def opened(noisy: bool, bits: int, number: int) -> float:
        """How much of the noise's direction is in what is opened."""
        result = public.encrypt(np.full(DEGREE // 2, number / 1000), mask.level)
        if noisy:
            result = evaluator.add_plain(result, evaluator.encode(1e-5, mask.level, key.core.scale))
        shares = [owner.sign(decryption.step_of(0), owner.secret.decryption(result, bits)) for owner in owners]
        return float(np.mean(decryption.receiver_open(key, 0, result, shares)) - number / 1000)

    def apart(bits: int) -> float:
        one, other = ([opened(noisy, bits, n) for n in range(40)] for noisy in (False, True))
        return abs(np.mean(one) - np.mean(other)) / np.hypot(np.std(one), np.std(other)) * np.sqrt(40)

    assert apart(1) > 10
    assert apart(mask.bits) < 5


def test_the_second_round_of_products_answers_one_sum(ring: str) -> None:
    """With one noise the difference of two answers would be ``s (h - h')``. The noise depends on the sum, too."""
    attacker, victim = owners_of(ring, 2)
    key = victim.key
    first = [relinearisation.owner_first_share(owner, 1) for owner in (attacker, victim)]
    forged = Owner(key, 0, seed_of("another secret"), attacker._signing)
    others = [relinearisation.owner_first_share(forged, 1), first[1]]
    sums = [relinearisation.add_first(key, 1, shares) for shares in (first, others)]
    common = key.common_seed(relinearisation.step_of(1, 1))
    relinearisation.owner_second_share(victim, 1, sums[0])
    with pytest.raises(OrderError, match="expected one question for the step 'products at level 1, round 2'"):
        relinearisation.owner_second_share(victim, 1, sums[1])
    answers = [victim.secret.second_relinearisation(common, one) for one in sums]
    assert answers[0] == victim.secret.second_relinearisation(common, sums[0])
    assert answers[0][-4000:] != answers[1][-4000:]


def test_a_trainer_that_chooses_what_is_refreshed_reads_a_secret(ring: str) -> None:
    """It is not prevented by the shares themselves: c_1 = 2^100 puts the secret above the mask. So an owner answers for
    ciphertexts of its own run alone, see ``test_training.py``."""
    attacker, victim = owners_of(ring, 2)
    core = victim.key.core
    message = bytearray(public_of([attacker, victim]).encrypt(np.zeros(4), 2).to_bytes())
    start = 2 * core.seeded_bytes(0) - core.ciphertext_bytes(0)
    rest = bytearray()
    for prime in core.primes[:3]:
        rest += sum((2**100 % prime) << (prime.bit_length() * n) for n in range(DEGREE)).to_bytes(
            DEGREE * prime.bit_length() // 8, "little"
        )
    message[start:] = bytes(len(rest)) + rest
    forged = CkksCiphertext.from_bytes(core, bytes(message))
    opened = _integers(forged, [victim.secret.decryption(forged, 90)])
    found = [round(one / 2**100) for one in opened]
    assert found == secret_of(victim, public_of([attacker, victim]).encrypt(np.zeros(4), 0))


def _integers(ciphertext: CkksCiphertext, shares: list[bytes]) -> list[int]:
    from mpc._core import ckks_open_integers

    low, high = ckks_open_integers(ciphertext, shares, 126)
    return [(above << 64) + below for below, above in zip(low.tolist(), high.tolist(), strict=True)]
