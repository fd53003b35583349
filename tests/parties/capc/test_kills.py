"""A few fixed cases of the random kills and strangers, and proof that their checks find what they look for."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.parties.capc.kills import cases, checks, strangers
from tests.parties.capc.kills.__main__ import carry_out, receive, undisturbed_runs
from tests.parties.capc.kills.cases import LAUNCHER, LAUNCHERS, SCENARIOS, SIGNALS, Case, Scenario, Waits
from tests.parties.capc.kills.strangers import MANNERS, Visit, Visits
from tests.parties.capc.kills.trial import MARK, PORTS, Reference, Trial
from tests.ports import free_ports

ENCRYPTED, TRAINING = SCENARIOS["encrypted"], SCENARIOS["training"]
PANES = LAUNCHERS[-1]
RUN = f"run-of-test-kills-{os.getpid()}"
STOPPED = Waits("message", message_s=8, connect_s=14)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reference]:
    return dict(undisturbed_runs([ENCRYPTED], tmp_path_factory.mktemp("undisturbed")))


def case(victim: str, signal: str, launcher: str, scenario: Scenario = ENCRYPTED, waits: Waits = Waits()) -> Case:  # noqa: B008
    is_child = scenario.trains
    by_event = None if is_child or victim == LAUNCHER else 0.6
    return Case(0, scenario, launcher, victim, is_child, signal, by_event, 0.4, 0.5, waits)


def earlier(chosen: Case, attempt: int) -> Case:
    """The same with an earlier moment at each attempt, the last one as soon as the victim is there."""
    sooner = 4.0**-attempt if attempt < 4 else 0.0
    after = None if chosen.after_event is None else chosen.after_event * sooner
    return replace(chosen, after_s=chosen.after_s * sooner, after_event=after)


@pytest.mark.parametrize(
    "chosen",
    [
        case("client", "KILL", PANES),
        case("server-0", "INT", PANES),
        pytest.param(case("server-1", "STOP", "process", waits=STOPPED), marks=pytest.mark.slow),  # it waits
        case("privacy-guardian", "STOP+CONT", "process"),
        case(LAUNCHER, "KILL", PANES),
    ],
    ids=str,
)
def test_whoever_is_hit_is_named_and_nothing_is_left(
    chosen: Case, undisturbed: dict[str, Reference], tmp_path: Path
) -> None:
    for attempt in range(5):  # a run that is faster than the undisturbed one has ended before the signal
        outcome = carry_out(earlier(chosen, attempt), undisturbed, tmp_path / f"case-{attempt}")
        assert not outcome.faults, outcome
        if outcome.hit:
            return
    pytest.fail("expected the signal to reach its victim in one of five runs, found that all had ended")


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["KILL", "STOP"])
def test_a_party_is_named_for_its_training_child(signal: str, tmp_path: Path) -> None:
    waits = Waits("silence", silence_s=15) if signal == "STOP" else Waits()
    chosen = case("server-0", signal, PANES, TRAINING, waits)
    undisturbed = undisturbed_runs([TRAINING], tmp_path)
    for attempt in range(5):  # a child that trains faster than in the undisturbed run has ended before the signal
        outcome = carry_out(earlier(chosen, attempt), undisturbed, tmp_path / f"case-{attempt}")
        assert not outcome.faults, outcome
        if outcome.hit:
            return
    pytest.fail("expected the signal to reach a training child in one of five runs, found that all had ended")


def test_strangers_change_nothing(undisturbed: dict[str, Reference], tmp_path: Path) -> None:
    manners = ("silent", "garbage", "TLS with a foreign certificate", "half-closed")
    listening = ("privacy-guardian", "server-0", "server-1", "privacy-guardian")
    visits = tuple(Visit(party, manner, 0.3, 1.0) for party, manner in zip(listening, manners, strict=True))
    outcome = receive(Visits(0, ENCRYPTED, "process", visits), undisturbed, tmp_path / "visit")
    assert not outcome.faults, outcome


def test_a_seed_gives_the_same_cases_and_every_combination() -> None:
    drawn = cases.draw(5, 200)
    assert drawn[:30] == cases.draw(5, 30)
    assert drawn != cases.draw(6, 200)
    assert {(one.signal, one.launcher) for one in drawn} == {(s, name) for s in SIGNALS for name in LAUNCHERS}
    assert {one.victim for one in drawn} >= {"client", "client-2", "server-0", "privacy-guardian", LAUNCHER}
    assert {one.scenario.name for one in drawn} == set(SCENARIOS)
    assert any(one.is_child for one in drawn)
    visits = [visit for run in strangers.draw(5, 50) for visit in run.visits]
    assert len(visits) == 50
    assert {visit.manner for visit in visits} == set(MANNERS)


# -- the checks --------------------------------------------------------------------------------------------------------


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """A run that went well and left nothing, whose processes have ended."""
    process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    process.wait(60)
    for name in ("output", "errors"):
        (tmp_path / name).write_text("")
    for folder in (f"files/{RUN}", "files/durable", f"logs/{RUN}"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "files" / RUN / "result.json").write_text(json.dumps({"result": {"queries": [{"predicted": 3}]}}))
    return Trial(ENCRYPTED, tmp_path, free_ports(PORTS), process, time.monotonic(), signalled=True)


def left(trial: Trial) -> list[str]:
    return list(checks.left_behind(trial, within_s=0.2))


def test_files_keys_and_locks_that_are_left_are_found(trial: Trial) -> None:
    assert left(trial) == []
    files = trial.folder / "files"
    (files / RUN / "server-0").mkdir()
    (files / "durable" / ".new-x").write_text("")
    (files / "durable" / "key").write_text("-----BEGIN PRIVATE KEY-----")
    slot = files / "durable" / "slot"
    with slot.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = left(trial)
    assert [fault.partition(":")[0] for fault in found] == [
        "half a file is left", "a key is left", f"somebody holds the lock of {slot}", "a private file is left",
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["mark", "name", "session"])
def test_processes_and_ports_that_are_left_are_found(trial: Trial, how: str) -> None:
    with socket.create_server(("127.0.0.1", trial.port)):
        assert left(trial) == [f"port {trial.port} is not free: Address already in use"]
    environment = os.environ | ({MARK: str(trial.folder)} if how == "mark" else {})
    arguments = [RUN] if how == "name" else []
    command = [sys.executable, "-c", "import time; time.sleep(600)", *arguments]
    with subprocess.Popen(command, env=environment, start_new_session=True) as stray:
        if how == "session":
            trial.seen.add(stray.pid)
        try:
            found = left(trial)
        finally:
            stray.kill()
    assert any(fault.startswith(f"a process is left: {stray.pid} ") for fault in found)


def charge(count: int) -> dict[str, object]:
    return {"account": "a", "session": "s", "time": 1.0, "costs": [{"count": count}]}


@pytest.mark.parametrize(
    ("after", "fault"),
    [
        ([charge(2), charge(4)], None),
        ([charge(4)], "x has lost earlier charges"),
        ([charge(2), charge(2)], "expected 4 to 6 queries to be charged in x, found 2"),
        ([charge(2), charge(4), charge(4)], "expected 4 to 6 queries to be charged in x, found 8"),
    ],
)
def test_charges_that_are_lost_or_doubled_are_found(after: list[object], fault: str | None) -> None:
    found = list(checks.account("x", [charge(2)], after, 4, 6))
    assert (fault in found) if fault else not found


@pytest.mark.parametrize(
    ("victim", "signal", "sentence", "good"),
    [
        ("server-0", "KILL", "server-0 failed in step 1a: it was ended by SIGKILL (see x).\n", True),
        ("server-0", "KILL", "client failed in step 1a: the peer closed the connection (see x).\n", False),
        ("server-0", "KILL", "server-0 failed in step 1a: told to end by SIGTERM (see x).\n", False),
        ("server-0", "TERM", "server-0 failed: told to end by SIGTERM (see x).\n", True),
        ("server-0", "STOP", "server-0 failed: its process is stopped, and no party said a word (see x).\n", True),
        ("server-0", "STOP", "server-0 failed: no party said anything for 8 s (see x).\n", False),
        ("server-0", "INT", "server-0 failed: unexpected KeyError (see x).\n", False),
        ("server-0", "HUP", "Traceback\nserver-0 failed: told to end by SIGHUP (see x).\n", False),
        ("server-0", "STOP+CONT", "server-0 failed: its process is stopped (see x).\n", False),
        (LAUNCHER, "HUP", "Ended by SIGHUP.\n", False),  # its status would be 129
    ],
)
def test_a_wrong_blame_is_found(
    trial: Trial, undisturbed: dict[str, Reference], victim: str, signal: str, sentence: str, good: bool
) -> None:
    (trial.folder / "errors").write_text(sentence)
    found = checks.status_faults(case(victim, signal, "process"), trial, 1, undisturbed["encrypted"])
    assert bool(found) != good, found


def test_other_labels_and_runs_that_went_well_in_spite_of_a_death_are_found(
    trial: Trial, undisturbed: dict[str, Reference]
) -> None:
    found = checks.status_faults(case("server-0", "KILL", "process"), trial, 0, undisturbed["encrypted"])
    assert [fault.partition(",")[0] for fault in found] == [
        f"expected the labels {undisturbed['encrypted'].labels}".partition(",")[0], "expected a failure",
    ]  # fmt: skip
