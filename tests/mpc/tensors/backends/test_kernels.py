"""The inner loops against plain definitions of what they do."""

from __future__ import annotations

import numpy as np
import pytest

from mpc.errors import ParameterError
from mpc.ring import Words
from mpc.tensors.backends.kernels import BLOCK, KeyStream, from_plane, in_blocks, plane_words, to_planes

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
    whole = [stream.words(count) for count in (1, 0, 7, 300_000, 99_992)]
    assert (whole[0] == pieces[0]).all()
    assert np.unique(np.concatenate(whole)).size == 400_000
    with pytest.raises(ParameterError, match="32"):
        KeyStream(bytes(16))


@pytest.mark.parametrize("size", [0, 1, 2 * BLOCK, 2 * BLOCK + 1, 5 * BLOCK - 3])
def test_large_arrays_are_computed_on_in_blocks_and_give_the_same(size: int) -> None:
    rng = np.random.default_rng(size)
    x, y = rng.integers(0, 2**64, (2, size), dtype=np.uint64)
    seen: list[int] = []

    def function(a: Words, b: Words) -> tuple[Words, Words]:
        seen.append(a.size)
        return a * b + a, a ^ b

    for first, second in ((x, y), (x[::-1], y)):  # the second time not in one piece of memory
        found = in_blocks(function, first, second)
        assert np.array_equal(found[0], first * second + first)
        assert np.array_equal(found[1], first ^ second)
    in_pieces = [BLOCK] * (size // BLOCK) + [size % BLOCK] * (size % BLOCK > 0)
    assert seen == [*(in_pieces if size > 2 * BLOCK else [size]), size]
