"""Runs and federations that go on without some of the answering parties: labels, accounts and reasons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from parties.capc.config import CapcConfig
from parties.capc.settings import AnsweringSettings
from parties.capc.turnout import Turnout, voted
from parties.frame.plan import Plan, RunFolders
from parties.learning.records import Records
from parties.learning.training import model_path, train
from parties.protocols import PROTOCOLS
from tests import trained
from tests.copies import ROOT
from tests.parties.capc.runs import Running, expected_labels, running
from tests.parties.capc.seeded import randomness_of
from tests.parties.capc.test_report import query, report
from tests.ports import free_ports

FIVE = {
    "models": "logistic-regression", "n_parties": 5, "min_parties": 3, "n_queries": 12, "batch_size": 4,
    "missing_classes": 6, "quorum_wait_s": 20, "rejoin_s": 100,
}  # fmt: skip
SERVERS = tuple(f"server-{number}" for number in range(5))


@contextmanager
def five(
    top: Path, prepare: Callable[[Plan, RunFolders], Plan] = lambda plan, _: plan, **choices: Any
) -> Iterator[Running]:
    """A run of five whose models are trained, so that they all come at once."""

    def with_models(plan: Plan, folders: RunFolders) -> Plan:
        for process in plan.processes:
            settings = process.settings
            if isinstance(settings, AnsweringSettings):
                records = Records.read(folders.party(process.name) / "records.npz")
                train(settings.training, records).write(model_path(settings.training, records, settings.cache))
        return prepare(plan, folders)

    with running(top, prepare=with_models, **FIVE | choices) as run:
        yield run


def finish(run: Running, killed: Collection[str] = (), asking: Sequence[str] = ("client",)) -> dict[str, Any]:
    """The first result, when clients and guardian have ended well and the servers that are left were told to end."""
    for name in (*asking, "privacy-guardian"):
        run.processes[name].wait(run.plan.deadline_s)
        status = json.loads(run.folders.status(name).read_text())
        assert status["ok"], f"{name}: {status}\n{run.folders.log(name).read_text()}"
    for name in set(SERVERS) & run.processes.keys() - set(killed):
        run.processes[name].terminate()
        assert run.processes[name].wait(30) == 0, run.folders.log(name).read_text()
    result: dict[str, Any] = json.loads(run.folders.result(asking[0]).read_text())
    return result


def charged(path: Path) -> int:
    """How many queries an account was charged for."""
    lines = path.read_text().splitlines() if path.exists() else []
    return sum(entry["costs"][0]["count"] for entry in map(json.loads, lines) if entry["costs"])


def odometers(run: Running) -> dict[str, int]:
    """How many queries each answering party has counted."""
    return {
        process.name: charged(process.settings.model_dump()["odometer"])
        for process in run.plan.processes
        if process.name in SERVERS
    }


def guardians(top: Path) -> int:
    return charged(top / "files" / "durable" / "privacy-guardian" / "ledger.jsonl")


@pytest.mark.parametrize("choices", [{"dp_noise_scale": 0}, {"dp_noise_scale": 0, "aggregation": "direct"}],
                         ids=["paillier", "direct"])  # fmt: skip
def test_one_party_never_starts_and_one_is_killed_between_batches(tmp_path: Path, choices: dict[str, Any]) -> None:
    with five(tmp_path, **choices) as run:
        run.processes["server-1"].kill()
        run.wait_for_event("server-3", '"step_finished", "step": "2"')
        os.kill(run.processes["server-3"].pid, signal.SIGKILL)
        result = finish(run, ("server-1", "server-3"))
        counted = odometers(run)
        first = expected_labels(run, voters=[name for name in SERVERS if name != "server-1"])
        rest = expected_labels(run, voters=("server-0", "server-2", "server-4"))
    labels = [query["predicted"] for query in result["queries"]]
    assert len(labels) == 12
    done = next((n for n in (0, 4, 8, 12) if labels == first[:n] + rest[n:]), None)  # with it the first batch may break
    assert done is not None, (labels, first, rest)
    assert first != rest  # so that it matters who votes
    assert (result["n_parties"], set(result["left_out"])) == (5, {"server-1", "server-3"})
    assert result["fewest_voters"] == 3
    assert "nobody accepted a connection" in result["left_out"]["server-1"]
    assert guardians(tmp_path) == 12  # every query once, whoever voted
    assert {name: counted[name] for name in ("server-0", "server-2", "server-4")} == dict.fromkeys(
        ("server-0", "server-2", "server-4"), 12
    )
    assert counted["server-1"] == 0
    assert done <= counted["server-3"] <= min(done + 4, 12)  # it may have voted on the batch that broke


def test_another_one_who_asks_keeps_its_place_when_the_first_ones_session_breaks(tmp_path: Path) -> None:
    choices = {"n_parties": 3, "min_parties": 2, "qp_id": (0, 1), "n_queries": 4, "batch_size": 2, "dp_noise_scale": 0}
    asking = ("client-0", "client-1")
    with five(tmp_path, **choices) as run:
        run.wait_for_event("server-3", '"step_finished", "step": "2"')
        run.processes["server-3"].kill()
        finish(run, ("server-3",), asking)
        results = [json.loads(run.folders.result(name).read_text()) for name in asking]
        counted = odometers(run)
        log = run.folders.log("client-1").read_text()
    assert [len(result["queries"]) for result in results] == [4, 4]
    assert set(results[1]["left_out"]) == {"server-3"}
    assert "was lost, and what is left is asked again" not in log  # its channel was left alone
    assert guardians(tmp_path) == 8
    assert (counted["server-0"], counted["server-1"], counted["server-2"]) == (4, 4, 8)


def test_noise_in_parts_is_that_of_those_who_vote(tmp_path: Path) -> None:
    """The parties draw their parts from seeds here. Four vote, and one of them may tell its part."""
    choices = {"dp_noise_scale": 2, "noise_by": "parties", "colluding": 1}
    with five(tmp_path, wrapper="tests.parties.capc.seeded", **choices) as run:
        run.processes["server-4"].kill()
        result = finish(run, ("server-4",))
        voters = SERVERS[:4]
        labels = [query["predicted"] for query in result["queries"]]
        assert labels == expected_labels(run, randomness_of(4), voters)
        assert labels != expected_labels(run, voters=voters)
    assert (result["fewest_voters"], set(result["left_out"])) == (4, {"server-4"})


def test_fewer_than_must_vote_end_the_run_with_who_is_missing_and_the_number(tmp_path: Path) -> None:
    with five(tmp_path, connect_deadline_s=30) as run:
        for name in ("server-0", "server-2", "server-3"):
            run.processes[name].kill()
        for name in ("client", "privacy-guardian"):
            run.processes[name].wait(600)
        statuses = {n: json.loads(run.folders.status(n).read_text()) for n in ("client", "privacy-guardian")}
    sentence = "step 0: expected at least 3 of 5 answering parties, found 2; missing: server-0"
    assert statuses["client"]["error"].startswith(f"{sentence} (nobody accepted a connection at 127.0.0.1:")
    assert statuses["client"]["error"].count("nobody accepted a connection") == 3
    assert statuses["privacy-guardian"]["error"] == f"{sentence}, server-2, server-3"
    assert not (tmp_path / "files" / "durable" / "privacy-guardian" / "ledger.jsonl").exists()  # nothing was charged


def test_a_party_with_another_minimum_is_left_out_and_both_values_are_named(tmp_path: Path) -> None:
    def prepare(plan: Plan, _: RunFolders) -> Plan:
        settings = {one.name: one.settings.model_copy(update={"min_parties": 4}) for one in plan.processes}
        processes = [
            replace(one, settings=settings[one.name]) if one.name == "server-2" else one for one in plan.processes
        ]
        return replace(plan, processes=tuple(processes))

    with five(tmp_path, prepare) as run:
        result = finish(run, ("server-2",))
        run.processes["server-2"].wait(60)
        error = json.loads(run.folders.status("server-2").read_text())["error"]
    assert result["left_out"] == {"server-2": "the public parameters differ in min_parties: here 3, at server-2 4"}
    assert "the public parameters differ in min_parties: here 4, at client 3" in error


def test_a_launched_run_goes_on_without_a_party_that_is_killed_and_its_report_names_it(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path / "files", tmp_path / "logs", "none")
    trained.fill([folders.cache(name) for name in SERVERS])  # where no earlier test has left any, they train
    keys = {"epochs": 3, "dp_noise_scale": 0, "paillier_bits": 2048, "quorum_wait_s": 60, "rejoin_s": 200}
    file = tmp_path / "quorum.yaml"
    file.write_text(yaml.safe_dump({"capc": FIVE | keys}))
    flags = ("--config", str(file), "--launcher", "process", "--start_port", str(free_ports(7)), "--progress", "lines")
    command = [sys.executable, str(ROOT / "run_protocol.py"), *flags]
    started = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    killed = kill_when(tmp_path, "server-3", "wait for a querying party")
    output, _ = started.communicate(timeout=600)
    assert killed
    assert started.returncode == 0, output
    (path,) = tmp_path.glob("files/capc-*/result.json")
    result = json.loads(path.read_text())
    assert [loss["party"] for loss in result["lost"]] == ["server-3"]
    assert set(result["result"]["left_out"]) == {"server-3"}
    assert "answered by: 4 of 5; left out: server-3 (" in output
    assert "4 of 5 answered" in output
    assert "server-3 was lost" in output
    page = path.with_name("report.html").read_text()
    assert "Who voted" in page
    assert "4 of 5 for the querying party" in page


def kill_when(top: Path, name: str, text: str) -> bool:
    """Kill a party of a launched run as soon as its events hold a text."""
    expires = time.monotonic() + 200
    while time.monotonic() < expires:
        for events in top.glob(f"files/capc-*/{name}/events.jsonl"):
            if text in events.read_text():
                for entry in Path("/proc").iterdir():
                    if entry.name.isdigit() and _runs(entry, str(events.parent)):
                        os.kill(int(entry.name), signal.SIGKILL)
                        return True
        time.sleep(0.05)
    return False


def _runs(entry: Path, folder: str) -> bool:
    try:
        return folder in (entry / "cmdline").read_text()
    except OSError:
        return False


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"min_parties": 6}, "min_parties: expected at most the 5 answering parties, found 6"),
        ({"preprocessing": "dealer"}, "min_parties: expected 5, which is all, with preprocessing dealer, found 3"),
        ({"threshold": 4}, "threshold: expected at most the 3 of min_parties, who could not reach more, found 4"),
        ({"dp_noise_scale": 4, "noise_by": "parties", "colluding": 2}, "min_parties: expected at least 4, of whom 2"),
        ({"rejoin_s": 2}, "rejoin_s: expected at least the 20 s of quorum_wait_s, found 2"),
        ({"rejoin_s": 0}, "rejoin_s: expected at least the 20 s of quorum_wait_s, found 0"),
        ({"connect_deadline_s": 2}, "quorum_wait_s: expected at most the 2 s of connect_deadline_s, found 20"),
    ],
)  # fmt: skip
def test_what_fewer_parties_cannot_do_is_refused_with_the_numbers(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        CapcConfig(**FIVE | wrong)
    CapcConfig(**FIVE | wrong | {"min_parties": 5})  # all of them can


def test_a_quorum_tries_again_by_default() -> None:
    assert CapcConfig(n_parties=5, min_parties=3).tries_again_s == 120
    assert CapcConfig(n_parties=5, min_parties=5).tries_again_s == 0
    assert CapcConfig(n_parties=5).tries_again_s == 0
    assert CapcConfig(n_parties=5).least == 5


def test_a_result_names_everybody_who_did_not_vote_on_some_batch_and_the_fewest_voters() -> None:
    turnouts = [Turnout(5, {}), Turnout(3, {"server-1": "slow", "server-4": "lost"}), Turnout(4, {"server-1": "lost"})]
    assert voted(turnouts) == {"fewest_voters": 3, "left_out": {"server-1": "lost", "server-4": "lost"}}
    assert voted([]) == {}
    shown = PROTOCOLS["capc"].summary(report(query(0, 7, 7), **voted(turnouts)) | {"n_parties": 5})
    assert shown.lead == "1 label, right, 3 of 5 answered, epsilon 2.5"
    assert ("answered by", "3 of 5; left out: server-1 (lost); server-4 (lost)") in shown.lines
    assert "Who voted" in [section.title for section in shown.sections]
    whole = PROTOCOLS["capc"].summary(report(query(0, 7, 7), **voted([Turnout(3, {})])))
    assert whole.lead == "1 label, right, epsilon 2.5"
    assert "answered by" not in dict(whole.lines)
    assert "Who voted" not in [section.title for section in whole.sections]
