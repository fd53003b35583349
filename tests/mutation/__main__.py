"""Change the project's code in small ways, one at a time, and tell which changes no test notices.

    python -m tests.mutation --count 300 --seed 1               a random sample
    python -m tests.mutation --only mpc/ring.py:48              all mutants that begin in one line
    python -m tests.mutation --picked                           the list of privacy's defences, each taken out
    python -m tests.mutation --count 300 --seed 1 --list        show them and run nothing

The first use records which test runs which line, in all processes (some minutes). Later ones record only files of tests
that have changed. Each mutant lives in a copy of the project, never in the checkout. The tests that reach its statement
run one after another, the quickest first, until one fails or the time that `--budget` allows is over. Outcomes are
added to a file of JSON lines, so that an interrupted search goes on where it was. Exit status 0 means that nothing
survived, 1 that something did, 2 that the command was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests.copies import ROOT
from tests.mutation.coverage import Coverage, processors, up_to_date
from tests.mutation.mutants import Mutant, all_mutants
from tests.mutation.picked import picked_mutants
from tests.mutation.running import Copy, Outcome, report, within
from tests.mutation.tracing import WINGS

LEAST_S = 60.0  # for a mutant's tests, on top of four times what they took when they were recorded
NO_TIME_GIVEN_S = 300.0


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        mutants = _chosen(options)
    except ValueError as error:
        print(f"tests.mutation: {error}", file=sys.stderr)
        return 2
    if options.list:
        for mutant in mutants:
            print(f"{mutant.file}:{mutant.line}  {mutant.operator}\n{mutant.diff((ROOT / mutant.file).read_text())}")
        return 0
    known = Coverage() if options.tests else up_to_date(options.workers)
    results = _run_all(mutants, known, options)
    print(_table(results))
    return 0 if all(result["verdict"] in ("killed", "timeout") for result in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20, help="size of the random sample (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the random sample (default 0)")
    parser.add_argument("--paths", nargs="+", default=list(WINGS), help="folders or files to change")
    parser.add_argument("--only", action="append", metavar="FILE:LINE", help="all mutants of this line")
    parser.add_argument("--picked", action="store_true", help="the lists in tests/mutation/picked")
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    parser.add_argument("--tests", nargs="+", metavar="TEST", help="run these, whatever they reach")
    parser.add_argument("--workers", type=int, default=processors(), help="mutants at the same time")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of tests a mutant (default 120)")
    parser.add_argument("--results", type=Path, help="file of JSON lines to add to and to go on from")
    return parser


def _chosen(options: argparse.Namespace) -> list[Mutant]:
    """Return the mutants that the options name. Raises `ValueError` with a sentence where there are none."""
    if options.picked:
        return picked_mutants()
    if options.only:
        found = []
        for place in options.only:
            file, _, line = place.rpartition(":")
            here = [mutant for mutant in all_mutants(_sources([file])) if str(mutant.line) == line]
            if not here:
                raise ValueError(f"--only: expected a FILE:LINE with something to change, found {place!r}")
            found += here
        return found
    everything = list(all_mutants(_sources(options.paths)))
    if not 0 < options.count <= len(everything):
        raise ValueError(f"--count: expected 1 to {len(everything)} mutants, found {options.count}")
    return random.Random(options.seed).sample(everything, options.count)


def _sources(paths: Sequence[str]) -> dict[str, str]:
    files = [
        file for path in paths for file in ([ROOT / path] if path.endswith(".py") else (ROOT / path).rglob("*.py"))
    ]
    files = [file for file in files if file.is_file() and "tests" not in file.relative_to(ROOT).parts]
    if not files:
        raise ValueError(f"expected folders or files of Python in the project, found {', '.join(paths)}")
    return {str(file.relative_to(ROOT)): file.read_text() for file in files}


def _run_all(mutants: list[Mutant], known: Coverage, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return what became of each mutant, in the order in which they were chosen."""
    done: dict[tuple[Any, ...], dict[str, Any]] = {}
    if options.results and options.results.exists():
        for line in options.results.read_text().splitlines():
            result = json.loads(line)
            done[_name(result)] = result
    left = [mutant for mutant in mutants if _name(report(mutant, Outcome("not reached"))) not in done]
    with tempfile.TemporaryDirectory(prefix="mut-") as folder, contextlib.ExitStack() as closing:
        stream = closing.enter_context(options.results.open("a")) if options.results else None
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(min(options.workers, len(left))):
            copy = Copy(Path(folder) / str(number))
            closing.callback(copy.end)
            copies.put(copy)

        def one(mutant: Mutant) -> dict[str, Any]:
            if mutant not in left:
                return done[_name(report(mutant, Outcome("not reached")))]
            copy = copies.get()
            try:
                result = report(mutant, _tried(copy, mutant, known, options))
            finally:
                copies.put(copy)
            if stream:
                stream.write(json.dumps(result) + "\n")
                stream.flush()
            print(f"{result['verdict']:12} {result['seconds']:6} s  {mutant.file}:{mutant.line}", flush=True)
            return result

        with ThreadPoolExecutor(options.workers) as pool:
            return list(pool.map(one, mutants))


def _name(result: dict[str, Any]) -> tuple[Any, ...]:
    return (result["file"], result["line"], result["operator"], result["diff"])


def _tried(copy: Copy, mutant: Mutant, known: Coverage, options: argparse.Namespace) -> Outcome:
    changed = mutant.applied((ROOT / mutant.file).read_text())
    if options.tests:
        return copy.run(mutant.file, changed, options.tests, NO_TIME_GIVEN_S)
    tests, seconds, left_out = within(known.concerning(mutant), known.seconds, options.budget)
    return copy.run(mutant.file, changed, tests, LEAST_S + 4 * seconds, left_out)


def _table(results: list[dict[str, Any]]) -> str:
    """Return the survivors with their changes, and how many there are of each kind."""
    lines = []
    for result in results:
        if result["verdict"] not in ("killed", "timeout"):
            more = f", {result['left_out']} more left out" if result["left_out"] else ""
            lines.append(f"\n{result['file']}:{result['line']}  {result['operator']}")
            lines.append(f"{result['verdict']} ({result['tests']} tests{more})\n{result['diff']}")
    verdicts = [result["verdict"] for result in results]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts)))
    return "\n".join([*lines, f"\n{len(results)} mutants: {counts}"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
