"""Logistic regression of three owners and a trainer as processes: what is opened, what is refused, how a kill ends."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_iris

from mpc.encrypted.joint_logistic import JointLogistic, owner_decryption
from mpc.encrypted.packing import Packing
from mpc.encrypted.parameters import parameters_of
from mpc.encrypted.programs.logistic import Logistic, train_in_the_clear
from mpc.encrypted.threshold.training import JointJob, largest_z_of
from mpc.errors import ParameterError
from parties.encrypted.config import PoolConfig, SecureTrainConfig
from parties.encrypted.model import LinearModel
from parties.encrypted.pool.owner import prepared
from parties.encrypted.pool.report import summary
from parties.encrypted.records import LabelledTable
from parties.encrypted.wire import label
from parties.frame.errors import ConfigError
from tests.mpc.encrypted.threshold.joint import owners_of
from tests.parties.encrypted.processes import ROOT, running

OWNERS = ("ada", "bea", "cyd")
PAGE = ROOT / "docs" / "messages.md"
CHOICES: dict[str, Any] = {"owners": OWNERS, "algorithm": "logistic", "iterations": 4, "norm": 2.0, "sigma": 0.01}


def flowers(folder: Path) -> Path:
    features, classes = load_iris(return_X_y=True)
    path = folder / "x.npz"
    np.savez(path, X=features[classes > 0], y=classes[classes > 0])
    return path


def test_the_owners_refresh_together_and_get_the_pooled_model_with_noise(tmp_path: Path) -> None:
    choices = {"dataset": flowers(tmp_path), "output_model": tmp_path / "model.npz"}
    with running(tmp_path, pool=CHOICES, **choices) as parties:
        found = parties.reports()
        party = parties.folders.party
        tables = [LabelledTable.read(party(name) / "records.npz") for name in OWNERS]
        kept = LinearModel.read(party("ada") / "preparation.npz")
        assert not list(party("trainer").glob("*.npz"))
        for name in OWNERS:  # each has written down what it has answered: each refresh once, and one decryption
            answered = [
                re.findall(r'"step":"([^"]*)"', path.read_text())[0] for path in party(name).glob("*.answered/*")
            ]
            steps = [f"refresh of target 0 after iteration {iteration}" for iteration in (2, 3)]
            assert sorted(step for step in answered if "re" in step and "of" in step) == steps
            assert answered.count("decryption") == 1
        logs = "".join(parties.folders.log(name).read_text() for name in (*OWNERS, "trainer"))
    rows = [records * signs[0][:, None] for records, signs in (prepared(kept, one, 8) for one in tables)]
    packing = Packing.fit(sum(map(len, rows)), 8, parameters_of("small").slots)
    twin = train_in_the_clear(np.vstack(rows), Logistic(4.0, 4), packing)
    model = LinearModel.read(tmp_path / "model.npz")
    noise = model.weights[0] - twin[:5]
    assert np.abs(noise).max() < 6 * 0.01 * 2**0.5
    assert noise.std() > 0.002
    assert not any(f"{weight:.4f}"[:6] in logs for weight in model.weights.ravel() if abs(weight) > 0.1)
    assert found["ada"]["accuracy"] > 0.8
    assert 0 < found["ada"]["leak"] <= 0.01
    assert found["trainer"]["seen"]["rows"] == str(tuple(map(len, rows)))
    assert not {"accuracy", "leak", "largest_z"} & {*found["trainer"]}
    for name, own in zip(OWNERS, rows, strict=True):
        padded = np.pad(model.weights[0], (0, 3))
        assert found[name]["largest_z"] == pytest.approx(largest_z_of(own, padded), abs=0.5)
    reports = [*(found[name] for name in OWNERS), found["trainer"]]
    shown = summary(reports)
    assert dict(shown.lines)["sigmoid's range"].startswith(
        f"each owner's own records reach ada {reports[0]['largest_z']:.2f}"
    )
    assert len(shown.warnings) == 1
    assert "trainer and ada together could open the weights" in shown.warnings[0]
    assert (
        "records of bea are outside" in summary([reports[0], reports[1] | {"largest_z": 8.5}, *reports[2:]]).warnings[1]
    )


def test_an_owner_that_is_killed_in_the_refreshes_ends_the_run_in_its_name_and_nothing_is_opened(
    tmp_path: Path,
) -> None:
    choices = {"dataset": flowers(tmp_path), "message_deadline_s": 30}
    with running(tmp_path, pool=CHOICES, **choices) as parties:
        parties.await_step("bea", "5")
        parties.processes["bea"].send_signal(signal.SIGKILL)
        for name in ("ada", "cyd", "trainer"):
            status = parties.status(name)
            assert not status["ok"]
            assert status["peer"] in ("bea", "trainer"), (name, status)
            assert not parties.folders.result(name).exists()
        assert parties.status("trainer")["peer"] == "bea"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"sigma": 0.0001}, r"found \S+ at a deviation of \S+: raise it to 0.0\d+ or more"),
        ({"learning_rate": 500.0}, r"made-up records .* that they reach .* lower learning_rate from 500"),
        ({"stretch": 9, "iterations": 20}, "take a shorter stretch"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_the_start(
    tmp_path: Path, changed: dict[str, Any], sentence: str
) -> None:
    with (
        pytest.raises(ConfigError, match=sentence),
        running(tmp_path, pool=CHOICES | changed, dataset=flowers(tmp_path)),
    ):
        pass


@pytest.mark.parametrize(
    ("algorithm", "other"), [("ridge", {"iterations": 3}), ("logistic", {"regularisation": 0.1, "degree": 4})]
)
def test_choices_of_the_other_algorithm_are_refused(algorithm: Any, other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"expected no {' or '.join(other)} with the algorithm {algorithm}"):
        PoolConfig(algorithm=algorithm, **other)


def test_the_commented_file_has_every_choice_of_the_algorithm() -> None:
    given = yaml.safe_load((ROOT / "configs" / "pooled-logistic.yaml").read_text())["securetrain"]
    found = SecureTrainConfig(**given).pool
    assert found is not None
    assert {*given["pool"]} == {*PoolConfig.model_fields} - {"regularisation", "largest_eigenvalue", "degree"}
    default = PoolConfig(algorithm="logistic", sigma=0.01)
    assert found == default.model_copy(update={"norm": default.largest_norm})


def test_a_training_that_takes_no_product_or_brings_a_model_is_refused() -> None:
    job = JointJob.of((40, 40), 8, Logistic(4.0, 4, stretch=1), 2.0)
    with pytest.raises(ParameterError, match="more than one iteration"):
        JointLogistic(JointJob.of((40, 40), 8, Logistic(4.0, 1, stretch=1), 2.0), 0.01)
    with pytest.raises(ParameterError, match="found those of owner 2"):
        JointLogistic(JointJob.of((40, 0), 8, Logistic(4.0, 4, stretch=1), 2.0, model=1), 0.01)
    with pytest.raises(ParameterError, match="results of 1 targets, found 2"):
        owner_decryption(owners_of(job.parameters, 2)[0], JointLogistic(job, 0.01), [b"", b""])


def test_the_worst_case_is_proven_for_a_slow_training_alone() -> None:
    def worst(rate: float) -> float:
        return JointLogistic(JointJob.of((480, 480), 8, Logistic(rate, 3, stretch=1), 1.0), 0.01).worst_z

    assert worst(1.0) < 8 < worst(20.0)
    half = JointLogistic(JointJob.of((240, 240), 8, Logistic(1.0, 3, stretch=1), 1.0), 0.01)
    assert half.worst_z == pytest.approx(worst(1.0) / 2)  # half of n' is padding


def test_every_message_has_a_row_on_the_page() -> None:
    text = PAGE.read_text().split("\n## Pooled logistic regression\n")[1].split("\n## ")[0]
    places = r"\b(?:TARGET|ITERATION|PLACE)\b"
    found = [re.sub(places, r"\\d+", one) for one in re.findall(r"^\| `([\w-]+(?:/[\w-]+)*)`", text, re.MULTILINE)]
    found += [re.sub(places, r"\\d+", one) for one in re.findall(r", `([\w-]+(?:/[\w-]+)*)` \|", text)]
    job = JointJob.of((40, 40), 8, Logistic(4.0, 4, stretch=1), 2.0)
    sent = [label("rows", name) for name in job.part_sizes(0)]
    sent += ["refresh/0/2", "share/0/2", "result/0", "masks", "decryption/0"]
    assert all(any(re.fullmatch(pattern, one) for pattern in found) for one in sent)
    assert all(any(re.fullmatch(pattern, one) for one in sent) for pattern in found), found
