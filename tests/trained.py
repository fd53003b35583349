"""Models that a run of a test session has trained, for the runs after it: a model's name says what it was made from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_FOLDER = "CAPC_TESTS_TRAINED"  # in the environment, where the workers of pytest-xdist find it too


def share_in(folder: Path) -> None:
    """From now on, and in all workers to come, models are shared in this folder."""
    os.environ[_FOLDER] = str(folder)


def fill(caches: list[Path]) -> None:
    """Put every model that there is into these caches of parties."""
    for model in Path(os.environ[_FOLDER]).glob("model-*.npz"):
        for cache in caches:
            _copy(model, cache / model.name)


def keep(caches: list[Path]) -> None:
    """Take what parties have trained and put into these caches."""
    for cache in caches:
        for model in cache.glob("model-*.npz"):
            _copy(model, Path(os.environ[_FOLDER]) / model.name)


def _copy(model: Path, other: Path) -> None:
    if not other.exists():
        partial = other.with_name(f".{other.name}.{os.getpid()}")  # nobody may read half a model
        shutil.copy(model, partial)
        partial.replace(other)
