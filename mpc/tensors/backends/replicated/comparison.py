"""Comparisons on bits that are shared by XOR, and the way from such bits to the ring.

x is negative where the highest bit of x mod 2^m is one, for 2^m > 2 |x|. With c = x + r mod 2^m open to parties 0 and
1, and r known to the third (:mod:`.masked`), that bit is::

    c_top ^ r_top ^ [c_low < r_low]                       low: without the highest of the m bits

Of each four bits of c and r it takes whether the one number is less, and whether both are equal. Both are sums of
products of bits of r, with coefficients that parties 0 and 1 know. The third party shares the fifteen products of one
bit and more. So the two hold XOR shares of `less` and `equal`, which they make a component in one round. A tree then
puts neighbours together, the lower one second::

    less = less_1 ^ equal_1 less_0            equal = equal_1 equal_0           one bit a party for each AND

An AND is that of Araki et al. (CCS 2016), 64 at a time. At last a bit b = b_0 ^ b_1 ^ b_2 goes to the ring. The third
party knows d = b_2 ^ b_0 and shares it in the ring, and parties 0 and 1 know b_1 (Mohassel and Rindal, CCS 2018,
section 5.4, have the same in another order)::

    b = d + b_1 - 2 d b_1                                 d b_1: two additive shares, made a component in one round
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from math import prod

import numpy as np

from mpc._core import and_layer
from mpc.ring import Words
from mpc.tensors.backends.comparison import GROUP_BITS, parted, width_of
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import from_plane, plane_words, to_planes
from mpc.tensors.backends.replicated.masked import Dealt, Masked, known, mask
from mpc.tensors.backends.replicated.products import multiply
from mpc.tensors.backends.replicated.sharing import from_third
from mpc.tensors.backends.replicated.trio import THIRD, Form, Pair, Replica, Trio

__all__ = ["less_than", "negative", "relu", "to_ring", "whole", "width_of"]

_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)
_ONE = np.uint64(1)
SETS = 1 << GROUP_BITS  # of bits of a group; set number s has bit i where s has it


def dealt_products(count: int, bits: int, *, top: bool) -> Dealt:
    """Return what the third party shares for :func:`less_than`: bits of each group with their products, and the top."""
    present, words = _present(bits), plane_words(count)
    form = Form((int(present.sum()) + top) * words, planes=True)

    def made(r: Words) -> Words:
        low = _grouped(r, bits)
        table = np.empty((SETS, present.shape[1], words), dtype=np.uint64)
        for chosen in range(1, SETS):
            lowest = chosen & -chosen
            if chosen == lowest:
                table[chosen] = low[lowest.bit_length() - 1]
            else:
                np.bitwise_and(table[lowest], table[chosen ^ lowest], out=table[chosen])
        products: Words = table[1:][present]
        return np.concatenate((products, to_planes(r >> np.uint64(bits), 1))) if top else products

    return Dealt(form, made)


def less_than(trio: Trio, masked: Masked, dealt: Sequence[Words], bits: int, *, top: bool) -> Pair:
    """Return components of the plane [c < r] on the lowest `bits` bits, in a round and one for each level of a tree.

    Args:
        trio, masked: of this party.
        dealt: what it holds of :func:`dealt_products`, with the same `bits` and `top`.
        bits: of which four are a leaf of the tree.
        top: whether bit number `bits` of both is added.
    """
    words = plane_words(masked.count)
    planes = [share.reshape(int(_present(bits).sum()) + top, words) for share in dealt]
    if bits:
        result = whole(*_leaves(trio, masked, planes[0], bits), partial(_and, trio))
    else:
        result = trio.alone(1, np.zeros(words, dtype=np.uint64))
    if not top:
        return result
    if trio.place == THIRD:
        return result[0] ^ planes[0][-1], result[1] ^ planes[1][-1]
    c_top = to_planes(known(masked.opened) >> np.uint64(bits), 1)[0]
    tops = (planes[0][-1], c_top) if trio.place == 0 else (c_top, planes[0][-1])
    return result[0] ^ tops[0], result[1] ^ tops[1]


def _grouped(words: Words, bits: int) -> Words:
    """Return the lowest planes as `(4, groups, words)`, with zeros above them."""
    groups, width = -(-bits // GROUP_BITS), plane_words(words.size)
    padded = np.zeros((groups * GROUP_BITS, width), dtype=np.uint64)
    if bits:
        padded[:bits] = to_planes(words, bits)
    return np.ascontiguousarray(padded.reshape(groups, GROUP_BITS, width).swapaxes(0, 1))


@cache
def _present(bits: int) -> np.ndarray:
    """Return which of the `(15, groups)` sets of bits that are not empty a number of `bits` bits has."""
    groups = -(-bits // GROUP_BITS)
    widths = np.minimum(bits - GROUP_BITS * np.arange(groups), GROUP_BITS)
    present: np.ndarray = np.arange(1, SETS)[:, None] < 1 << widths
    return present


def _leaves(trio: Trio, masked: Masked, products: Words, bits: int) -> tuple[Pair, Pair]:
    """Return components of `less` of all groups, and of `equal` of all but the lowest, whose one is not needed."""
    present = _present(bits)
    groups, words = present.shape[1], plane_words(masked.count)

    def share() -> Words:
        table = np.zeros((SETS, groups, words), dtype=np.uint64)
        if trio.place == 0:
            table[0] = _ONES
        table[1:][present] = products[: int(present.sum())]
        less, equal = _against(~_grouped(known(masked.opened), bits), table)
        return np.concatenate((less, equal[1:]))

    first, second = trio.paired(
        "groups", (2 * groups - 1, words), None if trio.place == THIRD else share, 64, planes=True
    )
    return (first[:groups], second[:groups]), (first[groups:], second[groups:])


def _against(flipped: Words, table: Words) -> tuple[Words, Words]:
    """Return shares of [c < r] and [c = r] of each group, from the bits of ~c and shares of all products of bits of r.

    Bit i takes part by less' = ~c_i r_i ^ (~c_i ^ r_i) less and equal' = (~c_i ^ r_i) equal, where both stand for all
    products with higher bits of r.
    """
    less = flipped[0] & table[1::2]
    equal = (flipped[0] & table[0::2]) ^ table[1::2]
    for bit in range(1, GROUP_BITS):
        public, at_least = flipped[bit], table[:: 1 << bit]  # the products of bits from this one on
        less = (public & (at_least[1::2] ^ less[0::2])) ^ less[1::2]
        equal = (public & equal[0::2]) ^ equal[1::2]
    return less[0], equal[0]


def whole(less: Pair, equal: Pair, both: Callable[[Pair, Pair], Pair]) -> Pair:
    """Return the comparison of whole numbers from that of their groups, the lowest one first.

    `equal` has a plane for each group but the lowest. Node p of the next level is made of nodes 2 p and 2 p + 1. `both`
    gives the products of two arrays of bits.
    """
    while (nodes := less[0].shape[0]) > 1:
        made = nodes // 2
        upper = [component[: 2 * made : 2] for component in equal]  # equal of nodes 1, 3, 5, ...
        lower = [component[1 : 2 * made - 1 : 2] for component in equal]  # equal of nodes 2, 4, ...
        others = [component[: 2 * made : 2] for component in less]
        x = _pair(np.concatenate((component, component[1:])) for component in upper)
        y = _pair(np.concatenate(both) for both in zip(others, lower, strict=True))
        product = both(x, y)
        new_less, new_equal = [], []
        for number in range(2):
            merged = product[number][:made] ^ less[number][1 : 2 * made : 2]
            new_less.append(np.concatenate((merged, less[number][2 * made :])))
            new_equal.append(np.concatenate((product[number][made:], equal[number][2 * made - 1 :])))
        less, equal = _pair(new_less), _pair(new_equal)
    return less[0][0], less[1][0]


def _pair(components: Iterable[Words]) -> Pair:
    first, second = components
    return first, second


def _and(trio: Trio, x: Pair, y: Pair) -> Pair:
    """Return x & y of planes, in one round."""
    share = trio.zero_planes(x[0].shape)
    and_layer(x[0], y[0], x[1], y[1], share, True, share)
    (found,) = trio.around("bits", [share], 64)
    return found


def to_ring(trio: Trio, plane: Pair, shapes: Sequence[Shape]) -> list[Replica]:
    """Return bits in the ring from the components of their plane, in two rounds."""
    count = sum(prod(shape) for shape in shapes)
    ring = trio.ring_bits

    d = from_third(trio, "bits to ring", shapes, Form(count, ring), lambda: from_plane(plane[0] ^ plane[1], count))
    if trio.place == THIRD:
        first, second = trio.paired("bits to ring", (count,), None, ring, planes=False)
        return _parted(trio, (d[0] - (first << _ONE), d[1] - (second << _ONE)), shapes)
    b = from_plane(plane[1] if trio.place == 0 else plane[0], count)
    first, second = trio.paired("bits to ring", (count,), lambda: d[0] * b, ring, planes=False)
    first, second = first << _ONE, second << _ONE
    return _parted(trio, (d[0] - first, b - second) if trio.place == 0 else (b - first, d[0] - second), shapes)


def _parted(trio: Trio, pair: Pair, shapes: Sequence[Shape]) -> list[Replica]:
    parts = zip(*(parted(trio.reduce(component), shapes) for component in pair), strict=True)
    return [trio.replica(shape, (first, second)) for shape, (first, second) in zip(shapes, parts, strict=True)]


def negative(trio: Trio, values: Sequence[Replica], bound: int) -> list[Replica]:
    """Return 1 where a value is below zero. Only the bits that the bound needs are sent and compared."""
    if not values:
        return []
    bits = width_of(bound, trio.ring_bits)
    dealt = dealt_products(sum(value.size for value in values), bits - 1, top=True)
    masked = mask(trio, f"sign of {bits} bits", values, bits, [dealt])
    plane = less_than(trio, masked, masked.dealt[0], bits - 1, top=True)
    return to_ring(trio, plane, [value.shape for value in values])


def relu(trio: Trio, values: Sequence[Replica], bound: int) -> tuple[list[Replica], list[Replica]]:
    """Return max(0, value) and whether each is at least zero, in one round more than the comparison."""
    kept = [_not(trio, bit) for bit in negative(trio, values, bound)]
    shapes = [value.shape for value in values]
    return multiply(trio, list(zip(kept, values, strict=True)), shapes), kept


def _not(trio: Trio, bit: Replica) -> Replica:
    """Return 1 - bit."""
    ones = trio.public(np.ones(bit.shape, dtype=np.uint64))
    first, second = (trio.reduce(one - own) for one, own in zip(ones, trio.pair_of(bit), strict=True))
    return trio.replica(bit.shape, (first, second))
