"""The inner loops against plain definitions of what they do."""

from __future__ import annotations

import numpy as np
import pytest

from mpc.errors import ParameterError
from mpc.tensors.backends.kernels import KeyStream, from_plane, plane_words, to_planes, whole

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 130, 1000])
def test_planes_hold_each_bit_where_the_module_says(count: int) -> None:
    values = RNG.integers(0, 2**64, count, dtype=np.uint64)
    planes = to_planes(values, 64)
    width = plane_words(count)
    assert planes.shape == (64, width)
    for number in range(0, count, 7):
        word, place = divmod(number, 64)
        bits = sum((int(planes[bit, word]) >> place & 1) << bit for bit in range(64))
        assert bits == int(values[number])
    for bit in (0, 5, 63):
        assert (from_plane(planes[bit], count) == values >> np.uint64(bit) & np.uint64(1)).all()
    assert to_planes(values, 9).shape == (9, width)


def test_planes_do_not_change_what_they_are_made_of() -> None:
    values = RNG.integers(0, 2**64, 100, dtype=np.uint64)
    kept = values.copy()
    to_planes(values, 64)
    assert (values == kept).all()


def test_a_stream_gives_each_word_once() -> None:
    seed = bytes(range(32))
    pieces = [KeyStream(seed).words(count) for count in (1, 7)]
    stream = KeyStream(seed)
    all_words = [stream.words(count) for count in (1, 0, 7, 300_000, 99_992)]
    assert (all_words[0] == pieces[0]).all()
    assert np.unique(np.concatenate(all_words)).size == 400_000
    with pytest.raises(ParameterError, match="32"):
        KeyStream(bytes(16))


def test_arrays_go_to_the_core_in_order_and_where_their_words_begin() -> None:
    words = RNG.integers(0, 2**64, (3, 4), dtype=np.uint64)
    assert whole(words) is words
    unaligned = np.frombuffer(bytes(4) + words.tobytes(), dtype=np.uint64, offset=4)
    for found, expected in ((whole(words.T), words.T), (whole(unaligned), words.reshape(-1))):
        assert found.flags.c_contiguous
        assert found.flags.aligned
        assert np.array_equal(found, expected)
