"""Private tensors between members of a federation, who serve and open sessions as real processes."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.federation.authority import Authority
from orchestrator.federation.identity import Identity
from orchestrator.federation.shared import read_shared
from orchestrator.federation.state import MemberFolder
from parties.frame.certificates import pem
from parties.frame.private_files import make_private_folder
from parties.protocols import PROTOCOLS
from tests.federations import COMMAND, PATIENCE_S, join, kill
from tests.parties.tensors.federations import LARGEST, PRODUCT, PROGRAM, ROLES, TensorsHere, federation, write_files
from tests.ports import free_ports

MEMBERS = tuple(ROLES)
UNIT = 2**-16
STEPS = 2000  # a session goes on for a while, in which a member can be stopped
LAST = f'"done": {STEPS}'


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorsHere]:
    """Services that all tests of this file share, one after the other."""
    with federation(tmp_path_factory.mktemp("federation"), sessions=50, arguments={"steps": STEPS}) as here:
        here.serve(*MEMBERS)
        yield here


def test_whoever_opens_a_session_each_learns_its_own_and_all_write_the_same_down(here: TensorsHere) -> None:
    before = {name: len(here.records(name)) for name in MEMBERS}
    hospital = here.result(here.start_asking("hospital"))
    assert hospital["outputs"] == {"largest": LARGEST}
    laboratory = here.result(here.start_asking("laboratory"))
    assert laboratory["outputs"] == {"product": pytest.approx(PRODUCT, abs=20 * UNIT)}
    assert np.load(here.top / "registry.npz")["product"] == laboratory["outputs"]["product"]
    assert "provider, who deals the correlations, colludes with nobody" in laboratory["trust"]
    records = {name: here.records(name)[before[name] :] for name in MEMBERS}
    for lines in records.values():
        assert [line.reveal and (line.reveal.name, line.reveal.to) for line in lines] == 2 * [
            None, ("product", ("laboratory", "registry")), ("largest", ("hospital",))
        ]  # fmt: skip
        assert [line.session for line in lines] == [line.session for line in records["hospital"]]
        assert {line.session.partition("/")[0] for line in lines[:3]} == {"hospital"}
        assert {line.computation for line in lines} == {records["hospital"][0].computation}
    shown = " ".join(command(here, "revealed", "provider").split())
    assert "sessions, opened by hospital, laboratory, last at " in shown
    reveals = sum(line.reveal is not None and line.reveal.name == "largest" for line in here.records("provider"))
    assert f"revealed largest: a number, {reveals} times, to hospital" in shown


def test_what_a_service_would_reveal_is_in_its_log_before_any_session(here: TensorsHere) -> None:
    said = here.service("provider").log.read_text()
    assert "largest (a number) will be revealed to hospital" in said
    assert "product may be revealed to laboratory, registry" in said
    assert said.index("will be revealed") < said.index("serves as provider")


@pytest.mark.slow
def test_two_who_ask_at_once_are_served_one_after_the_other(here: TensorsHere) -> None:
    first, second = here.start_asking("hospital"), here.start_asking("laboratory")
    assert here.result(first)["outputs"] == {"largest": LARGEST}
    assert here.result(second)["outputs"] == {"product": pytest.approx(PRODUCT, abs=20 * UNIT)}


@pytest.mark.parametrize(
    "killed",
    [
        "laboratory",
        pytest.param("provider", marks=pytest.mark.slow),
        pytest.param("registry", marks=pytest.mark.slow),
    ],
)
def test_a_member_that_is_killed_ends_the_session_by_name_and_the_next_one_works(
    here: TensorsHere, killed: str
) -> None:
    stopped = here.stop(killed, "hospital", at='"advanced"', before=LAST)
    stopped.kill()
    output, errors = stopped.asked.communicate(timeout=PATIENCE_S)
    if killed == "registry" and stopped.asked.returncode == 0:  # it only reads, so the others may have been done before
        assert "registry" in json.loads(output)["result"]["unfinished"]
    else:
        assert stopped.asked.returncode == 1
        assert killed in errors
    for name in MEMBERS[1:]:
        (ended,) = here.ended(name, stopped.session)
        if name == killed or stopped.asked.returncode:
            assert ended.outcome == "failed"
            assert ("ended by SIGKILL" if name == killed else killed) in ended.reason
    assert here.result(here.start_asking("hospital"))["outputs"] == {"largest": LARGEST}


@pytest.mark.slow
def test_where_the_one_that_opened_the_session_is_killed_all_others_name_it(here: TensorsHere) -> None:
    stopped = here.stop("laboratory", "hospital", at='"advanced"', before=LAST)
    for pid in here.processes("hospital", "ask-"):  # which wait for the laboratory
        kill(pid)
    stopped.go_on()
    stopped.asked.communicate(timeout=PATIENCE_S)
    for name in MEMBERS[1:]:
        (one,) = here.ended(name, stopped.session)
        # A provider that has given all it had to give has finished.
        assert "hospital" in one.reason or (name == "provider" and one.outcome == "finished"), name
    assert here.result(here.start_asking("laboratory"))["outputs"].keys() == {"product"}


@pytest.mark.parametrize(
    ("what", "program", "choices"),
    [
        ("program", PROGRAM + "# changed\n", {}),
        ("policy", None, {"reveal": {"product": ["laboratory", "registry"], "largest": ["hospital", "laboratory"]}}),
        pytest.param("fraction bits", None, {"fraction_bits": 12}, marks=pytest.mark.slow),
        pytest.param("sessions in all", None, {"sessions": 51}, marks=pytest.mark.slow),
    ],
)
def test_what_a_member_has_not_agreed_to_is_refused_on_both_sides(
    here: TensorsHere, what: str, program: str | None, choices: dict[str, Any]
) -> None:
    other = here.changed(f"other-{what.replace(' ', '-')}", program, **choices)
    sessions = len(here.records("laboratory"))
    member = here.folder("hospital") / "member.json"
    kept = member.read_bytes()
    errors = here.refusal("hospital", config=str(other))
    member.write_bytes(kept)
    assert f"the public parameters differ in {what}: here " in errors
    here.until(lambda: here.said("laboratory", f"the public parameters differ in {what}: here "), "it says so")
    assert len(here.records("laboratory")) == sessions


@pytest.mark.slow
def test_a_check_reaches_all_and_takes_no_session(here: TensorsHere) -> None:
    sessions = len(here.records("laboratory"))
    for name in ("hospital", "registry"):
        done = subprocess.run(
            (*COMMAND, "check", "--dir", str(here.folder(name))),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode <= 1, done.stdout + done.stderr
        for other in set(MEMBERS) - {name}:
            assert f"ok       {other} (" in done.stdout
    assert len(here.records("laboratory")) == sessions


@pytest.mark.slow
def test_the_same_file_runs_all_members_on_this_machine(here: TensorsHere, tmp_path: Path) -> None:
    flags = ("--config", str(here.file), "--launcher", "process", "--start_port", str(free_ports(4)), "--json")
    run = subprocess.run((*COMMAND, *flags), cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr
    outputs = {report["party"]: report["outputs"] for report in json.loads(run.stdout)["result"]["reports"]}
    assert outputs["hospital"] == {"largest": LARGEST}
    assert outputs["registry"] == {"product": pytest.approx(PRODUCT, abs=20 * UNIT)}


@pytest.mark.slow
def test_a_member_of_a_foreign_authority_and_a_revoked_one_are_refused_on_both_sides(
    here: TensorsHere, tmp_path: Path
) -> None:
    shared = read_shared(here.file, PROTOCOLS)
    foreign = Authority.make(make_private_folder(tmp_path / "foreign"), shared.federation)
    stranger = TensorsHere(tmp_path)
    write_files(tmp_path, ROLES)
    (tmp_path / "federation.yaml").write_text(here.file.read_text())
    join(stranger, foreign, "laboratory")
    assert "the peer's certificate is refused" in stranger.refusal("laboratory")
    here.until(lambda: here.said("hospital", "this party's certificate is not"), "the hospital says so")
    authority = Authority(here.top / "authority", shared.federation)
    authority.revoke("laboratory")
    for name in ("hospital", "provider", "registry"):
        Identity(name, MemberFolder(here.folder(name))).install_revoked(pem(authority.revocation_list()))
    assert "this party's certificate has been revoked" in here.refusal("laboratory")
    join(here, authority, "laboratory")  # with a new key, for the next process of its service, too
    here.end("laboratory", signal.SIGTERM)
    here.serve("laboratory")
    assert here.result(here.start_asking("hospital"))["outputs"] == {"largest": LARGEST}


def test_more_sessions_than_were_agreed_on_are_refused_by_each_member(here: TensorsHere) -> None:
    path = here.folder("registry") / "durable" / "registry" / "sessions.jsonl"
    begun = next(line for line in path.read_bytes().splitlines() if b'"reveal"' not in line)
    there = sum(line.reveal is None for line in here.records("registry"))
    with path.open("ab") as file:
        file.write((begun + b"\n") * (50 - there))
    lines = len(here.records("laboratory"))
    errors = here.refusal("hospital")
    assert "registry takes no part: sessions: expected at most 50 in all, which there have been" in errors
    assert len(here.records("laboratory")) == lines


def command(here: TensorsHere, word: str, name: str) -> str:
    done = subprocess.run(
        (*COMMAND, word, "--dir", str(here.folder(name))), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
