"""Rounding over many values: never a unit off, and not off on average."""

from __future__ import annotations

import numpy as np
import pytest

from mpc.tensors.backends.interface import Shared
from tests.mpc.tensors.backends.session import (
    AUTHENTICATED,
    REPLICATED,
    TWO_PARTY,
    Backend,
    run,
    sessions_of,
    signed,
    together,
)

CHUNK, BITS = 1_000_000, 16


@pytest.mark.parametrize(
    ("n", "count"),
    [
        (2, 5_000_000),
        (3, 3_000_000),
        (5, 2_000_000),
        (REPLICATED, 10_000_000),
        (TWO_PARTY, 2_000_000),
        (AUTHENTICATED[0], 2_000_000),
    ],
)
def test_ten_million_values_are_less_than_a_unit_off_and_right_on_average(n: int, count: int) -> None:
    """The values are spread over all magnitudes up to the bound of 2^62, with many fractions."""
    rng = np.random.default_rng(n)
    bound = 2**62 - 1
    backends = sessions_of(n)
    chunks = []
    for _ in range(count // CHUNK):
        values = rng.integers(-bound, bound, CHUNK, endpoint=True) >> rng.integers(0, 46, CHUNK)
        values[:4] = [bound, -bound, 1, -1]
        chunks.append(values)

    def program(backend: Backend) -> list[np.ndarray | None]:
        found = []
        for values in chunks:
            x = backend.input("p0", values.view(np.uint64) if backend.me == "p0" else None, values.shape)
            opened = backend.open(backend.truncate([x], BITS, bound, "stochastic"), ["p1"])
            found.append(None if opened is None else opened[0].view(np.int64))
        return found

    units, variance, total = 0, 0.0, 0
    for values, rounded in zip(chunks, run(backends, program)["p1"], strict=True):
        assert rounded is not None
        fraction = values & (2**BITS - 1)
        up = rounded - (values >> BITS)
        assert ((up == 0) | ((up == 1) & (fraction > 0))).all()
        units += int((up * 2**BITS - fraction).sum())
        share = fraction / 2**BITS
        variance += float((share * (1 - share)).sum())
        total += len(values)
    assert total == count
    assert abs(units / 2**BITS) < 5 * variance**0.5


@pytest.mark.parametrize("n", [2, REPLICATED, TWO_PARTY])
def test_a_rounding_that_only_cuts_would_be_noticed(n: int) -> None:
    """The same measure on `floor`, which is off by half a unit on average."""
    values = np.random.default_rng(1).integers(-(2**40), 2**40, 20_000)

    def program(backend: Backend, shared: list[Shared]) -> list[Shared]:
        return backend.truncate([shared[0]], BITS, 2**40, "floor")

    (rounded,) = together(n, [values.view(np.uint64)], program)
    assert (signed(rounded) == values >> BITS).all()
    fraction = (values & (2**BITS - 1)) / 2**BITS
    assert abs(fraction.sum()) > 5 * (fraction * (1 - fraction)).sum() ** 0.5


@pytest.mark.parametrize("n", [3, REPLICATED, TWO_PARTY])
def test_the_probability_of_rounding_up_is_the_fraction(n: int) -> None:
    fractions = np.repeat([1, 2**12, 2**15, 2**16 - 1], 20_000)

    def program(backend: Backend, shared: list[Shared]) -> list[Shared]:
        return backend.truncate([shared[0]], BITS, 2**20, "stochastic")

    (rounded,) = together(n, [fractions.astype(np.uint64)], program)
    ups = rounded.reshape(4, -1).sum(axis=1)
    for up, share in zip(ups, np.array([1, 2**12, 2**15, 2**16 - 1]) / 2**16, strict=True):
        assert abs(int(up) - 20_000 * share) <= 5 * (20_000 * share * (1 - share)) ** 0.5 + 1
