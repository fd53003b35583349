"""A model that stays encrypted is trained as in the clear, and comes back without a trace of the records."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mpc._core import CkksCiphertext, CkksPublicKey, CkksScale
from mpc.encrypted import private_model
from mpc.encrypted.embedding import coefficients, encoded, values
from mpc.encrypted.packing import Floats
from mpc.encrypted.private_model import (
    PrivateModelJob,
    model_owner_decrypt,
    model_owner_encrypt,
    model_owner_make_keys,
    records_owner_train,
)
from mpc.encrypted.programs.squared import Squared, diagonals, linear_map, rotations
from mpc.encrypted.training import owner_make_secret
from mpc.errors import ParameterError, ProtocolError, RangeError


def records(n: int, d: int, seed: int = 0) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    features = np.hstack([random.normal(size=(n, d - 1)), np.ones((n, 1))])
    return features, np.sign(features @ random.normal(size=d) + 0.1)


def descent(features: Floats, labels: Floats, weights: Floats, choices: Squared) -> Floats:
    for _ in range(choices.iterations):
        weights = weights - choices.rate / len(features) * ((features @ weights - labels) @ features)
    return weights


@pytest.mark.parametrize("iterations", [1, 7, 400])
def test_the_map_is_all_steps_at_once(iterations: int) -> None:
    features, labels = records(50, 6)
    features[:, 2] = 0.0  # a direction in which nothing moves
    choices = Squared(0.3, iterations)
    a, c = linear_map(features, labels, choices)
    start = np.random.default_rng(1).normal(size=6)
    assert np.allclose(a @ start + c, descent(features, labels, start, choices), atol=1e-10)
    with pytest.raises(RangeError, match=r"expected a learning rate below [\d.]+, with which gradient descent"):
        linear_map(features, labels, Squared(50.0, 2))


def test_a_private_model_is_trained_as_in_the_clear() -> None:
    features, labels = records(80, 12)
    choices = Squared(0.2, 25)
    start = np.random.default_rng(2).normal(size=(2, 12))
    job = PrivateModelJob.of(12, 2)
    assert job.features == 16
    secret = owner_make_secret(job.parameters, bytes(32))
    keys, parts = model_owner_make_keys(job, secret), model_owner_encrypt(job, secret, start)
    assert {name: len(key) for name, key in keys.items()} == job.key_sizes()
    assert {name: len(part) for name, part in parts.items()} == job.model_sizes()
    assert len(keys) == 1 + len(rotations(16)) == 7
    maps = [linear_map(features, labels, choices), linear_map(features, -labels, choices)]
    results, flood = records_owner_train(job, keys, parts, maps)
    assert {name: len(result) for name, result in results.items()} == job.result_sizes()
    assert flood.bits > 31
    for target, sign in ((0, 1), (1, -1)):
        found = model_owner_decrypt(job, secret, results[f"weights {target}"])
        expected = descent(features, sign * labels, start[target], choices)
        assert np.abs(found[:12] - expected).max() < 8 * flood.deviation + 2**-24
        assert np.abs(found[12:]).max() < 8 * flood.deviation
    assert flood.deviation < 1e-5


def test_noise_of_the_computation_is_drowned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a key holder decrypts, less the message: without the flood it tells two data sets of one result apart."""
    job = PrivateModelJob.of(3, 1)
    secret = owner_make_secret(job.parameters, bytes(32))
    keys, parts = model_owner_make_keys(job, secret), model_owner_encrypt(job, secret, np.zeros((1, 3)))
    wide, narrow = (np.eye(3) * 50.0, np.zeros(3)), (np.zeros((3, 3)), np.zeros(3))  # both take 0 to 0

    def rest(a: Floats, c: Floats) -> Floats:
        """All coefficients of what is decrypted. Those of the message are 0."""
        results, _ = records_owner_train(job, keys, parts, [(a, c)])
        slots = secret.decrypt(CkksCiphertext.from_bytes(job.core, results["weights 0"]))
        return coefficients(slots) * float(job.scale)

    stride = job.core.degree // 8
    for one in (wide, narrow):  # slots are real, so that four of each eight numbers of deviation 2^58 are independent
        drawn = np.concatenate([rest(*one)[::stride] for _ in range(5)])
        assert 2.0**55 < np.abs(drawn).mean() < 2.0**60  # by chance, with a probability below 2^-30
    flooded = [np.abs(rest(*one)).mean() for one in (wide, narrow)]
    assert abs(np.log2(flooded[0] / flooded[1])) < 0.12  # 7 deviations
    monkeypatch.setattr(private_model, "_noise", lambda job, _: [0] * job.core.degree)
    bare = [np.abs(rest(*one)).mean() for one in (wide, narrow)]
    assert np.log2(bare[0] / bare[1]) > 1  # the attack works on a copy without the flood
    assert min(flooded) > 2.0**35 * max(bare)


