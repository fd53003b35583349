"""Arithmetic on arrays of shares in the C++ core, against numpy and plain integers, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mpc import _core
from mpc._core import KeyStream
from mpc.errors import OrderError, ParameterError, ProtocolError

Words = NDArray[np.uint64]
SEED = bytes(range(32))


def random_words(shape: tuple[int, ...], seed: int = 0, dtype: type = np.uint64) -> NDArray[np.unsignedinteger]:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


# -- matrix products ---------------------------------------------------------------------------------------------------

SHAPES = [
    ((3, 4), (4, 5)),
    ((0, 4), (4, 5)),
    ((3, 0), (0, 5)),
    ((3, 4), (4, 0)),
    ((1, 1), (1, 1)),
    ((131, 517), (517, 37)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((3, 4), (2, 4, 5)),
    ((7, 1, 3, 4), (2, 4, 5)),
    ((1, 3, 4), (6, 4, 5)),
    ((0, 3, 4), (4, 5)),
    ((0, 3, 4), (1, 4, 5)),
]


@pytest.mark.parametrize("dtype", [np.uint64, np.uint32])
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_products_are_numpys(left: tuple[int, ...], right: tuple[int, ...], dtype: type) -> None:
    a, b = random_words(left, 1, dtype), random_words(right, 2, dtype)
    multiply: Callable[..., NDArray[np.generic]] = _core.matmul_u64 if dtype is np.uint64 else _core.matmul_u32
    product = multiply(a, b)
    assert product.dtype == dtype
    assert product.shape == (a @ b).shape
    np.testing.assert_array_equal(product, a @ b)


def test_a_product_is_that_of_plain_integers() -> None:
    a, b = random_words((3, 5), 3), random_words((5, 2), 4)
    wanted = [[sum(int(a[i, k]) * int(b[k, j]) for k in range(5)) % 2**64 for j in range(2)] for i in range(3)]
    assert _core.matmul_u64(a, b).tolist() == wanted


def test_layouts_of_the_factors_do_not_matter() -> None:
    whole = random_words((4, 40, 40), 5)
    views = [
        whole,
        whole.swapaxes(1, 2),
        whole[:, ::-1],
        whole[:, :, ::-1],
        whole[::2].repeat(2, axis=0),
        np.broadcast_to(whole[0], (4, 40, 40)),
        np.broadcast_to(whole[0, 0], (4, 40, 40)),
        random_words((4, 80, 120), 6)[:, 1::2, 2::3],
        np.asfortranarray(whole),
    ]
    for a in views:
        for b in views:
            np.testing.assert_array_equal(_core.matmul_u64(a, b), a @ b)
            np.testing.assert_array_equal(_core.matmul_u64(a, b[1]), a @ b[1])


def test_a_result_goes_to_given_memory() -> None:
    a, b, out = random_words((2, 3, 4), 7), random_words((4, 5), 8), random_words((2, 3, 5), 9)
    assert _core.matmul_u64(a, b, out) is out
    np.testing.assert_array_equal(out, a @ b)
    assert _core.matmul_u64(a + a, b, out, adds=True) is out
    np.testing.assert_array_equal(out, (a @ b) * np.uint64(3))
    many, stack = random_words((6, 3, 4), 10), random_words((6, 4, 5), 11)
    sums = many @ stack
    _core.matmul_u64(many, stack, sums, adds=True)
    np.testing.assert_array_equal(sums, many @ stack * np.uint64(2))
    a.flags.writeable = False
    np.testing.assert_array_equal(_core.matmul_u64(a, b), a @ b)


def test_products_that_are_refused() -> None:
    a, b = random_words((3, 4)), random_words((4, 5))
    with pytest.raises(ParameterError, match=r"\(3, 4\) and \(5, 4\)"):
        _core.matmul_u64(a, b.reshape(5, 4))
    with pytest.raises(ParameterError, match=r"broadcast, found \(2, 3, 4\) and \(3, 4, 5\)"):
        _core.matmul_u64(random_words((2, 3, 4)), random_words((3, 4, 5)))
    with pytest.raises(
        ParameterError, match=r"a: expected a uint64 array of at least two dimensions, found shape \(4,\)"
    ):
        _core.matmul_u64(a[0], b)
    with pytest.raises(ParameterError, match="b: expected a uint64 array"):
        _core.matmul_u64(a, b.astype(np.int64))
    with pytest.raises(ParameterError, match="a: expected a uint32 array"):
        _core.matmul_u32(a, b)
    with pytest.raises(ParameterError, match=r"out: expected shape \(3, 5\), found \(5, 3\)"):
        _core.matmul_u64(a, b, random_words((5, 3)))
    with pytest.raises(ParameterError, match="out: expected a C-contiguous uint64 array"):
        _core.matmul_u64(a, b, random_words((5, 3)).T)
    with pytest.raises(ParameterError, match="an array to add the product to, found none"):
        _core.matmul_u64(a, b, adds=True)
    square = random_words((8, 4))
    with pytest.raises(ParameterError, match="apart from that of a"):
        _core.matmul_u64(square[:4], square[4:], square[:4])
    with pytest.raises(ParameterError, match="apart from that of b"):
        _core.matmul_u64(square[:4], square[:3:-1].T, square[4:])
    unwritable = random_words((3, 5))
    unwritable.flags.writeable = False
    with pytest.raises(ParameterError, match="to write to"):
        _core.matmul_u64(a, b, unwritable)


# -- layers ------------------------------------------------------------------------------------------------------------


def numpy_layer(binary: bool, d: Words, e: Words, a: Words, b: Words, c: Words, adds_product: bool) -> Words:
    if binary:
        return c ^ (d & b) ^ (a & e) ^ (d & e if adds_product else np.zeros_like(d))
    return c + d * b + a * e + (d * e if adds_product else np.zeros_like(d))


# -- products with their upper words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_wide_products_are_those_of_plain_integers(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    a, b = random_words(left, 1), random_words(right, 2)
    a.reshape(-1)[: a.size // 2], b.reshape(-1)[: b.size // 2] = 2**64 - 1, 2**64 - 1
    low, high = _core.matmul_wide(a, b)
    expected = (a.astype(object) @ b.astype(object)) % 2**128
    assert low.shape == expected.shape
    assert (low.astype(object) + (high.astype(object) << 64) == expected).all()


@pytest.mark.parametrize("depth", [1, 255, 256, 257, 1030])
def test_wide_products_of_extremes_are_exact(depth: int) -> None:
    """Where sums are largest, and where the lower word of a sum is next to a multiple of 2^64."""
    largest, half = 2**64 - 1, 2**32
    upper = largest - half + 1
    for left, right in [(largest, largest), (half - 1, largest), (upper, half - 1), (2**63, 2), (1, 1), (0, 1)]:
        for more in (0, 1):
            a, b = np.full((5, depth), left, dtype=np.uint64), np.full((depth, 6), right, dtype=np.uint64)
            a[0, 0], b[0, 0] = more, more
            low, high = _core.matmul_wide(a, b)
            expected = (a.astype(object) @ b.astype(object)) % 2**128
            assert (low.astype(object) + (high.astype(object) << 64) == expected).all()


@pytest.mark.parametrize(("rows", "depth", "columns"), [(4, 256, 16), (9, 300, 33), (1, 2000, 1), (3, 511, 5)])
def test_wide_products_are_added_to_what_is_there(rows: int, depth: int, columns: int) -> None:
    a, b = random_words((2, rows, depth), 1), random_words((depth, columns), 2)
    a[0], b[:, ::2] = 2**64 - 1, 2**64 - 1
    out = random_words((2, 2, rows, columns), 3)
    before = out[0].astype(object) + (out[1].astype(object) << 64)
    assert _core.matmul_wide(a, b, out) is out
    expected = (before + a.astype(object) @ b.astype(object)) % 2**128
    assert (out[0].astype(object) + (out[1].astype(object) << 64) == expected).all()
    square = random_words((2, rows, rows))
    with pytest.raises(ParameterError, match="apart from that of a"):
        _core.matmul_wide(square[1], random_words((rows, rows)), square)
    with pytest.raises(ParameterError, match="out: expected shape"):
        _core.matmul_wide(a, b, out[0])


def test_layouts_of_the_factors_of_wide_products_do_not_matter() -> None:
    a, b = random_words((6, 9), 1), random_words((9, 5), 2)
    expected = _core.matmul_wide(a, b)
    for left in (np.asfortranarray(a), np.repeat(a, 2, axis=1)[:, ::2], a[::-1, ::-1][::-1, ::-1]):
        for right in (np.asfortranarray(b), np.repeat(b, 3, axis=0)[::3]):
            np.testing.assert_array_equal(_core.matmul_wide(left, right), expected)


def test_whole_products_and_sums_of_polynomials_are_those_of_plain_integers() -> None:
    a, b = random_words((4, 5), 1), random_words((4, 5), 2)
    low, high = _core.wide_products(a, b).astype(object)
    assert (low + (high << 64) == a.astype(object) * b.astype(object)).all()
    total = 0
    for x, y in zip(a.reshape(-1).tolist(), b.reshape(-1).tolist(), strict=True):
        for bit in range(64):
            total ^= (x << bit) * (y >> bit & 1)
    low, high = _core.carryless_sum(a, b).tolist()
    assert low + (high << 64) == total
    assert _core.carryless_sum(a[:0], b[:0]).tolist() == [0, 0]


def test_sums_of_wide_numbers_are_those_of_plain_integers() -> None:
    c, low, high = (random_words((4, 5), seed) for seed in (1, 2, 3))
    c[0], low[0], high[0] = 2**64 - 1, 2**64 - 1, 2**64 - 1
    expected = int((c.astype(object) * (low.astype(object) + (high.astype(object) << 64))).sum()) % 2**128
    assert _core.wide_sum(c, low, high).tolist() == [expected % 2**64, expected >> 64]
    assert _core.wide_sum(c[:0], low[:0], high[:0]).tolist() == [0, 0]
    with pytest.raises(ParameterError, match=r"high: expected shape \(4, 5\) as that of a, found \(5, 4\)"):
        _core.wide_sum(c, low, high.reshape(5, 4))


@pytest.mark.parametrize("shape", [(0,), (1,), (2, 3, 5), (2, 1001)])
def test_numbers_of_two_words_are_added_and_multiplied_as_plain_integers(shape: tuple[int, ...]) -> None:
    low, high, other_low, other_high = (random_words(shape, seed) for seed in range(4))
    low.reshape(-1)[:1], other_low.reshape(-1)[:1] = 2**64 - 1, 2**64 - 1  # a carry
    x, y = (
        upper.astype(object) * 2**64 + lower.astype(object) for lower, upper in ((low, high), (other_low, other_high))
    )
    for function, expected in ((_core.wide_add, x + y), (_core.wide_subtract, x - y)):
        found = function(low, high, other_low, other_high).astype(object)
        assert (found[0] + found[1] * 2**64 == expected % 2**128).all()
    for factors in (random_words(shape, 5), random_words(shape[1:], 6), random_words((), 7)):
        found = _core.wide_times(low, high, factors).astype(object)
        assert (found[0] + found[1] * 2**64 == x * factors.astype(object) % 2**128).all()


def plain(low: Words, high: Words) -> Words:
    return low.astype(object) + high.astype(object) * 2**64


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3, 5), (2, 1001)])
def test_numbers_and_their_macs_are_those_of_plain_integers(shape: tuple[int, ...]) -> None:
    words = [random_words(shape, seed) for seed in range(8)]
    for each in words:
        each.reshape(-1)[:1] = 2**64 - 1
    x, y, z = (plain(*words[place : place + 2]) for place in (0, 2, 4))
    c, d = words[6:]
    found = _core.wide_sum_of_products(*words[:2], c, *words[2:4], d, *words[4:6])
    assert np.all(plain(*found) == (x * c.astype(object) + y * d.astype(object) + z) % 2**128)
    found = _core.wide_macs(*words[:2], 2**64 - 1, 3, *words[2:4])
    assert np.all(plain(*found) == (x * (3 * 2**64 + 2**64 - 1) - y) % 2**128)
    for first in (True, False):
        low, high = _core.wide_public(c, 2**64 - 59, first)
        assert np.all(plain(low[0], high[0]) == (c.astype(object) if first else 0))
        assert np.all(plain(low[1], high[1]) == c.astype(object) * (2**64 - 59))


def test_numbers_of_two_words_that_are_refused() -> None:
    words = random_words((2, 3))
    with pytest.raises(ParameterError, match=r"low: expected shape \(2, 3\) as that of a, found \(3, 2\)"):
        _core.wide_macs(words, words, 1, 2, words.reshape(3, 2), words)
    with pytest.raises(ParameterError, match=r"other_factors: expected shape \(2, 3\) as that of a, found \(3, 2\)"):
        _core.wide_sum_of_products(words, words, words, words, words, words.reshape(3, 2), words, words)
    with pytest.raises(ParameterError, match=r"other_high: expected shape \(2, 3\) as that of a, found \(3, 2\)"):
        _core.wide_add(words, words, words, words.reshape(3, 2))
    for wrong in (words.reshape(3, 2), words[:1], random_words((2,)), random_words((1, 2, 3))):
        with pytest.raises(
            ParameterError, match=r"factors: expected the last dimensions of shape \(2, 3\), found shape"
        ):
            _core.wide_times(words, words, wrong)


@pytest.mark.parametrize("rows", [1, 3, 7, 15])
def test_chosen_words_compare_public_numbers_with_shared_ones(rows: int) -> None:
    """Of two parties' shares, one of whom holds the share of a one."""
    rng = np.random.default_rng(rows)
    public, secret = rng.integers(0, rows + 1, (2, 500), dtype=np.uint64)
    table = np.where(np.arange(1, rows + 1)[:, None] == secret, np.uint64(2**48 - 1), np.uint64(0))
    mine = random_words(table.shape, 1)
    less, equal = _core.chosen_words(mine, public, 5) ^ _core.chosen_words(mine ^ table, public, 5 ^ (2**48 - 1))
    assert (less == np.where(public < secret, 2**48 - 1, 0)).all()
    assert (equal == np.where(public == secret, 2**48 - 1, 0)).all()


