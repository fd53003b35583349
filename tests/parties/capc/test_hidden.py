"""For how many queries an answering party's weights stay hidden is counted over all its sessions."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mpc.capc.odometer import querying_receive_account
from mpc.channels.memory import memory_pair
from mpc.errors import BudgetExceededError
from parties.capc.hidden import HiddenFor, PreparedError
from parties.capc.odometer import Odometer
from parties.ledger import Ledger
from tests.parties.capc.federations import ANSWERING, GUARDIAN, federation


def test_what_was_prepared_is_counted_over_sessions_and_refused_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "prepared.jsonl"
    HiddenFor(path, 10).take(4)
    HiddenFor(path, 10).take(5)
    assert HiddenFor(path, 10).left(7) == 1
    with pytest.raises(BudgetExceededError, match=r"expected at most 10 queries in all, .* found 11"):
        HiddenFor(path, 10).take(2)
    HiddenFor(path, 10).take(1)
    assert HiddenFor(path, 10).left(7) == 0
    assert HiddenFor(path, 8).left(7) == 0
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_sessions_at_once_do_not_pass_the_limit_together(tmp_path: Path) -> None:
    path, refused = tmp_path / "prepared.jsonl", []

    def prepare() -> None:
        for _ in range(10):
            try:
                HiddenFor(path, 25).take(1)
            except BudgetExceededError:
                refused.append(1)

    threads = [threading.Thread(target=prepare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 15
    assert path.read_text().splitlines()[-1] == "25"


def test_without_a_limit_nothing_is_written_and_a_broken_count_prepares_nothing(tmp_path: Path) -> None:
    path = tmp_path / "prepared.jsonl"
    HiddenFor(path, None).take(1000)
    assert HiddenFor(path, None).left(7) == 7
    assert not path.exists()
    path.write_text("many\n")
    with pytest.raises(PreparedError, match="expected a number in the last line"):
        HiddenFor(path, 10).take(1)
    with pytest.raises(PreparedError, match="expected a number in the last line"):
        HiddenFor(path, 10).left(1)


def test_the_querying_party_is_told_how_many_are_left_and_why_no_more(tmp_path: Path) -> None:
    odometer = Odometer(Ledger(tmp_path / "odometer.jsonl", lambda _: 0.0, None), "owner", "session", (), None, False)
    client, owner = memory_pair("client", "server-0")
    odometer.limit(3, "expected at most 10 queries in all")
    odometer.tell(owner, 5)
    account = querying_receive_account(client, 5)
    assert (account.queries, account.refusal) == (3, "expected at most 10 queries in all")
    odometer.charge(owner, b"", 2, 3)
    assert querying_receive_account(client, 3).queries == 1


def test_a_member_of_a_federation_refuses_what_its_weights_are_not_hidden_for(tmp_path: Path) -> None:
    with federation(tmp_path, queries_in_all=3) as here:
        here.serve(GUARDIAN, *ANSWERING)
        assert here.ask("clinic-a") == here.expected("clinic-a")
        assert here.ask("clinic-a") == here.expected("clinic-a")[:1]
        again = here.result(here.start_asking("clinic-a"))  # goes on, with what it has bought
        assert [query["predicted"] for query in again["queries"]] == here.expected("clinic-a")[:1]
        assert "expected at most 3 queries in all" in again["refusal"]
        assert "expected at most 3 queries in all" in here.refusal("clinic-a", fresh=None)
        assert (here.folder("clinic-c") / "durable" / "owner-clinic-c" / "prepared.jsonl").read_text() == "1\n2\n3\n"
        assert here.charged("clinic-c") == {"clinics/clinic-c": 3}
