"""Division by a power of two, after Escudero, Ghosh, Keller, Rachuri and Scholl (CRYPTO 2020), section 5.

k is the ring's width and f the number of bits that go. With x' = x + 2^(k-2), which is in [0, 2^(k-1)), and a mask r of
all k bits, c = x' + r is open. Without their highest bits, which are c_top and r_top, call the two c' and r'. Then::

    x' = c' - r' + 2^(k-1) v                    v = c_top ^ r_top, whether the sum went over
    y  = (c' >> f) - (r' >> f) + 2^(k-1-f) v - 2^(k-2-f)

y differs from x / 2^f by (c'_low - r'_low) / 2^f of the f low bits, which is less than one unit. It is one of the two
neighbours of x / 2^f, and the upper one with a probability of exactly the fraction that is cut off, since r'_low is
uniform. It is so for a mask that was drawn for x, and not for every one that is derived from others'. So the rounding
is unbiased, for any number of parties. v = c_top + r_top - 2 c_top r_top is linear in what is shared, because c_top is
public. The computing parties know the coin of the rounding, which is c'_low, and it is independent of the value. The
provider deals two words for each value::

    u = 2^(k-1-f) r_top - (r' >> f)   in Z_2^k            r_top   in Z_2^f, for it is multiplied by 2^(k-f)
    y = (c >> f) + u - 2^(k-f) c_top r_top - 2^(k-2-f)

So y is masked from the start, by u - 2^(k-f) c_top r_top, and c >> f is open already. Element-wise products of y open
nothing more (:mod:`mpc.tensors.backends.products`).

Of `floor` the rounding down is exact. y is one too large exactly where c'_low < r'_low, which is compared on shared
bits. `nearest` adds half a unit first.

Shares are never shifted on their own. That is wrong by a lot with a probability that grows with the values, and for
three parties and more it is wrong in general.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from mpc.errors import OrderError, ParameterError, RangeError
from mpc.ring import Words
from mpc.tensors.backends.comparison import less_than, to_ring
from mpc.tensors.backends.handles import Handle, Later, Mask, Top
from mpc.tensors.backends.interface import Rounding
from mpc.tensors.backends.kernels import cut_masks, cut_shares, whole
from mpc.tensors.backends.layout import Layout
from mpc.tensors.backends.party import Party
from mpc.tensors.backends.products import derive, mask_all


def truncate(party: Party, values: Sequence[Handle], bits: int, bound: int, rounding: Rounding) -> list[Handle]:
    """Return values / 2^bits, rounded. All values share their rounds."""
    check(party.ring_bits, bits, bound, rounding)
    if bits == 0:
        return list(values)
    shapes = [value.shape for value in values]
    half = 1 << (bits - 1) if rounding == "nearest" else 0
    if rounding == "stochastic":
        values = [_with_own_mask(party, value) for value in values]
    with party.dealing.correlation("truncate", shapes, f"{rounding} by {bits} bits"):
        mask_all(party, values, half=True)
        masks = [derive(party, value) for value in values]
        found = [_stochastic(party, mask, value.shape, bits, half) for mask, value in zip(masks, values, strict=True)]
        if rounding == "stochastic":
            return found
        excess = _excess(party, values, masks, bits, half)
        if not party.computes:
            return [party.handle(shape, None) for shape in shapes]
        pairs = zip(found, excess, strict=True)
        shares = [party.reduce(party.share_of(share) - party.share_of(one)) for share, one in pairs]
        return [party.handle(shape, share) for shape, share in zip(shapes, shares, strict=True)]


def _with_own_mask(party: Party, value: Handle) -> Handle:
    """Return a handle of the same value whose mask is, or will be, drawn for it alone.

    The low bits of another's mask under a linear function may not be uniform. Those of 2 a are even, and elements that
    are repeated have one mask.
    """
    if value.mask is None:
        value.origin = None
        return value
    if value.drawn:
        return value
    again = party.handle(value.shape, value.share)
    again.owed = value.owed
    return again


def check(ring_bits: int, bits: int, bound: int, rounding: Rounding) -> None:
    """Refuse what the ring cannot hold."""
    if rounding not in ("stochastic", "floor", "nearest"):
        raise ParameterError(f"expected a rounding that is stochastic, floor or nearest, found {rounding!r}")
    if not 0 <= bits <= ring_bits - 2:
        raise ParameterError(f"expected to cut 0 to {ring_bits - 2} bits in a ring of {ring_bits}, found {bits}")
    half = 1 << (bits - 1) if rounding == "nearest" and bits else 0
    if bound < 0 or bound + half >= 1 << (ring_bits - 2):
        raise RangeError(
            f"expected a bound of 0 to 2^{ring_bits - 2} - 1{f' - {half}' if half else ''} to divide by 2^{bits} in a "
            f"ring of {ring_bits} bits ({rounding}), found {bound}"
        )


def _opened(party: Party, mask: Mask, half: int) -> Words:
    """Return c = x + 2^(k-2) + half + r, which all computing parties know."""
    return party.reduce(party.known(mask.opened) + np.uint64((1 << (party.ring_bits - 2)) + half))


def _secret(party: Party, mask: Mask) -> Words:
    """Return r = -a, which the provider knows."""
    return party.reduce(np.negative(party.known(mask.value)))


def _stochastic(party: Party, mask: Mask, shape: tuple[int, ...], bits: int, half: int) -> Handle:
    """Return the truncated values, which are masked.

    With the highest bits at their places, c >> f is (c' >> f) + 2^(k-1-f) c_top, and the same for r.
    """
    ring = party.ring_bits
    if not party.computes:
        tops: list[Words] = []

        def made() -> Words:
            u, r_top = cut_masks(whole(party.known(mask.value)), ring, bits)
            tops.append(r_top)
            return u

        u = party.dealing.deal(shape, ring, made)
        r_top = party.dealing.deal(shape, bits, tops.pop)
        result = party.handle(shape, None)
        result.rounded_mask = Mask(value=u, tops=(Top(bits, value=r_top),))
        return result
    u, r_top = (party.dealing.deal(shape, width, _unknown) for width in (ring, bits))
    opened, offset = party.known(mask.opened), (1 << (ring - 2)) + half
    share = cut_shares(whole(opened), offset, whole(u), whole(r_top), ring, bits, party.first)
    result = party.handle(shape, share)
    result.round_by(Later(partial(_rounded_mask, party, mask, half, bits, u, r_top), 1))
    return result


def _rounded_mask(party: Party, mask: Mask, half: int, bits: int, u: Words, r_top: Words) -> Mask:
    """Return the mask that a rounded value has at a computing party."""
    ring = party.ring_bits
    with np.errstate(over="ignore"):
        c = _opened(party, mask, half)
        lift = np.asarray((c >> np.uint64(ring - 1)) << np.uint64(ring - bits))
        opened = np.asarray((c >> np.uint64(bits)) - np.uint64(1 << (ring - 2 - bits)))
    return Mask(opened=opened, share=u, tops=(Top(bits, lift, r_top),))


def _unknown() -> Words:
    raise OrderError("expected a party that takes what is dealt, found that it should make it")


def _excess(party: Party, values: Sequence[Handle], masks: Sequence[Mask], bits: int, half: int) -> list[Handle]:
    """Return 1 where the truncated value is one too large: [c'_low < r'_low]."""
    layout = Layout.of([value.shape for value in values])
    numbers = [_opened(party, mask, half) if party.computes else _secret(party, mask) for mask in masks]
    return to_ring(party, less_than(party, numbers, layout, bits, top=False), layout)
