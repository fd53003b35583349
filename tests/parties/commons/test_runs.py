"""Runs of the real programs: the results, who is named, and parties that are killed, stopped, or lie on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mpc.commons.replica import Copy
from parties.commons import clinics
from parties.commons.audit import audit
from parties.commons.results import in_the_clear
from parties.commons.storage import read_founding, read_line
from tests.orchestrator.conftest import processes_of, wait_for
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 600.0
SMALL = {
    "clinics": 3, "records_each": 4, "smallest_batch": 6, "reports_within_s": 100.0, "words_patience_s": 60.0,
    "sums_patience_s": 60.0, "log_deadline_s": 200.0, "run_deadline_s": 250.0, "key_patience_s": 60.0,
}  # fmt: skip
"""All come on their own time, however slow the machine is. Nobody is waited for where all are there."""

SOME_ARE_GONE = {"key_patience_s": 10.0, "words_patience_s": 10.0, "sums_patience_s": 1.0}


@dataclass
class Started:
    """A run as a person starts it."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    @property
    def run(self) -> str:
        found = re.search(r"^Logs: .*/(\S+)$", self.said, re.MULTILINE)
        assert found, self.said
        return found[1]

    @property
    def log_folder(self) -> Path:
        return self.folder / "logs" / self.run / "log"

    def until(self, text: str) -> None:
        wait_for(lambda: text in self.said or self.process.poll() is not None, text)
        assert text in self.said, self.said

    def pid(self, party: str) -> int:
        for pid, command in processes_of(self.run).items():
            if f"/{party}/settings.json" in command:
                return pid
        raise AssertionError(f"{party} is not there")

    def result(self) -> dict[str, Any]:
        """The result document of a run that has ended well, and left nothing behind."""
        assert self.process.wait(PATIENCE_S) == 0, self.said
        wait_for(lambda: not processes_of(self.run), "the end of all processes")
        document: dict[str, Any] = json.loads((self.folder / "files" / self.run / "result.json").read_text())
        return document

    def failure(self) -> str:
        """The last line of a run that has failed."""
        assert self.process.wait(PATIENCE_S) != 0, self.said
        wait_for(lambda: not processes_of(self.run), "the end of all processes")
        return self.said.splitlines()[-1]


@contextmanager
def started(folder: Path, **choices: Any) -> Iterator[Started]:
    config = folder / "commons.yaml"
    config.write_text(yaml.safe_dump({"protocol": "commons", "commons": SMALL | choices}))
    command = [
        sys.executable, "run_protocol.py", "--config", str(config), "--launcher", "process", "--progress", "lines",
        "--start_port", str(free_ports(8)), "--files_dir", str(folder / "files"), "--logs_dir", str(folder / "logs"),
    ]  # fmt: skip
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        yield Started(process, folder)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


def expected(without: tuple[int, ...] = ()) -> dict[str, Any]:
    """What all clinics but some would find in the clear."""
    rows = clinics.measurements(SMALL["clinics"], SMALL["records_each"], 0)
    measured = [one for place, clinic in enumerate(rows) if place not in without for one in clinic]
    return {name: in_the_clear(name, measured) for name in clinics.FUNCTIONS}


