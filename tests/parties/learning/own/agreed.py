"""A small table, what a run has agreed on for it, and its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parties.learning.own.choices import DataChoices
from parties.learning.own.reading import Reader

AGREED: dict[str, Any] = {
    "features": ["age", "sex", "dose"],
    "label": "diagnosis",
    "classes": ["ill", "well"],
    "scale": {"age": {"minimum": 0, "maximum": 100}, "dose": {"mean": 10, "deviation": 5, "clip": 2}},
    "categories": {"sex": ["f", "m", "x"]},
    "records": "records.csv",
}
ROWS = "age,sex,dose,diagnosis\n25,m,10,well\n50,f,20,ill\n"
INPUTS = [[0.25, 0, 1, 0, 0.5], [0.5, 1, 0, 0, 1.0]]


def reader(**changes: Any) -> Reader:
    return Reader(DataChoices(**AGREED | changes))


def written(folder: Path, text: str | bytes, name: str = "records.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path
