"""A trial's figures are those of the simulation, or of a run's result, and a grid may name functions of one's own."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from capc.grid import simulate as command
from parties.capc import trial
from parties.capc.config import CapcConfig
from parties.capc.simulation import simulate
from parties.capc.trial import FIGURES, Worker, of_result
from parties.frame.errors import ConfigError
from tests.parties.learning.extensions.own_code import write_code

SMALL: dict[str, Any] = {
    "strategy": "margin",
    "models": ["logistic-regression"],
    "n_parties": 5,
    "missing_classes": 3,
    "unlabelled": 300,
    "n_queries": 6,
    "qp_id": [0, 2],
    "dp_noise_scale": 0,
}


def test_its_figures_are_those_of_the_simulation() -> None:
    figures = Worker().figures(SMALL)
    campaigns = simulate(CapcConfig(**SMALL))
    assert tuple(figures) == FIGURES
    assert (figures["labels"], figures["abstained"], figures["epsilon"]) == (12, 0, math.inf)
    before, after = (
        sum(getattr(one, name).overall for one in campaigns) / 2 for name in ("before", "after")
    )  # fmt: skip
    assert figures["before"] == pytest.approx(before)
    assert figures["after"] == pytest.approx(after)
    assert figures["gain"] == pytest.approx(after - before)
    right = sum((one.labels == one.correct).mean() for one in campaigns) / 2
    assert figures["right"] == pytest.approx(right)


def test_a_worker_trains_a_model_that_trials_share_once(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def train(settings: Any, records: Any, start: Any = None) -> Any:
        trained.append((settings.identity(), records.digest()))
        return real(settings, records, start)

    real = trial.train
    monkeypatch.setattr(trial, "train", train)
    worker = Worker()
    first = worker.figures(SMALL)
    assert worker.figures(SMALL) == first
    assert len(trained) == len(set(trained)) == 8  # six owners, and two that train again
    worker.figures(SMALL | {"seed": 1})
    assert len(trained) == 16


def report(**changes: Any) -> dict[str, Any]:
    accuracy = {"before": 0.5, "after": 0.75}
    return {
        "strategy": "margin", "epsilon_total": 2.0, "answered": 3, "abstained": 1, "label_accuracy": 1.0,
        "accuracy": accuracy,
    } | changes  # fmt: skip


def test_the_figures_of_a_run_with_several_that_ask() -> None:
    assert of_result(report()) == {
        "epsilon": 2.0, "labels": 3, "abstained": 1, "right": 1.0, "before": 0.5, "after": 0.75, "gain": 0.25,
        "given_votes": None,
    }  # fmt: skip
    second = report(epsilon_total=None, answered=0, label_accuracy=None, accuracy={"before": 0.7, "after": None})
    found = of_result({"reports": [report(), second]})
    assert (found["epsilon"], found["labels"], found["right"]) == (math.inf, 3, 1.0)
    assert (found["before"], found["after"]) == (pytest.approx(0.6), pytest.approx(0.725))
    assert of_result(report(accuracy=None))["gain"] is None
    with pytest.raises(ConfigError, match="strategy: expected a campaign, found given"):
        of_result({key: value for key, value in report().items() if key != "strategy"})


def test_a_grid_may_name_functions_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_code(tmp_path / "code")
    keys = SMALL | {"code_dir": "code", "qp_id": [0]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"capc": keys}))
    out = tmp_path / "own.csv"
    arguments = ["--config", str(tmp_path / "own.yaml"), "--out", str(out), "--progress", "none"]
    assert command([*arguments, "--grid", "strategy=margin,researchers:brightest,researchers:fails"], "simulate") == 1
    with out.open(newline="") as file:
        found = {row["strategy"]: row for row in csv.DictReader(file)}
    assert (found["margin"]["labels"], found["researchers:brightest"]["labels"]) == ("6", "6")
    assert found["margin"]["epsilon"] == "inf"
    assert found["researchers:fails"]["failed"].startswith("strategy researchers:fails: KeyError: 'no such file'")
    assert "1 of 3 trials failed" in capsys.readouterr().err
