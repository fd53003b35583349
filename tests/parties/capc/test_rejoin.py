"""A batch that was interrupted is asked again: no label is wrong, no charge lost or doubled, no batch opened twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mpc.capc.batches import NO_BATCH, answering_receive_name, draw_name, querying_name_batch
from mpc.capc.budget import Granted, GuardiansAccount, querying_end, querying_request_batch
from mpc.capc.confident import ConfidentArgmax
from mpc.capc.majority import NoisyMajority
from mpc.capc.release import NoisyArgmax
from mpc.channels.memory import memory_pair, run_both_sides
from mpc.dp.accountant import Cost, answer_cost
from mpc.errors import ProtocolError
from mpc.garbled.session import Evaluator, Garbler
from mpc.ring import Ring
from parties.capc.openings import MOST_REPEATS, OpeningsError, PartyOpenings
from parties.capc.pending import PendingBatch, PendingError
from parties.frame.private_files import make_private_folder
from parties.ledger import Ledger
from tests.parties.capc.runs import Running, expected_labels, running

ACCOUNT = "party-0-of-3/ab"
SHARE = np.arange(12, dtype=np.uint64).reshape(2, 6)
QUERIES = np.arange(5 * 4, dtype=np.uint64).reshape(5, 4)


def count(costs: Sequence[Cost]) -> float:
    return float(sum(cost.count for cost in costs))


# -- the ledger ------------------------------------------------------------------------------------------------------


def test_a_batch_is_charged_once_by_its_name(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", count, 10.0)
    costs = (answer_cost("2"),)
    for wished, granted in ((3, 3), (3, 3), (9, 3), (2, 2)):
        account = ledger.charge(ACCOUNT, "a", costs, wished, batch="one")
        assert (account.granted, account.total) == (granted, 3)
    assert ledger.charge(ACCOUNT, "a", costs, 4, batch="two").total == 7
    assert ledger.charge("other", "a", costs, 4, batch="one").total == 4  # the name is the account's own
    assert ledger.charge(ACCOUNT, "a", costs, 1).total == 8
    assert ledger.charge(ACCOUNT, "a", costs, 1).total == 9  # without a name everything is charged


def test_a_name_pays_for_the_same_costs_alone(tmp_path: Path) -> None:
    """After other noise was agreed on, an old name would get answers that cost more than what was charged."""
    ledger = Ledger(tmp_path / "ledger.jsonl", count, None)
    mild, strong = (answer_cost("8"),), (answer_cost("2"),)
    assert ledger.charge(ACCOUNT, "a", mild, 3, batch="one").total == 3
    assert ledger.charge(ACCOUNT, "b", strong, 3, batch="one").total == 6
    assert (ledger.paid(ACCOUNT, "one", mild), ledger.paid(ACCOUNT, "one", strong)) == (3, 3)
    assert ledger.paid(ACCOUNT, "one", (answer_cost("2", 3),)) == 0
    assert ledger.charge(ACCOUNT, "c", strong, 3, batch="one").total == 6


def test_a_batch_that_the_budget_cut_stays_cut(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", count, 2.0)
    costs = (answer_cost("2"),)
    assert ledger.charge(ACCOUNT, "a", costs, 5, batch="one").granted == 2
    assert ledger.charge(ACCOUNT, "b", costs, 5, batch="one").granted == 2
    assert ledger.spent(ACCOUNT) == 2


def test_a_ledger_from_before_names_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    line = b'{"account":"a","session":"s","time":1.0,"costs":[{"what":"answer","sigma":"2","moved":2,"count":3}]}\n'
    path.write_bytes(line)
    assert Ledger(path, count, None).charge("a", "s", (answer_cost("2"),), 1, batch="").total == 4


@pytest.mark.parametrize("length", [0, 1, 15, 17, 1000])
@pytest.mark.parametrize("may_be_none", [True, False])
def test_an_answering_party_takes_names_of_one_length_alone(length: int, may_be_none: bool) -> None:
    client, server = memory_pair("client", "server-0")
    querying_name_batch(client, bytes(length))
    with contextlib.nullcontext() if length == 0 and may_be_none else pytest.raises(ProtocolError) as refusal:
        assert answering_receive_name(server, may_be_none=may_be_none) == NO_BATCH
    if refusal is not None:
        assert f"expected bytes in the name of a batch 16, found {length}" in str(refusal.value)


def test_a_name_is_never_drawn_twice() -> None:
    assert len({draw_name() for _ in range(1000)}) == 1000
    assert len(draw_name()) == 16


# -- the guardian's notes --------------------------------------------------------------------------------------------


def test_a_batch_is_opened_once_and_then_repeated_with_the_same_share(tmp_path: Path) -> None:
    openings, batch = PartyOpenings(tmp_path / "openings", "s"), draw_name()
    assert openings.state(ACCOUNT, batch) == "open"
    openings.open(ACCOUNT, batch, SHARE, 2)
    for _ in range(MOST_REPEATS):
        assert PartyOpenings(tmp_path / "openings", "later").state(ACCOUNT, batch) == "repeat"
        assert (openings.open_again(ACCOUNT, batch).share == SHARE).all()
    assert openings.state(ACCOUNT, batch) == "closed"
    with pytest.raises(OpeningsError, match="1 to 3 earlier openings of a batch, found 4"):
        openings.open_again(ACCOUNT, batch)


def test_a_second_opening_of_a_batch_is_refused_whatever_became_of_the_first(tmp_path: Path) -> None:
    """Two sessions that both believe that the batch is theirs: only one of them may draw noise for it."""
    first, second = (PartyOpenings(tmp_path / "openings", session) for session in ("a", "b"))
    batch = draw_name()
    assert first.state(ACCOUNT, batch) == second.state(ACCOUNT, batch) == "open"
    first.open(ACCOUNT, batch, SHARE, 2)
    with pytest.raises(OpeningsError, match="another session has opened"):
        second.open(ACCOUNT, batch, SHARE + 1, 2)
    assert (first.open_again(ACCOUNT, batch).share == SHARE).all()


def test_shares_are_wiped_when_the_labels_are_kept_and_the_note_stays(tmp_path: Path) -> None:
    openings, batch, other = PartyOpenings(tmp_path / "openings", "s"), draw_name(), draw_name()
    openings.open(ACCOUNT, batch, SHARE, 2)
    openings.open("somebody", other, SHARE, 2)
    assert {path.stat().st_mode & 0o777 for path in openings.folder.iterdir()} == {0o600}
    openings.forget_others(ACCOUNT, batch)
    assert openings.state(ACCOUNT, batch) == "repeat"
    openings.forget_others(ACCOUNT, draw_name())
    assert openings.state(ACCOUNT, batch) == "closed"
    assert openings.state("somebody", other) == "repeat"
    assert sorted(path.name for path in openings.folder.iterdir()) == ["opened.jsonl", f"share-{other.hex()}.npz"]


def test_a_guardian_that_died_between_share_and_note_has_opened_nothing(tmp_path: Path) -> None:
    openings, batch = PartyOpenings(tmp_path / "openings", "s"), draw_name()
    openings.open(ACCOUNT, draw_name(), SHARE, 2)
    openings._keep(batch, SHARE, 2)
    with (openings.folder / "opened.jsonl").open("ab") as journal:
        journal.write(b'{"account": "party-0-o')  # torn
    (openings.folder / ".new-abc").write_bytes(b"share")  # and a share that was being written
    assert openings.state(ACCOUNT, batch) == "open"
    openings.open(ACCOUNT, batch, SHARE + 5, 2)
    assert (openings.open_again(ACCOUNT, batch).share == SHARE + 5).all()
    assert not (openings.folder / ".new-abc").exists()


def test_a_share_without_a_note_is_no_opening_that_could_be_repeated(tmp_path: Path) -> None:
    openings, batch = PartyOpenings(tmp_path / "openings", "s"), draw_name()
    make_private_folder(openings.folder)
    openings._keep(batch, SHARE, 2)
    with pytest.raises(OpeningsError, match="1 to 3 earlier openings of a batch, found 0"):
        openings.open_again(ACCOUNT, batch)
    openings.open(ACCOUNT, batch, SHARE, 2)
    with pytest.raises(OpeningsError, match="1 to 3 earlier openings of a batch, found 0"):
        openings.open_again("somebody else", batch)


def guardians_account(channel: object, folder: Path) -> GuardiansAccount:
    ledger, openings = Ledger(folder / "ledger.jsonl", count, 9.0), PartyOpenings(folder / "openings", "s")
    return GuardiansAccount(channel, ledger, openings, ACCOUNT, "s", (answer_cost("2"),), 4, count, 9.0)  # type: ignore[arg-type]


def test_what_the_guardian_grants_before_and_after_the_opening(tmp_path: Path) -> None:
    client, guardian = memory_pair("client", "privacy-guardian")
    serving, batch = guardians_account(guardian, tmp_path), draw_name()

    def ask(name: bytes) -> tuple[str, Granted | None, float]:
        spent, granted = run_both_sides(lambda: querying_request_batch(client, 2, name), serving.charge)
        return spent.state, granted, spent.total

    assert ask(batch) == ("open", Granted(2, batch, repeat=False), 2)
    assert ask(batch) == ("open", Granted(2, batch, repeat=False), 2)  # nothing was possible: at no charge
    assert serving.openings is not None
    PartyOpenings(tmp_path / "openings", "s").open(ACCOUNT, batch, SHARE, 2)
    assert ask(batch) == ("repeat", Granted(2, batch, repeat=True), 2)
    other = draw_name()
    assert ask(other) == ("open", Granted(2, other, repeat=False), 4)  # by which the QP says that it has its labels

    def ask_for_what_is_closed() -> str:
        refused = querying_request_batch(client, 2, batch)
        querying_end(client)
        assert (refused.queries, refused.total) == (0, 4)
        return refused.state

    assert run_both_sides(ask_for_what_is_closed, serving.charge) == ("closed", None)


def test_a_querying_party_that_has_done_leaves_the_guardian_no_share(tmp_path: Path) -> None:
    client, guardian = memory_pair("client", "privacy-guardian")
    serving, batch = guardians_account(guardian, tmp_path), draw_name()
    openings = PartyOpenings(tmp_path / "openings", "s")
    openings.open(ACCOUNT, batch, SHARE, 2)
    assert openings.state(ACCOUNT, batch) == "repeat"
    assert run_both_sides(lambda: querying_end(client), serving.charge)[1] is None
    assert openings.state(ACCOUNT, batch) == "closed"
    assert [path.name for path in openings.folder.iterdir()] == ["opened.jsonl"]


# -- the release -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [NoisyArgmax(12), NoisyMajority(3, 12)], ids=["argmax", "majority"])
def test_a_repetition_gives_the_same_labels(rule: NoisyArgmax | NoisyMajority) -> None:
    ring = Ring(12)
    noisy = np.array([[3, -7, 2, 3], [9, 1, 11, 0]])
    share = np.random.default_rng(5).integers(0, 1 << 12, noisy.shape, dtype=np.uint64)
    mine = ring.reduce(noisy - share.astype(np.int64))
    client, guardian = memory_pair("client", "privacy-guardian")
    evaluator, garbler = run_both_sides(lambda: Evaluator.open(client), lambda: Garbler.open(guardian))
    told = [
        run_both_sides(lambda: rule.querying(evaluator, mine), lambda: rule.guardian(garbler, share, share))[0]
        for _ in range(2)
    ]
    expected = noisy.argmax(axis=1) if isinstance(rule, NoisyArgmax) else (noisy > 1).astype(int)
    assert (told[0] == expected).all()
    assert (told[1] == expected).all()


def test_only_rules_that_look_at_nothing_but_noisy_counts_are_repeated() -> None:
    """Two looks of a party that deviates at one limit would give the difference of two counts, without noise."""
    from fractions import Fraction

    assert (NoisyArgmax(12).repeatable, NoisyMajority(3, 12).repeatable) == (True, True)
    assert not ConfidentArgmax(2, Fraction(1), 14).repeatable


# -- the querying party's file ---------------------------------------------------------------------------------------


def test_a_party_that_comes_back_asks_for_the_same_batch(tmp_path: Path) -> None:
    path = tmp_path / "pending"
    pending = PendingBatch(path, durable=True)
    assert pending.name == NO_BATCH
    batch = pending.next(QUERIES, 2)
    assert (batch.queries, batch.share, len(batch.name)) == (2, None, 16)
    assert (path / "batch.json").stat().st_mode & 0o777 == 0o600
    again = PendingBatch(path, durable=True)
    assert again.name == batch.name
    assert again.next(QUERIES, 4).queries == 2  # whatever a batch may have by now
    again.keep(SHARE, ("server-1",))
    kept = PendingBatch(path, durable=True).next(QUERIES, 2)
    assert kept.name == batch.name
    assert kept.share is not None
    assert (kept.share == SHARE).all()
    assert kept.voters == ("server-1",)
    again.finish()
    assert list(path.iterdir()) == []
    assert again.next(QUERIES[2:], 2).name != batch.name


def test_a_batch_that_the_guardian_cut_comes_back_as_it_was_granted(tmp_path: Path) -> None:
    path = tmp_path / "pending"
    pending = PendingBatch(path, durable=True)
    name = pending.next(QUERIES, 4).name
    pending.grant(QUERIES, 3)
    assert PendingBatch(path, durable=True).next(QUERIES, 4) == pending.next(QUERIES, 4)
    assert (pending.next(QUERIES, 4).name, pending.next(QUERIES, 4).queries) == (name, 3)


def test_other_queries_are_not_asked_by_an_old_name(tmp_path: Path) -> None:
    path = tmp_path / "pending"
    old = PendingBatch(path, durable=True).next(QUERIES, 2)
    names = {old.name}
    for others in (QUERIES[1:], QUERIES[:1], QUERIES.reshape(5, 2, 2), QUERIES + 1):
        names.add(PendingBatch(path, durable=True).next(others, 2).name)
    assert len(names) == 5


def test_a_file_that_was_being_written_is_wiped(tmp_path: Path) -> None:
    (tmp_path / ".new-abc").write_bytes(b"shares")
    PendingBatch(tmp_path, durable=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "batch.json").write_bytes(b"{")
    with pytest.raises(PendingError, match="expected an unfinished batch in"):
        PendingBatch(tmp_path, durable=True)


def test_without_rejoining_nothing_is_written(tmp_path: Path) -> None:
    pending = PendingBatch(tmp_path / "pending", durable=False)
    pending.next(QUERIES, 2)
    pending.keep(SHARE, ("server-1",))
    assert list(tmp_path.iterdir()) == []


# -- whole parties ---------------------------------------------------------------------------------------------------


def start_again(run: Running, name: str) -> None:
    """Start a party anew when its process has ended, as whoever runs it as a service would."""
    process = next(one for one in run.plan.processes if one.name == name)
    run.processes[name].wait(60)
    command = [sys.executable, "-m", process.module, "--settings", str(run.folders.settings(name))]
    run.processes[name] = subprocess.Popen(command, stderr=subprocess.DEVNULL)


def ledger_entries(path: Path) -> list[int]:
    return [entry["costs"][0]["count"] for entry in map(json.loads, path.read_text().splitlines()) if entry["costs"]]


@pytest.mark.parametrize(
    ("killed", "at", "choices"),
    [
        ("server-1", '"step": "1a"', {}),
        ("privacy-guardian", '"step": "2"', {"aggregation": "direct"}),
        ("privacy-guardian", '"step": "3"', {}),
        ("client", '"step": "3"', {}),
        ("client", '"done": 4', {}),
        ("client", '"done": 6', {}),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value) or "paillier",
)
def test_a_party_that_is_killed_and_comes_back_costs_nothing_again(
    tmp_path: Path, killed: str, at: str, choices: dict[str, str]
) -> None:
    more = {"n_queries": 6, "batch_size": 2, "dp_noise_scale": 0, "rejoin_s": 100, **choices}
    with running(tmp_path, **more) as run:
        run.wait_for_event(killed, at)
        os.kill(run.processes[killed].pid, signal.SIGKILL)
        others = [name for name in run.processes if name != "client"]
        for name in [*others, *(["client"] if killed == "client" else [])]:
            start_again(run, name)
        result = run.finish()
        assert [query["predicted"] for query in result["queries"]] == expected_labels(run)
        durable = tmp_path / "files" / "durable"
        assert sum(ledger_entries(durable / "privacy-guardian" / "ledger.jsonl")) == 6
        for owner in (1, 2):
            assert sum(ledger_entries(durable / f"owner-{owner}" / "odometer.jsonl")) == 6
        assert [path.name for path in (durable / "privacy-guardian" / "openings").iterdir()] == ["opened.jsonl"]
        assert list((run.folders.party("client") / "pending").iterdir()) == []
