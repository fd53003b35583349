"""A private model that members of a federation serve: its owner gives it once, and clients ask when they like."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from orchestrator.federation.authority import Authority
from orchestrator.federation.identity import Identity
from orchestrator.federation.shared import read_shared
from orchestrator.federation.state import MemberFolder
from parties.frame.certificates import pem
from parties.frame.errors import ConfigError
from parties.protocols import PROTOCOLS
from tests.federations import COMMAND, MembersHere, members
from tests.parties.tensors.services import HOSTS, MODEL, near
from tests.ports import free_ports

ROLES = {
    "host-a": "computing", "host-b": "computing", "provider": "provider", "clinic": "owner", "surgery": "client",
    "school": "client",
}  # fmt: skip
SERVING = (*HOSTS, "provider")
RECORDS = np.random.default_rng(len("surgery")).uniform(-8, 8, (20, 3))


def write(here: MembersHere, port: int, **choices: Any) -> None:
    """The model's file and the shared file."""
    here.top.mkdir(exist_ok=True)
    (here.top / "own.py").write_text(MODEL)
    listed = [
        {"name": name, "role": role} | ({"host": "127.0.0.1", "port": port + number} if name in SERVING else {})
        for number, (name, role) in enumerate(ROLES.items())
    ]
    serving = {
        "owner": "clinic", "max_batch": 8, "quota": 200,
        "clients": {"surgery": {"ask": 4, "outputs": "answers.npz"}, "school": {"ask": 4}},
        "pool": 4, "low_water": 2,
    }  # fmt: skip
    tensors = {
        "program": "own.py", "computing": list(HOSTS), "provider": "provider", "serving": serving,
        "connect_deadline_s": 30, "message_deadline_s": 60, "run_deadline_s": 200,
    }  # fmt: skip
    document = {"protocol": "tensors", "federation": {"name": "scores", "members": listed}, "tensors": tensors}
    here.file.write_text(yaml.safe_dump(document | {"tensors": tensors | choices}))


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports(len(ROLES))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[MembersHere]:
    """Services that all tests of this file share, to which the owner has given its model."""
    here = MembersHere(tmp_path_factory.mktemp("service"), roles=ROLES)
    write(here, port)
    with members(here):
        here.serve(*SERVING)
        assert here.result(here.start_asking("clinic"))["parameters"] == 8
        yield here


def answers(here: MembersHere) -> np.ndarray:
    """What the surgery gets."""
    result = here.result(here.start_asking("surgery"))
    assert result["records"] == len(RECORDS)
    found: np.ndarray = np.load(here.top / "answers.npz")["answers"]
    return found


def test_a_client_gets_its_answers_from_the_model_that_the_owner_gave(here: MembersHere) -> None:
    assert near(answers(here), RECORDS)
    for name in HOSTS:
        share = here.folder(name) / "durable" / name / "model.share"
        assert share.stat().st_mode & 0o777 == 0o600
    assert not list(here.folder("provider").rglob("model.share"))
    assert "this service has a model already" in here.refusal("clinic")


def test_a_host_that_is_killed_has_another_process_in_its_place_with_its_share(here: MembersHere) -> None:
    before = len(here.service("host-b").ended())
    os.kill(here.serving("host-b", "session 1 begins"), signal.SIGKILL)
    assert near(answers(here), RECORDS)
    here.until(lambda: len(here.service("host-b").ended()) > before, "it is written down")
    ended = here.service("host-b").ended()[before]
    assert (ended.outcome, ended.reason) == ("failed", "ended by SIGKILL")
    assert here.services["host-b"].poll() is None


@pytest.mark.slow
def test_a_service_that_was_stopped_comes_back_with_its_share(here: MembersHere) -> None:
    assert here.end("host-a", signal.SIGTERM) == 0
    assert here.service("host-a").ended()[-1].outcome == "finished"
    here.serve("host-a")
    assert near(answers(here), RECORDS)


@pytest.mark.slow
def test_a_check_reaches_the_hosts(here: MembersHere) -> None:
    done = subprocess.run(
        (*COMMAND, "check", "--dir", str(here.folder("surgery"))),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode <= 1, done.stdout + done.stderr
    for name in HOSTS:
        assert f"ok       {name} (computing party)" in done.stdout


def test_another_model_or_other_choices_are_refused_on_both_sides(here: MembersHere, port: int) -> None:
    other = MembersHere(here.top / "other", roles=ROLES)
    write(other, port, fraction_bits=12)
    member = here.folder("surgery") / "member.json"
    kept = member.read_bytes()
    errors = here.refusal("surgery", config=str(other.file))
    member.write_bytes(kept)
    assert "the public parameters differ in fraction bits: here 12, at host-a 16" in errors
    here.until(lambda: here.said("host-a", "differ in fraction bits: here 16, at surgery 12"), "it says so")


@pytest.mark.slow
def test_a_client_beyond_its_quota_and_a_revoked_one_are_refused(here: MembersHere) -> None:
    for name in HOSTS:
        with (here.folder(name) / "durable" / name / "accounts.jsonl").open("ab") as file:
            file.write(b'{"school": 190}\n')
    assert "expected at most 200 records of school in all" in here.refusal("school")
    done = subprocess.run(
        (*COMMAND, "revealed", "--dir", str(here.folder("host-b"))),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert re.search("answers to school: (190|194|198) records", " ".join(done.stdout.split())), done.stdout
    authority = Authority(here.top / "authority", read_shared(here.file, PROTOCOLS).federation)
    authority.revoke("school")
    for name in HOSTS:
        Identity(name, MemberFolder(here.folder(name))).install_revoked(pem(authority.revocation_list()))
    assert "revoked" in here.refusal("school")


@pytest.mark.parametrize(
    ("name", "role", "words"),
    [
        ("provider", "computing", "expected provider alone for provider, found computing"),
        ("surgery", "owner", "expected client alone for surgery, found owner"),
    ],
)
def test_other_roles_than_the_service_has_are_refused(tmp_path: Path, name: str, role: str, words: str) -> None:
    here = MembersHere(tmp_path)
    write(here, 7000)
    document = yaml.safe_load(here.file.read_text())
    for member in document["federation"]["members"]:
        if member["name"] == name:
            member |= {"role": role, "host": "127.0.0.1", "port": 7900}
    here.file.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=words):
        read_shared(here.file, PROTOCOLS)