def groups_of(numbers: Words, bits: int) -> Words:
    """Return every four bits of numbers, the lowest first."""
    return np.stack([(numbers >> np.uint64(4 * group)) & np.uint64(15) for group in range(-(-bits // 4))])


@pytest.mark.parametrize("bits", [1, 3, 4, 5, 16, 30, 63, 64])
@pytest.mark.parametrize("count", [1, 64, 5000])
def test_chosen_planes_compare_every_four_bits_of_public_numbers_with_shared_ones(bits: int, count: int) -> None:
    """Of two parties' shares, one of whom holds the share of a one. Two public numbers meet each secret."""
    lowest = np.uint64((1 << bits) - 1)
    secret, above, other = (random_words((count,), seed) & lowest for seed in range(3))
    words = -(-count // 64)
    secrets, first, second = (_core.planes_of_words(numbers, bits) for numbers in (secret, above, other))
    table = _core.tables_of_planes(secrets, bits)
    mine, one, ones = random_words(table.shape, 4), 5, 2**64 - 1
    public = np.concatenate([first, second], axis=1)
    blocks = [(0, 0, words), (0, words, words)]
    less, equal = _core.chosen_planes(mine, public, bits, one, blocks) ^ _core.chosen_planes(
        mine ^ table, public, bits, one ^ ones, blocks
    )
    hidden = groups_of(secret, bits)
    for numbers, part in ((above, slice(0, words)), (other, slice(words, None))):
        shown = groups_of(numbers, bits)
        for group in range(len(shown)):
            found = _core.words_of_planes(
                np.ascontiguousarray(np.stack([less[group, part], equal[group, part]])), count
            )
            assert (
                found == (shown[group] < hidden[group]) + 2 * (shown[group] == hidden[group]).astype(np.uint64)
            ).all()


def test_tables_keep_the_planes_that_follow_and_have_no_row_for_what_a_short_group_cannot_be() -> None:
    planes = random_words((7, 70))
    table = _core.tables_of_planes(planes, 6)
    assert table.shape == (15 + 3 + 1, 70)
    assert (table[-1] == planes[6]).all()
    assert (table[17] == planes[4] & planes[5]).all()
    assert (table[15] == planes[4] & ~planes[5]).all()


def test_planes_that_cannot_be_chosen_are_refused() -> None:
    planes, table = random_words((6, 5)), random_words((18, 5))
    with pytest.raises(ParameterError, match=r"planes: expected rows for 7 of at most 64 bits, found shape \(6, 5\)"):
        _core.tables_of_planes(planes, 7)
    with pytest.raises(ParameterError, match=r"planes: expected rows for 7 of at most 64 bits"):
        _core.chosen_planes(table, planes, 7, 0, [(0, 0, 5)])
    with pytest.raises(ParameterError, match=r"table: expected 18 rows, found shape \(17, 5\)"):
        _core.chosen_planes(np.ascontiguousarray(table[:17]), planes, 6, 0, [(0, 0, 5)])
    for blocks in ([(1, 0, 5)], [(0, 1, 4)], [(0, 0, 6)], [(0, 0, 3), (0, 2, 3)]):
        with pytest.raises(ParameterError, match="blocks: expected words of rows of 5, side by side in 5"):
            _core.chosen_planes(table, planes, 6, 0, blocks)
    with pytest.raises(ParameterError, match="blocks: expected 5 words in all, found 4"):
        _core.chosen_planes(table, planes, 6, 0, [(0, 0, 4)])


def test_words_that_cannot_be_chosen_are_refused() -> None:
    table = random_words((3, 4))
    with pytest.raises(ParameterError, match="number: expected none above 3, found a larger one"):
        _core.chosen_words(table, np.array([0, 1, 4, 0], dtype=np.uint64), 1)
    with pytest.raises(ParameterError, match=r"found shape \(3, 4\) beside \(3,\)"):
        _core.chosen_words(table, np.zeros(3, dtype=np.uint64), 1)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 1003])
def test_bits_of_the_provider_and_their_openings(n: int) -> None:
    words, key = random_words((n,), 1), 2**48 - 3
    ones, none = np.uint64(2**64 - 1), np.uint64(0)
    numbers = words % np.uint64(5)
    hot = _core.number_planes(numbers, 3)
    assert (hot == np.where(numbers == np.arange(1, 4)[:, None], ones, none)).all()
    flags = random_words((n,), 2).view(np.uint8)[:n]
    planes = _core.bit_planes(words, flags)
    assert (planes == np.where((words ^ flags) & np.uint64(1), ones, none)).all()
    packed = _core.pack_bit_words(planes, words, key, 6)
    assert packed == _core.pack_words((planes & np.uint64(key)) ^ words, 48)
    plane = _core.planes_of_words(words, 1)[0]
    bits, rest = _core.open_words(plane, words, key)
    assert (bits == np.where(words & np.uint64(1), ones, none)).all()
    assert (rest == words ^ (bits & np.uint64(key))).all()


def test_bits_of_the_provider_that_are_refused() -> None:
    words = random_words((65,))
    with pytest.raises(ProtocolError, match="bits: expected 65, found 64"):
        _core.bit_planes(words, np.zeros(64, dtype=np.uint8))
    with pytest.raises(ProtocolError, match="words: expected 65, found 64"):
        _core.pack_bit_words(words, words[:64], 1, 6)
    for wrong in (0, 9):
        with pytest.raises(ParameterError, match=f"expected words of 1 to 8 bytes, found {wrong}"):
            _core.pack_bit_words(words, words, 1, wrong)
    with pytest.raises(ProtocolError, match="words of the plane: expected 2, found 1"):
        _core.open_words(words[:1], words, 1)


def test_products_of_opened_bits_are_refused_where_a_place_is_not_there() -> None:
    opened, masks, dealt = random_words((2, 5), 1), random_words((2, 5), 2), random_words((1, 5), 3)
    products = _core.bit_products(opened, masks, dealt, 9, [(0, (0, 1), (0, 1, 2, 3)), (1, (0,), (0, 1))], 2)
    assert (products[1] == (opened[0] & np.uint64(9)) ^ masks[0]).all()
    half = (opened[0] & np.uint64(9)) ^ masks[0]
    assert (products[0] == (opened[1] & half) ^ (opened[0] & masks[1]) ^ dealt[0]).all()
    for term in [(2, (0,), (0, 1)), (0, (2,), (0, 1)), (0, (0,), (0, 4)), (0, (0,), (0,)), (0, (), (0,)),
                 (0, (0,) * 9, (0,) * 512)]:  # fmt: skip
        with pytest.raises(ParameterError, match="terms: expected rows that there are"):
            _core.bit_products(opened, masks, dealt, 9, [term], 2)
    with pytest.raises(ParameterError, match=r"dealt: expected rows as those of masks, found shapes \(1, 4\)"):
        _core.bit_products(opened, masks, np.ascontiguousarray(dealt[:, :4]), 9, [], 1)
    with pytest.raises(ParameterError, match=r"opened: expected shape \(2, 5\)"):
        _core.bit_products(opened[:1], masks, dealt, 9, [], 1)


def test_wide_products_that_are_refused() -> None:
    a = random_words((2, 3))
    with pytest.raises(ParameterError, match=r"found \(2, 3\) and \(2, 3\)"):
        _core.matmul_wide(a, a)
    with pytest.raises(ParameterError, match="a: expected a uint64 array of at least two dimensions"):
        _core.matmul_wide(a[0], a)
    for function in (_core.wide_products, _core.carryless_sum):
        with pytest.raises(ParameterError, match=r"b: expected shape \(2, 3\) as that of a, found \(3, 2\)"):
            function(a, random_words((3, 2)))
        with pytest.raises(ParameterError, match="a: expected a C-contiguous uint64 array"):
            function(a.T, a)


@pytest.mark.parametrize("adds_product", [False, True])
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (3, 5), (1001,)])
def test_layers_are_numpys(shape: tuple[int, ...], binary: bool, adds_product: bool) -> None:
    layer = _core.and_layer if binary else _core.multiply_layer
    d, e, a, b, c = (random_words(shape, seed) for seed in range(5))
    wanted = numpy_layer(binary, d, e, a, b, c, adds_product)
    np.testing.assert_array_equal(layer(d, e, a, b, c, adds_product), wanted)
    assert layer(d, e, a, b, c, adds_product, c) is c
    np.testing.assert_array_equal(c, wanted)


def test_layers_that_are_refused() -> None:
    d, e, a, b, c = (random_words((6,), seed) for seed in range(5))
    with pytest.raises(ParameterError, match=r"b: expected shape \(6,\) as that of d, found \(5,\)"):
        _core.and_layer(d, e, a, b[:5], c, False)
    with pytest.raises(ParameterError, match="e: expected a C-contiguous uint64 array"):
        _core.multiply_layer(d, random_words((12,))[::2], a, b, c, False)
    memory = random_words((7,))
    with pytest.raises(ParameterError, match="apart from that of a"):
        _core.and_layer(d, e, memory[:6], b, c, False, memory[1:])


# -- planes and packed words -------------------------------------------------------------------------------------------


@given(st.integers(1, 64), st.integers(0, 700), st.integers(0, 2**32))
def test_planes_hold_every_bit(bits: int, n: int, seed: int) -> None:
    words = random_words((n,), seed)
    planes = _core.planes_of_words(words, bits)
    assert planes.shape == (bits, (n + 63) // 64)
    held = np.unpackbits(planes.view(np.uint8), axis=1, bitorder="little")
    wanted = (words >> np.arange(bits, dtype=np.uint64)[:, None]) & np.uint64(1)
    np.testing.assert_array_equal(held[:, :n], wanted)
    assert not held[:, n:].any()
    np.testing.assert_array_equal(_core.words_of_planes(planes, n), words & np.uint64(2**bits - 1))


def test_planes_that_are_refused() -> None:
    for bits in (0, 65, 2**31):
        with pytest.raises(ParameterError, match=f"1 to 64 bits, found {bits}"):
            _core.planes_of_words(random_words((3,)), bits)
    with pytest.raises(ParameterError, match="1 to 64 bits, found 65"):
        _core.words_of_planes(random_words((65, 1)), 3)
    with pytest.raises(ParameterError, match=r"expected shape \(bits, 2\) of planes of 65 words, found \(4, 1\)"):
        _core.words_of_planes(random_words((4, 1)), 65)


def test_packed_words_are_bits_without_gaps() -> None:
    assert _core.pack_words(np.array([0b101, 0b011, 0b110], np.uint64), 3) == bytes([0b10_011_101, 0b1])
    assert (
        _core.pack_words(np.array([2**64 - 1, 0x0102030405060708], np.uint64), 64).hex()
        == "f" * 16 + "0807060504030201"
    )
    assert _core.unpack_words(b"", 0, 5).tolist() == []


def test_packed_words_that_are_refused() -> None:
    with pytest.raises(ProtocolError, match="bytes of packed words: expected 2, found 3"):
        _core.unpack_words(bytes(3), 3, 5)
    with pytest.raises(ProtocolError, match="zero padding"):
        _core.unpack_words(bytes([0, 128]), 3, 5)
    with pytest.raises(ParameterError, match="1 to 64 bits, found 65"):
        _core.pack_words(random_words((3,)), 65)
    with pytest.raises(ParameterError, match="fewer than 2\\^64 bits"):
        _core.unpack_words(b"", 2**62, 5)


# -- patches -----------------------------------------------------------------------------------------------------------


def patches_by_numpy(images: Words, height: int, width: int, stride: int, padding: int) -> Words:
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))[:, :, ::stride, ::stride]
    return windows.transpose(0, 2, 3, 1, 4, 5)


