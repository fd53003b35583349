"""A data owner's own account: its name, what it counts, what it refuses, and when it is charged."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from mpc.capc.batches import NO_BATCH, draw_name
from mpc.capc.odometer import OwnersAccount, answering_send_account, querying_receive_account
from mpc.capc.parameters import PublicParameters
from mpc.channels.memory import memory_pair
from mpc.dp.accountant import answer_cost, epsilon
from mpc.errors import BudgetExceededError, ProtocolError
from parties.capc import server
from parties.capc.accounts import account_name
from parties.capc.budget_view import budget_view
from parties.capc.config import CapcConfig
from parties.capc.odometer import Odometer
from parties.capc.settings import AnsweringSettings, CapcSettings, GuardianSettings
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Run, RunFolders
from parties.learning.records import AskedRecords, Records
from parties.ledger import Ledger
from parties.protocols import PROTOCOLS
from tests.parties.capc.runs import running

CONFIGS = Path(__file__).parents[3] / "configs"


def settings_of(tmp_path: Path, **choices: Any) -> list[Any]:
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "test"), "session-1", 40000)
    return [process.settings for process in PROTOCOLS["capc"].plan(CapcConfig(**choices), run).processes]


def accounts(tmp_path: Path, **choices: Any) -> set[str]:
    return {
        turn.account
        for settings in settings_of(tmp_path, **choices)
        if isinstance(settings, GuardianSettings)
        for turn in settings.turns
    }


def test_an_account_follows_the_owner_and_its_images() -> None:
    images = np.random.default_rng(4).uniform(size=(5, 1, 2, 2)).astype(np.float32)
    name = account_name(3, 6, [images])
    assert name == account_name(3, 6, [images[::-1]]) == account_name(3, 6, [images[:2], images[2:]])
    assert name.startswith("party-3-of-6/")
    changed = images.copy()
    changed[4, 0, 1, 1] += 1
    assert (
        len({name, account_name(2, 6, [images]), account_name(3, 6, [images[1:]]), account_name(3, 6, [changed])}) == 4
    )


def test_a_digest_of_records_covers_images_and_labels() -> None:
    """It is the key of a model in the cache and of a campaign's answers."""
    images = np.random.default_rng(5).uniform(size=(4, 1, 2, 3)).astype(np.float32)
    labels = np.array([0, 1, 2, 1])
    digests = {Records(images, labels).digest()}
    for image in range(4):
        changed, relabelled = images.copy(), labels.copy()
        changed[image, 0, image % 2, 2] += 1e-3
        relabelled[image] += 1
        digests |= {Records(changed, labels).digest(), Records(images, relabelled).digest()}
    assert len(digests) == 9
    assert Records(images.reshape(4, 1, 3, 2), labels).digest() not in digests


def test_two_names_for_the_same_records_have_one_account(tmp_path: Path) -> None:
    digits = accounts(tmp_path, dataset="digits", n_parties=4, qp_id=[1, 2])
    assert accounts(tmp_path, dataset="digit-traits", num_classes=3, n_parties=4, qp_id=[1, 2]) == digits
    assert len(digits) == 2


def test_the_demo_and_the_shipped_scenarios_share_no_account(tmp_path: Path) -> None:
    seen: list[set[str]] = [accounts(tmp_path)]
    for name in ("hospitals", "clinics", "heterogeneous", "multilabel"):
        seen.append(accounts(tmp_path, **yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["capc"]))
    assert sum(map(len, seen)) == len(set.union(*seen)) == 1 + 3 + 3 + 1 + 3


def test_budgets_and_delta_are_part_of_what_the_parties_agree_on(tmp_path: Path) -> None:
    usual = {"epsilon_budget": 5.0, "owner_epsilon_budget": 7.0, "delta": "1e-5"}
    agreed = []
    for change in ({}, {"epsilon_budget": 6.0}, {"owner_epsilon_budget": None}, {"delta": "2e-5"}):
        kinds = settings_of(tmp_path, **usual | change)
        assert all(isinstance(settings, CapcSettings) for settings in kinds)
        first, *others = [settings.agreed() for settings in kinds]
        assert all(other == first for other in others)
        agreed.append(first)
    changed = [{name for name, value in agreed[0].items() if other[name] != value} for other in agreed]
    assert changed == [set(), {"epsilon_budget"}, {"owner_epsilon_budget"}, {"delta"}]
    assert (agreed[0]["epsilon_budget"], agreed[2]["owner_epsilon_budget"], agreed[3]["delta"]) == (
        "5", "none", "0.00002",
    )  # fmt: skip


def test_every_public_parameter_and_shared_setting_is_agreed_on(tmp_path: Path) -> None:
    """And nothing that belongs to one party or to one machine."""
    budgets = {"delta", "epsilon_budget", "owner_epsilon_budget", "queries_in_all"}
    shared = {"min_parties", "n_queries", "batch_size", "pool", "rejoin_s", "data.dataset", "release"} | budgets
    for settings in settings_of(tmp_path):
        assert set(settings.agreed()) == shared | set(PublicParameters.__struct_fields__)
        assert len(settings.agreed()) == len(shared) + len(PublicParameters.__struct_fields__)


