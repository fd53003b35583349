"""A trustee's attachments on its disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from parties.commons.keeping import AttachmentFile
from parties.frame.errors import PartyError


def test_what_was_kept_is_there_after_a_start_and_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "attachments"
    kept = AttachmentFile(path)
    for data in (b"one", b"two", b"one", b""):
        kept.put(data)
    again = AttachmentFile(path)
    assert [again.get(hashlib.sha256(data).digest()) for data in (b"one", b"two", b"")] == [b"one", b"two", b""]
    assert again.get(hashlib.sha256(b"three").digest()) is None
    assert len(path.read_bytes().splitlines()) == 3
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_crash_within_a_line_costs_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "attachments"
    AttachmentFile(path).put(b"one")
    with path.open("ab") as file:
        file.write(b"dHd")
    again = AttachmentFile(path)
    assert again.get(hashlib.sha256(b"one").digest()) == b"one"
    again.put(b"two")
    assert AttachmentFile(path).get(hashlib.sha256(b"two").digest()) == b"two"


def test_a_line_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "attachments").write_bytes(b"!!\n")
    with pytest.raises(PartyError, match="attachments, line 1: expected base 64"):
        AttachmentFile(tmp_path / "attachments")
