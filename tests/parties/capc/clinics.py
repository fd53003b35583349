"""Five clinics with a file each, made from scikit-learn's biopsies, and a configuration for them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from sklearn.datasets import load_breast_cancer

BOUNDS = {"mean radius": (5, 30), "mean texture": (5, 40), "mean area": (100, 2600), "mean concavity": (0, 0.5)}
CLASSES = ["malignant", "benign"]


def write(folder: Path) -> list[str]:
    """Write `clinic-0.csv` to `clinic-4.csv`, `ask.csv` without labels and `test.csv`. Returns the labels of `ask`."""
    biopsies = load_breast_cancer()
    names = [*biopsies.feature_names, "diagnosis"]
    rows = [
        [*map(str, row), CLASSES[label]] for row, label in zip(biopsies.data.tolist(), biopsies.target, strict=True)
    ]
    for clinic in range(5):
        order = slice(None) if clinic != 3 else slice(None, None, -1)  # one of them orders its columns otherwise
        _write(folder / f"clinic-{clinic}.csv", [row[order] for row in [names, *rows[clinic::6]]])
    _write(folder / "ask.csv", [row[:-1] for row in [names, *rows[5::12]]])
    _write(folder / "test.csv", [names, *rows[11::12]])
    return [row[-1] for row in rows[5::12]]


def _write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def choices(folder: Path, **first: Any) -> dict[str, Any]:
    """The configuration's `data`, with what the first clinic has besides its records."""
    files: list[dict[str, Any]] = [{"records": folder / f"clinic-{clinic}.csv"} for clinic in range(5)]
    files[0] |= {"name": "clinic-a", "unlabelled": folder / "ask.csv"} | first
    return {
        "features": list(BOUNDS),
        "label": "diagnosis",
        "classes": CLASSES,
        "scale": {name: {"minimum": low, "maximum": high} for name, (low, high) in BOUNDS.items()},
        "parties": files,
    }
