"""Several owners' encrypted moments are added and solved, as one owner of all records would have it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from mpc._core import CkksPublicKey, CkksSecretKey
from mpc.encrypted.ciphertexts import chain_of
from mpc.encrypted.noise import Chain
from mpc.encrypted.packing import Floats
from mpc.encrypted.pooled import (
    RidgeJob,
    add_moments,
    bound,
    check_bound,
    deviation,
    foresee_ridge,
    holder_decrypt,
    holder_make_keys,
    owner_encrypt_moments,
    owner_moments,
    trainer_solve,
)
from mpc.encrypted.programs.ridge import Moments, Ridge, solve
from mpc.encrypted.twin import Clear, Twin
from mpc.errors import CheatingError, ParameterError, ProtocolError, RangeError

CHOICES = Ridge(0.1, 1.0, 8)


def records(n: int, d: int, targets: int, seed: int = 0) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d)) / np.arange(1, d + 1) ** 0.5
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, np.sign(np.random.default_rng(7).normal(size=(targets, d)) @ x.T)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("d", "targets"), [(12, 2), (31, 1)])
def test_three_owners_are_one_that_has_all_records(d: int, targets: int) -> None:
    job = RidgeJob.of(500, d, CHOICES, targets, owners=3)
    secret = CkksSecretKey(job.core, bytes(range(32)))
    keys = holder_make_keys(job, secret)
    assert {name: len(key) for name, key in keys.items()} == job.key_sizes()
    public = CkksPublicKey(job.core, keys["public key"])
    everything, sent = [records(n, d, targets, seed) for seed, n in enumerate((100, 7, 350))], []
    for place, (x, t) in enumerate(everything):
        parts = owner_encrypt_moments(job, public if place else secret, *owner_moments(job, x, t))
        assert {name: len(part) for name, part in parts.items()} == job.moment_sizes(seeded=not place)
        sent.append(parts)
    pooled = add_moments(job, sent)
    assert {name: len(part) for name, part in pooled.items()} == job.moment_sizes(seeded=False)
    told: list[tuple[int, int]] = []
    weights = trainer_solve(job, keys, pooled, lambda done, of: told.append((done, of)))
    assert told == [(done, 9) for done in range(1, 10)]
    assert {name: len(part) for name, part in weights.items()} == job.weight_sizes()
    found = holder_decrypt(job, secret, weights)
    x, t = np.vstack([one[0] for one in everything]), np.hstack([one[1] for one in everything])
    twin = foresee_ridge(job, *owner_moments(job, x, t))
    assert np.abs(found - twin).max() <= bound(job)
    assert np.abs(found - twin).max() <= 8 * deviation(job)
    exact = np.linalg.solve(x.T @ x / 500 + 0.1 * np.eye(d), x.T @ t.T / 500).T
    assert np.linalg.norm(found - exact) <= 1.01 * CHOICES.error * np.linalg.norm(exact) + bound(job)
    assert np.linalg.norm(exact) > 0.2
    alone = holder_decrypt(job, secret, trainer_solve(job, keys, add_moments(job, sent[:1])))
    assert np.linalg.norm(alone - exact) > 0.05  # what the others sent has counted


class NoisyTwin(Twin):
    """A twin that draws the noise of every operation, independently in every slot."""

    def __init__(self, of: Chain, seed: int) -> None:
        super().__init__(of)
        self.random = np.random.default_rng(seed)

    def _made(self, slots: Floats, level: int, scale: Fraction, operands: object, noise: float) -> Clear:
        more = self.random.normal(scale=noise / float(scale), size=len(slots)) if noise else 0.0
        return super()._made(slots + more, level, scale, (), noise)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("seed", range(3))
def test_the_stated_deviation_is_above_that_of_runs_with_noise(seed: int) -> None:
    """Also for moments that are the worst case: few eigenvalues, and those that the polynomial enlarges most."""
    job = RidgeJob.of(100, 10, CHOICES, 1, owners=1)
    if seed:
        x, t = np.zeros((100, 10)), np.ones((1, 100))
        x[:, 0] = np.sqrt(0.1) if seed == 1 else 1.0
    else:
        x, t = records(100, 10, 1)
    matrix, vectors = owner_moments(job, x, t)
    (clear,) = foresee_ridge(job, matrix, vectors)
    errors = []
    for run in range(20):
        noisy = NoisyTwin(chain_of(job.core), 100 * seed + run)

        def fresh(packed: Floats, noisy: NoisyTwin = noisy) -> Clear:
            return noisy.fresh(packed, noisy.chain.scale, public=True, level=job.choices.levels)

        columns, rows = job.tiling.pack_targets(vectors)
        tiles = [[fresh(tile) for tile in line] for line in job.tiling.pack_matrix(matrix)]
        given = Moments(tiles, fresh(columns), fresh(rows))
        *_, (found,) = solve(noisy, job.tiling, given, job.choices, 1, job.unit)
        slots = np.stack([one.slots for one in found])
        errors.append(job.tiling.vector(slots)[:10] * job.choices.second_kind[-1] / job.unit - clear)
    measured = np.sqrt((np.stack(errors) ** 2).mean(axis=0)).max()
    assert deviation(job) / 40 < measured < deviation(job)


@pytest.mark.usefixtures("tiny")
def test_what_is_out_of_range_is_refused_with_the_number() -> None:
    job = RidgeJob.of(100, 4, CHOICES)
    x, t = records(100, 4, 1)
    largest = float(np.linalg.eigvalsh(x.T @ x / 100)[-1])
    with pytest.raises(
        RangeError, match=rf"eigenvalues of at most 0\.3, found {largest:.4g}: all owners need a larger"
    ):
        owner_moments(replace(job, choices=Ridge(0.1, 0.3, 8)), x, t)
    with pytest.raises(RangeError, match="expected 1 to 99 records, which all owners have together, found 100"):
        owner_moments(replace(job, records=99), x, t)
    with pytest.raises(RangeError, match="expected targets of 1 and -1"):
        owner_moments(job, x, 2 * t)
    with pytest.raises(
        ParameterError, match=r"expected records of 4 numbers and 1 target\(s\), found 4 and \(2, 100\)"
    ):
        owner_moments(job, x, np.vstack([t, t]))
    with pytest.raises(RangeError, match="some eigenvalue of the moments is out of its range"):
        foresee_ridge(job, np.diag([1.3, 0, 0, 0]), np.array([[1.0, 0, 0, 0]]))
    with pytest.raises(RangeError, match=r"expected a bound on the error of at most 0\.05 times the largest weight"):
        check_bound(job, np.array([[0.5, 0.1], [1e-4, 0]]))


@pytest.mark.usefixtures("tiny")
def test_jobs_out_of_range_are_refused() -> None:
    for change, sentence in (
        ({"features": 257}, "expected at most 256 features, the constant 1 among them, found 257"),
        ({"records": 0}, "expected records and up to 1000 owners, found 0 and 1"),
        ({"records": 10**400}, r"expected at most 2\^40 records, found a number of 1329 bits"),
        ({"owners": 1001}, "expected records and up to 1000 owners, found 100 and 1001"),
        ({"targets": 99}, r"expected 1 to \d+ targets for 4 features, found 99"),
        ({"choices": Ridge(0.1, 1.0, 10)}, "expected a degree of at most 8, found 10"),
    ):
        with pytest.raises(ParameterError, match=sentence):
            replace(RidgeJob.of(100, 4, CHOICES), **change)  # type: ignore[arg-type]


@pytest.mark.usefixtures("tiny")
def test_what_is_not_the_jobs_is_refused() -> None:
    job = RidgeJob.of(100, 4, CHOICES)
    secret, other = (CkksSecretKey(job.core, bytes([place] * 32)) for place in range(2))
    matrix, vectors = owner_moments(job, *records(100, 4, 1))
    keys, parts = holder_make_keys(job, secret), owner_encrypt_moments(job, secret, matrix, vectors)
    foreign = owner_encrypt_moments(job, other, matrix, vectors)
    with pytest.raises(ProtocolError, match=f"owner 2: expected moments under the key {secret.key_id.hex()}, found"):
        add_moments(job, [parts, foreign])
    with pytest.raises(ProtocolError, match=f"expected moments under the key {secret.key_id.hex()}, found some under"):
        trainer_solve(job, keys, foreign)
    with pytest.raises(ProtocolError, match="expected a part 'rows', found 2 parts without it"):
        add_moments(job, [{name: part for name, part in parts.items() if name != "rows"}])
    low = dict.fromkeys(parts, secret.encrypt(np.zeros(4), 3))
    with pytest.raises(ProtocolError, match="expected moments at level 9 and the parameters' scale, found level 3"):
        add_moments(job, [parts, low])
    weights = trainer_solve(job, keys, parts)
    with pytest.raises(ProtocolError, match="expected weights under this private key, found another key's"):
        holder_decrypt(job, other, weights)
    with pytest.raises(ProtocolError, match="expected weights at level 0 and the job's scale, found level 9"):
        holder_decrypt(job, secret, dict.fromkeys(weights, parts["rows"]))
    large = dict.fromkeys(weights, secret.encrypt(np.full(job.tiling.slots, 200.0), 0))
    with pytest.raises(CheatingError, match="expected weights of a norm of at most"):
        holder_decrypt(job, secret, large)


@pytest.mark.usefixtures("tiny")
def test_moments_out_of_range_do_not_pass_for_a_model() -> None:
    """An owner that breaks the rule is noticed by the holder, where the polynomial has blown up."""
    job = RidgeJob.of(100, 4, CHOICES)
    secret = CkksSecretKey(job.core, bytes(32))
    matrix = np.diag([1.6, 0.1, 0.1, 0.1])
    parts = owner_encrypt_moments(job, secret, matrix, np.array([[1.0, 0, 0, 0]]))
    with pytest.raises(CheatingError, match="or on moments out of range"):
        holder_decrypt(job, secret, trainer_solve(job, holder_make_keys(job, secret), parts))
