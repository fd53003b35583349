"""The inner loops against plain definitions of what they do."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mpc.errors import ParameterError
from mpc.tensors.backends.kernels import KeyStream, from_plane, plane_words, to_planes

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 130, 1000])
def test_planes_hold_each_bit_where_the_module_says(count: int) -> None:
    values = RNG.integers(0, 2**64, count, dtype=np.uint64)
    planes = to_planes(values, 64)
    width = plane_words(count)
    assert planes.shape == (64, width)
    for number in range(0, count, 7):
        place, word = divmod(number, width)
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


def test_a_stream_is_aes_in_counter_mode_and_gives_each_word_once() -> None:
    seed = bytes(range(32))
    whole = Cipher(algorithms.AES(seed), modes.CTR(bytes(16))).encryptor().update(bytes(8 * 400_000))
    stream = KeyStream(seed)
    pieces = [stream.words(count) for count in (1, 0, 7, 300_000, 99_992)]
    assert np.concatenate(pieces).tobytes() == whole
    assert np.unique(np.concatenate(pieces)).size == 400_000
    assert repr(stream) == "KeyStream(<seed hidden>)"
    with pytest.raises(ParameterError, match="expected a seed of 32 B, found 16"):
        KeyStream(bytes(16))
