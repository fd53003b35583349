"""Training with scikit-learn: linear models and the perceptron, as dense layers. Imported by the training child alone.

A party that has no record of a class still has to give it a logit: one below everything that its other logits can
reach for an input in 0..1, so that it never votes for what it has never seen.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

from parties.data import Records
from parties.models import Floats, Model
from parties.training_settings import TrainingSettings

_HIDDEN = 32


def fit(settings: TrainingSettings, records: Records) -> Model:
    """Fit the model that the settings name. Epochs and step size are the perceptron's, penalties scikit-learn's.

    A party with records of a single class gets a model that always answers with it.
    """
    values = records.images.reshape(len(records), -1).astype(np.float64)
    present = np.unique(records.labels)
    if present[0] < 0 or present[-1] >= settings.classes:
        raise ValueError(f"expected labels 0..{settings.classes - 1}, found {present[0]}..{present[-1]}")
    inputs = values.shape[1]
    seed = settings.seed % 2**32
    hidden: list[tuple[Floats, Floats]] = []
    if settings.architecture == "sklearn-mlp":
        hidden = [(np.zeros((_HIDDEN, inputs)), np.zeros(_HIDDEN))]
        inputs = _HIDDEN
    weights, bias = np.zeros((len(present), inputs)), np.zeros(len(present))
    if len(present) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are what they are
            if settings.architecture == "sklearn-mlp":
                network = MLPClassifier(
                    (_HIDDEN,),
                    random_state=seed,
                    max_iter=settings.epochs * 10,
                    learning_rate_init=settings.learning_rate,
                )
                network.fit(values, records.labels)
                hidden = [(network.coefs_[0].T, network.intercepts_[0])]
                weights, bias = _one_row_a_class(network.coefs_[1].T, network.intercepts_[1])
            else:
                kind = LogisticRegression if settings.architecture == "logistic-regression" else LinearSVC
                model = kind(max_iter=1000, **({"random_state": seed} if kind is LinearSVC else {}))
                model.fit(values, records.labels)
                weights, bias = _one_row_a_class(model.coef_, model.intercept_)
    last = _with_absent(weights, bias, present, settings.classes, _largest(hidden, values.shape[1]))
    return Model(settings.image_shape, settings.layers, (*hidden, last))


def _one_row_a_class(weights: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """scikit-learn gives two classes a single row, positive for the second: half of it for, half against."""
    if len(weights) > 1:
        return weights, bias
    return np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2


def _largest(hidden: list[tuple[Floats, Floats]], inputs: int) -> Floats:
    """The largest value that each input of the last layer can take; the smallest is 0."""
    largest = np.ones(inputs)
    for weights, bias in hidden:
        largest = np.maximum(np.maximum(weights, 0) @ largest + bias, 0)
    return largest


def _with_absent(
    weights: Floats, bias: Floats, present: np.ndarray, classes: int, largest: Floats
) -> tuple[Floats, Floats]:
    """The last layer with a row for every class; one that was absent stays below what the others can reach."""
    lowest = float((np.minimum(weights, 0) @ largest + bias).min())
    all_weights, all_bias = np.zeros((classes, weights.shape[1])), np.full(classes, lowest - 1)
    all_weights[present], all_bias[present] = weights, bias
    return all_weights, all_bias
