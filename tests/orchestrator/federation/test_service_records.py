"""What a service keeps on the disk: whether it runs, the journal of its sessions, and the logs that stay."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.federation import commands, records
from orchestrator.federation.records import Running, ServiceFolder, SessionEnded
from parties.frame.errors import ConfigError
from parties.frame.private_files import make_private_folder
from parties.frame.turnstile import Lock


@pytest.fixture
def folder(tmp_path: Path) -> ServiceFolder:
    return ServiceFolder(make_private_folder(tmp_path / "member"), "keeper")


def ended(number: int) -> SessionEnded:
    return SessionEnded(f"clinic-a/{number}", "clinic-a", 1.0, 3.5, "failed", "its peer was lost", f"keeper-{number}")


def sessions_with_logs(folder: ServiceFolder, count: int) -> None:
    for number in range(count):
        logs = folder.logs / "sessions" / f"keeper-{number}"
        logs.mkdir(parents=True)
        (logs / "keeper.log").write_text("said\n")
        os.utime(logs, (1000 + number, 1000 + number))


def kept(folder: ServiceFolder) -> list[str]:
    return sorted(path.name for path in (folder.logs / "sessions").iterdir())


def test_a_service_runs_while_it_holds_its_lock_and_not_by_a_file_that_was_left(folder: ServiceFolder) -> None:
    running = Running(1234, "127.0.0.1:7100", 5, 1, 0, ("clinic-a/1",))
    lock = Lock(folder.lock)
    assert lock.try_to_take()
    assert folder.running() is None  # it has said nothing yet
    folder.write_running(running)
    assert folder.running() == running
    lock.give_back()
    assert folder.running() is None
    folder.forget_running()
    folder.forget_running()
    assert folder.running() is None


def test_one_waits_for_a_service_until_it_has_ended_and_no_longer_than_was_said(folder: ServiceFolder) -> None:
    assert folder.wait_until_ended(0.0)
    lock = Lock(folder.lock)
    assert lock.try_to_take()
    began = time.monotonic()
    assert not folder.wait_until_ended(0.3)
    assert 0.3 <= time.monotonic() - began < 20
    ending = threading.Timer(0.5, lock.give_back)
    ending.start()
    assert folder.wait_until_ended(30.0)
    ending.join()
    assert Lock(folder.lock).try_to_take()  # who waited holds nothing


def test_the_journal_is_read_but_for_a_line_that_was_cut(folder: ServiceFolder) -> None:
    assert folder.ended() == []
    for number in range(3):
        folder.append(ended(number))
    folder.journal.write_bytes(folder.journal.read_bytes()[:-20])
    assert folder.ended() == [ended(0), ended(1)]
    assert str(ended(0)) == "session clinic-a/0 failed after 2.5 s: its peer was lost"


def test_the_older_half_of_a_long_journal_goes(folder: ServiceFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST_LINES", 6)
    for number in range(7):
        folder.append(ended(number))
    assert folder.ended() == [ended(number) for number in (3, 4, 5, 6)]


def test_the_newest_logs_stay(folder: ServiceFolder) -> None:
    sessions_with_logs(folder, 5)
    (folder.logs / "sessions" / "other-0").mkdir()  # of another role
    assert folder.prune(2) == 3
    assert kept(folder) == ["keeper-3", "keeper-4", "other-0"]
    assert folder.prune(2) == 0
    assert folder.prune(0) == 2


def test_private_folders_of_processes_that_are_gone_are_removed(folder: ServiceFolder) -> None:
    for name in ("keeper-1", "other-1"):
        (folder.member / "sessions" / name).mkdir(parents=True)
    folder.clear()
    assert [path.name for path in (folder.member / "sessions").iterdir()] == ["other-1"]


@pytest.mark.parametrize(("flags", "stay"), [([], 20), (["--keep", "3"], 3), (["--keep", "0"], 0)])
def test_pruning_keeps_twenty_sessions_or_what_is_asked_for(
    folder: ServiceFolder, monkeypatch: pytest.MonkeyPatch, flags: list[str], stay: int
) -> None:
    membership = SimpleNamespace(folder=SimpleNamespace(path=folder.member))
    monkeypatch.setattr(commands, "membership_of", lambda *_: membership)
    monkeypatch.setattr(commands, "serving_roles", lambda _: ["keeper"])
    sessions_with_logs(folder, 23)
    assert commands.prune({}, flags, "prune") == 0
    assert len(kept(folder)) == stay
    with pytest.raises(ConfigError, match="keep: expected at least 0, found -1"):
        commands.prune({}, ["--keep", "-1"], "prune")
