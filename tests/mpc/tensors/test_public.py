"""Public numbers that a program repeats. What is kept of them is what is made of an array of one."""

from __future__ import annotations

import numpy as np
import pytest

from mpc.errors import RangeError
from mpc.tensors.public import PublicWords, encode_at, encode_factor, encode_public
from mpc.tensors.ranges import Format

FORMATS = (Format(64, 16), Format(64, 12), Format(32, 10))


def plain(public: PublicWords) -> tuple[int, object, int, float]:
    return int(public.words.reshape(-1)[0]), public.range, public.fraction_bits, public.error


@pytest.mark.parametrize("number", [0.0, -0.0, 1.0, -3.0, 0.1, -0.1, 1e-9, 2.5, 1000.25])
def test_one_number_is_encoded_as_an_array_of_one_in_every_format(number: float) -> None:
    for format in FORMATS:
        for values in (number, np.float64(number), np.asarray(number)):
            for _ in range(2):
                assert plain(encode_public("add", values, format)) == plain(encode_public("add", [number], format))
                assert plain(encode_at("clip", values, format, 20)) == plain(encode_at("clip", [number], format, 20))
                for room in (8, 24, 40):
                    found = encode_factor("multiply", values, format, room)
                    assert found.shape == ()
                    assert plain(found) == plain(encode_factor("multiply", [number], format, room))


@pytest.mark.parametrize(("number", "sentence"), [(1e30, "expected public values that fit"), (float("nan"), "NaN")])
def test_a_number_that_is_refused_names_its_operation_each_time(number: float, sentence: str) -> None:
    for label in ("multiply #1", "multiply #2"):
        with pytest.raises(RangeError, match=f"^{label}: .*{sentence}"):
            encode_factor(label, number, FORMATS[0], 40)
        with pytest.raises(RangeError, match=f"^{label}: .*{sentence}"):
            encode_public(label, number, FORMATS[0])
        with pytest.raises(RangeError, match=f"^{label}: .*{sentence}"):
            encode_at(label, np.float64(number), FORMATS[0], 16)
