"""The child's work on a model from a file: read it, fit it, hold it to the original, and measure it for its owner.

The report is the owner's alone. It says how often the model is right on the owner's own records, which nobody else may
learn. A model that is not better than one constant answer mostly has inputs or classes in another order.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from mpc.errors import ParameterError
from parties.learning.labels import kind_of
from parties.learning.model_files.fitting import fitted
from parties.learning.model_files.reading import read_model
from parties.learning.model_files.source import PICKLE_WARNING, RUN_CODE
from parties.learning.models import Model
from parties.learning.records import Records
from parties.learning.training_settings import TrainingSettings

_DRAWN, _OWN = 32, 64  # samples that layers and original are compared on


@dataclass(frozen=True)
class Report:
    """What a model's owner is told.

    Attributes:
        words: what was made of the file, in sentences. They hold nothing about records.
        right, decisions: how many of the decisions about own records are right. With several labels each is a decision.
        constant: how many the best constant answer gets right.
    """

    words: tuple[str, ...]
    right: int
    decisions: int
    constant: int

    @property
    def suspicious(self) -> bool:
        """Whether a constant answer does as well."""
        return self.right <= self.constant and self.right < self.decisions

    def lines(self) -> list[str]:
        """Return the report as sentences."""
        share, constant = self.right / self.decisions, self.constant / self.decisions
        found = [
            *self.words,
            f"right on {self.right} of {self.decisions} decisions about own records ({share:.1%}), where the best "
            f"constant answer is right on {self.constant} ({constant:.1%})",
        ]
        if self.suspicious:
            found.append(
                "WARNING: the model is not better than a constant answer on own records. Mostly the records are "
                "preprocessed otherwise than in its training, or its classes are in another order"
            )
        return found

    def plain(self) -> dict[str, object]:
        """Return it as plain values, for a private file."""
        return asdict(self) | {"lines": self.lines()}


def convert(settings: TrainingSettings, records: Records) -> tuple[Model, Report]:
    """Return the model of the settings' file, and the report for its owner. Raises `ParameterError`."""
    source = settings.source
    if source is None:
        raise ParameterError("expected settings with a model's file, found none")
    found = read_model(source)
    drawn = np.random.default_rng(0).random((_DRAWN, *settings.image_shape))
    samples = np.concatenate([records.images[:_OWN].astype(np.float64), drawn])
    layers, words = fitted(found, settings.image_shape, source.class_names, settings.labelling, samples)
    model = Model(settings.image_shape, tuple(layers))
    warned = [PICKLE_WARNING] if source.kind in RUN_CODE else []
    return model, _report(model, records, settings.classes, [*found.words, *words, *warned])


def _report(model: Model, records: Records, classes: int, words: list[str]) -> Report:
    kind = kind_of(records.labels)
    right = kind.predicted(model.logits(records.images)) == records.labels
    counts = np.array(kind.counts(records.labels, classes))
    constant = counts.max() if records.labels.ndim == 1 else np.maximum(counts, len(records) - counts).sum()
    return Report(tuple(words), int(right.sum()), right.size, int(constant))
