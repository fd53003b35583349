"""The noise of the deployed programs: it is drawn, by whom it should be, at its scale, and afresh for every query."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.capc.confident import ConfidentArgmax
from mpc.randomness import SeededRandomness
from tests.parties.capc.runs import expected_labels, running
from tests.parties.capc.seeded import randomness_of

ASKED = {"models": "mlp", "n_parties": 3, "n_queries": 24, "batch_size": 8}


@pytest.mark.parametrize(
    "choices",
    [
        {"dp_noise_scale": "2"},
        {"dp_noise_scale": "2", "aggregation": "direct", "noise_by": "parties", "colluding": 1},
        {"dp_noise_scale": "0.5", "threshold": 3, "threshold_noise_scale": "3"},
        {"dp_noise_scale": "0", "threshold": 3, "threshold_noise_scale": "3"},
    ],
    ids=["guardian", "parties", "threshold", "threshold alone"],
)
def test_labels_are_those_of_the_same_noise_in_the_clear(tmp_path: Path, choices: dict[str, Any]) -> None:
    with running(tmp_path, wrapper="tests.parties.capc.seeded", **ASKED | choices) as run:
        result = run.finish()
        labels = [-1 if query["predicted"] is None else query["predicted"] for query in result["queries"]]
        expected = expected_labels(run, randomness_of(3))
        without = expected_labels(run)
    assert labels == expected
    assert sum(a != b for a, b in zip(expected, without, strict=True)) >= 4  # the noise decides, so that it is tested


@pytest.mark.parametrize("choices", [{}, {"noise_by": "parties", "aggregation": "direct"}], ids=["guardian", "parties"])
def test_under_much_noise_labels_are_not_the_majority(tmp_path: Path, choices: dict[str, Any]) -> None:
    """With the system's own randomness. Two runs give different labels, and nearly all are wrong."""
    seen = []
    for name in ("first", "second"):
        with running(tmp_path, name, **ASKED | {"n_queries": 40, "dp_noise_scale": "5000"} | choices) as run:
            seen.append([query["predicted"] for query in run.finish()["queries"]])
            majority = expected_labels(run)
        assert np.mean(np.array(seen[-1]) == majority) < 0.5  # 0.1 is expected; 20 of 40 have a chance of 1e-9
    assert np.mean(np.array(seen[0]) == seen[1]) < 0.5


def test_limits_have_the_noises_distribution_and_are_drawn_for_each_query() -> None:
    sigma, count = Fraction(3, 2), 20_000
    release = ConfidentArgmax(7, sigma, 10)
    randomness = SeededRandomness(b"limits")
    noise = 7 - release.limits(count, randomness)
    values = np.arange(-5, 6)
    chance = np.exp(-(values**2) / (2 * float(sigma) ** 2))
    chance /= np.exp(-(np.arange(-18, 19) ** 2) / (2 * float(sigma) ** 2)).sum()
    found = np.array([(noise == value).sum() for value in values])
    assert ((found - count * chance) ** 2 / (count * chance)).sum() < 40  # chi-squared of 11, beyond 1e-4
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.03
    assert (noise != 7 - release.limits(count, randomness)).mean() > 0.5  # and for each batch


def test_runs_keep_what_they_spent_apart(tmp_path: Path) -> None:
    with running(tmp_path, **ASKED | {"dp_noise_scale": "2", "n_queries": 1, "batch_size": 1}) as run:
        result = run.finish()
        owners = json.loads(run.folders.result("client").read_text())["owners"]
    assert owners == pytest.approx(dict.fromkeys(("server-0", "server-1", "server-2"), result["epsilon"]))
