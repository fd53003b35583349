"""What the parties of a federation say about their records: the public preprocessing, and where the records lie.

The public part is agreed by all, and goes into what the parties compare before they begin. It names columns, classes
and constants, and holds nothing of a record. The other part is paths. They are relative to the configuration's file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    field_validator,
    model_validator,
)

from parties.frame.plan import PathInFile
from parties.learning.model_files.choices import ModelFile


def _class_value(value: Any) -> bool | int | str:
    if isinstance(value, bool | int | str):
        return value
    raise ValueError(f"expected text, a whole number, or true or false, found {value!r}")


ClassValue = Annotated[bool | int | str, PlainValidator(_class_value)]
"""The value of a class in the label column. Bool comes before int, because Python takes true for 1."""

ABSENT = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"})
"""The texts in a file that say that there is no value."""

Outside = Literal["cut", "refuse"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Scale(_Strict):
    """The public constants that take a number to 0..1. There is a minimum and a maximum, or a mean and a deviation.

    With a mean, the number of deviations from it is cut at `clip` on both sides and moved to 0..1.

    Attributes:
        outside: whether a number beyond minimum and maximum is cut, which is counted, or refused.
        source: `private` marks constants that were computed from private records, of which they reveal something.
    """

    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    deviation: Annotated[float, Field(gt=0)] | None = None
    clip: Annotated[float, Field(gt=0)] = 4.0
    outside: Outside = "cut"
    source: Literal["public", "private"] = Field("public", alias="from")

    @model_validator(mode="after")
    def _one_of_two(self) -> Scale:
        given = {name for name in ("minimum", "maximum", "mean", "deviation") if getattr(self, name) is not None}
        if given not in ({"minimum", "maximum"}, {"mean", "deviation"}):
            raise ValueError(
                f"expected minimum and maximum, or mean and deviation, found {' and '.join(sorted(given)) or 'none'}"
            )
        if self.minimum is not None and self.maximum is not None and not self.minimum < self.maximum:
            raise ValueError(f"expected a minimum below the maximum, found {self.minimum:g} and {self.maximum:g}")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The numbers that become 0 and 1."""
        if self.minimum is not None and self.maximum is not None:
            return self.minimum, self.maximum
        assert self.mean is not None  # noqa: S101  (`_one_of_two`)
        assert self.deviation is not None  # noqa: S101
        reach = self.clip * self.deviation
        return self.mean - reach, self.mean + reach


Scales = Scale | tuple[Scale, ...] | dict[str, Scale] | None


def _scales(value: Any) -> Scales:
    """Return one scale for all, a list in the order of the numbers, or a mapping by column."""
    if value is None or isinstance(value, Scale):
        return value
    if isinstance(value, list | tuple):
        return tuple(_scale(one, f"number {place}: ") for place, one in enumerate(value, 1))
    if isinstance(value, dict) and value and all(isinstance(one, dict | Scale) for one in value.values()):
        return {name: _scale(one, f"{name}: ") for name, one in value.items()}
    return _scale(value, "")


def _missing(value: Any) -> Any:
    """Return `refuse`, or by column the constant that stands in."""
    if value == "refuse":
        return value
    if not isinstance(value, dict):
        raise ValueError(f"expected refuse, or columns and what stands in for a value, found {value!r}")
    for column, constant in value.items():
        if not isinstance(constant, bool | int | float | str):
            raise ValueError(f"{column}: expected a number, text, or true or false, found {constant!r}")
    return value


def _plain(scales: Scales) -> Any:
    if isinstance(scales, dict):
        return {name: _plain(one) for name, one in scales.items()}
    if isinstance(scales, tuple):
        return [_plain(one) for one in scales]
    return None if scales is None else scales.model_dump(mode="json", by_alias=True)


def _scale(value: Any, where: str) -> Scale:
    if isinstance(value, Scale):
        return value
    known = ", ".join(field.alias or name for name, field in Scale.model_fields.items())
    if not isinstance(value, dict):
        raise ValueError(f"{where}expected some of {known}, found {value!r}")
    for key, number in value.items():
        if key not in {field.alias or name for name, field in Scale.model_fields.items()}:
            raise ValueError(f"{where}expected some of {known}, found {key}")
        if key not in ("outside", "from") and (isinstance(number, bool) or not isinstance(number, int | float)):
            raise ValueError(f"{where}{key}: expected a number, found {number!r}")
    try:
        return Scale.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = "".join(f"{part}: " for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        if not words.startswith("expected"):
            words = f"expected a number {words}, found {first['input']!r}"
        raise ValueError(f"{where}{key}{words}") from None


class ImageChoices(_Strict):
    """The images that a network gets.

    Attributes:
        size: height and width in pixels.
        colour: grey has one channel, rgb three.
        resize: whether an image of another size is resized, bilinearly. Otherwise it is refused.
    """

    size: tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]]
    colour: Literal["grey", "rgb"] = "grey"
    resize: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``."""
        return (1 if self.colour == "grey" else 3, *self.size)


Source = Annotated[Path, PathInFile]


class PartyFiles(_Strict):
    """The files of one data owner.

    Attributes:
        records: what its model is trained on, with labels. Whoever only asks, about given records, needs none.
        unlabelled: what it asks about. A label there is the truth, which only the report shows.
        held_out: what its models are measured on, with labels.
        model: the party's own model, or the architecture that it trains. Without one `models` say it.
        name: of its account. Without one the account follows the owner's number.
    """

    records: Source | None = None
    unlabelled: Source | None = None
    held_out: Source | None = None
    model: str | ModelFile | None = None
    name: str | None = None

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every source that the owner has."""
        return tuple(source for source in (self.records, self.unlabelled, self.held_out) if source is not None)

    @field_validator("name")
    @classmethod
    def _usable_as_a_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"(?!party-)[A-Za-z0-9][A-Za-z0-9_-]{,39}", name):
            raise ValueError(
                "expected 1 to 40 letters, digits, `_` or, not first, `-`, and not `party-` at its start, which is for "
                f"owners without a name, found {name!r}"
            )
        return name


