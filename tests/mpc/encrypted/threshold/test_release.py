"""The release by two shares of what three owners have trained together."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from mpc.channels.memory import memory_pair, run_both_sides
from mpc.encrypted.packing import Floats
from mpc.encrypted.programs.logistic import Logistic
from mpc.encrypted.shared_release import SharedRelease, Shares, holder_open, trainer_open
from mpc.encrypted.threshold.decryption import owner_shares
from mpc.encrypted.threshold.release import (
    STEP,
    estimate_bounds,
    owner_part,
    part_bytes,
    receiver_shares,
    release_of,
    trainer_shares,
)
from mpc.encrypted.threshold.simulation import JointRun, run_joint
from mpc.encrypted.threshold.training import JointJob, foresee
from mpc.errors import ParameterError, ProtocolError, RangeError
from mpc.garbled.session import Evaluator, Garbler
from tests.mpc.encrypted.threshold.test_training import NORM, records_of


@pytest.fixture
def trained(tiny: str) -> tuple[JointJob, list[list[Floats]], JointRun]:
    assert tiny
    job = JointJob.of((40, 40, 20), 4, Logistic(4.0, 2), NORM)
    records = [[records_of(rows, 4, seed)] for seed, rows in enumerate(job.rows)]
    return job, records, run_joint(job, records)


def shares_of(job: JointJob, run: JointRun, release: SharedRelease) -> tuple[Shares, Shares]:
    key = run.owners[0].key
    parts = [owner_part(owner, release, run.results, job.mask) for owner in run.owners]
    assert {len(part) for part in parts} == {part_bytes(release)}
    sent = [owner_shares(owner, run.results, job.mask) for owner in run.owners]
    return trainer_shares(key, release, parts), receiver_shares(key, release, run.results, sent)


def opened(release: SharedRelease, shares: tuple[Shares, Shares]) -> list[Floats]:
    one, other = memory_pair("trainer", "receiver", 60)
    _, found = run_both_sides(
        lambda: trainer_open(release, Garbler.open(one), shares[0]),
        lambda: holder_open(release, Evaluator.open(other), shares[1]),
    )
    return found


def test_three_owners_and_a_trainer_open_the_model_with_noise(
    trained: tuple[JointJob, list[list[Floats]], JointRun],
) -> None:
    job, records, run = trained
    release = release_of(job)
    assert release.level == job.mask.level == 2
    (found,) = opened(release, shares_of(job, run, release))
    difference = found - run.weights[0]
    assert 0 < np.abs(difference).max() < 10 * 0.01 * np.sqrt(2)
    (expected,) = foresee(job, records, reading=release.reading)
    assert expected.read is not None
    assert np.abs(found - expected.weights).max() < release.largest_difference(expected.read).max()
    assert (expected.read >= 0.99 * expected.bound).all()  # the same numbers are read, by factors of 28 bits


def test_what_is_read_is_the_weights_that_all_shares_add_up_to(
    trained: tuple[JointJob, list[list[Floats]], JointRun],
) -> None:
    job, _, run = trained
    release = release_of(job)
    reading = release.reading
    first, second = (one.take()[0] for one in shares_of(job, run, release))
    numbers = [
        ((a + b) % reading.modulus >> reading.shift) - (1 << (reading.range_bits - 1))
        for a, b in zip(first, second, strict=True)
    ]
    assert np.abs(reading.weights(np.array(numbers)) - run.weights[0]).max() <= 0.6 * 2.0**-20


def test_made_up_records_give_the_size_of_the_error(trained: tuple[JointJob, list[list[Floats]], JointRun]) -> None:
    job, records, _ = trained
    release = release_of(job)
    (estimate,) = estimate_bounds(job, release.reading)
    (expected,) = foresee(job, records, reading=release.reading)
    assert expected.read is not None
    assert 0.3 < estimate.max() / expected.read.max() < 3
    assert release.check_leak([estimate]) < 0.01


def test_parts_that_are_not_the_owners_own_are_refused(
    trained: tuple[JointJob, list[list[Floats]], JointRun],
) -> None:
    job, _, run = trained
    release, owners = release_of(job), run.owners
    key = owners[0].key
    parts = [owner_part(owner, release, run.results, job.mask) for owner in owners]
    with pytest.raises(ProtocolError, match="found that of owner 1"):
        trainer_shares(key, release, [parts[0], parts[0], parts[2]])
    with pytest.raises(ProtocolError, match="one of each owner"):
        trainer_shares(key, release, parts[:2])
    with pytest.raises(ProtocolError, match="owner has signed"):
        trainer_shares(key, release, [parts[0][:-1] + bytes([parts[0][-1] ^ 1]), *parts[1:]])
    with pytest.raises(ProtocolError, match="bytes of masks"):
        trainer_shares(key, release, [owners[0].sign(STEP, b"short"), *parts[1:]])
    large = b"\xff" * (part_bytes(release) - len(owners[0].sign(STEP, b"")))
    with pytest.raises(ProtocolError, match="modulo Q, found a larger number"):
        trainer_shares(key, release, [owners[0].sign(STEP, large), *parts[1:]])


def test_a_mask_that_is_not_the_one_of_the_decryption_is_refused_by_the_range(
    trained: tuple[JointJob, list[list[Floats]], JointRun],
) -> None:
    job, _, run = trained
    release = release_of(job)
    key = run.owners[0].key
    parts = [owner_part(owner, release, run.results, job.mask) for owner in run.owners]
    parts[1] = run.owners[1].sign(STEP, bytes(part_bytes(release) - len(run.owners[1].sign(STEP, b""))))
    sent = [owner_shares(owner, run.results, job.mask) for owner in run.owners]
    shares = trainer_shares(key, release, parts), receiver_shares(key, release, run.results, sent)
    one, other = memory_pair("trainer", "receiver", 60)

    def receiver() -> None:
        evaluator = Evaluator.open(other)
        with pytest.raises(RangeError, match="nothing was opened"):
            holder_open(release, evaluator, shares[1])

    run_both_sides(lambda: trainer_open(release, Garbler.open(one), shares[0]), receiver)


def test_a_modulus_that_is_too_wide_for_the_circuit_is_refused(
    trained: tuple[JointJob, list[list[Floats]], JointRun],
) -> None:
    release = release_of(trained[0], Fraction(1, 50), 2, True)
    assert (release.sigma, release.limit_bits, release.to_trainer) == (Fraction(1, 50), 2, True)
    with pytest.raises(ParameterError, match="modulus of at most 127 bits for the circuit, found 155"):
        replace(release, level=3)
