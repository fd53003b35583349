"""What binds shares to their session, step and owner, and the common string that none chooses alone."""

from __future__ import annotations

import dataclasses

import pytest

from mpc.encrypted.threshold import agreement, public_key
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import HEAD_BYTES, JointKey
from mpc.errors import CheatingError, ParameterError, ProtocolError
from mpc.randomness import SeededRandomness
from tests.mpc.encrypted.threshold.joint import owners_of, seed_of


def test_every_changed_byte_of_the_head_and_some_of_the_share_are_refused(tiny: str) -> None:
    owners = owners_of(tiny, 2)
    key, share = owners[0].key, public_key.owner_share(owners[0])
    assert key.open(0, public_key.STEP, share) == share[HEAD_BYTES:]
    for place in (*range(HEAD_BYTES), HEAD_BYTES, len(share) // 2, len(share) - 1):
        changed = bytearray(share)
        changed[place] ^= 1
        with pytest.raises(ProtocolError):
            key.open(0, public_key.STEP, bytes(changed))
    for cut in (b"", share[:10], share[: HEAD_BYTES - 1], share[:-1]):
        with pytest.raises(ProtocolError):
            key.open(0, public_key.STEP, cut)


def test_a_share_of_another_step_owner_or_session_is_refused(tiny: str) -> None:
    owners, others = owners_of(tiny, 3), owners_of(tiny, 3, job="another job")
    key, share = owners[0].key, public_key.owner_share(owners[0])
    with pytest.raises(ProtocolError, match="expected a share of this step, found one of another"):
        key.open(0, "rotation 1 at level 2", share)
    with pytest.raises(ProtocolError, match="expected the share of owner 2, found that of owner 1"):
        key.open(1, public_key.STEP, share)
    with pytest.raises(ProtocolError, match="expected a share of this session, found one of another"):
        others[0].key.open(0, public_key.STEP, share)
    with pytest.raises(ProtocolError, match="expected shares, one of each owner, 3, found 2"):
        key.open_all(public_key.STEP, [share, share])
    posing = key.sign(1, owners[0]._signing, public_key.STEP, share[HEAD_BYTES:])
    with pytest.raises(ProtocolError, match="signed"):
        key.open(1, public_key.STEP, posing)


def test_everything_that_is_agreed_on_changes_the_session(tiny: str) -> None:
    key = owners_of(tiny, 2)[0].key
    changed = [
        dataclasses.replace(key, owners=key.owners[::-1]),
        dataclasses.replace(key, job=seed_of("other")),
        dataclasses.replace(key, common=seed_of("other")),
    ]
    assert len({one.session for one in [key, *changed]}) == 4
    assert len({one.key_id for one in [key, *changed]}) == 4
    assert key.common_seed("one step") != key.common_seed("another")


def test_a_key_of_one_owner_or_of_one_owner_twice_is_refused(tiny: str) -> None:
    key = owners_of(tiny, 2)[0].key
    for owners in (key.owners[:1], (key.owners[0],) * 2, (b"short", key.owners[1])):
        with pytest.raises(ParameterError, match="owners"):
            JointKey(tiny, owners, key.job, key.common)
    with pytest.raises(ParameterError, match="common random string: expected 32 bytes, found 5"):
        dataclasses.replace(key, common=b"short")
    with pytest.raises(ParameterError, match="expected the signing key of owner 2"):
        Owner(key, 1, bytes(32), owners_of(tiny, 2)[0]._signing)


def test_nobody_changes_a_contribution_after_others_have_opened() -> None:
    job = seed_of("job")
    given = [agreement.owner_contribute(job, owner, SeededRandomness(seed_of(owner))) for owner in range(3)]
    commitments, openings = [one.commitment for one in given], [one.opening for one in given]
    string = agreement.common_string(job, commitments, openings)
    assert len(string) == 32
    with pytest.raises(CheatingError, match="owner 3: expected the opening of the commitment, found another"):
        agreement.common_string(job, commitments, [*openings[:2], seed_of("chosen")])
    with pytest.raises(CheatingError, match="owner 1"):  # another owner's commitment, repeated
        agreement.common_string(job, [commitments[1], commitments[1]], [openings[1], openings[1]])
    changed = [agreement.owner_contribute(job, 2, SeededRandomness(seed_of("other")))]
    other = agreement.common_string(job, [*commitments[:2], changed[0].commitment], [*openings[:2], changed[0].opening])
    assert other != string
    assert openings[0].hex() not in repr(given[0])
