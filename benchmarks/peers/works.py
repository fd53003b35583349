"""The works that the project and its peers are compared by: their inputs, and their results in floats.

Everything here is public and the same for all. It runs in the peers' environments as well, with numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Floats = Any  # an array of float64; the peers' numpy has no names for it

BOUND = 100.0  # that is stated for the values of single operations, which are smaller
LARGEST = 8.0
RECORDS, FEATURES = 455, 30
RATE = 0.5
IMAGES = 28 * 28
TRAINED_ON, BATCHES = 7936, 62  # of 128 images, which is an epoch
DEEP = (IMAGES, 128, 128, 10)  # network A of SecureML
SHALLOW = (IMAGES, 128, 10)


def uniform(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).uniform(-LARGEST, LARGEST, shape)


@dataclass(frozen=True)
class Single:
    """One operation on arrays. `reference` is it on floats."""

    inputs: Callable[[int], list[Floats]]
    reference: Callable[..., Floats]


SINGLE = {
    "multiply": Single(lambda n: [uniform(1, n), uniform(2, n)], lambda x, y: x * y),
    "matmul": Single(lambda n: [uniform(3, n, n) / LARGEST, uniform(4, n, n) / LARGEST], lambda x, y: x @ y),
    "relu": Single(lambda n: [uniform(5, n)], lambda x: np.maximum(x, 0)),
    "argmax": Single(lambda n: [uniform(6, n, 10)], lambda x: x.argmax(axis=1).astype(float)),
}
"""By kind of order. Each takes the order's `size`."""

TRAINING = ("logistic", "mlp")


def records() -> tuple[Floats, Floats]:
    """Return made-up measurements (455, 30) and diagnoses (455, 1). The breast-cancer data has as many."""
    random = np.random.default_rng(7)
    values = np.clip(random.normal(size=(RECORDS, FEATURES)), -12, 12)
    return values, (values[:, :1] + random.normal(size=(RECORDS, 1)) > 0).astype(float)


def images(count: int) -> tuple[Floats, Floats]:
    """Return made-up images (count, 784) from 0 to 1, a fifth of them not 0, and their one-hot classes (count, 10)."""
    random = np.random.default_rng(8)
    shapes = random.uniform(0, 1, (10, IMAGES)) * (random.uniform(0, 1, (10, IMAGES)) < 0.2)
    classes = random.integers(0, 10, count)
    return np.clip(shapes[classes] * random.uniform(0.2, 1.2, (count, IMAGES)), 0, 1), np.eye(10)[classes]


def first_weights(sizes: tuple[int, ...]) -> list[Floats]:
    """Return the public weights that training begins with, layer by layer."""
    random = np.random.default_rng(9)
    pairs = pairwise(sizes)
    return [random.uniform(-1, 1, (before, after)) / before**0.5 for before, after in pairs]


def train_logistic(x: Floats, y: Floats, steps: int, rate: float = RATE) -> tuple[Floats, Floats]:
    """Return weights and bias of logistic regression after so many steps on all records, in floats."""
    weight, bias = np.zeros((x.shape[1], 1)), np.zeros(1)
    for _ in range(steps):
        error = 1 / (1 + np.exp(-(x @ weight + bias))) - y
        weight = weight - rate * x.T @ error / len(x)
        bias = bias - rate * error.mean(axis=0)
    return weight, bias


def train_network(sizes: tuple[int, ...], x: Floats, y: Floats, batch: int, steps: int, rate: float) -> list[Floats]:
    """Return the weights of a network with ReLUs and softmax after so many batches, in floats."""
    weights = first_weights(sizes)
    for step in range(steps):
        rows = rows_of(step, batch, len(x))
        values = [x[rows]]
        for weight in weights[:-1]:
            values.append(np.maximum(values[-1] @ weight, 0))
        logits = values[-1] @ weights[-1]
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (likely / likely.sum(axis=1, keepdims=True) - y[rows]) / batch
        gradients = []
        for place in reversed(range(len(weights))):
            gradients.append(values[place].T @ error)
            if place:
                error = (error @ weights[place].T) * (values[place] > 0)
        weights = [weight - rate * gradient for weight, gradient in zip(weights, reversed(gradients), strict=True)]
    return weights


def rows_of(step: int, batch: int, count: int) -> slice:
    """Return the rows of a batch. An epoch takes whole batches alone."""
    first = step % (count // batch) * batch
    return slice(first, first + batch)


def predicted(weights: list[Floats], x: Floats) -> Floats:
    for weight in weights[:-1]:
        x = np.maximum(x @ weight, 0)
    return (x @ weights[-1]).argmax(axis=1)
