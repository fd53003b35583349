"""Tables in files, with their columns by name, and nothing in them converted yet.

- CSV, in UTF-8 with or without a byte order mark, plain or gzipped. Every cell is text. A row of another length, a
  quote that is not closed or has text behind it, two columns of the same name and a file without a header are refused.
  pyarrow reads it. Where there are quotes, another reader counts the rows. An empty line is no row, and those between
  rows are counted, unless there is one column. Then it is a cell without a value.
- Parquet. Cells keep their types.
- NPZ, with an array ``(n,)`` for each column. Nothing is unpickled.

A file may have 1 GiB, unpacked too, and its inputs may take as much in memory. Rows are counted from 1, below the
header.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.learning.own.extras import library
from parties.learning.own.quoting import MARK, Lines, lines_of
from parties.learning.records import DataError

LARGEST = 1 << 30
"""Bytes of a file, and of what is read of it."""

CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")
TABLES = (*CSV, ".parquet", ".npz")

_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_VALUE = re.compile(r"\s*[-+]?[.,]?[0-9][0-9.,:/eE+TZ' -]*\s*")  # a number, a date, a time
_RAGGED = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")


@dataclass(frozen=True)
class Table:
    """Columns of a file. Each is an array ``(rows,)`` of one of numpy's types, or of objects: text, None and others.

    `is_text` says that every cell is text, as in a CSV file, where an empty one stands for no value. `lines` says what
    else the lines of a CSV file are.
    """

    path: Path
    rows: int
    columns: Mapping[str, NDArray[Any]]
    others: tuple[str, ...]
    is_text: bool
    lines: Lines = field(default_factory=Lines)

    def __repr__(self) -> str:
        return f"Table({self.path.name}, rows={self.rows}, columns={len(self.columns)})"

    @property
    def notes(self) -> tuple[str, ...]:
        """What may be a mistake in the file, in sentences for its owner, with counts and no value."""
        lines, found = self.lines, []
        if lines.spread:
            found.append(
                f"{lines.spread} of {self.rows} rows go over several lines, as quotes say: a stray quote would hide "
                "rows so"
            )
        if lines.empty:
            found.append(
                f"{lines.empty} empty line{'s' * (lines.empty > 1)} between rows, the first in line "
                f"{lines.first_empty}, {'are' if lines.empty > 1 else 'is'} skipped: is a row missing there?"
            )
        return tuple(found)

    def column(self, name: str, purpose: str, lists_others: bool = True) -> NDArray[Any]:
        """Return a column. Raises `DataError` where there is none of this name.

        Args:
            lists_others: whether the error may name the columns that are there. Where a file has no header, they are
                the first record's values. Names that look so are never listed.
        """
        if name in self.columns:
            return self.columns[name]
        there = [*self.columns, *self.others]
        if lists_others and not (self.is_text and any(map(_VALUE.fullmatch, there))):
            raise _no_column(self.path, name, purpose, there)
        spelled = next((one for one in there if _letters(one) == _letters(name)), None)
        hint = f"did you mean {spelled!r}?" if spelled else "does the first line name the columns?"
        raise DataError(
            f"{self.path}: expected a column {name!r} for {purpose}, found none among {len(there)} columns: {hint}"
        )


class _Columns(Mapping[str, NDArray[Any]]):
    """Columns as pyarrow holds them, which is compact. Each becomes an array when it is asked for, and is not kept."""

    def __init__(self, table: Any, names: list[str]) -> None:
        self._table = table
        self._names = names

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        return _cells(self._table.column(name))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def read_table(path: Path, wanted: Iterable[str] | None, delimiter: str = ",") -> Table:
    """Read the wanted columns of a file, or all of them. Columns that the file does not have are left out.

    Raises:
        DataError: the file is no table, or too large. The message names the file, and the row where there is one.
    """
    name = path.name.lower()
    check_size(path)
    if name.endswith(CSV):
        return _read_csv(path, wanted, delimiter)
    if name.endswith(".parquet"):
        return _read_parquet(path, wanted)
    if name.endswith(".npz"):
        arrays = read_arrays(path, wanted)
        return _table(path, arrays, _length(arrays, path), array_names(path), is_text=False)
    raise DataError(f"{path}: expected a file of {', '.join(TABLES)}, or a folder of images, found another name")


def check_size(path: Path) -> None:
    """Raise `DataError` for a path that is no file, or a file that is too large."""
    if not path.is_file():
        raise DataError(f"{path}: expected a file, found {'a folder' if path.is_dir() else 'nothing'}")
    if (size := path.stat().st_size) > LARGEST:
        raise DataError(f"{path}: expected at most {LARGEST} bytes, found {size}: take a sample, or use a loader")
    if size == 0:
        raise DataError(f"{path}: expected a table, found an empty file")


def _too_large(path: Path, size: int) -> DataError:
    return DataError(
        f"{path}: expected at most {LARGEST} bytes in memory, found {size}: take a sample or fewer columns, or use a "
        "loader"
    )


def _table(path: Path, columns: Mapping[str, NDArray[Any]], rows: int, names: list[str], is_text: bool) -> Table:
    if columns and not rows:
        raise DataError(f"{path}: expected at least one row below the header, found none")
    return Table(path, rows, columns, tuple(name for name in names if name not in columns), is_text)


def _chosen(path: Path, names: list[str], wanted: Iterable[str] | None) -> list[str]:
    """Return the wanted ones of a file's columns. Raises `DataError` for two columns of the same name.

    The error has a name that was wanted. Another one may be a value, where a file has no header.
    """
    chosen = names if wanted is None else [name for name in dict.fromkeys(wanted) if name in names]
    first = dict[str, int]()
    for place, name in enumerate(names, 1):
        if name in first:
            is_wanted = wanted is not None and name in chosen
            hint = f", {name!r}" if is_wanted else ": does the first line name the columns?"
            raise DataError(
                f"{path}: expected columns of different names, found the same for columns {first[name]} and {place}"
                f"{hint}"
            )
        first[name] = place
    return chosen


# -- CSV -------------------------------------------------------------------------------------------------------------


def _read_csv(path: Path, wanted: Iterable[str] | None, delimiter: str) -> Table:
    content = _content(path)
    wanted = None if wanted is None else list(wanted)
    names = _header(path, content, delimiter)
    _check_delimiter(path, names, wanted, delimiter)
    is_single = len(names) == 1
    lines = lines_of(path, content, delimiter, blank_lines=is_single)
    if is_single:
        content = content.removeprefix(MARK).lstrip(b"\r\n")  # empty lines above the header are no header
    chosen = _chosen(path, names, wanted)
    arrow_csv, arrow = library("pyarrow.csv"), library("pyarrow")
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(content),
            read_options=arrow_csv.ReadOptions(use_threads=False),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=not is_single
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=chosen or names[:1],
                column_types=dict.fromkeys(names, arrow.string()),
                strings_can_be_null=False,
            ),
        )
    except arrow.ArrowException as error:
        raise DataError(f"{path}{_csv_mistake(str(error))}") from None  # the message holds a row
    rows = table.num_rows if lines.rows is None else lines.rows
    if rows != table.num_rows:
        raise DataError(f"{path}: expected rows that two readers tell apart alike, found {rows} and {table.num_rows}")
    if table.nbytes > LARGEST:
        raise _too_large(path, table.nbytes)
    return replace(_table(path, _Columns(table, chosen), rows, names, is_text=True), lines=lines)


def _content(path: Path) -> bytes:
    """Return the bytes of a file, unpacked if it is gzipped."""
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: expected a whole gzip file, found another ({error})") from error
    if len(content) > LARGEST:
        raise _too_large(path, len(content))
    return content


def _header(path: Path, content: bytes, delimiter: str) -> list[str]:
    try:
        with io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="") as text:
            names = next((row for row in csv.reader(text, delimiter=delimiter) if row), [])
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected text in UTF-8, found other bytes (Latin-1, or UTF-16?)") from error
    except csv.Error as error:
        raise DataError(f"{path}: expected a header of columns, found {error}") from error
    if not any(names):
        raise DataError(f"{path}: expected a header with the names of the columns, found none")
    return names


def _check_delimiter(path: Path, names: list[str], wanted: list[str] | None, delimiter: str) -> None:
    """Raise `DataError` where a single column hides several, which another delimiter would separate."""
    if len(names) > 1 or (wanted is not None and names[0] in wanted):
        return
    found = next((other for other in _DELIMITERS if other != delimiter and other in names[0]), None)
    if found is not None:
        raise DataError(
            f"{path}: expected columns separated by {_DELIMITERS.get(delimiter, repr(delimiter))}, found "
            f"{_DELIMITERS[found]} in the header: set delimiter to {found!r} under `data:`"
        )


def _csv_mistake(message: str) -> str:
    """Return what pyarrow found, without the row's own text."""
    if ragged := _RAGGED.search(message):
        row, expected, found = map(int, ragged.groups())
        return f", row {row - 1}: expected {expected} cells, found {found} (a delimiter or a quote in the text?)"
    if "invalid UTF8" in message:
        return ": expected text in UTF-8, found other bytes (Latin-1, or UTF-16?)"
    return ": expected a CSV file, found a mistake in it"


