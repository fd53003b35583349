"""Two processes train a model that one of them does not show, on records that the other does not show."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from mpc.encrypted.private_model import PrivateModelJob
from orchestrator.launchers import tmux
from parties.encrypted.model import LinearModel
from parties.encrypted.model_run.settings import SHOWN
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import LabelledTable
from parties.encrypted.settings import OWNER, TRAINER
from parties.encrypted.wire import label
from parties.frame.errors import ConfigError
from tests.parties.encrypted.processes import ROOT, running
from tests.ports import free_ports

PAGE = ROOT / "docs" / "messages.md"


def start(folder: Path) -> LinearModel:
    """A model of three kinds of iris flowers, with weights of chance, and the flowers."""
    features, classes = load_iris(return_X_y=True)
    weights = np.random.default_rng(0).normal(size=(3, 4))
    model = LinearModel(weights, Preparation.of(features[:100:2], 3, 0.01, 4.0), ("0", "1", "2"))
    model.write(folder / "start.npz")
    np.savez(folder / "x.npz", X=features, y=classes)
    return model


def test_both_processes_give_what_the_steps_in_the_clear_give(tmp_path: Path) -> None:
    model = start(tmp_path)
    choices: dict[str, Any] = {
        "start_model": tmp_path / "start.npz", "dataset": tmp_path / "x.npz", "output_model": tmp_path / "end.npz",
        "iterations": 40,
    }  # fmt: skip
    with running(tmp_path, encrypted="model", **choices) as parties:
        found = parties.reports()
        kept = LabelledTable.read(parties.folders.party(OWNER) / "records.npz")
        assert sorted(path.name for path in parties.folders.party(OWNER).glob("*.npz")) == ["records.npz"]
        seen = b"".join(path.read_bytes() for path in parties.folders.party(OWNER).iterdir())
    end = LinearModel.read(tmp_path / "end.npz")
    prepared, _ = model.preparation.apply(kept.features)
    rate = found[OWNER]["rate"]
    assert rate == pytest.approx(1 / np.linalg.eigvalsh(prepared.T @ prepared / len(prepared))[-1])
    for target in range(3):
        weights = model.weights[target].copy()
        for _ in range(40):
            weights -= rate / len(prepared) * ((prepared @ weights - kept.signs(target)) @ prepared)
        assert np.abs(end.weights[target] - weights).max() < 2e-5
        assert np.abs(end.weights[target] - model.weights[target]).max() > 0.1
        assert not any(weight.tobytes() in seen for weight in (*model.weights[target], *end.weights[target]))
    assert (tmp_path / "end.npz").stat().st_mode & 0o777 == 0o600
    owner = found[TRAINER]
    assert owner["accuracy"] == pytest.approx(owner["twin"]["accuracy"], abs=1 / owner["held_out"])
    assert found[OWNER]["flood"]["bits"] > 30
    assert not {"accuracy", "twin", "before"} & {*found[OWNER]}


def command(folder: Path, launcher: str) -> list[str]:
    return [
        sys.executable, "run_protocol.py", "--config", "configs/securetrain-private-model.yaml",
        "--launcher", launcher, "--start_port", str(free_ports(1)), "--files_dir", str(folder),
        "--logs_dir", str(folder / "logs"),
    ]  # fmt: skip


@pytest.mark.parametrize("launcher", ["process", "tmux"])
def test_the_configuration_runs_and_its_report_says_what_each_party_saw(tmp_path: Path, launcher: str) -> None:
    if launcher == "tmux" and tmux.unavailable():
        pytest.skip("no usable tmux")
    done = subprocess.run(
        command(tmp_path, launcher), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    first = re.fullmatch(r"(0\.\d{4}) on 114 records that were held out, before training (0\.\d{4})", lines["accuracy"])
    assert first is not None
    twin = re.match(r"(0\.\d{4}) \(scikit-learn on the data owner's records: 0\.9", lines["the same in the clear"])
    assert twin is not None
    assert float(first[1]) == pytest.approx(float(twin[1]), abs=0.01)
    assert float(first[1]) > float(first[2]) - 0.02
    assert "statistical distance of 2^-3" in lines["project-owner saw"]
    assert lines["data-owner saw"].endswith("features 32, targets 1, but no weight")
    assert "private to its holder" in done.stdout + done.stderr
    (path,) = tmp_path.glob("*/result.json")
    project, data = json.loads(path.read_text())["result"]["reports"]
    assert (project["party"], data["party"]) == (TRAINER, OWNER)
    assert "statistical distance" in (path.parent / "report.html").read_text()
    assert not list(path.parent.glob("*/key.pem"))


def test_records_that_have_answered_often_answer_no_more(tmp_path: Path) -> None:
    start(tmp_path)
    choices: dict[str, Any] = {"start_model": tmp_path / "start.npz", "dataset": tmp_path / "x.npz"}
    for results in (3, None):  # of 4 weights, each run has 3 targets
        with running(tmp_path, encrypted="model", **choices) as parties:
            if results:
                assert parties.reports()[OWNER]["answered"] == {"trainings": 1, "results": results}
            else:
                assert "expected fewer than 4 results" in parties.status(OWNER)["error"]
                assert parties.status(TRAINER)["peer"] == OWNER
                assert not parties.folders.result(TRAINER).exists()
        shutil.rmtree(tmp_path / "files" / "run")
    with running(tmp_path, encrypted="model", moments_known=True, **choices) as parties:
        assert parties.reports()[OWNER]["answered"] == {"trainings": 2, "results": 6}


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_the_loss_of_the_data_owner_ends_the_run_in_its_name(tmp_path: Path, blow: signal.Signals) -> None:
    start(tmp_path)
    slow = {OWNER: {"iterations": 10**6}}  # the check of the map takes them one by one
    choices: dict[str, Any] = {"dataset": tmp_path / "x.npz", "message_deadline_s": 3}
    with running(tmp_path, slow, encrypted="model", **choices) as parties:
        parties.await_step(OWNER, "4")
        parties.processes[OWNER].send_signal(blow)
        status = parties.status(TRAINER)
        assert not parties.folders.result(TRAINER).exists()
    assert (status["ok"], status["step"], status["peer"]) == (False, "5", OWNER)
    assert status.get("late", False) is (blow == signal.SIGSTOP)


def test_parties_who_were_told_different_jobs_do_not_start(tmp_path: Path) -> None:
    with running(tmp_path, {OWNER: {"features": 64}}, encrypted="model", connect_deadline_s=20) as parties:
        sentences = [parties.status(name)["error"] for name in (OWNER, TRAINER)]
    assert any("features" in one and "32" in one and "64" in one for one in sentences), sentences


def test_a_model_of_other_classes_is_refused_before_the_start(tmp_path: Path) -> None:
    start(tmp_path)
    with (
        pytest.raises(
            ConfigError, match=r"start_model: expected the classes of the records, malignant, benign, found 0, 1"
        ),
        running(tmp_path, encrypted="model", start_model=tmp_path / "start.npz"),
    ):
        pass


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"iterations": 101}, "iterations: expected at most 100 on encrypted records, found 101"),
        ({"start_model": "m.npz"}, "start_model: expected with encrypted: model alone"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(tmp_path: Path, choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence), running(tmp_path, **choices):
        pass


def test_every_message_has_a_row_on_the_page() -> None:
    text = PAGE.read_text().split("\n## Training an encrypted model\n")[1].split("\n## ")[0]
    found = [re.sub(r"STEP|TARGET", r"\\d+", one) for one in re.findall(r"`([\w-]+(?:/[\w-]+)+)`", text)]
    job = PrivateModelJob(32, 2)
    sent = [label(what, name) for what, sizes in (
        ("keys", job.key_sizes()), ("model", job.model_sizes()), ("trained", job.result_sizes())
    ) for name in sizes] + [SHOWN]  # fmt: skip
    assert all(any(re.fullmatch(pattern, one) for pattern in found) for one in sent)
    assert all(any(re.fullmatch(pattern, one) for one in sent) for pattern in found)
