"""How the records of one provider's file become measurements.

What does not fit what was agreed is refused by its row and its column, with what was expected and without the value,
which is private. So a message may be passed on.

Whole numbers are computed in exact fractions of the numbers as they are written. Each is then checked against floats,
on a way of its own, and a file of which one differs is refused.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.commons.questions import Count, Histogram, Numbers, Question, Regression, exact, text_of, value_text
from parties.frame.errors import ConfigError
from parties.learning.own import cells
from parties.learning.own.choices import ClassValue
from parties.learning.own.tables import Table, read_table

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class _Column:
    """What a question makes of a column.

    Attributes:
        values: a whole number for each row, ``(n,)``.
        kept: which rows stay, ``(n,)``.
        notes: what was done, in counts.
    """

    values: Sequence[int]
    kept: Rows
    notes: tuple[str, ...] = ()


def read_own(path: Path, questions: Sequence[Question], delimiter: str) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return a provider's measurements, one for each record that no question drops, and what was done, in counts.

    A measurement has a value for each question's function, by its name.

    Raises:
        ConfigError: the file cannot be read, or a cell does not fit what was agreed.
    """
    table = read_table(path, [name for one in questions for name in one.columns], delimiter)
    kept: Rows = np.ones(table.rows, bool)
    notes = dict.fromkeys(table.notes)
    columns = dict[str, list[_Column]]()
    for one in questions:
        columns[one.function] = found = [read(table) for read in _readers(one)]
        for column in found:
            kept = kept & column.kept
            notes |= dict.fromkeys(column.notes)
    if not kept.any():
        raise ConfigError(f"{path}: expected a record that no question drops, found none among {table.rows}.")
    if dropped := table.rows - int(kept.sum()):
        notes[f"{dropped} of {table.rows} records are in no report, as a question drops them"] = None
    regressions = {one.function for one in questions if isinstance(one, Regression)}
    rows = [
        {
            name: [one.values[row] for one in found] if name in regressions else found[0].values[row]
            for name, found in columns.items()
        }
        for row in kept.nonzero()[0].tolist()
    ]
    return rows, tuple(notes)


def _readers(question: Question) -> list[Callable[[Table], _Column]]:
    """Return what reads each of a question's columns, in the order of the measurement."""
    if isinstance(question, Regression):
        return [_reader_of(one) for one in question.numbers]
    if isinstance(question, Count):
        return [lambda table: _counted(table, question)]
    if isinstance(question, Histogram):
        return [lambda table: _in_categories(table, question) if question.categories else _in_buckets(table, question)]
    return [_reader_of(question)]


def _reader_of(numbers: Numbers) -> Callable[[Table], _Column]:
    return lambda table: _in_steps(table, numbers)


# -- numbers ---------------------------------------------------------------------------------------------------------


def _in_steps(table: Table, asked: Numbers) -> _Column:
    """Count each number in steps from the least on, to the nearest step. Half a step goes up."""
    wanted = f"a number {asked.range_in_words}{f', in {asked.unit}' if asked.unit else ''}"
    found, kept, notes = _numbers(table, asked, (asked.least, asked.most), wanted)
    least, step = exact(asked.least), exact(asked.step)
    known = {one: _whole((exact(one) - least) / step + Fraction(1, 2)) for one in set(found.tolist())}
    values = [known[one] for one in found.tolist()]
    back = asked.least + asked.step * np.array(values, float)
    reach = asked.step / 2 * (1 + 1e-6) + 1e-12 * max(abs(asked.least), abs(asked.most))
    _check(table, asked.column, np.abs(back - found) <= reach, f"steps of {text_of(asked.step)} that floats resolve")
    moved = sum(exact(one) != least + known[one] * step for one in found.tolist())
    if moved:
        moved_by = f"values of {asked.column} go to the nearest step of {text_of(asked.step)}"
        notes = (*notes, f"{moved} of {table.rows} {moved_by}")
    return _Column(values, kept, notes)


def _in_buckets(table: Table, asked: Histogram) -> _Column:
    """Return the place of each number's bucket."""
    edges = asked.edges or ()
    wanted = f"a number from {text_of(edges[0])} to {text_of(edges[-1])}{f' {asked.unit}' if asked.unit else ''}"
    found, kept, notes = _numbers(table, asked, (edges[0], edges[-1]), wanted)
    written = [exact(one) for one in edges]
    last = len(edges) - 2
    known = {one: min(bisect_right(written, exact(one)) - 1, last) for one in set(found.tolist())}
    values = [known[one] for one in found.tolist()]
    counts, _ = np.histogram(found, np.array(edges))  # an independent way
    lows, highs = np.array(edges)[values], np.array(edges)[np.array(values) + 1]
    fits = (lows <= found) & ((found < highs) | ((found == highs) & (np.array(values) == last)))
    if (np.bincount(values, minlength=last + 1) != counts).any():
        fits[:] = False
    _check(table, asked.column, fits, "edges that floats resolve")
    return _Column(values, kept, notes)


