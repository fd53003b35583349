"""A file of lines that is never rewritten: what was appended is on the disk, whatever happens to its writer.

Appending takes an exclusive lock, so that two writers wait for each other, and returns after the line, and the folder's
entry for a new file, were flushed to the disk. A crash leaves at most an unfinished last line, which nobody was told
of and which the next writer cuts off.
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
        lines: all that was appended before, whole lines.
    """

    path: Path
    lines: tuple[bytes, ...]
    _descriptor: int

    def append(self, line: bytes) -> None:
        """Add one line, durably. Raises `JournalError` when it cannot be known to be on the disk."""
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
    """The journal, made with mode 0600 when absent, for this writer alone."""
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
