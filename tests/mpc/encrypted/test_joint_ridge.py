"""Three owners train ridge regression under a key that they hold together, and open it with noise alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from mpc.channels.memory import memory_pair, run_both_sides
from mpc.encrypted import joint_ridge
from mpc.encrypted.joint_ridge import JointRidge
from mpc.encrypted.packing import Floats
from mpc.encrypted.pooled import (
    RidgeJob,
    add_moments,
    owner_encrypt_moments,
    owner_moments,
    trainer_solve,
)
from mpc.encrypted.programs.ridge import Ridge, solve_exactly, solve_in_the_clear
from mpc.encrypted.shared_release import trainer_mask
from mpc.encrypted.threshold import key_making
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import HEAD_BYTES
from mpc.errors import OrderError, ParameterError, ProtocolError, RangeError
from tests.mpc.encrypted.threshold.joint import owners_of

JOB = RidgeJob.of(90, 8, Ridge(0.1, 0.6, 4), targets=2, owners=3, holders=3)
JOINT = JointRidge(JOB, 0.05)


@dataclass(frozen=True)
class Trained:
    """Owners, their pooled moments in the clear, the keys, and the encrypted weights of all targets."""

    owners: list[Owner]
    matrix: Floats
    vectors: Floats
    keys: dict[str, bytes]
    weights: list[bytes]


@cache
def trained() -> Trained:
    """One training, which no test changes."""
    owners, random = owners_of(JOB.parameters, 3, "ridge"), np.random.default_rng(0)
    key = owners[0].key
    firsts = [key_making.owner_first(owner, JOB) for owner in owners]
    public, added = key_making.add_first(key, JOB, firsts)
    seconds = [key_making.owner_second(owner, JOB, added) for owner in owners]
    keys = key_making.trainer_combine(key, JOB, firsts, seconds)
    moments, parts = [], []
    for first, second in zip(firsts, seconds, strict=True):
        assert {name: len(one) for name, one in first.items()} == key_making.first_sizes(key, JOB)
        assert {name: len(one) for name, one in second.items()} == key_making.second_sizes(key, JOB)
        records = random.normal(size=(30, 8)) / math.sqrt(10)
        moments.append(owner_moments(JOB, records, np.sign(random.normal(size=(2, 30)))))
        parts.append(owner_encrypt_moments(JOB, key_making.public_of(key, public), *moments[-1]))
    weights = [*trainer_solve(JOB, keys, add_moments(JOB, parts)).values()]
    matrix, vectors = (sum(one[place] for one in moments) for place in range(2))
    return Trained(owners, matrix, vectors, keys, weights)


def opened(joint: JointRidge, job: str = "ridge") -> tuple[Floats, Floats | None]:
    """What the opener and the trainer get. Owners of their own, because each answers once."""
    found = trained()
    owners, key = owners_of(JOB.parameters, 3, job), found.owners[0].key
    masked, mine = trainer_mask(joint.release, found.keys["public key"], found.weights)
    shares = [joint_ridge.owner_decryption(owner, joint, masked) for owner in owners]
    residues = joint_ridge.opener_residues(key, joint, masked, shares)
    one, other = memory_pair("trainer", "opener")
    second, first = run_both_sides(
        lambda: joint_ridge.trainer_release(one, joint, mine),
        lambda: joint_ridge.opener_release(other, joint, residues),
    )
    return first, second


def test_what_is_opened_is_the_pooled_training_with_noise_of_both() -> None:
    found = trained()
    twin = np.stack([solve_in_the_clear(found.matrix, one, JOB.choices) for one in found.vectors])
    first, second = opened(JointRidge(JOB, 0.002, to_trainer=True))
    assert second is not None
    assert np.array_equal(first, second)
    noise = first - twin
    assert np.abs(noise).max() < 6 * 0.002 * math.sqrt(2)
    assert np.abs(noise).std() > 0.0005
    exact = np.stack([solve_exactly(found.matrix, one, JOB.choices) for one in found.vectors])
    assert np.abs(twin - exact).max() < JOB.choices.error * np.linalg.norm(exact)
    assert np.abs(twin).max() > 0.2
    assert opened(JOINT)[1] is None


def test_the_error_without_noise_is_within_what_the_leak_counts() -> None:
    """The least noise that there is, one step of the grid, shows the encryption's own error."""
    found = trained()
    twin = np.stack([solve_in_the_clear(found.matrix, one, JOB.choices) for one in found.vectors])
    quiet = JointRidge(JOB, 1.01 * 2.0**-joint_ridge.GRID_BITS / abs(JOINT.unit))
    errors = opened(quiet)[0] - twin
    step = 2.0**-joint_ridge.GRID_BITS / abs(quiet.unit)
    assert np.sqrt((errors**2).mean()) < float(quiet.deviations.max()) + 8 * step
    assert (np.abs(errors) < 8 * quiet.deviations + 16 * step).all()
    with pytest.raises(RangeError, match=r"expected noise beside which the encryption's error tells at most 0.01 nats"):
        quiet.check_leak()
    assert 0 < JOINT.check_leak() <= 0.01


