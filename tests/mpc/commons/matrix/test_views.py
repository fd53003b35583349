"""What t aggregators and t trustees see: the same, whatever the measurements are.

Reports of two different measurements are made many times. Whatever the parties see of them has the same length, and two
bits of each byte have the same distribution, by a chi-square test of two samples. A bit passes the limit by chance with
a probability of 2 * 10^-9, and there are below 10^4 bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from mpc.commons.prio import HeldShare, Prio3Histogram, Prio3Sum, RobustPrio
from mpc.commons.reports import ReportLabel
from mpc.commons.roles.provider import report_of
from tests.mpc.commons.prepared import SETTINGS, prepared

DEALS = 400
LIMIT = 36.0

CIRCUITS: dict[str, tuple[Any, Any, Any]] = {
    "sum": (Prio3Sum(2, 100), 0, 100),
    "histogram": (Prio3Histogram(2, 3), 0, 2),
}


def differs(one: list[bytes], other: list[bytes]) -> float:
    """Return the largest chi-square of the highest and the second bit of any byte between two samples."""
    views = [np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1) for rows in (one, other)]
    assert views[0].shape == views[1].shape
    worst = 0.0
    for shift in (1, 7):
        first, second = ((rows >> shift & 1).sum(axis=0).astype(float) for rows in views)
        share = (first + second) / (2 * len(one))
        spread = 2 * len(one) * share * (1 - share)
        chi = (first - second) ** 2 / np.where(spread > 0, spread, 1)  # without spread both are the same
        worst = max(worst, float(chi.max()))
    return worst


@lru_cache
def dealt(name: str, n: int, t: int, which: int) -> list[tuple[bytes, list[bytes], list[bytes]]]:
    """Return the public share, all shares and all words of many reports of one measurement, each with its own coin."""
    circuit, *measurements = CIRCUITS[name]
    robust = RobustPrio(circuit, n, t, b"views")
    found = []
    for number in range(DEALS):
        nonce, coin = number.to_bytes(16, "big"), number.to_bytes(32, "big")
        public, shares = robust.deal(measurements[which], nonce)
        held = [robust.check(j, nonce, public, share) for j, share in enumerate(shares, 1)]
        found.append((public, shares, [robust.verifier(one, coin) for one in held if isinstance(one, HeldShare)]))
    return found


@pytest.mark.parametrize(("n", "t"), SETTINGS)
@pytest.mark.parametrize("name", CIRCUITS)
def test_t_aggregators_see_the_same_of_two_measurements(name: str, n: int, t: int) -> None:
    """Their shares, the public share, and the words of all aggregators, in one view."""
    views = [
        [public + b"".join(shares[n - t :]) + b"".join(words) for public, shares, words in dealt(name, n, t, which)]
        for which in (0, 1)
    ]
    assert differs(*views) < LIMIT


@pytest.mark.parametrize("name", CIRCUITS)
def test_one_aggregator_more_sees_the_measurement(name: str) -> None:
    """The same test finds the difference in what t + 1 shares give together. So it can fail."""
    circuit, *_ = CIRCUITS[name]
    robust = RobustPrio(circuit, 4, 1, b"views")
    element = robust._sizes["element"]

    def together(shares: list[bytes]) -> bytes:
        read = {
            j: [int.from_bytes(shares[j - 1][i : i + element], "little") for i in range(0, 3 * element, element)]
            for j in (1, 2)
        }
        at_zero = robust._at(read, (1, 2), 0)
        return b"".join((value << 1).to_bytes(element + 1, "little") for value in at_zero)  # to the bit that is tested

    views = [[together(shares) for _, shares, _ in dealt(name, 4, 1, which)] for which in (0, 1)]
    assert differs(*views) > LIMIT


def test_trustees_see_the_same_of_two_measurements() -> None:
    """They see the entry's public share and the ciphertext. The boxes within stay sealed to the aggregators."""
    state = prepared().cast.providers[0].log.state
    label = ReportLabel(state.founding.origin, "task", bytes(32), bytes(32), bytes(16))
    views = []
    for measured in ({"histogram/3": 0, "sum/100": 0}, {"histogram/3": 2, "sum/100": 100}):
        said = [report_of(state, label, measured) for _ in range(150)]
        views.append([entry.public_share + sealed for entry, sealed in said])
    assert differs(*views) < LIMIT