def _numbers(
    table: Table, asked: Numbers | Histogram, bounds: tuple[float, float], wanted: str
) -> tuple[Floats, Rows, tuple[str, ...]]:
    """Return numbers within bounds, which rows stay, and what was done. Rows that go have the lower bound."""
    low, high = bounds
    column, gone, notes = _present(table, asked.column, asked.missing, wanted)
    column = _as_written(column)
    if gone.any():
        column = column.astype(object)
        column[gone] = repr(low) if table.is_text else low
    try:
        plain = cells.plain_numbers(column) if table.is_text else None
        found = cells.numbers(table, asked.column, column) if plain is None else plain
    except cells.CellError as error:
        raise ConfigError(f"{error.place}: expected {wanted}, found something that is no such number.") from None
    beyond = (found < low) | (found > high)
    if beyond.any() and asked.outside == "refuse":
        raise _refused(table, asked.column, beyond, wanted, "one beyond", "outside")
    if beyond.any():
        done = "moved to the nearer bound" if asked.outside == "clamp" else "dropped with their records"
        notes = (
            *notes,
            f"{_share(table, beyond)} of {asked.column} beyond {text_of(low)} to {text_of(high)} are {done}",
        )
    drops = asked.outside == "drop"
    return np.clip(found, low, high), ~gone & ~(beyond & drops), notes


def _as_written(column: NDArray[Any]) -> NDArray[Any]:
    """Return short floats as the numbers that they are written as. The one for 5.7 is below 5.7 as a longer float."""
    if column.dtype.kind != "f" or column.dtype.itemsize >= np.dtype(np.float64).itemsize:
        return column
    return np.array([float(str(one)) for one in column], np.float64)


# -- words -----------------------------------------------------------------------------------------------------------


def _in_categories(table: Table, asked: Histogram) -> _Column:
    return _among(table, asked, asked.categories or ())


def _counted(table: Table, asked: Count) -> _Column:
    found = _among(table, asked, asked.values)
    return _Column([int(one == asked.place) for one in found.values], found.kept, found.notes)


def _among(table: Table, asked: Histogram | Count, values: tuple[ClassValue, ...]) -> _Column:
    """Return the place of each cell among the values. Rows that go have place 0."""
    listed = ", ".join(map(value_text, values[:10])) + (", ..." if len(values) > 10 else "")
    wanted = f"one of {listed}"
    column, gone, notes = _present(table, asked.column, asked.missing, wanted)
    found = cells.places_among(table, column, values)
    unknown = (found < 0) & ~gone
    if unknown.any() and asked.outside == "refuse":
        raise _refused(table, asked.column, unknown, wanted, "another", "outside")
    if unknown.any():
        notes = (*notes, f"{_share(table, unknown)} of {asked.column} beside {listed} are dropped with their records")
    kept = found >= 0
    # an independent way: the cell as text is the value as text
    alike = [
        not here or _alike(values[place], cell) for place, cell, here in zip(found, column.tolist(), kept, strict=True)
    ]
    _check(table, asked.column, np.array(alike), "values that are told apart")
    return _Column(np.maximum(found, 0).tolist(), kept & ~gone, notes)


def _alike(value: ClassValue, cell: object) -> bool:
    text = str(cell).lower()
    if isinstance(value, bool) or text == str(value).lower():
        return text == str(value).lower()
    return isinstance(value, int) and float(text) == value


# -- both ------------------------------------------------------------------------------------------------------------


def _present(table: Table, name: str, missing: str, wanted: str) -> tuple[NDArray[Any], Rows, tuple[str, ...]]:
    """Return a column's cells, which of them hold no value, and how many. Raises `ConfigError` if that is refused."""
    column = table.column(name, "a question", lists_others=False)
    gone = cells.absent(column)
    if not gone.any():
        return column, gone, ()
    if missing == "refuse":
        raise _refused(table, name, gone, wanted, "no value", "missing")
    return column, gone, (f"{_share(table, gone, 'cells')} of {name} hold no value, and their records are dropped",)


def _refused(table: Table, column: str, rows: Rows, wanted: str, found: str, key: str) -> ConfigError:
    return ConfigError(
        f"{table.path}, row {int(rows.argmax()) + 1}, column {column!r}: expected {wanted}, found {found} in "
        f"{int(rows.sum())} of {table.rows} rows: say under `{key}` what becomes of such a record, or mend the file."
    )


def _share(table: Table, rows: Rows, what: str = "values") -> str:
    return f"{int(rows.sum())} of {table.rows} {what}"


def _whole(number: Fraction) -> int:
    return number.numerator // number.denominator


def _check(table: Table, column: str, fits: NDArray[Any], wanted: str) -> None:
    """Raise `ConfigError` where a whole number is not what another way of computing it says."""
    if not fits.all():
        raise ConfigError(
            f"{table.path}, row {int(fits.argmin()) + 1}, column {column!r}: expected {wanted}, found others."
        )
