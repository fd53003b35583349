"""The cells of a table as numbers, as inputs of 0 or 1, and as classes. What cannot be one is refused by its place.

A number is written with a decimal point and in digits alone. A decimal comma, a separator of thousands, a date, and
something that is infinite or no number are refused. A class is compared as it is written. A class that is a number in
the configuration also matches that number written as `1.0`, as a tool writes it where a column once had empty cells.
It does not match `01`, which is a code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.learning.own.choices import ABSENT, ClassValue
from parties.learning.own.tables import Table
from parties.learning.records import DataError

Numbers = NDArray[np.float64]

_NUMBER = re.compile(r"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\s*")
_OTHER = re.compile(r"[^-+0-9.eE \n]")
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.0*)?")
_SHOWN = 40  # characters of a cell in a message
_LARGEST_WHOLE = 2**53  # beyond it a float skips whole numbers
_LABEL_BITS: dict[Any, int] = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


@dataclass
class Counts:
    """What was done to the cells of one file, as counts, which are all that is told of it.

    Attributes:
        cut, filled: by column, how many numbers lay beyond the scale, and how many cells had no value.
        equal: the columns whose constants are just what the file holds.
    """

    cut: dict[str, int] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)
    equal: list[str] = field(default_factory=list)


class CellError(DataError):
    """A cell that cannot be used.

    Attributes:
        place: file, row and column. expected: what was expected there. Both hold nothing of the cell.
    """

    def __init__(self, place: str, expected: str, found: str) -> None:
        super().__init__(f"{place}: expected {expected}, found {found}")
        self.place, self.expected = place, expected


def refusal(table: Table, row: int, column: str, expected: str, found: object, hint: str = "") -> CellError:
    """Return the error about a cell, with file, row (counted from 1), column, what was expected and what was found."""
    text = "nothing" if _is_absent(found) else repr(found.item() if isinstance(found, np.generic) else found)
    text = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
    return CellError(f"{table.path}, row {row + 1}, column {column!r}", expected, f"{text}{hint}")


def absent(cells: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which cells hold no value, ``(n,)``. They are empty, or undefined numbers."""
    if cells.dtype.kind == "f":
        return np.asarray(np.isnan(cells))
    if cells.dtype.kind in "biu":
        return np.zeros(len(cells), bool)
    return np.fromiter((_is_absent(cell) for cell in cells), bool, len(cells))


def _is_absent(cell: object) -> bool:
    if cell is None or (isinstance(cell, float | np.floating) and bool(np.isnan(cell))):
        return True
    return isinstance(cell, str) and cell.strip() in ABSENT


def filled(table: Table, column: str, missing: Any, expected: str, counts: Counts) -> NDArray[Any]:
    """Return a column of features in which the stated constant stands where there is no value."""
    cells = table.column(column, "a feature")
    gone = absent(cells)
    if not gone.any():
        return cells
    if missing == "refuse" or column not in missing:
        row = int(gone.argmax())
        raise refusal(
            table, row, column, expected, cells[row],
            f" in {int(gone.sum())} of {table.rows} rows: state what stands in for it under `missing:`",
        )  # fmt: skip
    counts.filled[column] = int(gone.sum())
    whole = cells.astype(object)
    whole[gone] = missing[column]
    return whole


def plain_numbers(cells: NDArray[Any]) -> Numbers | None:
    """Convert a column of a CSV file at once, where every cell is a number. Returns None otherwise.

    Of the texts that Python takes for a number, those with other characters than these are no numbers here.
    """
    if _OTHER.search("\n".join(cells)):
        return None
    try:
        values = cells.astype(np.float64)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def numbers(table: Table, column: str, cells: NDArray[Any]) -> Numbers:
    """Convert cells to numbers. Raises `DataError` with the first that is none, or is not finite."""
    if cells.dtype.kind == "b":
        raise refusal(table, 0, column, "a number", cells[0], ": list the column under `categories:`")
    if cells.dtype.kind in "iu" and (beyond := (cells > _LARGEST_WHOLE) | (cells < -_LARGEST_WHOLE)).any():
        row = int(beyond.argmax())
        raise refusal(table, row, column, "a whole number of at most 2^53", cells[row])
    if cells.dtype.kind in "iuf":
        values = cells.astype(np.float64)
    else:
        values = np.fromiter((_number(table, row, column, cell) for row, cell in enumerate(cells)), float, len(cells))
    finite = np.isfinite(values)
    if not finite.all():
        row = int(finite.argmin())
        raise refusal(table, row, column, "a finite number", cells[row])
    return values


def _number(table: Table, row: int, column: str, cell: Any) -> float:
    if isinstance(cell, str) and _NUMBER.fullmatch(cell):
        return float(cell)
    if isinstance(cell, str | bool | np.bool_):
        raise refusal(table, row, column, "a number", cell, _number_hint(cell))
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise refusal(table, row, column, "a number", cell) from None


