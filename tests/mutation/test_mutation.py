"""The search for tests that could not fail finds one, and finds none where the tests are good."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.copies import ROOT
from tests.mutation.mutants import mutants_of
from tests.mutation.picked import picked_mutants

SOURCE = '''
"""Text: 1 + 1."""

LIMIT: int = 3


def judged(values: list[int], limit: int = LIMIT, *, strict: bool = False) -> bool:
    """Text: 2 < 3."""
    if len(values) > limit and not strict:
        logger.info("found", 4 + 4)
        raise ValueError(f"found {limit - 1}")
    values.append(sum(values, start=0))
    return values[0] < 5
'''


def test_the_mutants_of_a_text_are_these() -> None:
    found = {(mutant.line, mutant.operator, mutant.new) for mutant in mutants_of("a.py", SOURCE)}
    assert found == {
        (4, "constant", "4"),
        (4, "constant", "2"),
        (7, "constant", "True"),
        (9, "comparison", "(len(values) >= limit)"),
        (9, "comparison", "(len(values) <= limit)"),
        (9, "and/or", "(len(values) > limit or not strict)"),
        (9, "negated condition", "(not (len(values) > limit and not strict))"),
        (9, "removed sign", "(strict)"),
        (11, "removed raise", "pass"),
        (12, "removed call", "pass"),
        (12, "removed argument", "sum(values)"),
        (12, "constant", "1"),
        (13, "returned nothing", "return None"),
        (13, "constant", "1"),
        (13, "comparison", "(values[0] <= 5)"),
        (13, "comparison", "(values[0] >= 5)"),
        (13, "constant", "6"),
        (13, "constant", "4"),
    }


def test_a_mutant_changes_its_own_text_alone() -> None:
    for mutant in mutants_of("a.py", SOURCE):
        compile(mutant.applied(SOURCE), "a.py", "exec")
        before, after = SOURCE.splitlines(), mutant.applied(SOURCE).splitlines()
        assert len(before) == len(after)
        assert [number for number, pair in enumerate(zip(before, after, strict=True), 1) if len({*pair}) == 2] == [
            mutant.line
        ]


@pytest.mark.timeout(2400)
@pytest.mark.slow  # copies the project and starts pytest nine times
def test_a_fixed_sample_is_killed_by_its_tests_and_survives_others(tmp_path: Path) -> None:
    """The tests of `UseOnce` notice its mutants, and none of another file, which they do not even import."""
    used = ("mpc/use_once.py", _line_of("mpc/use_once.py", "return not self._held"))
    taken = ("mpc/use_once.py", _line_of("mpc/use_once.py", "return self._held.pop()"))
    other = ("mpc/ring.py", _line_of("mpc/ring.py", "if not np.isfinite(reals)"))
    results = tmp_path / "results.jsonl"
    command = [sys.executable, "-m", "tests.mutation", "--workers", "1", "--results", str(results)]
    for file, line in (used, taken, other):
        command += ["--only", f"{file}:{line}"]
    command += ["--tests", "tests/mpc/test_use_once.py"]
    checkout = {file: (ROOT / file).read_text() for file, _ in (used, other)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert {file: (ROOT / file).read_text() for file in checkout} == checkout
    found = [json.loads(line) for line in results.read_text().splitlines()]
    assert len(found) >= 5, done.stderr
    for result in found:
        assert result["verdict"] == ("survived" if result["file"] == "mpc/ring.py" else "killed"), result
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith(f"{len(found)} mutants: ")
    # An interrupted search goes on where it was.
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    assert len(results.read_text().splitlines()) == len(found)


def test_every_picked_defence_stands_in_the_code_and_can_be_taken_out() -> None:
    found = picked_mutants()
    assert len(found) >= 60
    for mutant in found:
        changed = mutant.applied((ROOT / mutant.file).read_text())
        compile(changed, mutant.file, "exec")


def _line_of(file: str, text: str) -> int:
    lines = (ROOT / file).read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if text in line]
    return number
