"""Write down which lines of the project a process runs, and on behalf of which test. Needs only Python itself.

The file is run by path in every process of a recording, also in parties that find nothing of the tests. A process
learns its test from the file `scope` in its folder for temporary files, which is one that the tests' own process fills.
A child writes each line at once, because it may be killed.
"""

from __future__ import annotations

import os
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

SCOPE = "scope"
WINGS = ("mpc", "parties", "orchestrator")


class Tracer:
    """Tells `seen` each file and line of the project once, until it is told to forget."""

    def __init__(self, home: Path, seen: Callable[[str, int], None]) -> None:
        self._begin = tuple(f"{home / wing}{os.sep}" for wing in WINGS)
        self._cut = len(str(home)) + 1
        self._seen = seen
        self._left: dict[CodeType, set[int]] = {}

    def forget(self) -> None:
        """Tell every line again that is run from now on."""
        self._left = {}

    def start(self) -> None:
        threading.settrace(self._call)
        sys.settrace(self._call)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(self._begin):
            return None
        left = self._left.get(code)
        if left is None:
            left = self._left[code] = {line for _, _, line in code.co_lines() if line}
        return self._line if left else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        left = self._left.get(frame.f_code)
        if left and frame.f_lineno in left:
            left.discard(frame.f_lineno)
            self._seen(frame.f_code.co_filename[self._cut :], frame.f_lineno)
        return self._line


def follow(home: str, folder: str) -> None:
    """Record this process, a child of a test, until its end."""
    try:
        scope = Path(os.environ["TMPDIR"], SCOPE).read_text()
    except (KeyError, OSError):
        return  # not a child of a test
    name = Path(folder, f"{uuid.uuid4().hex}.lines")
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.set_inheritable(file, False)
    os.write(file, f"{scope}\n".encode())
    Tracer(Path(home), lambda path, line: _write(file, f"{path} {line}\n")).start()


def _write(file: int, text: str) -> None:
    try:
        os.write(file, text.encode())
    except OSError:
        sys.settrace(None)  # the program has closed all files on its way out
