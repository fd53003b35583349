"""The AND gates of each circuit, by width. This writes the table of ``docs/circuits.md``.

    python -m benchmarks.and_counts

The costs of garbling (bytes, hash calls) are in AND gates alone, so this table is the price list of the engine. A test
holds it against the circuits, and the formulas too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mpc._core import Circuit

PAGE = Path(__file__).resolve().parent.parent / "docs" / "circuits.md"
WIDTHS = (8, 16, 24, 32, 37, 44, 64)
START, END = "<!-- AND counts: written by benchmarks/and_counts.py -->", "<!-- end of AND counts -->"
SHIFT = 7


@dataclass(frozen=True)
class Row:
    """One circuit at any width ``b``: how it is made and its number of AND gates, also in words of the page."""

    name: str
    formula: str
    make: Callable[[int], Circuit]
    count: Callable[[int], int]
    least: int = SHIFT + 2  # narrower words fold some gates more


def _argmax(classes: int, b: int) -> int:
    return classes * (b - 1) + (classes - 1) * b + (classes - 2) * b + classes - 2


def _rectified(b: int) -> int:
    return 2 * b - SHIFT - 2


ROWS = (
    Row("add", "b - 1", Circuit.add, lambda b: b - 1),
    Row("sub", "b - 1", Circuit.sub, lambda b: b - 1),
    Row("less_than", "b", Circuit.less_than, lambda b: b),
    Row("select", "b", Circuit.select, lambda b: b),
    Row("rescale, shift 7", "b - 1", lambda b: Circuit.rescale(b, SHIFT), lambda b: b - 1),
    Row("relu, shift 7", "2b - s - 2", lambda b: Circuit.relu(b, SHIFT), _rectified),
    Row(
        "leaky_relu, slope 13/64, shift 7",
        "relu + (b - s - 1) a bit of 13 but the lowest (b > s + 3)",
        lambda b: Circuit.leaky_relu(b, SHIFT, 13, 6),
        lambda b: _rectified(b) + 2 * (b - SHIFT - 1),
        least=SHIFT + 4,
    ),
    Row(
        "max_pool of 4, relu, shift 7",
        "relu + 3 (3b - 1) - s",
        lambda b: Circuit.max_pool(4, b, SHIFT, True),
        lambda b: _rectified(b) + 3 * (3 * b - 1) - SHIFT,
    ),
    Row("threshold, 20 labels", "L (2b - 2)", lambda b: Circuit.threshold(20, b), lambda b: 20 * (2 * b - 2)),
    *(
        Row(
            f"argmax, {classes} classes",
            "C (b - 1) + (2C - 3) b + C - 2",
            lambda b, c=classes: Circuit.argmax(c, b),  # type: ignore[misc]
            lambda b, c=classes: _argmax(c, b),  # type: ignore[misc]
        )
        for classes in (2, 10, 100)
    ),
    Row("sum_histogram, 10 classes", "as argmax", lambda b: Circuit.sum_histogram(10, b), lambda b: _argmax(10, b)),
)


def table() -> str:
    """The page's table, Markdown."""
    head = ["circuit", "AND gates, b bits", *(f"b = {width}" for width in WIDTHS)]
    lines = [head, ["---", "---", *("---:" for _ in WIDTHS)]]
    for row in ROWS:
        lines.append([row.name, row.formula, *(f"{row.make(width).and_gates:,}" for width in WIDTHS)])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    page = PAGE.read_text()
    replaced, times = re.subn(
        re.escape(START) + ".*" + re.escape(END), f"{START}\n{table()}\n{END}", page, flags=re.DOTALL
    )
    if times != 1:
        raise SystemExit(f"{PAGE}: expected one table between its marks, found {times}")
    PAGE.write_text(replaced)


if __name__ == "__main__":
    main()
