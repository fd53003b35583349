"""A journal that grows for years is not read again for each line. A file that was changed is never taken for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from parties.frame import journal
from parties.frame.journal import FoldedJournal, JournalError, locked


def folded(path: Path) -> FoldedJournal[list[bytes]]:
    return FoldedJournal(path, list, lambda state, _, line: state.append(line))


def state(one: FoldedJournal[list[bytes]]) -> list[bytes]:
    with one.locked() as opened:
        return list(opened.state)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each read gave."""
    given: list[int] = []
    real = os.pread

    def noted(*arguments: Any) -> bytes:
        data = real(*arguments)
        given.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", noted)
    return given


def test_a_long_journal_is_read_once_and_then_its_end_alone(tmp_path: Path, read: list[int]) -> None:
    path = tmp_path / "long.jsonl"
    path.write_bytes(b"line %d of many\n" % 7 * 50_000)
    one = folded(path)
    assert len(state(one)) == 50_000
    assert sum(read) >= path.stat().st_size
    read.clear()
    for number in range(5):
        with one.locked() as opened:
            assert len(opened.state) == 50_000 + number
            opened.append(b"more")
            assert opened.state[-1] == b"more"
    assert sum(read) <= 5 * journal._CHUNK
    read.clear()
    with locked(path) as opened:
        opened.append(b"the last")
        assert opened.last == b"the last"
    assert sum(read) <= 3 * journal._CHUNK
    assert state(one) == state(folded(path))


@pytest.mark.parametrize("read", ["state", "lines", "last"])
def test_lines_that_a_killed_writer_left_in_memory_are_on_the_disk_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    path, done, flush, pread = tmp_path / "kept.jsonl", [], os.fsync, os.pread
    path.write_bytes(b"one\ntwo\n")  # as a process leaves it that is killed before it flushes

    def noted_flush(file: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{file}"))
        flush(file)

    def noted_read(file: int, size: int, start: int) -> bytes:
        data = pread(file, size, start)
        if b"two" in data:
            done.append("read")
        return data

    one = folded(path)
    with locked(path) as opened:
        monkeypatch.setattr(os, "fsync", noted_flush)
        monkeypatch.setattr(os, "pread", noted_read)
        if read == "state":
            assert one._state_of(opened) == [b"one", b"two"]
            assert one._state_of(opened) == [b"one", b"two"]  # which reads nothing, and needs no disk
        else:
            assert getattr(opened, read) == ((b"one", b"two") if read == "lines" else b"two")
    assert done[:3] == [str(path), str(tmp_path), "read"]
    assert done.count(str(path)) == 1

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with locked(path) as opened, pytest.raises(JournalError, match=r"cannot flush .*: No space left on device"):
        folded(path)._state_of(opened) if read == "state" else getattr(opened, read)


def test_what_another_writer_adds_is_seen(tmp_path: Path) -> None:
    one, other = folded(tmp_path / "a.jsonl"), folded(tmp_path / "a.jsonl")
    for line in (b"1", b"2", b"3", b"4"):
        writer, reader = (one, other) if line in b"13" else (other, one)
        with writer.locked() as opened:
            opened.append(line)
        assert state(reader)[-1] == line
    assert state(one) == state(other) == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("content", [b"", b"1\n", b"1\n9\n", b"1\n2\n3\n"])
@pytest.mark.parametrize("replaced", [True, False])
def test_a_file_that_was_changed_or_replaced_is_read_again(tmp_path: Path, content: bytes, replaced: bool) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2\n")
    one = folded(path)
    assert state(one) == [b"1", b"2"]
    (tmp_path / "new").write_bytes(content)
    if replaced:
        (tmp_path / "new").replace(path)
    else:
        path.write_bytes(content)
    assert state(one) == content.splitlines()


def test_a_file_with_the_same_length_and_time_is_still_another_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2\n")
    one = folded(path)
    assert state(one) == [b"1", b"2"]
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(b"1\n9\n")
    os.utime(path, ns=times)
    assert state(one) == [b"1", b"9"]


def test_a_line_that_may_not_be_on_the_disk_is_not_in_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, real = folded(tmp_path / "a.jsonl"), os.write
    with one.locked() as opened:
        opened.append(b"1")
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda descriptor, content: real(descriptor, content[:2]))
        with pytest.raises(JournalError, match="whole line"), one.locked() as opened:
            opened.append(b"22222")
    assert state(one) == [b"1"]
    with one.locked() as opened:
        opened.append(b"3")
    assert (tmp_path / "a.jsonl").read_bytes() == b"1\n3\n"


def test_a_line_that_cannot_be_taken_in_stops_every_time(tmp_path: Path) -> None:
    def refuse(_: list[bytes], number: int, line: bytes) -> None:
        if line == b"bad":
            raise ValueError(f"line {number}")

    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\nbad\n3\n")
    one = FoldedJournal[list[bytes]](path, list, refuse)
    for _ in range(2):
        with pytest.raises(ValueError, match="line 2"), one.locked():
            pass


@pytest.mark.parametrize(
    "length", [0, 1, 10, journal._CHUNK - 1, journal._CHUNK, journal._CHUNK + 1, 3 * journal._CHUNK]
)
def test_an_unfinished_line_is_cut_off_however_long_it_is(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.jsonl"
    for whole in (b"", b"1\n", b"1\n" + b"2" * journal._CHUNK + b"\n"):
        path.write_bytes(whole + b"x" * length)
        with locked(path) as opened:
            assert opened.lines == tuple(whole.splitlines())
            assert opened.last == (whole.splitlines() or [b""])[-1]
        assert path.read_bytes() == whole


def test_a_disk_that_gives_less_than_there_is_stops_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / "a.jsonl", os.pread
    path.write_bytes(b"1\n2\n3\n")
    with locked(path) as opened, monkeypatch.context() as short:
        short.setattr(os, "pread", lambda descriptor, size, offset: real(descriptor, min(size, 4), offset))
        with pytest.raises(JournalError, match=r"expected 6 bytes in .*, the disk gave 4"):
            _ = opened.lines
