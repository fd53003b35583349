"""The Privacy Guardian's ledger: what each querying party has spent, charged before an answer is possible.

One line of JSON a charge, appended under an exclusive lock and flushed to the disk before :meth:`Ledger.charge`
returns. A crash after the charge costs budget, never privacy; a crash inside it leaves at most an unfinished last line,
which was never acknowledged and which the next charge removes. Two runs that race wait for each other at the lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


class LedgerError(Exception):
    """The ledger cannot be read or written; no answer may be given."""


class BudgetExceededError(LedgerError):
    """The charge would take the querying party over its budget; nothing was written."""


@dataclass(frozen=True)
class Charge:
    """``answers`` noisy labels at scale ``sigma`` (a rational, "2" or "3/2") for one querying party."""

    querying_party: str
    sigma: str
    answers: int
    session: str
    time: float


EpsilonOf = Callable[[Sequence[tuple[str, int]]], float]
"""Total epsilon of (sigma, answers) pairs at the ledger's delta."""


class Ledger:
    """A durable, append-only account per querying party.

    Args:
        path: the file, in the guardian's private folder; made with mode 0600 when absent.
        epsilon_of: the accountant.
        budget: epsilon that one querying party may spend in all; None for accounting without a limit.
    """

    def __init__(self, path: Path, epsilon_of: EpsilonOf, budget: float | None) -> None:
        self._path = path
        self._epsilon_of = epsilon_of
        self._budget = budget

    def charge(self, querying_party: str, sigma: str, answers: int, session: str) -> float:
        """Record ``answers`` more for the party, durably, and return the epsilon that it has spent in all.

        Raises:
            BudgetExceededError: the total would exceed the budget; nothing is recorded.
            LedgerError: the file is not a ledger or cannot be written.
        """
        with self._locked() as descriptor:
            charges = self._read(descriptor)
            spent = [(entry.sigma, entry.answers) for entry in charges if entry.querying_party == querying_party]
            total = self._epsilon_of([*spent, (sigma, answers)])
            if self._budget is not None and total > self._budget:
                raise BudgetExceededError(
                    f"expected at most epsilon {self._budget:g} for {querying_party}, "
                    f"found {total:.3g} with {answers} more answers at sigma {sigma}"
                )
            entry = Charge(querying_party, sigma, answers, session, time.time())
            line = json.dumps(asdict(entry), sort_keys=True).encode() + b"\n"
            if os.write(descriptor, line) != len(line):
                raise LedgerError(f"expected to write a whole line to {self._path}, the disk took less")
            os.fsync(descriptor)
            return total

    def charges(self) -> list[Charge]:
        """Everything recorded so far."""
        with self._locked() as descriptor:
            return self._read(descriptor)

    def spent(self, querying_party: str) -> float:
        """The epsilon that one party has spent."""
        entries = [(entry.sigma, entry.answers) for entry in self.charges() if entry.querying_party == querying_party]
        return self._epsilon_of(entries) if entries else 0.0

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError(f"cannot open the ledger {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int) -> list[Charge]:
        """All charges; cuts off an unfinished last line, which no caller was told of."""
        size = os.fstat(descriptor).st_size
        data = os.pread(descriptor, size, 0)
        complete = data.rfind(b"\n") + 1
        if complete < size:
            os.ftruncate(descriptor, complete)
        charges = []
        for number, line in enumerate(data[:complete].splitlines(), 1):
            try:
                charges.append(Charge(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise LedgerError(f"expected a charge in line {number} of {self._path}, found {line[:60]!r}") from error
        return charges
