"""Standard output and error that do not end a run when they are full, closed, or read by nobody any more."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console


class Steady(io.TextIOBase):
    """A text stream that is silent from the first failed write on. All else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None  # why it is silent

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    @property
    def refused(self) -> OSError | None:
        """Why what was written did not arrive. A reader that has gone has all that it wanted, so that is no reason."""
        gone = self.lost is not None and self.lost.errno in (errno.EPIPE, errno.EIO)
        return None if gone else self.lost

    def _lose(self, error: OSError) -> None:
        """Send all further output, and what is held back, to nowhere. The interpreter's end would try it again."""
        self.lost = self.lost or error
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def steady_streams() -> Iterator[Steady]:
    """Within this, both standard streams are steady, and exist. Return standard output."""
    _occupy_standard_numbers()
    before = sys.stdout, sys.stderr
    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  lives as long as the process may print
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an arrow must not end a run on a terminal that cannot show it
    output, errors = Steady(sys.stdout or nowhere), Steady(sys.stderr or nowhere)
    sys.stdout, sys.stderr = output, errors
    try:
        yield output
    finally:
        output.flush()
        errors.flush()
        sys.stdout, sys.stderr = before
        nowhere.close()


def _occupy_standard_numbers() -> None:
    """Keep the numbers of closed standard streams from the next files that are opened, which others would write to."""
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > 2:
            os.close(number)
            return
        os.set_inheritable(number, True)


def plain_console(width: int, height: int | None = None) -> Console:
    """Return a console that shows texts as they are, on a terminal in its size and elsewhere in the one given."""
    if sys.stdout.isatty():
        return Console(markup=False, highlight=False, emoji=False)
    return Console(markup=False, highlight=False, emoji=False, width=width, height=height)
