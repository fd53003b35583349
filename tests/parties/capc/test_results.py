"""What a person is told about the privacy that was spent."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from mpc.capc.budget import Spent
from mpc.dp.accountant import answer_cost, epsilon
from parties.capc.config import CapcConfig
from parties.capc.questions import questions
from parties.capc.results import Results, warnings
from parties.capc.settings import QueryingSettings
from parties.frame.plan import Run, RunFolders
from parties.frame.process import Party
from parties.frame.progress import Progress
from parties.learning.records import AskedRecords
from parties.protocols import PROTOCOLS


def test_the_demos_noise_is_called_what_it_is() -> None:
    spent = epsilon([answer_cost("1/10")], 1e-5)
    assert spent > 100
    (warning,) = warnings(spent, 1)
    assert "no privacy to speak of" in warning
    assert "1 answering party," in warning


def test_warnings_come_only_where_they_are_due() -> None:
    assert warnings(2.5, 50) == ()
    assert "no differential privacy" in warnings(math.inf, 3)[0]
    assert "3 answering parties" in warnings(10.5, 3)[0]
    assert "larger dp_noise_scale" in warnings(10.5, 50)[0]


def test_given_queries_tell_how_far_they_are_from_the_beginning_on(tmp_path: Path) -> None:
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "test"), "session-1", 40000)
    settings = PROTOCOLS["capc"].plan(CapcConfig(first_query=20, n_queries=3), run).processes[0].settings
    assert isinstance(settings, QueryingSettings)
    images, truths = np.zeros((3, 1, 2, 2), np.float32), np.array([4, 7, 1])
    AskedRecords(images, truths).write(tmp_path / "queries.npz")
    with Progress("client", tmp_path / "client.log", tmp_path, echo=False) as progress:
        asking = questions(Party(settings, tmp_path, progress))
        assert np.array_equal(asking.images, images)
        asking.refused(Spent("used up", 0, 0.0, 9.0), {})
        assert not (tmp_path / "result.json").exists()  # nothing to keep
        asking.answered(0, b"batch", np.array([4, 5]), Spent("", 2, 2.5, 4.0, 10.0), {})
        asking.answered(2, b"batch", np.array([1]), Spent("", 1, 3.5, 5.0, 10.0), {})
    told = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(event["done"], event["of"], event["unit"]) for event in told] == [
        (0, 3, "queries"),
        (2, 3, "queries"),
        (3, 3, "queries"),
    ]
    assert [event["figures"][1]["value"] for event in told] == [0.0, 4.0, 5.0]
    kept = json.loads((tmp_path / "result.json").read_text())["queries"]
    assert [(query["index"], query["predicted"], query["correct"], query["agree"]) for query in kept] == [
        (20, 4, 4, True),
        (21, 5, 7, False),
        (22, 1, 1, True),
    ]


def test_before_anything_is_asked_nothing_is_spent(tmp_path: Path) -> None:
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "test"), "session-1", 40000)
    settings = PROTOCOLS["capc"].plan(CapcConfig(), run).processes[0].settings
    assert isinstance(settings, QueryingSettings)
    Results(tmp_path / "result.json", settings).publish(None)
    found = json.loads((tmp_path / "result.json").read_text())
    assert (found["epsilon"], found["epsilon_total"]) == (0, 0)
    assert (found["answered"], found["refusal"], found["owners"], found["warnings"]) == (0, None, {}, [])
