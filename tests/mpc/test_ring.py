"""Fixed point, shares and packing in Z_2^bits: round trips, bounds, one beyond, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc.errors import ParameterError, ProtocolError, RangeError
from mpc.randomness import uniform_below, uniform_words
from mpc.ring import Ring, Words, pack_words, packed_size, unpack_words

widths = st.integers(1, 64)


@given(widths, st.lists(st.integers(0, 2**64 - 1), max_size=40))
def test_packing_round_trips_at_every_width(bits: int, values: list[int]) -> None:
    words = np.array(values, dtype=np.uint64) & Ring(bits).mask
    packed = pack_words(words, bits)
    assert len(packed) == packed_size(len(values), bits)
    assert (unpack_words(packed, words.shape, bits) == words).all()


def packed_by_numpy(words: Words, bits: int) -> bytes:
    """The format itself, bit by bit."""
    bits_of_words = np.unpackbits(words.reshape(-1, 1).view(np.uint8), axis=1, count=bits, bitorder="little")
    return np.packbits(bits_of_words.reshape(-1), bitorder="little").tobytes()


@given(widths, st.integers(0, 200), st.integers(0, 2**32))
def test_packed_bytes_are_those_of_numpy(bits: int, count: int, seed: int) -> None:
    words = np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)
    packed = pack_words(words, bits)
    assert packed == packed_by_numpy(words, bits)
    assert (unpack_words(memoryview(packed), (count, 1), bits)[:, 0] == words & Ring(bits).mask).all()


def test_words_of_any_layout_are_packed_in_order() -> None:
    words = np.arange(24, dtype=np.uint64).reshape(4, 6)
    for view in (words, words.T, words[::2, ::-3], words[:0], words[0, 0]):
        assert pack_words(view, 5) == packed_by_numpy(np.ascontiguousarray(view), 5)


@given(widths, st.integers(-(2**63), 2**63 - 1))
def test_signed_is_the_twos_complement_representative(bits: int, value: int) -> None:
    ring = Ring(bits)
    word = np.array([value % 2**bits], dtype=np.uint64)
    expected = (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
    assert ring.signed(word)[0] == expected


@given(widths, st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_shares_add_up(bits: int, values: list[int]) -> None:
    ring = Ring(bits)
    words = np.array(values, dtype=np.uint64) & ring.mask
    first, second = ring.share(words)
    assert (ring.add(first, second) == words).all()
    assert (second <= ring.mask).all()


def test_one_share_is_uniform() -> None:
    _, second = Ring(4).share(np.zeros(16000, dtype=np.uint64))
    counts = np.bincount(second.astype(int), minlength=16)
    assert ((counts - 1000) ** 2 / 1000).sum() < 45  # chi-square, 15 degrees of freedom, p < 1e-4


def test_encoding_stands_at_the_bound_and_falls_one_beyond() -> None:
    ring = Ring(8)
    assert ring.signed(ring.encode([-8.0, 7.9375], 4)).tolist() == [-128, 127]
    for beyond in (8.0, -8.0625):
        with pytest.raises(RangeError, match="below 2\\^3 in magnitude"):
            ring.encode([beyond], 4)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(RangeError, match="finite"):
            ring.encode([bad], 4)
    assert ring.decode(ring.encode([1.25, -3.5], 4), 4).tolist() == [1.25, -3.5]


def test_unusable_widths_and_lengths_are_refused() -> None:
    for bits in (0, 65):
        with pytest.raises(ParameterError):
            Ring(bits)
        with pytest.raises(ParameterError):
            uniform_words(3, bits)
    with pytest.raises(ProtocolError, match="expected bytes of packed words 2, found 3"):
        unpack_words(b"abc", (3,), 5)
    with pytest.raises(ProtocolError, match="zero padding"):
        unpack_words(b"\xff\xff", (3,), 5)
    with pytest.raises(ParameterError):
        uniform_below(0)


@given(st.integers(1, 2**70))
def test_uniform_below_stays_below(bound: int) -> None:
    assert 0 <= uniform_below(bound) < bound
