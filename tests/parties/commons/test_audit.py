"""A trustee's log on its disk, and the audit of a copy of it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mpc.commons.consensus import Trustee
from mpc.commons.encoding import encode
from mpc.commons.entries import Register, Revoke, Role
from mpc.commons.identities import Identity
from mpc.commons.merkle import Tree, leaf_hash
from mpc.commons.notes import Checkpoint, Note, sign_as_log
from mpc.commons.receipts import Receipt
from mpc.commons.replica import Accepted
from mpc.errors import OrderError, ProtocolError
from parties.commons.audit import audit, main
from parties.commons.storage import JOURNAL, LogError, LogFolder, read_lines, write_line
from parties.frame.journal import JournalError
from tests.mpc.commons.setting import FOREVER, Log


def written(folder: Path, steps: int = 2) -> Log:
    """Write the log of trustee 1, of two steps at most, and return the log of all trustees."""
    log = Log()
    log.trustees[1] = Trustee(log.founding, log.keys[1], LogFolder.create(folder, log.founding))
    policy = log.ready(2)
    if steps > 1:
        log.submit(log.consumer, log.request())
        log.submit(log.owner, Revoke(policy))
        log.submit(log.consumer, log.request(not_after=FOREVER + 1))
        log.step()
    return log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "trustee-1"


def test_a_line_that_was_read_back_is_on_the_disk_before_anybody_is_answered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trustee is killed after it has written its vote and before the vote is on the disk. It starts again."""
    log = Log()
    log.register_all()
    proposal = log.sequencer.propose()
    assert proposal is not None
    trustee = Trustee(log.founding, log.keys[1], LogFolder.create(folder, log.founding))

    class Killed(BaseException):
        pass

    def killed(file: int) -> None:
        raise Killed

    flush, flushed = os.fsync, []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed)
        with pytest.raises(Killed):
            trustee.vote(proposal)

    def noted(file: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{file}"))
        flush(file)

    monkeypatch.setattr(os, "fsync", noted)
    again = Trustee(log.founding, log.keys[1], LogFolder(folder))
    assert again.copy.size == 9
    assert flushed == [str(folder / JOURNAL), str(folder)]

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalError, match=r"cannot flush .*: No space left on device"):
        Trustee(log.founding, log.keys[1], LogFolder(folder))


