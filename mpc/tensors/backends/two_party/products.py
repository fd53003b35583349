"""Products of shared values, from products of what one party knows with what the other one knows.

x = x_0 + x_1 and y = y_0 + y_1, where party i knows x_i and y_i. Then::

    x y = x_0 y_0 + x_1 y_1 + x_0 y_1 + x_1 y_0              the last two cross

Few words cross by OT, and many under encryption, which needs whole polynomials. Both give the same. Of a bit
b = beta_0 ^ beta_1, party i knows beta_i, and::

    b x_i = beta_i x_i + beta_(1-i) (1 - 2 beta_i) x_i       one OT, chosen by beta_(1-i)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Protocol

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import matmul as matmul_here
from mpc.tensors.backends.party import Party
from mpc.tensors.backends.two_party.encrypted import DEGREE
from mpc.tensors.backends.two_party.matrices import Matrices
from mpc.tensors.backends.two_party.oblivious import Chosen, Sent, Transfers
from mpc.tensors.backends.two_party.packed import Packed
from mpc.tensors.backends.two_party.values import Bit, Value, value

_ONE = np.uint64(1)
FEWEST_PACKED = 2048  # words for which a polynomial takes fewer bytes than OTs do
MOST_BY_OT = 512  # products of words in a product of matrices


class Crossing(Protocol):
    """What one party's words are multiplied with the other one's by. Each is set up when it is first asked for."""

    @property
    def transfers(self) -> Transfers: ...
    @property
    def packed(self) -> Packed: ...
    @property
    def matrices(self) -> Matrices: ...


def joined(arrays: Sequence[Words]) -> Words:
    """Return all values of many arrays in one flat array."""
    return np.concatenate([array.reshape(-1) for array in arrays]) if arrays else np.zeros(0, dtype=np.uint64)


def multiply(
    party: Party, crossing: Crossing, pairs: Sequence[tuple[Value, Value]], shapes: Sequence[Shape]
) -> list[Value]:
    """Return element-wise products, which broadcast."""
    by_bit = [_bit_first(x, y) for x, y in pairs]
    kept = [pair for pair in by_bit if pair is not None]
    rest = [pair for pair, bit in zip(pairs, by_bit, strict=True) if bit is None]
    kept_shapes = [shape for shape, bit in zip(shapes, by_bit, strict=True) if bit is not None]
    rest_shapes = [shape for shape, bit in zip(shapes, by_bit, strict=True) if bit is None]
    from_bits = iter(_keep(party, crossing.transfers, kept, kept_shapes))
    from_rest = iter(_numbers(party, crossing, rest, rest_shapes))
    shares = [next(from_rest) if bit is None else next(from_bits) for bit in by_bit]
    return [value(party, shape, party.reduce(share)) for shape, share in zip(shapes, shares, strict=True)]


def _bit_first(x: Value, y: Value) -> tuple[Bit, Value] | None:
    """Return a pair with a bit's form first, or None where neither has one."""
    if x.bit is not None:
        return x.bit, y
    return (y.bit, x) if y.bit is not None else None


def _keep(
    party: Party, transfers: Transfers, pairs: Sequence[tuple[Bit, Value]], shapes: Sequence[Shape]
) -> list[Words]:
    """Return this party's shares of products of bits with values."""
    if not pairs:
        return []
    mine = [np.broadcast_to(party.share_of(x), shape) for (_, x), shape in zip(pairs, shapes, strict=True)]
    bits = [np.broadcast_to(bit.share, shape) for (bit, _), shape in zip(pairs, shapes, strict=True)]
    flat = joined(mine)
    kept = keep(transfers, joined(bits), flat, party.ring_bits)
    found, start = [], 0
    for (bit, _), own, shape in zip(pairs, mine, shapes, strict=True):
        part = kept[start : start + own.size].reshape(shape)
        start += own.size
        found.append(np.asarray(bit.offset * own + bit.sign * part))
    return found


