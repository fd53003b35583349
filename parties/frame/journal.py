"""A file of lines that is never rewritten.

A line that was appended is on the disk, whatever happens to its writer. A writer holds an exclusive lock, so that two
writers wait for each other. Appending returns after the line, and the folder's entry for a new file, were flushed to
the disk. A crash leaves at most an unfinished last line. No caller was told that this line is there, and the next
writer cuts it off. A writer that was killed may also leave whole lines that are not on the disk yet. So whoever reads
lines puts them there first, because it acts on them.

A journal grows for years. Appending does not read what is there. Who needs what all lines together say keeps it
(:class:`FoldedJournal`) for as long as nobody else writes.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from parties.frame.errors import PartyError

State = TypeVar("State")

_CHUNK = 1 << 16


class JournalError(PartyError):
    """The file cannot be opened, or does not take what is written to it."""


@dataclass(frozen=True)
class OpenJournal:
    """A journal whose lock is held, and which ends with a whole line."""

    path: Path
    _descriptor: int

    @property
    def lines(self) -> tuple[bytes, ...]:
        """All whole lines, which are on the disk, and are read now. Raises `JournalError`."""
        self._settle()
        size = os.fstat(self._descriptor).st_size
        data = os.pread(self._descriptor, size, 0)
        if len(data) != size:
            raise JournalError(f"expected {size} bytes in {self.path}, the disk gave {len(data)}")
        return tuple(data[: data.rfind(b"\n") + 1].splitlines())

    @property
    def last(self) -> bytes:
        """The last line, which is on the disk, or nothing where there is none. The lines before it are not read.

        Raises `JournalError`.
        """
        self._settle()
        size = os.fstat(self._descriptor).st_size
        start = _whole_lines(self._descriptor, max(0, size - 1))
        return os.pread(self._descriptor, size - start, start).rstrip(b"\n")

    def append(self, line: bytes) -> None:
        """Add one line, durably. Raises `JournalError` when the line may not be on the disk."""
        content = line + b"\n"
        try:
            written = os.write(self._descriptor, content)
            if written != len(content):
                raise JournalError(f"expected to write a whole line to {self.path}, the disk took less")
            self._flush()
        except OSError as error:
            raise JournalError(f"cannot write to {self.path}: {error.strerror}") from error

    def _settle(self) -> None:
        """Put on the disk whatever a writer that was killed has left in memory.

        A disk may have failed to take a line that the system still shows. So the system is asked to forget what it
        holds of the file, and to read it from the disk again. An empty file has nothing to act on.
        """
        if os.fstat(self._descriptor).st_size == 0:
            return
        try:
            self._flush()
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise JournalError(f"cannot flush {self.path}: {error.strerror}") from error

    def _flush(self) -> None:
        os.fsync(self._descriptor)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def locked(path: Path) -> Iterator[OpenJournal]:
    """Open the journal for this writer alone. It is made with mode 0600 when absent."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"cannot open {path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        complete = _whole_lines(descriptor, size)
        if complete < size:
            os.ftruncate(descriptor, complete)
        yield OpenJournal(path, descriptor)
    finally:
        os.close(descriptor)


def _whole_lines(descriptor: int, size: int) -> int:
    """Return the length of all whole lines, which is looked for from the end on."""
    end = size
    while end > 0:
        start = max(0, end - _CHUNK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


@dataclass
class FoldedJournal(Generic[State]):
    """A journal, and what all its lines together say.

    Whoever opens it again reads nothing while the file is the one that was left. Once anybody else has written to it,
    or has put another file in its place, all of it is read again.

    Attributes:
        begin: returns the state of an empty journal.
        fold: takes a line, with its number from 1 on, into the state. What it raises leaves nothing kept.
    """

    path: Path
    begin: Callable[[], State]
    fold: Callable[[State, int, bytes], None]
    _state: State | None = None
    _lines: int = 0
    _stamp: tuple[int, ...] = ()

    @contextmanager
    def locked(self) -> Iterator[OpenFolded[State]]:
        """Open it for this writer alone, as :func:`locked` does."""
        with locked(self.path) as journal:
            yield OpenFolded(self, journal, self._state_of(journal))

    def _state_of(self, journal: OpenJournal) -> State:
        if self._state is not None and self._stamp == _stamp(journal):
            return self._state
        self._stamp, state, lines = (), self.begin(), journal.lines
        for number, line in enumerate(lines, 1):
            self.fold(state, number, line)
        self._state, self._lines, self._stamp = state, len(lines), _stamp(journal)
        return state

    def _append(self, journal: OpenJournal, line: bytes, state: State) -> None:
        self._stamp = ()  # until the line is on the disk, and taken in
        journal.append(line)
        self._lines += 1
        self.fold(state, self._lines, line)
        self._stamp = _stamp(journal)


@dataclass(frozen=True)
class OpenFolded(Generic[State]):
    """A folded journal whose lock is held, and its state."""

    _folded: FoldedJournal[State]
    _journal: OpenJournal
    state: State

    def append(self, line: bytes) -> None:
        """Add one line durably, as :meth:`OpenJournal.append` does, and take it into the state."""
        self._folded._append(self._journal, line, self.state)


def _stamp(journal: OpenJournal) -> tuple[int, ...]:
    """Return what changes with every change of the file, and with every other file in its place."""
    now = os.fstat(journal._descriptor)
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
