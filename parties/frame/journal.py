"""A file of lines that is never rewritten.

A line that was appended is on the disk, whatever happens to its writer. A writer holds an exclusive lock, so that two
writers wait for each other. Appending returns after the line, and the folder's entry for a new file, were flushed to
the disk. A crash leaves at most an unfinished last line. No caller was told that this line is there, and the next
writer cuts it off.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from parties.frame.errors import PartyError


class JournalError(PartyError):
    """The file cannot be opened, or does not take what is written to it."""


@dataclass(frozen=True)
class OpenJournal:
    """A journal whose lock is held.

    Attributes:
        lines: all whole lines that were appended before.
    """

    path: Path
    lines: tuple[bytes, ...]
    _descriptor: int

    def append(self, line: bytes) -> None:
        """Add one line, durably. Raises `JournalError` when the line may not be on the disk."""
        content = line + b"\n"
        try:
            written = os.write(self._descriptor, content)
            if written != len(content):
                raise JournalError(f"expected to write a whole line to {self.path}, the disk took less")
            os.fsync(self._descriptor)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise JournalError(f"cannot write to {self.path}: {error.strerror}") from error


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
        data = os.pread(descriptor, size, 0)
        complete = data.rfind(b"\n") + 1
        if complete < size:
            os.ftruncate(descriptor, complete)
        yield OpenJournal(path, tuple(data[:complete].splitlines()), descriptor)
    finally:
        os.close(descriptor)
