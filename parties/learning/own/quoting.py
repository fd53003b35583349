"""The rows of a CSV file, by a reader that takes no quote for granted.

pyarrow reads on at a quote that is never closed, and takes the text behind a closing quote for more of the cell. So a
stray quote hides the rows up to the next one. Here each such place is refused, and the rows are counted.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from parties.learning.records import DataError

MARK = b"\xef\xbb\xbf"
"""The byte order mark, which is no text."""


def rows_below(path: Path, content: bytes, delimiter: str, blank_lines: bool) -> tuple[int, int] | None:
    """Return how many rows are below the header and how many go over several lines, or None without a quote.

    Two stray quotes may still make a cell of the lines between them, which looks like an honest one. So rows of several
    lines are counted for their owner.

    Args:
        blank_lines: whether an empty line is a row, as where there is one column.

    Raises:
        DataError: a quote is never closed, or has text behind it. The message has the row, and nothing of its cells.
    """
    if b'"' not in content:
        return None
    raw = io.BytesIO(content)
    raw.seek(len(MARK) if content.startswith(MARK) else 0)
    rows = spread = line = 0
    with io.TextIOWrapper(raw, "latin-1", newline="") as text:  # a byte is a letter, and UTF-8 repeats no sign of CSV
        try:
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            for row in reader:
                rows += bool(row) or (blank_lines and rows > 0)
                spread += rows > 1 and reader.line_num - line > 1
                line = reader.line_num
        except csv.Error as error:
            where = f"row {rows}" if rows else "the header"
            raise DataError(f"{path}, {where}: {_mistake(str(error))}") from None
    return rows - 1, spread


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
