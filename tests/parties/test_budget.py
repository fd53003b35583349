"""The guardian charges before it answers, tells the querying party, and refuses in words; the published result."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.channel import memory_pair
from mpc.errors import ProtocolError
from parties.budget import Spent, guardian_charge, querying_learn_spent
from parties.capc_config import CapcConfig
from parties.ledger import BudgetExceededError, Ledger
from parties.plan import Run, RunFolders
from parties.protocols import PROTOCOLS
from parties.results import Results
from parties.settings import QueryingSettings

ENTRY = ("digits/party-0", "2", 3, "session-1")


def ledger(path: Path, budget: float | None) -> Ledger:
    return Ledger(path / "ledger.jsonl", lambda spent: float(sum(answers for _, answers in spent)), budget)


def test_the_querying_party_learns_what_the_run_and_all_runs_cost(tmp_path: Path) -> None:
    client, guardian = memory_pair("client", "privacy-guardian")
    for total in (3, 6):
        assert guardian_charge(guardian, ledger(tmp_path, None), ENTRY, 3.0) == total
        assert querying_learn_spent(client) == Spent("", 3.0, total)


def test_over_budget_both_sides_stop_with_the_same_sentence(tmp_path: Path) -> None:
    client, guardian = memory_pair("client", "privacy-guardian")
    with pytest.raises(BudgetExceededError, match="expected at most epsilon 2") as refused:
        guardian_charge(guardian, ledger(tmp_path, 2.0), ENTRY, 3.0)
    with pytest.raises(BudgetExceededError) as told:
        querying_learn_spent(client)
    assert str(told.value) == str(refused.value)
    assert ledger(tmp_path, None).charges() == []


def test_no_answer_is_possible_before_the_charge_is_on_the_disk(tmp_path: Path) -> None:
    client, guardian = memory_pair("client", "privacy-guardian")
    broken = Ledger(tmp_path / "absent" / "ledger.jsonl", lambda _: 0.0, None)
    with pytest.raises(Exception, match="cannot open the ledger"):
        guardian_charge(guardian, broken, ENTRY, 3.0)
    assert guardian.transcript == []
    guardian.close()
    with pytest.raises(Exception, match="closed the connection"):
        querying_learn_spent(client)


def test_another_message_in_its_place_is_refused() -> None:
    client, guardian = memory_pair("client", "privacy-guardian")
    guardian.send("budget", b"\x81\xa3run\xcb")
    with pytest.raises(ProtocolError, match="expected a Spent"):
        querying_learn_spent(client)


def published(tmp_path: Path, spent: Spent, *batches: list[int]) -> dict[str, Any]:
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "test"), "session-1", 40000)
    plan = PROTOCOLS["capc"].plan(CapcConfig(start_batch=20, n_queries=3, batch_size=2), run)
    settings = plan.processes[0].settings
    assert isinstance(settings, QueryingSettings)
    results = Results(tmp_path / "result.json", settings, np.array([7, 2, 1]))
    for batch in batches:
        results.publish(np.array(batch), spent)
    assert (tmp_path / "result.json").stat().st_mode & 0o777 == 0o600
    content: dict[str, Any] = json.loads((tmp_path / "result.json").read_text())
    return content


def test_the_result_says_what_was_predicted_what_is_correct_and_what_it_cost(tmp_path: Path) -> None:
    result = published(tmp_path, Spent("", 2.5, 4.0), [7, 3], [1])
    assert result["queries"] == [
        {"index": 20, "predicted": 7, "correct": 7, "agree": True},
        {"index": 21, "predicted": 3, "correct": 2, "agree": False},
        {"index": 22, "predicted": 1, "correct": 1, "agree": True},
    ]
    assert (result["epsilon"], result["epsilon_total"], result["warnings"]) == (2.5, 4.0, [])
    assert (result["n_parties"], result["dp_noise_scale"], result["delta"]) == (1, "1/6", "0.00001")


def test_a_run_that_breaks_off_leaves_the_labels_it_has(tmp_path: Path) -> None:
    assert [query["index"] for query in published(tmp_path, Spent("", 2.5, 4.0), [7, 3])["queries"]] == [20, 21]


def test_a_cost_without_bound_is_null_with_a_warning(tmp_path: Path) -> None:
    result = published(tmp_path, Spent("", math.inf, math.inf), [7, 2], [1])
    assert result["epsilon"] is None
    assert "no differential privacy" in result["warnings"][0]
