"""Real records and images, for the rows of accuracy."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parties.learning.datasets import load_dataset
from parties.tensors.examples.logistic import TRAINED_ON, records

Floats = NDArray[np.float64]


def real_records() -> tuple[Floats, Floats, Floats, Floats]:
    """Return measurements and diagnoses of the breast-cancer data to train on, and the same held out."""
    x, y = records()
    return x[:TRAINED_ON], y[:TRAINED_ON], x[TRAINED_ON:], y[TRAINED_ON:]


def has_mnist() -> bool:
    return bool(os.environ.get("CAPC_DATA_DIR"))


def real_images() -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """Return images from 0 to 1 with one-hot classes, and images with classes held out.

    They are MNIST's where CAPC_DATA_DIR names the folder with its files, and else the digits of scikit-learn.
    """
    folder = os.environ.get("CAPC_DATA_DIR")
    dataset = load_dataset("mnist", Path(folder)) if folder else load_dataset("digits", None)
    pool, test = dataset.pool, dataset.test
    if test is None:
        raise ValueError("expected a data set with records held out, found none")
    shuffled = np.random.default_rng(0).permutation(len(pool.labels))
    x = pool.images[shuffled].reshape(len(shuffled), -1).astype(np.float64)
    held_out = test.images.reshape(len(test.labels), -1).astype(np.float64)
    return x, np.eye(10)[pool.labels[shuffled]], held_out, test.labels.astype(np.int64)
