"""How many records each client has asked about, by the name in its certificate. It is on the disk before an answer is.

A request that was lost on its way counts, because its answer may have left already.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from parties.frame.journal import FoldedJournal, JournalError


class Quota:
    """One computing party's account of all clients. Each party keeps its own, and one that refuses is enough.

    Args:
        path: the file, which is made when absent.
        limit: records that one client may ask about in all. None counts nothing.
    """

    def __init__(self, path: Path | None, limit: int | None) -> None:
        self._limit = limit
        self._journal = None if path is None or limit is None else FoldedJournal(path, Counter[str], _fold)
        self._lock = threading.Lock()

    def refusal(self, client: str, records: int, waiting: int) -> str:
        """Return why a client may not ask about so many more records, or nothing.

        `waiting` says for how many it has asked already that are not charged yet.
        """
        if self._journal is None or self._limit is None:
            return ""
        with self._lock, self._journal.locked() as journal:
            asked = journal.state[client]
        if asked + waiting + records <= self._limit:
            return ""
        pending = f" and {waiting} on their way" if waiting else ""
        return f"expected at most {self._limit} records of {client} in all, found {records} after {asked}{pending}"

    def charge(self, records: Mapping[str, int]) -> None:
        """Charge clients for a batch. Raises `JournalError` where the disk does not take it."""
        if self._journal is None:
            return
        with self._lock, self._journal.locked() as journal:
            journal.append(json.dumps(dict(records)).encode())


def _fold(asked: Counter[str], number: int, line: bytes) -> None:
    try:
        asked.update({str(client): int(records) for client, records in dict(json.loads(line)).items()})
    except (ValueError, TypeError) as error:
        raise JournalError(
            f"expected records by client in line {number} of the accounts, found {line[:60]!r}"
        ) from error
