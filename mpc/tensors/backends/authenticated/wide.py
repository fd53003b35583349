"""Numbers modulo 2^128 in two words, of which a shared value and its MAC consist.

A value x of the ring Z_2^64 is the lower word of a number x' modulo 2^128, whose upper word means nothing. The parties
hold shares of x' and of its MAC, key times x' modulo 2^128 (SPDZ2k: Cramer, Damgard, Escudero, Scholl, Xing, CRYPTO
2018). Without the upper word a MAC would protect the highest bit of x by one bit of the key alone, because rings have
divisors of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpc._core import matmul_wide, wide_add, wide_public, wide_subtract, wide_sum_of_products, wide_times
from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import matmul


def add(low: Words, high: Words, more_low: Words, more_high: Words) -> tuple[Words, Words]:
    """Return the lower and the upper words of the sum of two numbers. Both have one shape or broadcast to one."""
    return _pairs(wide_add, low, high, more_low, more_high)


def subtract(low: Words, high: Words, less_low: Words, less_high: Words) -> tuple[Words, Words]:
    """Return the lower and the upper words of the difference of two numbers, which broadcast as for :func:`add`."""
    return _pairs(wide_subtract, low, high, less_low, less_high)


def _pairs(
    function: Callable[..., Words], low: Words, high: Words, other_low: Words, other_high: Words
) -> tuple[Words, Words]:
    arrays: Sequence[Words] = (low, high, other_low, other_high)
    if not low.shape == high.shape == other_low.shape == other_high.shape:
        arrays = np.broadcast_arrays(*arrays)
    found = function(*[np.asarray(array, order="C") for array in arrays])
    return found[0], found[1]


def times(low: Words, high: Words, words: Words) -> tuple[Words, Words]:
    """Return the lower and the upper words of numbers times words, which have one shape or broadcast to it."""
    shape = np.shape(low)
    factors = np.asarray(words, order="C")
    if factors.shape != shape[len(shape) - factors.ndim :]:
        factors = np.asarray(np.broadcast_to(factors, shape), order="C")
    found = wide_times(np.asarray(low, order="C"), np.asarray(high, order="C"), factors)
    return found[0], found[1]


class Wide:
    """An array of a party's shares of values and of their MACs. It prints its shape and never a share.

    Attributes:
        low, high: words of shape `(2, *shape)`. Row 0 has the shares of the values, row 1 those of the MACs.
    """

    __slots__ = ("high", "low")

    def __init__(self, low: Words, high: Words) -> None:
        self.low = low
        self.high = high

    @classmethod
    def zeros(cls, shape: Shape) -> Wide:
        """Return shares of zeros, all of them zero."""
        return cls(np.zeros((2, *shape), dtype=np.uint64), np.zeros((2, *shape), dtype=np.uint64))

    @property
    def shape(self) -> Shape:
        return self.low.shape[1:]

    @property
    def value(self) -> tuple[Words, Words]:
        """The lower and the upper words of the values' shares."""
        return self.low[0], self.high[0]

    @property
    def mac(self) -> tuple[Words, Words]:
        """The lower and the upper words of the MACs' shares."""
        return self.low[1], self.high[1]

    def freeze(self) -> Wide:
        """Let nobody write to these arrays from now on, and return this."""
        self.low.setflags(write=False)
        self.high.setflags(write=False)
        return self

    def __add__(self, other: Wide) -> Wide:
        (low, high), (more_low, more_high) = self._like(other), other._like(self)
        return Wide(*add(low, high, more_low, more_high))

    def __sub__(self, other: Wide) -> Wide:
        (low, high), (less_low, less_high) = self._like(other), other._like(self)
        return Wide(*subtract(low, high, less_low, less_high))

    def times(self, words: Words) -> Wide:
        """Return the products with public words, element by element. Both broadcast."""
        shape = np.broadcast_shapes(self.shape, np.shape(words))
        return Wide(*times(*self._broadcast(shape), words))

    def after(self, matrix: Words) -> Wide:
        """Return matrix @ this, for a public matrix."""
        low, high = self._padded(matrix.ndim)
        product = matmul_wide(matrix, low)
        matmul(matrix, high, product[1], adds=True)
        return Wide(product[0], product[1])

    def before(self, matrix: Words) -> Wide:
        """Return this @ matrix, for a public matrix."""
        low, high = self._padded(matrix.ndim)
        product = matmul_wide(low, matrix)
        matmul(high, matrix, product[1], adds=True)
        return Wide(product[0], product[1])

    def plus_matrices(self, left: Wide, matrix: Words, other: Words, right: Wide) -> Wide:
        """Return this + left @ matrix + other @ right, for public matrices and the shape of both products."""
        total = np.stack((self.low, self.high))
        low, high = left._padded(matrix.ndim)
        matmul_wide(low, matrix, total)
        matmul(high, matrix, total[1], adds=True)
        low, high = right._padded(other.ndim)
        matmul_wide(other, low, total)
        matmul(other, high, total[1], adds=True)
        return Wide(total[0], total[1])

    def plus_products(self, left: Wide, words: Words, right: Wide, others: Words) -> Wide:
        """Return this + left * words + right * others, element by element, for public words. All but this broadcast."""
        shape = self.shape
        one, other = (np.asarray(np.broadcast_to(each, shape), order="C") for each in (words, others))
        (x_low, x_high), (y_low, y_high), (low, high) = (each._whole(shape) for each in (left, right, self))
        return Wide(*wide_sum_of_products(x_low, x_high, one, y_low, y_high, other, low, high))

    def columns(self, chosen: slice) -> Wide:
        """Return some columns of a matrix."""
        return Wide(self.low[:, :, chosen], self.high[:, :, chosen])

    def flat(self) -> Wide:
        """Return all elements in one row."""
        return Wide(self.low.reshape(2, -1), self.high.reshape(2, -1))

    def at(self, places: Words) -> Wide:
        """Return the elements of a row at these places, in the places' shape."""
        return Wide(np.take(self.low, places, axis=1), np.take(self.high, places, axis=1))

    def reshape(self, shape: Shape) -> Wide:
        """Return the same elements in another shape."""
        return Wide(self.low.reshape(2, *shape), self.high.reshape(2, *shape))

    def broadcast(self, shape: Shape) -> Wide:
        """Return this, repeated to a shape that it broadcasts to."""
        return Wide(*self._broadcast(shape))

    def _broadcast(self, shape: Shape) -> tuple[Words, Words]:
        if shape == self.shape:
            return self.low, self.high
        low, high = self._padded(len(shape))
        return np.broadcast_to(low, (2, *shape)), np.broadcast_to(high, (2, *shape))

    def _whole(self, shape: Shape) -> tuple[Words, Words]:
        """Return both words, repeated to a shape, in C order."""
        low, high = self._broadcast(shape)
        return np.asarray(low, order="C"), np.asarray(high, order="C")

    def _like(self, other: Wide) -> tuple[Words, Words]:
        return (self.low, self.high) if self.shape == other.shape else self._padded(len(other.shape))

    def _padded(self, axes: int) -> tuple[Words, Words]:
        """Return both words with at least so many axes behind the first, so that shapes broadcast as numpy's do."""
        shape = (2, *(1,) * (axes - len(self.shape)), *self.shape)
        return self.low.reshape(shape), self.high.reshape(shape)

    def __repr__(self) -> str:
        return f"Wide(shape={self.shape})"


def joined(parts: list[Wide]) -> Wide:
    """Return all elements of several arrays in one row."""
    if len(parts) == 1:
        return parts[0].flat()
    rows = [part.flat() for part in parts]
    return Wide(np.concatenate([row.low for row in rows], axis=1), np.concatenate([row.high for row in rows], axis=1))


def public(words: Words, key: np.uint64, *, first: bool) -> Wide:
    """Return a party's share of public words, which the first party holds. Every party has its part of their MACs."""
    low, high = wide_public(np.asarray(words, order="C"), int(key), first)
    return Wide(low, high)
