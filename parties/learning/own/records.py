"""A dataset from users' own sources, and what the person who starts a run should know of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from parties.learning.labels import kind_of
from parties.learning.own.choices import DataChoices, PartyFiles
from parties.learning.own.loader import loader_digest
from parties.learning.own.reading import Reader
from parties.learning.parts import Dataset, Holding, OwnersDataset, PooledDataset
from parties.learning.records import AskedRecords, DataError, Records, image_digests

_PRIVATE = (
    "scale: the constants are marked `from: private`. They were computed from private records, of which they reveal "
    "something to all parties. Agree on public constants instead"
)


def own_dataset(choices: DataChoices) -> Dataset:
    """Read all sources of a configuration. Raises `DataError` for the first that cannot be used.

    Who has no `records` gets none of the shape of what it asks about.
    """
    for owner, files in enumerate(choices.parties):
        if not files.sources:
            raise DataError(
                f"data: expected `records` of {files.name or f'data owner {owner}'}, or where it only asks "
                "`unlabelled`, `held_out` or a command with `--queries`, found none"
            )
    reader = Reader(choices)
    if choices.records is not None:
        pool = reader.records(choices.records)
        test = None if choices.held_out is None else reader.records(choices.held_out)
        unlabelled = None if choices.unlabelled is None else reader.asked(choices.unlabelled)
        sources = [_Owner(reader.named(choices.records), pool, unlabelled, test)]
    else:
        sources = [_of_party(reader, files, choices) for files in choices.parties]
    _check_shapes(sources)
    notes = (*reader.notes, *_left_out(reader), *_private(choices), *_overlaps(sources), *_classes(choices, sources))
    described = _Described(choices, {**choices.agreed(), **_of_loader(choices)}, notes)
    if choices.records is not None:
        return described.pooled(sources[0])
    return described.of_owners(sources)


@dataclass(frozen=True)
class _Described:
    """What is public, with the records of one source or of several."""

    choices: DataChoices
    agreed: dict[str, Any]
    notes: tuple[str, ...]

    def pooled(self, one: _Owner) -> PooledDataset:
        choices = self.choices
        return PooledDataset(
            name=one.name, classes=choices.outputs, label_names=choices.labels, class_values=choices.classes,
            agreed=self.agreed, notes=self.notes, pool=one.records, test=one.held_out, unlabelled=one.unlabelled,
        )  # fmt: skip

    def of_owners(self, owners: list[_Owner]) -> OwnersDataset:
        choices = self.choices
        holdings = tuple(
            Holding(files.name or "", one.records, one.unlabelled, one.held_out)
            for files, one in zip(choices.parties, owners, strict=True)
        )
        return OwnersDataset(
            name="of the parties' own", classes=choices.outputs, label_names=choices.labels,
            class_values=choices.classes, agreed=self.agreed, notes=self.notes, holdings=holdings,
        )  # fmt: skip


def _of_loader(choices: DataChoices) -> dict[str, Any]:
    return {"loader_digest": loader_digest(choices)} if choices.loader else {}


@dataclass(frozen=True)
class _Owner:
    name: str
    records: Records
    unlabelled: AskedRecords | None
    held_out: Records | None

    @property
    def asked(self) -> Iterable[tuple[str, AskedRecords]]:
        return [
            (key, found)
            for key, found in (("held_out", self.held_out), ("unlabelled", self.unlabelled))
            if found is not None
        ]


def _of_party(reader: Reader, files: PartyFiles, choices: DataChoices) -> _Owner:
    records = None if files.records is None else reader.records(files.records)
    unlabelled = None if files.unlabelled is None else reader.asked(files.unlabelled)
    held_out = None if files.held_out is None else reader.records(files.held_out)
    if records is None:
        asked = held_out if unlabelled is None else unlabelled
        assert asked is not None  # noqa: S101  (`own_dataset`)
        records = no_records(choices, asked.images.shape[1:])
    return _Owner(files.name or reader.named(files.sources[0]), records, unlabelled, held_out)


def no_records(choices: DataChoices, shape: tuple[int, ...]) -> Records:
    """Return no records, in a record's shape ``(channels, height, width)``."""
    labels = np.zeros((0, choices.outputs) if choices.labels else 0, np.int64)
    return Records(np.zeros((0, *shape), np.float32), labels)


def _check_shapes(owners: list[_Owner]) -> None:
    """Raise `DataError` where inputs have several shapes, which only a loader can give."""
    shapes = {part.images.shape[1:] for one in owners for part in (one.records, *(found for _, found in one.asked))}
    if len(shapes) > 1:
        raise DataError(f"data: expected inputs of one shape in all sources, found {sorted(shapes)}")


def _left_out(reader: Reader) -> Iterable[str]:
    if left_out := [(reader.named(path), count) for path, count in reader.left_out.items()]:
        files = [f"{count} in {name}" for name, count in left_out]
        yield f"columns that are not among the features are not used: {_some(files)}"


def _private(choices: DataChoices) -> Iterable[str]:
    scales = choices.scale
    every = scales.values() if isinstance(scales, dict) else scales if isinstance(scales, tuple) else [scales]
    if any(scale is not None and scale.source == "private" for scale in every):
        yield _PRIVATE


def _overlaps(owners: list[_Owner]) -> Iterable[str]:
    """Note records that are trained on and also asked about or measured on, which makes accuracy look better."""
    trained = [image_digests(owner.records.images) for owner in owners]
    everybody = set().union(*trained)
    for owner, trained_on in zip(owners, trained, strict=True):
        for key, records in owner.asked:
            marks = image_digests(records.images)
            shared, own = len(marks & everybody), len(marks & trained_on)
            if shared:
                yield (
                    f"{owner.name}: {shared} of the {len(marks)} different records in {key} are also among training "
                    f"records, {own} of them among its own, so that accuracy looks better than it is"
                )


def _classes(choices: DataChoices, owners: list[_Owner]) -> Iterable[str]:
    """Note classes, or labels, that an owner or everybody has no record of."""
    names, owners = choices.labels or tuple(map(str, choices.classes)), [one for one in owners if len(one.records)]
    if not owners:
        return
    counts = np.array([kind_of(one.records.labels).counts(one.records.labels, len(names)) for one in owners])
    word = "label" if choices.labels else "class"
    for name, total in zip(names, counts.sum(axis=0), strict=True):
        if total == 0:
            yield f"{word} {name}: nobody has a record of it, so that no answer can name it"
    lacking = [
        f"{one.name} of {int((row == 0).sum())}" for one, row in zip(owners, counts, strict=True) if (row == 0).any()
    ]
    if lacking and len(owners) > 1:
        yield f"data owners without a record of some {word}: {_some(lacking)}"


def _some(words: list[str], most: int = 5) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
