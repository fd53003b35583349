"""Training on ciphertexts is the twin within the derived bound, and takes nothing that is not the job's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpc._core import CkksCiphertext, CkksSecretKey
from mpc.encrypted.ciphertexts import chain_of, core_scale
from mpc.encrypted.packing import Floats
from mpc.encrypted.parameters import SETS, parameters_of
from mpc.encrypted.programs.logistic import Logistic, train_in_the_clear
from mpc.encrypted.ranges import Foreseen
from mpc.encrypted.release import Comparison, verified
from mpc.encrypted.training import (
    Job,
    owner_decrypt,
    owner_encrypt,
    owner_foresee,
    owner_make_keys,
    owner_make_secret,
    owner_refresh,
    trainer_train,
)
from mpc.errors import CheatingError, ParameterError, ProtocolError


def signed(random: np.random.Generator, n: int, d: int) -> Floats:
    """Records with the constant feature, times signs."""
    features = np.clip(random.normal(size=(n, d)), -3, 3)
    signs = np.where(features @ random.normal(size=d) + random.normal(size=n) > 0, 1.0, -1.0)
    return np.hstack([features, np.ones((n, 1))]) * signs[:, None]


def run(job: Job, records: list[Floats]) -> tuple[list[Floats], list[Foreseen], CkksSecretKey]:
    """Train on ciphertexts, from keys to decryption, and run the twins."""
    foreseen = owner_foresee(job, records)
    secret = owner_make_secret(job.parameters, bytes(range(32)))
    keys = owner_make_keys(job, secret)
    parts = owner_encrypt(job, secret, records)
    assert {name: len(key) for name, key in keys.items()} == job.key_sizes()
    assert {name: len(part) for name, part in parts.items()} == job.record_sizes()
    steps = list(trainer_train(job, keys, parts))
    assert [(step.target, step.iteration) for step in steps] == [
        (target, iteration) for target in range(job.targets) for iteration in range(1, job.choices.iterations + 1)
    ]
    messages = [step.weights for step in steps if step.weights is not None]
    assert [len(message) for message in messages] == [*job.weight_sizes().values()]
    return [owner_decrypt(job, secret, message) for message in messages], foreseen, secret


def random_program(seed: int) -> tuple[Job, list[Floats]]:
    """A job of a random shape, and its records."""
    random = np.random.default_rng(seed)
    degree = int(random.choice([3, 5]))
    iterations = int(random.integers(1, 4 if degree == 3 else 3))
    n, d, targets = int(random.integers(2, 300)), int(random.integers(1, 16)), int(random.integers(1, 3))
    rate = float(random.choice([0.25, 0.7, 1.0]))
    records = [signed(random, n, d) for _ in range(targets)]
    return Job.of(n, d + 1, Logistic(rate, iterations, degree), targets), records


def check_random_program(seed: int) -> float:
    """Run a random program. Returns the largest error in deviations."""
    job, records = random_program(seed)
    found, foreseen, _ = run(job, records)
    errors = [np.abs(w - one.weights) / one.deviation for w, one in zip(found, foreseen, strict=True)]
    for weights, one in zip(found, foreseen, strict=True):
        assert np.array_equal(verified(weights, one), one.weights)
    return float(max(error.max() for error in errors))


@pytest.mark.usefixtures("tiny")
def test_training_on_ciphertexts_is_the_twin_within_the_bound() -> None:
    worst = [check_random_program(seed) for seed in range(6)]
    assert max(worst) > 0.5  # there is noise, of about the size that was derived
    assert max(worst) < 8


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_a_hundred_random_programs_are_within_the_bound() -> None:
    worst = [check_random_program(seed) for seed in range(100, 200)]
    assert max(worst) < 8
    assert np.median(worst) > 0.5


@pytest.mark.usefixtures("tiny")
def test_the_owner_notices_a_trainer_that_computes_something_else() -> None:
    job, records = Job.of(50, 4, Logistic(1.0, 2)), [signed(np.random.default_rng(5), 50, 3)]
    found, foreseen, _ = run(job, records)
    verified(found[0], foreseen[0])
    for change in (2 * foreseen[0].bound.max(), np.nan):
        with pytest.raises(CheatingError, match=r"expected every weight within the derived bound of .*, found"):
            verified(found[0] + np.eye(4)[2] * change, foreseen[0])
    other, _, _ = run(Job.of(50, 4, Logistic(1.01, 2)), records)  # a rate that is one hundredth larger
    with pytest.raises(CheatingError, match="the trainer ran something else, or on other records"):
        verified(other[0], foreseen[0])
    with pytest.raises(ParameterError, match=r"expected weights of shape \(4,\), found \(3,\)"):
        verified(found[0][:3], foreseen[0])


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("stretch", "refreshes"), [(1, (2, 3, 4, 5)), (2, (3, 5)), (5, ())])
def test_refreshes_take_training_further_than_the_levels(stretch: int, refreshes: tuple[int, ...]) -> None:
    choices = Logistic(0.7, 6, stretch=stretch)
    assert choices.refreshes == refreshes
    assert choices.levels == 2 + 3 * stretch
    if choices.levels > 9:
        with pytest.raises(ParameterError, match="expected at most 9 levels, found 17"):
            Job.of(100, 6, choices)
        return
    job, records = Job.of(100, 6, choices), [signed(np.random.default_rng(3), 100, 5)]
    (twin,) = owner_foresee(job, records)
    plain = owner_foresee(replace(job, choices=replace(choices, stretch=None, iterations=3)), records)[0]
    assert [*twin.refreshed] == [iteration for _, iteration in job.refreshes] == [*refreshes]
    unit = choices.unit(job.packing)  # by which weights are divided while they are refreshed
    assert np.allclose(twin.refreshed[3].weights * unit, plain.weights, atol=1e-6)
    assert 1 < unit < 2
    secret = owner_make_secret(job.parameters, bytes(32))
    seen, comparison = [], Comparison()

    def refreshing(target: int, iteration: int, message: bytes) -> bytes:
        seen.append((target, iteration))
        assert len(message) == job.weight_bytes
        found = owner_refresh(job, secret, message, twin.refreshed[iteration], comparison)
        assert len(found) == job.refreshed_bytes
        return found

    keys, parts = owner_make_keys(job, secret), owner_encrypt(job, secret, records)
    *_, last = trainer_train(job, keys, parts, refreshing)
    assert seen == job.refreshes
    comparison.check()
    assert last.weights is not None
    found = owner_decrypt(job, secret, last.weights)
    assert np.array_equal(verified(found, twin), twin.weights)
    assert twin.bound.max() < 2 * max(one.bound.max() for one in twin.refreshed.values())  # errors do not add up
    with pytest.raises(ParameterError, match=f"expected a refresh after iteration {refreshes[0]}, found none"):
        list(trainer_train(job, keys, parts))
    with pytest.raises(ProtocolError, match=r"expected refreshed weights at level \d, found level \d"):
        list(trainer_train(job, keys, parts, lambda *_: secret.encrypt(job.packing.repeat(np.zeros(8)), 1)))

    def cheating(target: int, iteration: int, message: bytes) -> bytes:
        return owner_refresh(job, secret, message, twin.refreshed[refreshes[-1]], comparison)

    list(trainer_train(job, keys, parts, cheating))  # an earlier iteration's weights, and nothing is said meanwhile
    with pytest.raises(CheatingError, match="the trainer ran something else"):
        comparison.check()


@pytest.mark.usefixtures("tiny")
def test_what_the_owner_says_and_sends_depends_on_no_decrypted_number() -> None:
    """A trainer that adds a record's number to the weights would read it from a sentence that says how far they are."""
    job, records = Job.of(50, 4, Logistic(1.0, 3, stretch=1)), [signed(np.random.default_rng(5), 50, 3)]
    (twin,) = owner_foresee(job, records)
    secret = owner_make_secret(job.parameters, bytes(range(32)))
    scale = core_scale(job.core, job.weight_scale)
    sentences, refreshed = set(), []
    for change in (0.001, 1.0, 37.0):
        comparison = Comparison()
        wrong = job.packing.repeat(twin.refreshed[2].weights + np.eye(4)[1] * change)
        message = secret.encrypt(wrong, 0, scale)
        refreshed.append(owner_refresh(job, secret, message, twin.refreshed[2], comparison))
        comparison.note(twin.weights, twin)  # the next result is right, and the first failure is kept
        with pytest.raises(CheatingError) as caught:
            comparison.check()
        sentences.add(str(caught.value))
    comparison = Comparison()
    comparison.note(twin.refreshed[2].weights, twin.refreshed[2])
    comparison.note(np.full(4, np.nan), twin)
    with pytest.raises(CheatingError) as caught:
        comparison.check()
    sentences.add(str(caught.value))
    assert len(sentences) == 1
    sent = [secret.decrypt(CkksCiphertext.from_bytes(job.core, message)) for message in refreshed]
    for slots in sent:  # the twin's weights, whatever came
        assert np.abs(job.packing.weights(slots) - twin.refreshed[2].weights).max() < twin.bound.max()


