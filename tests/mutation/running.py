"""Run the tests that concern a mutant, on a copy of the project, until the first one fails."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.copies import ROOT, copy_project, environment_of
from tests.mutation.mutants import Mutant, difference


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant.

    Attributes:
        verdict: killed, timeout (killed, too), survived, or not reached by any test.
        by: the test that failed first.
        tests: how many were chosen.
        left_out: how many more concern it, and did not fit the limit of time.
        seconds: what it took.
    """

    verdict: str
    by: str = ""
    tests: int = 0
    left_out: int = 0
    seconds: float = 0.0

    @property
    def killed(self) -> bool:
        return self.verdict in ("killed", "timeout")


class Copy:
    """A copy of the project in which one mutant at a time lives. The checkout itself is never changed.

    Args:
        folder: empty. Its name should be short, because the paths of sockets lie in it.
    """

    def __init__(self, folder: Path) -> None:
        self._copy = copy_project(folder / "c")
        self._temporary = folder / "t"
        environment = environment_of(self._copy) | {"TMPDIR": str(self._temporary)}
        command = [sys.executable, "-m", "tests.mutation.server"]
        self._server = subprocess.Popen(
            command, cwd=self._copy, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, file: str, changed: str, tests: list[str], limit_s: float, left_out: int = 0) -> Outcome:
        """Run tests, in this order, with another text of one file.

        Args:
            file: relative to the project's folder.
            changed: its text.
            tests: names of tests or of their files.
            limit_s: after so long the mutant counts as killed.
            left_out: for the outcome.
        """
        if not tests:
            return Outcome("not reached")
        begin = time.monotonic()
        (self._copy / file).write_text(changed)
        try:
            status, output = self._pytest(tests, limit_s)
        finally:
            (self._copy / file).write_text((ROOT / file).read_text())
        seconds = round(time.monotonic() - begin, 1)
        if status is None:
            return Outcome("timeout", "", len(tests), left_out, seconds)
        if status == 0:
            return Outcome("survived", "", len(tests), left_out, seconds)
        failed = [line.split(" ")[1] for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return Outcome("killed", failed[0] if failed else output.strip()[-200:], len(tests), left_out, seconds)

    def _pytest(self, tests: list[str], limit_s: float) -> tuple[int | None, str]:
        """Return pytest's status and output, or no status where it took too long. No process of it is left."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir()
        chosen, output = self._temporary / "tests.txt", self._temporary / "output"
        chosen.write_text("\n".join(tests))
        arguments = ["-q", "-x", "-p", "no:cacheprovider", "--tb=no", f"@{chosen}"]
        child = int(self._ask(json.dumps([arguments, str(output)])))
        late = threading.Timer(limit_s, _end_group, [child])
        late.daemon = True
        late.start()
        status = int(self._ask())
        ended = late.finished.is_set()
        late.cancel()
        _end_group(child)
        self._end_all()
        return None if ended else status, output.read_text(errors="replace") if output.exists() else ""

    def _ask(self, line: str = "") -> str:
        """Tell the server a line, if any, and return the next one that it says."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        if line:
            self._server.stdin.write(f"{line}\n")
            self._server.stdin.flush()
        return self._server.stdout.readline()

    def end(self) -> None:
        """End the process that starts pytest."""
        self._server.communicate()

    def _end_all(self) -> None:
        """End what the tests have left, which is every process that has this copy's folder for temporary files."""
        marker = f"TMPDIR={self._temporary}".encode()
        for _ in range(3):  # a process may start another one meanwhile
            for entry in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if int(entry.name) != self._server.pid and marker in (entry / "environ").read_bytes().split(b"\0"):
                        os.kill(int(entry.name), signal.SIGKILL)


def _end_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def within(tests: list[str], seconds: dict[str, float], budget_s: float) -> tuple[list[str], float, int]:
    """Return the first tests that fit a budget of time, their time, and how many do not fit."""
    chosen, total = [], 0.0
    for test in tests:
        if chosen and total + seconds[test] > budget_s:
            break
        chosen.append(test)
        total += seconds[test]
    return chosen, total, len(tests) - len(chosen)


def report(mutant: Mutant, outcome: Outcome) -> dict[str, object]:
    """Return one mutant and what became of it, for a file of JSON lines."""
    source = (ROOT / mutant.file).read_text()
    return {
        "file": mutant.file,
        "line": mutant.line,
        "operator": mutant.operator,
        "diff": difference(source, mutant.applied(source)),
        **vars(outcome),
    }
