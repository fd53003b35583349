"""The twin computes what plain numpy does, and its bound is that of a run with noise."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from mpc.encrypted import twin as twins
from mpc.encrypted.embedding import coefficients, encoded, values
from mpc.encrypted.noise import Chain
from mpc.encrypted.packing import Floats, Packing
from mpc.encrypted.programs.logistic import Logistic, train, train_in_the_clear
from mpc.encrypted.ranges import foresee, packed
from mpc.encrypted.twin import Clear, Twin
from mpc.errors import ParameterError, RangeError
from tests.mpc.encrypted.chains import chain


class NoisyTwin(Twin):
    """A twin that draws the noise of every operation, independently in every slot."""

    def __init__(self, of: Chain, seed: int) -> None:
        super().__init__(of)
        self.random = np.random.default_rng(seed)

    def _made(self, slots: Floats, level: int, scale: Fraction, operands: object, deviation: float) -> Clear:
        noise = self.random.normal(scale=deviation / float(scale), size=len(slots)) if deviation else 0.0
        return super()._made(slots + noise, level, scale, operands, deviation)  # type: ignore[arg-type]


class CountingTwin(Twin):
    """A twin that counts the public vectors that are encoded, and the most values that are held at once."""

    def __init__(self, of: Chain) -> None:
        super().__init__(of)
        self.vectors, self.held, self.most = 0, 0, 0

    def times_plain(self, like: Clear, slots: Floats, scale: Fraction) -> Callable[[Clear], Clear]:
        self.vectors += 1
        return super().times_plain(like, slots, scale)

    def _made(self, slots: Floats, level: int, scale: Fraction, operands: object, deviation: float) -> Clear:
        made = super()._made(slots, level, scale, operands, deviation)  # type: ignore[arg-type]
        weakref.finalize(made, self._gone)
        self.held += 1
        self.most = max(self.most, self.held)
        return made

    def _gone(self) -> None:
        self.held -= 1


def records(n: int, d: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize(("degree", "iterations"), [(3, 1), (3, 3), (5, 2)])
@pytest.mark.parametrize(("n", "d"), [(100, 5), (200, 8)])
def test_the_twin_trains_as_plain_numpy_does(degree: int, iterations: int, n: int, d: int) -> None:
    of = chain(degree=1024)
    packing = Packing.fit(n, d, of.slots)
    found = foresee(Twin(of), packing, records(n, d), Logistic(2.0, iterations, degree))
    plain = train_in_the_clear(records(n, d), Logistic(2.0, iterations, degree), packing)
    assert np.abs(found.weights - plain).max() < 1e-4
    assert np.abs(plain).max() > 0.05
    assert len(found.reach) == iterations - 1
    levels = Logistic(2.0, iterations, degree).levels
    assert foresee(Twin(chain(degree=1024, levels=levels)), packing, records(n, d), Logistic(2.0, iterations, degree))
    with pytest.raises(ParameterError, match=r"expected a level of 0 to \d, found \d: fewer iterations"):
        foresee(Twin(chain(degree=1024, levels=levels - 1)), packing, records(n, d), Logistic(2.0, iterations, degree))


def test_the_derived_deviation_is_that_of_runs_with_noise() -> None:
    """200 runs with noise: the deviation of every weight is as derived, within a fifth, and the bound holds in all."""
    of, choices = chain(degree=512), Logistic(2.0, 3)
    packing = Packing.fit(40, 4, of.slots)
    data = records(40, 4)
    clear = foresee(Twin(of), packing, data, choices)
    found = []
    for seed in range(200):
        noisy = NoisyTwin(of, seed)
        chunks = [noisy.fresh(chunk, of.scale) for chunk in packed(packing, data, choices)]
        *_, last = train(noisy, packing, chunks, choices)
        assert last.weights is not None
        found.append(packing.weights(last.weights.slots) - clear.weights)
    errors = np.stack(found)
    assert (np.abs(errors) <= clear.bound).all()
    assert np.allclose(errors.std(axis=0), clear.deviation, rtol=0.2)
    assert np.abs(errors.mean(axis=0)).max() < 0.3 * clear.deviation.max()
    assert (clear.bound < 30 * clear.deviation).all()


@pytest.mark.parametrize(("degree", "refreshes"), [(3, ()), (3, (2,)), (5, ())])
def test_a_chunk_more_is_two_values_more_and_no_vector_that_is_encoded(degree: int, refreshes: tuple[int, ...]) -> None:
    of, choices = chain(degree=64, levels=11), Logistic(2.0, 3, degree)

    def run(chunks: int) -> CountingTwin:
        twin, packing = CountingTwin(of), Packing(8 * chunks, 4, 32)
        slots = packed(packing, records(8 * chunks - 1, 4), choices)
        given = (twin.fresh(chunk, of.scale, level=choices.levels) for chunk in slots)  # so that nobody else holds them

        def anew(_: int, weights: Clear) -> Clear:
            return twin.refreshed(weights, choices.levels - 1)

        for _ in train(twin, packing, given, choices, anew, refreshes=refreshes):
            pass
        return twin

    few, many = run(8), run(64)
    assert few.vectors == many.vectors
    assert many.most - few.most <= 2 * (64 - 8) + 2  # in the first group there is no sum yet


def test_encoding_is_the_values_at_powers_of_five() -> None:
    slots = np.random.default_rng(3).normal(size=64)
    found = coefficients(slots)
    roots = np.exp(1j * np.pi / 128 * np.array([pow(5, i, 256) for i in range(64)]))
    assert np.allclose([(found * root ** np.arange(128)).sum() for root in roots], slots)
    assert np.allclose(values(found), slots)
    difference = np.abs(encoded(slots, Fraction(2**20)) - slots)
    assert 0 < difference.max() < 2**-20 * 128 / 2
    assert np.allclose(encoded(np.full(64, 0.3), Fraction(10)), 0.3)


def test_what_a_ciphertext_could_not_hold_is_refused() -> None:
    of = chain(degree=16, levels=2)
    twin = Twin(of)
    one = twin.fresh(np.ones(8), of.scale)
    with pytest.raises(RangeError, match=r"expected numbers below .* in a ciphertext of level 0, found 2e\+03"):
        twin.fresh(np.full(8, 2000.0), of.scale, level=0)
    with pytest.raises(ParameterError, match="expected values of equal scale in a sum, found two scales"):
        twin.add(one, twin.multiply(one, one))
    with pytest.raises(ParameterError, match=r"expected 8 slots, found shape \(7,\)"):
        twin.fresh(np.ones(7), of.scale)
    with pytest.raises(RangeError, match=r"expected noise of a deviation below 0\.001 in the result"):
        low = twin.fresh(np.ones(8), Fraction(2**10))
        twin.errors(low, np.eye(8))


def test_a_constant_that_the_core_would_refuse_is_refused_with_what_to_change() -> None:
    of = chain(degree=16, levels=2)
    twin = Twin(of)
    one = twin.fresh(np.ones(8), of.scale)
    sentence = r"expected constants that rounding changes by at most 2\^-10 of them, found 1e-10 .*larger learning rate"
    with pytest.raises(RangeError, match=sentence):
        twin.add_constant(one, 1e-10)
    with pytest.raises(RangeError, match=sentence):
        twin.multiply_constant(one, 1e-10, of.scale)
    assert twin.add_constant(one, 0.0).slots[0] == 1.0
    assert twin.multiply_constant(one, 0.25, of.scale).slots[0] == pytest.approx(0.25, abs=1e-9)


def test_values_meet_at_the_lower_level_and_hide_what_they_hold() -> None:
    of = chain(degree=16, levels=3)
    twin = Twin(of)
    one = twin.fresh(np.arange(8.0), of.scale)
    product = twin.multiply(one, one)
    assert (product.level, product.scale) == (2, of.scale**2 / of.primes[3])
    third = twin.multiply(product, one)
    assert (third.level, third.scale) == (1, product.scale * of.scale / of.primes[2])
    assert np.array_equal(third.slots, np.arange(8.0) ** 3)
    assert np.array_equal(twin.rotate(one, 3).slots, np.roll(np.arange(8.0), -3))
    assert twin.multiply_plain(one, np.full(8, 2.0), Fraction(12345)).scale == 12345
    assert repr(one) == "Clear(slots=8, level=3)"
    assert "." not in repr(foresee(Twin(chain(degree=64)), Packing.fit(4, 2, 32), records(4, 2), Logistic(1.0, 1)))


def test_a_twin_that_is_not_plain_numpy_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Twin.rotate
    monkeypatch.setattr(twins.Twin, "rotate", lambda self, value, step: original(self, value, step + (step == 2)))
    with pytest.raises(RangeError, match=r"expected the twin's weights within .* of those of plain numpy"):
        foresee(Twin(chain(degree=512)), Packing.fit(40, 4, 256), records(40, 4), Logistic(2.0, 2))
