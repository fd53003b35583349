"""Comparisons on bits that are shared by XOR, and the way from such bits to the ring.

x = p + q + m has three components. Some party knows p and q, and shares the carries of c = p + q (:mod:`.carries`). The
other two know r = -m. So x mod 2^b is negative where the highest bit of c - r is one::

    c_top ^ r_top ^ [c_low < r_low]                       low: without the highest of the b bits

Of each bit of c and r it takes whether the one is less, which is r & ~c, and whether both are equal. A tree puts
neighbours together, the lower one second. All products of bits are proven later::

    less = less_1 ^ equal_1 less_0            equal = equal_1 equal_0

A bit b_0 ^ b_1 ^ b_2 goes to the ring likewise. A party that knows two of the three shares d, which is their XOR, as a
number, and the other two know the third one, e::

    b = d + e - 2 d e
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.comparison import joined, parted, width_of
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import from_plane, plane_words, to_planes
from mpc.tensors.backends.replicated.comparison import whole
from mpc.tensors.backends.replicated.keys import PARTIES
from mpc.tensors.backends.replicated.trio import Pair, lowest
from mpc.tensors.backends.replicated_mac.carries import Sum, claim_number, part_of_carries, sum_of
from mpc.tensors.backends.replicated_mac.guarded import RING_BITS, Guarded, Held, Part
from mpc.tensors.backends.replicated_mac.products import both_bits, multiply, of_shares, times_third

__all__ = ["flat", "less_than", "negative", "relu", "third_of", "to_ring", "width_of"]

_ONES = np.asarray(np.uint64(0xFFFFFFFFFFFFFFFF))
_ONE = np.uint64(1)


def flat(trio: Guarded, values: Sequence[Held]) -> Pair:
    """Return this party's components of all values, in one row, in memory of its own."""
    pairs = [trio.pair_of(value) for value in values]
    return joined([pair[0] for pair in pairs]), joined([pair[1] for pair in pairs])


def third_of(trio: Guarded, who: int, pair: Pair) -> Words | None:
    """Return component `who` + 2 of a row, which party `who` alone does not have."""
    places = {trio.own(number): number for number in range(2)}
    number = places.get((who + 2) % PARTIES)
    return None if number is None else pair[number]


def less_than(trio: Guarded, who: int, c: Sum, r: Words | None, bits: int, words: int) -> Pair:
    """Return components of the plane [c < r] on the lowest `bits` bits, in a round and one for each level of a tree.

    Args:
        trio, who: of this party, and the number of the one that knows c.
        c: as this party holds it.
        r: component `who` + 2, or None at party `who`.
        bits, words: how many bits are compared, and of how many words a plane is.
    """
    if bits == 0:
        nothing = np.zeros(words, dtype=np.uint64)
        return nothing, nothing
    third = None if r is None else to_planes(r, bits)
    planes = c.planes(trio, who, bits)
    places = trio.components({(who + 2) % PARTIES: _ONES if third is None else third}, planes[0].shape)
    met = times_third(trio, "leaves", who, planes, third, planes=True)
    less = (met[0] ^ places[0], met[1] ^ places[1])
    flips = trio.components({who: _ONES}, planes[0].shape)
    equal = [one ^ other ^ flip for one, other, flip in zip(planes, places, flips, strict=True)]

    def both(x: Pair, y: Pair) -> Pair:
        (found,) = both_bits(trio, "bits", [(x, y)])
        return found

    return whole(less, (equal[0][1:], equal[1][1:]), both)


def to_ring(trio: Guarded, plane: Pair, shapes: Sequence[Shape]) -> list[Held]:
    """Return bits in the ring from the components of their plane, in two rounds."""
    who, count = trio.turn(), sum(map(prod, shapes))
    bits = from_plane(plane[0], count), from_plane(plane[1], count)
    knows = trio.me == who
    (shares,) = trio.shared("bits to ring", [Part((count,), [who], bits[0] ^ bits[1] if knows else None)])
    left = bits[0] if knows else bits[1] if trio.after == who else None
    right = bits[1] if knows else bits[0] if trio.before == who else None
    claim_number(trio, who, shares, (count,), [(1, left, right)])
    d, e = of_shares(shares, (count,)), third_of(trio, who, bits)
    both = times_third(trio, "bits to ring", who, d, e)
    places = trio.components({} if e is None else {(who + 2) % PARTIES: e}, (count,))
    first, second = (one + other - (two << _ONE) for one, other, two in zip(d, places, both, strict=True))
    pairs = zip(parted(first, shapes), parted(second, shapes), strict=True)
    return [trio.replica(shape, pair) for shape, pair in zip(shapes, pairs, strict=True)]


def negative(trio: Guarded, values: Sequence[Held], bound: int) -> list[Held]:
    """Return 1 where a value is below zero. Only the bits that the bound needs are shared and compared."""
    if not values:
        return []
    bits, who = width_of(bound, RING_BITS), trio.turn()
    pair = flat(trio, values)
    pair = lowest(pair[0], bits), lowest(pair[1], bits)
    count = pair[0].size
    (shares,) = trio.shared(f"carries of {bits} bits", [part_of_carries(trio, who, pair, bits)])
    c = sum_of(trio, who, pair, shares, bits)
    third = third_of(trio, who, pair)
    r = None if third is None else lowest(np.negative(third), bits)
    less = less_than(trio, who, c, r, bits - 1, plane_words(count))
    tops = {who: c.left.component} if c.left is not None else {}
    if c.right is not None:
        tops[(who + 1) % PARTIES] = c.right.component
    if r is not None:
        tops[(who + 2) % PARTIES] = r
    planes = {number: to_planes(words >> np.uint64(bits - 1), 1)[0] for number, words in tops.items()}
    top = trio.components(planes, less[0].shape)
    return to_ring(trio, (less[0] ^ top[0], less[1] ^ top[1]), [value.shape for value in values])


def relu(trio: Guarded, values: Sequence[Held], bound: int) -> tuple[list[Held], list[Held]]:
    """Return max(0, value) and whether each is at least zero, in one round more than the comparison."""
    kept = [_not(trio, bit) for bit in negative(trio, values, bound)]
    shapes = [value.shape for value in values]
    return multiply(trio, list(zip(kept, values, strict=True)), shapes), kept


def _not(trio: Guarded, bit: Held) -> Held:
    """Return 1 - bit."""
    ones = trio.public(np.ones(bit.shape, dtype=np.uint64))
    first, second = (one - own for one, own in zip(ones, trio.pair_of(bit), strict=True))
    return trio.replica(bit.shape, (first, second))
