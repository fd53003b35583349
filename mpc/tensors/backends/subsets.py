"""Sums of random subsets of an array's words, by which a word that was changed is noticed.

Each sum has every word with a chance of a half. Where some word is off by something else than zero, a sum is off by
any value that was chosen beforehand with a probability of at most 1/2: whether that word is in the sum decides it. So
all :data:`SUMS` of them are so with at most 2^-48. This holds for words modulo 2^64, where a random factor in place of
a random bit would lose errors such as 2^63.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.kernels import KeyStream, matmul

SUMS = 48
"""Sums of a fingerprint."""
_AT_ONCE = 1 << 15  # words whose chances are in memory together

Sums = TypeVar("Sums", bound="Added")


class Added(Protocol):
    """What can be added up."""

    def __add__(self: Sums, other: Sums, /) -> Sums: ...


def sums_of_subsets(coins: bytes, count: int, part: Callable[[slice, Words], Sums]) -> Sums:
    """Return the sums of subsets that coins choose, of rows of `count` words.

    Args:
        coins: a seed that nobody knew when the words were fixed.
        count: words of a row, at least one.
        part: returns rows @ matrix for some columns of the rows and a public matrix of `SUMS` columns of 0 and 1.
    """
    stream = KeyStream(hashlib.sha256(b"subsets/" + coins).digest())
    places = np.arange(SUMS, dtype=np.uint64)
    found: Sums | None = None
    for start in range(0, count, _AT_ONCE):
        columns = slice(start, min(start + _AT_ONCE, count))
        chosen = (stream.words(columns.stop - start)[:, None] >> places) & np.uint64(1)
        more = part(columns, chosen)
        found = more if found is None else found + more
    if found is None:
        raise ValueError("expected rows of at least one word, found empty ones")
    return found


def subset_sums(rows: Words, coins: bytes) -> Words:
    """Return `(n, SUMS)` sums of subsets of `(n, count)` rows, modulo 2^64."""
    return sums_of_subsets(coins, rows.shape[1], lambda columns, chosen: matmul(rows[:, columns], chosen))
