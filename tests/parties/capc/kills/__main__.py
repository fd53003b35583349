"""Carry cases out, and print a table of those that went wrong. The status is 1 when one did."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.parties.capc.kills import cases, strangers
from tests.parties.capc.kills.cases import SCENARIOS, Case, Scenario, Waits
from tests.parties.capc.kills.checks import faults, is_of_time
from tests.parties.capc.kills.strangers import Visits
from tests.parties.capc.kills.trial import Reference, disturb, reference, started

Undisturbed = Mapping[str, Reference]


@dataclass(frozen=True)
class Outcome:
    """What became of a case. `folder` is kept when something was wrong."""

    what: str
    number: int
    title: str
    seconds: float
    said: str
    faults: tuple[str, ...]
    folder: Path
    hit: bool = True

    @property
    def may_be_load(self) -> bool:
        """Whether all that was wrong may come from a machine that was busy with other cases."""
        return bool(self.faults) and all(map(is_of_time, self.faults))


def carry_out(case: Case, undisturbed: Undisturbed, folder: Path) -> Outcome:
    """Run a case and say what was wrong with it."""
    expected, began = undisturbed[case.scenario.name], time.monotonic()
    with started(case.scenario, case.launcher, case.waits, folder, expected.files) as trial:
        disturb(case, trial, expected)
        status = trial.wait(case.waits)
        found = faults(case, trial, status, expected)
        said = trial.sentence.strip()
    return _outcome("case", case.number, str(case), began, said, found, folder, hit=trial.signalled)


def receive(visits: Visits, undisturbed: Undisturbed, folder: Path) -> Outcome:
    """Run a scenario while strangers connect, and say what was wrong with it."""
    expected, began = undisturbed[visits.scenario.name], time.monotonic()
    with started(visits.scenario, visits.launcher, Waits(), folder, expected.files) as trial:
        threads = visits.begin(trial, expected, folder / "foreign")
        status = trial.wait(Waits())
        for thread in threads:
            thread.join()
        shutil.rmtree(folder / "foreign")
        found = faults(None, trial, status, expected)
        said = "; ".join(visits.heard)
    return _outcome("visit", visits.number, str(visits), began, said, found, folder)


def _outcome(
    what: str, number: int, title: str, began: float, said: str, found: Sequence[str], folder: Path, *, hit: bool = True
) -> Outcome:
    if not found:
        shutil.rmtree(folder)
    return Outcome(what, number, title, time.monotonic() - began, said, tuple(found), folder, hit)


def undisturbed_runs(scenarios: Sequence[Scenario], folder: Path) -> Undisturbed:
    """Run each scenario undisturbed. Raises AssertionError when one fails."""
    return {scenario.name: reference(scenario, folder / scenario.name) for scenario in scenarios}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the cases, carry them out and print what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.parties.capc.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="cases with a signal. Default 200")
    parser.add_argument("--strangers", type=int, default=50, metavar="N", help="strangers, four in a run. Default 50")
    parser.add_argument("--seed", type=int, default=1, help="of the cases. Default 1")
    parser.add_argument("--signals", nargs="+", choices=cases.SIGNALS, default=cases.SIGNALS, help="Default: all")
    parser.add_argument("--case", type=int, action="append", help="carry out this case of the seed alone; repeatable")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time. Default 2")
    parser.add_argument("--folder", type=Path, help="where failed runs are kept. Default: a new one")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background, also by all who inherit it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    top = (chosen.folder or Path(tempfile.mkdtemp(prefix="kills-"))).resolve()
    numbers = chosen.case or []
    kills = cases.draw(chosen.seed, max([chosen.kills, *(number + 1 for number in numbers)]), chosen.signals)
    if numbers:
        kills, chosen.strangers = [kills[number] for number in numbers], 0
    visits = strangers.draw(chosen.seed, chosen.strangers)
    print(
        f"seed {chosen.seed}: {len(kills)} kills, {chosen.strangers} strangers in {len(visits)} runs; {top}", flush=True
    )
    used = {one.scenario.name for one in (*kills, *visits)}
    undisturbed = undisturbed_runs([scenario for name, scenario in SCENARIOS.items() if name in used], top)

    work: list[tuple[str, Callable[[Path], Outcome]]] = [
        (f"case-{case.number}", lambda folder, case=case: carry_out(case, undisturbed, folder)) for case in kills
    ] + [(f"visit-{one.number}", lambda folder, one=one: receive(one, undisturbed, folder)) for one in visits]

    def do(task: tuple[str, Callable[[Path], Outcome]]) -> Outcome:
        outcome = task[1](top / task[0])
        _print(outcome)
        return outcome

    with ThreadPoolExecutor(chosen.jobs) as pool:
        outcomes = list(pool.map(do, work))
    wrong, busy = [], []
    for task, outcome in zip(work, outcomes, strict=True):
        if outcome.may_be_load:
            again = task[1](top / f"{task[0]}-again")
            (wrong if again.faults else busy).append(outcome)
        elif outcome.faults:
            wrong.append(outcome)
    return _conclude(outcomes, wrong, busy)


def _print(outcome: Outcome) -> None:
    verdict = "WRONG" if outcome.faults else "ok" if outcome.hit else "ok (over before)"
    print(f"{outcome.what} {outcome.number:>3} {outcome.seconds:6.1f} s  {verdict}: {outcome.title}", flush=True)
    print(f"            {outcome.said}", flush=True)
    for fault in outcome.faults:
        print(f"        !!! {fault}", flush=True)


def _conclude(outcomes: Sequence[Outcome], wrong: Sequence[Outcome], busy: Sequence[Outcome]) -> int:
    counts = Counter(outcome.what for outcome in outcomes)
    missed = sum(not outcome.hit for outcome in outcomes)
    print(f"\n{counts['case']} kills ({missed} after the victim's end), {counts['visit']} runs with strangers")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    print(f"{len(wrong)} failed, {len(busy)} failed by a deadline or a taken port beside other cases and not alone")
    for title, group in (("failed", wrong), ("not alone", busy)):
        for outcome in group:
            print(f"{title}: {outcome.what} {outcome.number}: {outcome.title} ({outcome.folder})")
            for fault in outcome.faults:
                print(f"    {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
