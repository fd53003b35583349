"""Campaigns by the real party programs: asking in turn, training again, ending with the budget, being continued."""

from __future__ import annotations

import json
import re
import signal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mpc.capc.confident import ConfidentArgmax
from mpc.dp.accountant import Cost, epsilon
from mpc.randomness import SeededRandomness
from parties.capc.answers import Answer, Answers, AnswersError
from parties.capc.budget_view import budget_view
from parties.capc.config import CapcConfig
from parties.capc.settings import GuardianSettings, QueryingSettings
from parties.capc.simulation import simulate
from parties.frame.plan import Run, RunFolders
from parties.protocols import PROTOCOLS
from tests.parties.capc import overheard
from tests.parties.capc.runs import QUICK, Running, running

CAMPAIGN = {
    "strategy": "entropy",
    "models": "logistic-regression",
    "n_parties": 3,
    "missing_classes": 3,
    "unlabelled": 900,
    "batch_size": 4,
    "n_queries": 10,
    "dp_noise_scale": 0,
}


def reports(run: Running) -> list[dict[str, Any]]:
    for name, status in run.wait().items():
        assert status["ok"], f"{name}: {status}\n{run.folders.log(name).read_text()}"
    names = [run.plan.reporter, *run.plan.more_reporters]
    return [json.loads(run.folders.result(name).read_text()) for name in names]


def test_querying_parties_ask_in_turn_and_know_more_afterwards(tmp_path: Path) -> None:
    choices = CAMPAIGN | {"n_queries": 30, "batch_size": 15, "preprocessing": "dealer", "garbling": "three-halves"}
    choices |= {"circuits": "streamed"}
    with running(tmp_path, qp_id="2,0", **choices) as run:
        first, second = reports(run)
        assert [process.name for process in run.plan.processes] == [
            *("client-2", "client-0", "server-0", "server-1", "server-2", "server-3", "privacy-guardian")
        ]
        for name, idle in (("server-2", "client-2"), ("server-0", "client-0")):
            assert idle not in run.folders.events(name).read_text()
    assert (first["querying_party"], second["querying_party"]) == (2, 0)
    for report in (first, second):
        accuracy = report["accuracy"]
        assert report["answered"] == len(report["queries"]) == 30
        assert {query["chosen_by"] for query in report["queries"]} == {"entropy"}
        assert accuracy["after"] > accuracy["before"]
        told = f"accuracy on held-out records: {accuracy['before']:.3f} before, {accuracy['after']:.3f} after"
        assert told in run.folders.log(f"client-{report['querying_party']}").read_text()
        assert accuracy["held_out_records"] == sum(row["held_out_records"] for row in accuracy["by_class"]) == 360
        assert sum(row["own_records"] == 0 for row in accuracy["by_class"]) == 3
        assert report["own_records"] == sum(row["own_records"] for row in accuracy["by_class"])
    simulated = simulate(CapcConfig(**QUICK | CAMPAIGN | {"n_queries": 30, "qp_id": "2,0"}))
    for report, clear in zip((first, second), simulated, strict=True):
        assert [query["index"] for query in report["queries"]] == clear.records
        assert [query["predicted"] for query in report["queries"]] == clear.labels.tolist()
        assert report["accuracy"]["before"] == clear.before.overall
        assert report["accuracy"]["after"] == clear.after.overall
    summary = PROTOCOLS["capc"].summary({"reports": [first, second]})
    assert [value for name, value in summary.lines if name == "accuracy before"] == [
        f"{report['accuracy']['before']:.3f} on 360 held-out records" for report in (first, second)
    ]


def test_the_budget_ends_a_campaign_with_what_it_has(tmp_path: Path) -> None:
    choices = CAMPAIGN | {"dp_noise_scale": "3", "epsilon_budget": 6.0, "delta": "1e-4"}
    with running(tmp_path, "first", **choices) as run:
        (report,) = reports(run)
    assert 8 < report["answered"] < 10  # two batches of four, and one query of the third
    assert report["epsilon_total"] < 6 == report["epsilon_budget"]
    assert f"expected at most epsilon 6 for {account_of(tmp_path, **choices)}" in report["refusal"]
    assert report["accuracy"]["after"] is not None
    epsilons = [query["epsilon"] for query in report["queries"]]
    assert epsilons == sorted(epsilons)
    with running(tmp_path, "second", **choices) as run:
        (again,) = reports(run)
    assert [query["earlier_run"] for query in again["queries"]] == [True] * 9
    assert again["accuracy"] == report["accuracy"]
    assert (again["epsilon"], again["epsilon_total"]) == (0, pytest.approx(report["epsilon_total"]))
    lines = dict(budget_view(CapcConfig(**choices), tmp_path / "files").lines)
    assert lines[account_of(tmp_path, **choices)].endswith("of 6 left, for 9 answers")


def test_an_interrupted_campaign_asks_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    choices = CAMPAIGN | {"dp_noise_scale": "3", "n_queries": 40, "batch_size": 1}
    with running(tmp_path, "first", **choices) as run:
        run.wait_for_event("client", '"done": 5, "of": 40')
        run.processes["client"].send_signal(signal.SIGKILL)
    with running(tmp_path, "second", **choices | {"n_queries": 12, "batch_size": 5, "circuits": "streamed"}) as run:
        (report,) = reports(run)
    earlier = [query for query in report["queries"] if query["earlier_run"]]
    assert 5 <= len(earlier) <= 12
    assert len(report["queries"]) == 12
    assert len({query["index"] for query in report["queries"]}) == 12
    ledger = [json.loads(line) for line in (tmp_path / "files/durable/privacy-guardian/ledger.jsonl").open()]
    assert 12 <= sum(charge["costs"][0]["count"] for charge in ledger) <= 13  # the killed batch was paid for