def test_a_querying_party_refuses_an_account_that_makes_no_sense() -> None:
    client, owner = memory_pair("client", "server-0")
    for account, words in (
        (OwnersAccount("", 3, 1.0), "an owner will answer, at most 2, found 3"),
        (OwnersAccount("", 1, 1.0), "expected a reason why 1 of 2"),
        (OwnersAccount("spent", -1, 1.0), "at most 2, found -1"),
    ):
        answering_send_account(owner, account)
        with pytest.raises(ProtocolError, match=words):
            querying_receive_account(client, 2)


def odometer(tmp_path: Path, budget: float | None, *, rejoin: bool = False) -> Odometer:
    ledger = Ledger(tmp_path / "odometer.jsonl", lambda spent: float(sum(cost.count for cost in spent)), budget)
    return Odometer(ledger, "party-0-of-2/ab", "session", (answer_cost("2"),), budget, rejoin)


def test_an_owner_answers_a_whole_batch_or_nothing(tmp_path: Path) -> None:
    client, owner = memory_pair("client", "server-0")
    own = odometer(tmp_path, 5.0)
    own.tell(owner, 9)
    assert querying_receive_account(client, 9).queries == 5
    own.charge(owner, draw_name(), 3, 6)
    told = querying_receive_account(client, 6)
    assert (told.queries, told.total, told.budget) == (2, 3.0, 5.0)
    assert "at most epsilon 5 for party-0-of-2/ab, found 6 with 3 more queries" in told.refusal
    with pytest.raises(BudgetExceededError, match="party-0-of-2/ab"):
        own.charge(owner, draw_name(), 3, 3)
    assert own.ledger.spent("party-0-of-2/ab") == 3


def test_a_batch_that_was_interrupted_is_charged_once_and_after_three_more_times_anew(tmp_path: Path) -> None:
    client, owner = memory_pair("client", "server-0")
    own, name = odometer(tmp_path, 5.0, rejoin=True), draw_name()
    told = []
    for _ in range(5):
        own.charge(owner, name, 2, 9)
        told.append(querying_receive_account(client, 9).total)
    assert told == [2, 2, 2, 2, 4]  # the first time, three times again, and as a new batch
    own.charge(owner, name, 2, 9)
    assert querying_receive_account(client, 9).total == 4


def test_what_was_charged_for_an_interrupted_batch_may_still_be_asked(tmp_path: Path) -> None:
    client, owner = memory_pair("client", "server-0")
    own, name = odometer(tmp_path, 3.0, rejoin=True), draw_name()
    own.charge(owner, name, 3, 0)
    querying_receive_account(client, 0)
    for interrupted, queries in ((NO_BATCH, 0), (draw_name(), 0), (name, 3)):
        own.tell(owner, 7, interrupted)
        assert querying_receive_account(client, 7).queries == queries
    with pytest.raises(BudgetExceededError):
        own.charge(owner, draw_name(), 1, 0)


def test_without_rejoining_a_name_that_comes_again_is_charged_again(tmp_path: Path) -> None:
    client, owner = memory_pair("client", "server-0")
    own, name = odometer(tmp_path, 5.0), draw_name()
    for total in (2, 4):
        own.charge(owner, name, 2, 9)
        assert querying_receive_account(client, 9).total == total
    own.tell(owner, 9, name)
    assert querying_receive_account(client, 9).queries == 1  # nothing is paid for
    other = tmp_path / "other"
    other.mkdir()
    odometer(other, 5.0, rejoin=True).charge(owner, name, 2, 9)  # in an earlier run
    querying_receive_account(client, 9)
    odometer(other, 5.0).tell(owner, 9, name)
    assert querying_receive_account(client, 9).queries == 3


def test_an_owner_refuses_nothing_where_what_was_charged_is_all_that_is_left(tmp_path: Path) -> None:
    client, owner = memory_pair("client", "server-0")
    own, name = odometer(tmp_path, 3.0, rejoin=True), draw_name()
    own.charge(owner, name, 3, 0)
    querying_receive_account(client, 0)
    own.tell(owner, 3, name)
    told = querying_receive_account(client, 3)
    assert (told.queries, told.refusal, told.total) == (3, "", 3.0)
    own.tell(owner, 2, name)  # fewer than were charged
    assert querying_receive_account(client, 2).queries == 2


def test_more_queries_than_were_charged_by_a_name_are_charged(tmp_path: Path) -> None:
    """Otherwise a querying party that deviates would be answered many queries for the price of one."""
    _, owner = memory_pair("client", "server-0")
    own, name = odometer(tmp_path, None, rejoin=True), draw_name()
    own.charge(owner, name, 1, 9)
    own.charge(owner, name, 4, 9)
    assert own.ledger.spent("party-0-of-2/ab") == 5


