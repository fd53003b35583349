"""The labels that a querying party has paid for: one line a query in a journal that outlives the run.

A campaign that breaks off is continued: what was answered is read from here and neither asked nor paid for again.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from mpc.capc.release import ABSTAINED, Labels
from parties.frame.errors import PartyError
from parties.frame.journal import JournalError, locked
from parties.learning.labels import Label, label_of


def answer_of(entry: np.int64 | Labels) -> Label | None:
    """One query's entry of what came out; None where the parties abstained."""
    label = label_of(entry)
    return None if label == ABSTAINED else label


class AnswersError(PartyError):
    """The file is no record of answers, or does not take them."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one record got, None where the parties abstained.

    Attributes:
        record: which of the unlabelled records.
        epsilon: that the querying party had spent in all when it got the answer; None without noise.
        run: the run's session.
    """

    record: int
    label: Label | None
    epsilon: float | None
    run: str


class Answers:
    """All answers of one campaign. The file's name says which campaign it is."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Answer]:
        """In the order in which they came. Raises `AnswersError`."""
        try:
            with locked(self._path) as journal:
                return [msgspec.json.decode(answer, type=Answer) for line in journal.lines for answer in _parts(line)]
        except (JournalError, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise AnswersError(f"expected answers in {self._path}, found: {error}") from error

    def add(self, batch: list[Answer]) -> None:
        """Keep a batch's answers, durably, all or none. Raises `AnswersError`."""
        try:
            with locked(self._path) as journal:
                journal.append(msgspec.json.encode(batch))
        except JournalError as error:
            raise AnswersError(str(error)) from error


def _parts(line: bytes) -> list[msgspec.Raw]:
    return msgspec.json.decode(line, type=list[msgspec.Raw])