def test_the_audit_shows_who_asked_and_what_was_answered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = written(folder)
    assert main([str(folder)]) == 0
    told = capsys.readouterr().out
    for words in (
        "institute: asks for sum/100 of heights over the reports in entries 0 to 11",
        "trustee-0: grants the request of entry 12, over 2 reports",
        "owner: revokes the policy whose last version is entry 9",
        "trustee-0: refuses the request of entry 15: entry 14 revokes the policy of entry 9",
        f"Log {log.origin}",
        "All 17 entries hold. A quorum of trustees has certified 17 of them.",
    ):
        assert words in told
    assert "a report for" not in told
    assert main([str(folder), "--json", "--reports"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["size"], found["certified"], found["forks"]) == (17, 17, 0)
    assert [event["kind"] for event in found["events"]].count("report") == 2


def test_a_trustee_starts_again_from_its_disk_and_a_torn_line_is_cut_off(folder: Path) -> None:
    log = written(folder)
    whole = (folder / JOURNAL).read_bytes()
    (folder / JOURNAL).write_bytes(whole + b"accepted AAAA")
    with pytest.raises(LogError, match="found an unfinished last one"):
        audit(folder)
    again = Trustee(log.founding, log.keys[1], LogFolder(folder))
    assert again.copy.entries == log.trustees[1].copy.entries
    assert (folder / JOURNAL).read_bytes() == whole
    log.trustees[1] = again
    log.policy(uses=9)
    assert log.step(voters=[1, 2])
    assert audit(folder).size == 18


@pytest.mark.parametrize("part", range(8))
def test_a_crash_at_any_byte_of_a_line_leaves_a_log_that_goes_on(folder: Path, part: int) -> None:
    """Whatever part of the last vote is on the disk, the trustee never signs a second story of that size."""
    log = written(folder)
    proposal = log.trustees[1].copy.size
    log.policy(uses=9)
    asked = log.sequencer.propose()
    before = (folder / JOURNAL).read_bytes()
    log.trustees[1].vote(asked)
    line = (folder / JOURNAL).read_bytes()[len(before) :]
    cut = len(line) * part // 7
    (folder / JOURNAL).write_bytes(before + line[:cut])
    again = Trustee(log.founding, log.keys[1], LogFolder(folder))
    assert again.copy.size == proposal + (cut == len(line))
    assert again.vote(asked)
    assert again.copy.tree.root() == log.copy.tree.root()


def test_two_processes_of_one_trustee_cannot_both_sign(folder: Path) -> None:
    log = written(folder)
    twin = Trustee(log.founding, log.keys[1], LogFolder(folder))
    log.policy(uses=9)
    log.trustees[1].vote(log.sequencer.propose())
    with pytest.raises(JournalError, match="of another process"):
        twin.vote(log.sequencer.propose())
    with pytest.raises(OrderError):
        twin.vote(log.sequencer.propose())


def test_a_log_is_not_made_over_another(folder: Path) -> None:
    log = written(folder, steps=1)
    with pytest.raises(LogError, match="expected no log in"):
        LogFolder.create(folder, log.founding)


def test_every_flipped_byte_is_found(folder: Path, tmp_path: Path) -> None:
    """One bit of every byte of a small log, and of the founding record."""
    log = Log()
    trustee = Trustee(log.founding, log.keys[1], LogFolder.create(folder, log.founding))
    log.trustees[1] = trustee
    log.submit(log.provider, Register("clinic-1", Role.PROVIDER, b""))
    log.step()
    assert audit(folder).certified == 1
    copy = tmp_path / "copy"
    for name in ("founding", JOURNAL):
        whole = (folder / name).read_bytes()
        for place in range(len(whole)):
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            bit = 1 << place % 8
            (copy / name).write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            with pytest.raises(LogError):
                audit(copy)


def _entries(change: Callable[[list[bytes]], None]) -> Callable[[Log, list[bytes]], list[bytes]]:
    """Change the entries of the first record, and sign the outcome as the log would."""

    def changed(log: Log, lines: list[bytes]) -> list[bytes]:
        entries = list(log.trustees[1].copy.entries[:12])
        change(entries)
        tree = Tree()
        for entry in entries:
            tree.append(leaf_hash(entry))
        text = Checkpoint(log.origin, len(tree), tree.root()).text
        note = Note(text, (sign_as_log(log.keys[0].log, log.origin, text),))
        return [write_line(Accepted(0, tuple(entries), bytes(note))), *lines[1:]]

    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda log, lines: lines[1:],
        lambda log, lines: [lines[0], lines[1], lines[3]],
        lambda log, lines: [lines[1], lines[0], *lines[2:]],
        lambda log, lines: [lines[0], lines[2], lines[3], lines[1]],
        lambda log, lines: [lines[0], lines[0], *lines[1:]],
        _entries(lambda entries: entries.pop(3)),
        _entries(lambda entries: entries.__setitem__(slice(3, 5), entries[4:2:-1])),
        _entries(lambda entries: entries.insert(3, entries[3])),
    ],
    ids=[
        "first line", "third line", "swapped", "certificate moved", "twice", "entry dropped", "entries swapped",
        "entry twice",
    ],
)  # fmt: skip
def test_whatever_is_dropped_moved_or_repeated_is_found(folder: Path, change) -> None:
    """Even if the sequencer signs the changed entries: the certificate is of others."""
    log = written(folder)
    lines = change(log, read_lines(folder))
    (folder / JOURNAL).write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.raises(LogError, match=r"line \d"):
        audit(folder)


