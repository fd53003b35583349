"""An owner's records from a file: features as numbers, and a class for each record.

An NPZ file has an array ``X`` ``(n, d)`` and an array ``y`` ``(n,)``. For an extractor of features ``X`` may hold
images, ``(n, height, width)`` or ``(n, channels, height, width)``. A table (CSV, TSV, Parquet, gzipped or not) has a
column for each feature and one with the class, as :mod:`parties.learning.own` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.learning.own import cells
from parties.learning.own.tables import TABLES, array_names, read_arrays, read_table
from parties.learning.records import DataError

Floats = NDArray[np.float64]
MOST_CLASSES = 20


@dataclass(frozen=True, repr=False)
class LabelledTable:
    """Features ``(n, d)``, and for each record the place of its class ``(n,)`` among ``classes``.

    Attributes:
        extractor: the digest of the extractor that has made the features, in hex, or nothing for records as they are.
        notes: what may be a mistake in the file that they come from, in sentences for their owner.
    """

    features: Floats
    places: NDArray[np.int64]
    classes: tuple[str, ...]
    extractor: str = ""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"LabelledTable(features={self.features.shape})"

    @property
    def targets(self) -> int:
        """How many models tell the classes apart: one for two classes, and else one a class against the rest."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def signs(self, target: int) -> Floats:
        """Return +1 for the records of a target's class and -1 for all others, ``(n,)``. Of two classes the second is
        the target.
        """
        chosen = 1 if len(self.classes) == 2 else target
        return np.where(self.places == chosen, 1.0, -1.0)

    def part(self, rows: NDArray[np.int64]) -> LabelledTable:
        """Return these records alone, by their places, with all classes."""
        return replace(self, features=self.features[rows], places=self.places[rows])

    def write(self, path: Path) -> None:
        """Write the table for a party's process to read, with its classes in their order."""
        classes, extractor = np.array(self.classes), np.array(self.extractor)
        np.savez(path, features=self.features, places=self.places, classes=classes, extractor=extractor)

    @classmethod
    def read(cls, path: Path) -> LabelledTable:
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as found:
            classes = tuple(map(str, found["classes"]))
            return cls(found["features"], found["places"], classes, str(found["extractor"]))


def read_records(path: Path, label: str = "label", delimiter: str = ",", images: bool = False) -> LabelledTable:
    """Read an owner's records. Classes are in the order of their names, or of their numbers.

    Args:
        images: whether a record may be an image, as an extractor takes it.

    Raises:
        DataError: the file is none of those above, has no such column, holds what is no finite number, or fewer than 2
            or more than 20 classes.
    """
    if not path.name.lower().endswith(TABLES):
        hint = ": write X and y into an NPZ file" if path.name.lower().endswith((".h5", ".hdf5")) else ""
        raise DataError(f"{path}: expected a file of {', '.join(TABLES)}, found another name{hint}")
    if path.name.lower().endswith(".npz") and {"X", "y"} <= {*array_names(path)}:
        arrays = read_arrays(path, ("X", "y"))
        features, labels = _numbers(path, arrays["X"], images), arrays["y"]
        notes: tuple[str, ...] = ()
    else:
        table = read_table(path, None, delimiter)
        labels = table.column(label, "the classes")
        names = [name for name in table.columns if name != label]
        if not names:
            raise DataError(f"{path}: expected columns of features beside {label!r}, found none")
        columns = []
        for name in names:
            column = table.column(name, "a feature")
            plain = cells.plain_numbers(column) if table.is_text else None
            columns.append(cells.numbers(table, name, column) if plain is None else plain)
        features = np.stack(columns, axis=1)
        notes = tuple(f"{path.name}: {note}" for note in table.notes)
    if labels.shape != features.shape[:1]:
        raise DataError(f"{path}: expected a class for each of {len(features)} records, found shape {labels.shape}")
    places, classes = _classes(path, labels)
    return LabelledTable(features, places, classes, notes=notes)


def _numbers(path: Path, found: NDArray[Any], images: bool) -> Floats:
    if not 2 <= found.ndim <= (4 if images else 2) or found.dtype.kind not in "biuf" or not found.size:
        expected = "(n, d), or images (n, height, width) or (n, channels, height, width)" if images else "(n, d)"
        hint = ": images need an extractor (--features)" if found.ndim in (3, 4) and not images else ""
        raise DataError(
            f"{path}, array 'X': expected numbers {expected}, found {found.dtype} of shape {found.shape}{hint}"
        )
    features = found.astype(np.float64)
    finite = np.isfinite(features).reshape(len(features), -1).all(axis=1)
    if not finite.all():
        raise DataError(f"{path}, array 'X', row {int(finite.argmin()) + 1}: expected finite numbers, found another")
    return features


def _classes(path: Path, labels: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if cells.absent(labels).any():
        row = int(cells.absent(labels).argmax())
        raise DataError(f"{path}, row {row + 1}: expected a class, found none")
    found, places = np.unique(labels.astype(str) if labels.dtype.kind == "O" else labels, return_inverse=True)
    if not 2 <= len(found) <= MOST_CLASSES:
        raise DataError(f"{path}: expected 2 to {MOST_CLASSES} classes, found {len(found)}")
    return places.astype(np.int64), tuple(_name(one) for one in found)


def _name(one: Any) -> str:
    """Return a class by its name. A whole number that is stored as a float loses its point."""
    if isinstance(one, np.floating) and float(one).is_integer():
        return str(int(one))
    return str(one)
