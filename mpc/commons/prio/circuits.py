"""The circuits of Prio3, with their measurements and results (draft-20, section 7.4).

A circuit that proves many bits does so in chunks. `chunk_length` decides the size of the proof alone, and all parties
must use the same. Without it, it is the one that gives the smallest proof.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpc.commons.prio.errors import AggregateError
from mpc.commons.prio.prio3 import Prio3
from mpc.commons.prio.regression import RegressionSums
from mpc.errors import ParameterError


def best_chunk_length(products: int) -> int:
    """Return the chunk length that gives the smallest proof of so many products, and of those the smallest."""
    found = []
    for bits in range(1, max(1, products).bit_length() + 1):
        calls = (1 << bits) - 1
        chunk = -(-products // calls)
        found.append((2 * chunk + 2 * calls + 1, chunk))
    return min(found)[1]


class Prio3Count(Prio3[int, int]):
    """How many measurements are 1. Each is 0 or 1."""

    ID = 0x00000001

    def __init__(self, shares: int) -> None:
        super().__init__(shares, "count", {})

    def _decode(self, elements: list[int], num_measurements: int) -> int:
        return elements[0]

    def _largest(self) -> list[int]:
        return [1]


class Prio3Sum(Prio3[int, int]):
    """The sum of integers. Each is from 0 to `max_measurement`, which is below 2^63."""

    ID = 0x00000002

    def __init__(self, shares: int, max_measurement: int) -> None:
        super().__init__(shares, "sum", {"max_measurement": max_measurement})
        self.max_measurement = max_measurement

    def _decode(self, elements: list[int], num_measurements: int) -> int:
        return elements[0]

    def _largest(self) -> list[int]:
        return [self.max_measurement]


class Prio3SumVec(Prio3[Sequence[int], list[int]]):
    """The sum of vectors. Each has `length` integers from 0 to `max_measurement`, which is below 2^64."""

    ID = 0x00000003

    def __init__(self, shares: int, length: int, max_measurement: int, chunk_length: int | None = None) -> None:
        chunk = chunk_length or best_chunk_length(length * max_measurement.bit_length())
        parameters = {"length": length, "max_measurement": max_measurement, "chunk_length": chunk}
        super().__init__(shares, "sum_vec", parameters, 128)
        self.length, self.max_measurement, self.chunk_length = length, max_measurement, chunk

    def _decode(self, elements: list[int], num_measurements: int) -> list[int]:
        return elements

    def _largest(self) -> list[int]:
        return [self.max_measurement] * self.length


class Prio3Histogram(Prio3[int, list[int]]):
    """How many measurements are in each of `length` buckets. Each is the number of its bucket, from 0."""

    ID = 0x00000004

    def __init__(self, shares: int, length: int, chunk_length: int | None = None) -> None:
        chunk = chunk_length or best_chunk_length(length)
        super().__init__(shares, "histogram", {"length": length, "chunk_length": chunk}, 128)
        self.length, self.chunk_length = length, chunk

    def _decode(self, elements: list[int], num_measurements: int) -> list[int]:
        if sum(elements) != num_measurements:
            raise AggregateError(
                f"expected aggregate shares of the same {num_measurements} reports, found buckets that hold "
                f"{sum(elements)} in all"
            )
        return elements

    def _largest(self) -> list[int]:
        return [1] * self.length


class Prio3MultihotCountVec(Prio3[Sequence[bool], list[int]]):
    """How many measurements are in each bucket, of which each measurement may be in several.

    Each is a row of `length` zeros and ones, of which at most `max_weight` are ones.
    """

    ID = 0x00000005

    def __init__(self, shares: int, length: int, max_weight: int, chunk_length: int | None = None) -> None:
        chunk = chunk_length or best_chunk_length(length + max_weight.bit_length())
        parameters = {"length": length, "max_weight": max_weight, "chunk_length": chunk}
        super().__init__(shares, "multihot_count_vec", parameters, 128)
        self.length, self.max_weight, self.chunk_length = length, max_weight, chunk

    def _decode(self, elements: list[int], num_measurements: int) -> list[int]:
        if sum(elements) > self.max_weight * num_measurements:
            raise AggregateError(
                f"expected aggregate shares of the same {num_measurements} reports, found {sum(elements)} ones in all"
            )
        return elements

    def _largest(self) -> list[int]:
        return [1] * self.length


class Prio3LinearRegression(Prio3[Sequence[int], RegressionSums]):
    """Least squares over integers. This circuit is the project's own, and other implementations do not have it.

    Each measurement is a row of `features` integers and the label behind them, all from 0 to ``2^bits - 1``, with at
    most 32 bits. The client's encoding has their bits and all products that least squares needs. The proof shows that
    the products are those of the numbers (Corrigan-Gibbs and Boneh, NSDI 2017, section 5.3). The result holds sums,
    which are what the collector learns, and solves for the coefficients in exact fractions.
    """

    ID = 0xFFFF1001  # of the range for private use

    def __init__(self, shares: int, features: int, bits: int, chunk_length: int | None = None) -> None:
        if not 1 <= features <= 1000:
            raise ParameterError(f"features: expected 1 to 1000, found {features}")
        products = (features + 1) * bits + features * (features + 3) // 2
        chunk = chunk_length or best_chunk_length(products)
        parameters = {"length": features, "bits": bits, "chunk_length": chunk}
        super().__init__(shares, "linear_regression", parameters, 128)
        self.features, self.bits, self.chunk_length = features, bits, chunk

    def _decode(self, elements: list[int], num_measurements: int) -> RegressionSums:
        return RegressionSums.of(self.features, num_measurements, elements)

    def _largest(self) -> list[int]:
        largest = 2**self.bits - 1
        products = self.features * (self.features + 3) // 2
        return [largest] * (self.features + 1) + [largest * largest] * products
