"""Private files and folders: for their owner alone, on the disk before they are there, and no rest of a failure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parties.frame.private_files import make_private_folder, write_private


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_folder_is_private_whether_or_not_it_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o755)
    for name in ("there", "new"):
        assert mode(make_private_folder(tmp_path / name)) == 0o700


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.pem").write_bytes(b"old")
    (tmp_path / "key.pem").chmod(0o644)
    flushed: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(Path(f"/proc/self/fd/{file}").read_bytes()))
    write_private(tmp_path / "key.pem", b"new")
    assert flushed == [b"new"]
    assert (tmp_path / "key.pem").read_bytes() == b"new"
    assert mode(tmp_path / "key.pem") == 0o600


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.pem").write_bytes(b"old")

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*key\.pem'"):
        write_private(tmp_path / "key.pem", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"key.pem": b"old"}


def test_a_failure_is_named_even_if_what_was_begun_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(begun: str, _: Path) -> None:
        Path(begun).unlink()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"No space left on device: .*key\.pem"):
        write_private(tmp_path / "key.pem", b"new")
