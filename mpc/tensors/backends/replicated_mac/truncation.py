"""Division by a power of two, after Escudero, Ghosh, Keller, Rachuri and Scholl (CRYPTO 2020), section 5.

The formula and the proof are those of :mod:`mpc.tensors.backends.truncation`: with x' = x + 2^(k-2) in [0, 2^(k-1)) and
x' = c - r, whose highest bits are c_top and r_top::

    y = (c >> f) - (r >> f) + 2^(k-f) (r_top - c_top r_top) - 2^(k-2-f)

y is one of the two neighbours of x / 2^f, and the upper one with a probability of exactly the fraction that is cut off,
where the lowest bits of r are uniform and independent of x. Here x' = p + q + m has three components. Some party knows
p and q, and so c = p + q, and the other two know r = -m (:mod:`.carries`). Nobody knows both. The carries of p + q into
bit f and out of all k bits give c >> f as components that three parties hold::

    c >> f = (p >> f) + (q >> f) + carry_f - 2^(k-f) carry_k

The party that knows c shares the last two terms, and c_top, as numbers, and claims that they are what the carries say.
At last c_top r_top is a product of what it knows and what the others know.

The components of a product are fresh, so that m is uniform. Of other values it may be anything, such as zero. Then the
two others draw a word F of their key, and tell the party m + F, which becomes part of p, and r = F.

Of `floor` the rounding down is exact. y is one too large exactly where c_low < r_low, which is compared on shared bits.
`nearest` adds half a unit first. Shares are never shifted on their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.comparison import parted
from mpc.tensors.backends.interface import Rounding
from mpc.tensors.backends.kernels import plane_words
from mpc.tensors.backends.replicated.keys import PARTIES
from mpc.tensors.backends.replicated.masked import known
from mpc.tensors.backends.replicated.trio import Pair
from mpc.tensors.backends.replicated_mac.carries import claim_number, part_of_carries, sum_of
from mpc.tensors.backends.replicated_mac.comparison import flat, less_than, third_of, to_ring
from mpc.tensors.backends.replicated_mac.guarded import RING_BITS, Guarded, Held, Part
from mpc.tensors.backends.replicated_mac.products import of_shares, times_third
from mpc.tensors.backends.truncation import check

__all__ = ["check", "truncate"]

_TOP, _ONE = np.uint64(RING_BITS - 1), np.uint64(1)


def truncate(trio: Guarded, values: Sequence[Held], bits: int, rounding: Rounding) -> list[Held]:
    """Return values / 2^bits, rounded, for arguments that `check` has let pass. All values share their rounds."""
    if bits == 0 or not values:
        return list(values)
    who, lift = trio.turn(), 2 ** (RING_BITS - bits)
    half = 1 << (bits - 1) if rounding == "nearest" else 0
    offset = np.uint64(2 ** (RING_BITS - 2) + half)
    first, second = flat(trio, values)
    if trio.me == who:
        first = first + offset
    elif trio.after == who:
        second = second + offset
    pair = first, second
    if rounding == "stochastic" and not all(value.fresh for value in values):
        pair = _masked_anew(trio, who, pair)
    shape = pair[0].shape
    carries = part_of_carries(trio, who, pair, RING_BITS)
    moved = top = None
    if carries.value is not None:
        moved = (carries.value >> np.uint64(bits - 1)) & _ONE
        moved -= np.uint64(lift % 2**64) * (carries.value >> _TOP)
        top = (pair[0] + pair[1]) >> _TOP
    parts = [carries, Part(shape, [who], moved), Part(shape, [who], top)]
    of_carries, of_moved, of_top = trio.shared(f"cut by {bits} bits, {rounding}", parts)
    c = sum_of(trio, who, pair, of_carries, RING_BITS)
    left, right = c.left, c.right
    at = [
        (None if half is None else (half.carries >> np.uint64(bits - 1)) & _ONE,
         None if half is None else half.carries >> _TOP,
         None if half is None else half.component >> _TOP)
        for half in (left, right)
    ]  # fmt: skip
    claim_number(trio, who, of_moved, shape, [(1, at[0][0], at[1][0]), (-lift, at[0][1], at[1][1])])
    claim_number(trio, who, of_top, shape, [(1, at[0][2], at[1][2])])
    third = third_of(trio, who, pair)
    r = None if third is None else np.negative(third)
    wraps = times_third(trio, "wraps", who, of_shares(of_top, shape), None if r is None else r >> _TOP)
    found = _rounded(trio, who, pair, r, of_shares(of_moved, shape), wraps, bits)
    if rounding != "stochastic":
        plane = less_than(trio, who, c, r, bits, plane_words(shape[0]))
        (excess,) = to_ring(trio, plane, [shape])
        found = found[0] - trio.pair_of(excess)[0], found[1] - trio.pair_of(excess)[1]
    shapes = [value.shape for value in values]
    pairs = zip(parted(found[0], shapes), parted(found[1], shapes), strict=True)
    return [trio.replica(each, two) for each, two in zip(shapes, pairs, strict=True)]


def _rounded(trio: Guarded, who: int, pair: Pair, r: Words | None, moved: Pair, wraps: Pair, bits: int) -> Pair:
    """Return this party's components of y."""
    cut, lift = np.uint64(bits), np.uint64(2 ** (RING_BITS - bits))
    found = []
    for number in range(2):
        if trio.own(number) == (who + 2) % PARTIES:
            own = known(r)
            part = lift * (own >> _TOP) - (own >> cut) - np.uint64(2 ** (RING_BITS - 2 - bits))
        else:
            part = (pair[number] >> cut) + moved[number]
        found.append(part - lift * wraps[number])
    return found[0], found[1]


def _masked_anew(trio: Guarded, who: int, pair: Pair) -> Pair:
    """Return components of the same row, of which the one that party `who` does not know is fresh, in one round."""
    first, second = pair
    shape, third = first.shape, (who + 2) % PARTIES
    if trio.me == who:
        moved = trio.told("anew", shape)
        trio.alike(trio.after, moved)
        return first + moved, second
    drawn = trio.draw(third, "anew", shape, RING_BITS)
    if trio.after == who:  # the third component is its first one
        moved = first + drawn
        trio.tell("anew", moved)
        return np.negative(drawn), second + moved
    trio.pass_by("anew", shape)
    trio.alike(trio.me, second + drawn)
    return first, np.negative(drawn)