def test_a_flood_that_would_hide_too_little_is_refused_before_anything_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = PrivateModelJob.of(7, 1)
    secret = owner_make_secret(job.parameters, bytes(32))
    keys, parts = model_owner_make_keys(job, secret), model_owner_encrypt(job, secret, np.zeros((1, 7)))
    _, flood = records_owner_train(job, keys, parts, [(np.eye(7), np.zeros(7))])
    assert flood.bits > 34
    monkeypatch.setattr(private_model, "_product", None)
    for enlarged in (2.0**8, 2.0**20):
        with pytest.raises(RangeError, match=r"expected results within a .* of 2\^-30 .*, found 2\^-"):
            records_owner_train(job, keys, parts, [(np.eye(7) * enlarged, np.zeros(7))])
    many = [private_model._whole(job, np.eye(7), np.zeros(7))] * 1000  # each alone would do
    with pytest.raises(RangeError, match=r"1000 map\(s\) enlarge weights by up to 1, so take"):
        private_model._flood(job, many)


@pytest.mark.parametrize("largest", [1.0, 60_000.0])
def test_what_comes_back_is_the_map_as_it_is_encoded(monkeypatch: pytest.MonkeyPatch, largest: float) -> None:
    """Without the flood, whose deviation may be above the rounding: the difference from A w + c is within its bound."""
    random = np.random.default_rng(3)
    job = PrivateModelJob.of(7, 1)
    secret = owner_make_secret(job.parameters, bytes(32))
    a, c, w = random.normal(size=(7, 7)) / 3, random.normal(size=7), random.uniform(-largest, largest, size=7)
    keys, parts = model_owner_make_keys(job, secret), model_owner_encrypt(job, secret, w[None])
    monkeypatch.setattr(private_model, "_noise", lambda job, _: [0] * job.core.degree)
    results, flood = records_owner_train(job, keys, parts, [(a, c)])
    found = model_owner_decrypt(job, secret, results["weights 0"])[:7]
    error = np.abs(found - (a @ w + c)).max()
    assert error < flood.rounding * max(1.0, largest)
    matrix, slots = private_model._whole(job, a, c), job.core.slots
    coded = np.stack([encoded(one, Fraction(job.core.primes[3]))[:8] for one in diagonals(matrix, slots)])
    rows = np.arange(8)
    whole = np.zeros((8, 8))
    for k in range(8):
        whole[rows, (rows + k) % 8] = coded[k]
    assert 0 < np.abs(whole - matrix).sum(axis=1).max() < flood.rounding
    exact = whole @ np.hstack([w, 1.0])  # A' w + c', which is nearer
    assert np.abs(found - exact[:7]).max() < 0.1 * error


def test_integers_are_encrypted_as_they_are() -> None:
    """Against the polynomial's values by numpy, also where they are shifted beyond 64 bits."""
    job = PrivateModelJob.of(3, 1)
    secret = owner_make_secret(job.parameters, bytes(32))
    public = CkksPublicKey(job.core, secret.public_key())
    chosen = np.random.default_rng(0).integers(-(2**62), 2**62, job.core.degree)
    for shift, scale in ((0, 80), (0, 60), (37, 110)):
        exact = values(chosen.astype(float)) * 2.0 ** (shift - scale)
        at = CkksScale.power_of_two(job.core, scale)
        found = secret.decrypt(public.encrypt_integers(chosen, 3, at, shift))
        assert np.abs(found - exact).max() < 1e-12 * np.abs(exact).max() + 2.0 ** (20 - scale)
    with pytest.raises(ParameterError, match="coefficients: expected 16384, found 5"):
        public.encrypt_integers(chosen[:5].copy(), 3)
    with pytest.raises(ParameterError, match="coefficients: expected a C-contiguous int64 array"):
        public.encrypt_integers(chosen.astype(float), 3)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="shift: expected 0 to 127 bits, found 128"):
        public.encrypt_integers(chosen, 3, shift=128)


def test_what_is_not_the_jobs_is_refused() -> None:
    job = PrivateModelJob.of(3, 1)
    secret, other = (owner_make_secret(job.parameters, bytes([k] * 32)) for k in (0, 1))
    keys, parts = model_owner_make_keys(job, secret), model_owner_encrypt(job, secret, np.zeros((1, 3)))
    one = (np.eye(3), np.ones(3))
    with pytest.raises(ProtocolError, match="expected a part 'rotation 1', found 1 parts without it"):
        records_owner_train(job, {"public key": keys["public key"]}, parts, [one])
    with pytest.raises(ParameterError, match="key"):
        records_owner_train(job, keys, model_owner_encrypt(job, other, np.zeros((1, 3))), [one])
    with pytest.raises(ParameterError, match="expected maps for 1 targets, found 2"):
        records_owner_train(job, keys, parts, [one, one])
    with pytest.raises(ParameterError, match="expected a map of less than 4 weights"):
        records_owner_train(job, keys, parts, [(np.eye(4), np.ones(4))])
    with pytest.raises(ProtocolError, match="expected weights at level 2 and the job's scale, found level 3"):
        model_owner_decrypt(job, secret, parts["weights 0"])
    with pytest.raises(ProtocolError, match="expected weights under this private key, found another key's"):
        model_owner_decrypt(job, other, parts["weights 0"])
    with pytest.raises(RangeError, match="expected weights below"):
        model_owner_encrypt(job, secret, np.full((1, 3), 1e9))
    with pytest.raises(ParameterError, match="expected 1 targets of less than 4 weights"):
        model_owner_encrypt(job, secret, np.zeros((1, 4)))
    with pytest.raises(ParameterError, match="expected a power of two of at most 256 numbers"):
        PrivateModelJob.of(256, 1)