@pytest.mark.usefixtures("tiny")
def test_what_is_not_the_jobs_is_refused() -> None:
    job = Job.of(50, 4, Logistic(1.0, 2))
    records = [signed(np.random.default_rng(5), 50, 3)]
    secret, other = owner_make_secret(job.parameters, bytes(32)), owner_make_secret(job.parameters, bytes([1] * 32))
    keys, parts = owner_make_keys(job, secret), owner_encrypt(job, secret, records)
    lower = secret.encrypt(np.zeros(job.packing.slots), 3)
    for changed, sentence in (
        (parts | {"records 0 0": lower}, "expected records at level 5, found level 3"),
        ({"start 0": parts["records 0 0"]}, "expected a part 'records 0 0', found 1 parts without it"),
    ):
        with pytest.raises(ProtocolError, match=sentence):
            list(trainer_train(job, keys, changed))
    with pytest.raises(ProtocolError, match="expected a part 'products'"):
        list(
            trainer_train(job, {"public key": keys["public key"]} | {k: v for k, v in keys.items() if " " in k}, parts)
        )
    with pytest.raises(ParameterError, match="key"):
        list(trainer_train(job, keys, owner_encrypt(job, other, records)))
    *_, last = trainer_train(job, keys, parts)
    assert last.weights is not None
    with pytest.raises(ProtocolError, match="expected weights under this private key, found another key's"):
        owner_decrypt(job, other, last.weights)
    with pytest.raises(ProtocolError, match="expected weights at level 0 and the job's scale, found level 5"):
        owner_decrypt(job, secret, parts["records 0 0"])
    with pytest.raises(ParameterError, match="expected records for 1 targets, found 2"):
        owner_encrypt(job, secret, records * 2)


