"""Decentralised aggregation between members, each with a folder, keys and processes of its own."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import yaml

from mpc.commons.identities import Identity
from parties.commons.config import CommonsConfig
from parties.commons.own_keys import WORDS, make_keys, own_keys
from parties.commons.protocol import PROTOCOL
from parties.commons.settings import AGGREGATOR, POINT, SEED, TRUSTEE
from parties.frame.certificates import pem
from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.frame.plan import Run, RunFolders
from parties.frame.private_files import make_private_folder
from tests.parties.commons.federations import (
    EACH,
    ROLES,
    CommonsHere,
    command,
    document,
    expected,
    federation,
    values,
)


def test_members_with_keys_of_their_own_give_the_result_of_the_twin_and_one_withdraws(tmp_path: Path) -> None:
    with federation(tmp_path) as (here, _):
        made = command("keys", "--dir", str(here.folder("trustee-1")), "--json")  # keys that are there stay
        shared = yaml.safe_load(here.file.read_text())
        assert json.loads(made.stdout) == {"name": "trustee-1", "line": shared["commons"]["keys"]["trustee-1"]}
        here.serve_all()
        result = here.result(here.start_asking("institute"))
        assert values(result) == expected()
        asked, audited = result["reports"]
        assert asked["absent"] == {}
        assert {one["reports"] for one in asked["answers"]} == {3 * EACH}
        assert audited["size"] == audited["certified"]
        keys_stay_at_home(here)
        found = command("check", "--dir", str(here.folder("institute")))
        assert found.stdout.count("with the same parameters") == 8, found.stdout
        log = here.durable("trustee-2") / "log"
        told = json.loads(command("audit", str(log), "--json", "--origin", asked["log"]).stdout)
        assert told["certified"] >= audited["certified"]

        key = (here.durable("trustee-3") / "trustees-key").read_bytes()
        assert command("withdraw", "--dir", str(here.folder("clinic-1"))).returncode == 0
        here.until(lambda: here.said("clinic-1", "bars every grant behind it"), "clinic-1 revokes its policy")
        again = here.result(here.start_asking("institute"))["reports"][0]["answers"]
        assert all("revokes the policy" in one["refused"] for one in again)
        assert (here.durable("trustee-3") / "trustees-key").read_bytes() == key


def keys_stay_at_home(here: CommonsHere) -> None:
    """No member's folder holds a secret of another."""
    secrets = {(name, kind): (here.durable(name) / kind) for name in ROLES for kind in (SEED, POINT, "trustees-key")}
    held = {key: path.read_bytes() for key, path in secrets.items() if path.exists()}
    assert len(held) == len(ROLES) + 8
    assert len(set(held.values())) == len(held)
    for other in ROLES:
        files = [path for path in here.folder(other).rglob("*") if path.is_file()]
        content = b"".join(path.read_bytes() for path in files)
        for (name, kind), secret in held.items():
            assert (secret in content) is (name == other), (name, kind, other)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_who_is_killed_is_named_and_gone_on_without_and_takes_part_again(tmp_path: Path) -> None:
    with federation(tmp_path) as (here, _):
        here.serve_all()
        assert values(here.result(here.start_asking("institute"))) == expected()
        for name in ("trustee-3", "aggregator-2"):
            here.end(name, signal.SIGKILL)
        result = here.result(here.start_asking("institute"))
        assert values(result) == expected()
        assert sorted(result["reports"][0]["absent"]) == ["aggregator-2", "trustee-3"]
        here.end("trustee-1", signal.SIGTERM)
        refusal = here.refusal("institute")
        assert "expected at least 3 of 4 trustees" in refusal
        assert "trustee-1: " in refusal
        assert "trustee-3: " in refusal
        here.serve("trustee-1", "trustee-3", "aggregator-2")
        here.end("clinic-2", signal.SIGKILL)  # its records are in the log, and are not reported twice
        here.until(lambda: not here.processes("clinic-2"), "its processes end")
        here.serve("clinic-2")
        here.until(lambda: here.said_times("clinic-2", "4 of 4 reports") == 2, "it looks for its reports in the log")
        result = here.result(here.start_asking("institute"))
        assert values(result) == expected()
        assert result["reports"][0]["absent"] == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_who_was_configured_otherwise_or_is_revoked_is_refused_by_name_on_both_sides(tmp_path: Path) -> None:
    with federation(tmp_path, connect_deadline_s=5.0) as (here, authority):
        here.serve("trustee-0")
        refusal = here.refusal("institute", smallest_batch="7")
        assert "trustee-0: " in refusal
        assert "smallest batch of tumours: here 7, at trustee-0 6" in refusal
        assert here.said("trustee-0", "dropped a connection from")
        assert here.said("trustee-0", "smallest batch of tumours: here 6, at institute 7")
        here.serve("clinic-0")  # which goes on asking for the trustees' key, over one connection
        here.until(lambda: here.said("clinic-0", "wait for the trustees' key"), "clinic-0 is let in")
        for name in ("institute", "clinic-0"):
            authority.revoke(name)
        revoked = tmp_path / "revoked.pem"
        revoked.write_bytes(pem(authority.revocation_list()))
        assert command("cert", "update", str(revoked), "--dir", str(here.folder("trustee-0"))).returncode == 0
        here.until(lambda: here.said("trustee-0", "certificate revoked"), "clinic-0 is not let in any more")
        assert "revoked" in here.refusal("institute")


