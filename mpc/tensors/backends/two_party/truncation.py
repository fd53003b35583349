"""Division by a power of two, of values with a bound below 2^(k-2) in a ring of k bits.

With x' = x + 2^(k-2), which is in [0, 2^(k-1)), the parties hold s_0 + s_1 = x' + 2^k w. As the highest bit of x' is
zero, the sum went over exactly where the highest bit of a share is one (Huang, Lu, Hong, Ding, USENIX Security 2022,
Cheetah, section 5.2, who leave the last unit to chance)::

    w = top(s_0) or top(s_1) = top(s_0) + top(s_1) (1 - top(s_0))                 one OT modulo 2^f
    floor(x' / 2^f) = (s_0 >> f) + (s_1 >> f) + [low(s_0) + low(s_1) >= 2^f] - 2^(k-f) w

`floor` compares the low f bits by a garbled circuit. `nearest` adds half a unit first. `stochastic` computes the same
for x' - 1, without the comparison, and adds one. Let l be the low f bits of x' - 1. The result is
floor((x' - 1) / 2^f) + 1 where low(s_0) <= l, and one less elsewhere. So it is one of the two neighbours of x / 2^f,
and x / 2^f itself where that is whole. Shares are drawn anew before, so that low(s_0) is uniform and independent of x.
So the upper one comes with a probability of (l + 1) / 2^f. That is exactly the fraction that is cut off, and the
rounding is unbiased.

The party that holds s_0 knows the coin low(s_0). It knows nothing of l. Without the OT each share would be shifted on
its own. Then the result would be wrong by 2^(k-f) wherever w is one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.interface import Rounding
from mpc.tensors.backends.party import Party
from mpc.tensors.backends.two_party.comparison import Carries, carry, product_of_known, sends, to_ring
from mpc.tensors.backends.two_party.oblivious import Transfers
from mpc.tensors.backends.two_party.products import joined
from mpc.tensors.backends.two_party.values import Value, value

_ONE = np.uint64(1)


def truncate(
    party: Party,
    carries: Carries | None,
    transfers: Transfers,
    values: Sequence[Value],
    fresh: Sequence[Words],
    bits: int,
    rounding: Rounding,
) -> list[Value]:
    """Return values / 2^bits, rounded, whose bound the caller has checked.

    Args:
        party, transfers: of this party.
        carries: of this party, for what is exact.
        values: what is divided.
        fresh: this party's shares of the values, drawn anew.
        bits: f of the text above, 1 to ring_bits - 2.
        rounding: which.
    """
    ring = party.ring_bits
    cut, low = np.uint64(bits), np.uint64((1 << bits) - 1)
    added = 1 << (ring - 2)
    if rounding == "nearest":
        added += 1 << (bits - 1)
    elif rounding == "stochastic":
        added -= 1
    shares = joined(fresh)
    if party.first:
        shares = party.reduce(shares + np.uint64(added))
    top = shares >> np.uint64(ring - 1)
    over = product_of_known(party, transfers, "wrap", _ONE - top, top, bits) + top * sends(party, shares.size)
    result = (shares >> cut) - (over << np.uint64(ring - bits))
    if carries is not None:
        result += to_ring(party, transfers, carry(party, carries, shares & low, bits))
    if party.first:
        result -= np.uint64(1 << (ring - 2 - bits))
        if rounding == "stochastic":
            result += _ONE
    result = party.reduce(result)
    found, start = [], 0
    for each in values:
        found.append(value(party, each.shape, result[start : start + each.size].reshape(each.shape)))
        start += each.size
    return found
