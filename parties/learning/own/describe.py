"""What a table of one's own holds, and a configuration for it, for its owner alone.

Nothing is shown of single rows but what a configuration needs, which is the values of a column with few of them. Bounds
are rounded outwards to two digits. A bound that was computed from private records still reveals something of them, and
the block says so. The owners of a federation should agree on public bounds instead.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.learning.own import cells
from parties.learning.own.tables import Table, read_table
from parties.learning.records import DataError

_FEW = 10  # different values of a column that may be classes or categories
_CODE = re.compile(r"0[0-9]")  # leading zeros belong to codes, not to numbers


def described(path: Path, delimiter: str = ",", label: str | None = None) -> list[str]:
    """Return lines about a table's columns, and a block of YAML with its features, label, scales and categories.

    Raises `DataError` for a file that is no table, or a label that is no column.
    """
    table = read_table(path, None, delimiter)
    if label is not None:
        table.column(label, "the label")
    kinds = {name: _Column(table, name) for name in table.columns}
    lines = [f"# {path.name}: {table.rows} rows, {len(kinds)} columns"]
    lines += [f"#   {name}: {column.words}" for name, column in kinds.items()]
    lines += [f"# {note}" for note in table.notes]
    return lines + list(_block(path, delimiter, label, kinds))


class _Column:
    """One column, as numbers if all its values are, or else by the values that it holds."""

    def __init__(self, table: Table, name: str) -> None:
        column = table.columns[name]
        gone = cells.absent(column)
        self.missing = int(gone.sum())
        self._present = column[~gone]
        self.values: list[Any] = []
        self.bounds: tuple[float, float] | None = None
        try:
            numbers = cells.numbers(table, name, self._present) if len(self._present) else np.zeros(0)
        except DataError:
            numbers = np.zeros(0)
        different = Counter(self._present.tolist())
        if len(different) <= _FEW:
            self.values = sorted(different, key=str)
        coded = any(isinstance(value, str) and _CODE.match(value) for value in different)
        if len(numbers) and not coded:
            self.bounds = _outwards(numbers)
        self.different = len(different)

    @property
    def words(self) -> str:
        gone = f", {self.missing} without a value" if self.missing else ""
        if self.bounds is not None:
            few = f", {self.different} different" if self.values else ""
            return f"numbers in {self.bounds[0]:g}..{self.bounds[1]:g} (rounded outwards){few}{gone}"
        shown = f": {', '.join(map(str, self.values))}" if self.values else ""
        return f"text, {self.different} different values{shown}{gone}"


def _outwards(numbers: NDArray[np.float64]) -> tuple[float, float]:
    """Return bounds around the numbers, rounded away from them to two digits of their range."""
    low, high = float(numbers.min()), float(numbers.max())
    step = 10.0 ** (math.floor(math.log10(high - low)) - 1) if high > low else max(1.0, abs(low))
    bounds = math.floor(low / step) * step, math.ceil(high / step) * step
    low, high = (float(f"{bound:.12g}") for bound in bounds)
    return (low, high) if low < high else (low, low + step)


def _block(path: Path, delimiter: str, label: str | None, kinds: dict[str, _Column]) -> Iterator[str]:
    """Yield the lines of a configuration. Columns of text with many values are left out."""
    label = label or next((name for name in reversed(kinds) if len(kinds[name].values) > 1), None)
    usable = [name for name in kinds if name != label and (kinds[name].bounds or len(kinds[name].values) > 1)]
    numbers = [name for name in usable if kinds[name].bounds]
    yield ""
    yield "# The bounds below come from this file, rounded outwards. If its records are private, they reveal something"
    yield "# of them to all parties. Agree on public bounds, put them here, and take `from: private` away."
    yield "capc:"
    yield "  data:"
    yield f"    features: [{', '.join(map(_text, usable))}]"
    if label is not None:
        yield f"    label: {_text(label)}"
        yield f"    classes: [{', '.join(map(_text, kinds[label].values))}]"
    if numbers:
        yield "    scale:"
    for name in numbers:
        low, high = kinds[name].bounds or (0.0, 1.0)
        yield f"      {_text(name)}: {{minimum: {low:.12g}, maximum: {high:.12g}, from: private}}"
    if len(numbers) < len(usable):
        yield "    categories:"
    for name in usable:
        if name not in numbers:
            yield f"      {_text(name)}: [{', '.join(map(_text, kinds[name].values))}]"
    if gone := [name for name in usable if kinds[name].missing]:
        yield f"    # {len(gone)} columns have cells without a value, refused unless you state what stands in:"
        yield f"    # missing: {{{', '.join(f'{_text(name)}: 0' for name in gone)}}}"
    if delimiter != ",":
        yield f"    delimiter: {json.dumps(delimiter)}"
    yield f"    records: {_text(path.name)}"


def _text(value: Any) -> str:
    """Return a value as YAML reads it back, in quotes unless it is a word or a number of its own."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if float(value).is_integer() and abs(value) < 2**53 else repr(value)
    text = str(value)
    plain = text.replace(" ", "").replace("_", "").isalpha() and text == text.strip()
    return text if plain and text.lower() not in ("true", "false", "null") else json.dumps(text, ensure_ascii=False)