def test_a_key_that_is_missing_or_another_or_given_twice_is_refused_by_name(tmp_path: Path) -> None:
    shared = document()
    names = [one["name"] for one in shared["federation"]["members"]]
    folders = {name: make_private_folder(tmp_path / name / "durable" / name) for name in names}
    lines = {name: make_keys(folders[name], WORDS[ROLES[name]]).line for name in names}
    federation = Federation.model_validate(shared["federation"])

    def refusal(of: str, keys: dict[str, str]) -> str:
        config = CommonsConfig.model_validate(shared["commons"] | {"keys": keys})
        run = Run(RunFolders(tmp_path / of, tmp_path / of / "logs", "test"), "0" * 32, 0)
        with pytest.raises(ConfigError) as error:
            PROTOCOL.member(config, federation, of, ROLES[of], run)
        return str(error.value)

    make_keys(make_private_folder(tmp_path / "stranger"), AGGREGATOR)
    stranger = {kind: own_keys(tmp_path / "stranger", kind) for kind in (TRUSTEE, AGGREGATOR)}
    line = stranger[TRUSTEE]
    assert line is not None
    assert "the line of trustee-2 that its own keys have" in refusal("trustee-2", lines | {"trustee-2": line.line})
    assert "keys of its own for clinic-1, found one of clinic-0" in refusal(
        "institute", lines | {"clinic-1": lines["clinic-0"]}
    )
    less = {name: one for name, one in lines.items() if name != "aggregator-3"}
    assert "found none of aggregator-3" in refusal("clinic-0", less)
    assert "a line of trustee-1 that begins with its role" in refusal("clinic-0", lines | {"trustee-1": "clinic"})
    assert "in the line of aggregator-0, found 64" in refusal(
        "clinic-0", lines | {"aggregator-0": f"aggregator/{'00' * 32}"}
    )
    assert "keys in the line of clinic-2" in refusal("clinic-0", lines | {"clinic-2": f"provider/{'ff' * 32}"})
    (folders["trustee-3"] / SEED).unlink()
    assert "expected keys of trustee-3 in" in refusal("trustee-3", lines)
    agreed = [
        PROTOCOL.reach(
            CommonsConfig.model_validate(shared["commons"] | {"keys": keys}), federation, "institute",
            RunFolders(tmp_path / "institute", tmp_path / "logs", "test"),
        ).agreed
        for keys in (lines, lines | {"clinic-2": f"provider/{Identity(bytes(32)).key.hex()}"})
    ]  # fmt: skip
    assert [name for name in agreed[0] if agreed[0][name] != agreed[1][name]] == ["keys of clinic-2"]
