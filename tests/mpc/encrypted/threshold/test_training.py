"""Whole trainings under a joint key, in memory: pooled records, and one owner's records with another one's model."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from mpc._core import CkksCiphertext
from mpc.encrypted.packing import Floats
from mpc.encrypted.programs.logistic import Logistic, train_in_the_clear
from mpc.encrypted.threshold import public_key, refresh
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.simulation import make_owners, run_joint
from mpc.encrypted.threshold.training import JointJob, foresee, largest_z_of, owner_encrypt, trainer_train
from mpc.errors import ParameterError, ProtocolError
from tests.mpc.encrypted.threshold.joint import products_of, public_of, rotation_of

NORM = 4.0


def records_of(count: int, features: int, seed: int = 1) -> Floats:
    """Z of so many records, of a norm of at most NORM, with a constant."""
    draw = np.random.default_rng(seed)
    x = np.hstack([draw.normal(size=(count, features - 1)), np.ones((count, 1))])
    x *= np.minimum(1, NORM / np.linalg.norm(x, axis=1, keepdims=True))
    labels = np.where(x[:, 0] + 0.5 * x[:, 1] + 0.3 * draw.normal(size=count) > 0, 1, -1)
    found: Floats = x * labels[:, None]
    return found


def in_the_clear(job: JointJob, pooled: Floats, initial: Floats) -> Floats:
    """Plain gradient descent from given weights, with the same polynomial."""
    weights = np.array(initial, float)
    for _ in range(job.choices.iterations):
        weights = weights + job.choices.rate / job.packing.records * (job.choices.sigmoid(-(pooled @ weights)) @ pooled)
    return weights


def test_three_owners_pool_their_rows_and_refresh_together(tiny: str) -> None:
    """More records than one ciphertext holds, rows that stay empty, and two refreshes."""
    parts = [records_of(100, 4, 1), records_of(60, 4, 2), records_of(30, 4, 3)]
    job = JointJob.of((100, 70, 30), 4, Logistic(4.0, 4, stretch=1), NORM)
    assert (job.parameters, job.packing.chunks, job.refreshes) == (tiny, 2, (2, 3))
    run, (expected,) = run_joint(job, [[one] for one in parts]), foresee(job, [[one] for one in parts])
    difference = np.abs(run.weights[0] - expected.weights)
    assert (difference <= expected.bound).all()
    assert expected.bound.max() < 0.01 * np.abs(expected.weights).max()
    plain = train_in_the_clear(np.vstack(parts), job.choices, job.packing)
    assert np.abs(run.weights[0] - plain).max() < 1e-3 * np.abs(plain).max()
    assert np.abs(plain).max() < job.largest
    assert largest_z_of(parts[0], run.weights[0]) == pytest.approx(np.abs(parts[0] @ plain).max(), rel=1e-2)
    assert {result.key_id for result in run.results} == {run.owners[0].key.key_id}


def test_breast_cancer_of_three_owners_is_the_twins_within_the_bound() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    x = np.hstack([np.linalg.svd(x, full_matrices=False)[0][:, :15] * np.sqrt(len(x)), np.ones((len(x), 1))])
    x *= np.minimum(1, NORM / np.linalg.norm(x, axis=1, keepdims=True))
    z = x * np.where(y == 1, 1, -1)[:, None]
    parts = [[z[:150]], [z[150:300]], [z[300:455]]]
    job = JointJob.of([len(part[0]) for part in parts], 16, Logistic(4.0, 5, stretch=1), NORM)
    assert job.parameters == "small-shallow"
    run, (expected,) = run_joint(job, parts), foresee(job, parts)
    assert (np.abs(run.weights[0] - expected.weights) <= expected.bound).all()
    assert expected.bound.max() < 1e-3
    assert max(expected.reach) < 8
    assert np.mean((x[455:] @ run.weights[0] > 0) == (y[455:] == 1)) > 0.9


def test_records_of_one_owner_train_the_model_of_another_and_both_are_encrypted(tiny: str) -> None:
    own, begun = records_of(120, 4, 5), np.array([0.5, -0.25, 1.0, 0.125])
    job = JointJob.of((120, 0), 4, Logistic(3.0, 3, stretch=1), NORM, model=1)
    assert job.refreshes == (1, 2)
    assert job.part_names(0) == ["records 0 0"]
    assert job.part_names(1) == ["initial 0"]
    run, (expected,) = run_joint(job, [[own], []], [begun]), foresee(job, [[own], []], [begun])
    assert (np.abs(run.weights[0] - expected.weights) <= expected.bound).all()
    plain = in_the_clear(job, own, begun)
    assert np.abs(run.weights[0] - plain).max() < 1e-3 * np.abs(plain).max()
    assert np.abs(plain - in_the_clear(job, own, np.zeros(4))).max() > 0.1


def test_names_and_lengths_do_not_depend_on_records(tiny: str) -> None:
    job = JointJob.of((100, 28), 4, Logistic(4.0, 2), NORM)
    public = public_of(make_owners(job))
    for owner in range(2):
        for records in (records_of(28, 4, 1), records_of(28, 4, 2), np.zeros((0, 4))):
            parts = owner_encrypt(job, owner, public, [records])
            assert {name: len(part) for name, part in parts.items()} == job.part_sizes(owner)
            assert list(parts) == job.part_names(owner)


def _to_the_first_refresh(job: JointJob, keys: tuple[bytes, list[bytes]], parts: list[dict[str, bytes]]) -> bytes:
    """What a run of the program sends to be refreshed."""
    seen: list[bytes] = []

    class Stop(Exception):
        pass

    def stop(_: int, __: int, message: bytes) -> bytes:
        seen.append(message)
        raise Stop

    with pytest.raises(Stop):
        list(trainer_train(job, *keys, parts, stop))
    return seen[0]


def test_an_owner_that_runs_the_program_itself_answers_for_its_own_ciphertexts_alone(tiny: str) -> None:
    job = JointJob.of((100, 28), 4, Logistic(4.0, 3, stretch=1), NORM)
    owners = make_owners(job)
    level, steps = job.keys_needed()
    keys = products_of(owners, level), [rotation_of(owners, step, highest) for step, highest in steps.items()]
    public = public_of(owners)
    parts = [owner_encrypt(job, owner, public, [records_of(28, 4, owner)]) for owner in range(2)]
    honest = _to_the_first_refresh(job, keys, parts)
    assert _to_the_first_refresh(job, keys, parts) == honest  # bit by bit
    cheated = _to_the_first_refresh(job, keys, [owner_encrypt(job, 0, public, [records_of(28, 4, 9)]), parts[1]])
    assert cheated != honest
    step, key = refresh.step_of(0, 2), owners[0].key
    texts = [CkksCiphertext.from_bytes(key.core, message) for message in (honest, cheated)]
    shares = [
        refresh.owner_share(owner, step, text, job.mask, job.records_level)
        for owner, text in zip(owners, texts, strict=True)
    ]
    for text in texts:  # the careful owner's share opens nothing of the trainer's ciphertext
        with pytest.raises(ProtocolError, match="found one for another"):
            refresh.combine(key, step, text, job.mask, job.records_level, shares)


def test_a_share_of_another_secret_is_found_at_the_first_refresh(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner whose shares of the public key and of the refresh do not fit each other spoils the run, and it stops."""
    job = JointJob.of((100, 28), 4, Logistic(4.0, 3, stretch=1), NORM)
    honest = public_key.owner_share

    def spoiled(owner: Owner) -> bytes:
        if owner.number == 0:
            return honest(owner)
        other = Owner(owner.key, owner.number, b"o" * 32, owner._signing)
        return honest(other)

    monkeypatch.setattr(public_key, "owner_share", spoiled)
    with pytest.raises(ProtocolError, match="some share is of another secret, or the value is larger than it may be"):
        run_joint(job, [[records_of(28, 4, 1)], [records_of(28, 4, 2)]])


