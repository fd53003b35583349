"""A network 64-32-10 that recognises handwritten digits. Its owner trains it, and clients ask about pictures.

Pictures are the 1,797 of scikit-learn's digits, 8x8. The owner has 1,400 of them. The other 397 are the clients', in
turn. An answer is the score of each digit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import mpc.tensors as pt
from parties.tensors.programs import Here

INPUT, BOUND = (64,), (0, 1)
OUTPUT = (10,)
PARAMETERS = {
    "hidden": ((64, 32), 4),
    "hidden offset": ((32,), 4),
    "last": ((32, 10), 4),
    "last offset": ((10,), 4),
}
ARGUMENTS = {"records": 40, "epochs": 30}
OWNED = 1400

Floats = NDArray[np.float64]


def pictures() -> tuple[Floats, NDArray[np.int64]]:
    """Return pictures ``(1797, 64)`` from 0 to 1, and their digits, shuffled."""
    values, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    return values[order] / 16, digits[order]


def load(here: Here) -> dict[str, Floats]:
    """Train the network, with plain gradient descent."""
    values, digits = pictures()
    x, y = values[:OWNED], np.eye(10)[digits[:OWNED]]
    random = np.random.default_rng(1)
    found = {name: random.uniform(-1, 1, shape) / 8 for name, (shape, _) in PARAMETERS.items()}
    for step in range(here.whole("epochs") * (OWNED // 100)):
        rows = np.arange(step * 100, step * 100 + 100) % OWNED
        inner = np.maximum(x[rows] @ found["hidden"] + found["hidden offset"], 0)
        scores = inner @ found["last"] + found["last offset"]
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        error = (likely / likely.sum(axis=1, keepdims=True) - y[rows]) / 100
        back = (error @ found["last"].T) * (inner > 0)
        found["last"] -= 0.5 * inner.T @ error
        found["last offset"] -= 0.5 * error.sum(axis=0)
        found["hidden"] -= 0.5 * x[rows].T @ back
        found["hidden offset"] -= 0.5 * back.sum(axis=0)
    return {name: value.clip(-4, 4) for name, value in found.items()}


def records(here: Here, client: str) -> Floats:
    """Return some of the pictures that the owner has not. Which ones depends on the client's name."""
    values, _ = pictures()
    first = sum(client.encode())
    return values[OWNED + (first + np.arange(here.whole("records"))) % (len(values) - OWNED)]


def answer(s: pt.Session, parameters: Mapping[str, pt.PrivateTensor], x: pt.PrivateTensor) -> pt.PrivateTensor:
    inner = (x @ parameters["hidden"] + parameters["hidden offset"]).relu()
    return inner @ parameters["last"] + parameters["last offset"]


def plain(parameters: Mapping[str, Floats], x: Floats) -> Floats:
    inner = np.maximum(x @ parameters["hidden"] + parameters["hidden offset"], 0)
    return inner @ parameters["last"] + parameters["last offset"]