@pytest.mark.usefixtures("tiny")
def test_lengths_and_names_do_not_depend_on_the_records() -> None:
    job, random = Job.of(50, 4, Logistic(1.0, 2)), np.random.default_rng(0)
    secret = owner_make_secret(job.parameters, bytes(32))
    first = owner_encrypt(job, secret, [signed(random, 50, 3)])
    for records in (np.zeros((50, 4)), np.ones((1, 4)), -signed(random, 40, 2)):
        parts = owner_encrypt(job, secret, [records])
        assert {name: len(part) for name, part in parts.items()} == {name: len(part) for name, part in first.items()}
        header = len(first["records 0 0"]) - job.core.seeded_bytes(job.choices.levels) + 60
        assert parts["records 0 0"][:header] == first["records 0 0"][:header]  # up to the seed that is fresh each time
    assert owner_encrypt(job, secret, [np.zeros((50, 4))]) != owner_encrypt(job, secret, [np.zeros((50, 4))])


def test_one_ciphertext_of_each_chunk_is_all_that_is_sent() -> None:
    """A data set of 455 records of 30 features and the constant 1, which five iterations are to train on."""
    job = Job.of(455, 31, Logistic(7.0, 5))
    assert list(job.record_sizes()) == ["records 0 0"]
    assert sum(job.record_sizes().values()) <= 2.5e6
    assert sum(job.key_sizes().values()) <= 170e6
    assert sum(Job.of(455, 16, Logistic(10.0, 3)).record_sizes().values()) <= 0.7e6
    assert sum(Job.of(480, 31, Logistic(7.0, 5)).record_sizes().values()) <= 2.5e6  # as many records as there is room
    assert len(Job.of(481, 31, Logistic(7.0, 5)).record_sizes()) == 2


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("n", [31, 32, 33, 60, 62, 64])
def test_records_that_fill_their_rows_train_as_others_do(n: int) -> None:
    """Up to the last row before the spare ones, and as many as a power of two."""
    job, records = Job.of(n, 16, Logistic(1.0, 3)), [signed(np.random.default_rng(n), n, 15)]
    assert (job.packing.rows, job.packing.spare) == (32, 2)
    assert job.packing.chunks == {31: 2, 32: 2, 33: 2, 60: 2, 62: 2, 64: 4}[n]
    found, (foreseen,), _ = run(job, records)
    assert np.array_equal(verified(found[0], foreseen), foreseen.weights)
    assert np.abs(found[0] - train_in_the_clear(records[0], job.choices, job.packing)).max() < 1e-3


def test_a_job_takes_the_smallest_parameters_that_serve() -> None:
    assert Job.of(455, 16, Logistic(4.0, 3)).parameters == "small-shallow"
    assert Job.of(455, 16, Logistic(4.0, 4)).parameters == "large-shallow"
    assert Job.of(455, 16, Logistic(4.0, 5)).choices.levels == 14
    assert Job.of(455, 16, Logistic(4.0, 6)).parameters == "large"
    with pytest.raises(ParameterError, match="expected at most 17 levels, found 20: take fewer iterations or degree 3"):
        Job.of(455, 16, Logistic(4.0, 7))
    with pytest.raises(ParameterError, match="expected records that fill at most 4096 ciphertexts, found 10995"):
        Job.of((1 << 40) - 32, 16, Logistic(4.0, 3))
    with pytest.raises(ParameterError, match=r"for 1000 target\(s\), which fill 8000"):
        Job.of(4064, 16, Logistic(4.0, 3), 1000)
    with pytest.raises(ParameterError, match="parameters small-shallow, small, large-shallow, large, found 'huge'"):
        Job("huge", Job.of(4, 4, Logistic(1.0, 1)).packing, Logistic(1.0, 1))


@pytest.mark.parametrize("name", SETS)
def test_the_noise_is_what_the_core_states(name: str) -> None:
    """The core's bounds are derived apart from these deviations. Each is 8 to 100 times as large."""
    core = parameters_of(name)
    chain = chain_of(core)
    for bound, deviation in (
        (core.fresh_noise(True), chain.fresh),
        (core.fresh_noise(False), chain.fresh_public),
        (core.rescale_noise, chain.rounding),
        (core.encoding_noise, chain.encoding),
        (core.switch_noise(5), chain.switching(5)),
        (core.switch_noise(core.depth), chain.switching(core.depth)),
    ):
        assert 8 < bound / deviation < 100
