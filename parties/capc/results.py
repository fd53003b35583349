"""The results that a querying party publishes. `result.json` is the only thing that leaves its private folder.

    {"querying_party": 0, "name": "", "n_parties": 3, "classes": 10, "labels": [], "dp_noise_scale": "1/2",
     "delta": "1e-5", "epsilon": 15.8, "epsilon_total": 15.8, "epsilon_budget": null,
     "owners": {"server-0": 15.8, ...}, "owner_epsilon": 15.8, "owner_epsilon_budget": null, "fewest_voters": 3,
     "left_out": {"server-1": "..."}, "answered": 1,
     "abstained": 0, "label_accuracy": 1.0, "refusal": null, "queries": [{"index": 0, "chosen_by": null,
     "predicted": 7, "abstained": false, "correct": 7, "agree": true, "epsilon": 15.8, "earlier_run": false}, ...],
     "trust": ["..."], "warnings": ["..."]}

- `epsilon` is this run's, and `epsilon_total` is all that this querying party had spent when it got its last answer.
  Both are null where no bound exists. The `epsilon` of a query is the total when it was answered.
- `owners` is what each answering party's records have lost by then to everybody who ever asked, as the party itself
  counts. `owner_epsilon` is the largest.
- `fewest_voters` is how many parties voted on the queries of this run, the fewest on any batch. `left_out` names those
  who did not vote on some batch, and why. Both are there after the first batch.
- `predicted` is null where the parties abstained. It is the class's number, or its value where records are one's own.
- `correct` and `agree` are there for a query whose truth is known, and for no other. `label_accuracy` is over such
  queries, and null where there is none.
- Where a query has several labels, `labels` names them all, `predicted` and `correct` name those that hold, and `agree`
  says whether all are right. `label_accuracy` counts single labels.
- `trust` names the assumptions under which nobody learns more than that.

A campaign adds `strategy`, `model`, `own_records`, `unlabelled_records` and `accuracy`. The last is null where there
are no held-out records to measure on. In it:

- `before` and `after` are over single labels where there are several. `after` is null until the campaign has ended.
- `exact_before` and `exact_after` count records all of whose labels are right.
- `held_out_records` is the number of records that both are measured on.
- `by_class` has a row for each class or label, about the records that have it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mpc.capc.budget import Spent
from mpc.capc.odometer import OwnersAccount
from mpc.capc.release import ABSTAINED, Labels
from mpc.inference import TRUST
from parties.capc.labels_out import read_ids, write_labels
from parties.capc.settings import QueryingSettings
from parties.capc.turnout import Turnout, voted
from parties.frame.charts import Figure
from parties.frame.private_files import write_private
from parties.frame.progress import Progress
from parties.learning.labels import Label, agreement, label_of, shown

ASSUMPTION = (
    "all parties follow the protocol, and the privacy guardian colludes with nobody: together with the querying party "
    "it could open every vote"
)


_NO_PRIVACY = 10.0  # beyond this epsilon a record can practically be told from its absence
_MANY = 50  # with so many answering parties there is noise that hides a record and leaves the majority


Owners = Mapping[str, OwnersAccount]
"""What each answering party says about its own account, by its name."""


@dataclass(frozen=True)
class Query:
    """One query that was answered.

    Attributes:
        index: in the test set, or among the unlabelled records.
        predicted: the label, or None where the parties abstained.
        correct: the label in the dataset, for the experiment's report, or None where nobody knows it.
        epsilon: that had been spent in all, or None where no bound exists.
        chosen_by: the strategy, or None where the query was given.
        run: session of the run that asked it.
    """

    index: int
    predicted: Label | None
    correct: Label | None
    epsilon: float | None
    chosen_by: str | None
    run: str


class Results:
    """The labels so far. The file is replaced as a whole whenever something is published."""

    def __init__(self, path: Path, settings: QueryingSettings) -> None:
        self._path = path
        self._settings = settings
        self._ids = read_ids(path.parent)
        self.queries: list[Query] = []
        self.expected: int | None = None  # how many there will be, where that is known
        self.owners: Owners = {}
        self.turnout: list[Turnout] = []
        self._spent = Spent("", 0, 0.0, 0.0)
        self._figures: Mapping[str, Any] = {}
        self._refusal: str | None = None

    def add(self, query: Query) -> None:
        """Add a query to what is published next."""
        self.queries.append(query)

    def publish(self, spent: Spent | None, figures: Mapping[str, Any] | None = None) -> None:
        """Write the file, with what was spent and other figures. None keeps those of the last time."""
        self._spent = spent or self._spent
        self._figures = figures or self._figures
        write_private(self._path, json.dumps(self._content(), indent=2).encode() + b"\n")
        if self._settings.labels_out is not None:
            write_labels(self._settings.labels_out, self.queries, self._settings, self._ids)

    def refuse(self, spent: Spent) -> None:
        """Publish that the guardian refuses to have more queries answered."""
        self._refusal = spent.refusal
        self.publish(spent)

    def tell(self, progress: Progress) -> None:
        """Report how far the queries are, and what they have cost."""
        total, budget = self._spent.total, finite(self._spent.budget)
        of = self._settings.n_queries if self.expected is None else self.expected
        figures = (
            Figure("abstained", sum(query.predicted is None for query in self.queries)),
            Figure("epsilon", total if math.isfinite(total) else "without bound", budget),
        )
        progress.advance(len(self.queries), of, "queries", figures)

    def _content(self) -> dict[str, Any]:
        settings, spent = self._settings, self._spent
        labelled = [query for query in self.queries if query.predicted is not None]
        agreeing = [
            agreement(query.predicted, query.correct)
            for query in labelled
            if query.predicted is not None and query.correct is not None
        ]
        return {
            "querying_party": settings.querying_party,
            "name": settings.owner_name,
            "n_parties": settings.parameters.parties,
            "classes": settings.parameters.classes,
            "labels": list(settings.label_names),
            "dp_noise_scale": settings.parameters.sigma,
            "threshold": settings.parameters.threshold,
            "threshold_noise_scale": settings.parameters.threshold_sigma,
            "delta": str(settings.delta),
            "epsilon": finite(spent.run),
            "epsilon_total": finite(spent.total),
            "epsilon_budget": finite(spent.budget),
            "owners": {name: finite(owner.total) for name, owner in self.owners.items()},
            "owner_epsilon": finite(max((owner.total for owner in self.owners.values()), default=0.0)),
            "owner_epsilon_budget": settings.owner_epsilon_budget,
            **voted(self.turnout),
            "answered": len(labelled),
            "abstained": len(self.queries) - len(labelled),
            "label_accuracy": sum(agreeing) / len(agreeing) if agreeing else None,
            "refusal": self._refusal,
            **self._figures,
            "queries": [self._shown(query) for query in self.queries],
            "trust": [ASSUMPTION, TRUST[settings.parameters.preprocessing]],
            "warnings": list(warnings(spent.total, settings.parameters.parties)) if self.queries else [],
        }

    def _shown(self, query: Query) -> dict[str, Any]:
        """Return what is published of a query. Nothing is said of what is correct where nobody knows it."""
        names, values = self._settings.label_names, self._settings.class_values
        truth = {"correct": shown(query.correct, names, values), "agree": query.predicted == query.correct}
        return {
            "index": query.index,
            "chosen_by": query.chosen_by,
            "predicted": shown(query.predicted, names, values),
            "abstained": query.predicted is None,
            **(truth if query.correct is not None else {}),
            "epsilon": query.epsilon,
            "earlier_run": query.run != self._settings.session,
        }


def finite(value: float) -> float | None:
    """Return a finite value, and None for infinity, which JSON does not have."""
    return value if math.isfinite(value) else None


def answer_of(entry: np.int64 | Labels) -> Label | None:
    """Return the label of one query from its entry in what came out. None where the parties abstained."""
    label = label_of(entry)
    return None if label == ABSTAINED else label


def warnings(spent_epsilon: float, parties: int) -> tuple[str, ...]:
    """Return what a person must be told about the privacy that was spent, in plain words."""
    if math.isinf(spent_epsilon):
        return (
            "The votes carry no noise (dp_noise_scale 0): the labels give no differential privacy to anybody's "
            "training records.",
        )
    if spent_epsilon <= _NO_PRIVACY:
        return ()
    remedy = "A larger dp_noise_scale or fewer queries would give some."
    if parties < _MANY:
        remedy = (
            f"With {parties} answering {'party' if parties == 1 else 'parties'}, noise that hides them would drown "
            "the votes; meaningful privacy takes dozens of parties (50 with dp_noise_scale 7, or 250 with 40)."
        )
    return (
        f"Epsilon {spent_epsilon:.3g} is no privacy to speak of: the noise hides next to nothing about single "
        f"training records. {remedy}",
    )
