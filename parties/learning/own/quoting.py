"""The rows and lines of a CSV file, by a reader that takes no quote for granted.

pyarrow reads on at a quote that is never closed, and takes the text behind a closing quote for more of the cell. So a
stray quote hides the rows up to the next one. Here each such place is refused, and the rows are counted.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from parties.learning.records import DataError

MARK = b"\xef\xbb\xbf"
"""The byte order mark, which is no text."""


_ENDS = re.compile(rb"[\r\n]{2,}")  # of one sign each, which needs no memory for ways back


@dataclass(frozen=True)
class Lines:
    """What a CSV file's lines are, besides its cells.

    Attributes:
        rows: how many are below the header, or None where there is no quote and nobody has counted.
        spread: how many rows go over several lines.
        empty: how many empty lines are between rows, where these are no rows.
        first_empty: the number of the first one in the file, from 1.
    """

    rows: int | None = None
    spread: int = 0
    empty: int = 0
    first_empty: int = 0


def lines_of(path: Path, content: bytes, delimiter: str, blank_lines: bool) -> Lines:
    """Return what a file's lines are.

    Two stray quotes may still make a cell of the lines between them, which looks like an honest one. So rows of several
    lines are counted for their owner. So are empty lines, where a row may have been.

    Args:
        blank_lines: whether an empty line is a row, as where there is one column.

    Raises:
        DataError: a quote is never closed, or has text behind it. The message has the row, and nothing of its cells.
    """
    if b'"' not in content:
        return Lines() if blank_lines else _empty_lines(content)
    raw = io.BytesIO(content)
    raw.seek(len(MARK) if content.startswith(MARK) else 0)
    rows = spread = line = empty = first = 0
    passed = first_passed = 0  # empty lines since the last row, and the number of the first of them
    with io.TextIOWrapper(raw, "latin-1", newline="") as text:  # a byte is a letter, and UTF-8 repeats no sign of CSV
        try:
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            for row in reader:
                if row:
                    empty, first = empty + passed, first or first_passed
                    passed = first_passed = 0
                elif rows and not blank_lines:
                    passed, first_passed = passed + 1, first_passed or reader.line_num
                rows += bool(row) or (blank_lines and rows > 0)
                spread += rows > 1 and reader.line_num - line > 1
                line = reader.line_num
        except csv.Error as error:
            where = f"row {rows}" if rows else "the header"
            raise DataError(f"{path}, {where}: {_mistake(str(error))}") from None
    return Lines(rows - 1, spread, empty, first)


def _empty_lines(content: bytes) -> Lines:
    """Count empty lines between rows where no cell holds any. Those above the header and at the end are left out."""
    if not any(pair in content for pair in (b"\n\n", b"\n\r", b"\r\r")):
        return Lines()
    empty = first = 0
    header = len(MARK) if content.startswith(MARK) else 0
    for ends in _ENDS.finditer(content):
        count = _line_ends(content, *ends.span())
        if count < 2 or ends.start() == header or ends.end() == len(content):
            continue
        empty += count - 1
        first = first or _line_ends(content, 0, ends.start()) + 2
    return Lines(empty=empty, first_empty=first)


def _line_ends(content: bytes, start: int, stop: int) -> int:
    """Count the ends of lines in a part, as both readers take them: LF, CR, or both together."""
    lone = content.count(b"\n", start, stop) + content.count(b"\r", start, stop)
    return lone - content.count(b"\r\n", start, stop)


def _mistake(message: str) -> str:
    if "expected after" in message:
        return (
            "expected a delimiter behind a cell in quotes, found text (a stray quote, or one in the text that is not "
            "doubled?)"
        )
    if "end of data" in message:
        return "expected a quote that is closed, found the end of the file"
    if "field limit" in message:
        return f"expected cells of at most {csv.field_size_limit()} bytes, found more (a quote that is never closed?)"
    return "expected a row of CSV, found another"
