"""The teardown finds a run's processes by their mark and touches no other's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator import teardown
from orchestrator.teardown import Guard, Remains, end_run, running

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def sleeper(mark: str, start_new_session: bool = False) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(SLEEP, env={"MARK": mark}, stdout=subprocess.PIPE, start_new_session=start_new_session)
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    return child


def test_only_processes_with_the_mark_are_ended() -> None:
    mine, similar = sleeper("run-1"), sleeper("run-11")
    remains = Remains(marker="MARK=run-1")
    assert running(remains) == [mine.pid]
    end_run(remains)
    assert mine.wait() < 0
    assert similar.poll() is None
    end_run(remains)  # again: nothing to do
    end_run(Remains(marker="MARK=run-11"))
    assert similar.wait() < 0


def test_private_folders_lose_their_folders_and_keep_files_and_what_lies_elsewhere(tmp_path: Path) -> None:
    elsewhere, full, empty = tmp_path / "elsewhere", tmp_path / "full", tmp_path / "empty"
    for folder in (elsewhere, full / "party" / "deep", empty / "party"):
        folder.mkdir(parents=True)
    (elsewhere / "records.csv").write_text("1\n")
    (full / "result.json").write_text("{}")
    (full / "link").symlink_to(elsewhere)
    end_run(Remains(marker="MARK=nobody", private=(str(full), str(empty), str(tmp_path / "absent"))))
    assert sorted(path.name for path in full.iterdir()) == ["link", "result.json"]
    assert (elsewhere / "records.csv").read_text() == "1\n"
    assert not empty.exists()


def test_without_proc_process_groups_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teardown, "HAS_PROC", False)
    mine, other = sleeper("run-5", start_new_session=True), sleeper("run-5", start_new_session=True)
    reaper = threading.Thread(target=mine.wait)  # its parent takes the exit status, as the launcher would
    reaper.start()
    remains = Remains(marker="MARK=run-5", groups=(mine.pid,))
    assert running(remains) == [mine.pid]
    end_run(remains)
    reaper.join()
    assert mine.returncode < 0
    assert running(remains) == []
    assert other.poll() is None
    other.kill()
    other.wait()


def test_private_folders_go_and_files_stay(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "party" / "inner").mkdir(parents=True)
    (run / "party" / "key.pem").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (run / "link").symlink_to(tmp_path / "elsewhere")
    (run / "result.json").write_text("{}")
    end_run(Remains(marker="MARK=none", private=(str(run), str(tmp_path / "absent"))))
    assert sorted(path.name for path in run.iterdir()) == ["link", "result.json"]
    assert (tmp_path / "elsewhere").is_dir()


def test_an_empty_run_folder_goes_too(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "party").mkdir(parents=True)
    end_run(Remains(marker="MARK=none", private=(str(run),)))
    assert not run.exists()


def test_a_guard_that_is_dismissed_does_nothing_more(tmp_path: Path) -> None:
    run = tmp_path / "run"
    guard = Guard(Remains(marker="MARK=run-2", private=(str(run),)))
    guard.add_groups((1, 2))
    guard.end_run()
    assert guard._process.returncode == 0


def test_a_guard_ends_the_run_when_its_pipe_closes(tmp_path: Path) -> None:
    (tmp_path / "run" / "party").mkdir(parents=True)
    child = sleeper("run-3")
    guard = Guard(Remains(marker="MARK=run-3", private=(str(tmp_path / "run"),)))
    os.close(guard._pipe)
    assert child.wait(60) < 0
    assert guard._process.wait(60) == 0
    assert not (tmp_path / "run").exists()


def test_a_lost_guard_does_not_stop_the_teardown() -> None:
    child = sleeper("run-4")
    guard = Guard(Remains(marker="MARK=run-4"))
    guard._process.kill()
    guard._process.wait()
    guard.end_run()
    assert child.wait(60) < 0
