"""For how many queries an answering party's weights stay hidden, counted over all runs and sessions.

The replies in preprocessing carry noise that hides the weights in them. How much noise that takes depends on the number
of queries that it must serve (:meth:`mpc.inference.network.Network.leakage_bits`). A session has its own limit. A party
that serves for months has to count over all of them, and durably. A query counts as soon as it is prepared, because its
reply leaves then, whether or not it is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpc.errors import BudgetExceededError
from parties.capc.settings import AnsweringSettings
from parties.frame.errors import PartyError
from parties.frame.journal import JournalError, OpenJournal, locked

PREPARED = "prepared.jsonl"
"""The count, in the party's private folder that outlives a run. Each line holds all queries up to then."""


class PreparedError(PartyError):
    """The count cannot be read or written, so that nothing may be prepared."""


@dataclass(frozen=True)
class HiddenFor:
    """The count of one answering party.

    Attributes:
        most: queries in all that the noise is made for. None where nothing is counted, and where a dealer deals, whose
            correlations need no such noise.
    """

    path: Path
    most: int | None

    @classmethod
    def of(cls, settings: AnsweringSettings) -> HiddenFor:
        """Return the count of a party."""
        dealt = settings.parameters.preprocessing == "dealer"
        return cls(settings.odometer.with_name(PREPARED), None if dealt else settings.queries_in_all)

    def left(self, wanted: int) -> int:
        """Return how many of these queries may still be prepared. Raises `PreparedError`."""
        if self.most is None:
            return wanted
        try:
            with locked(self.path) as journal:
                return min(wanted, max(0, self.most - _count(journal, self.path)))
        except JournalError as error:
            raise PreparedError(str(error)) from error

    def take(self, count: int) -> None:
        """Count so many queries, durably, before their replies leave.

        Raises:
            BudgetExceededError: they are beyond the limit. Nothing is counted, and nothing may leave.
        """
        if self.most is None:
            return
        try:
            with locked(self.path) as journal:
                total = _count(journal, self.path) + count
                if total > self.most:
                    raise BudgetExceededError(f"{self.refusal}, found {total}")
                journal.append(str(total).encode())
        except JournalError as error:
            raise PreparedError(str(error)) from error

    @property
    def refusal(self) -> str:
        """The begin of a sentence that refuses more."""
        return f"expected at most {self.most} queries in all, for which this party's weights stay hidden"


def _count(journal: OpenJournal, path: Path) -> int:
    """Return the queries up to now. Raises `PreparedError`."""
    last = journal.last or b"0"
    if not last.isdigit():
        raise PreparedError(f"expected a number in the last line of {path}, found {last[:40]!r}")
    return int(last)
