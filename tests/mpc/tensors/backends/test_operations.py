"""Every operation of every back-end against Python's integers: in the middle, at the bound and beyond the ring."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.tensors.backends.interface import Shared
from tests.mpc.tensors.backends.session import (
    AUTHENTICATED,
    OUTSIDE,
    REPLICATED,
    REPLICATED_MAC,
    TWO_PARTY,
    Backend,
    rings_of,
    run,
    sessions_of,
    signed,
    together,
    words,
)

COUNTS = [2, 3, 5, REPLICATED, REPLICATED_MAC, TWO_PARTY, *AUTHENTICATED]
WITH_RINGS = [(n, bits) for n in COUNTS for bits in rings_of(n)]
RNG = np.random.default_rng(7)


def wrapped(values: object, bits: int) -> np.ndarray:
    """Python integers as a ring of so many bits holds them."""
    half = 1 << (bits - 1)
    return np.vectorize(lambda v: (int(v) + half) % (2 * half) - half, otypes=[object])(
        np.asarray(values, dtype=object)
    )


def whole(shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Values from everywhere in the ring, with its extremes among them."""
    half = 1 << (bits - 1)
    values = np.array([int(v) >> (64 - bits) for v in RNG.integers(-(2**63), 2**63, shape).reshape(-1)], dtype=object)
    values[:3] = [-half, half - 1, -1][: values.size]
    return values.reshape(shape)


@pytest.mark.parametrize(("n", "bits"), WITH_RINGS)
def test_linear_operations_and_products_are_exact_everywhere_in_the_ring(n: int, bits: int) -> None:
    x, y, w = whole((3, 4), bits), whole((4,), bits), whole((2, 4, 5), bits)
    public = whole((3, 1), bits)

    def program(backend: Backend, shared: list[Shared]) -> list[Shared]:
        a, b, c = shared
        constant = backend.constant(words(public, bits))
        return [
            backend.add(a, b),
            backend.subtract(b, a),
            backend.add_public(a, words(public, bits)),
            backend.add_public(b, words(public, bits)),
            backend.linear(lambda u, v: (u * np.uint64(3)).sum(axis=1) - v[:3], (3,), a, b),
            *backend.multiply([(a, b), (a, a), (constant, a)]),
            *backend.matmul([(a, c)]),
        ]

    found = together(n, [words(value, bits) for value in (x, y, w)], program, bits)
    expected = [
        x + y, y - x, x + public, y + public, (3 * x).sum(axis=1) - y[:3], x * y, x * x, public * x,
        np.stack([x.dot(w[0]), x.dot(w[1])]),
    ]  # fmt: skip
    for result, wanted in zip(found, expected, strict=True):
        assert result.shape == wanted.shape
        assert (signed(result, bits) == wrapped(wanted, bits)).all()