@given(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 7), st.integers(0, 7)),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 6),
)
def test_patches_are_numpys_windows(
    shape: tuple[int, int, int, int], height: int, width: int, stride: int, padding: int
) -> None:
    images = random_words(shape)
    if height > shape[2] + 2 * padding or width > shape[3] + 2 * padding:
        with pytest.raises(ParameterError, match=f"found {height} x {width}"):
            _core.patches_of_images(images, height, width, stride, padding)
        return
    patches = _core.patches_of_images(images, height, width, stride, padding)
    wanted = patches_by_numpy(images, height, width, stride, padding)
    assert patches.shape == (np.prod(wanted.shape[:3]), np.prod(wanted.shape[3:]))
    np.testing.assert_array_equal(patches.reshape(-1), wanted.reshape(-1))
    # The transposed map: <patches(x), y> = <x, images(y)> for every y, which has full entries here.
    weights = random_words(patches.shape, 1)
    back = _core.images_of_patches(weights, shape, height, width, stride, padding)
    assert back.shape == shape
    assert (patches * weights).sum(dtype=np.uint64) == (images * back).sum(dtype=np.uint64)


def test_patches_that_are_refused() -> None:
    images = random_words((2, 3, 6, 5))
    with pytest.raises(
        ParameterError, match=r"expected a shape \(images, channels, height, width\), found \(3, 6, 5\)"
    ):
        _core.patches_of_images(images[0], 2, 2)
    for window in ((0, 2, 1), (2, 0, 1), (2, 2, 0)):
        with pytest.raises(ParameterError, match="at least 1"):
            _core.patches_of_images(images, *window)
    with pytest.raises(ParameterError, match="at most 2\\^31"):
        _core.patches_of_images(images, 2, 2, 1, 2**62)
    with pytest.raises(ParameterError, match=r"expected shape \(40, 12\), found \(40, 13\)"):
        _core.images_of_patches(random_words((40, 13)), (2, 3, 6, 5), 2, 2)


