"""A party as a process: what ends it, and what it leaves behind when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parties.frame.lifetime import process_started
from parties.frame.plan import Process, Run, RunFolders, write_settings
from parties.frame.settings import PartySettings, Supervisor

ROLE = """
import sys, time
from parties.frame.process import run_party
from parties.frame.settings import PartySettings

def role(party):
    party.progress.note("begun")
    {body}

sys.exit(run_party(PartySettings, role))
"""


def settings_file(tmp_path: Path, supervisor_pid: int | None = None, run_deadline_s: float = 3600) -> Path:
    folders = RunFolders(tmp_path / "files", tmp_path / "logs", "test")
    settings = PartySettings(
        name="player",
        session="session-1",
        log=folders.log("player"),
        supervisor=supervisor_pid and Supervisor(pid=supervisor_pid, started=process_started(supervisor_pid)),
        connect_deadline_s=20,
        message_deadline_s=20,
        run_deadline_s=run_deadline_s,
    )
    return write_settings(Process("player", "no.program", settings, "players"), folders)


def start(body: str, settings: Path) -> subprocess.Popen[bytes]:
    script = ROLE.format(body=body)
    return subprocess.Popen([sys.executable, "-c", script, "--settings", str(settings)], stderr=subprocess.PIPE)


def wait_for(condition: Callable[[], bool]) -> None:
    expires = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < expires
        time.sleep(0.02)


def begun(settings: Path) -> None:
    events = settings.parent / "events.jsonl"
    wait_for(lambda: events.exists() and "begun" in events.read_text())


def status(settings: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((settings.parent / "status.json").read_text())
    return content


def test_a_party_whose_work_is_done_leaves_status_0(tmp_path: Path) -> None:
    settings = settings_file(tmp_path)
    assert start("pass", settings).wait(60) == 0
    assert status(settings) == {"ok": True, "error": None, "step": None, "peer": None}
    assert "finished" in (tmp_path / "logs" / "test" / "player.log").read_text()


def test_a_bug_ends_the_party_with_status_1_and_no_value_on_the_screen(tmp_path: Path) -> None:
    settings = settings_file(tmp_path)
    party = start("share = 987654321; raise ValueError(share)", settings)
    _, shown = party.communicate(timeout=60)
    assert party.returncode == 1
    assert "unexpected ValueError" in status(settings)["error"]
    assert b"unexpected ValueError" in shown
    assert b"987654321" not in shown.replace(b"share = 987654321", b"")  # the source line itself is no secret


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_party_that_is_told_to_end_ends_with_a_status(tmp_path: Path, number: signal.Signals) -> None:
    settings = settings_file(tmp_path)
    party = start("time.sleep(300)", settings)
    begun(settings)
    party.send_signal(number)
    assert party.wait(60) == 1
    assert status(settings)["error"] == f"told to end by {number.name}"


def test_a_party_that_does_not_heed_it_is_killed_after_a_while(tmp_path: Path) -> None:
    settings = settings_file(tmp_path)
    body = """
    import parties.frame.lifetime
    parties.frame.lifetime._GRACE_S = 0.3
    try:
        party.progress.note("deaf")
        time.sleep(300)
    except BaseException:
        party.progress.note("goes on")
    time.sleep(300)
    """
    party = start(body, settings)
    events = settings.parent / "events.jsonl"
    wait_for(lambda: events.exists() and "deaf" in events.read_text())
    party.send_signal(signal.SIGTERM)
    _, shown = party.communicate(timeout=60)
    assert party.returncode == 1
    assert "goes on" in events.read_text()
    assert shown.decode().splitlines()[-1] == "told to end by SIGTERM, and it had not ended 0.3 s later"


def test_a_signal_after_the_work_is_a_status_and_no_traceback(tmp_path: Path) -> None:
    settings = settings_file(tmp_path)
    body = """
    import os, signal, threading
    threading.Event.set = lambda event: os.kill(os.getpid(), signal.SIGTERM)  # as the party leaves its lifetime
    """
    party = start(body, settings)
    _, shown = party.communicate(timeout=60)
    assert party.returncode == 1
    assert status(settings)["error"] == "told to end by SIGTERM"
    assert b"Traceback" not in shown


SERVE = """
    from parties.frame.lifetime import serving
    try:
        with serving():
            party.progress.note("serving")
            time.sleep(300)
    finally:
        party.progress.note("swept up")