def keep(transfers: Transfers, bits: Words, words: Words, ring_bits: int) -> Words:
    """Return a share of bit times value for flat shares of both, by two OTs each."""
    differences = (_ONE - (bits << _ONE)) * words
    shares, received = transfers.words("keep", Sent(differences[:, None]), Chosen(bits), ring_bits)
    return np.asarray(bits * words + shares[:, 0] + received[:, 0])


def _numbers(
    party: Party, crossing: Crossing, pairs: Sequence[tuple[Value, Value]], shapes: Sequence[Shape]
) -> list[Words]:
    """Return this party's shares of products of numbers."""
    squares = [place for place, (x, y) in enumerate(pairs) if x is y]
    others = [place for place, (x, y) in enumerate(pairs) if x is not y]
    found: dict[int, Words] = {}
    for places, square in ((others, False), (squares, True)):
        if not places:
            continue
        left = [np.broadcast_to(party.share_of(pairs[place][0]), shapes[place]) for place in places]
        right = [np.broadcast_to(party.share_of(pairs[place][1]), shapes[place]) for place in places]
        flat = joined(left)
        crossed = cross(party, crossing, flat, flat if square else joined(right), square=square)
        start = 0
        for place, x, y in zip(places, left, right, strict=True):
            found[place] = np.asarray(x * y + crossed[start : start + x.size].reshape(x.shape))
            start += x.size
    return [found[place] for place in range(len(pairs))]


def cross(party: Party, crossing: Crossing, x: Words, y: Words, *, square: bool) -> Words:
    """Return a share of x_0 y_1 + x_1 y_0 for flat words. What does not fill a polynomial well goes by OT."""
    rest = x.size % DEGREE
    many = x.size if rest >= FEWEST_PACKED else x.size - rest
    parts = []
    if many:
        parts.append(crossing.packed.crossed(x[:many], None if square else y[:many]))
    if many < x.size:
        parts.append(crossing.transfers.products(x[many:], y[many:], party.ring_bits))
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)


def parted(flat: Words, shapes: Sequence[Shape]) -> list[Words]:
    """Return the arrays that :func:`joined` joined."""
    arrays, start = [], 0
    for shape in shapes:
        end = start + prod(shape)
        arrays.append(flat[start:end].reshape(shape))
        start = end
    return arrays


def matmul(
    party: Party, crossing: Crossing, pairs: Sequence[tuple[Value, Value]], shapes: Sequence[Shape]
) -> list[Value]:
    """Return matrix products. Small ones go by OT, word by word, and the others under encryption."""
    found = []
    for (x, y), shape in zip(pairs, shapes, strict=True):
        a, b = party.share_of(x), party.share_of(y)
        left = np.broadcast_to(a, (*shape[:-2], *a.shape[-2:])).reshape(prod(shape[:-2]), *a.shape[-2:])
        right = np.broadcast_to(b, (*shape[:-2], *b.shape[-2:])).reshape(prod(shape[:-2]), *b.shape[-2:])
        share = np.zeros((len(left), *shape[-2:]), dtype=np.uint64)
        for place, (one, other) in enumerate(zip(left, right, strict=True)):
            share[place] = _one_matmul(party, crossing, one, other)
        found.append(value(party, shape, party.reduce(share.reshape(shape))))
    return found


def _one_matmul(party: Party, crossing: Crossing, a: Words, b: Words) -> Words:
    """Return a share of one matrix product."""
    (m, k), n = a.shape, b.shape[1]
    own = matmul_here(a, b)
    if m * k * n > MOST_BY_OT:
        return np.asarray(own + crossing.matrices.crossed(a, b))
    left = np.broadcast_to(a[:, :, None], (m, k, n)).reshape(-1)
    right = np.broadcast_to(b[None], (m, k, n)).reshape(-1)
    crossed = crossing.transfers.products(left, right, party.ring_bits)
    return np.asarray(own + crossed.reshape(m, k, n).sum(axis=1))
