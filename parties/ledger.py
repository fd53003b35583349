"""Durable privacy accounts by name, charged before an answer is possible.

Each charge is a line of JSON in a journal (:mod:`parties.frame.journal`). A crash after a charge costs budget, never
privacy. A crash within it leaves nothing that anybody was told of. Two runs at the same time wait for each other at the
journal's lock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mpc.dp.accountant import Cost
from mpc.errors import BudgetExceededError
from parties.frame.errors import PartyError
from parties.frame.journal import FoldedJournal, JournalError, locked


class LedgerError(PartyError):
    """The ledger cannot be read or written, so that no answer may be given."""


class Charge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the ledger.

    Attributes:
        account: the name of the account.
        session: the run in which it was charged.
        time: in seconds since 1970.
        costs: what it was charged at once. Older ledgers hold negative counts, of answers that were given back for
            abstentions. They are not taken off, because epsilon must not depend on answers.
        batch: the name of what was charged for, or nothing. A line without costs says that it was asked for again.
    """

    account: str
    session: str
    time: float
    costs: tuple[Cost, ...]
    batch: str = ""


class _OlderCharge(Charge, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry from the time when a ledger had one kind of account."""

    account: str = msgspec.field(name="querying_party")


@dataclass(frozen=True)
class Account:
    """An account after a charge.

    Attributes:
        granted: how many times the costs were charged, which is how many answers may be given now.
        total: epsilon of everything that the account was charged, with these.
    """

    granted: int
    total: float


@dataclass(frozen=True)
class Room:
    """What an account has room for.

    Attributes:
        times: how many times the costs in question fit.
        total: epsilon of everything that it was charged.
        refusal: the reason why no more fit, in one sentence, or nothing.
    """

    times: int
    total: float
    refusal: str


_Kind = tuple[str, str, int, int]
"""What a cost is, whatever its count: the kind of release, sigma, sensitivity and parts."""


@dataclass
class _Batch:
    """What an account was charged last for one batch, at the same costs of an answer.

    Attributes:
        answers: how many.
        again: how often it was asked for at no cost since.
    """

    answers: int
    again: int = 0


@dataclass
class _Accounts:
    """What all lines together say.

    Attributes:
        spent: the releases of each account by kind.
        batches: by account and name, and then by the kinds of an answer's costs.
    """

    spent: dict[str, dict[_Kind, int]] = field(default_factory=dict)
    batches: dict[tuple[str, str], dict[tuple[_Kind, ...], _Batch]] = field(default_factory=dict)

    def add(self, entry: Charge) -> None:
        releases = self.spent.setdefault(entry.account, {})
        for cost in _charged(entry):
            releases[_kind(cost)] = releases.get(_kind(cost), 0) + cost.count
        if not entry.batch:
            return
        batches = self.batches.setdefault((entry.account, entry.batch), {})
        if entry.costs:
            batches[tuple(map(_kind, entry.costs))] = _Batch(entry.costs[0].count)
        else:  # it does not say at which costs, so it counts for all
            for batch in batches.values():
                batch.again += 1


@dataclass(frozen=True)
class Totals:
    """What an account was charged in all.

    Attributes:
        released: number of releases by their kind.
        charges: how many times it was charged.
        epsilon: of everything. It is infinite where no bound exists.
    """

    released: dict[str, int]
    charges: int
    epsilon: float


EpsilonOf = Callable[[Sequence[Cost]], float]
"""An accountant, which returns the epsilon of all costs together, at a delta of its own."""


class Ledger:
    """Durable, append-only accounts by name.

    Args:
        path: the file, in its owner's private folder. It is made with mode 0600 when absent.
        epsilon_of: the accountant.
        budget: epsilon that one account may spend in all. None for accounting without a limit.
        older: names that accounts had in older ledgers. What was charged under them counts as well.
    """

    def __init__(
        self, path: Path, epsilon_of: EpsilonOf, budget: float | None, older: Mapping[str, str] | None = None
    ) -> None:
        self._older = dict(older or {})
        self._path = path
        self._epsilon_of = epsilon_of
        self._budget = budget
        self._journal = FoldedJournal(path, _Accounts, self._take)

    def charge(
        self,
        account: str,
        session: str,
        costs: Sequence[Cost],
        times: int,
        least: int = 1,
        *,
        batch: str = "",
        again: int | None = None,
    ) -> Account:
        """Charge an account durably, as many times as the budget allows, and at least `least` times.

        A batch that this account was charged for before, at the same costs of an answer, is not charged a second time.

        Args:
            account: its name.
            session: the run.
            costs: the costs of one answer.
            times: number of answers that are wanted, which is the most that is charged.
            batch: the name of the batch. It is empty for a charge that nobody will ask for again.
            again: how often the same batch costs nothing again. After that it is charged as a new one. None stands for
                any number of times.

        Raises:
            BudgetExceededError: not even `least` answers fit the budget. Nothing is recorded.
            LedgerError: the file is not a ledger or cannot be written.
        """
        with _errors(), self._journal.locked() as journal:
            spent = self._spent(journal.state, account)

            def total(count: int) -> float:
                return self._counted([*spent, *(cost.times(count) for cost in costs)])

            paid = _paid(journal.state, account, batch, costs, again)
            if paid >= least and (paid >= times or again is None):
                if again is not None:
                    journal.append(msgspec.json.encode(Charge(account, session, time.time(), (), batch)))
                return Account(min(paid, times), total(0))
            granted = times if self._budget is None else largest_within(total, times, self._budget)
            if granted < least and self._budget is not None:
                raise BudgetExceededError(self._refusal(account, spent, total(granted + 1), granted))
            account_then = Account(granted, total(granted))  # before anything is written
            charged = tuple(cost.times(granted) for cost in costs)
            journal.append(msgspec.json.encode(Charge(account, session, time.time(), charged, batch)))
            return account_then

    def paid(self, account: str, batch: str, costs: Sequence[Cost], again: int | None = None) -> int:
        """Return how many answers of a batch this account was charged for and may still get at no further cost.

        They were charged at these costs of an answer.
        """
        with _errors(), self._journal.locked() as journal:
            return _paid(journal.state, account, batch, costs, again)

    def room(self, account: str, costs: Sequence[Cost], times: int) -> Room:
        """Return how many times these costs would fit, up to `times`, and why no more. Nothing is recorded."""
        with _errors(), self._journal.locked() as journal:
            spent = self._spent(journal.state, account)

        def total(count: int) -> float:
            return self._counted([*spent, *(cost.times(count) for cost in costs)])

        if self._budget is None:
            return Room(times, total(0), "")
        fits = largest_within(total, times, self._budget)
        return Room(fits, total(0), "" if fits == times else self._refusal(account, spent, total(fits + 1), fits))

    def _refusal(self, account: str, spent: Sequence[Cost], found: float, fits: int) -> str:
        limit, more = _apart(self._budget or 0.0, found)
        query = "one more query" if fits == 0 else f"{fits + 1} more queries"
        return f"expected at most epsilon {limit} for {account}, found {more} with {query}" + _because(
            uncountable(spent)
        )

    def charges(self) -> list[Charge]:
        """Return everything that is recorded."""
        with _errors(), locked(self._path) as journal:
            return [self._entry(number, line) for number, line in enumerate(journal.lines, 1)]

    def spent(self, account: str) -> float:
        """Return the epsilon that one account has spent."""
        with _errors(), self._journal.locked() as journal:
            return self._counted(self._spent(journal.state, account))

    def totals(self) -> dict[str, Totals]:
        """Return what every account was charged in all. The journal is locked while it is read, and not longer."""
        entries: dict[str, list[Charge]] = {}
        for entry in self.charges():
            entries.setdefault(entry.account, []).append(entry)
        found = {}
        for account, charges in entries.items():
            costs = [cost for entry in charges for cost in _charged(entry)]
            found[account] = Totals(_releases(costs), sum(bool(_charged(one)) for one in charges), self._counted(costs))
        return found

    def charged_in(self, session: str, account: str) -> list[Cost]:
        """Return what one account was charged in one run."""
        return [
            cost for one in self.charges() if (one.session, one.account) == (session, account) for cost in _charged(one)
        ]

    def uncountable(self, account: str) -> str:
        """Say what in an account has no finite epsilon, or nothing."""
        with _errors(), self._journal.locked() as journal:
            return uncountable(self._spent(journal.state, account))

    def released(self) -> dict[str, dict[str, int]]:
        """Return, for each account, the number of releases of each kind that it was charged."""
        return {account: totals.released for account, totals in self.totals().items()}

    def _counted(self, costs: Sequence[Cost]) -> float:
        """Return epsilon, which is infinite where the accountant has no figure."""
        try:
            total = self._epsilon_of(costs)
        except (ValueError, ArithmeticError):
            return math.inf
        return math.inf if math.isnan(total) else total

    def _spent(self, accounts: _Accounts, account: str) -> list[Cost]:
        """Return what an account was charged, one cost for each kind of release."""
        names = {account, self._older.get(account, account)}
        return [
            Cost(what, sigma, sensitivity, count, parts)
            for name in sorted(names)
            for (what, sigma, sensitivity, parts), count in accounts.spent.get(name, {}).items()
        ]

    def _take(self, accounts: _Accounts, number: int, line: bytes) -> None:
        accounts.add(self._entry(number, line))

    def _entry(self, number: int, line: bytes) -> Charge:
        try:
            return _entry(line)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise LedgerError(f"expected a charge in line {number} of {self._path}, found {line[:60]!r}") from error


def _paid(accounts: _Accounts, account: str, batch: str, costs: Sequence[Cost], again: int | None) -> int:
    paid = accounts.batches.get((account, batch), {}).get(tuple(map(_kind, costs)))
    return 0 if paid is None or (again is not None and paid.again >= again) else paid.answers


def _kind(cost: Cost) -> _Kind:
    return cost.what, cost.sigma, cost.sensitivity, cost.parts


def _releases(costs: Sequence[Cost]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for cost in costs:
        counts[cost.what] = counts.get(cost.what, 0) + cost.count
    return counts


def _charged(entry: Charge) -> list[Cost]:
    return [cost for cost in entry.costs if cost.count > 0]


def uncountable(costs: Sequence[Cost]) -> str:
    """Say which noise scale of these costs has no finite epsilon. It is empty where all have one."""
    for cost in costs:
        if not cost.countable:
            return f"the account holds a charge at noise scale {cost.sigma[:24]}, which cannot be counted"
    return ""


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _apart(limit: float, found: float) -> tuple[str, str]:
    """Return two different numbers in so many digits that they differ."""
    for digits in range(3, 17):
        if float(f"{limit:.{digits}g}") < float(f"{found:.{digits}g}"):
            return f"{limit:.{max(digits, 6)}g}", f"{found:.{digits}g}"
    return repr(limit), repr(found)


def _entry(line: bytes) -> Charge:
    try:
        return msgspec.json.decode(line, type=Charge)
    except msgspec.ValidationError:
        return msgspec.json.decode(line, type=_OlderCharge)


def largest_within(total: Callable[[int], float], most: int, budget: float) -> int:
    """Return the largest number, up to `most`, whose total stays within the budget. Totals grow with the number."""
    if total(most) <= budget:
        return most
    low, high = 0, most  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if total(middle) <= budget else (low, middle)
    return low


@contextmanager
def _errors() -> Iterator[None]:
    """Raise LedgerError for an error of the journal."""
    try:
        yield
    except JournalError as error:
        raise LedgerError(f"the ledger: {error}") from error
