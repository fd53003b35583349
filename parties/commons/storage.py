"""A trustee's log on its disk: a folder with the founding record, and a journal of all that the trustee has taken.

A line of the journal is a word for the type of a record, a space, and the record in base 64. What was appended is on
the disk. A crash leaves at most an unfinished last line, which nobody was told of, and which the next start cuts off.

The folder can be copied at any time, and an auditor needs nothing else.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

from mpc.commons.encoding import decode, encode
from mpc.commons.founding import Founding
from mpc.commons.notes import from_base64
from mpc.commons.replica import Accepted, Certified, Evidence, Handed, Kept
from mpc.errors import ProtocolError
from parties.frame.errors import PartyError
from parties.frame.journal import JournalError, locked
from parties.frame.private_files import make_private_folder, write_private

FOUNDING = "founding"
JOURNAL = "journal"
_WORDS: dict[str, type[Kept]] = {
    "accepted": Accepted, "certified": Certified, "evidence": Evidence, "handed": Handed,
}  # fmt: skip


class LogError(PartyError):
    """A log's folder cannot be read, or is not what it should be."""


class LogFolder:
    """A trustee's log on its disk. One process at a time writes to it.

    Attributes:
        founding: of this log.
    """

    def __init__(self, path: Path) -> None:
        self.founding = read_founding(path)
        self._journal = path / JOURNAL
        self._size = -1

    @classmethod
    def create(cls, path: Path, founding: Founding) -> LogFolder:
        """Make the folder of an empty log. Raises `LogError` where there is a log already."""
        make_private_folder(path)
        if (path / FOUNDING).exists() or (path / JOURNAL).exists():
            raise LogError(f"expected no log in {path}, found one")
        write_private(path / FOUNDING, encode(founding))
        return cls(path)

    def load(self) -> Iterator[Kept]:
        """Return all records, and cut off an unfinished last line.

        They are on the disk, because the trustee takes them for signed and answers by them.

        Raises:
            LogError: a line is no record.
            JournalError: the file cannot be read.
        """
        with locked(self._journal) as journal:
            lines = journal.lines
            self._size = self._journal.stat().st_size
        for number, line in enumerate(lines, 1):
            yield read_line(number, line)

    def append(self, record: Kept) -> None:
        """Add a record. It is on the disk when this returns.

        Raises:
            JournalError: the disk failed, or somebody else has written to the file since this process read it. Two
                processes of one trustee could otherwise sign two stories.
        """
        with locked(self._journal) as journal:
            found = self._journal.stat().st_size
            if found != self._size:
                raise JournalError(f"expected {self._size} bytes in {self._journal}, found {found} of another process")
            line = write_line(record)
            journal.append(line)
            self._size = found + len(line) + 1


def open_log(path: Path, founding: Founding) -> LogFolder:
    """Return the log in a folder, which is made empty where there is none. Raises `LogError` for another log."""
    if not (path / FOUNDING).exists():
        return LogFolder.create(path, founding)
    folder = LogFolder(path)
    if folder.founding.origin != founding.origin:
        raise LogError(f"expected the log {founding.origin} in {path}, found {folder.founding.origin}")
    return folder


def read_founding(path: Path) -> Founding:
    """Return the founding record of the log in this folder. Raises `LogError`."""
    try:
        return decode(Founding, (path / FOUNDING).read_bytes())
    except OSError as error:
        raise LogError(f"cannot read {path / FOUNDING}: {error.strerror}") from error
    except ProtocolError as error:
        raise LogError(f"{path / FOUNDING}: {error}") from error


def read_lines(path: Path) -> list[bytes]:
    """Return the lines of a log's journal, which is not changed. Raises `LogError` where the last one is unfinished."""
    try:
        data = (path / JOURNAL).read_bytes()
    except OSError as error:
        raise LogError(f"cannot read {path / JOURNAL}: {error.strerror}") from error
    if data and not data.endswith(b"\n"):
        raise LogError(f"expected whole lines in {path / JOURNAL}, found an unfinished last one: copy the log again")
    return data.split(b"\n")[:-1]


def read_line(number: int, line: bytes) -> Kept:
    """Return the record in a line of the journal. Raises `LogError`, which names the line."""
    word, _, body = line.partition(b" ")
    kind = _WORDS.get(word.decode("ascii", "replace"))
    if kind is None:
        raise LogError(f"line {number}: expected one of {', '.join(_WORDS)}, found {word[:24]!r}")
    try:
        return decode(kind, from_base64(body.decode("ascii", "replace"), f"what was {word.decode()}"))
    except ProtocolError as error:
        raise LogError(f"line {number}: {error}") from error


def write_line(record: Kept) -> bytes:
    """Return the line of the journal for a record, without its end."""
    word = next(word for word, kind in _WORDS.items() if kind is type(record))
    return f"{word} {base64.b64encode(encode(record)).decode()}".encode()
