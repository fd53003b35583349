"""Shared words that are cut, streams that are added and subtracted in place, and products without a third share."""

from __future__ import annotations

import numpy as np
import pytest

from mpc import _core
from mpc.errors import ParameterError

RNG = np.random.default_rng(12)
RINGS = [(64, 16), (64, 1), (64, 62), (40, 7), (16, 14)]


@pytest.mark.parametrize(("ring_bits", "bits"), RINGS)
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5)])
def test_cut_words_are_what_they_are_in_integers(ring_bits: int, bits: int, shape: tuple[int, ...]) -> None:
    """With x = c - r, the parties' shares add up to x / 2^bits, rounded down or up, for every x that the ring holds."""
    ring = 1 << ring_bits
    bound = ring >> 2
    edges = [-bound, -bound + 1, -1, 0, 1, bound - 1]
    x = np.array([edges[i % 6] for i in range(int(np.prod(shape)))], dtype=object).reshape(shape)
    a = RNG.integers(0, ring - 1, shape, dtype=np.uint64, endpoint=True)
    opened = np.vectorize(lambda one, other: (one - int(other)) % ring, otypes=[np.uint64])(x, a) if x.size else a
    u, top = _core.cut_masks(np.asarray(a), ring_bits, bits)
    assert u.shape == top.shape == shape
    for one, found_u, found_top in zip(np.ravel(a), np.ravel(u), np.ravel(top), strict=True):
        r = -int(one) % ring
        assert int(found_top) == r >> (ring_bits - 1)
        rest = r % (ring // 2) >> bits
        assert int(found_u) == ((int(found_top) << (ring_bits - 1 - bits)) - rest) % ring
    u_share = RNG.integers(0, ring - 1, shape, dtype=np.uint64, endpoint=True)
    top_share = RNG.integers(0, 1 << bits, shape, dtype=np.uint64)
    opened, offset = np.asarray(opened), 1 << (ring_bits - 2)
    rest_u = np.asarray(u - u_share) & np.uint64(ring - 1)
    rest_top = np.asarray(top - top_share) & np.uint64((1 << bits) - 1)
    first = _core.cut_shares(opened, offset, np.asarray(u_share), np.asarray(top_share), ring_bits, bits, True)
    second = _core.cut_shares(opened, offset, rest_u, rest_top, ring_bits, bits, False)
    for value, one, other in zip(np.ravel(x), np.ravel(first), np.ravel(second), strict=True):
        total = (int(one) + int(other)) % ring
        found = total - ring if total >= ring // 2 else total
        assert found in (value >> bits, (value >> bits) + 1)
        assert found == value >> bits or value % (1 << bits)


def test_cuts_that_are_refused() -> None:
    words = RNG.integers(0, 9, 6, dtype=np.uint64)
    for ring_bits, bits, expected in ((64, 63, "1 to 62 bits"), (16, 0, "1 to 14 bits"), (65, 3, "a ring of 2 to 64")):
        with pytest.raises(ParameterError, match=expected):
            _core.cut_masks(words, ring_bits, bits)
        with pytest.raises(ParameterError, match=expected):
            _core.cut_shares(words, 0, words, words, ring_bits, bits, True)
    with pytest.raises(ParameterError, match=r"u: expected shape \(6,\) as that of opened, found \(5,\)"):
        _core.cut_shares(words, 0, words[:5], words, 64, 3, True)
    with pytest.raises(ParameterError, match="top: expected a C-contiguous uint64 array"):
        _core.cut_shares(words[:3], 0, words[:3], words[::2], 64, 3, True)


@pytest.mark.parametrize("count", [0, 1, 511, 513, 4000])
def test_a_stream_is_added_and_subtracted_as_its_words_are(count: int) -> None:
    seed = bytes(range(32))
    drawn, before = _core.KeyStream(seed).words(count), RNG.integers(0, 2**64, count, dtype=np.uint64)
    total = before.copy()
    _core.KeyStream(seed).add_to(total)
    assert np.array_equal(total, before + drawn)
    kept = before.copy()
    assert np.array_equal(_core.KeyStream(seed).subtracted(before), before - drawn)
    assert np.array_equal(before, kept)
    with pytest.raises(ParameterError, match="words: expected a C-contiguous uint64 array"):
        _core.KeyStream(seed).subtracted(np.zeros((4, 4), dtype=np.uint64).T)


@pytest.mark.parametrize("adds_product", [False, True])
def test_a_product_may_lack_its_third_share(adds_product: bool) -> None:
    d, e, a, b = RNG.integers(0, 2**64, (4, 77), dtype=np.uint64)
    found = _core.multiply_layer(d, e, a, b, None, adds_product)
    assert np.array_equal(found, d * b + a * e + (d * e if adds_product else np.uint64(0)))