# -- Parquet and NPZ -------------------------------------------------------------------------------------------------


def _read_parquet(path: Path, wanted: Iterable[str] | None) -> Table:
    parquet, arrow = library("pyarrow.parquet"), library("pyarrow")
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            chosen = _chosen(path, names, wanted)
            announced = file.metadata.num_rows * max(1, len(chosen))
            if announced > LARGEST // 4:
                raise _too_large(path, 4 * announced)
            table = file.read(columns=chosen)
    except (arrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: expected a Parquet file, found another ({type(error).__name__})") from error
    for name in chosen:
        _check_kind(path, name, table.schema.field(name).type)
    return _table(path, _Columns(table, chosen), table.num_rows, names, is_text=False)


def _cells(column: Any) -> NDArray[Any]:
    """Return the cells of a column. Where one has no value, they are objects, so that whole numbers stay whole.

    Floats keep their type, which says how they are written. There NaN stands for no value.
    """
    types = library("pyarrow.types")
    if types.is_dictionary(column.type) and types.is_floating(column.type.value_type):
        column = column.cast(column.type.value_type)
    if column.null_count and not types.is_floating(column.type):
        cells: NDArray[Any] = np.array([*column.to_pylist(), None], object)[:-1]
        return cells
    return np.asarray(column.to_numpy())


def _check_kind(path: Path, name: str, kind: Any) -> None:
    types = library("pyarrow.types")
    known = ("integer", "floating", "boolean", "string", "large_string", "dictionary", "decimal")
    if not any(getattr(types, f"is_{name}")(kind) for name in known):
        raise DataError(f"{path}, column {name!r}: expected numbers, text or booleans, found {kind}")


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays in an NPZ file. Raises `DataError` for another file, or one that is too large."""
    check_size(path)
    try:
        with zipfile.ZipFile(path) as file:
            entries = file.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: expected an NPZ file, found another") from error
    if (size := sum(entry.file_size for entry in entries)) > LARGEST:
        raise _too_large(path, size)
    return [entry.filename.removesuffix(".npy") for entry in entries]


def read_arrays(path: Path, wanted: Iterable[str] | None) -> dict[str, NDArray[Any]]:
    """Return the arrays of an NPZ file by name, the wanted ones that are there or all."""
    chosen = _chosen(path, array_names(path), wanted)
    arrays = {}
    for name in chosen:
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays[name] = file[name]
        except ValueError as error:
            objects = "Object arrays" in str(error)
            found = "Python objects, which are not unpickled" if objects else "another thing"
            raise DataError(f"{path}, array {name!r}: expected numbers, text or booleans, found {found}") from None
        except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path}, array {name!r}: expected a whole array, found a damaged one") from error
        if arrays[name].dtype.kind not in "biufU":
            raise DataError(
                f"{path}, array {name!r}: expected numbers, text or booleans, found type {arrays[name].dtype}"
            )
    return arrays


def _length(arrays: dict[str, NDArray[Any]], path: Path) -> int:
    """Return the length that all columns have. Raises `DataError` where they differ, or are no columns."""
    for name, array in arrays.items():
        if array.ndim != 1:
            raise DataError(f"{path}, array {name!r}: expected a column (n,), found shape {array.shape}")
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1:
        raise DataError(f"{path}: expected columns of one length, found {sorted(lengths)}")
    return lengths.pop() if lengths else 0


def _letters(name: str) -> str:
    """Return a name without what people spell differently."""
    return re.sub(r"[\s_-]+", "", name).lower()


def _no_column(path: Path, name: str, purpose: str, there: list[str]) -> DataError:
    near = get_close_matches(name, there, 1, 0.7)
    listed = ", ".join(there[:10]) + (f" and {len(there) - 10} more" if len(there) > 10 else "")
    hint = f", did you mean {near[0]!r}?" if near else ""
    return DataError(f"{path}: expected a column {name!r} for {purpose}, found none among {listed}{hint}")