"""


def serving(settings: Path) -> None:
    events = settings.parent / "events.jsonl"
    wait_for(lambda: events.exists() and "serving" in events.read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_service_that_is_told_to_end_goes_on_after_its_work_and_ends_well(tmp_path: Path, number: int) -> None:
    settings = settings_file(tmp_path)
    party = start(SERVE, settings)
    serving(settings)
    party.send_signal(number)
    assert party.wait(60) == 0
    assert status(settings)["ok"]
    assert "swept up" in (settings.parent / "events.jsonl").read_text()


def test_a_service_that_is_told_twice_still_sweeps_up(tmp_path: Path) -> None:
    settings = settings_file(tmp_path)
    party = start(SERVE.replace('party.progress.note("swept', 'time.sleep(1); party.progress.note("swept'), settings)
    serving(settings)
    party.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    party.send_signal(signal.SIGTERM)
    assert party.wait(60) == 0
    assert "swept up" in (settings.parent / "events.jsonl").read_text()


def test_a_service_may_sweep_up_for_longer_than_other_parties_may_take_to_end(tmp_path: Path) -> None:
    settings = settings_file(tmp_path)
    body = SERVE.replace('party.progress.note("swept', 'time.sleep(2.5); party.progress.note("swept')
    party = start(f"\n    import parties.frame.lifetime\n    parties.frame.lifetime._GRACE_S = 0.3\n{body}", settings)
    serving(settings)
    party.send_signal(signal.SIGTERM)
    assert party.wait(60) == 0
    assert "swept up" in (settings.parent / "events.jsonl").read_text()


def test_a_service_whose_deadline_passes_has_failed(tmp_path: Path) -> None:
    settings = settings_file(tmp_path, run_deadline_s=0.2)
    assert start(SERVE, settings).wait(60) == 1
    assert "longer than its deadline of 0.2 s" in status(settings)["error"]


def test_a_service_whose_supervisor_is_gone_has_failed(tmp_path: Path) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    settings = settings_file(tmp_path, supervisor.pid)
    party = start(SERVE, settings)
    serving(settings)
    supervisor.kill()
    assert party.wait(60) == 1
    assert status(settings)["error"] == "the process that started this party is gone"
    supervisor.wait(60)


def test_a_party_ends_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    settings = settings_file(tmp_path, supervisor.pid)
    party = start("time.sleep(300)", settings)
    begun(settings)
    assert party.poll() is None
    supervisor.kill()  # a zombie from here on: nobody has waited for it, and it supervises nothing
    assert party.wait(60) == 1
    assert status(settings)["error"] == "the process that started this party is gone"
    supervisor.wait(60)


def test_a_party_ends_when_its_supervisors_number_belongs_to_another_process(tmp_path: Path) -> None:
    settings = settings_file(tmp_path, os.getpid())
    content = json.loads(settings.read_text())
    assert content["supervisor"]["started"] == process_started(os.getpid())
    content["supervisor"]["started"] = "1"
    settings.write_text(json.dumps(content))
    party = start("time.sleep(300)", settings)
    assert party.wait(60) == 1
    assert status(settings)["error"] == "the process that started this party is gone"


def test_a_party_ends_at_the_runs_deadline(tmp_path: Path) -> None:
    settings = settings_file(tmp_path, run_deadline_s=0.2)
    assert start("time.sleep(300)", settings).wait(60) == 1
    assert "longer than its deadline of 0.2 s" in status(settings)["error"]


def test_settings_that_are_none_are_one_sentence_without_their_values(tmp_path: Path) -> None:
    settings = settings_file(tmp_path)
    content = json.loads(settings.read_text()) | {"log": 987654321, "surprise": 1}
    settings.write_text(json.dumps(content))
    party = start("pass", settings)
    _, shown = party.communicate(timeout=60)
    assert party.returncode == 2
    assert b"log: Input is not a valid path" in shown
    assert b"surprise: Extra inputs are not permitted" in shown
    assert b"987654321" not in shown
    assert start("pass", tmp_path / "absent.json").wait(60) == 2


def test_a_run_gives_a_party_the_settings_that_only_the_launcher_knows(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path / "files", tmp_path / "logs", "test")
    given = Run(folders, "session-1", 4000, supervisor_pid=os.getpid()).common_settings("player")
    settings = PartySettings(**given, connect_deadline_s=1, message_deadline_s=1, run_deadline_s=1)
    assert settings.supervisor == Supervisor(pid=os.getpid(), started=process_started(os.getpid()))
    assert (settings.name, settings.session, settings.log) == ("player", "session-1", folders.log("player"))
    assert Run(folders, "session-1", 4000).common_settings("player")["supervisor"] is None


def test_a_process_that_is_not_there_never_started() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(60)
    assert process_started(child.pid) is None
