"""The view of the privacy budget, which shows every account in the guardian's ledger without a run."""

from __future__ import annotations

import math
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


def budget_view(config: CapcConfig, files: Path, _: object = None) -> Summary:
    """Return, for each account, what was released, the epsilon spent at `delta`, and what is left."""
    path = files / "durable" / GUARDIAN_NAME / LEDGER
    if not path.exists():
        return Summary((("ledger", f"none at {path}: nothing was spent"),))
    ledger = Ledger(path, partial(epsilon, delta=float(config.delta)), config.epsilon_budget)
    lines = [("ledger", str(path))]
    for account, released in ledger.released().items():
        spent = ledger.spent(account)
        words = f"epsilon {epsilon_text(spent if math.isfinite(spent) else None, str(config.delta))} spent"
        if config.epsilon_budget is not None:
            words += f", {max(0.0, config.epsilon_budget - spent):.3g} of {config.epsilon_budget:g} left"
        if reason := ledger.uncountable(account):
            words += f" ({reason})"
        lines.append((account, words + ", for " + ", ".join(f"{count} {kind}s" for kind, count in released.items())))
    return Summary(tuple(lines))