def test_missing_last_lines_are_found_against_a_kept_checkpoint_or_receipt(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = written(folder)
    kept, receipt = tmp_path / "kept", tmp_path / "entry.tlog-proof"
    assert main([str(folder), "--keep", str(kept)]) == 0
    certified = log.trustees[1].copy.certified
    assert certified is not None
    receipt.write_bytes(bytes(Receipt(3, tuple(log.copy.tree.inclusion(3, 17)), certified[1])))
    both = ["--checkpoint", str(kept), "--checkpoint", str(receipt), "--origin", log.origin]
    assert main([str(folder), *both]) == 0
    lines = read_lines(folder)
    (folder / JOURNAL).write_bytes(b"".join(line + b"\n" for line in lines[:2]))
    assert main([str(folder)]) == 0  # nothing in what is left says that more was there
    capsys.readouterr()
    assert main([str(folder), *both]) == 1
    assert "expected at least 17 entries in the log, found 12" in capsys.readouterr().err
    wrong = bytes(Receipt(4, tuple(log.copy.tree.inclusion(3, 17)), certified[1]))
    (folder / JOURNAL).write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.raises(LogError, match="inclusion proof of entry 4"):
        audit(folder, checkpoints=[wrong])


def test_another_log_is_not_taken_for_this_one(folder: Path, tmp_path: Path) -> None:
    log = written(folder)
    with pytest.raises(LogError, match=r"expected the log example.org/clinics/0000, found example.org/clinics/"):
        audit(folder, origin="example.org/clinics/0000")
    other = Log(7, 2)
    other.register_all()
    certificate = other.step()
    with pytest.raises(LogError, match="a kept checkpoint: "):
        audit(folder, checkpoints=[certificate])
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "founding").write_bytes(encode(other.founding))
    with pytest.raises(LogError, match="line 1: "):
        audit(tmp_path / "copy")
    assert log.origin != other.origin


def test_evidence_of_a_fork_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = written(folder)
    text = Checkpoint(log.origin, 17, bytes(32)).text
    fork = bytes(Note(text, (sign_as_log(log.keys[0].log, log.origin, text),)))
    assert log.trustees[1].see(fork) is not None
    assert main([str(folder)]) == 0
    assert "The sequencer is faulty. It has signed 1 other stories" in capsys.readouterr().out


def test_entries_that_are_not_certified_are_marked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = written(folder)
    log.sequencer.submit(log.sign(Identity(bytes(32)), Register("late", Role.CONSUMER, b"")))
    log.trustees[1].vote(log.sequencer.propose())
    assert main([str(folder)]) == 0
    told = capsys.readouterr().out
    assert "late: registers as consumer (not certified yet)" in told
    assert "has certified 17 of them" in told


@pytest.mark.parametrize("missing", ["founding", JOURNAL, "all"])
def test_a_folder_without_a_log_is_refused_in_a_sentence(
    folder: Path, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(folder, steps=1)
    if missing == "all":
        shutil.rmtree(folder)
    else:
        (folder / missing).unlink()
    assert main([str(folder)]) == 1
    assert "cannot read" in capsys.readouterr().err


def test_the_command_needs_no_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(folder, steps=1)
    monkeypatch.setattr(socket, "socket", None)
    assert audit(folder).size == 12
    command = [sys.executable, "-m", "parties.commons.audit", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "All 12 entries hold" in done.stdout


def test_a_line_that_is_no_record_is_named(folder: Path) -> None:
    written(folder, steps=1)
    lines = read_lines(folder)
    for wrong, words in (
        (b"voted AAAA", "expected one of accepted"),
        (b"accepted A-AA", "in base 64"),
        (b"", "found b"),
    ):
        (folder / JOURNAL).write_bytes(lines[0] + b"\n" + wrong + b"\n")
        with pytest.raises(LogError, match=f"line 2: .*{words}"):
            audit(folder)
    with pytest.raises((ProtocolError, LogError)):
        list(LogFolder(folder).load())
