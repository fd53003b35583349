"""The ledger: nothing is lost, nothing is answered beyond the budget, also in a race and after a crash."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from parties.ledger import BudgetExceededError, Ledger, LedgerError


def one_per_answer(spent: Sequence[tuple[str, int]]) -> float:
    """An accountant that is easy to check: epsilon 1 an answer."""
    return float(sum(answers for _, answers in spent))


def test_charges_add_up_per_party_and_survive_reopening(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, one_per_answer, None)
    assert ledger.charge("client", "2", 3, "a") == 3
    assert ledger.charge("other", "2", 1, "a") == 1
    assert Ledger(path, one_per_answer, None).charge("client", "3/2", 4, "b") == 7
    assert ledger.spent("client") == 7
    assert ledger.spent("nobody") == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_over_budget_is_refused_and_not_recorded(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", one_per_answer, 5.0)
    ledger.charge("client", "2", 5, "a")
    with pytest.raises(BudgetExceededError, match="expected at most epsilon 5 for client, found 6"):
        ledger.charge("client", "2", 1, "a")
    assert ledger.spent("client") == 5


def test_an_unfinished_line_is_dropped_and_a_damaged_one_stops_the_guardian(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, one_per_answer, None)
    ledger.charge("client", "2", 3, "a")
    with path.open("ab") as file:
        file.write(b'{"answers": 9')
    assert ledger.charge("client", "2", 1, "a") == 4
    path.write_bytes(b'{"answers": 9}\n' + path.read_bytes())
    with pytest.raises(LedgerError, match="expected a charge in line 1"):
        ledger.charge("client", "2", 1, "a")


def _charge_many(path: Path, times: int) -> None:
    ledger = Ledger(path, one_per_answer, 50.0)
    for _ in range(times):
        try:
            ledger.charge("client", "2", 1, "race")
        except BudgetExceededError:
            return


def test_a_hundred_racing_charges_never_exceed_the_budget(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    context = multiprocessing.get_context("fork")
    racers = [context.Process(target=_charge_many, args=(path, 25)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
    assert Ledger(path, one_per_answer, None).spent("client") == 50


def _charge_until_killed(path: Path, acknowledged: Path) -> None:
    ledger = Ledger(path, one_per_answer, None)
    with acknowledged.open("ab", buffering=0) as file:
        while True:
            ledger.charge("client", "2", 1, "kill")
            file.write(b".")


def test_a_killed_guardian_loses_no_acknowledged_charge(tmp_path: Path) -> None:
    path, acknowledged = tmp_path / "ledger.jsonl", tmp_path / "acknowledged"
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        guardian = context.Process(target=_charge_until_killed, args=(path, acknowledged))
        guardian.start()
        while not acknowledged.exists() or acknowledged.stat().st_size < 3:
            assert guardian.is_alive()
        os.kill(guardian.pid or 0, signal.SIGKILL)
        guardian.join(10)
        recorded = Ledger(path, one_per_answer, None).spent("client")
        assert recorded >= acknowledged.stat().st_size
        assert Ledger(path, one_per_answer, None).charge("client", "2", 1, "after") == recorded + 1
