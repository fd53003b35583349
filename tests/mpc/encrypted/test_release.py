"""The attack of Li and Micciancio finds the private key from decrypted numbers, and finds nothing in released ones."""

from __future__ import annotations

import numpy as np
import pytest

from mpc._core import CkksCiphertext, CkksParameters, CkksSecretKey
from mpc.channels.memory import memory_pair, run_both_sides
from mpc.encrypted import parameters
from mpc.encrypted.embedding import coefficients
from mpc.encrypted.packing import Floats
from mpc.encrypted.programs.logistic import Logistic
from mpc.encrypted.shared_release import (
    SharedRelease,
    holder_decrypt,
    holder_open,
    holder_receive_masked,
    holder_shares,
    trainer_mask,
    trainer_open,
    trainer_send_masked,
)
from mpc.encrypted.training import (
    Job,
    owner_decrypt,
    owner_encrypt,
    owner_foresee,
    owner_make_keys,
    owner_make_secret,
    trainer_train,
)
from mpc.garbled.session import Evaluator, Garbler
from mpc.ring import unpack_words
from tests.mpc.encrypted.test_training import signed

DEGREE = 64
BITS = 47  # of the prime of level 0


def transforms(core: CkksParameters, message: bytes) -> tuple[list[int], list[int]]:
    """The values of c_0 and c_1 modulo q_0, in the order of the core's transforms."""
    size = 2 * DEGREE * BITS // 8
    words = unpack_words(message[-size:], (2, DEGREE), BITS)
    first, second = words.tolist()
    return first, second