# -- key streams -------------------------------------------------------------------------------------------------------


def test_a_key_stream_is_aes_in_counter_mode() -> None:
    """Against OpenSSL, block by block: the second half of the seed is added to a counter with the lowest byte first."""
    cipher = Cipher(algorithms.AES(SEED[:16]), modes.ECB()).encryptor()  # noqa: S305  (single blocks)
    place = int.from_bytes(SEED[16:], "little")
    blocks = b"".join(cipher.update((place ^ i).to_bytes(16, "little")) for i in range(300))
    stream = KeyStream(SEED)
    assert stream.words(5).tobytes() == blocks[:40]
    assert stream.words((2, 3)).tobytes() == blocks[48:96]  # of the sixth word the second half of block 2 is left out
    assert stream.words(()).tobytes() == blocks[96:104]
    stream.skip(3)
    assert stream.position == 9
    assert stream.words((0,)).size == 0
    assert stream.words(582).tobytes() == blocks[144:]


def test_a_key_stream_never_repeats() -> None:
    stream = KeyStream(SEED)
    words = np.concatenate([stream.words(n) for n in (1, 2, 1, 30_000, 7, 100_000)])
    assert len(np.unique(words)) == len(words)
    assert not set(KeyStream(SEED[::-1]).words(1000)) & set(words)