def _number_hint(cell: Any) -> str:
    if not isinstance(cell, str):
        return ": list the column under `categories:`"
    text = cell.strip()
    if (
        re.fullmatch(r"[-+]?[0-9]{1,3}(?:[,.' \u00a0][0-9]{3})+(?:[.,][0-9]+)?", text)
        and len(re.findall(r"\D", text)) > 1
    ):
        return ": a separator of thousands? Write digits and a decimal point alone"
    if re.fullmatch(r"[-+]?[0-9]+,[0-9]+", text):
        return ": a decimal comma, or a separator of thousands? Write digits and a decimal point alone"
    if re.search(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}", text):
        return ": a date? Make a number of it, such as an age in years"
    if text.lower() in ("true", "false", "yes", "no") or text.isalpha():
        return ": list the column under `categories:` if it holds one of a few words"
    return ""


def one_of(table: Table, column: str, cells: NDArray[Any], values: Sequence[ClassValue]) -> NDArray[np.int64]:
    """Return the place among `values` of each cell, ``(n,)``. Raises `DataError` with the first that has none."""
    found = places_among(table, cells, values)
    if (found < 0).any():
        row = int((found < 0).argmax())
        expected = f"one of {', '.join(map(str, values[:10]))}{', ...' if len(values) > 10 else ''}"
        cell = cells[row].item() if isinstance(cells[row], np.generic) else cells[row]
        raise refusal(table, row, column, expected, cell, _class_hint(cell, values))
    return found


def places_among(table: Table, cells: NDArray[Any], values: Sequence[ClassValue]) -> NDArray[np.int64]:
    """Return the place among `values` of each cell, ``(n,)``, or -1 for one that has none."""
    places = {_key(value): place for place, value in enumerate(values)}
    known: dict[Any, int] = {}
    found = np.empty(len(cells), np.int64)
    for row, cell in enumerate(cells.tolist()):
        key = (type(cell), cell)
        if key not in known:
            place = _place(cell, places, table.is_text)
            known[key] = -1 if place is None else place
        found[row] = known[key]
    return found


def _key(value: ClassValue) -> tuple[str, Any]:
    """Return what a value is told apart by. Python takes true for 1, so the type belongs to it."""
    if isinstance(value, bool):
        return "bool", value
    return ("number", value) if isinstance(value, int) else ("text", value)


def _place(cell: Any, places: dict[tuple[str, Any], int], is_text: bool) -> int | None:
    """Return the place of the value that a cell holds, or None."""
    if isinstance(cell, bool):
        return places.get(("bool", cell))
    if isinstance(cell, int):
        return places.get(("number", cell), places.get(("text", str(cell))))
    if isinstance(cell, float):
        return places.get(("number", int(cell))) if cell.is_integer() and abs(cell) < _LARGEST_WHOLE else None
    if not isinstance(cell, str):
        return None
    place = places.get(("text", cell))
    if place is None and _WHOLE.fullmatch(cell) and len(cell) < 20:
        place = places.get(("number", int(cell.partition(".")[0])))
    if place is None and is_text and cell.lower() in ("true", "false"):
        place = places.get(("bool", cell.lower() == "true"))
    return place


def _class_hint(cell: Any, values: Sequence[ClassValue]) -> str:
    if not isinstance(cell, str):
        return f", which is of type {type(cell).__name__}"
    texts = {str(value).lower() for value in values}
    if cell != cell.strip() and cell.strip().lower() in texts:
        return ", with blanks around it"
    if cell.lower() in texts:
        return ", which differs in capital letters"
    if cell.lstrip("0") in texts and cell.lstrip("0") != cell:
        return ", with leading zeros: quote such a value where it is listed"
    return ""


def bits(table: Table, column: str) -> NDArray[np.int64]:
    """Return a column of 0 and 1, as numbers or as true and false. Raises `DataError` for anything else."""
    cells = table.column(column, "a label")
    found = np.empty(len(cells), np.int64)
    for row, cell in enumerate(cells.tolist()):
        text = str(cell).strip().lower()
        if text not in _LABEL_BITS:
            raise refusal(table, row, column, "0 or 1", cell)
        found[row] = _LABEL_BITS[text]
    return found


def scaled(
    path: Path, column: str, values: Numbers, bounds: tuple[float, float], outside: str, counts: Counts
) -> Numbers:
    """Take numbers to 0..1 by public bounds. What lies beyond them is cut and counted, or refused with the first."""
    low, high = bounds
    beyond = (values < low) | (values > high)
    if beyond.any():
        row = int(beyond.reshape(-1).argmax())
        if outside == "refuse":
            where = f", row {row + 1}" if values.ndim == 1 else ""
            raise DataError(
                f"{path}{where}, column {column!r}: expected numbers in {low:g}..{high:g}, found "
                f"{values.reshape(-1)[row]:g} among {int(beyond.sum())} beyond"
            )
        counts.cut[column] = int(beyond.sum())
    result: Numbers = np.clip((values - low) / (high - low), 0.0, 1.0)
    back = result * (high - low) + low  # an independent way back
    reach = 1e-9 * max(abs(low), abs(high), high - low)
    if not np.allclose(back[~beyond], values[~beyond], rtol=0, atol=reach):
        raise DataError(f"{path}, column {column!r}: expected bounds that 0..1 can resolve, found {low!r} and {high!r}")
    return result
