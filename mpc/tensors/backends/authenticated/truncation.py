"""Division by a power of two, with the formulas of :mod:`mpc.tensors.backends.truncation`.

c = x + 2^62 + r is open and was opened with MACs. What the provider deals about r has MACs, and the result is linear in
it with public factors. So a party can change a result only by opening something else, which the check finds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.authenticated.comparison import RING_BITS, less_in_parts, masked, to_ring
from mpc.tensors.backends.authenticated.party import MacParty
from mpc.tensors.backends.authenticated.products import mask_of
from mpc.tensors.backends.authenticated.values import Mask, Value
from mpc.tensors.backends.comparison import joined
from mpc.tensors.backends.interface import Rounding
from mpc.tensors.backends.truncation import check

_TOP = np.uint64(RING_BITS - 1)


def truncate(party: MacParty, values: Sequence[Value], bits: int, bound: int, rounding: Rounding) -> list[Value]:
    """Return values / 2^bits, rounded. All values share their rounds."""
    check(RING_BITS, bits, bound, rounding)
    if bits == 0:
        return list(values)
    shapes = [value.shape for value in values]
    half = 1 << (bits - 1) if rounding == "nearest" else 0
    masked(party, values)
    masks = [mask_of(value) for value in values]
    with party.dealing.correlation("truncate", shapes, f"{rounding} by {bits} bits"):
        results = [_stochastic(party, mask, value, bits, half) for mask, value in zip(masks, values, strict=True)]
    if rounding == "stochastic":
        return results
    excess = _excess(party, values, masks, bits, half)
    if not party.computes:
        return results
    return [
        party.value(result.shape, party.share_of(result) - party.share_of(one))
        for result, one in zip(results, excess, strict=True)
    ]


def _opened(party: MacParty, mask: Mask, half: int) -> Words:
    """Return c = x + 2^62 + half + r, which all computing parties know."""
    return np.asarray(party.known(mask.opened) + np.uint64((1 << (RING_BITS - 2)) + half))


def _secret(party: MacParty, mask: Mask) -> Words:
    """Return r = -a, which the provider knows."""
    return np.asarray(np.negative(party.known(mask.dealt.value)))


def _stochastic(party: MacParty, mask: Mask, value: Value, bits: int, half: int) -> Value:
    """Return the truncated value: y = (c >> f) + u - 2^(64-f) c_top r_top - 2^(62-f)."""
    cut, lifted = np.uint64(bits), np.uint64(RING_BITS - bits)

    def made_u() -> Words:
        r = _secret(party, mask)
        return np.asarray(((r >> _TOP) << lifted) - (r >> cut))

    u = party.dealing.authentic(value.shape, made_u)
    r_top = party.dealing.authentic(value.shape, lambda: np.asarray(_secret(party, mask) >> _TOP))
    if not party.computes:
        return party.value(value.shape, None)
    c = _opened(party, mask, half)
    known = party.public(np.asarray((c >> cut) - np.uint64(1 << (RING_BITS - 2 - bits))))
    over = party.has(r_top.share).times((c >> _TOP) << lifted)
    return party.value(value.shape, known + party.has(u.share) - over)


def _excess(party: MacParty, values: Sequence[Value], masks: Sequence[Mask], bits: int, half: int) -> list[Value]:
    """Return 1 where the truncated value is one too large: [c'_low < r'_low]."""
    count = sum(value.size for value in values)
    public = joined([_opened(party, mask, half) for mask in masks]) if party.computes else None
    secret = None if party.computes else joined([_secret(party, mask) for mask in masks])
    plane = less_in_parts(party, public, secret, count, bits, top=False)
    return to_ring(party, plane, [value.shape for value in values])
