"""The functions of a task: names that say which circuit of Prio computes them, with its parameters.

==================================  ================================================================================
`count`                             how many measurements are 1
`sum/MOST`                          the sum of integers from 0 to MOST
`sum_vec/LENGTH/MOST`               the sums of vectors
`histogram/LENGTH`                  how many measurements are in each of LENGTH buckets
`multihot/LENGTH/WEIGHT`            the same where a measurement may be in up to WEIGHT buckets
`regression/FEATURES/BITS`          least squares over integers of BITS bits, a row of FEATURES and the label behind it
==================================  ================================================================================

A word and a point may stand before it, as in `age.histogram/10`, so that a task can have several of one kind. A report
holds one measurement for each function of its task. The names stand in the founding record, so all parties use the same
circuits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mpc.commons.founding import Founding, Task
from mpc.commons.prio import (
    Prio3,
    Prio3Count,
    Prio3Histogram,
    Prio3LinearRegression,
    Prio3MultihotCountVec,
    Prio3Sum,
    Prio3SumVec,
    RobustPrio,
)
from mpc.errors import ParameterError
from mpc.randomness import SYSTEM, Randomness

_NAME = re.compile(r"(?:[a-z0-9_-]+\.)?([a-z_]+)((?:/[1-9][0-9]{0,17})*)")
_CIRCUITS: dict[str, tuple[tuple[str, ...], Callable[..., Prio3[Any, Any]]]] = {
    "count": ((), Prio3Count),
    "sum": (("MOST",), Prio3Sum),
    "sum_vec": (("LENGTH", "MOST"), Prio3SumVec),
    "histogram": (("LENGTH",), Prio3Histogram),
    "multihot": (("LENGTH", "WEIGHT"), Prio3MultihotCountVec),
    "regression": (("FEATURES", "BITS"), Prio3LinearRegression),
}


@dataclass(frozen=True)
class Part:
    """One function's part of a report: its circuit among the task's aggregators, and where its bytes begin."""

    robust: RobustPrio[Any]
    public_at: int
    share_at: int

    def public_share(self, whole: bytes) -> bytes:
        """Return this function's part of a report's public shares."""
        return whole[self.public_at : self.public_at + self.robust.public_share_size]

    def share(self, whole: bytes) -> bytes:
        """Return this function's part of an aggregator's shares."""
        return whole[self.share_at : self.share_at + self.robust.share_size]


@dataclass(frozen=True)
class Layout:
    """How all functions of a task stand in a report, one behind the other in the order of their names.

    Attributes:
        parts: by function.
        public_size, share_size: bytes in all.
    """

    parts: Mapping[str, Part]
    public_size: int
    share_size: int

    def deal(
        self, measurements: Mapping[str, Any], nonce: bytes, randomness: Randomness = SYSTEM
    ) -> tuple[bytes, list[bytes]]:
        """Return a report's public shares, and a message for each aggregator.

        Args:
            measurements: one for each function of the task.

        Raises:
            ParameterError: a measurement is missing, or is for no function of the task.
            MeasurementError: one is not valid.
        """
        if measurements.keys() != self.parts.keys():
            found = ", ".join(measurements) or "none"
            raise ParameterError(f"expected a measurement for each of {', '.join(self.parts)}, found {found}")
        dealt = [part.robust.deal(measurements[name], nonce, randomness) for name, part in self.parts.items()]
        return b"".join(public for public, _ in dealt), [
            b"".join(one) for one in zip(*(shares for _, shares in dealt), strict=True)
        ]


def circuit_of(function: str) -> Prio3[Any, Any]:
    """Return the circuit that a function's name says. Raises `ParameterError`."""
    found = _NAME.fullmatch(function)
    if found is None or found[1] not in _CIRCUITS:
        raise ParameterError(f"expected a function of {', '.join(_CIRCUITS)}, found {function!r}")
    names, make = _CIRCUITS[found[1]]
    numbers = [int(one) for one in found[2].split("/")[1:]]
    if len(numbers) != len(names):
        raise ParameterError(f"expected {'/'.join((found[1], *names))} with numbers, found {function!r}")
    try:
        return make(2, *numbers)  # the number of shares does not count here, as RobustPrio has its own
    except ParameterError as error:
        raise ParameterError(f"function {function}: {error}") from None


@lru_cache(maxsize=256)
def layout_of(origin: str, task: Task) -> Layout:
    """Return how a report of a task looks. Raises `ParameterError` where a function's name says no circuit."""
    parts, public_at, share_at = dict[str, Part](), 0, 0
    for function in task.functions:
        context = f"{origin}\n{task.name}\n{function}".encode()
        robust = RobustPrio(circuit_of(function), len(task.aggregators), task.faulty, context)
        parts[function] = Part(robust, public_at, share_at)
        public_at += robust.public_share_size
        share_at += robust.share_size
    return Layout(parts, public_at, share_at)


def check_functions(founding: Founding) -> None:
    """Raise `ParameterError` where a task has a function that nobody can compute."""
    for task in founding.tasks:
        layout_of(founding.origin, task)
