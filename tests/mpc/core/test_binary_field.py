"""The field of 2^64 elements and sums of its elements that bits choose, against Python's integers, at every level."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from mpc import _core
from mpc.errors import ParameterError

MODULUS = (1 << 64) | 0b11011
ROWS, COLUMNS = 16, 4


def random_words(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def product(a: int, b: int) -> int:
    total = 0
    for bit in range(64):
        total ^= (a << bit) * (b >> bit & 1)
    for bit in range(127, 63, -1):
        if total >> bit & 1:
            total ^= MODULUS << (bit - 64)
    return total


def columns(bits: np.ndarray) -> list[int]:
    return [int(word) >> (ROWS * column) & 0xFFFF for word in bits for column in range(COLUMNS)]


def check_everything() -> None:
    a, b = random_words(300, 1), random_words(300, 2)
    a[:5], b[:5] = [0, 1, 2**64 - 1, 2**63, 2], [3, 2**64 - 1, 2**64 - 1, 2, 2**63]
    assert _core.field_products(a, b).tolist() == [product(int(x), int(y)) for x, y in zip(a, b, strict=True)]
    for count in (0, 1, 15, 16, 17, 40):
        u, v, elements = random_words(count, 3), random_words(count, 4), random_words(COLUMNS * count, 5)
        table = random_words(ROWS, 6)
        chosen, gram = [0] * ROWS, [[0] * ROWS for _ in range(ROWS)]
        combined = []
        for left, right, element in zip(columns(u), columns(v), elements.tolist(), strict=True):
            combined.append(0)
            for i in range(ROWS):
                chosen[i] ^= element * (left >> i & 1)
                combined[-1] ^= int(table[i]) * (left >> i & 1)
                for j in range(ROWS):
                    gram[i][j] ^= element * (left >> i & right >> j & 1)
        assert _core.field_chosen(u, elements).tolist() == chosen
        assert _core.field_gram(u, v, elements).tolist() == gram
        assert _core.field_combined(u, table).tolist() == combined


def test_products_and_sums_are_those_of_plain_integers() -> None:
    check_everything()


def test_every_level_gives_the_same() -> None:
    for level in ("portable", "aesni"):
        code = f"from {__name__} import check_everything; check_everything()"
        found = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "MPC_CPU_LEVEL": level}, capture_output=True, check=False
        )
        assert found.returncode == 0, found.stderr.decode()


def test_a_product_has_an_inverse() -> None:
    """x^(2^64 - 2) x is 1 for every x but zero: the polynomial is irreducible, so that no product of others is zero."""
    x = random_words(20, 7)
    power, inverse = x, np.ones_like(x)
    for _ in range(63):
        power = _core.field_products(power, power)
        inverse = _core.field_products(inverse, power)
    assert (_core.field_products(inverse, x) == 1).all()


def test_what_does_not_fit_is_refused() -> None:
    a = random_words(8, 1)
    with pytest.raises(ParameterError, match=r"b: expected shape \(8,\) as that of a, found \(4,\)"):
        _core.field_products(a, a[:4])
    with pytest.raises(ParameterError, match=r"elements: expected shape \(32,\), found \(8,\)"):
        _core.field_chosen(a, a)
    with pytest.raises(ParameterError, match=r"v: expected shape \(8,\), found \(4,\)"):
        _core.field_gram(a, a[:4], random_words(32, 1))
    with pytest.raises(ParameterError, match=r"table: expected shape \(16,\), found \(8,\)"):
        _core.field_combined(a, a)
    with pytest.raises(ParameterError, match=r"bits: expected shape \(8,\), found \(2, 4\)"):
        _core.field_combined(a.reshape(2, 4), random_words(16, 1))
