"""Processes that take turns, see ``benchmarks/peers/turns.py``. All waits for them have a deadline."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
DEADLINE_S = 600.0  # for one answer

Row = dict[str, Any]


class RivalError(Exception):
    """A process that did not answer as it should. The message names it."""


class Rival:
    """One process."""

    def __init__(self, name: str, process: subprocess.Popen[str], deadline_s: float) -> None:
        self.name = name
        self._process = process
        self._deadline_s = deadline_s

    def tell(self, word: str) -> None:
        """Say "go" or "end"."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise RivalError(f"{self.name}: expected to take a turn, found that it has ended") from error

    def answer(self) -> Row:
        """Return the next answer. Raises `RivalError` if there is none in time."""
        assert self._process.stdout is not None
        late = threading.Timer(self._deadline_s, self._process.kill)
        late.start()
        try:
            line = self._process.stdout.readline()
        finally:
            late.cancel()
        if not line:
            raise RivalError(
                f"{self.name}: expected an answer within {self._deadline_s:g} s, found that the process has ended"
            )
        found: Row = json.loads(line)
        return found


@contextmanager
def rival(name: str, command: Sequence[str], deadline_s: float = DEADLINE_S) -> Iterator[Rival]:
    """Start a process with one thread for numpy. It is gone at the end."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as process:
        try:
            yield Rival(name, process, deadline_s)
        finally:
            process.kill()


def in_turns(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Row]:
    """Return for each process what it says first and last, and as ``turns`` what it says of each round.

    One process works at a time, also while they get ready.
    """
    with ExitStack() as stack:
        rivals, results = {}, {}
        for name, command in commands.items():
            rivals[name] = stack.enter_context(rival(name, command))
            results[name] = rivals[name].answer() | {"turns": []}
        for _ in range(rounds):
            for name, one in rivals.items():
                one.tell("go")
                results[name]["turns"].append(one.answer())
        for name, one in rivals.items():
            one.tell("end")
            results[name] |= one.answer()
    return results
