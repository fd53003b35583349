"""Labels of records, which are of one of two kinds. Everything that depends on the kind is here.

A record has one of the classes, or a yes or no for each of several labels. The labels' shape tells the two apart. It is
``(n,)`` for classes, or ``(n, labels)`` of 0 and 1. For one class, the logits are those of a softmax and the largest
one wins. For several labels, each logit is one label's log-odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Labelling = Literal["class", "labels"]
"""The kind of labels: one of the classes, or a yes or no for each of several labels."""

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
Kinds = NDArray[np.intp]

Label = int | tuple[int, ...]
"""One record's label: its class, or a 0 or 1 for every label."""


class LabelKind(Protocol):
    """One of the two kinds of labels. Logits are ``(n, classes)`` or ``(n, labels)``."""

    name: Labelling

    def predicted(self, logits: Floats) -> Labels:
        """Return the labels that a model with these logits gives."""
        ...

    def entropy(self, logits: Floats) -> Floats:
        """Return how unsure the model is, ``(n,)``. It is the entropy of its prediction, in nats."""
        ...

    def margin(self, logits: Floats) -> Floats:
        """Return how sure the model is, ``(n,)`` in 0..1.

        It is how much likelier its first choice is than its second.
        """
        ...

    def strata(self, labels: Labels) -> Kinds:
        """Number each record's kind, ``(n,)``, from 0. A stratified split spreads each kind evenly."""
        ...

    def counts(self, labels: Labels, classes: int) -> list[int]:
        """Count the records of each class, or with each label."""
        ...

    def accuracies(self, right: NDArray[np.bool_], labels: Labels, classes: int) -> list[float | None]:
        """Return how often a prediction is right for records of each class (None without any), or about each label."""
        ...


class _OneClass:
    name: Labelling = "class"

    def predicted(self, logits: Floats) -> Labels:
        labels: Labels = logits.argmax(axis=1).astype(np.int64)
        return labels

    def entropy(self, logits: Floats) -> Floats:
        shifted = logits - logits.max(axis=1, keepdims=True)
        weights = np.exp(shifted)
        total = weights.sum(axis=1)
        result: Floats = np.log(total) - (weights * shifted).sum(axis=1) / total
        return result

    def margin(self, logits: Floats) -> Floats:
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        ranked = np.sort(shifted / shifted.sum(axis=1, keepdims=True), axis=1)
        result: Floats = ranked[:, -1] - ranked[:, -2]
        return result

    def strata(self, labels: Labels) -> Kinds:
        return labels.astype(np.intp)

    def counts(self, labels: Labels, classes: int) -> list[int]:
        return [int((labels == label).sum()) for label in range(classes)]

    def accuracies(self, right: NDArray[np.bool_], labels: Labels, classes: int) -> list[float | None]:
        of_class = [right[labels == label] for label in range(classes)]
        return [float(part.mean()) if len(part) else None for part in of_class]


class _SeveralLabels:
    """Every label is asked about and paid for at once, so that doubt is the mean of the labels' doubts."""

    name: Labelling = "labels"

    def predicted(self, logits: Floats) -> Labels:
        return (logits > 0).astype(np.int64)

    def entropy(self, logits: Floats) -> Floats:
        log_yes, log_no = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
        result: Floats = -(np.exp(log_yes) * log_yes + np.exp(log_no) * log_no).mean(axis=1)
        return result

    def margin(self, logits: Floats) -> Floats:
        result: Floats = np.tanh(np.abs(logits) / 2).mean(axis=1)  # |2 sigmoid(z) - 1|
        return result

    def strata(self, labels: Labels) -> Kinds:
        return np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)

    def counts(self, labels: Labels, classes: int) -> list[int]:
        return [int(count) for count in labels.sum(axis=0)]

    def accuracies(self, right: NDArray[np.bool_], labels: Labels, classes: int) -> list[float | None]:
        return [float(share) for share in right.mean(axis=0)]


LABEL_KINDS: dict[Labelling, LabelKind] = {"class": _OneClass(), "labels": _SeveralLabels()}


def kind_of(labels: Labels) -> LabelKind:
    """Return the kind of labels that records have."""
    return LABEL_KINDS["class" if labels.ndim == 1 else "labels"]


def label_of(entry: np.int64 | Labels) -> Label:
    """Return one record's label from its entry."""
    return tuple(int(bit) for bit in np.asarray(entry)) if np.ndim(entry) else int(entry)


def agreement(predicted: Label, correct: Label) -> float:
    """Return the share of a record's labels that are right, which is 0 or 1 for a class."""
    return float(np.mean(np.equal(predicted, correct)))


def shown(
    label: Label | None, names: Sequence[str], values: Sequence[bool | int | str] = ()
) -> bool | int | str | list[str] | None:
    """Show a label to people, as the class, or its value where classes have some, or the names of the labels it has."""
    if label is None:
        return None
    if isinstance(label, int):
        return values[label] if values else label
    return [name for name, bit in zip(names, label, strict=True) if bit]
