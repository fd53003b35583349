"""The answers that a querying party has bought, in a file that outlives its process.

A batch of answers is on the disk before the next one is asked for. So a party that was killed goes on where it was.

- The file of a campaign belongs to that campaign alone, and stays.
- The file of given queries (:class:`GivenAnswers`) belongs to one querying party and its public parameters. An answer
  in it belongs to the record with its digest. It stays until the asking is finished and its result is where it remains.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from parties.frame.errors import PartyError
from parties.frame.journal import JournalError, locked
from parties.frame.private_files import remove_unfinished, write_private
from parties.learning.labels import Label
from parties.learning.records import Images


class AnswersError(PartyError):
    """The file of answers cannot be read or written."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The answer to one query.

    Attributes:
        record: index of the record among those that were asked about.
        label: its label, or None where the parties abstained.
        epsilon: that the querying party had spent in all when it got the answer. None without noise.
        run: session of the run.
        digest: SHA-256 of the record in hex, where the file serves several sets of records. It is empty otherwise.
        batch: the name in hex of the batch that it came with. It is empty in older files.
    """

    record: int
    label: Label | None
    epsilon: float | None
    run: str
    digest: str = ""
    batch: str = ""


class Answers:
    """A file of answers. Its name says what it is about."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Answer]:
        """Return the answers in the order in which they came. Raises `AnswersError`."""
        try:
            with locked(self.path) as journal:
                return [msgspec.json.decode(answer, type=Answer) for line in journal.lines for answer in _answers(line)]
        except (JournalError, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise AnswersError(f"expected answers in {self.path}, found: {error}") from error

    def add(self, batch: Sequence[Answer]) -> None:
        """Keep the answers of a batch durably, all or none. Raises `AnswersError`."""
        try:
            with locked(self.path) as journal:
                journal.append(msgspec.json.encode(batch))
        except JournalError as error:
            raise AnswersError(str(error)) from error


def _answers(line: bytes) -> list[msgspec.Raw]:
    """Return the answers of one line of the journal, which is one batch."""
    return msgspec.json.decode(line, type=list[msgspec.Raw])


def record_digests(images: Images) -> tuple[str, ...]:
    """Return SHA-256 of each record ``(n, ...)`` in hex, in their order."""
    return tuple(hashlib.sha256(np.ascontiguousarray(image, "<f4").tobytes()).hexdigest() for image in images)


@dataclass(frozen=True)
class GivenAnswers:
    """What has been bought of the answers to given queries, in an asking that is not finished.

    Only one session of a querying party goes on at a time, so nobody else writes the file meanwhile.

    Attributes:
        path: the file, in the party's private folder that outlives a session.
        digests: of the records that are asked about, in their order.
    """

    path: Path
    digests: tuple[str, ...]

    def known(self) -> dict[int, Answer]:
        """Return the answers that are there, by the place of their record. An answer serves one place."""
        kept: dict[str, list[Answer]] = {}
        if self.path.exists():
            for answer in Answers(self.path).read():
                kept.setdefault(answer.digest, []).append(answer)
        found = {}
        for place, digest in enumerate(self.digests):
            if answers := kept.get(digest):
                found[place] = answers.pop(0)
        return found

    def batches(self) -> frozenset[str]:
        """Return the names of the batches that these answers came with."""
        return frozenset(answer.batch for answer in self.known().values())

    def said(self) -> str:
        """Say how many answers are there and how many are missing, in one sentence, or nothing without any answer."""
        known, of = len(self.known()), len(self.digests)
        if known == 0:
            return ""
        asked = f"{of - known} are asked now" if known < of else "nothing is asked, and nothing charged"
        return f"{known} of {of} queries were answered before this session and are not asked again, so that {asked}"

    def give_up(self) -> str:
        """Put the answers to these records aside, so that all are asked anew. Say where they are, or nothing."""
        known = list(self.known().values())
        if not known:
            return ""
        aside = self._aside()
        Answers(aside).add(known)  # before they leave the other file
        self._remove(known)
        return f"{len(known)} answers that were bought before are kept in {aside}, and all queries are asked anew"

    def delivered(self) -> None:
        """Forget an asking that is finished and whose result is where it remains. One that lacks answers stays."""
        known = self.known()
        if len(known) == len(self.digests):
            self._remove(list(known.values()))

    def _aside(self) -> Path:
        """Return the name of a file that is not there yet."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        names = (self.path.with_name(f"{self.path.stem}.given-up-{stamp}-{number}.jsonl") for number in range(1, 1000))
        return next(path for path in names if not path.exists())

    def _remove(self, answers: Sequence[Answer]) -> None:
        left = Answers(self.path).read()
        for answer in answers:
            left.remove(answer)
        if not left:
            self.path.unlink(missing_ok=True)
            return
        try:  # answers to other records, whose asking is not finished either
            remove_unfinished(self.path.parent)
            write_private(self.path, msgspec.json.encode(left) + b"\n")
        except OSError as error:
            raise AnswersError(f"cannot write {self.path}: {error.strerror}") from error
