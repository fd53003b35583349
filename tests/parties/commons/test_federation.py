"""Decentralised aggregation between members, each with a folder, keys and processes of its own."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from mpc.commons.identities import Identity
from parties.commons import trustee
from parties.commons.agreeing import TrusteeDesk
from parties.commons.config import CommonsConfig
from parties.commons.key_making import KEPT as KEY
from parties.commons.own_keys import WORDS, make_keys, own_keys
from parties.commons.protocol import PROTOCOL
from parties.commons.reporting import wish_to_withdraw
from parties.commons.settings import AGGREGATOR, MEASUREMENTS, POINT, SEED, TRUSTEE
from parties.commons.trustee import BEGAN
from parties.frame.certificates import pem
from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.frame.plan import FOLDER, Run, RunFolders
from parties.frame.private_files import make_private_folder
from tests.parties.commons.federations import (
    COUNTS,
    EACH,
    ROLES,
    CommonsHere,
    command,
    document,
    expected,
    federation,
    own_files,
    values,
)


@pytest.mark.timeout(2400)
def test_members_with_keys_of_their_own_give_the_result_of_the_twin_and_one_withdraws(tmp_path: Path) -> None:
    with federation(tmp_path) as (here, _):
        made = command("keys", "--dir", str(here.folder("trustee-1")), "--json")  # keys that are there stay
        shared = yaml.safe_load(here.file.read_text())
        assert json.loads(made.stdout) == {"name": "trustee-1", "line": shared["commons"]["keys"]["trustee-1"]}
        here.serve_all()
        result = here.result(here.start_asking("institute"))
        assert values(result) == expected()
        asked, audited = result["reports"]
        assert (asked["absent"], asked["left_out"]) == ({}, [])
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
        again = here.result(here.start_asking("institute"))["reports"][0]
        assert [one["reports"] for one in again["answers"]] == [2 * EACH] * len(asked["answers"])
        assert again["left_out"] == [{"name": "clinic-1", "reports": EACH, "why": "their policy is revoked"}]
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
@pytest.mark.timeout(2400)
def test_who_is_killed_is_named_and_gone_on_without_and_takes_part_again(tmp_path: Path) -> None:
    with federation(tmp_path, **own_files(tmp_path)) as (here, _):
        here.serve_all()
        asked = here.start_asking("institute")
        here.until(lambda: here.said("aggregator-1", "check the shares of"), "the first batch is handed on")
        for name in ("trustee-2", "aggregator-1"):  # whose services start another process at once
            os.kill(here.serving(name, "admitted"), signal.SIGKILL)
        assert list(values(here.result(asked)).values()) == [COUNTS]
        for name in ("trustee-3", "aggregator-2"):
            here.end(name, signal.SIGKILL)
        result = here.result(here.start_asking("institute"))
        assert list(values(result).values()) == [COUNTS]
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
        assert list(values(result).values()) == [COUNTS]
        assert result["reports"][0]["absent"] == {}


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_trustee_that_was_there_before_the_last_one_came_is_waited_for_and_no_key_is_begun(tmp_path: Path) -> None:
    trustees = [name for name, role in ROLES.items() if role == "trustee"]
    with federation(tmp_path, connect_deadline_s=15.0) as (here, _):
        here.serve("trustee-0", "trustee-1", "trustee-2")
        for name in ("trustee-1", "trustee-2"):
            here.until(lambda name=name: here.said(name, "wait for all other trustees"), f"{name} waits")
        here.until(lambda: here.said("trustee-0", "trustee-3 is not there yet"), "trustee-0 waits for the last one")
        here.end("trustee-1", signal.SIGKILL)
        here.until(lambda: not here.processes("trustee-1"), "its processes end")
        here.serve("trustee-3")
        here.until(lambda: here.said("trustee-0", "not begun, as these are not there: trustee-1"), "it is missing")
        assert not [name for name in trustees if (here.durable(name) / BEGAN).exists()]
        here.serve("trustee-1")
        for name in trustees:
            here.until(lambda name=name: (here.durable(name) / KEY).exists(), f"{name} has its part of the key")


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_provider_whose_records_have_changed_withdraws_all_the_same(tmp_path: Path) -> None:
    trustees = [name for name, role in ROLES.items() if role == "trustee"]
    with federation(tmp_path, **own_files(tmp_path)) as (here, _):
        here.serve(*trustees, "clinic-2")
        here.until(lambda: here.said("clinic-2", "4 of 4 reports"), "its reports are in the log")
        here.end("clinic-2", signal.SIGTERM)
        (tmp_path / "2.csv").write_text("age\nunknown\n")
        assert command("withdraw", "--dir", str(here.folder("clinic-2"))).returncode == 0
        here.serve("clinic-2")
        here.until(lambda: here.said("clinic-2", "bars every grant behind it"), "it revokes its policy")
        told = command("report", "--dir", str(here.folder("clinic-2"))).stdout
        assert "4 records, and its policy is revoked by entry" in told


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_who_was_configured_otherwise_or_is_revoked_is_refused_by_name_on_both_sides(tmp_path: Path) -> None:
    with federation(tmp_path, connect_deadline_s=15.0) as (here, authority):
        here.serve("trustee-0")
        here.until(lambda: here.said("trustee-0", "listening at port"), "trustee-0 listens")
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


def members_of(shared: dict[str, Any], tmp_path: Path, names: Sequence[str]) -> Federation:
    """The members of a shared file, each of whom has made its keys, whose lines stand in the file now."""
    folders = {name: make_private_folder(tmp_path / name / "durable" / name) for name in names}
    shared["commons"]["keys"] = {name: make_keys(folders[name], WORDS[ROLES[name]]).line for name in names}
    return Federation.model_validate(shared["federation"])


def test_a_provider_reads_its_own_file_alone_and_all_compare_what_is_asked(tmp_path: Path) -> None:
    shared = document()
    for key in ("clinics", "records_each"):
        del shared["commons"][key]
    age = {"kind": "histogram", "column": "age", "unit": "years", "edges": [0, 18, 40, 65, 120]}
    files = {f"clinic-{place}": f"{place}.csv" for place in range(3)}
    shared["commons"] |= {"data": {"files": files}, "questions": [age]}
    members = members_of(shared, tmp_path, list(ROLES))
    (tmp_path / "1.csv").write_text("age\n17\n70\n71\n")

    def config(**choices: Any) -> CommonsConfig:
        text = json.dumps(shared["commons"] | choices)
        return CommonsConfig.model_validate_json(text, strict=True, context={FOLDER: tmp_path})

    def run_of(name: str) -> Run:
        return Run(RunFolders(tmp_path / name, tmp_path / name / "logs", "test"), "0" * 32, 0)

    PROTOCOL.check_federation(config(), members)
    PROTOCOL.member(config(), members, "clinic-1", "provider", run_of("clinic-1"))
    measured = json.loads((tmp_path / "clinic-1" / "test" / "clinic-1" / MEASUREMENTS).read_text())
    assert [list(row.values()) for row in measured] == [[0], [3], [3]]
    with pytest.raises(ConfigError, match=r"0\.csv"):
        PROTOCOL.member(config(), members, "clinic-0", "provider", run_of("clinic-0"))
    wish_to_withdraw(tmp_path / "clinic-0" / "durable" / "clinic-0")  # who withdraws needs no records
    PROTOCOL.member(config(), members, "clinic-0", "provider", run_of("clinic-0"))
    PROTOCOL.reach(config(), members, "clinic-0", run_of("clinic-0").folders)
    agreed = [
        PROTOCOL.reach(one, members, "institute", run_of("institute").folders).agreed
        for one in (config(), config(questions=[age | {"outside": "drop"}]))
    ]
    differ = [name for name in agreed[0] if agreed[0][name] != agreed[1].get(name)]
    assert [name for name in differ if name.startswith("question ")] == ["question age"]
    with pytest.raises(ConfigError, match="expected providers clinic-0, clinic-1, who have measurements, found"):
        PROTOCOL.check_federation(config(data={"files": {"clinic-0": "0.csv", "clinic-1": "1.csv"}}), members)


def test_providers_see_what_noise_costs_their_records_and_all_compare_the_uses(tmp_path: Path) -> None:
    shared = document(dp_noise_scale=5.0)
    members = members_of(shared, tmp_path, list(ROLES))
    notes = {}
    for name in ("clinic-0", "institute", "aggregator-1"):
        run = Run(RunFolders(tmp_path / name, tmp_path / name / "logs", "test"), "0" * 32, 0)
        config = CommonsConfig.model_validate(shared["commons"])
        notes[name] = PROTOCOL.member(config, members, name, ROLES[name], run).notes
    costs = [note for note in notes["institute"] if "epsilon" in note]
    assert costs == [note for note in notes["clinic-0"] if "epsilon" in note]
    assert "the policies that were agreed on allow 9 results of a record, which cost at most epsilon" in costs[-1]
    assert not [note for note in notes["aggregator-1"] if "epsilon" in note]
    folders = RunFolders(tmp_path / "clinic-0", tmp_path / "clinic-0" / "logs", "test")
    agreed = [
        PROTOCOL.reach(CommonsConfig.model_validate(shared["commons"] | more), members, "clinic-0", folders).agreed
        for more in ({}, {"uses": 5}, {"dp_delta": 1e-5})
    ]
    differ = [[key for key in agreed[0] if agreed[0][key] != one[key]] for one in agreed]
    assert differ == [[], ["uses of a report"], ["delta of a noisy result"]]


def test_a_trustees_desk_knows_whose_key_is_whose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = document()
    members = members_of(shared, tmp_path, list(ROLES))
    run = Run(RunFolders(tmp_path / "trustee-0", tmp_path / "trustee-0" / "logs", "test"), "0" * 32, 0)
    config = CommonsConfig.model_validate(shared["commons"])
    (process,) = PROTOCOL.member(config, members, "trustee-0", "trustee", run).processes
    made = list[TrusteeDesk]()

    class Made(Exception):
        """A desk is made, and nothing further is wanted."""

    class Desk(TrusteeDesk):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            made.append(self)
            raise Made

    monkeypatch.setattr(trustee, "TrusteeDesk", Desk)
    monkeypatch.setattr(trustee, "ways", lambda *_: nullcontext(SimpleNamespace(stand_by=lambda: None)))
    party: Any = SimpleNamespace(settings=process.settings, progress=None, folder=tmp_path)
    with pytest.raises(Made):
        trustee.trustee(party)
    lines = shared["commons"]["keys"]
    assert made[0]._members == {bytes.fromhex(line.split("/")[1]): name for name, line in lines.items()}
    assert set(made[0]._members.values()) == set(ROLES)


def test_members_that_cannot_take_part_as_configured_are_refused_and_a_rehearsal_has_their_names(
    tmp_path: Path,
) -> None:
    shared = document()
    members = Federation.model_validate(shared["federation"])
    for choices, said in (
        ({"trustees": 7, "faulty_trustees": 2}, "trustees: expected 4, which is how many members"),
        ({"clinics": 4}, "expected providers clinic-0, clinic-1, clinic-2, clinic-3"),
        ({"keys": {"nobody": "trustee/00"}}, "keys: expected members .*, found nobody"),
        ({"revoke": "clinic-0"}, "revoke: expected none in a federation"),
    ):
        with pytest.raises(ConfigError, match=said):
            PROTOCOL.check_federation(CommonsConfig.model_validate(shared["commons"] | choices), members)
    twice = [one.model_copy(update={"role": ("trustee", "consumer")}) for one in members.members]
    with pytest.raises(ConfigError, match="role: expected one role of trustee-0"):
        PROTOCOL.check_federation(
            CommonsConfig.model_validate(shared["commons"]), members.model_copy(update={"members": tuple(twice)})
        )
    renamed = tuple(one.model_copy(update={"name": one.name.replace("trustee", "keeper")}) for one in members.members)
    run = Run(
        RunFolders(tmp_path / "files", tmp_path / "logs", "test"), "0" * 32, 20000,
        federation=members.model_copy(update={"members": renamed}),
    )  # fmt: skip
    planned = PROTOCOL.plan(CommonsConfig.model_validate(shared["commons"]), run)
    assert [one.name for one in planned.processes][:4] == [f"keeper-{place}" for place in range(4)]


def test_a_key_that_is_missing_or_another_or_given_twice_is_refused_by_name(tmp_path: Path) -> None:
    shared = document()
    federation = members_of(shared, tmp_path, list(ROLES))
    lines = shared["commons"]["keys"]

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
    (tmp_path / "trustee-3" / "durable" / "trustee-3" / SEED).unlink()
    assert "expected keys of trustee-3 in" in refusal("trustee-3", lines)
    agreed = [
        PROTOCOL.reach(
            CommonsConfig.model_validate(shared["commons"] | {"keys": keys}), federation, "institute",
            RunFolders(tmp_path / "institute", tmp_path / "logs", "test"),
        ).agreed
        for keys in (lines, lines | {"clinic-2": f"provider/{Identity(bytes(32)).key.hex()}"})
    ]  # fmt: skip
    assert [name for name in agreed[0] if agreed[0][name] != agreed[1][name]] == ["keys of clinic-2"]