def answers(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["result"]["reports"][0]["answers"]
    return found


def values(document: Mapping[str, Any]) -> dict[str, Any]:
    return {one["function"]: one["value"] for one in answers(document) if "value" in one}


def lost(document: Mapping[str, Any]) -> list[str]:
    return sorted(one["party"] for one in document["lost"])


def test_the_results_are_those_in_the_clear_and_one_revocation_bars_the_next_request(tmp_path: Path) -> None:
    with started(tmp_path, revoke="clinic-1") as run:
        document = run.result()
        assert values(document) == expected()
        assert lost(document) == []
        links = {tuple(one["link"]): (one["forth"], one["back"]) for one in document["links"] if one["link"][1] != "-"}
        assert min(links["trustee-0", "trustee-1"]) > 1000  # both ways, from both ends
        assert min(links["trustee-0", "clinic-0"]) > 1000
        assert min(links["aggregator-0", "institute"]) > 100
        last = answers(document)[-1]
        assert re.fullmatch(
            r"entry (\d+) revokes the policy of entry (\d+); what was released before cannot be recalled",
            last["refused"],
        )
        found = audit(run.log_folder)  # by anybody, later, without a network
        kinds = [one.kind for one in found.events]
        assert (kinds.count("request"), kinds.count("grant"), kinds.count("refuse")) == (4, 3, 1)
        revocation = next(one for one in found.events if one.kind == "revoke")
        assert (revocation.index, revocation.author) == (last["entry"], "clinic-1")
        page = (tmp_path / "files" / run.run / "report.html").read_text()
        assert last["refused"] in page
        command = [sys.executable, "run_protocol.py", "audit", str(run.log_folder)]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        other = [sys.executable, "-m", "parties.commons.audit", str(run.log_folder)]
        assert told == subprocess.run(other, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert last["refused"] in told
        journal = run.log_folder / "journal"
        journal.write_bytes(journal.read_bytes().replace(b"accepted ", b"accepted A", 1))
        broken = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (broken.returncode, broken.stderr.startswith("The log does not hold. line 1: ")) == (1, True)


@pytest.mark.slow
def test_one_of_each_lies_and_is_named(tmp_path: Path) -> None:
    with started(tmp_path, faults={"aggregator-2": "lies", "trustee-3": "lies", "clinic-0": "lies"}) as run:
        document = run.result()
    assert values(document) == expected(without=(0,))
    assert lost(document) == []
    for one in answers(document):
        assert one["rejected"] == {"clinic-0": 4}
        assert one["aggregators_lied"] == ["aggregator-2"]
        assert list(one["trustees_lied"]) == ["trustee-3"]
    assert "who lied: aggregator-2, clinic-0, trustee-3\n" in run.said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aggregator-1", "trustee-2"])
def test_one_that_is_killed_stops_nothing(tmp_path: Path, name: str) -> None:
    with started(tmp_path, **SOME_ARE_GONE) as run:
        run.until("institute: begins step 2")
        os.kill(run.pid(name), signal.SIGKILL)
        document = run.result()
    assert values(document) == expected()
    assert lost(document) == [name]
    assert f"{name} was lost" in run.said


@pytest.mark.slow
def test_a_sequencer_that_is_stopped_stops_the_log_which_goes_on_with_it(tmp_path: Path) -> None:
    with started(tmp_path) as run:
        run.until("institute: begins step 1")
        sequencer = run.pid("trustee-0")
        os.kill(sequencer, signal.SIGSTOP)
        before = -1
        while before != len(run.said):  # for what was on its way
            before = len(run.said)
            time.sleep(2.0)
        time.sleep(4.0)
        assert "has finished step 2" not in run.said[before:]
        os.kill(sequencer, signal.SIGCONT)
        document = run.result()
    assert values(document) == expected()
    assert lost(document) == []


@pytest.mark.slow  # waits for silent parties
def test_one_of_each_is_silent_or_crashes_and_is_lost(tmp_path: Path) -> None:
    faults = {"aggregator-3": "silent", "trustee-1": "silent", "clinic-2": "crashes"}
    with started(tmp_path, faults=faults, reports_within_s=40.0, **SOME_ARE_GONE) as run:
        document = run.result()
    assert values(document) == expected(without=(2,))
    assert lost(document) == ["aggregator-3", "clinic-2", "trustee-1"]


@pytest.mark.slow
def test_one_loss_more_ends_the_run_and_says_of_whom(tmp_path: Path) -> None:
    with started(tmp_path, faults={"aggregator-1": "crashes", "aggregator-2": "crashes"}) as run:
        sentence = run.failure()
    assert "at most 1 of aggregator-0, aggregator-1, aggregator-2 and aggregator-3 may be lost" in sentence


@pytest.mark.slow
def test_a_trustee_that_starts_again_reads_its_disk_and_catches_up(tmp_path: Path) -> None:
    with started(tmp_path, **SOME_ARE_GONE) as run:
        run.until("auditor: begins step 7")
        auditor = run.pid("auditor")
        os.kill(auditor, signal.SIGSTOP)  # so that the run does not end meanwhile
        run.until("institute: begins step 2")
        private = tmp_path / "files" / run.run / "trustee-1"
        settings = private / "settings.json"
        os.kill(run.pid("trustee-1"), signal.SIGKILL)
        run.until("trustee-1 was lost")
        before = (private / "log" / "journal").read_bytes()
        command = [sys.executable, "-m", "parties.commons.trustee", "--settings", str(settings)]
        again = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            run.until("institute: finished")
            journals = [private.parent / name / "log" / "journal" for name in ("trustee-1", "trustee-2")]
            wait_for(lambda: len({_last_certified(one) for one in journals}) == 1, "a trustee that catches up")
            after = journals[0].read_bytes()
            assert after.startswith(before)
            assert len(after) > len(before)
        finally:
            again.terminate()
            again.wait(PATIENCE_S)
        os.kill(auditor, signal.SIGCONT)
        document = run.result()
    assert values(document) == expected()
    assert lost(document) == ["trustee-1"]


def _last_certified(journal: Path) -> int:
    copy = Copy(read_founding(journal.parent))
    for number, line in enumerate(journal.read_bytes().split(b"\n")[:-1], 1):
        copy.take(read_line(number, line))
    return copy.certified_size


@pytest.mark.slow
def test_noise_is_dealt_by_parts_and_its_epsilon_is_said(tmp_path: Path) -> None:
    with started(tmp_path, dp_noise_scale=50.0) as run:
        document = run.result()
        kinds = [one.kind for one in audit(run.log_folder).events]
    assert kinds.count("noise") == 8  # four aggregators, two results
    noisy = values(document)
    assert list(noisy) == ["radius.histogram/10/noise-50", "radius.sum/511/noise-25550"]
    exact = expected()[clinics.HISTOGRAM]["counts"]
    noisy_counts = noisy["radius.histogram/10/noise-50"]["counts"]
    differences = [found - right for found, right in zip(noisy_counts, exact, strict=True)]
    # All ten are within two with probability below 10^-10. No part is beyond twelve of its scales.
    assert max(map(abs, differences)) > 2
    assert max(map(abs, differences)) <= 4 * 12 * 30
    assert re.search(
        r"privacy: epsilon 0\.\d+ at delta 1e-06 for the mean radius in buckets, with noise of scale 50", run.said
    )
