"""What is measured: trainings on the first 455 records of breast cancer, and the goals for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

from mpc.encrypted.programs.logistic import Logistic
from parties.encrypted.owner import Choices
from parties.encrypted.records import LabelledTable

RECORDS = 455
CLASSES = ("0", "1")


@dataclass(frozen=True)
class Work:
    """One training.

    Attributes:
        title: as in tables.
        choices: how records are prepared and trained on. For a model that is encrypted alone, how it came to be.
        steps: of the squared loss on a model that is encrypted, or 0 where the records are.
        goals: the largest figure that is good enough, by the figure's name in :mod:`benchmarks.securetrain.report`.
    """

    name: str
    title: str
    choices: Choices
    goals: dict[str, float]
    steps: int = 0


def breast_cancer() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return features ``(569, 30)`` and classes ``(569,)``."""
    features, classes = load_breast_cancer(return_X_y=True)
    return features.astype(np.float64), classes.astype(np.int64)


def table() -> LabelledTable:
    """Return the records that are trained on."""
    features, classes = breast_cancer()
    return LabelledTable(features[:RECORDS], classes[:RECORDS], CLASSES)


SMALL = Choices(Logistic(10.0, 3), 15, 0.1, 4.0, 3.0)
LARGE = Choices(Logistic(7.0, 5), None, None, 4.0, 2.0)
REFRESHED = Choices(Logistic(3.0, 20, stretch=2), None, None, 4.0, 2.5)
MB = 1e6
WORKS = (
    Work(
        "small",
        f"records encrypted, {RECORDS} x 15, 3 iterations",
        SMALL,
        {"train": 250, "keys": 85 * MB, "memory": 1200 * MB},
    ),
    Work(
        "large",
        f"records encrypted, {RECORDS} x 30, 5 iterations",
        LARGE,
        {"train": 1500, "keys": 250 * MB, "data": 3 * MB, "memory": 1200 * MB},
    ),
    Work("model-2", f"model encrypted, {RECORDS} x 15, 2 steps", SMALL, {"train": 120}, steps=2),
    Work("model-10", f"model encrypted, {RECORDS} x 15, 10 steps", SMALL, {"train": 120}, steps=10),
)
REFRESHED_TITLE = f"records encrypted, {RECORDS} x 30, 20 iterations, refreshed nine times"
REFRESHED_GOALS = {"train": 3000, "refresh": 1.1 * MB}
ACCURACY_TITLE = "accuracy on a fifth that was held out"
ACCURACY_GOAL = 0.005  # below scikit-learn, with refreshes
RANDOM_TITLE = "random programs, N = 16384"
RIDGE_GOAL = 5000  # ms, of training
