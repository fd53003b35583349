"""What a querying party asks about, batch by batch, and what becomes of the answers.

Two kinds. :class:`GivenQueries` are test images, for the sake of their labels. A :class:`Campaign` is about a better
model: the party chooses from its unlabelled records by its own model, keeps every answer it pays for, trains again with
the answers among its records, and compares both models on held-out data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mpc.capc.budget import Spent
from mpc.capc.release import Labels
from parties.capc.answers import Answer, Answers, answer_of
from parties.capc.results import Query, Results
from parties.capc.settings import CampaignSettings, QueryingSettings
from parties.frame.process import Party
from parties.learning.labels import kind_of, label_of
from parties.learning.models import Model
from parties.learning.records import Images, Records
from parties.learning.selection import order_to_ask
from parties.learning.training import trained_model


class Questions(Protocol):
    """The queries of a run that are still to be answered."""

    @property
    def images(self) -> Images:
        """``(n, *input_shape)`` in the order in which they are to be asked."""
        ...

    def answered(self, first: int, labels: Labels, spent: Spent) -> None:
        """The labels of images ``first ..``; kept before this returns."""
        ...

    def refused(self, spent: Spent) -> None:
        """No more will be answered."""
        ...

    def finish(self) -> None:
        """All that could be answered has been."""
        ...


class GivenQueries:
    """Test images from `first_query` on."""

    def __init__(self, party: Party[QueryingSettings]) -> None:
        self._first = party.settings.first_query
        self._queries = Records.read(party.folder / "queries.npz")
        self._results = Results(party.folder / "result.json", party.settings)
        self._run = party.settings.session
        self._progress = party.progress
        self._results.tell(self._progress)

    @property
    def images(self) -> Images:
        return self._queries.images

    def answered(self, first: int, labels: Labels, spent: Spent) -> None:
        correct = self._queries.labels[first : first + len(labels)]
        for position, (label, truth) in enumerate(zip(labels, correct, strict=True), self._first + first):
            self._results.add(Query(position, answer_of(label), label_of(truth), _finite(spent.total), None, self._run))
        self._results.publish(spent)
        self._results.tell(self._progress)

    def refused(self, spent: Spent) -> None:
        if self._results.queries:
            self._results.refuse(spent)

    def finish(self) -> None:
        pass


@dataclass(frozen=True)
class Accuracy:
    """How often a model is right on held-out records.

    Attributes:
        overall: over all of them; with several labels, over all labels of all of them.
        exact: how often all labels of a record are right; the same as `overall` where there is one.
        by_class: for the records of each class, None where there are none; or about each label.
    """

    overall: float
    exact: float
    by_class: list[float | None]

    @classmethod
    def of(cls, model: Model, held_out: Records) -> Accuracy:
        kind, logits = kind_of(held_out.labels), model.logits(held_out.images)
        right = kind.predicted(logits) == held_out.labels
        exact = right.reshape(len(right), -1).all(axis=1)
        by_class = kind.accuracies(right, held_out.labels, logits.shape[1])
        return cls(float(right.mean()), float(exact.mean()), by_class)


class Campaign:
    """Labels for the records that the party's own model is least sure of, and a better model from them."""

    def __init__(self, party: Party[QueryingSettings], settings: CampaignSettings) -> None:
        self._party = party
        self._settings = settings
        folder = party.folder
        self._own = Records.read(folder / "records.npz")
        self._unlabelled = Records.read(folder / "unlabelled.npz")
        self._held_out = Records.read(folder / "held_out.npz")
        before = self._train("records.npz", "own model")
        self._before = Accuracy.of(before, self._held_out)
        chosen = order_to_ask(settings.strategy, before, self._own, self._unlabelled, settings.seed)
        self._answers = Answers(settings.answers)
        self._results = Results(folder / "result.json", party.settings)
        earlier = self._answers.read()
        for answer in earlier:
            self._results.add(self._query(answer))
        known = {answer.record for answer in earlier}
        asked = [int(record) for record in chosen[: party.settings.n_queries] if record not in known]
        self._asked = asked[: max(0, party.settings.n_queries - len(earlier))]
        spent = None
        if earlier:
            party.progress.note(f"{len(earlier)} queries were answered in earlier runs and are not asked again")
            total = earlier[-1].epsilon
            spent = Spent("", 0, 0.0, math.inf if total is None else total)
        self._results.publish(spent, self._figures(None))
        self._results.tell(party.progress)

    @property
    def images(self) -> Images:
        return self._unlabelled.images[self._asked]

    def answered(self, first: int, labels: Labels, spent: Spent) -> None:
        records = self._asked[first : first + len(labels)]
        run = self._party.settings.session
        batch = [
            Answer(record, answer_of(label), _finite(spent.total), run)
            for record, label in zip(records, labels, strict=True)
        ]
        self._answers.add(batch)
        for answer in batch:
            self._results.add(self._query(answer))
        self._results.publish(spent, self._figures(None))
        self._results.tell(self._party.progress)

    def refused(self, spent: Spent) -> None:
        self._results.refuse(spent)
        self._party.progress.note(f"the privacy guardian refuses more: {spent.refusal}")

    def finish(self) -> None:
        """Train again, with the answers among the party's own records, and publish how both models do."""
        labelled = [query for query in self._results.queries if query.predicted is not None]
        after = self._before
        if labelled:
            indices = np.array([query.index for query in labelled], dtype=np.intp)
            labels = np.array([query.predicted for query in labelled], dtype=self._own.labels.dtype)
            more = Records(self._unlabelled.images[indices], labels)
            Records(
                np.concatenate([self._own.images, more.images]), np.concatenate([self._own.labels, more.labels])
            ).write(self._party.folder / "records-after.npz")
            after = Accuracy.of(self._train("records-after.npz", "model with the answers"), self._held_out)
        self._results.publish(None, self._figures(after))
        self._party.progress.note(
            f"accuracy on held-out records: {self._before.overall:.3f} before, {after.overall:.3f} after"
        )

    def _train(self, records: str, title: str) -> Model:
        settings = self._settings
        with self._party.progress.step("4" if records != "records.npz" else "0", f"train the {title}"):
            path = self._party.folder / records
            return trained_model(settings.training, path, settings.cache, settings.training_slot)[0]

    def _query(self, answer: Answer) -> Query:
        truth = label_of(self._unlabelled.labels[answer.record])
        return Query(answer.record, answer.label, truth, answer.epsilon, self._settings.strategy, answer.run)

    def _figures(self, after: Accuracy | None) -> dict[str, Any]:
        kind, classes = kind_of(self._own.labels), self._party.settings.parameters.classes
        rows = zip(
            self._party.settings.label_names or range(classes),
            kind.counts(self._own.labels, classes),
            kind.counts(self._held_out.labels, classes),
            self._before.by_class,
            after.by_class if after else [None] * classes,
            strict=True,
        )
        return {
            "querying_party": self._settings.querying_party,
            "strategy": self._settings.strategy,
            "model": self._settings.training.architecture,
            "own_records": len(self._own),
            "unlabelled_records": len(self._unlabelled),
            "accuracy": {
                "held_out_records": len(self._held_out),
                "before": self._before.overall,
                "after": after.overall if after else None,
                "exact_before": self._before.exact,
                "exact_after": after.exact if after else None,
                "by_class": [
                    dict(zip(("class", "own_records", "held_out_records", "before", "after"), row, strict=True))
                    for row in rows
                ],
            },
        }


def questions(party: Party[QueryingSettings]) -> Questions:
    """What the settings say that the party asks."""
    campaign = party.settings.campaign
    return GivenQueries(party) if campaign is None else Campaign(party, campaign)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