class DataChoices(_Strict):
    """Own records: what is public about them, and the files or the function that they come from.

    Attributes:
        features: the columns of a table that the network gets, by name, in this order. There are none for images.
        label: the column with a record's class.
        labels: several columns of 0 and 1 instead, each for a label.
        classes: the values in the label column, in the order of the classes.
        scale: the constants that take the numbers of each column to 0..1.
        categories: columns that hold one of a few values, and those values. Each value becomes an input of 0 or 1.
        missing: `refuse`, or by column what stands in for a value that is not there.
        image: the images that the network gets.
        delimiter: between the columns of a CSV file.
        id: the column that tells the records apart that are asked about, for the file of labels.
        records, held_out, unlabelled: one source for all. The records are split among the data owners.
        parties: each data owner's own files instead, in the order of the owners' numbers.
        loader: a function by import path, `package.module:function`, that reads every source instead of a file format.
        shape: of one record that the loader gives, ``(values,)`` or ``(channels, height, width)``. Without it the
            records say it, which whoever has none cannot know.
        loader_digest: SHA-256 of the loader's file in hex, for whoever has no loader. Everybody else's must have it.
        path: the folder that the loader's package is found in.
        options: what the loader gets besides the source.
    """

    features: tuple[str, ...] = ()
    label: str | None = None
    labels: tuple[str, ...] = ()
    classes: tuple[ClassValue, ...] = ()
    scale: Annotated[Scales, PlainValidator(_scales), PlainSerializer(_plain)] = None
    categories: dict[str, tuple[ClassValue, ...]] = {}
    missing: Annotated[Literal["refuse"] | dict[str, bool | int | float | str], PlainValidator(_missing)] = "refuse"
    image: ImageChoices | None = None
    delimiter: str = Field(",", min_length=1, max_length=1)
    id: str | None = None
    records: Source | None = None
    held_out: Source | None = None
    unlabelled: Source | None = None
    parties: tuple[PartyFiles, ...] = ()
    loader: str | None = Field(None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    shape: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    loader_digest: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    path: Source | None = None
    options: dict[str, Any] = {}

    @field_validator("features", "labels")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"expected every column once, found {name!r} twice")
        return names

    @field_validator("classes")
    @classmethod
    def _different(cls, classes: tuple[ClassValue, ...]) -> tuple[ClassValue, ...]:
        _refuse_alike(classes)
        if len(classes) == 1:
            raise ValueError("expected at least 2 of them, found 1")
        return classes

    @field_validator("shape")
    @classmethod
    def _of_a_record(cls, shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if shape is not None and len(shape) not in (1, 3):
            raise ValueError(f"expected [values] or [channels, height, width], found {list(shape)}")
        return shape

    @field_validator("categories")
    @classmethod
    def _several(cls, categories: dict[str, tuple[ClassValue, ...]]) -> dict[str, tuple[ClassValue, ...]]:
        for column, values in categories.items():
            if len(values) < 2:
                raise ValueError(f"{column}: expected at least 2 values, found {len(values)}")
            _refuse_alike(values, f"{column}: ")
            refuse_absent(values, f"{column}: ")
        return categories

    @model_validator(mode="after")
    def _whole(self) -> DataChoices:
        if bool(self.records) == bool(self.parties):
            found = "both" if self.records else "none"
            raise ValueError(f"expected `records` for all, or `parties` with the records of each, found {found}")
        if self.parties and (self.held_out or self.unlabelled):
            raise ValueError("expected held_out and unlabelled under each of the parties, found them for all")
        names = [files.name for files in self.parties if files.name]
        if len(self.parties) == 1:
            raise ValueError("parties: expected at least 2, one of which asks, found 1")
        if len(set(names)) < len(names):
            raise ValueError(f"parties: expected every name once, found {', '.join(sorted(names))}")
        if self.labels and (self.label or self.classes):
            raise ValueError("expected `label` with `classes`, or `labels`, found both")
        if not self.labels and not self.classes:
            raise ValueError("classes: expected the values of the label column in the order of the classes, found none")
        if len(self.labels) == 1:
            raise ValueError("labels: expected at least 2 columns, found 1")
        self._check_kind()
        return self

    def _check_kind(self) -> None:
        """Raise ValueError for keys that do not go with a loader, with images or with a table."""
        tabular = [key for key in ("features", "categories") if getattr(self, key)]
        tabular += ["missing"] if self.missing != "refuse" else []
        if self.loader is None:
            for key in ("path", "options", "shape", "loader_digest"):
                if getattr(self, key):
                    raise ValueError(f"{key}: expected only with a loader, found none")
        if self.loader and (
            found := tabular + [key for key in ("scale", "image", "label") if getattr(self, key) is not None]
        ):
            raise ValueError(f"{found[0]}: expected none with a loader, whose arrays are what the network gets")
        if self.image is not None and tabular:
            raise ValueError(f"{tabular[0]}: expected none with images, found some")
        if self.loader or self.image:
            if self.id is not None:
                raise ValueError("id: expected none without a table, found some")
            if isinstance(self.scale, tuple | dict):
                raise ValueError("scale: expected one for all pixels, found several")
            return
        self._check_table()

    def _check_table(self) -> None:
        if not self.features:
            raise ValueError("features: expected the columns that the network gets, or `image`, found neither")
        if self.label is None and not self.labels:
            raise ValueError("label: expected the column with the class, found none")
        refuse_absent(self.classes, "classes: ")
        for column in {self.label, *self.labels} - {None}:
            if column in self.features:
                raise ValueError(f"features: expected no label among them, found {column!r}")
        for key in ("categories", "missing"):
            value = getattr(self, key)
            for column in value if isinstance(value, dict) else ():
                if column not in self.features:
                    raise ValueError(f"{key}: expected columns that are among the features, found {column!r}")
        if not self.numbers:
            return
        if self.scale is None:
            raise ValueError(
                f"scale: expected the public constants that take {_listed(self.numbers)} to 0..1, found none: they are "
                "not computed from records, of which they would reveal something. `run_protocol.py describe --file "
                "FILE` shows the ranges of your own file, and what to write here"
            )
        if isinstance(self.scale, tuple) and len(self.scale) != len(self.numbers):
            raise ValueError(
                f"scale: expected {len(self.numbers)} of them, one for each feature without categories, "
                f"found {len(self.scale)}"
            )
        if isinstance(self.scale, dict) and self.scale.keys() != set(self.numbers):
            differing = sorted(self.scale.keys() ^ set(self.numbers))
            what = "none" if differing[0] in self.numbers else "one"
            raise ValueError(
                f"scale: expected one for each feature without categories, found {what} for {differing[0]!r}"
            )

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns of numbers, which are the features without categories."""
        return tuple(column for column in self.features if column not in self.categories)

    def scale_of(self, column: str) -> Scale:
        """Return the constants of a column of numbers."""
        scale = self.scale
        if isinstance(scale, dict):
            scale = scale[column]
        elif isinstance(scale, tuple):
            scale = scale[self.numbers.index(column)]
        assert scale is not None  # noqa: S101  (`_check_table`)
        return scale

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every source that there is."""
        own = [source for source in (self.records, self.held_out, self.unlabelled) if source is not None]
        return (*own, *(source for files in self.parties for source in files.sources))

    @property
    def outputs(self) -> int:
        """The number of classes or labels."""
        return len(self.labels or self.classes)

    def agreed(self) -> dict[str, Any]:
        """Return what the parties of a run must agree on, in plain values. It holds no path and no name of a party."""
        private = {"records", "held_out", "unlabelled", "parties", "path", "delimiter", "id"}
        stated_only = {name for name in ("shape", "loader_digest") if getattr(self, name) is None}
        return self.model_dump(mode="json", by_alias=True, exclude=private | stated_only)

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """``(channels, height, width)`` of a record, as far as it is stated. A row of values is ``(1, 1, values)``."""
        if self.image is not None:
            return self.image.shape
        if self.loader is None:
            return 1, 1, len(self.numbers) + sum(len(values) for values in self.categories.values())
        if self.shape is None:
            return None
        channels, height, width = self.shape if len(self.shape) == 3 else (1, 1, *self.shape)
        return channels, height, width


def _refuse_alike(values: tuple[ClassValue, ...], where: str = "") -> None:
    """Raise ValueError where two values cannot be told apart in a file of text."""
    seen: dict[str, ClassValue] = {}
    for value in values:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if text in seen:
            raise ValueError(
                f"{where}expected values that differ in a file of text, found {seen[text]!r} and {value!r}"
            )
        seen[text] = value


def refuse_absent(values: Iterable[ClassValue], where: str = "") -> None:
    """Raise ValueError for a value that stands for none in a file, so that no cell could have it."""
    for value in values:
        if isinstance(value, str) and value.strip() in ABSENT:
            raise ValueError(
                f"{where}expected values, found {value!r}, which says in a file that there is none: write another word "
                "there and here"
            )


def _listed(names: tuple[str, ...], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