def test_the_masks_of_owners_add_half_of_the_error_and_hide_little() -> None:
    mask, chain = JOINT.mask, JOB.chain
    added = mask.error(chain) / float(chain.scale)
    assert added <= 0.5 * JOINT._slot_deviation < 2.01 * max(added, 2.0 / float(chain.scale) * math.sqrt(chain.degree))
    assert mask.hidden_bits < 10
    assert chain.owners == 3


def test_an_owner_answers_for_one_result_and_its_shares_are_bound_to_the_session() -> None:
    found = trained()
    owners, key = owners_of(JOB.parameters, 3), found.owners[0].key
    first, second = (trainer_mask(JOINT.release, found.keys["public key"], found.weights)[0] for _ in range(2))
    same = owners_of(JOB.parameters, 3, "ridge")
    shares = joint_ridge.owner_decryption(same[0], JOINT, first)
    assert joint_ridge.owner_decryption(same[0], JOINT, first) == shares
    with pytest.raises(OrderError, match="expected one question for the step 'decryption'"):
        joint_ridge.owner_decryption(same[0], JOINT, second)
    with pytest.raises(ProtocolError, match="expected a result under the joint key"):
        joint_ridge.owner_decryption(owners[0], JOINT, first)
    others = [joint_ridge.owner_decryption(owner, JOINT, first) for owner in same[:2]]
    with pytest.raises(ProtocolError):
        joint_ridge.opener_residues(key, JOINT, first, [*others, others[1]])
    assert len(shares[0]) > HEAD_BYTES


@pytest.mark.parametrize("name", ["public key", "products"])
def test_a_trainer_that_relays_another_share_than_an_owner_has_signed_is_refused(name: str) -> None:
    """With a public key of its own choice it would read moments, and with such a sum secrets from second shares."""
    owners, others = owners_of(JOB.parameters, 3), owners_of(JOB.parameters, 3, "another run")
    firsts = [key_making.owner_first(owner, JOB) for owner in owners]
    key_making.add_first(owners[0].key, JOB, firsts)
    share = bytearray(firsts[1][name])
    share[-1] ^= 1
    with pytest.raises(ProtocolError, match=r"owner 2: .*expected a share that its owner has signed"):
        key_making.add_first(owners[0].key, JOB, [firsts[0], firsts[1] | {name: bytes(share)}, firsts[2]])
    replayed = key_making.owner_first(others[1], JOB)
    with pytest.raises(ProtocolError, match=r"owner 2.*expected a share of this session"):
        key_making.add_first(owners[0].key, JOB, [firsts[0], replayed, firsts[2]])
    with pytest.raises(ProtocolError, match=r"expected the share of owner 2, found that of owner 1"):
        key_making.add_first(owners[0].key, JOB, [firsts[0], firsts[0], firsts[2]])


def test_holders_of_the_key_are_the_owners_of_records() -> None:
    with pytest.raises(ParameterError, match="expected 3 holders of the key, found 1"):
        JointRidge(RidgeJob.of(90, 8, Ridge(0.1, 0.6, 4), owners=3), 0.05)
