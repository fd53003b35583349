"""What the querying party publishes of a run: `result.json`, the only thing that leaves its private folder.

    {"n_parties": 3, "classes": 10, "labels": [], "dp_noise_scale": "1/2", "delta": "1e-5", "epsilon": 15.8,
     "epsilon_total": 15.8, "epsilon_budget": null, "answered": 1, "abstained": 0, "label_accuracy": 1.0,
     "refusal": null, "queries": [{"index": 0, "chosen_by": null, "predicted": 7, "abstained": false,
     "correct": 7, "agree": true, "epsilon": 15.8, "earlier_run": false}, ...], "trust": ["..."], "warnings": ["..."]}

`epsilon` is this run's, `epsilon_total` all that this querying party has spent; null where no bound exists. A query's
`epsilon` is the total when it was answered. `predicted` is null where the parties abstained. Where a query has several
labels, `labels` names them all, `predicted` and `correct` those that hold, `agree` is whether all are right, and
`label_accuracy` counts single labels. `trust` says who has to keep to what for nobody to learn more than that.

A campaign adds `querying_party`, `strategy`, `model`, `own_records`, `unlabelled_records` and `accuracy`: `before` and
`after` (null until the campaign has ended), over single labels where there are several, `exact_before` and
`exact_after`, over records all of whose labels are right, `held_out_records`, and `by_class` a row for each class or
label, whose records are those that have it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpc.capc.budget import Spent
from mpc.inference import TRUST
from parties.capc.settings import QueryingSettings
from parties.capc.warnings import warnings
from parties.frame.charts import Figure
from parties.frame.private_files import write_private
from parties.frame.progress import Progress
from parties.learning.labels import Label, agreement, shown

ASSUMPTION = (
    "all parties follow the protocol, and the privacy guardian colludes with nobody: together with the querying party "
    "it could open every vote"
)


@dataclass(frozen=True)
class Query:
    """One query that was answered.

    Attributes:
        index: in the test set, or among the unlabelled records.
        predicted: the label; None where the parties abstained.
        correct: as the dataset has it, for the experiment's report.
        epsilon: that had been spent in all.
        chosen_by: the strategy; None where the query was given.
        run: session of the run that asked it.
    """

    index: int
    predicted: Label | None
    correct: Label
    epsilon: float | None
    chosen_by: str | None
    run: str


class Results:
    """The labels so far; the file is replaced as a whole whenever something is published."""

    def __init__(self, path: Path, settings: QueryingSettings) -> None:
        self._path = path
        self._settings = settings
        self.queries: list[Query] = []
        self._spent = Spent("", 0, 0.0, 0.0)
        self._figures: Mapping[str, Any] = {}
        self._refusal: str | None = None

    def add(self, query: Query) -> None:
        self.queries.append(query)

    def publish(self, spent: Spent | None, figures: Mapping[str, Any] | None = None) -> None:
        """Write the file, with what was spent and what else there is to say; None leaves it as it was said last."""
        self._spent = spent or self._spent
        self._figures = figures or self._figures
        write_private(self._path, json.dumps(self._content(), indent=2).encode() + b"\n")

    def refuse(self, spent: Spent) -> None:
        """The guardian has refused to have more queries answered."""
        self._refusal = spent.refusal
        self.publish(spent)

    def tell(self, progress: Progress) -> None:
        """Say how far the queries are, and what they have cost."""
        total, budget = self._spent.total, _finite(self._spent.budget)
        figures = (
            Figure("abstained", sum(query.predicted is None for query in self.queries)),
            Figure("epsilon", total if math.isfinite(total) else "without bound", budget),
        )
        progress.advance(len(self.queries), self._settings.n_queries, "queries", figures)

    def _content(self) -> dict[str, Any]:
        settings, spent = self._settings, self._spent
        agreeing = [agreement(query.predicted, query.correct) for query in self.queries if query.predicted is not None]
        return {
            "n_parties": settings.parameters.parties,
            "classes": settings.parameters.classes,
            "labels": list(settings.label_names),
            "dp_noise_scale": settings.parameters.sigma,
            "threshold": settings.parameters.threshold,
            "threshold_noise_scale": settings.parameters.threshold_sigma,
            "delta": str(settings.delta),
            "epsilon": _finite(spent.run),
            "epsilon_total": _finite(spent.total),
            "epsilon_budget": _finite(spent.budget),
            "answered": len(agreeing),
            "abstained": len(self.queries) - len(agreeing),
            "label_accuracy": sum(agreeing) / len(agreeing) if agreeing else None,
            "refusal": self._refusal,
            **self._figures,
            "queries": [
                {
                    "index": query.index,
                    "chosen_by": query.chosen_by,
                    "predicted": shown(query.predicted, settings.label_names),
                    "abstained": query.predicted is None,
                    "correct": shown(query.correct, settings.label_names),
                    "agree": query.predicted == query.correct,
                    "epsilon": query.epsilon,
                    "earlier_run": query.run != settings.session,
                }
                for query in self.queries
            ],
            "trust": [ASSUMPTION, TRUST[settings.parameters.preprocessing]],
            "warnings": list(warnings(spent.total, settings.parameters.parties)) if self.queries else [],
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
