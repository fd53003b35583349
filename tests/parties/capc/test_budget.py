"""The guardian charges before it answers, tells the querying party, and refuses in words; the published result."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mpc.capc.batches import draw_name
from mpc.capc.budget import (
    BatchRequest,
    Granted,
    GuardiansAccount,
    Spent,
    querying_end,
    querying_request_batch,
)
from mpc.channels.memory import MemoryChannel, memory_pair, run_both_sides
from mpc.dp.accountant import Cost
from mpc.errors import ProtocolError
from parties.capc.config import CapcConfig
from parties.capc.openings import PartyOpenings
from parties.capc.results import Query, Results
from parties.capc.settings import QueryingSettings
from parties.frame.plan import Run, RunFolders
from parties.ledger import Ledger, LedgerError
from parties.protocols import PROTOCOLS

EACH = (Cost("answer", "2", 2, 1), Cost("check", "9", 1, 1))


def count(spent: Sequence[Cost]) -> float:
    return float(sum(cost.count for cost in spent if cost.what == "answer"))


def account(
    channel: MemoryChannel,
    path: Path,
    budget: float | None,
    openings: PartyOpenings | None = None,
    session: str = "session-1",
) -> GuardiansAccount:
    ledger = Ledger(path / "ledger.jsonl", count, budget)
    return GuardiansAccount(channel, ledger, openings, "digits/party-0", session, EACH, 4, count, budget)


def test_every_batch_is_charged_and_the_querying_party_told_of_the_run_and_all_runs(tmp_path: Path) -> None:
    client, guardian = memory_pair("client", "privacy-guardian")
    for earlier in (0, 5):
        serving = account(guardian, tmp_path, None, session=f"session-{earlier}")
        for wished, run in ((3, 3.0), (2, 5.0)):
            name = draw_name()
            spent, granted = run_both_sides(partial(querying_request_batch, client, wished, name), serving.charge)
            assert granted == Granted(wished, name, repeat=False)
            assert spent == Spent("", wished, run, earlier + run)
        _, granted = run_both_sides(lambda: querying_end(client), serving.charge)
        assert granted is None


def test_a_run_is_what_was_charged_in_all_its_sessions(tmp_path: Path) -> None:
    """A session that broke is opened again under the same name, by which a batch that is paid costs nothing again."""
    client, guardian = memory_pair("client", "privacy-guardian")
    first, other = draw_name(), draw_name()
    openings = PartyOpenings(tmp_path / "openings", "session-1")
    for name, run in ((first, 3.0), (first, 3.0), (other, 6.0)):
        serving = account(guardian, tmp_path, None, openings)
        spent, _ = run_both_sides(partial(querying_request_batch, client, 3, name), serving.charge)
        assert spent == Spent("", 3, run, run)


def test_the_budgets_rest_is_granted_and_what_exceeds_it_refused_in_words(tmp_path: Path) -> None:
    client, guardian = memory_pair("client", "privacy-guardian")
    serving = account(guardian, tmp_path, 5.0)
    answers = []

    def ask() -> None:
        for _ in range(3):
            answers.append(querying_request_batch(client, 4, draw_name()))
        querying_end(client)

    def serve() -> list[int]:
        return [granted.queries if granted else 0 for granted in (serving.charge() for _ in range(3))]

    _, granted = run_both_sides(ask, serve)
    assert granted == [4, 1, 0]
    assert [spent.queries for spent in answers] == [4, 1, 0]
    assert "expected at most epsilon 5 for digits/party-0, found 6" in answers[2].refusal
    assert answers[2].total == 5
    assert serving.ledger.spent("digits/party-0") == 5


def test_no_answer_is_possible_before_the_charge_is_on_the_disk(tmp_path: Path) -> None:
    client, guardian = memory_pair("client", "privacy-guardian")
    broken = account(guardian, tmp_path / "absent", None)
    client.send_message("budget/request", BatchRequest(1, draw_name()))
    with pytest.raises(LedgerError, match="cannot open"):
        broken.charge()
    assert [direction for direction, _, _ in guardian.transcript] == ["received"]


def test_other_messages_and_other_numbers_are_refused(tmp_path: Path) -> None:
    client, guardian = memory_pair("client", "privacy-guardian")
    client.send("budget/request", b"\x81\xa3run\xcb")
    with pytest.raises(ProtocolError, match="expected a BatchRequest"):
        account(guardian, tmp_path, None).charge()
    client.send_message("budget/request", BatchRequest(5, draw_name()))
    with pytest.raises(ProtocolError, match="queries of a batch, at most 4, found 5"):
        account(guardian, tmp_path, None).charge()
    for name in (b"", b"short", bytes(17)):
        client.send_message("budget/request", BatchRequest(1, name))
        with pytest.raises(ProtocolError, match=f"expected bytes in the name of a batch 16, found {len(name)}"):
            account(guardian, tmp_path, None).charge()
    guardian.send_message("budget/spent", Spent("", 3, 1.0, 1.0))
    with pytest.raises(ProtocolError, match="queries granted, at most 2, found 3"):
        querying_request_batch(client, 2, draw_name())


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        (Spent("", 0, 1.0, 1.0), "expected a reason for a refusal, found '' and 0 queries granted"),
        (Spent("used up", 1, 1.0, 1.0), "expected no reason for a refusal, found 'used up' and 1 queries granted"),
        (Spent("used up", -1, 1.0, 1.0), "queries granted, at most 2, found -1"),
        (Spent("", -1, 1.0, 1.0), "queries granted, at most 2, found -1"),
    ],
)
def test_a_grant_that_would_be_asked_for_again_for_ever_is_refused(spent: Spent, expected: str) -> None:
    """A querying party asks until all its queries are answered or refused. Neither would ever be the case."""
    client, guardian = memory_pair("client", "privacy-guardian")
    guardian.send_message("budget/spent", spent)
    with pytest.raises(ProtocolError, match=expected):
        querying_request_batch(client, 2, draw_name())


@pytest.mark.parametrize("count", [-1, -(2**40)])
def test_a_request_for_fewer_than_no_queries_is_refused(count: int, tmp_path: Path) -> None:
    """It would be neither charged nor the end."""
    client, guardian = memory_pair("client", "privacy-guardian")
    client.send_message("budget/request", BatchRequest(count, draw_name()))
    serving = account(guardian, tmp_path, None)
    with pytest.raises(ProtocolError, match=f"queries of a batch, at most 4, found {count}"):
        serving.charge()
    assert serving.ledger.charges() == []


def published(tmp_path: Path, spent: Spent, *batches: list[int | None]) -> dict[str, Any]:
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "test"), "session-1", 40000)
    plan = PROTOCOLS["capc"].plan(CapcConfig(first_query=20, n_queries=3, batch_size=2), run)
    settings = plan.processes[0].settings
    assert isinstance(settings, QueryingSettings)
    results = Results(tmp_path / "result.json", settings)
    correct = iter([7, 2, 1])
    for batch in batches:
        for label in batch:
            index = 20 + len(results.queries)
            results.add(Query(index, label, next(correct), spent.total, None, settings.session))
        results.publish(spent)
    assert (tmp_path / "result.json").stat().st_mode & 0o777 == 0o600
    content: dict[str, Any] = json.loads((tmp_path / "result.json").read_text())
    return content


def test_the_result_says_what_was_predicted_what_is_correct_and_what_it_cost(tmp_path: Path) -> None:
    result = published(tmp_path, Spent("", 3, 2.5, 4.0), [7, 3], [1])
    assert [(query["index"], query["predicted"], query["correct"], query["agree"]) for query in result["queries"]] == [
        (20, 7, 7, True),
        (21, 3, 2, False),
        (22, 1, 1, True),
    ]
    assert (result["answered"], result["abstained"], result["label_accuracy"]) == (3, 0, pytest.approx(2 / 3))
    assert (result["epsilon"], result["epsilon_total"], result["warnings"]) == (2.5, 4.0, [])
    assert (result["n_parties"], result["dp_noise_scale"], result["delta"]) == (1, "1/6", "0.00001")


def test_a_run_that_breaks_off_leaves_the_labels_it_has(tmp_path: Path) -> None:
    assert [query["index"] for query in published(tmp_path, Spent("", 3, 2.5, 4.0), [7, 3])["queries"]] == [20, 21]


def test_a_cost_without_bound_is_null_with_a_warning(tmp_path: Path) -> None:
    result = published(tmp_path, Spent("", 3, math.inf, math.inf), [7, 2], [1])
    assert result["epsilon"] is None
    assert "no differential privacy" in result["warnings"][0]


def test_an_abstention_is_no_label(tmp_path: Path) -> None:
    result = published(tmp_path, Spent("", 3, 2.5, 4.0), [7, None])
    assert [query["predicted"] for query in result["queries"]] == [7, None]
    assert [query["abstained"] for query in result["queries"]] == [False, True]
    assert (result["answered"], result["abstained"], result["label_accuracy"]) == (1, 1, 1.0)
