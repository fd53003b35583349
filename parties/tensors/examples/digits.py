"""A neural network on handwritten digits of two clinics, each of which has half of the pictures and their labels.

Pictures are the 1,797 of scikit-learn's digits, 8x8. Each clinic has 700 to train on, and the first clinic holds 397
out. Both learn how many of these the network recognises. The first clinic learns the weights.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import mpc.tensors as pt
from parties.tensors.programs import Here

REVEAL = {"accuracy": ("clinic-a", "clinic-b"), "hidden": ("clinic-a",), "last": ("clinic-a",)}
ARGUMENTS = {"epochs": 10, "batch": 100, "learning_rate": 0.5}
COMPUTING = ("clinic-a", "clinic-b")
EACH, HIDDEN = 700, 32

Floats = NDArray[np.float64]


def pictures() -> tuple[Floats, Floats]:
    """Return pictures ``(1797, 64)`` from 0 to 1, and their digits one-hot ``(1797, 10)``, shuffled."""
    values, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    return values[order] / 16, np.eye(10)[digits[order]]


def first_weights() -> tuple[Floats, Floats]:
    """Return the weights that training begins with, which are public."""
    random = np.random.default_rng(1)
    return random.uniform(-1, 1, (64, HIDDEN)) / 8, random.uniform(-1, 1, (HIDDEN, 10)) / HIDDEN**0.5


def program(s: pt.Session, here: Here) -> dict[str, object]:
    epochs, batch, rate = here.whole("epochs"), here.whole("batch"), here.number("learning_rate")
    left = 1797 - 2 * EACH
    parts = {"clinic-a": slice(0, EACH), "clinic-b": slice(EACH, 2 * EACH)}
    x = pt.concatenate(
        [s.input(name, partial(_of, 0, at), shape=(EACH, 64), bound=(0, 1)) for name, at in parts.items()]
    )
    y = pt.concatenate(
        [s.input(name, partial(_of, 1, at), shape=(EACH, 10), bound=(0, 1), whole=True) for name, at in parts.items()]
    )
    held_out = s.input("clinic-a", lambda: pictures()[0][2 * EACH :], shape=(left, 64), bound=(0, 1))
    truth = s.input(
        "clinic-a", lambda: pictures()[1][2 * EACH :].argmax(axis=1), shape=(left,), bound=(0, 9), whole=True
    )

    hidden, last = (s.constant(weights) for weights in first_weights())
    model = pt.nn.Sequential(
        pt.nn.Linear(64, HIDDEN, weight=hidden, bias=False),
        pt.nn.ReLU(),
        pt.nn.Linear(HIDDEN, 10, weight=last, bias=False),
    )
    optimiser = pt.optim.SGD(model.parameters(), lr=rate)
    steps = epochs * (2 * EACH // batch)
    for step in range(steps):
        rows = _rows(step, batch)
        loss = pt.nn.cross_entropy(model(x[rows]), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        here.advance(step + 1, steps, "steps")
    right = (model(held_out).argmax(axis=1) == truth).mean()
    weights = model.parameters()
    return {
        "accuracy": s.reveal(right, to=("clinic-a", "clinic-b")),
        "hidden": s.reveal(weights[0], to="clinic-a"),
        "last": s.reveal(weights[1], to="clinic-a"),
    }


def _of(which: int, rows: slice) -> Floats:
    """Return some of the pictures or of the digits."""
    return pictures()[which][rows]


def _rows(step: int, batch: int) -> NDArray[np.int64]:
    """Return the rows of a batch, of which each clinic has half."""
    half = batch // 2
    first = step * half % EACH + np.arange(half)
    return np.concatenate([first % EACH, EACH + first % EACH])


def plain(here: Here) -> dict[str, float]:
    """The same in the clear, with floats."""
    epochs, batch, rate = here.whole("epochs"), here.whole("batch"), here.number("learning_rate")
    values, digits = pictures()
    hidden, last = first_weights()
    for step in range(epochs * (2 * EACH // batch)):
        rows = _rows(step, batch)
        x, y = values[rows], digits[rows]
        inner = np.maximum(x @ hidden, 0)
        logits = inner @ last
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (likely / likely.sum(axis=1, keepdims=True) - y) / len(rows)
        back = (error @ last.T) * (inner > 0)
        last -= rate * inner.T @ error
        hidden -= rate * x.T @ back
    found = (np.maximum(values[2 * EACH :] @ hidden, 0) @ last).argmax(axis=1)
    return {"accuracy": float((found == digits[2 * EACH :].argmax(axis=1)).mean())}
