"""The price list in docs/circuits.md is what the circuits cost."""

from __future__ import annotations

import pytest

from benchmarks.and_counts import END, PAGE, ROWS, START, Row, table
from mpc._core import Circuit


def test_the_page_has_the_circuits_counts() -> None:
    written = PAGE.read_text().split(START)[1].split(END)[0].strip()
    assert written == table(), "run `python -m benchmarks.and_counts`"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_formulas_hold_at_all_widths(row: Row) -> None:
    for width in range(row.least, 65):
        assert row.make(width).and_gates == row.count(width), f"{row.name} at {width} bits"


def test_ten_logits_cost_what_the_page_says() -> None:
    assert Circuit.argmax(10, 37).and_gates == 997
    assert " 997." in PAGE.read_text()