def test_a_key_stream_writes_into_given_memory() -> None:
    wanted, memory = KeyStream(SEED).words(1001), random_words((1002,))
    for part in (memory[:-1], memory[1:]):  # one of which begins off a block's boundary
        before = part.copy()
        KeyStream(SEED).subtract_from(part)
        np.testing.assert_array_equal(part, before - wanted)
        KeyStream(SEED).exclusive_or_into(part)
        np.testing.assert_array_equal(part, (before - wanted) ^ wanted)
        KeyStream(SEED).fill(part)
        np.testing.assert_array_equal(part, wanted)


def test_a_key_stream_looks_uniform() -> None:
    """Chi-square over the bytes, 255 degrees of freedom, within six standard deviations."""
    counts = np.bincount(KeyStream(SEED).words(1 << 18).view(np.uint8), minlength=256)
    chi_square = ((counts - 2.0**13) ** 2 / 2.0**13).sum()
    assert abs(chi_square - 255) < 6 * (2 * 255) ** 0.5


def test_key_streams_that_are_refused() -> None:
    with pytest.raises(ParameterError, match="a seed of 32 bytes, found 16"):
        KeyStream(SEED[:16])
    stream = KeyStream(SEED)
    with pytest.raises(ParameterError, match="a number of words or a tuple of sizes"):
        stream.words(-1)
    with pytest.raises(ParameterError, match="memory can hold"):
        stream.words((2**40, 2**40))
    with pytest.raises(ParameterError, match="array to write to"):
        stream.fill(random_words((4, 4))[:, :2])
    with pytest.raises(ParameterError, match="array to write to"):
        stream.fill(np.zeros(4))  # type: ignore[arg-type]
    assert stream.position == 0
    stream.skip(2**45 - 2)
    stream.words(2)
    with pytest.raises(ProtocolError, match="17592186044416 taken and 1 asked for"):
        stream.words(1)


