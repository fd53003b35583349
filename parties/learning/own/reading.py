"""From a source, which is a file, a folder or what a loader takes, to records in the form that networks get.

The public preprocessing is applied here, to the records of every owner and to what is asked about alike. Inputs are in
0..1. A table gives ``(n, 1, 1, inputs)``. The inputs follow the order of the features, and a feature with categories
has one for each of its values.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.learning.labels import Labels
from parties.learning.own import cells, pictures
from parties.learning.own.cells import Counts, Numbers
from parties.learning.own.choices import DataChoices, Scale
from parties.learning.own.loader import loader
from parties.learning.own.tables import LARGEST, Table, read_table
from parties.learning.records import AskedRecords, DataError, Images, Records

_PIXELS = "pixels"
_INPUT_BYTES = 4
_EQUAL = 1e-9  # relative; constants that are so near to what a file holds were computed from it


class Reader:
    """Reads sources by one public preprocessing, and keeps what a person has to be told, as sentences with counts."""

    def __init__(self, choices: DataChoices) -> None:
        self._choices = choices
        self._load = None if choices.loader is None else loader(choices)
        self.notes: list[str] = []
        self.left_out: dict[Path, int] = {}
        self._read: dict[Path, AskedRecords] = {}
        self._top = Path(os.path.commonpath([source.absolute().parent for source in choices.sources]))

    def named(self, path: Path) -> str:
        """Return a source's name in notes, which begins below the folder that holds all sources."""
        return str(path.absolute().relative_to(self._top)) if self._top in path.absolute().parents else path.name

    def records(self, path: Path) -> Records:
        """Read a source whose records must all have labels. Raises `DataError`."""
        found = self.asked(path)
        if found.labels is None:
            raise DataError(f"{path}: expected labels, found none: {self._label_words()}")
        return Records(found.images, found.labels)

    def asked(self, path: Path) -> AskedRecords:
        """Read a source whose records may have no labels. Raises `DataError`."""
        if path not in self._read:
            images, labels = self._source(path)
            if not len(images):
                raise DataError(f"{path}: expected at least one record, found none")
            if not np.isfinite(images).all() or images.min() < 0 or images.max() > 1:
                raise DataError(f"{path}: expected inputs in 0..1, found {images.min():g}..{images.max():g}")
            self._read[path] = AskedRecords(images.astype(np.float32), labels)
        return self._read[path]

    def _source(self, path: Path) -> tuple[NDArray[Any], Labels | None]:
        if self._load is not None:
            return self._loaded(path)
        if self._choices.image is None:
            return self._table(path)
        if path.is_dir():
            return self._folder(path)
        return self._images(path)

    def _label_words(self) -> str:
        choices = self._choices
        if choices.image is not None and not choices.labels:
            return "a folder for each class, or an array of labels"
        columns = choices.labels or (choices.label or "labels",)
        return f"expected {'columns' if len(columns) > 1 else 'the column'} {', '.join(columns)}"

    # -- tables ------------------------------------------------------------------------------------------------------

    def _table(self, path: Path) -> tuple[NDArray[Any], Labels | None]:
        choices, counts = self._choices, Counts()
        labels = choices.labels or (str(choices.label),)
        table = read_table(path, [*choices.features, *labels], choices.delimiter)
        inputs = sum(len(choices.categories.get(column, " ")) for column in choices.features)
        if table.rows * inputs * _INPUT_BYTES > LARGEST:
            raise DataError(
                f"{path}: expected inputs of at most {LARGEST} bytes, found {table.rows} rows of {inputs}: take a "
                "sample"
            )
        planes = [self._inputs(table, column, counts) for column in choices.features]
        if table.others:
            self.left_out[path] = len(table.others)
        self.notes += [f"{self.named(path)}: {note}" for note in table.notes]
        self._tell(path, counts)
        return np.concatenate(planes, axis=1)[:, None, None], self._labels(table)

    def _inputs(self, table: Table, column: str, counts: Counts) -> Images:
        """Return the inputs that a feature becomes, ``(n, inputs)``."""
        choices = self._choices
        if column not in choices.categories:
            values = self._numbers(table, column, counts)
            scale = choices.scale_of(column)
            if _computed_from(values, scale):
                counts.equal.append(column)
            ranged = cells.scaled(table.path, column, values, scale.bounds, scale.outside, counts)
            return ranged.astype(np.float32)[:, None]
        values_of = choices.categories[column]
        found = cells.filled(table, column, choices.missing, f"one of {', '.join(map(str, values_of))}", counts)
        places = cells.one_of(table, column, found, values_of)
        inputs: Images = np.eye(len(values_of), dtype=np.float32)[places]
        return inputs

    def _numbers(self, table: Table, column: str, counts: Counts) -> Numbers:
        values = cells.plain_numbers(table.column(column, "a feature")) if table.is_text else None
        if values is None:
            found = cells.filled(table, column, self._choices.missing, "a number", counts)
            values = cells.numbers(table, column, found)
        return values

    def _labels(self, table: Table) -> Labels | None:
        """Return the labels, or None where no record has any."""
        choices = self._choices
        names = choices.labels or (str(choices.label),)
        there = [name for name in names if name in table.columns]
        without = {name: cells.absent(table.columns[name]) for name in there}
        if all(gone.all() for gone in without.values()):
            return None
        for name in names:
            gone = cells.absent(table.column(name, "a label"))
            if gone.any():
                row = int(gone.argmax())
                raise cells.refusal(
                    table, row, name, "a label", table.columns[name][row],
                    f", as in {int(gone.sum())} of {table.rows} rows: all rows have labels, or none has",
                )  # fmt: skip
        if choices.labels:
            return np.stack([cells.bits(table, name) for name in names], axis=1)
        return cells.one_of(table, names[0], table.columns[names[0]], choices.classes)

    def _tell(self, path: Path, counts: Counts) -> None:
        for words, by_column in (
            ("numbers were cut to the stated scale", counts.cut),
            ("were filled in", counts.filled),
        ):
            if by_column:
                what = f"{sum(by_column.values())} {words} in {len(by_column)} columns"
                self.notes.append(f"{self.named(path)}: {what}")
        if counts.equal:
            self.notes.append(
                f"scale: the constants of {len(counts.equal)} of {len(self._choices.numbers)} columns equal what "
                f"{self.named(path)} holds. Constants that were computed from private records reveal something of them "
                "to all parties"
            )

    # -- images and arrays -------------------------------------------------------------------------------------------

    def _folder(self, path: Path) -> tuple[NDArray[Any], Labels | None]:
        choices = self._choices
        assert choices.image is not None  # noqa: S101  (`_source`)
        if choices.labels:
            raise DataError(f"{path}: expected an NPZ file, whose images may have several labels, found a folder")
        images, labels, counts = pictures.read_folder(path, choices.image, choices.classes)
        self.notes += [f"{self.named(path)}: {count} {what}" for what, count in counts.items()]
        return self._ranged(path, images), labels

    def _images(self, path: Path) -> tuple[NDArray[Any], Labels | None]:
        choices = self._choices
        assert choices.image is not None  # noqa: S101  (`_source`)
        name = choices.label or "labels"
        images, labels = pictures.read_images(path, choices.image, name, choices.scale is not None)
        images = self._ranged(path, images)
        if labels is None:
            return images, None
        if len(labels) != len(images):
            raise DataError(f"{path}: expected labels for {len(images)} images, found {len(labels)}")
        if not choices.labels:
            if labels.ndim != 1:
                raise DataError(f"{path}, array {name!r}: expected labels (n,), found shape {labels.shape}")
            return images, cells.one_of(_arrays(path, {name: labels}), name, labels, choices.classes)
        if labels.shape != (len(images), len(choices.labels)):
            expected = f"(n, {len(choices.labels)})"
            raise DataError(f"{path}, array {name!r}: expected labels {expected}, found shape {labels.shape}")
        table = _arrays(path, dict(zip(choices.labels, labels.T, strict=True)))
        return images, np.stack([cells.bits(table, column) for column in choices.labels], axis=1)

    def _ranged(self, path: Path, images: NDArray[Any]) -> NDArray[Any]:
        scale = self._choices.scale
        if scale is None:
            return images
        assert not isinstance(scale, tuple | dict)  # noqa: S101  (`DataChoices`)
        counts = Counts()
        ranged = cells.scaled(path, _PIXELS, images.astype(np.float64), scale.bounds, scale.outside, counts)
        self._tell(path, counts)
        return ranged

    def _loaded(self, path: Path) -> tuple[NDArray[Any], Labels | None]:
        assert self._load is not None  # noqa: S101  (`_source`)
        loaded, outputs = self._load(path), self._choices.outputs
        inputs, labels = loaded["inputs"], loaded["labels"]
        assert inputs is not None  # noqa: S101  (the loader is checked)
        if inputs.ndim not in (2, 4):
            raise DataError(
                f"{path}: expected inputs (n, values) or (n, channels, height, width) of the loader, found "
                f"{inputs.shape}"
            )
        images = inputs[:, None, None] if inputs.ndim == 2 else inputs
        stated = self._choices.image_shape
        if stated is not None and images.shape[1:] != stated:
            raise DataError(
                f"{path}: expected records of the stated shape {list(self._choices.shape or ())} of the loader, found "
                f"{list(inputs.shape[1:])}"
            )
        if labels is None:
            return images, None
        whole = labels.astype(np.int64)
        shape, most = ((len(inputs), outputs), 1) if self._choices.labels else ((len(inputs),), outputs - 1)
        if labels.shape != shape or (whole != labels).any() or whole.min() < 0 or whole.max() > most:
            raise DataError(
                f"{path}: expected labels {shape} in 0..{most} of the loader, found {labels.shape} in "
                f"{labels.min()}..{labels.max()}"
            )
        return images, whole


def _computed_from(values: Numbers, scale: Scale) -> bool:
    """Tell whether the constants of a scale are the smallest and largest of these numbers, or their mean."""
    pairs = [(scale.minimum, values.min()), (scale.maximum, values.max())]
    if scale.mean is not None:
        pairs = [(scale.mean, values.mean())]
    return all(stated is not None and bool(np.isclose(stated, own, _EQUAL, 0)) for stated, own in pairs)


def _arrays(path: Path, columns: dict[str, NDArray[Any]]) -> Table:
    return Table(path, len(next(iter(columns.values()))), columns, (), is_text=False)
