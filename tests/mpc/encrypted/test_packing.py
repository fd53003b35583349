"""Records come back from their slots, sums by rotation add up what they should, and bad shapes are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.encrypted.packing import Packing
from mpc.errors import ParameterError


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 16), st.sampled_from([16, 64, 256]), st.integers(0, 2**31))
def test_records_come_back_and_sums_are_where_a_program_reads_them(n: int, d: int, slots: int, seed: int) -> None:
    packing = Packing.fit(n, d, slots)
    assert packing.records >= n
    assert packing.rows * packing.features == slots
    records = np.random.default_rng(seed).normal(size=(n, d))
    first = np.random.default_rng(seed + 2).normal(size=d)
    packed = packing.pack(records, first)
    assert packed.shape == (packing.chunks, slots)
    unpacked = packing.unpack(packed)
    assert np.array_equal(unpacked[:n, :d], records)
    assert not unpacked[n : packing.capacity].any()
    assert np.array_equal(unpacked[packing.capacity :, :d], np.tile(first, (packing.spare, 1)))
    assert not unpacked[:, d:].any()
    assert np.array_equal(packing.unpack(packing.pack(records))[:n, :d], records)
    spread = packed[-1] * packing.only_spare(packing.chunks - 1)
    for step in packing.from_the_spare:
        spread = spread + np.roll(spread, -step)
    assert np.allclose(spread, packing.repeat(first))

    weights = np.random.default_rng(seed + 1).normal(size=d)
    repeated = packing.repeat(weights)
    assert np.allclose(packing.weights(repeated)[:d], weights)
    for chunk, slot in enumerate(packed):
        z = slot * repeated
        for step in packing.across_features:
            z = z + np.roll(z, -step)
        rows = unpacked[chunk * packing.rows : (chunk + 1) * packing.rows, :d] @ weights
        assert np.allclose(z.reshape(packing.features, packing.rows), rows)  # in every block

        sums = []
        for half in packing.halves(chunk):
            total = slot * half
            for step in packing.across_rows:
                total = total + np.roll(total, -step)
            if packing.features > 1 and packing.rows > 1:
                total = total + np.roll(total, -packing.to_the_end) - slot * half
            sums.append(total)
        found = sum(one * half for one, half in zip(sums, packing.halves(), strict=True))
        inside = unpacked[: packing.capacity][chunk * packing.rows : (chunk + 1) * packing.rows].sum(axis=0)
        assert np.allclose(found, np.repeat(inside, packing.rows))
    assert set(packing.rotations) == {*packing.across_features, *packing.across_rows, packing.to_the_end} - {0}


def test_the_shape_shows_powers_of_two_alone() -> None:
    assert Packing.fit(455, 16, 8192) == Packing.fit(300, 9, 8192) == Packing(512, 16, 8192)
    assert Packing.fit(1, 1, 8192) == Packing(8192, 1, 8192)
    assert Packing.fit(513, 16, 8192).chunks == 2


def test_a_sixteenth_of_the_last_chunk_is_spare() -> None:
    full = Packing.fit(480, 16, 8192)
    assert (full.records, full.spare, full.capacity, full.chunks) == (512, 32, 480, 1)
    assert full.from_the_spare == (32, 64, 128, 256)
    for n in (481, 512, 513):  # powers of two, too
        assert (Packing.fit(n, 16, 8192).records, Packing.fit(n, 16, 8192).capacity) == (1024, 992)
    assert Packing.fit(3, 8192, 8192) == Packing(4, 8192, 8192)  # a row a chunk, the last of which is spare
    assert Packing.fit(4, 8192, 8192).records == 8
    assert (Packing(1024, 16, 8192).only_spare(0).sum(), Packing(1024, 16, 8192).only_spare(1).sum()) == (0, 32 * 16)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: Packing(500, 16, 8192), "expected a power of two for records, found 500"),
        (lambda: Packing(512, 0, 8192), "expected a power of two for features, found 0"),
        (lambda: Packing(256, 16, 8192), "expected at least 512 records, padded ones among them, found 256"),
        (lambda: Packing.fit(10, 9000, 8192), "expected at most 8192 features in one ciphertext, found 9000"),
        (lambda: Packing.fit(0, 3, 8192), "expected records and features, found 0 and 3"),
        (lambda: Packing(512, 16, 8192).pack(np.zeros((513, 2))), "expected at most 480 records of 16 features"),
        (lambda: Packing(512, 16, 8192).pack(np.zeros((5, 17))), "expected at most 480 records of 16 features"),
        (lambda: Packing(512, 16, 8192).pack(np.zeros((481, 2))), "expected at most 480 records of 16 features, found"),
        (lambda: Packing(512, 16, 8192).pack(np.zeros((5, 2)), np.zeros(17)), "expected at most 16 spare numbers"),
        (lambda: Packing(1, 4, 4), "expected room for a record beside a spare row, found 1 rows in all"),
        (lambda: Packing(512, 16, 8192).repeat(np.zeros(17)), "expected at most 16 weights"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(made: object, sentence: str) -> None:
    assert callable(made)
    with pytest.raises(ParameterError, match=sentence):
        made()