def test_a_fork_gets_no_words() -> None:
    stream = KeyStream(SEED)
    child = os.fork()
    if child == 0:
        try:
            stream.words(1)
        except OrderError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_key_stream_prints_no_secret() -> None:
    stream = KeyStream(SEED)
    stream.words(3)
    assert repr(stream) == str(stream) == "<KeyStream at block 2>"


# -- all of them -------------------------------------------------------------------------------------------------------


def test_other_threads_run_meanwhile() -> None:
    """The interpreter is released: a thread that only counts goes on during one long product."""
    a, counted, stop = random_words((1200, 1200)), [0], threading.Event()

    def count() -> None:
        while not stop.wait(0.001):
            counted[0] += 1

    counting = threading.Thread(target=count)
    counting.start()
    before = counted[0]
    _core.matmul_u64(a, a)
    during = counted[0] - before
    stop.set()
    counting.join()
    assert during > 3


DIGEST = """
import hashlib
import numpy as np
from mpc import _core
stream = _core.KeyStream(bytes(range(32)))
a, b = stream.words((37, 300)), stream.words((300, 41))
planes = _core.planes_of_words(a, 53)
parts = [
    _core.matmul_u64(a, b),
    _core.matmul_u32(a.astype(np.uint32), b.astype(np.uint32)),
    _core.matmul_wide(a, b),
    planes,
    _core.words_of_planes(planes, a.size),
    _core.and_layer(a, a + a, a * a, a - 3, a ^ 5, True),
    _core.multiply_layer(a, a + a, a * a, a - 3, None, True),
    np.frombuffer(_core.pack_words(a, 41), np.uint8),
]
print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""


def test_every_instruction_set_gives_the_same() -> None:
    flags = Path("/proc/cpuinfo").read_text()
    levels = ["portable", *(["aesni"] if " aes " in flags else []), *(["vaes256"] if " vaes " in flags else [])]
    levels += ["vaes512"] if " vaes " in flags and "avx512_vbmi2" in flags else []
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], env=os.environ | {"MPC_CPU_LEVEL": level}, capture_output=True, check=True
        ).stdout
        for level in levels
    }
    assert len(digests) == 1
