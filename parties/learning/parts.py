"""A dataset and its parts, one for each data owner, and what each querying party asks about.

There are two kinds. The records of a :class:`PooledDataset` come from one place and are split among the owners. In an
:class:`OwnersDataset` every owner has records of its own. Both give the same :class:`SplitData`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parties.frame.errors import ConfigError
from parties.learning.labels import Labelling, kind_of
from parties.learning.records import AskedRecords, Records
from parties.learning.split import set_aside, split


@dataclass(frozen=True)
class PartsChoices:
    """The choices that parts depend on.

    Attributes:
        owners: the number of data owners.
        askers: the numbers of those that ask.
        seed, method, missing_classes: of the split, see :func:`parties.learning.split.split`.
        campaign: whether askers choose from unlabelled records. Otherwise they ask about given ones, in their order.
        set_aside: how many records of a pool are unlabelled, where no file says which.
        first: the first given record.
        count: the number of given records, or None for all from `first` on.
    """

    owners: int
    askers: tuple[int, ...]
    seed: int
    method: str
    missing_classes: int
    campaign: bool
    set_aside: int
    first: int
    count: int | None


@dataclass(frozen=True)
class AskedData:
    """What one querying party asks about, or chooses from in a campaign, and what its models are measured on."""

    records: AskedRecords
    held_out: Records | None


@dataclass(frozen=True)
class SplitData:
    """The dataset in parts.

    Attributes:
        owned: the records of each data owner.
        asked: of each querying party, by its number as a data owner.
        names: the owners' names, which are empty where an owner has none.
    """

    owned: list[Records]
    asked: dict[int, AskedData]
    names: list[str]


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """Records, and what is public about them.

    Attributes:
        name: for sentences about it.
        classes: the number of classes, or of the labels that `label_names` has.
        label_names: the names of the labels, where a record has several.
        class_values: the values that stand for the classes, or nothing where those are numbers.
        agreed: what all parties must agree on about the records, in plain values.
        notes: sentences about the records for the person who starts a run. They hold counts, and no value of a record.
    """

    name: str
    classes: int
    label_names: tuple[str, ...] = ()
    class_values: tuple[bool | int | str, ...] = ()
    agreed: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``."""

    @property
    @abstractmethod
    def labelling(self) -> Labelling:
        """Whether records have a class or several labels."""

    @abstractmethod
    def parts(self, choices: PartsChoices) -> SplitData:
        """Return the parts. Which owners ask changes nothing about what each owns. Raises `ConfigError`."""


@dataclass(frozen=True, kw_only=True)
class PooledDataset(Dataset):
    """A pool to split among the data owners, a test set, and records to ask about where a file says which.

    Without such a file the given queries are those of the test set.
    """

    pool: Records
    test: Records | None
    unlabelled: AskedRecords | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return _shape(self.pool)

    @property
    def labelling(self) -> Labelling:
        return kind_of(self.pool.labels).name

    def queries(self, first: int, count: int | None) -> AskedRecords:
        """Return the given records ``first .. first+count-1``. Raises `ConfigError` where there are not so many."""
        given = self.test if self.unlabelled is None else self.unlabelled
        if given is None:
            raise ConfigError(
                "data: expected `unlabelled` or `held_out`, whose records are asked about, or a command with "
                "`--queries`, found none"
            )
        last = len(given) if count is None else first + count
        if last > len(given) or first >= last:
            raise ConfigError(
                f"queries {first}..{last - 1} asked for, but the {self.name} test set has images "
                f"0..{len(given) - 1}: choose a smaller first_query or n_queries"
            )
        return given.take(slice(first, last))

    def parts(self, choices: PartsChoices) -> SplitData:
        pool = self.pool
        if not choices.campaign:
            asked = AskedData(self.queries(choices.first, choices.count), None)
        elif self.unlabelled is not None:
            asked = AskedData(self.unlabelled, self.test)
        else:
            aside, rest = set_aside(pool.labels, choices.set_aside, choices.seed)
            asked = AskedData(pool.take(aside), self.test)
            pool = pool.take(rest)
        parts = split(pool.labels, choices.owners, choices.seed, choices.method, choices.missing_classes)
        return SplitData(
            [pool.take(part) for part in parts], dict.fromkeys(choices.askers, asked), [""] * choices.owners
        )


@dataclass(frozen=True)
class Holding:
    """What one data owner brings."""

    name: str
    records: Records
    unlabelled: AskedRecords | None
    held_out: Records | None


@dataclass(frozen=True, kw_only=True)
class OwnersDataset(Dataset):
    """The holdings of all data owners, in the order of their numbers."""

    holdings: tuple[Holding, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return _shape(self.holdings[0].records)

    @property
    def labelling(self) -> Labelling:
        return kind_of(self.holdings[0].records.labels).name

    def parts(self, choices: PartsChoices) -> SplitData:
        if choices.missing_classes:
            raise ConfigError("missing_classes: expected 0 where every data owner has its own records, found some")
        return SplitData(
            [holding.records for holding in self.holdings],
            {asker: _asked(self.holdings[asker], asker, choices) for asker in choices.askers},
            [holding.name for holding in self.holdings],
        )


def _asked(holding: Holding, asker: int, choices: PartsChoices) -> AskedData:
    who = f"data owner {asker}" + (f" ({holding.name})" if holding.name else "")
    if choices.campaign:
        if holding.unlabelled is None:
            raise ConfigError(f"data: expected `unlabelled` of {who}, which asks, found none")
        return AskedData(holding.unlabelled, holding.held_out)
    given = holding.held_out if holding.unlabelled is None else holding.unlabelled
    if given is None:
        raise ConfigError(
            f"data: expected `unlabelled` or `held_out` of {who}, which asks, or a command with `--queries`, found none"
        )
    if choices.first >= len(given):
        raise ConfigError(
            f"first_query: expected one of the {len(given)} records of {who}, from 0 on, found {choices.first}"
        )
    last = None if choices.count is None else choices.first + choices.count
    return AskedData(given.take(slice(choices.first, last)), None)


def _shape(records: Records) -> tuple[int, int, int]:
    channels, height, width = records.images.shape[1:]
    return channels, height, width
