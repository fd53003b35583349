"""The view of the privacy budget, which shows every account that lies in a folder, without a run.

The folder is that of all runs, or a federation's member's. A guardian's holds the ledger, and an owner's its odometer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

from mpc.dp.accountant import epsilon
from parties.capc.config import CapcConfig
from parties.capc.summary import epsilon_text
from parties.frame.charts import Measure
from parties.frame.plan import Summary
from parties.ledger import Ledger

LEDGER = "ledger.jsonl"
"""The guardian's accounts of all querying parties, over all runs, in its private folder that outlives a run."""

ODOMETER = "odometer.jsonl"
"""A data owner's own account of what its records have lost, in its private folder that outlives a run."""

DURABLE = "durable"
"""The folder with what outlives a run, see `parties.frame.plan.RunFolders`."""


def budget_view(config: CapcConfig, files: Path, _: object = None) -> Summary:
    """Return what each asking party and each data owner has spent at `delta`, for what, and what is left."""
    ledgers, odometers = account_files(files)
    lines = [] if ledgers or odometers else [("ledger", f"none in {files / DURABLE}: nothing was spent")]
    for path in ledgers:
        lines += [("ledger", str(path)), *_accounts(path, config, config.epsilon_budget, "", "spent")]
    for path in odometers:
        lines += _accounts(path, config, config.owner_epsilon_budget, "records of ", "lost to all who asked")
    return Summary(tuple(lines))


def account_files(files: Path) -> tuple[list[Path], list[Path]]:
    """Return the ledgers of guardians and the odometers of owners in a folder, in the order in which they are shown."""
    odometers = (files / DURABLE).glob(f"owner-*/{ODOMETER}")
    return sorted((files / DURABLE).glob(f"*/{LEDGER}")), sorted(odometers, key=lambda at: _in_order(at.parent.name))


def _in_order(folder: str) -> tuple[bool, int, str]:
    """Sort the folders of owners by number, and those with a name of their own after them."""
    name = folder.partition("-")[2]
    return not name.isdecimal(), int(name) if name.isdecimal() else 0, name


def _accounts(
    path: Path, config: CapcConfig, budget: float | None, before: str, verb: str
) -> Iterator[tuple[str, str]]:
    ledger = Ledger(path, partial(epsilon, delta=float(config.delta)), budget)
    for account, released in ledger.released().items():
        spent = ledger.spent(account)
        words = f"epsilon {epsilon_text(spent if math.isfinite(spent) else None, str(config.delta))} {verb}"
        if budget is not None:
            left = f"{max(0.0, budget - spent):.3g} of {budget:g} left"
            words += f", {left}" if spent <= budget else f", over the budget of {budget:g}"
        if reason := ledger.uncountable(account):
            words += f" ({reason})"
        yield before + account, words + ", for " + ", ".join(f"{count} {kind}s" for kind, count in released.items())


# -- the same for a program that watches -------------------------------------------------------------------------------

ASKING, OWNING = "asking", "owning"
"""Whether an account bounds what one party learns, or what one owner's records lose to all who ask."""


def budget_measures(config: CapcConfig, files: Path) -> Sequence[Measure]:
    """Return the queries, batches and epsilon of each account in a folder. Files that did not change cost nothing."""
    ledgers, odometers = account_files(files)
    found: list[Measure] = []
    for paths, kind, budget in (
        (ledgers, ASKING, config.epsilon_budget),
        (odometers, OWNING, config.owner_epsilon_budget),
    ):
        for path in paths:
            state = path.stat()
            found += _measures_of(path, state.st_size, state.st_mtime_ns, kind, float(config.delta), budget)
    return found


@lru_cache(maxsize=64)
def _measures_of(
    path: Path, size: int, changed_ns: int, kind: str, delta: float, budget: float | None
) -> tuple[Measure, ...]:
    """Return the figures of one file, which is another one to this cache when its size or time is another."""
    del size, changed_ns
    ledger, found = Ledger(path, partial(epsilon, delta=delta), budget), list[Measure]()
    for account, totals in ledger.totals().items():
        labels, answers, spent = {"account": account, "kind": kind}, totals.released.get("answer", 0), totals.epsilon
        found += [
            Measure("queries", "Queries that an account was charged for.", answers, labels, grows=True),
            Measure("batches", "Batches that an account was charged for.", totals.charges, labels, grows=True),
            Measure("epsilon_spent", f"Epsilon that an account has spent, at delta {delta:g}.", spent, labels),
        ]
        if budget is not None:
            left = max(0.0, budget - spent)
            found.append(Measure("epsilon_left", "Epsilon that an account may still spend.", left, labels))
    return tuple(found)
