"""The view of the privacy budget, which shows every account in the guardian's ledger without a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from mpc.dp.accountant import epsilon
from parties.capc.casting import GUARDIAN_NAME
from parties.capc.config import CapcConfig
from parties.capc.summary import epsilon_text
from parties.frame.plan import Summary
from parties.ledger import Ledger

LEDGER = "ledger.jsonl"
"""The guardian's accounts of all querying parties, over all runs, in its private folder that outlives a run."""

ODOMETER = "odometer.jsonl"
"""A data owner's own account of what its records have lost, in its private folder that outlives a run."""


def budget_view(config: CapcConfig, files: Path, _: object = None) -> Summary:
    """Return what each asking party and each data owner has spent at `delta`, for what, and what is left."""
    path = files / "durable" / GUARDIAN_NAME / LEDGER
    lines = [("ledger", str(path) if path.exists() else f"none at {path}: nothing was spent")]
    if path.exists():
        lines += _accounts(path, config, config.epsilon_budget, "", "spent")
    for odometer in sorted((files / "durable").glob(f"owner-*/{ODOMETER}"), key=lambda at: _in_order(at.parent.name)):
        lines += _accounts(odometer, config, config.owner_epsilon_budget, "records of ", "lost to all who asked")
    return Summary(tuple(lines))


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
