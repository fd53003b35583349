"""Division by a power of two, after Escudero, Ghosh, Keller, Rachuri and Scholl (CRYPTO 2020), section 5.

The formula and the proof are those of :mod:`mpc.tensors.backends.truncation`: with x' = x + 2^(k-2) in [0, 2^(k-1)), a
mask r of all k bits, and c = x' + r, whose highest bits are c_top and r_top::

    u = 2^(k-f) r_top - (r >> f)  in Z_2^k              y = (c >> f) + u - 2^(k-f) c_top r_top - 2^(k-2-f)

y is one of the two neighbours of x / 2^f, and the upper one with a probability of exactly the fraction that is cut off.
Here the third party draws the mask, as a provider would, and parties 0 and 1 see c (:mod:`.masked`). Nobody sees both.
The third party shares u and r_top. What depends on c is component 1, which parties 0 and 1 hold. The product of c_top
and r_top they have in two additive shares, which they make a component in a second round, of f bits alone::

    third     c, u in Z_2^k, r_top in Z_2^f            to party 0, two words and f bits a value; to party 1 one word
    paired    c_top r_top in Z_2^f                     2^(k-f) times it is the same for any number that is equal mod 2^f

The coin of the rounding is c'_low against r'_low, and no party knows both.

Of `floor` the rounding down is exact. y is one too large exactly where c'_low < r'_low, which is compared on shared
bits. `nearest` adds half a unit first. Shares are never shifted on their own, which is wrong by a lot now and then
(Mohassel and Rindal, CCS 2018, give the probability for three parties).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.comparison import parted
from mpc.tensors.backends.interface import Rounding
from mpc.tensors.backends.replicated.comparison import dealt_products, less_than, to_ring
from mpc.tensors.backends.replicated.masked import Dealt, Masked, known, mask
from mpc.tensors.backends.replicated.trio import THIRD, Form, Pair, Replica, Trio
from mpc.tensors.backends.truncation import check

__all__ = ["check", "truncate"]


def truncate(trio: Trio, values: Sequence[Replica], bits: int, rounding: Rounding) -> list[Replica]:
    """Return values / 2^bits, rounded, for arguments that `check` has let pass. All values share their rounds."""
    if bits == 0 or not values:
        return list(values)
    shapes = [value.shape for value in values]
    ring, count = trio.ring_bits, sum(value.size for value in values)
    top, cut, lifted = np.uint64(ring - 1), np.uint64(bits), np.uint64(ring - bits)
    dealt = [
        Dealt(Form(count, ring), lambda r: ((r >> top) << lifted) - (r >> cut)),
        Dealt(Form(count, bits), lambda r: r >> top),
    ]
    if rounding != "stochastic":
        dealt.append(dealt_products(count, bits))
    masked = mask(trio, f"cut by {bits} bits, {rounding}", values, ring, dealt)
    if masked.opened is not None:
        half = 1 << (bits - 1) if rounding == "nearest" else 0
        masked = replace(masked, opened=trio.reduce(masked.opened + np.uint64((1 << (ring - 2)) + half)))
    first, second = _stochastic(trio, masked, bits)
    if rounding != "stochastic":
        plane = less_than(trio, masked, masked.dealt[2], bits, top=False)
        excess = to_ring(trio, plane, [(count,)])[0]
        first, second = (one - other for one, other in zip((first, second), trio.pair_of(excess), strict=True))
    arrays = zip(parted(trio.reduce(first), shapes), parted(trio.reduce(second), shapes), strict=True)
    return [trio.replica(shape, pair) for shape, pair in zip(shapes, arrays, strict=True)]


def _stochastic(trio: Trio, masked: Masked, bits: int) -> Pair:
    """Return this party's components of the truncated values, before they are reduced."""
    ring = trio.ring_bits
    top, cut, lifted = np.uint64(ring - 1), np.uint64(bits), np.uint64(ring - bits)
    u, r_top = masked.dealt[:2]
    if trio.place == THIRD:
        first, second = trio.paired("wraps", (masked.count,), None, bits, planes=False)
        return u[0] - (first << lifted), u[1] - (second << lifted)
    c = known(masked.opened)

    def over() -> Words:
        return (c >> top) * r_top[0] & np.uint64((1 << bits) - 1)

    first, second = trio.paired("wraps", (masked.count,), over, bits, planes=False)
    mine = (c >> cut) - np.uint64(1 << (ring - 2 - bits))
    if trio.place == 0:
        return u[0] - (first << lifted), mine - (second << lifted)
    return mine - (first << lifted), u[0] - (second << lifted)
