"""Training linear models and the perceptron with scikit-learn, as dense layers. Only the training child imports this.

A party that has no record of a class still has to give it a logit. That logit lies below everything that its other
logits can reach for an input in 0..1, so that the party never votes for what it has never seen. With several labels,
each is a linear model of its own, or a logistic output of the perceptron.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

from parties.learning.labels import Floats, Labelling, Labels
from parties.learning.models import Model, Pair
from parties.learning.records import Records
from parties.learning.training_settings import TrainingSettings

_HIDDEN = 32


def fit(settings: TrainingSettings, records: Records) -> Model:
    """Fit the model that the settings name. Epochs and step size are the perceptron's, penalties are scikit-learn's.

    A party with records of a single class, or of a label's one value, gets a model that always answers with it.
    """
    values = records.images.reshape(len(records), -1).astype(np.float64)
    present = np.unique(records.labels)
    most = settings.classes - 1 if settings.labelling == "class" else 1
    if present[0] < 0 or present[-1] > most:
        raise ValueError(f"expected labels 0..{most}, found {present[0]}..{present[-1]}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are what they are
        layers = _FITS[settings.labelling](settings, values, records.labels)
    return Model.filled(settings.image_shape, settings.layers, layers)


def _fit_classes(settings: TrainingSettings, values: Floats, labels: Labels) -> tuple[Pair, ...]:
    present = np.unique(labels)
    perceptron = settings.architecture == "sklearn-mlp"
    if len(present) > 1:
        *hidden, last = (
            _fit_perceptron(settings, values, labels) if perceptron else [_fit_linear(settings, values, labels)]
        )
        weights, bias = _one_row_a_class(*last)
    else:
        inputs = values.shape[1]
        hidden = [(np.zeros((_HIDDEN, inputs)), np.zeros(_HIDDEN))] if perceptron else []
        weights, bias = np.zeros((1, _HIDDEN if perceptron else inputs)), np.zeros(1)
    return *hidden, _with_absent(weights, bias, present, settings.classes, _largest(hidden, values.shape[1]))


def _fit_labels(settings: TrainingSettings, values: Floats, labels: Labels) -> tuple[Pair, ...]:
    if settings.architecture == "sklearn-mlp":
        return tuple(_fit_perceptron(settings, values, labels))
    rows = []
    for label in labels.T:
        if label.min() < label.max():
            rows.append(_fit_linear(settings, values, label))
        else:
            rows.append((np.zeros((1, values.shape[1])), 2.0 * label[:1] - 1))
    return ((np.concatenate([weights for weights, _ in rows]), np.concatenate([bias for _, bias in rows])),)


_FITS: dict[Labelling, Callable[[TrainingSettings, Floats, Labels], tuple[Pair, ...]]] = {
    "class": _fit_classes,
    "labels": _fit_labels,
}


def _fit_perceptron(settings: TrainingSettings, values: Floats, labels: Labels) -> list[Pair]:
    """Hidden and last layer."""
    network = MLPClassifier(
        (_HIDDEN,),
        random_state=settings.seed % 2**32,
        max_iter=settings.epochs * 10,
        learning_rate_init=settings.learning_rate,
    )
    network.fit(values, labels)
    return [(weights.T, bias) for weights, bias in zip(network.coefs_, network.intercepts_, strict=True)]


def _fit_linear(settings: TrainingSettings, values: Floats, labels: Labels) -> Pair:
    """A row a class. Of two classes there is one row, positive for the second."""
    kind = LogisticRegression if settings.architecture == "logistic-regression" else LinearSVC
    model = kind(max_iter=1000, **({"random_state": settings.seed % 2**32} if kind is LinearSVC else {}))
    model.fit(values, labels)
    return model.coef_, model.intercept_


def _one_row_a_class(weights: Floats, bias: Floats) -> Pair:
    """Two rows, for and against, from the one that scikit-learn gives two classes, positive for the second."""
    if len(weights) > 1:
        return weights, bias
    return np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2


def _largest(hidden: list[Pair], inputs: int) -> Floats:
    """The largest value that each input of the last layer can take. The smallest is 0."""
    largest = np.ones(inputs)
    for weights, bias in hidden:
        largest = np.maximum(np.maximum(weights, 0) @ largest + bias, 0)
    return largest


def _with_absent(weights: Floats, bias: Floats, present: np.ndarray, classes: int, largest: Floats) -> Pair:
    """The last layer with a row for every class. An absent class stays below what the others can reach."""
    lowest = float((np.minimum(weights, 0) @ largest + bias).min())
    all_weights, all_bias = np.zeros((classes, weights.shape[1])), np.full(classes, lowest - 1)
    all_weights[present], all_bias[present] = weights, bias
    return all_weights, all_bias
