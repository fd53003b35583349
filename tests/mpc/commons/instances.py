"""Prio3 as the test vectors name it, with two instances that are in the draft for tests alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpc.commons.prio import (
    Prio3,
    Prio3Count,
    Prio3Histogram,
    Prio3MultihotCountVec,
    Prio3Sum,
    Prio3SumVec,
)


class Prio3HigherDegree(Prio3[int, int]):
    """A gadget of degree three: x is 0, 1 or 2."""

    ID = 0xFFFFFFFF

    def __init__(self, shares: int) -> None:
        super().__init__(shares, "higher_degree", {})

    def _decode(self, elements: list[int], num_measurements: int) -> int:
        return elements[0]

    def _largest(self) -> list[int]:
        return [2]


class Prio3SumVecWithMultiproof(Prio3[Sequence[int], list[int]]):
    """Vectors in the small field with three proofs."""

    ID = 0xFFFFFFFF

    def __init__(self, shares: int, length: int, max_measurement: int, chunk_length: int) -> None:
        parameters = {"length": length, "max_measurement": max_measurement, "chunk_length": chunk_length}
        super().__init__(shares, "sum_vec", parameters, 64, proofs=3)
        self.length, self.max_measurement = length, max_measurement

    def _decode(self, elements: list[int], num_measurements: int) -> list[int]:
        return elements

    def _largest(self) -> list[int]:
        return [self.max_measurement] * self.length


KINDS: dict[str, Any] = {
    "Prio3Count": Prio3Count,
    "Prio3HigherDegree": Prio3HigherDegree,
    "Prio3Histogram": Prio3Histogram,
    "Prio3MultihotCountVec": Prio3MultihotCountVec,
    "Prio3Sum": Prio3Sum,
    "Prio3SumVec": Prio3SumVec,
    "Prio3SumVecWithMultiproof": Prio3SumVecWithMultiproof,
}
PARAMETERS = ("length", "max_measurement", "max_weight", "chunk_length")


def instance_of(name: str, vector: dict[str, Any]) -> Prio3[Any, Any]:
    """Return the instance of a vector file, whose name begins with the kind's."""
    kind = KINDS[name.partition("_")[0]]
    return kind(vector["shares"], **{key: vector[key] for key in PARAMETERS if key in vector})
