"""The record of what an owner of a joint key has answered outlives its process."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from mpc.encrypted.programs.logistic import Logistic
from mpc.encrypted.threshold import decryption
from mpc.encrypted.threshold.masks import Mask
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.public_key import combine, owner_share
from mpc.encrypted.threshold.simulation import make_owners
from mpc.encrypted.threshold.training import JointJob
from parties.encrypted.container import FileError
from parties.encrypted.joint_answers import ANSWERED, JointAnswers

KEY_ID = bytes(range(16))


def question(text: str) -> bytes:
    return sha256(text.encode()).digest()


def test_a_step_is_answered_for_one_question_also_by_another_process(tmp_path: Path) -> None:
    JointAnswers(tmp_path, KEY_ID).note("decryption", question("one"))
    again = JointAnswers(tmp_path, KEY_ID)
    again.note("decryption", question("one"))
    with pytest.raises(
        FileError, match=r"expected the first question of the step 'decryption'.*begin anew with new keys"
    ):
        again.note("decryption", question("another"))
    again.note("refresh of target 0 after iteration 2", question("another"))
    JointAnswers(tmp_path, KEY_ID[::-1]).note("decryption", question("another"))


def test_only_the_owner_can_read_it_and_nothing_half_is_left(tmp_path: Path) -> None:
    answers = JointAnswers(tmp_path, KEY_ID)
    answers.note("decryption", question("one"))
    with pytest.raises(FileError):
        answers.note("decryption", question("two"))
    folder = tmp_path / f"{KEY_ID.hex()}{ANSWERED}"
    (path,) = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"{")
    with pytest.raises(FileError, match="expected the record of an answer, found another file"):
        answers.note("decryption", question("one"))


def test_a_record_that_is_not_on_the_disk_was_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name comes after the content is on the disk."""

    def full(_: int) -> None:
        raise OSError("no space")

    answers = JointAnswers(tmp_path, KEY_ID)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        answers.note("decryption", question("one"))
    monkeypatch.undo()
    answers.note("decryption", question("another"))


def test_an_owner_that_begins_anew_decrypts_no_second_result(tmp_path: Path) -> None:
    from mpc._core import CkksPublicKey

    job = JointJob.of((300, 200), 16, Logistic(1.0, 2), 4.0)
    owners = make_owners(job)
    key, first = owners[0].key, owners[0]
    public = CkksPublicKey(key.core, combine(key, [owner_share(owner) for owner in owners]))
    results = [public.encrypt(np.zeros(4), 1) for _ in range(2)]
    mask = Mask(40, 0.0, 1, 126)

    def process() -> Owner:
        return Owner(key, 0, b"s" * 32, first._signing, JointAnswers(tmp_path, key.key_id))

    shares = decryption.owner_shares(process(), results[:1], mask)
    assert decryption.owner_shares(process(), results[:1], mask) == shares
    with pytest.raises(FileError, match="expected the first question"):
        decryption.owner_shares(process(), results[1:], mask)
