"""A campaign, in which a querying party buys labels for a better model of its own.

The party chooses from its unlabelled records by its own model. It keeps every answer that it pays for, and trains again
with the answers among its records. It compares both models on held-out data, if it has any.

The answers lie in a journal that outlives the run, one line for each batch. A campaign that was interrupted is
continued. What was answered is read from the journal, and is neither asked nor paid for again.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpc.capc.budget import Spent
from mpc.capc.release import Labels
from parties.capc.answers import Answer, Answers
from parties.capc.results import Owners, Query, Results, answer_of, finite
from parties.capc.settings import CampaignSettings, QueryingSettings
from parties.capc.turnout import Turnout
from parties.frame.process import Party
from parties.learning.labels import kind_of
from parties.learning.model_files.exporting import export_model
from parties.learning.models import Model
from parties.learning.records import AskedRecords, Images, Records
from parties.learning.selection import order_to_ask
from parties.learning.training import tell_owner, trained_further, trained_model


@dataclass(frozen=True)
class Accuracy:
    """How often a model is right on held-out records.

    Attributes:
        overall: over all records, or with several labels over all labels of all records.
        exact: how often all labels of a record are right. This is `overall` where a record has one label.
        by_class: for the records of each class, None where there are none, or about each label.
    """

    overall: float
    exact: float
    by_class: list[float | None]

    @classmethod
    def of(cls, model: Model, held_out: Records) -> Accuracy:
        """Measure a model."""
        kind, logits = kind_of(held_out.labels), model.logits(held_out.images)
        right = kind.predicted(logits) == held_out.labels
        exact = right.reshape(len(right), -1).all(axis=1)
        by_class = kind.accuracies(right, held_out.labels, logits.shape[1])
        return cls(float(right.mean()), float(exact.mean()), by_class)


class Campaign:
    """The queries of a campaign. The methods are those of :class:`parties.capc.questions.Questions`."""

    def __init__(self, party: Party[QueryingSettings], settings: CampaignSettings) -> None:
        self._party = party
        self._settings = settings
        folder = party.folder
        self._own = Records.read(folder / "records.npz")
        self._unlabelled = AskedRecords.read(folder / "unlabelled.npz")
        held_out = folder / "held_out.npz"
        self._held_out = Records.read(held_out) if held_out.exists() else None
        self._model = before = self._train("records.npz", "own model")
        self._before = self._measured(before)
        chosen = order_to_ask(
            settings.strategy, before, self._own, self._unlabelled, settings.seed, settings.code_dir, folder
        )
        self._answers = Answers(settings.answers)
        self._results = Results(folder / "result.json", party.settings)
        earlier = self._answers.read()
        for answer in earlier:
            self._results.add(self._query(answer))
        known = {answer.record for answer in earlier}
        self._kept = frozenset(answer.batch for answer in earlier)
        asked = [int(record) for record in chosen[: party.settings.n_queries] if record not in known]
        self._asked = asked[: max(0, party.settings.n_queries - len(earlier))]
        self._results.expected = len(earlier) + len(self._asked)
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

    @property
    def kept(self) -> Collection[str]:
        return self._kept

    def voted(self, turnout: Turnout) -> None:
        self._results.turnout.append(turnout)

    def answered(self, first: int, batch: bytes, labels: Labels, spent: Spent, owners: Owners) -> None:
        self._results.owners = owners
        records = self._asked[first : first + len(labels)]
        run = self._party.settings.session
        answers = [
            Answer(record, answer_of(label), finite(spent.total), run, batch=batch.hex())
            for record, label in zip(records, labels, strict=True)
        ]
        self._answers.add(answers)
        for answer in answers:
            self._results.add(self._query(answer))
        self._results.publish(spent, self._figures(None))
        self._results.tell(self._party.progress)

    def refused(self, spent: Spent, owners: Owners) -> None:
        self._results.owners = owners
        self._results.refuse(spent)
        self._party.progress.note(f"no more queries are answered: {spent.refusal}")

    def finish(self) -> None:
        """Train again, with the answers among the party's own records, and publish how both models do."""
        labelled = [query for query in self._results.queries if query.predicted is not None]
        after, better = self._before, self._model
        if labelled:
            indices = np.array([query.index for query in labelled], dtype=np.intp)
            labels = np.array([query.predicted for query in labelled], dtype=self._own.labels.dtype)
            more = Records(self._unlabelled.images[indices], labels)
            Records(
                np.concatenate([self._own.images, more.images]), np.concatenate([self._own.labels, more.labels])
            ).write(self._party.folder / "records-after.npz")
            better = self._train("records-after.npz", "model with the answers")
            after = self._measured(better)
        self._results.publish(None, self._figures(after))
        self._write(better)
        if self._before is None or after is None:
            self._party.progress.note("there are no held-out records, so that no accuracy is measured")
            return
        self._party.progress.note(
            f"accuracy on held-out records: {self._before.overall:.3f} before, {after.overall:.3f} after"
        )

    def _measured(self, model: Model) -> Accuracy | None:
        """Measure a model on the held-out records, if there are any."""
        return None if self._held_out is None else Accuracy.of(model, self._held_out)

    def _train(self, records: str, title: str) -> Model:
        """Return the model that these records of the party give."""
        settings = self._settings
        with self._party.progress.step("4" if records != "records.npz" else "0", f"train the {title}"):
            own, path = self._party.folder / "records.npz", self._party.folder / records
            if path != own:
                return trained_further(settings.training, own, path, settings.cache, settings.training_slot)[0]
            model = trained_model(settings.training, own, settings.cache, settings.training_slot)[0]
            tell_owner(settings.training, settings.cache, self._party.folder, self._party.progress)
            return model

    def _write(self, model: Model) -> None:
        """Write the better model for the party itself, where it wants it."""
        settings, out = self._party.settings, self._settings.model_out
        if out is None:
            return
        with self._party.progress.step("4", "write the model for its owner"):
            export_model(model, out, tuple(map(str, self._names)), settings.parameters.labelling, self._party.folder)

    @property
    def _names(self) -> Sequence[object]:
        """The names of labels or classes, which are numbers where there are no names."""
        settings = self._party.settings
        return settings.label_names or settings.class_values or range(settings.parameters.classes)

    def _query(self, answer: Answer) -> Query:
        """Return an answer as the results show it, with the correct label where it is known."""
        truth = self._unlabelled.truth(answer.record)
        return Query(answer.record, answer.label, truth, answer.epsilon, self._settings.strategy, answer.run)

    def _figures(self, after: Accuracy | None) -> dict[str, Any]:
        """Return what a campaign adds to the results. `after` is None until the model is trained again."""
        return {
            "strategy": self._settings.strategy,
            "model": self._settings.training.title,
            "own_records": len(self._own),
            "unlabelled_records": len(self._unlabelled),
            "accuracy": None if self._before is None else self._compared(self._before, after),
        }

    def _compared(self, before: Accuracy, after: Accuracy | None) -> dict[str, Any]:
        settings = self._party.settings
        kind, classes = kind_of(self._own.labels), settings.parameters.classes
        assert self._held_out is not None  # noqa: S101  (it was measured on them)
        rows = zip(
            self._names,
            kind.counts(self._own.labels, classes),
            kind.counts(self._held_out.labels, classes),
            before.by_class,
            after.by_class if after else [None] * classes,
            strict=True,
        )
        return {
            "held_out_records": len(self._held_out),
            "before": before.overall,
            "after": after.overall if after else None,
            "exact_before": before.exact,
            "exact_after": after.exact if after else None,
            "by_class": [
                dict(zip(("class", "own_records", "held_out_records", "before", "after"), row, strict=True))
                for row in rows
            ],
        }