@pytest.mark.parametrize(("n", "bits"), WITH_RINGS)
def test_comparisons_are_exact_up_to_the_bound(n: int, bits: int) -> None:
    bounds = sorted({0, 1, 2, 7, 8, 100, 2**9 - 1, 2**9, 2 ** (bits - 2), 2 ** (bits - 1) - 1})
    inputs = [np.array([-b, b, 0, min(1, b), -min(1, b), b // 2, -(b // 3)], dtype=object) for b in bounds]

    def program(backend: Backend, shared: list[Shared]) -> list[Shared]:
        opened: list[Shared] = []
        for value, bound in zip(shared, bounds, strict=True):
            opened += backend.negative([value], bound)
            (kept,), (positive,) = backend.relu([value], bound)
            opened += [kept, positive, *backend.negative([value], bound)]  # the last one of a value that is masked
        return opened

    found = [signed(result, bits) for result in together(n, [words(v, bits) for v in inputs], program, bits)]
    for place, value in enumerate(inputs):
        negative, kept, positive, again = found[4 * place : 4 * place + 4]
        assert (negative == (value < 0)).all(), bounds[place]
        assert (kept == np.maximum(value, 0)).all(), bounds[place]
        assert (positive == (value >= 0)).all(), bounds[place]
        assert (again == (value < 0)).all(), bounds[place]


@pytest.mark.parametrize("n", [2, REPLICATED, REPLICATED_MAC, TWO_PARTY, AUTHENTICATED[0]])
@pytest.mark.parametrize("magnitude", [4, 5, 9, 17, 24, 32, 33, 48, 62, 63])
def test_comparisons_of_many_values_meet_every_carry(n: int, magnitude: int) -> None:
    """A wrong AND of groups of bits shows itself for one value in hundreds, whatever the value is."""
    bound = (1 << magnitude) - 1
    value = RNG.integers(-bound, bound, 20_000, endpoint=True)

    half = np.maximum(value // 2, -(2**62) + 1)  # which every division takes

    def program(backend: Backend, shared: list[Shared]) -> list[Shared]:
        floors = backend.truncate([shared[1]], magnitude - 2, min(bound // 2 + 1, 2**62 - 1), "floor")
        return [*backend.negative([shared[0]], bound), *floors]

    negative, floor = together(n, [value.view(np.uint64), half.view(np.uint64)], program)
    assert (negative == (value < 0)).all()
    assert (floor.view(np.int64) == half >> (magnitude - 2)).all()


@pytest.mark.parametrize(("n", "bits"), WITH_RINGS)
def test_truncation_is_exact_or_off_by_less_than_a_unit_up_to_the_bound(n: int, bits: int) -> None:
    bound = 2 ** (bits - 2) - 1
    cuts = sorted({1, 2, 5, 8, bits // 2, bits - 3, bits - 2})
    value = np.array([bound, -bound, 0, 1, -1, 2**5, -(2**5), 3 << 7, bound // 3, -(bound // 5)], dtype=object)

    def program(backend: Backend, shared: list[Shared]) -> list[Shared]:
        found = []
        for cut in cuts:
            half = 1 << (cut - 1)
            lower = backend.linear(lambda a, cut=cut: a[2:8], (6,), shared[0])
            found += backend.truncate([shared[0]], cut, bound, "stochastic")
            found += backend.truncate([shared[0]], cut, bound, "floor")
            found += backend.truncate([lower], cut, bound - half, "nearest")
        return found

    found = [signed(result, bits) for result in together(n, [words(value, bits)], program, bits)]
    for place, cut in enumerate(cuts):
        stochastic, floor, nearest = found[3 * place : 3 * place + 3]
        assert (np.abs(stochastic * (1 << cut) - value) < (1 << cut)).all()
        assert (floor == value >> cut).all()
        assert (nearest == (value[2:8] + (1 << (cut - 1))) >> cut).all()


@pytest.mark.parametrize("n", COUNTS)
def test_bits_keep_or_drop_values(n: int) -> None:
    x, y = RNG.integers(-50, 50, (4, 3)), RNG.integers(-(2**40), 2**40, (4, 3))

    def program(backend: Backend, shared: list[Shared]) -> list[Shared]:
        a, b = shared
        (negative,) = backend.negative([a], 50)
        flipped = backend.linear(np.negative, (4, 3), negative)
        other = backend.add_public(flipped, words(np.ones((1, 1))))
        moved = backend.add_public(negative, words([[5, 6, 7]]))
        part = backend.linear(lambda u: u[:, :1], (4, 1), negative)
        both = backend.multiply([(negative, negative)])[0]
        return [
            *backend.keep_if([negative, other, part], [b, b, b]),
            *backend.multiply([(moved, b), (negative, other)]),
            both,
            *backend.matmul([(negative, backend.linear(np.transpose, (3, 4), b))]),
            *backend.keep_if([negative], [b]),  # which now has both masks
        ]

    found = [signed(result) for result in together(n, [words(x), words(y)], program)]
    x, y = x.astype(object), y.astype(object)
    bit = (x < 0).astype(object)
    expected = [
        bit * y, (1 - bit) * y, bit[:, :1] * y, (bit + np.array([[5, 6, 7]])) * y, 0 * y, bit, bit.dot(y.T), bit * y,
    ]  # fmt: skip
    for result, wanted in zip(found, expected, strict=True):
        assert (result == wanted).all()


def each(function: Callable[[int], int], values: np.ndarray) -> np.ndarray:
    """A function of every Python integer, in an array of the same shape, which may have no axes or no elements."""
    return np.array([function(int(v)) for v in values.reshape(-1)], dtype=object).reshape(values.shape)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), case=st.sampled_from(WITH_RINGS))
def test_small_arrays_of_any_shape(data: st.DataObject, case: tuple[int, int]) -> None:
    n, bits = case
    shape = tuple(data.draw(st.lists(st.integers(0, 3), max_size=3)))
    size = int(np.prod(shape))
    half = 1 << (bits - 1)
    anything = st.lists(st.integers(-half, half - 1), min_size=size, max_size=size)
    x, y = (np.array(data.draw(anything), dtype=object).reshape(shape) for _ in range(2))
    bound = half - 1
    bounded = each(lambda v: max(v, -bound), x)
    small = each(lambda v: v // 2 if v // 2 > -(half // 2) else 0, x)

    def program(backend: Backend, shared: list[Shared]) -> list[Shared]:
        a, b, c, d = shared
        (kept,), (positive,) = backend.relu([c], bound)
        return [
            *backend.multiply([(a, b)]), *backend.negative([c], bound), kept, positive,
            *backend.truncate([d], 3, half // 2 - 1, "floor"), *backend.keep_if([positive], [a]),
        ]  # fmt: skip

    found = together(n, [words(value, bits) for value in (x, y, bounded, small)], program, bits)
    sign = each(lambda v: int(v >= 0), bounded)
    expected = [
        x * y, 1 - sign, each(lambda v: max(v, 0), bounded), sign, each(lambda v: v >> 3, small), sign * x,
    ]  # fmt: skip
    for result, wanted in zip(found, expected, strict=True):
        assert result.shape == shape
        assert (signed(result, bits) == wrapped(wanted, bits)).all()


@pytest.mark.parametrize("n", COUNTS)
def test_outside_parties_give_and_take(n: int) -> None:
    x, y = words(RNG.integers(-9, 9, (2, 3))), words(RNG.integers(-9, 9, (2, 3)))
    backends = sessions_of(n, (OUTSIDE, "oscar"))

    def program(backend: Backend) -> list[object]:
        a = backend.input(OUTSIDE, x if backend.me == OUTSIDE else None, (2, 3))
        b = backend.input("p1", y if backend.me == "p1" else None, (2, 3))
        (product,) = backend.multiply([(a, b)])
        (kept,), (positive,) = backend.relu([product], 81)
        values = [kept, positive, *backend.negative([b], 9), *backend.truncate([a], 1, 9, "floor"),
                  *backend.matmul([(a, backend.linear(np.transpose, (3, 2), b))]), backend.add(a, b)]  # fmt: skip
        return [backend.open(values, ["oscar"]), backend.open(values[:1], [OUTSIDE, "p0"]), backend.open([a], [])]

    found = run(backends, program)
    for name, (first, second, third) in found.items():
        assert (first is not None) == (name == "oscar")
        assert (second is not None) == (name in (OUTSIDE, "p0"))
        assert third is None
    a, b = signed(x), signed(y)
    product = a * b
    expected = [
        np.maximum(product, 0), product >= 0, b < 0, a >> 1, a.dot(b.T), a + b,
    ]  # fmt: skip
    opened = found["oscar"][0]
    assert isinstance(opened, list)
    for result, wanted in zip(opened, expected, strict=True):
        assert (signed(result) == wanted).all()
    assert (found[OUTSIDE][1][0] == found["p0"][1][0]).all()  # type: ignore[index]


@pytest.mark.parametrize("n", [2, REPLICATED, REPLICATED_MAC, TWO_PARTY])
def test_published_overflows_of_others_are_right_here(n: int) -> None:
    """(10^6)^2 and (10^5)^2, squared at 16 fraction bits, wrap silently elsewhere. The ring's integers are exact."""
    x = words([10**6 << 8, 10**5 << 16, -(10**9)])
    (square,) = together(n, [x], lambda backend, shared: backend.multiply([(shared[0], shared[0])]))
    assert (signed(square) == wrapped([(10**6 << 8) ** 2, (10**5 << 16) ** 2, 10**18], 64)).all()