def test_the_guardian_is_told_nothing_of_who_abstained_and_charges_every_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERHEARD", str(tmp_path))
    choices = CAMPAIGN | {"threshold": 3, "threshold_noise_scale": "0.5", "dp_noise_scale": "2", "batch_size": 1}
    with running(tmp_path, wrapper="tests.parties.capc.overheard", **choices) as run:
        (report,) = reports(run)
    assert report["abstained"] == sum(query["abstained"] for query in report["queries"])
    assert report["answered"] + report["abstained"] == 10
    assert report["abstained"] > 0 < report["answered"]
    assert all((query["predicted"] is None) == query["abstained"] for query in report["queries"])
    lines = dict(budget_view(CapcConfig(**choices), tmp_path / "files").lines)
    assert lines[account_of(tmp_path, **choices)].endswith("for 10 checks, 10 answers")
    each = Cost("check", "1/2", 1, 10), Cost("answer", "2", 2, 10)
    assert report["epsilon"] == pytest.approx(epsilon(each, 1e-5))
    batches: list[list[tuple[str, int]]] = [[]]  # what the guardian receives of the querying party, query by query
    for peer, label, body in overheard.read(tmp_path, "privacy-guardian"):
        if peer == "client" and label == "budget/request":
            batches.append([])
        if peer == "client":
            batches[-1].append((re.sub(r"/\d+/", "/", label, count=1), len(body)))
    steady = batches[2:-1]  # the first has the extension's start, the last is the end
    assert len(steady) == 9
    assert {label.partition("/")[0] for batch in batches for label, _ in batch} == {
        "hello",
        "budget",
        "garbled",
        "masks",
        "release",
    }


def test_a_guardian_that_is_told_of_abstentions_would_know_the_top_count() -> None:
    """The step that was taken out, in a copy: each credit compares the top count with a number that PG has drawn."""
    release = ConfidentArgmax(11, Fraction(4), 8)
    randomness = SeededRandomness(b"the guardian's own")
    for top in (7, 10, 12):
        limits = release.limits(4000, randomness)
        abstained = top < limits  # as `querying` learns it, query by query, where batches are of one query
        at_least, below = limits[~abstained].max(), limits[abstained].min()
        assert (at_least, below - 1) == (top, top)  # with credits: exact
        without = limits, int(limits.min()), int(limits.max())  # all that PG has now, and it has it for every top count
        assert without[1] <= top < without[2]


def test_noise_that_nobody_knows_is_charged_for_what_it_is(tmp_path: Path) -> None:
    choices = CAMPAIGN | {"noise_by": "parties", "colluding": 1, "dp_noise_scale": "4", "n_queries": 4}
    with running(tmp_path, **choices) as run:
        (report,) = reports(run)
    assert report["answered"] == 4
    part = Cost("answer", str(run.plan.processes[0].settings.parameters.part_scale), 2, 4, parts=2)
    assert report["epsilon"] == pytest.approx(epsilon([part], 1e-5))


def plan(tmp_path: Path, **choices: Any) -> tuple[list[QueryingSettings], GuardianSettings]:
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "test"), "session-1", 40000)
    processes = PROTOCOLS["capc"].plan(CapcConfig(**choices), run).processes
    settings = [process.settings for process in processes]
    clients = [one for one in settings if isinstance(one, QueryingSettings)]
    (guardian,) = (one for one in settings if isinstance(one, GuardianSettings))
    return clients, guardian


def account_of(tmp_path: Path, **choices: Any) -> str:
    return plan(tmp_path / "elsewhere", **choices)[1].turns[0].account


def answers_file(tmp_path: Path, **choices: Any) -> Path:
    (client,), _ = plan(tmp_path, **choices)
    assert client.campaign is not None
    return client.campaign.answers


def test_answers_belong_to_one_campaign_whatever_its_length(tmp_path: Path) -> None:
    same = answers_file(tmp_path, **CAMPAIGN)
    assert answers_file(tmp_path, **CAMPAIGN | {"n_queries": 20, "batch_size": 1, "epsilon_budget": 3}) == same
    others = [
        answers_file(tmp_path, **CAMPAIGN | change)
        for change in (
            {"strategy": "random"},
            {"seed": 1},
            {"dp_noise_scale": 1},
            {"n_parties": 4},
            {"unlabelled": 800},
            {"models": "linear"},
            {"qp_id": 1},
        )
    ]
    assert len({same, *others}) == 8


def test_the_guardian_has_an_account_for_every_querying_party(tmp_path: Path) -> None:
    clients, guardian = plan(tmp_path, qp_id=[3, 1], **CAMPAIGN)
    names = [turn.account.partition("/")[0] for turn in guardian.turns]
    assert names == ["party-3-of-4", "party-1-of-4"]
    assert [turn.older_account for turn in guardian.turns] == ["digits/party-3", "digits/party-1"]
    assert [turn.servers for turn in guardian.turns] == [
        ("server-0", "server-1", "server-2"),
        ("server-0", "server-2", "server-3"),
    ]
    assert [tuple(peer.name for peer in client.servers) for client in clients] == [
        turn.servers for turn in guardian.turns
    ]


def test_answers_survive_and_a_damaged_file_is_refused(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.jsonl")
    batches = [[Answer(4, 7, 1.5, "a"), Answer(2, None, 1.5, "a")], [Answer(9, 0, None, "b")]]
    for batch in batches:
        answers.add(batch)
    with (tmp_path / "answers.jsonl").open("ab") as file:
        file.write(b'[{"record": 1')
    assert answers.read() == [answer for batch in batches for answer in batch]
    (tmp_path / "answers.jsonl").write_bytes(b'[{"record": 1}]\n')
    with pytest.raises(AnswersError, match="expected answers in"):
        answers.read()