def test_no_mask_leaves_before_the_charge_is_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answering program's own step, with the network and the vote left out."""
    parameters = PublicParameters(
        parties=2, classes=3, input_shape=(1,), ring_bits=40, fraction_bits=12, sigma="2", aggregation="direct"
    )
    progress = SimpleNamespace(step=lambda *_, **__: nullcontext())
    party: Any = SimpleNamespace(progress=progress, settings=SimpleNamespace(parameters=parameters))
    inference: Any = SimpleNamespace(infer=lambda _: None)
    monkeypatch.setattr(server.vote, "answering_vote", lambda *_: np.zeros((1, 3), np.uint64))
    answering, client = memory_pair("server-0", "client")
    to_guardian, guardian = memory_pair("server-0", "privacy-guardian")

    to = server.Guardian(to_guardian, None, None)

    def refuses() -> None:
        raise BudgetExceededError("spent")

    prepared: Any = (None, None)
    with pytest.raises(BudgetExceededError):
        server._answer(party, answering, to, inference, prepared, refuses)
    assert guardian.transcript == client.transcript == to_guardian.transcript == answering.transcript == []
    order: list[str] = []
    server._answer(party, answering, to, inference, prepared, lambda: order.append("charged"))
    assert order == ["charged"]
    assert [label for _, label, _ in to_guardian.transcript] == ["masks/plain"]


def test_a_party_that_asks_more_than_was_agreed_on_is_refused_by_every_owner(tmp_path: Path) -> None:
    def prepare(plan: Plan, folders: RunFolders) -> Plan:
        path = folders.party("client") / "queries.npz"
        agreed = AskedRecords.read(path)
        assert len(agreed) == 3
        AskedRecords(np.tile(agreed.images, (2, 1, 1, 1)), np.tile(agreed.labels, 2)).write(path)
        return plan

    choices = {"models": "logistic-regression", "n_queries": 3, "batch_size": 2, "rejoin_s": 0}
    with running(tmp_path, wrapper="tests.parties.capc.greedy", prepare=prepare, **choices) as run:
        found = run.wait()
        for index in range(2):
            said = found[f"server-{index}"]
            assert not said["ok"]
            assert "queries, at most 1, found 2" in said["error"] or "client" in said["error"]
            lines = (tmp_path / "files" / "durable" / f"owner-{index + 1}" / "odometer.jsonl").read_text().splitlines()
            assert len(lines) == 1  # the first batch of two
        assert any("queries, at most 1, found 2" in found[f"server-{index}"]["error"] for index in range(2))


ASKED = {
    "n_parties": 3,
    "models": "logistic-regression",
    "strategy": "random",
    "unlabelled": 900,
    "batch_size": 4,
    "n_queries": 6,
    "dp_noise_scale": "3",
    "qp_id": "0,1",
}


def test_what_a_record_loses_to_all_who_ask_is_counted_and_bounded_by_its_owner(tmp_path: Path) -> None:
    nine = epsilon([answer_cost("3").times(9)], 1e-5)
    choices = ASKED | {"owner_epsilon_budget": nine + 0.01, "epsilon_budget": 50.0}
    with running(tmp_path, **choices) as run:
        for name, status in run.wait().items():
            assert status["ok"], f"{name}: {status}"
        first, second = (json.loads(run.folders.result(f"client-{asker}").read_text()) for asker in (0, 1))
        owners = {s.owner: s.odometer for p in run.plan.processes if isinstance(s := p.settings, AnsweringSettings)}
    assert (first["answered"], second["answered"]) == (6, 3)
    assert first["refusal"] is None
    assert "server-2 answers no more: expected at most epsilon" in second["refusal"]
    six, three = (epsilon([answer_cost("3").times(n)], 1e-5) for n in (6, 3))
    assert first["owners"] == pytest.approx({"server-1": six, "server-2": six, "server-3": six})
    assert second["owners"] == pytest.approx({"server-0": three, "server-2": nine, "server-3": nine})
    assert second["owner_epsilon"] == pytest.approx(nine)
    assert second["epsilon_total"] == pytest.approx(three)
    counted = {owner: Ledger(path, lambda costs: sum(c.count for c in costs), None) for owner, path in owners.items()}
    assert {owner: list(ledger.released().values()) for owner, ledger in counted.items()} == {
        owner: [{"answer": count}] for owner, count in ((0, 3), (1, 6), (2, 9), (3, 9))
    }
    shown = budget_view(CapcConfig(**choices), tmp_path / "files").lines
    assert sum(name.startswith("records of party-") and "lost to all who asked" in text for name, text in shown) == 4
    assert sum(name.startswith("party-") for name, _ in shown) == 2
    with (
        pytest.raises(ConfigError, match=r"nobody would get a label.*for party-[01]-of-4/.*files_dir"),
        running(tmp_path, "again", **choices | {"strategy": "given", "unlabelled": 1, "owner_epsilon_budget": 1e-3}),
    ):
        pass
