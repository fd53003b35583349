"""Durable privacy accounts by name, charged before an answer is possible.

One line of JSON a charge in a journal (:mod:`parties.frame.journal`). A crash after the charge costs budget, never
privacy; a crash inside it leaves nothing that anybody was told of. Two runs that race wait for each other at the lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mpc.dp.accountant import Cost
from mpc.errors import BudgetExceededError
from parties.frame.errors import PartyError
from parties.frame.journal import JournalError, OpenJournal, locked


class LedgerError(PartyError):
    """The ledger cannot be read or written; no answer may be given."""


class Charge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one account was charged at once, or given back (negative counts).

    Ledgers on disk call the account `querying_party`.
    """

    account: str = msgspec.field(name="querying_party")
    session: str
    time: float
    costs: tuple[Cost, ...]


@dataclass(frozen=True)
class Account:
    """An account after a charge.

    Attributes:
        granted: the queries that may be answered now.
        total: epsilon of everything that the account was charged, these included.
    """

    granted: int
    total: float


EpsilonOf = Callable[[Sequence[Cost]], float]
"""The accountant: total epsilon at the ledger's delta."""


class Ledger:
    """Durable, append-only accounts by name.

    Args:
        path: the file, in its owner's private folder; made with mode 0600 when absent.
        epsilon_of: the accountant.
        budget: epsilon that one account may spend in all; None for accounting without a limit.
    """

    def __init__(self, path: Path, epsilon_of: EpsilonOf, budget: float | None) -> None:
        self._path = path
        self._epsilon_of = epsilon_of
        self._budget = budget

    def charge(self, account: str, session: str, query_costs: Sequence[Cost], queries: int) -> Account:
        """Charge for as many of the queries as the budget allows, durably.

        `query_costs` is what one query costs. The account is charged for `granted` queries, at least one.

        Raises:
            BudgetExceededError: not even one query fits the budget; nothing is recorded.
            LedgerError: the file is not a ledger or cannot be written.
        """
        with _errors(), locked(self._path) as journal:
            spent = self._spent(journal, account)

            def total(count: int) -> float:
                return self._epsilon_of([*spent, *(cost.times(count) for cost in query_costs)])

            granted = queries if self._budget is None else _most(total, queries, self._budget)
            if granted == 0:
                raise BudgetExceededError(
                    f"expected at most epsilon {self._budget:g} for {account}, found {total(1):.3g} with one more query"
                )
            costs = tuple(cost.times(granted) for cost in query_costs)
            journal.append(msgspec.json.encode(Charge(account, session, time.time(), costs)))
            return Account(granted, total(granted))

    def give_back(self, account: str, session: str, costs: Sequence[Cost]) -> float:
        """Take releases off the account that were charged in this session and did not happen; returns the total.

        Raises:
            LedgerError: more is given back than the session was charged.
        """
        with _errors(), locked(self._path) as journal:
            charged: dict[tuple[str, str, int], int] = {}
            for entry in self._entries(journal):
                if (entry.account, entry.session) == (account, session):
                    for cost in entry.costs:
                        key = cost.what, cost.sigma, cost.sensitivity
                        charged[key] = charged.get(key, 0) + cost.count
            for cost in costs:
                most = charged.get((cost.what, cost.sigma, cost.sensitivity), 0)
                if not 0 <= cost.count <= most:
                    raise LedgerError(f"expected at most {most} times {cost.what} to give back, found {cost.count}")
            returned = tuple(cost.times(-1) for cost in costs)
            spent = [*self._spent(journal, account), *returned]
            journal.append(msgspec.json.encode(Charge(account, session, time.time(), returned)))
            return self._epsilon_of(spent)

    def charges(self) -> list[Charge]:
        """Everything recorded so far."""
        with _errors(), locked(self._path) as journal:
            return self._entries(journal)

    def spent(self, account: str) -> float:
        """The epsilon that one account has spent."""
        with _errors(), locked(self._path) as journal:
            return self._epsilon_of(self._spent(journal, account))

    def released(self) -> dict[str, dict[str, int]]:
        """For each account, how many releases of each kind it was charged for, less what was given back."""
        counts: dict[str, dict[str, int]] = {}
        for entry in self.charges():
            released = counts.setdefault(entry.account, {})
            for cost in entry.costs:
                released[cost.what] = released.get(cost.what, 0) + cost.count
        return counts

    def _spent(self, journal: OpenJournal, account: str) -> list[Cost]:
        return [cost for entry in self._entries(journal) if entry.account == account for cost in entry.costs]

    def _entries(self, journal: OpenJournal) -> list[Charge]:
        charges = []
        for number, line in enumerate(journal.lines, 1):
            try:
                charges.append(msgspec.json.decode(line, type=Charge))
            except (msgspec.DecodeError, msgspec.ValidationError) as error:
                raise LedgerError(f"expected a charge in line {number} of {self._path}, found {line[:60]!r}") from error
        return charges


def _most(total: Callable[[int], float], queries: int, budget: float) -> int:
    """The largest number of queries, up to `queries`, that stays within the budget: totals grow with them."""
    if total(queries) <= budget:
        return queries
    low, high = 0, queries  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if total(middle) <= budget else (low, middle)
    return low


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except JournalError as error:
        raise LedgerError(f"the ledger: {error}") from error
