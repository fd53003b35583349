"""How many records each client has asked about, by the name in its certificate. It is on the disk before an answer is.

A request that was lost on its way counts, because its answer may have left already.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from parties.frame.charts import Measure
from parties.frame.journal import FoldedJournal, JournalError
from parties.frame.plan import Summary

ACCOUNTS = "accounts.jsonl"
"""The file with what clients have asked, in a computing party's private folder."""


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


def asked_in(path: Path) -> Mapping[str, int]:
    """Return how many records each client has asked about, by an account on the disk. Raises `JournalError`."""
    with FoldedJournal(path, Counter[str], _fold).locked() as journal:
        return dict(journal.state)


def asked_view(files: Path) -> Summary:
    """Return how many records each client has asked a member about, as far as there is a quota."""
    lines = [(f"answers to {client}", f"{count} records") for client, count in _asked(files).items()]
    return Summary(tuple(lines) or (("answers", f"none counted in {files / 'durable'}"),))


def asked_measures(files: Path) -> list[Measure]:
    """Return the same as figures to watch."""
    about = "Records that a client has asked about, where there is a quota."
    return [Measure("records", about, count, {"client": client}, grows=True) for client, count in _asked(files).items()]


def _asked(files: Path) -> Mapping[str, int]:
    found = Counter[str]()
    for path in sorted((files / "durable").glob(f"*/{ACCOUNTS}")):
        found.update(asked_in(path))
    return found


def _fold(asked: Counter[str], number: int, line: bytes) -> None:
    try:
        asked.update({str(client): int(records) for client, records in dict(json.loads(line)).items()})
    except (ValueError, TypeError) as error:
        raise JournalError(
            f"expected records by client in line {number} of the accounts, found {line[:60]!r}"
        ) from error