class Ring:
    """Values of polynomials at the odd powers of the smallest primitive root, in the order of the core's transforms."""

    def __init__(self, prime: int) -> None:
        self.prime = prime
        roots = (pow(x, (prime - 1) // (2 * DEGREE), prime) for x in range(2, 2000))
        primitive = next(root for root in roots if pow(root, DEGREE, prime) == prime - 1)
        self.psi = min(pow(primitive, odd, prime) for odd in range(1, 2 * DEGREE, 2))
        width = DEGREE.bit_length() - 1
        self.exponents = [2 * int(f"{j:0{width}b}"[::-1], 2) + 1 for j in range(DEGREE)]
        self.place = {exponent: j for j, exponent in enumerate(self.exponents)}

    def inverse_place(self, place: int) -> int:
        """The place of the value at 1 / r, given that of the value at r."""
        return self.place[2 * DEGREE - self.exponents[place]]

    def forward(self, polynomial: list[int]) -> list[int]:
        return [
            sum(c * pow(self.psi, e * k, self.prime) for k, c in enumerate(polynomial)) % self.prime
            for e in self.exponents
        ]

    def backward(self, values: list[int]) -> list[int]:
        """Coefficients around zero."""
        inverse = pow(DEGREE, -1, self.prime)
        found = [
            inverse * sum(v * pow(self.psi, -e * k, self.prime) for v, e in zip(values, self.exponents, strict=True))
            for k in range(DEGREE)
        ]
        return [(c + self.prime // 2) % self.prime - self.prime // 2 for c in found]


def attack(core: CkksParameters, messages: list[bytes], released: list[Floats], scale: float) -> list[int]:
    """Return what two results say of the secret's coefficients, given the ciphertexts that they were decrypted from.

    The decrypted slots are the real parts of m = c_0 + c_1 s. They give M = m(X) + m(1 / X) as an integer polynomial,
    so that at each root r the values s(r) and s(1 / r) satisfy one linear equation a result.
    """
    ring = Ring(core.primes[0])
    q = ring.prime
    both = []
    for message, slots in zip(messages, released, strict=True):
        first, second = transforms(core, message)
        doubled = [round(2 * c) for c in (coefficients(slots) * scale).tolist()]
        both.append((first, second, ring.forward(doubled)))
    secret = []
    for j in range(DEGREE):
        i = ring.inverse_place(j)
        (a, b, x), (c, d, y) = (
            (second[j], second[i], (known[j] - first[j] - first[i]) % q) for first, second, known in both
        )
        secret.append((x * d - b * y) * pow(a * d - b * c, -1, q) % q)
    return ring.backward(secret)


@pytest.fixture
def results(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Job, CkksSecretKey, list[bytes], list[Floats]]:
    """Two trained models under one key, at a degree at which an equation for each coefficient is quickly solved."""

    def make() -> CkksParameters:
        return CkksParameters(DEGREE, [BITS] + [36] * 5, [47], 36, insecure=True)

    monkeypatch.setattr(parameters, "SETS", {"tiny": make})
    monkeypatch.setattr(parameters, "_made", {})
    random = np.random.default_rng(7)
    records = [signed(random, 8, 3) for _ in range(2)]
    job = Job.of(8, 4, Logistic(1.0, 2), targets=2)
    secret = owner_make_secret("tiny", bytes(range(32)))
    parts = owner_encrypt(job, secret, records)
    messages = [step.weights for step in trainer_train(job, owner_make_keys(job, secret), parts) if step.weights]
    return job, secret, messages, [one.weights for one in owner_foresee(job, records)]


def test_decrypted_numbers_give_the_key_away(
    results: tuple[Job, CkksSecretKey, list[bytes], list[Floats]],
) -> None:
    job, secret, messages, _ = results
    decrypted = [secret.decrypt(CkksCiphertext.from_bytes(job.core, message)) for message in messages]
    found = attack(job.core, messages, decrypted, float(job.core.scale))
    assert set(found) == {-1, 0, 1}
    first, second = transforms(job.core, messages[0])  # with it everybody decrypts
    ring = Ring(job.core.primes[0])
    values = [(a + b * s) % ring.prime for a, b, s in zip(first, second, ring.forward(found), strict=True)]
    opened = ring.backward(values)
    assert np.allclose(opened, coefficients(decrypted[0]) * float(job.core.scale), atol=2.0**20)


def test_the_twins_numbers_do_not(results: tuple[Job, CkksSecretKey, list[bytes], list[Floats]]) -> None:
    """The same attack, on what the verified way releases."""
    job, _, messages, twins = results
    released = [job.packing.repeat(weights) for weights in twins]
    found = attack(job.core, messages, released, float(job.core.scale))
    assert sum(abs(c) <= 1 for c in found) < 4
    assert np.median(np.abs(found)) > 2.0**30


def test_what_a_shared_release_opens_does_not(
    results: tuple[Job, CkksSecretKey, list[bytes], list[Floats]],
) -> None:
    """The same attack, on what the shared way releases. The public key is what the trainer has."""
    job, secret, messages, twins = results
    release = SharedRelease(job.parameters, job.packing, job.weight_scale, job.targets, to_trainer=True)
    one, other = memory_pair("trainer", "holder", 60)

    def trainer() -> list[Floats] | None:
        masked, shares = trainer_mask(release, secret.public_key(), messages)
        trainer_send_masked(one, masked)
        return trainer_open(release, Garbler.open(one), shares)

    def holder() -> list[Floats]:
        masked = holder_receive_masked(other, release)
        return holder_open(
            release,
            Evaluator.open(other),
            holder_shares(release, [holder_decrypt(release, secret, message) for message in masked]),
        )

    seen, opened = run_both_sides(trainer, holder)
    assert seen is not None
    assert all(np.abs(a - b).max() < 0.2 for a, b in zip(opened, twins, strict=True))
    found = attack(job.core, messages, [job.packing.repeat(weights) for weights in seen], float(job.core.scale))
    assert sum(abs(c) <= 1 for c in found) < 4
    assert np.median(np.abs(found)) > 2.0**30


def told(errors: Floats, sigma: float, seed: int) -> float:
    """Return how much more likely what was opened is with these errors than without any, in nats, in the mean.

    Whoever knows the exact weights computes the errors of a ciphertext under a key that it guesses, and so tests it.
    """
    noise = np.random.default_rng(seed).normal(size=(20_000, len(errors))) * sigma
    opened = errors + noise
    return float(((opened**2 - (opened - errors) ** 2).sum(axis=1) / (2 * sigma**2)).mean())


def test_a_guess_of_the_key_is_tested_by_exact_numbers_and_hardly_by_noisy_ones(
    results: tuple[Job, CkksSecretKey, list[bytes], list[Floats]],
) -> None:
    job, secret, messages, twins = results
    errors = np.concatenate([owner_decrypt(job, secret, m) - w for m, w in zip(messages, twins, strict=True)])
    assert told(errors, 2.0**-36, 1) > 100  # with no noise but the rounding of the message
    reading = SharedRelease(job.parameters, job.packing, job.weight_scale, job.targets).reading
    random = np.random.default_rng(7)
    foreseen = owner_foresee(job, [signed(random, 8, 3) for _ in range(2)], reading)
    bounds = [one.read for one in foreseen if one.read is not None]
    assert (np.abs(errors) <= np.concatenate(bounds)).all()
    release = SharedRelease(job.parameters, job.packing, job.weight_scale, job.targets)
    leak = release.leak(bounds)
    assert told(errors, 0.01, 1) < leak + 0.001  # the mean of 20,000 trials
    assert leak < 0.01
