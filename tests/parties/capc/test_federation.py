"""A federation's members as services that take part in one session after the other, with real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from orchestrator.federation.authority import Authority
from orchestrator.federation.identity import Identity
from orchestrator.federation.shared import read_shared
from orchestrator.federation.state import MemberFolder
from parties.frame.certificates import pem
from parties.frame.private_files import make_private_folder
from parties.protocols import PROTOCOLS
from tests.parties.capc.federations import (
    ANSWERING,
    ASKING,
    COMMAND,
    GUARDIAN,
    FederationHere,
    federation,
    is_alive,
    join,
    stopped,
)
from tests.ports import free_ports


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FederationHere]:
    """Services that all tests of this file share, one after the other."""
    with federation(tmp_path_factory.mktemp("federation"), rejoin_s=60) as here:
        here.serve(GUARDIAN, *ANSWERING)
        yield here


def test_two_who_ask_at_once_are_served_one_after_the_other_and_charged_apart(here: FederationHere) -> None:
    before = {name: here.charged(name) for name in (GUARDIAN, "clinic-c")}
    first, second = here.start_asking("clinic-a"), here.start_asking("clinic-b")
    assert [here.answer(first), here.answer(second)] == [here.expected("clinic-a"), here.expected("clinic-b")]
    after = {name: here.charged(name) for name in before}
    assert gained(before, after, GUARDIAN) == {"clinics/clinic-a": 2, "clinics/clinic-b": 2}
    assert gained(before, after, "clinic-c") == {"clinics/clinic-c": 4}
    here.until(lambda: len(here.service(GUARDIAN).ended()) >= 2, "the guardian has written both sessions down")
    one, other = here.service(GUARDIAN).ended()[-2:]
    assert {one.peer, other.peer} == {"clinic-a", "clinic-b"}
    assert {one.outcome, other.outcome} == {"finished"}
    assert one.session.startswith(f"{one.peer}/")


@pytest.mark.parametrize("killed", [GUARDIAN, "clinic-c"])
def test_a_session_that_is_killed_ends_alone_and_costs_nothing_again(here: FederationHere, killed: str) -> None:
    before = here.charged(GUARDIAN)
    stopped = here.stop_halfway(killed)
    stopped.kill()
    assert here.answer(stopped.asked) == here.expected("clinic-a")
    sessions = 1 + stopped.missed
    assert gained({GUARDIAN: before}, {GUARDIAN: here.charged(GUARDIAN)}, GUARDIAN) == {
        "clinics/clinic-a": 2 * sessions
    }
    broken, whole = here.ended(killed, stopped.session, 2)
    assert (broken.outcome, broken.reason, whole.outcome) == ("failed", "ended by SIGKILL", "finished")
    assert here.services[killed].poll() is None


def test_services_that_are_ended_or_killed_come_back_with_their_accounts(here: FederationHere) -> None:
    before = {name: here.charged(name) for name in (GUARDIAN, "clinic-b")}
    assert here.end(GUARDIAN, signal.SIGTERM) == 0
    left = here.processes("clinic-b")
    here.end("clinic-b", signal.SIGKILL)
    here.serve(GUARDIAN, "clinic-b")
    here.until(lambda: not any(map(is_alive, left)), "the processes of a killed service end")
    assert here.ask("clinic-a") == here.expected("clinic-a")
    after = {name: here.charged(name) for name in before}
    assert gained(before, after, GUARDIAN) == {"clinics/clinic-a": 2}
    assert gained(before, after, "clinic-b") == {"clinics/clinic-b": 2}


def test_a_second_service_in_one_folder_is_refused(here: FederationHere) -> None:
    ready = here.folder(GUARDIAN) / "roles"  # what the service that runs has made ready
    before = [(path, path.stat().st_mtime_ns) for path in sorted(ready.rglob("*"))]
    second = subprocess.run(
        (*COMMAND, "serve", "--dir", str(here.folder(GUARDIAN))),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 2
    assert f"found one that runs (process {here.service(GUARDIAN).running().pid})" in second.stderr  # type: ignore[union-attr]
    assert [(path, path.stat().st_mtime_ns) for path in sorted(ready.rglob("*"))] == before


def test_the_same_file_runs_all_members_on_this_machine_with_the_same_labels(
    here: FederationHere, tmp_path: Path
) -> None:
    flags = ("--config", str(here.file), "--launcher", "process", "--start_port", str(free_ports(4)), "--json")
    run = subprocess.run((*COMMAND, *flags), cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr
    reports = json.loads(run.stdout)["result"]["reports"]
    labels = [[query["predicted"] for query in report["queries"]] for report in reports]
    assert labels == [here.expected(name) for name in ASKING]
    names = {path.name for path in tmp_path.glob("files/durable/*")}
    assert {f"owner-{number}" for number in range(3)} <= names  # a rehearsal has accounts of its own


def check(here: FederationHere, name: str, *more: str) -> tuple[int, str]:
    command = (*COMMAND, "check", "--dir", str(here.folder(name)), *more)
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_check_reaches_the_services_and_takes_no_session(here: FederationHere) -> None:
    sessions = len(here.service(GUARDIAN).ended())
    for name in ("clinic-a", GUARDIAN):
        status, said = check(here, name)
        assert status <= 1, said  # this machine may lack memory or features
        assert "cannot" not in said
        assert '"state"' not in said  # for people, unless a program asks
        for other in {GUARDIAN, *ANSWERING} - {name}:
            assert f"ok       {other} (" in said
        assert f"the service runs as process {here.services[name].pid}" in said
    status, said = check(here, "clinic-a", "--json")
    assert status <= 1
    assert {finding["state"] for finding in json.loads(said)} <= {"ok", "warning"}
    here.until(lambda: here.said(GUARDIAN, "clinic-a: it only checked"), "the guardian says so")
    assert len(here.service(GUARDIAN).ended()) == sessions
    assert here.ask("clinic-a") == here.expected("clinic-a")


def test_a_check_names_each_parameter_that_differs(here: FederationHere) -> None:
    document = yaml.safe_load(here.file.read_text())
    document["capc"] |= {"dp_noise_scale": 7, "batch_size": 2}
    other = here.top / "checked.yaml"
    other.write_text(yaml.safe_dump(document))
    member = here.folder("clinic-a") / "member.json"
    kept = member.read_bytes()
    status, said = check(here, "clinic-a", "--config", str(other))
    member.write_bytes(kept)
    assert status == 2
    assert "cannot   trustee (privacy guardian): the public parameters differ in" in said
    assert "batch_size: here 2, at trustee 1" in said
    assert "sigma: here 7, at trustee 0" in said


def test_other_parameters_are_refused_on_both_sides_and_the_service_goes_on(here: FederationHere) -> None:
    document = yaml.safe_load(here.file.read_text())
    document["capc"]["dp_noise_scale"] = 7
    other = here.top / "other.yaml"
    other.write_text(yaml.safe_dump(document))
    member = here.folder("clinic-b") / "member.json"
    kept = member.read_bytes()
    asked = here.start_asking("clinic-b", config=str(other))
    _, errors = asked.communicate(timeout=60)
    member.write_bytes(kept)
    assert asked.returncode == 1
    assert "the public parameters differ in sigma: here 7, at trustee 0" in errors
    here.until(
        lambda: here.said(GUARDIAN, "the public parameters differ in sigma: here 0, at clinic-b 7"), "it says so"
    )
    assert here.ask("clinic-b") == here.expected("clinic-b")


def test_a_member_of_a_foreign_authority_is_refused_on_both_sides(here: FederationHere, tmp_path: Path) -> None:
    shared = read_shared(here.file, PROTOCOLS)
    foreign = Authority.make(make_private_folder(tmp_path / "foreign"), shared.federation)
    stranger = FederationHere(tmp_path)
    (tmp_path / "federation.yaml").write_text(here.file.read_text())
    join(stranger, foreign, "clinic-a")
    assert "the peer's certificate is refused" in stranger.refusal("clinic-a")
    here.until(lambda: here.said(GUARDIAN, "this party's certificate is not"), "the guardian says so")


def test_a_revoked_member_is_refused_on_both_sides_from_then_on(here: FederationHere) -> None:
    shared = read_shared(here.file, PROTOCOLS)
    authority = Authority(here.top / "authority", shared.federation)
    authority.revoke("clinic-b")
    guardian = Identity(GUARDIAN, MemberFolder(here.folder(GUARDIAN)))
    assert guardian.install_revoked(pem(authority.revocation_list())) == 1
    assert "this party's certificate has been revoked" in here.refusal("clinic-b")
    here.until(lambda: here.said(GUARDIAN, "the peer's certificate is refused (certificate revoked)"), "it says so")
    join(here, authority, "clinic-b")  # a new certificate for a new key, which the services take for their next process
    assert here.ask("clinic-b") == here.expected("clinic-b")


def test_nothing_is_left_of_services_that_were_stopped(here: FederationHere) -> None:
    for name in (GUARDIAN, *ANSWERING):
        stopped = subprocess.run(
            (*COMMAND, "stop", "--dir", str(here.folder(name))), capture_output=True, text=True, timeout=60, check=False
        )
        assert stopped.returncode == 0, stopped.stderr
        assert re.fullmatch(r"(\w+): told to end, within 40 s at most\n\1: ended\n", stopped.stdout)
        assert here.services.pop(name).wait(60) == 0
        assert here.processes(name) == []
        assert list(here.folder(name).glob("sessions/*")) == []
        status = subprocess.run(
            (*COMMAND, "status", "--dir", str(here.folder(name))),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert status.returncode == 1
        assert "no service runs" in status.stdout


def test_a_session_that_stands_still_ends_at_its_deadline_and_lets_the_next_one_in(tmp_path: Path) -> None:
    with federation(tmp_path, run_deadline_s=30) as here:
        here.serve(GUARDIAN, *ANSWERING)
        guardian = here.stop(GUARDIAN, "clinic-a", at='"admitted"', before='"step": "2"')
        asked = guardian.asked
        still = [asked.pid, *here.processes("clinic-a", "ask-")]  # its launcher would end it in time
        assert all(map(stopped, still))
        guardian.go_on()
        time.sleep(10)  # the one that follows has a deadline of its own, in which it waits and is served
        following = here.start_asking("clinic-b")
        try:
            assert here.answer(following) == here.expected("clinic-b")
        finally:
            for pid in still:
                os.kill(pid, signal.SIGCONT)
            asked.terminate()
            asked.communicate(timeout=60)
        first, second = here.service(GUARDIAN).ended()[guardian.missed :]
        assert (first.peer, first.outcome, second.peer, second.outcome) == (
            "clinic-a",
            "failed",
            "clinic-b",
            "finished",
        )
        assert "lasts longer than its deadline of 30 s" in here.logs()


def gained(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]], name: str) -> dict[str, int]:
    counts = {account: count - before[name].get(account, 0) for account, count in after[name].items()}
    return {account: count for account, count in counts.items() if count}