def test_what_is_no_job_is_refused(tiny: str) -> None:
    with pytest.raises(ParameterError, match="at most 9 levels, found 13, of which 2 leave room for masks"):
        JointJob.of((100, 28), 4, Logistic(4.0, 4), NORM)
    for rows in ((128,), (-1, 20), (0, 0)):
        with pytest.raises(ParameterError, match="rows of two owners or more"):
            JointJob.of(rows, 4, Logistic(4.0, 2), NORM)
    with pytest.raises(ParameterError, match="the owner of the model among 2, found 2"):
        JointJob.of((100, 28), 4, Logistic(4.0, 2), NORM, model=2)
    job = JointJob.of((100, 28), 4, Logistic(4.0, 2), NORM)
    public = public_of(make_owners(job))
    with pytest.raises(ParameterError, match="at most 28 records of 4 numbers of owner 2"):
        owner_encrypt(job, 1, public, [records_of(29, 4)])
    with pytest.raises(ParameterError, match="a norm of at most 4, found 6"):
        owner_encrypt(job, 1, public, [2 * records_of(28, 4)])
    with pytest.raises(ParameterError, match="for 1 targets, found 0"):
        owner_encrypt(job, 1, public)
    begun = JointJob.of((100, 0), 4, Logistic(4.0, 1), NORM, model=1)
    with pytest.raises(ParameterError, match="the weights that training begins with"):
        owner_encrypt(begun, 1, public)
    with pytest.raises(ParameterError, match="weights of at most 4 to begin with, found 5"):
        owner_encrypt(begun, 1, public, initial=[np.array([5.0, 0, 0, 0])])


def test_parts_that_are_not_the_jobs_are_refused(tiny: str) -> None:
    job = JointJob.of((100, 28), 4, Logistic(4.0, 2), NORM)
    owners = make_owners(job)
    level, steps = job.keys_needed()
    keys = products_of(owners, level), [rotation_of(owners, step, highest) for step, highest in steps.items()]
    parts = [owner_encrypt(job, owner, public_of(owners), [records_of(28, 4)]) for owner in range(2)]

    def never(*_: object) -> bytes:
        raise AssertionError

    with pytest.raises(ProtocolError, match="owner 2: expected 2 parts of the job's names, found 1"):
        list(trainer_train(job, *keys, [parts[0], {"start 0": parts[1]["records 0 0"]}], never))
    lower = public_of(owners).encrypt(np.zeros(job.packing.slots), 1, job.core.scale).to_bytes()
    swapped = parts[1] | {"records 0 0": lower}
    with pytest.raises(ProtocolError, match="owner 2: expected records 0 0 at level"):
        list(trainer_train(job, *keys, [parts[0], swapped], never))
    with pytest.raises(ProtocolError, match="expected the parts of owners, 2, found 1"):
        list(trainer_train(job, *keys, parts[:1], never))
