"""The ledger: nothing is lost, nothing is answered beyond the budget, also in a race and after a crash."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import stat
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mpc.dp.accountant import Cost, answer_cost, check_cost, epsilon
from parties.ledger import BudgetExceededError, Ledger, LedgerError
from tests.mpc.dp.test_accountant import exact_epsilon

ANSWER = (answer_cost("2"),)


def one_per_answer(spent: Sequence[Cost]) -> float:
    """An accountant that is easy to check: epsilon 1 an answer, a hundredth a check."""
    return sum(cost.count * (1.0 if cost.what == "answer" else 0.01) for cost in spent)


def test_charges_add_up_per_party_and_survive_reopening(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, one_per_answer, None)
    assert ledger.charge("client", "a", ANSWER, 3).total == 3
    assert ledger.charge("other", "a", ANSWER, 1).total == 1
    assert Ledger(path, one_per_answer, None).charge("client", "b", (answer_cost("3/2"),), 4).total == 7
    assert ledger.spent("client") == 7
    assert ledger.spent("nobody") == 0
    assert ledger.released() == {"client": {"answer": 7}, "other": {"answer": 1}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_charged_under_an_older_name_counts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path, one_per_answer, None).charge("digits/party-0", "a", ANSWER, 3)
    Ledger(path, one_per_answer, None).charge("digits/party-1", "a", ANSWER, 9)
    ledger = Ledger(path, one_per_answer, 5.0, {"party-0-of-2/abc": "digits/party-0"})
    assert ledger.spent("party-0-of-2/abc") == 3
    assert ledger.charge("party-0-of-2/abc", "b", ANSWER, 4).granted == 2
    with pytest.raises(BudgetExceededError):
        ledger.charge("party-0-of-2/abc", "b", ANSWER, 1)


def test_as_many_are_granted_as_the_budget_allows_and_then_none(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", one_per_answer, 5.0)
    granted = [ledger.charge("client", "a", ANSWER, wished).granted for wished in (2, 2, 4)]
    assert granted == [2, 2, 1]
    with pytest.raises(BudgetExceededError, match="expected at most epsilon 5 for client, found 6 with one more"):
        ledger.charge("client", "a", ANSWER, 1)
    assert ledger.spent("client") == 5


@pytest.mark.parametrize("budget", range(1, 12))
def test_the_grant_is_the_largest_that_fits(tmp_path: Path, budget: int) -> None:
    account = Ledger(tmp_path / "ledger.jsonl", one_per_answer, budget + 0.5).charge("client", "a", ANSWER, 9)
    assert (account.granted, account.total) == (min(budget, 9), min(budget, 9))


def test_an_unfinished_line_is_dropped_and_a_damaged_one_stops_the_guardian(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, one_per_answer, None)
    ledger.charge("client", "a", ANSWER, 3)
    with path.open("ab") as file:
        file.write(b'{"answers": 9')
    assert ledger.charge("client", "a", ANSWER, 1).total == 4
    path.write_bytes(b'{"answers": 9}\n' + path.read_bytes())
    with pytest.raises(LedgerError, match="expected a charge in line 1"):
        ledger.charge("client", "a", ANSWER, 1)


def slowly(spent: Sequence[Cost]) -> float:
    """An accountant that takes so long that two racers would meet, were it not for the lock."""
    time.sleep(0.002)
    return one_per_answer(spent)


def _charge_many(path: Path, times: int) -> None:
    ledger = Ledger(path, slowly, 50.0)
    for _ in range(times):
        try:
            ledger.charge("client", "race", ANSWER, 1)
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
            ledger.charge("client", "kill", ANSWER, 1)
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
        guardian.join(60)
        recorded = Ledger(path, one_per_answer, None).spent("client")
        assert recorded >= acknowledged.stat().st_size
        assert Ledger(path, one_per_answer, None).charge("client", "after", ANSWER, 1).total == recorded + 1


CALLS = ("open", "fstat", "pread", "write", "fsync", "close")


def _charge_killed_at(path: Path, call: str, nth: int, half: bool) -> None:
    """Charge once, and die by SIGKILL at the nth such call: before it, or after half a line."""
    real = getattr(os, call)
    count = 0

    def deadly(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == nth:
            if half and call == "write":
                real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    setattr(os, call, deadly)
    Ledger(path, one_per_answer, None).charge("client", "kill", ANSWER, 1)
    os._exit(0)


@pytest.mark.parametrize(("call", "half"), [*((call, False) for call in CALLS), ("write", True)])
def test_death_at_any_call_loses_no_earlier_charge_and_leaves_a_ledger(tmp_path: Path, call: str, half: bool) -> None:
    path = tmp_path / "ledger.jsonl"
    context = multiprocessing.get_context("fork")
    acknowledged = Ledger(path, one_per_answer, None).charge("client", "before", ANSWER, 1).total
    for nth in (1, 2, 3):
        guardian = context.Process(target=_charge_killed_at, args=(path, call, nth, half))
        guardian.start()
        guardian.join(60)
        spent = Ledger(path, one_per_answer, None).spent("client")
        assert spent >= acknowledged + (1 if guardian.exitcode == 0 else 0)
        acknowledged = spent
    assert Ledger(path, one_per_answer, None).charge("client", "after", ANSWER, 1).total == acknowledged + 1


def test_a_disk_that_does_not_flush_is_no_charge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(LedgerError, match="Input/output error"):
        Ledger(tmp_path / "ledger.jsonl", one_per_answer, None).charge("client", "a", ANSWER, 1)


def test_a_short_write_is_no_charge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / "ledger.jsonl", os.write
    ledger = Ledger(path, one_per_answer, 5.0)
    ledger.charge("client", "a", ANSWER, 1)
    for taken in (0, 1, 40):
        with monkeypatch.context() as full:
            full.setattr(os, "write", lambda d, content, taken=taken: real(d, content[:taken]))
            with pytest.raises(LedgerError, match="whole line"):
                ledger.charge("client", "a", ANSWER, 2)
        assert ledger.spent("client") == 1
    assert ledger.charge("client", "a", ANSWER, 9).granted == 4


def test_the_folders_entry_of_a_new_ledger_is_flushed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[bool] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda d: (flushed.append(stat.S_ISDIR(os.fstat(d).st_mode)), real(d)))
    Ledger(tmp_path / "ledger.jsonl", one_per_answer, None).charge("client", "a", ANSWER, 1)
    assert flushed == [False, True]


def test_what_the_ledger_says_of_checks_and_answers_is_exact_to_half_a_percent(tmp_path: Path) -> None:
    """Confident-GNMax: 8 checks and 8 answers, with two noise scales."""
    ledger = Ledger(tmp_path / "ledger.jsonl", partial(epsilon, delta=1e-3), 12.0)
    for _ in range(2):
        ledger.charge("client", "run", (check_cost("4"), answer_cost("3")), 4)
    exact = exact_epsilon(8, 3, 8, 4, delta=1e-3)
    assert exact <= ledger.spent("client") <= 1.005 * exact


def test_entries_of_an_older_ledger_count(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    entry = '{"querying_party":"client","session":"a","time":1.5,"costs":[%s]}\n'
    cost = '{"what":"answer","sigma":"2","count":3,"moved":2}'
    path.write_text(entry % cost)
    ledger = Ledger(path, one_per_answer, 5.0)
    assert ledger.charge("client", "b", ANSWER, 4).granted == 2
    assert (ledger.spent("client"), ledger.spent("other")) == (5, 0)
    assert b"querying_party" not in path.read_bytes().splitlines()[1]


LINE = '{"account":"%s","session":"a","time":1.5,"costs":[{"what":"answer","sigma":"%s","count":%s,"moved":%s}]}\n'
UNCOUNTABLE = [
    ("1/1" + "0" * 17 + "0" * 60, "1", "2"),
    ("1e-160", "1", "2"),
    ("1/0", "1", "2"),
    ("-2", "1", "2"),
    ("many", "1", "2"),
    ("nan", "1", "2"),
    ("1e999999999", "1", "2"),
    ("3", "1", "-2"),
    ("1/" + "7" * 60, "1", "2"),
]


@pytest.mark.parametrize(("sigma", "count", "moved"), UNCOUNTABLE)
def test_a_line_that_cannot_be_counted_is_infinite_and_stops_no_other_account(
    tmp_path: Path, sigma: str, count: str, moved: str
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(LINE % ("hurt", sigma, count, moved))
    ledger = Ledger(path, partial(epsilon, delta=1e-5), 30.0)
    assert ledger.charge("well", "b", ANSWER, 1).granted == 1
    assert ledger.spent("hurt") == math.inf
    assert ledger.uncountable("hurt").startswith(f"the account holds a charge at noise scale {sigma[:24]}")
    assert (ledger.spent("well"), ledger.uncountable("well")) == (epsilon(ANSWER, 1e-5), "")
    with pytest.raises(BudgetExceededError, match="found inf with one more query: the account holds a charge at noise"):
        ledger.charge("hurt", "b", ANSWER, 1)
    assert Ledger(path, partial(epsilon, delta=1e-5), None).charge("hurt", "b", ANSWER, 1).total == math.inf


@pytest.mark.parametrize("wrong", [OverflowError, ZeroDivisionError, ValueError, math.nan])
def test_what_an_accountant_has_no_figure_for_is_infinite_before_it_is_written(tmp_path: Path, wrong: Any) -> None:
    path = tmp_path / "ledger.jsonl"

    def no_figure(_: Sequence[Cost]) -> float:
        if isinstance(wrong, float):
            return wrong
        raise wrong("no figure")

    with pytest.raises(BudgetExceededError):
        Ledger(path, no_figure, 5.0).charge("client", "a", ANSWER, 1)
    assert path.read_bytes() == b""
    assert Ledger(path, no_figure, None).charge("client", "a", ANSWER, 1).total == math.inf


def test_epsilon_is_known_before_a_charge_is_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"

    def broken(_: Sequence[Cost]) -> float:
        raise RuntimeError("the accountant broke")

    with pytest.raises(RuntimeError):
        Ledger(path, broken, None).charge("client", "a", ANSWER, 1)
    assert path.read_bytes() == b""


def test_a_refusals_two_numbers_differ(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", lambda spent: 10.004 if spent else 0.0, 10.0)
    with pytest.raises(BudgetExceededError, match=r"at most epsilon 10 for client, found 10\.004 with"):
        ledger.charge("client", "a", ANSWER, 1)


def test_what_an_older_ledger_gave_back_counts_as_spent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(LINE % ("client", "2", "3", "2") + LINE % ("client", "2", "-2", "2"))
    ledger = Ledger(path, one_per_answer, 4.0)
    assert (ledger.spent("client"), ledger.charge("client", "b", ANSWER, 9).granted) == (3, 1)
    assert ledger.released() == {"client": {"answer": 4}}


def test_a_charge_reads_none_of_the_earlier_ones_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(LINE % ("client", "2", "1", "2") * 20_000)
    ledger, read = Ledger(path, one_per_answer, 20_007.0), list[int]()
    assert ledger.charge("client", "a", ANSWER, 3, batch="one").total == 20_003
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda *a: (data := real(*a), read.append(len(data)))[0])
    assert ledger.charge("client", "a", ANSWER, 3, batch="one").total == 20_003
    assert ledger.charge("client", "a", ANSWER, 9, batch="two").granted == 4
    assert ledger.paid("client", "two", ANSWER) == 4
    assert sum(read) < 300_000 < path.stat().st_size
    monkeypatch.undo()
    assert Ledger(path, one_per_answer, None).spent("client") == ledger.spent("client") == 20_007


def test_a_batch_that_is_asked_for_again_at_another_noise_is_charged_anew(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", one_per_answer, None)
    checked = (check_cost("4"), answer_cost("2"))
    assert ledger.charge("client", "a", ANSWER, 2, batch="one").total == 2
    assert ledger.paid("client", "one", ANSWER) == 2
    for costs in ((answer_cost("1"),), (answer_cost("2", 3),), checked):
        assert ledger.paid("client", "one", costs) == 0
    assert ledger.charge("client", "a", (answer_cost("1"),), 2, batch="one").total == 4
    assert ledger.charge("client", "a", (answer_cost("1"),), 2, batch="one").total == 4
    assert ledger.charge("client", "a", ANSWER, 2, batch="one").total == 4  # it was paid for at either noise
