"""The map from each line of the project to the tests that run it, recorded once and kept under `build/`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.copies import ROOT, copy_project, environment_of
from tests.mutation.mutants import Mutant
from tests.mutation.tracing import WINGS

MAP = ROOT / "build" / "mutation" / "map.json"

# What the tests read of the project's text: its style, its layers, its pages. They say nothing about what it does.
_OF_TEXT = {
    "tests/test_plain_words.py", "tests/test_layers.py", "tests/test_wings.py", "tests/test_public_names.py",
    "tests/test_adding_a_protocol.py", "tests/orchestrator/test_bootstrap.py", "tests/mpc/core/test_core_layers.py",
    "tests/parties/frame/test_start.py", "tests/mutation/test_mutation.py", "tests/mpc/garbled/test_executables.py",
}  # fmt: skip

_FOLLOW = """
import runpy as _runpy
_runpy.run_path({tracing!r})["follow"]({home!r}, {folder!r})
"""


@dataclass
class Coverage:
    """Which tests run which lines.

    Attributes:
        sources: a digest of each file of the project, as it was recorded.
        tests: a digest of each file of tests, as it was recorded.
        seconds: what each test took, with those that were slow or failed left out.
        lines: for each file and line, the tests that ran it.
    """

    sources: dict[str, str] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)

    def concerning(self, mutant: Mutant) -> list[str]:
        """Return the tests that run a mutant's statement, or its file where it runs at import, the quickest first."""
        lines = self.lines.get(mutant.file, {})
        if mutant.first:
            found = {test for line in range(mutant.first, mutant.last + 1) for test in lines.get(line, ())}
        else:
            found = {test for tests in lines.values() for test in tests}
        return sorted((test for test in found if test in self.seconds), key=lambda test: (self.seconds[test], test))

    def add(self, recorded: dict[str, Any], lines: dict[str, dict[str, list[int]]]) -> None:
        """Add what one worker and the children of its tests have written down."""
        for test, facts in recorded["tests"].items():
            if not facts["passed"] or facts["slow"]:
                continue
            self.seconds[test] = facts["seconds"]
            for scope in (test, *facts["fixtures"]):
                for file, numbers in lines.get(scope, {}).items():
                    for number in numbers:
                        self.lines.setdefault(file, {}).setdefault(number, set()).add(test)

    def forget(self, file: str) -> None:
        """Remove what one file of tests has run."""
        gone = {test for test in self.seconds if test.partition("::")[0] == file}
        self.seconds = {test: seconds for test, seconds in self.seconds.items() if test not in gone}
        for lines in self.lines.values():
            for tests in lines.values():
                tests.difference_update(gone)

    def save(self) -> None:
        names = sorted(self.seconds)
        numbers = {name: number for number, name in enumerate(names)}
        lines = {
            file: {line: sorted(numbers[test] for test in tests) for line, tests in found.items()}
            for file, found in self.lines.items()
        }
        facts = {"sources": self.sources, "tests": self.tests, "seconds": self.seconds, "lines": lines, "names": names}
        MAP.parent.mkdir(parents=True, exist_ok=True)
        partial = MAP.with_suffix(".partial")
        partial.write_text(json.dumps(facts))
        partial.replace(MAP)

    @classmethod
    def load(cls) -> Coverage:
        if not MAP.exists():
            return cls()
        facts = json.loads(MAP.read_text())
        names = facts["names"]
        lines = {
            file: {int(line): {names[number] for number in tests} for line, tests in found.items()}
            for file, found in facts["lines"].items()
        }
        return cls(facts["sources"], facts["tests"], facts["seconds"], lines)


def up_to_date(workers: int) -> Coverage:
    """Return the map, after all tests, or those whose file is new or has changed, were run once more."""
    sources = _digests(path for wing in WINGS for path in (ROOT / wing).rglob("*.py"))
    tests = _digests(path for path in (ROOT / "tests").rglob("test_*.py"))
    tests = {name: digest for name, digest in tests.items() if name not in _OF_TEXT}
    known = Coverage.load()
    if known.sources != sources:
        known = Coverage(sources)
    changed = [name for name, digest in tests.items() if known.tests.get(name) != digest]
    for name in {*known.tests} - {*tests} | {*changed}:
        known.forget(name)
        known.tests.pop(name, None)
    for part in _parts(changed):
        _record(known, part, workers)
        known.tests |= {name: tests[name] for name in part}
        known.save()
    return known


def _parts(files: list[str]) -> list[list[str]]:
    """Return the files by folder, so that a recording that is interrupted goes on where it was."""
    folders = sorted({str(Path(file).parent) for file in files})
    return [[file for file in files if str(Path(file).parent) == folder] for folder in folders]


def _digests(paths: Iterable[Path]) -> dict[str, str]:
    return {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _record(known: Coverage, files: list[str], workers: int) -> None:
    """Run these files of tests in a copy of the project in which every process writes down its lines."""
    print(f"recording which lines the tests of {len(files)} files run ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="mut-") as folder:
        copy = copy_project(Path(folder) / "c")
        recorded = copy / "recorded"
        recorded.mkdir()
        tracing = str(copy / "tests" / "mutation" / "tracing.py")
        follow = _FOLLOW.format(tracing=tracing, home=str(copy), folder=str(recorded))
        _in_every_process(copy, follow)
        command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), "-m", "not slow"]
        command += ["-p", "tests.mutation.recording", "-p", "no:cacheprovider", *files]
        done = subprocess.run(
            command, cwd=copy, env=environment_of(copy), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        parts = [json.loads(path.read_text()) for path in recorded.glob("*.json")]
        failed = [test for part in parts for test, facts in part["tests"].items() if not facts["passed"]]
        if not parts:
            raise SystemExit(f"tests.mutation: expected a recording of the tests, found none:\n{done.stdout[-3000:]}")
        for test in failed:
            print(f"left out, because it fails while it is recorded: {test}", file=sys.stderr)
        children = _children(recorded)
        for part in parts:
            lines = part["lines"]
            for scope, seen in children.items():
                for file, numbers in seen.items():
                    lines.setdefault(scope, {}).setdefault(file, []).extend(numbers)
            known.add(part, lines)


def _in_every_process(copy: Path, follow: str) -> None:
    """Let every process that starts in the copy be followed, also those that are isolated from the environment."""
    with (copy / "sitecustomize.py").open("a") as site:
        site.write(follow)
    start = copy / "parties" / "frame" / "start.py"
    text = start.read_text()
    if text.count('\nif __name__ == "__main__":\n') != 1:
        raise SystemExit(f"tests.mutation: expected one place where {start.name} begins to run, found another number")
    start.write_text(
        text.replace('\nif __name__ == "__main__":\n', f'\nif __name__ == "__main__":\n    exec({follow!r})\n')
    )


def _children(folder: Path) -> dict[str, dict[str, list[int]]]:
    """Return what processes that tests started have run, by scope and file."""
    found: dict[str, dict[str, set[int]]] = {}
    for path in folder.glob("*.lines"):
        scope, *lines = path.read_text().splitlines()
        for line in lines:
            file, _, number = line.rpartition(" ")
            if file and number.isdigit():  # the last line of a process that was killed may be cut
                found.setdefault(scope, {}).setdefault(file, set()).add(int(number))
    return {scope: {file: sorted(numbers) for file, numbers in files.items()} for scope, files in found.items()}


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
