"""Logistic regression where a hospital has the measurements and a laboratory has the diagnoses.

Records are the 569 of scikit-learn's breast-cancer data, 455 to train on and 114 held out. The hospital learns the
weights. Both learn how many of the held-out diagnoses the model finds. Nobody learns anything else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

import mpc.tensors as pt
from parties.tensors.programs import Here

REVEAL = {"weights": ("hospital",), "bias": ("hospital",), "accuracy": ("hospital", "laboratory")}
ARGUMENTS = {"steps": 50, "learning_rate": 0.5}
COMPUTING = ("hospital", "laboratory")
TRAINED_ON, BOUND = 455, 12.0

Floats = NDArray[np.float64]


def records() -> tuple[Floats, Floats]:
    """Return measurements ``(569, 30)`` of mean 0 and deviation 1 each, and diagnoses ``(569, 1)``, shuffled."""
    values, labels = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    values = values[order]
    seen = values[:TRAINED_ON]
    scaled = np.clip((values - seen.mean(axis=0)) / seen.std(axis=0), -BOUND, BOUND)
    return scaled, labels[order, None].astype(float)


def program(s: pt.Session, here: Here) -> dict[str, object]:
    steps, rate = here.whole("steps"), here.number("learning_rate")
    left = 569 - TRAINED_ON
    x = s.input("hospital", lambda: records()[0][:TRAINED_ON], shape=(TRAINED_ON, 30), bound=BOUND)
    y = s.input("laboratory", lambda: records()[1][:TRAINED_ON], shape=(TRAINED_ON, 1), bound=1, whole=True)
    held_out = s.input("hospital", lambda: records()[0][TRAINED_ON:], shape=(left, 30), bound=BOUND)
    truth = s.input("laboratory", lambda: records()[1][TRAINED_ON:], shape=(left, 1), bound=1, whole=True)

    linear = pt.nn.Linear(30, 1, weight=s.constant(np.zeros((30, 1))), offset=s.constant(np.zeros(1)))
    model = pt.nn.Sequential(linear, pt.nn.Sigmoid())
    optimiser = pt.optim.SGD(model.parameters(), lr=rate)
    for step in range(steps):
        loss = pt.nn.binary_cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        here.advance(step + 1, steps, "steps")
    found = linear(held_out) > 0
    right = (found == truth).mean()
    weights, bias = linear.parameters()
    return {
        "weights": s.reveal(weights, to="hospital"),
        "bias": s.reveal(bias, to="hospital"),
        "accuracy": s.reveal(right, to=("hospital", "laboratory")),
    }


def plain(here: Here) -> dict[str, float]:
    """The same in the clear, with floats."""
    steps, rate = here.whole("steps"), here.number("learning_rate")
    values, labels = records()
    x, y = values[:TRAINED_ON], labels[:TRAINED_ON]
    weight, bias = np.zeros((30, 1)), np.zeros(1)
    for _ in range(steps):
        error = 1 / (1 + np.exp(-(x @ weight + bias))) - y
        weight -= rate * x.T @ error / len(x)
        bias -= rate * error.mean(axis=0)
    found = values[TRAINED_ON:] @ weight + bias > 0
    return {"accuracy": float((found == labels[TRAINED_ON:]).mean())}
