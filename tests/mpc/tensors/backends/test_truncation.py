"""Rounding over many values: never a unit off, and not off on average."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mpc.tensors.backends.interface import Shared
from tests.mpc.tensors.backends.session import (
    AUTHENTICATED,
    REPLICATED,
    REPLICATED_MAC,
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
        (REPLICATED_MAC, 2_000_000),
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


@pytest.mark.parametrize("n", [3, REPLICATED, REPLICATED_MAC, TWO_PARTY])
def test_the_probability_of_rounding_up_is_the_fraction(n: int) -> None:
    fractions = np.repeat([1, 2**12, 2**15, 2**16 - 1], 20_000)

    def program(backend: Backend, shared: list[Shared]) -> list[Shared]:
        return backend.truncate([shared[0]], BITS, 2**20, "stochastic")

    (rounded,) = together(n, [fractions.astype(np.uint64)], program)
    ups = rounded.reshape(4, -1).sum(axis=1)
    for up, share in zip(ups, np.array([1, 2**12, 2**15, 2**16 - 1]) / 2**16, strict=True):
        assert abs(int(up) - 20_000 * share) <= 5 * (20_000 * share * (1 - share)) ** 0.5 + 1


EVERY = [2, 3, REPLICATED, REPLICATED_MAC, TWO_PARTY, AUTHENTICATED[0]]
MANY = 4000


def times(backend: Backend, value: Shared, factor: int) -> Shared:
    return backend.linear(lambda w: w * np.uint64(factor), value.shape, value)


def ones(backend: Backend, count: int) -> Shared:
    return backend.input("p0", np.ones(count, dtype=np.uint64) if backend.me == "p0" else None, (count,))


def scaled(backend: Backend) -> Shared:
    """Its fraction would always go with a mask of which three bits are zero."""
    return backend.add_public(times(backend, ones(backend, MANY), 8), np.array(3, dtype=np.uint64))


def scaled_behind_a_mask(backend: Backend) -> Shared:
    x = ones(backend, MANY)
    backend.multiply([(x, x)])
    y = backend.add_public(times(backend, x, 8), np.array(3, dtype=np.uint64))
    backend.negative([y], 100)  # y has a mask that is eight times that of x
    return y


def product_scaled(backend: Backend) -> Shared:
    x = ones(backend, MANY)
    return backend.add_public(times(backend, backend.multiply([(x, x)])[0], 16), np.array(11, dtype=np.uint64))


def constant(backend: Backend) -> Shared:
    return backend.constant(np.full(MANY, 19, dtype=np.uint64))


def repeated(backend: Backend) -> Shared:
    x = ones(backend, 4)
    backend.multiply([(x, x)])
    y = times(backend, x, 11)
    backend.multiply([(y, y)])
    return backend.linear(lambda w: np.repeat(w, MANY // 4), (MANY,), y)


@pytest.mark.parametrize("make", [scaled, scaled_behind_a_mask, product_scaled, constant, repeated])
@pytest.mark.parametrize("n", EVERY)
def test_each_element_has_a_coin_of_its_own_whatever_it_was_made_of(n: int, make: Callable[[Backend], Shared]) -> None:
    """The mean error is zero, and as many are rounded up as a fair coin gives."""
    value = {"scaled": 11, "scaled_behind_a_mask": 11, "product_scaled": 27, "constant": 19, "repeated": 11}[
        make.__name__
    ]

    def program(backend: Backend) -> list[np.ndarray] | None:
        y = make(backend)
        return backend.open(
            [*backend.truncate([y], 4, 100, "stochastic"), *backend.truncate([y], 4, 100, "floor")], ["p1"]
        )

    found = run(sessions_of(n), program)["p1"]
    assert found is not None
    rounded, floor = found
    chance = value % 16 / 16
    assert (floor == value // 16).all()
    up = (rounded - floor).view(np.int64)
    assert set(up.tolist()) == {0, 1}
    assert abs(up.sum() - MANY * chance) < 5 * (MANY * chance * (1 - chance)) ** 0.5
    runs = np.abs(np.diff(up)).sum()  # of neighbours that differ, as independent coins do
    expected = (MANY - 1) * 2 * chance * (1 - chance)
    assert abs(runs - expected) < 8 * expected**0.5
