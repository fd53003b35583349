"""An owner is told where padding takes more than half of the learning rate."""

from __future__ import annotations

from mpc.encrypted.packing import Packing
from parties.encrypted.commands import padded


def test_a_line_says_the_rate_that_counts_where_padding_is_more_than_half() -> None:
    found = padded(Packing.fit(500, 16, 8192), 500, 10.0)
    assert found == [("padding", "records are 500 of 1024 rows: the learning rate that counts is 4.9")]
    assert padded(Packing.fit(512, 16, 8192), 512, 10.0) == []
    assert padded(Packing.fit(480, 16, 8192), 480, 10.0) == []
