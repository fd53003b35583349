"""Products of two parties are exact anywhere in the ring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.tensors.backends import TwoPartyBackend
from mpc.tensors.backends.interface import Shared
from mpc.tensors.backends.two_party.encrypted import DEGREE
from mpc.tensors.backends.two_party.matrices import Blocks, blocks_for
from tests.mpc.tensors.backends.session import TWO_PARTY, together
from tests.mpc.tensors.backends.two_party.arrays import RNG, anywhere


@pytest.mark.parametrize(
    ("shape", "bits"), [((3, 200, 1), 64), ((1, 9000, 1), 64), ((17, 33, 29), 64), ((30, 45, 2), 40)]
)
def test_products_of_matrices_are_exact_anywhere_in_the_ring(shape: tuple[int, int, int], bits: int) -> None:
    (m, k, n), mask = shape, np.uint64(2**bits - 1)
    x, y = anywhere(m, k, bits=bits), anywhere(k, n, bits=bits)
    (found,) = together(TWO_PARTY, [x, y], lambda backend, shared: backend.matmul([(shared[0], shared[1])]), bits)
    assert (found == x @ y & mask).all()


def test_stacks_of_matrices_broadcast() -> None:
    x, y = anywhere(2, 1, 9, 10), anywhere(3, 10, 8)
    (found,) = together(TWO_PARTY, [x, y], lambda backend, shared: backend.matmul([(shared[0], shared[1])]))
    assert (found == x @ y).all()


@pytest.mark.parametrize(("count", "bits"), [(2048, 64), (DEGREE + 5, 64), (2 * DEGREE + 3000, 40)])
def test_many_products_of_words_are_exact_anywhere_in_the_ring(count: int, bits: int) -> None:
    """They go in polynomials, all but a few that go by OT."""
    x, y, mask = anywhere(count, bits=bits), anywhere(count, bits=bits), np.uint64(2**bits - 1)

    def program(backend: TwoPartyBackend, shared: list[Shared]) -> list[Shared]:
        a, b = shared
        return list(backend.multiply([(a, b), (a, a)]))

    product, square = together(TWO_PARTY, [x, y], program, bits)
    assert (product == x * y & mask).all()
    assert (square == x * x & mask).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_blocks_put_every_sum_of_products_at_its_place(m: int, k: int, n: int) -> None:
    """Of the polynomials in the clear, of small numbers, whose products are a convolution."""
    blocks = blocks_for(m, k, n)
    a, b = RNG.integers(0, 9, (m, k)).astype(np.uint64), RNG.integers(0, 9, (k, n)).astype(np.uint64)
    rows, sums, columns = blocks.counts
    left = blocks.uploads(a).reshape(rows, sums, DEGREE).astype(float)
    right = blocks.weights(b, slice(0, columns)).astype(float)
    found = np.zeros((rows * blocks.mw, columns * blocks.nw))
    for row in range(rows):
        for column in range(columns):
            long = sum(
                np.fft.irfft(np.fft.rfft(left[row, j], 2 * DEGREE) * np.fft.rfft(right[column, j], 2 * DEGREE))
                for j in range(sums)
            )
            wrapped = np.rint(long[:DEGREE] - long[DEGREE:])[blocks.places()].reshape(blocks.mw, blocks.nw)
            found[row * blocks.mw :, column * blocks.nw :][: blocks.mw, : blocks.nw] = wrapped
    assert (found[:m, :n] == a.astype(float) @ b.astype(float)).all()


def test_blocks_stay_within_what_the_noise_allows() -> None:
    for m, k, n in [(1, 1, 1), (256, 256, 256), (1, 16384, 1), (1000, 1000, 1000), (455, 30, 1), (9, 8192, 7)]:
        blocks = blocks_for(m, k, n)
        assert blocks.mw * blocks.kw * blocks.nw <= DEGREE
        assert k * blocks.nw <= 1 << 14
        assert blocks.counts[1] <= 999
    assert Blocks(10, 10, 10, 2, 4, 3).counts == (5, 3, 4)
