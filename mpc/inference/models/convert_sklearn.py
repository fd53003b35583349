"""Fitted scikit-learn estimators as the layers of :meth:`mpc.inference.Network.from_layers`.

scikit-learn is not imported here, as the owner of a model has it. An estimator is known by what it has, and what was
made of it is run against its own decisions afterwards.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mpc.errors import ParameterError
from mpc.inference.models.converted import DOUBLE, SINGLE, ConvertedLayers, require
from mpc.inference.models.floats import BatchNorm, Flatten, FloatLayer, Floats, Linear, ReLU
from mpc.inference.models.floats.layer import reals

_DUAL = 2.0**-40  # a decision summed over support vectors, whose terms cancel
_SUPPORTED = "LogisticRegression, LinearSVC, MLPClassifier"
_Transform = Callable[[Floats], Floats]


def from_sklearn(model: Any) -> ConvertedLayers:
    """Convert a fitted classifier: one with ``coef_`` and a decision function, or ``MLPClassifier`` (ReLU or none).

    A ``Pipeline`` may scale its inputs before (``StandardScaler``, ``MinMaxScaler``, ``MaxAbsScaler``,
    ``RobustScaler``), which is folded into the first layer.

    There is one logit a class, in the order of ``model.classes_``. Of two classes the first one's logit is 0. The class
    with the largest logit is then the one that ``predict`` gives.

    Raises:
        ParameterError: another estimator, one that is not fitted, several labels a record, or a setting that is not
            supported.
    """
    scaled, before = list[FloatLayer](), list[Any]()
    final = model
    while type(final).__name__ == "Pipeline":
        require(bool(getattr(final, "steps", None)), "Pipeline", "steps", "none")
        for name, step in final.steps[:-1]:
            if step is not None and step != "passthrough":
                scaled.append(_scaler(step, f"step {name} ({type(step).__name__})"))
                before.append(step)
        final = final.steps[-1][1]
    name = type(final).__name__
    if name == "MLPClassifier":
        layers, decide = _perceptron(final, name)
    elif hasattr(final, "decision_function") and not hasattr(final, "coefs_"):
        layers, decide = _linear(final, name)
    else:
        raise ParameterError(f"expected one of {_SUPPORTED}, found {name}; others with coef_ and classes_ convert too")
    classes = np.asarray(final.classes_)

    def original(values: Floats) -> Floats:
        rows = values.reshape(len(values), -1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that the columns were fitted with
            for step in before:
                rows = np.asarray(step.transform(rows))
            logits = decide(rows)
            predicted = np.asarray(final.predict(rows))
        _check_predictions(logits, predicted, classes, name)
        return logits

    parts = [getattr(final, key, None) for key in ("coef_", "intercept_")]
    parts += [*getattr(final, "coefs_", []), *getattr(final, "intercepts_", [])]
    single = any(getattr(part, "dtype", None) in (np.float32, np.float16) for part in parts)
    unit = SINGLE if single else _DUAL if hasattr(final, "dual_coef_") else DOUBLE
    return ConvertedLayers([Flatten(), *scaled, *layers], original, f"the estimator {name}", unit)


def _check_predictions(logits: Floats, predicted: Any, classes: Any, name: str) -> None:
    """Refuse an estimator that predicts another class than the one with the largest decision, ties aside."""
    ordered = np.sort(logits, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 1e-6 * np.abs(ordered).max(axis=1)
    if (classes[logits.argmax(axis=1)] != predicted)[clear].any():
        raise ParameterError(f"expected {name} to predict the class of its largest decision, found another")


def _linear(model: Any, name: str) -> tuple[list[FloatLayer], _Transform]:
    require(hasattr(model, "coef_"), name, "a fitted estimator", "one without coefficients")
    require(hasattr(model, "classes_"), name, "a classifier", "one without classes")
    coefficients = np.atleast_2d(reals(model.coef_, name))
    intercepts = np.broadcast_to(reals(model.intercept_, name).reshape(-1), coefficients.shape[:1])
    require(np.ndim(model.classes_) == 1, name, "one label", "several")
    classes = len(model.classes_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dimensions = np.ndim(model.predict(np.zeros((1, coefficients.shape[1]))))
    require(dimensions == 1, name, "one label", "several")
    pairs = classes > 2 and hasattr(model, "dual_coef_")
    require(not pairs, name, "a decision for every class", "one for every pair of classes")
    rows = 1 if classes == 2 else classes
    require(len(coefficients) == rows, name, f"coefficients of {classes} classes", f"{len(coefficients)} rows")

    def decide(values: Floats) -> Floats:
        decisions = np.asarray(model.decision_function(values), np.float64)
        return decisions if decisions.ndim == 2 else np.stack([np.zeros_like(decisions), decisions], axis=1)

    return [_of_two_classes(coefficients, intercepts)], decide


def _perceptron(model: Any, name: str) -> tuple[list[FloatLayer], _Transform]:
    require(hasattr(model, "coefs_"), name, "a fitted estimator", "one without coefficients")
    require(model.activation in ("relu", "identity"), name, "activation relu or identity", model.activation)
    require(model.out_activation_ != "logistic" or model.n_outputs_ == 1, name, "one label", "several")
    layers: list[FloatLayer] = []
    pairs = [
        (reals(weights, name).T, reals(bias, name))
        for weights, bias in zip(model.coefs_, model.intercepts_, strict=True)
    ]
    for weights, bias in pairs[:-1]:
        layers.append(Linear(weights, bias))
        layers += [ReLU()] if model.activation == "relu" else []
    before_softmax = copy.copy(model)
    before_softmax.out_activation_ = "identity"

    def decide(values: Floats) -> Floats:
        decisions = np.asarray(before_softmax._forward_pass_fast(values), np.float64)
        return np.concatenate([np.zeros_like(decisions), decisions], axis=1) if decisions.shape[1] == 1 else decisions

    return [*layers, _of_two_classes(*pairs[-1])], decide


def _of_two_classes(weights: Floats, bias: Floats) -> Linear:
    """One decision value is the second class's logit beside a first one of zero."""
    if len(weights) > 1:
        return Linear(weights, np.array(bias))
    return Linear(np.concatenate([np.zeros_like(weights), weights]), np.concatenate([np.zeros(1), bias]))


def _scaler(step: Any, name: str) -> FloatLayer:
    """A scaler as a factor and a constant for every value."""
    kind = type(step).__name__
    if kind not in ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"):
        raise ParameterError(
            f"expected StandardScaler, MinMaxScaler, MaxAbsScaler or RobustScaler before the classifier, found {name}"
        )
    require(hasattr(step, "n_features_in_"), name, "a fitted scaler", "another")
    require(not getattr(step, "clip", False), name, "clip off", "on")
    count = step.n_features_in_
    if kind == "MinMaxScaler":  # x scale_ + min_
        return BatchNorm(np.zeros(count), np.ones(count), reals(step.scale_, name), reals(step.min_, name), 0.0)
    centre = getattr(step, "mean_" if kind == "StandardScaler" else "center_", None)
    if not getattr(step, "with_mean", True):
        centre = None
    width = getattr(step, "scale_", None)
    return BatchNorm(
        np.zeros(count) if centre is None else reals(centre, name),
        np.ones(count),
        np.ones(count) if width is None else 1 / reals(width, name),
        np.zeros(count),
        0.0,
    )
