"""A service whose own session fails at its start is started again after longer and longer pauses."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.events import Event, EventFile
from orchestrator.federation.records import ServiceFolder
from orchestrator.federation.service import Service, _Session
from parties.frame.plan import Plan, Process
from parties.frame.settings import Address, PartySettings
from parties.frame.turnstile import Lock


class Signs:
    """Nobody looks at them here but at how often they are given."""

    given = 0

    def give(self) -> None:
        self.given += 1

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


@pytest.fixture
def service(tmp_path: Path) -> Service:
    settings = PartySettings(
        name="host", session="study/service", log=tmp_path / "log", supervisor=None,
        connect_deadline_s=1, message_deadline_s=1, run_deadline_s=1,
    )  # fmt: skip
    plan = Plan((Process("host", "no.module", settings, "host"),), "host", deadline_s=1e9)
    address = Address(host="127.0.0.1", port=0)
    folder = ServiceFolder(tmp_path, "computing")
    return Service(folder, plan, tmp_path, address, tmp_path, Signs())  # type: ignore[arg-type]


def session(service: Service, number: int, peer: str, seconds: float, status: int = 1) -> _Session:
    """A process that said that it was admitted so many seconds ago. With a status it has ended."""
    folders = service.folder.session(f"computing-{number}")
    events = folders.events("host")
    events.parent.mkdir(parents=True, exist_ok=True)
    events.write_bytes(msgspec.json.encode(Event("admitted", t=time.time() - seconds, peer=peer, detail="s")) + b"\n")
    process = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({status})"])
    process.wait()
    made = _Session(f"computing-{number}", process, folders, EventFile(events))
    service._sessions.append(made)
    return made


def pause_s(service: Service) -> float:
    return max(0.0, round(service._not_before - time.monotonic(), 0))


def test_a_session_of_its_own_that_fails_at_once_puts_the_next_start_off(service: Service) -> None:
    pauses = []
    for number in range(5):
        service._follow(session(service, number, "host", 1.0))
        pauses.append(pause_s(service))
    assert pauses == [1, 2, 5, 15, 60]
    service._not_before = 0.0
    service._follow(session(service, 6, "host", 60.0))  # it had served before
    assert pause_s(service) == 0


def test_a_peer_whose_session_fails_at_once_puts_nothing_off_for_others(service: Service) -> None:
    for number in range(5):
        service._follow(session(service, number, "member", 0.1))
    assert (service._in_vain, pause_s(service)) == (0, 0)


def test_a_session_that_lasts_makes_good_for_the_starts_before_it_once(service: Service) -> None:
    service._in_vain = 3
    running = session(service, 1, "host", 60.0)
    running.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        service._follow(running)
        assert service._in_vain == 0
        service._in_vain = 2  # of the process that stands by meanwhile
        service._follow(running)
        assert service._in_vain == 2
    finally:
        running.process.kill()
        running.process.communicate()


@pytest.mark.parametrize(("grace_s", "is_killed"), [(10.0, True), (100.0, False)])
def test_a_process_has_as_long_to_end_as_its_plan_says(service: Service, grace_s: float, is_killed: bool) -> None:
    service.plan = replace(service.plan, grace_s=grace_s)
    ending = session(service, 1, "host", 60.0)
    ending.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ending.told_to_end = time.monotonic() - 50
    lock = Lock(service.folder.lock)
    assert lock.try_to_take()
    try:
        service._follow(ending)
        if is_killed:
            assert ending.process.wait(60) == -signal.SIGKILL
        assert (ending.process.poll() is None) is not is_killed
        service._publish()
        running = service.folder.running()
        assert running is not None
        assert running.ends_within_s >= grace_s
    finally:
        lock.give_back()
        ending.process.kill()
        ending.process.communicate()


DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"


@pytest.mark.parametrize(
    ("numbers", "after_s", "at_once"),
    [
        ((signal.SIGTERM, signal.SIGTERM), 1.2, True),
        ((signal.SIGHUP, signal.SIGINT), 1.2, True),
        ((signal.SIGINT, signal.SIGINT), 0.0, False),
        ((signal.SIGTERM, signal.SIGHUP), 1.2, False),
        ((signal.SIGTERM,), 0.0, False),
    ],
)
def test_a_second_signal_kills_what_has_not_ended(
    service: Service, numbers: tuple[signal.Signals, ...], after_s: float, at_once: bool
) -> None:
    """Meanwhile a service that waits for its processes is seen to live. One Ctrl-C may come twice."""
    service.plan = replace(service.plan, grace_s=100.0 if at_once else 0.5)
    deaf = session(service, 1, "host", 60.0)
    deaf.process = subprocess.Popen([sys.executable, "-c", DEAF], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert deaf.process.stdout is not None
    deaf.process.stdout.readline()
    first, *second = numbers
    timers = [threading.Timer(after_s, service._end, (number, None)) for number in second]
    began = time.monotonic()
    try:
        service._end(first, None)
        for timer in timers:
            timer.start()
        service._end_all()
        assert deaf.process.returncode == -signal.SIGKILL
        lasted_s = time.monotonic() - began
        assert lasted_s < 60 if at_once else lasted_s > 2.5
        assert service.signs.given > 5  # type: ignore[attr-defined]
    finally:
        for timer in timers:
            timer.cancel()
        deaf.process.kill()
        deaf.process.communicate()
