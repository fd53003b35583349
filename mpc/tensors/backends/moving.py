"""What happens to masks where values are added, or where a value meets public numbers.

Nothing is opened for this. For x = E + S a - L r, with E, S and L public, x + w has E + w in place of E. m x has m E
and m S, and of a rounded value, which has no S, m a and m L. The sum of a rounded value and another masked one is
masked by the sum of both masks, less what is taken off each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.handles import Handle, Later, Mask, roots_of
from mpc.tensors.backends.interface import Shape, Times
from mpc.tensors.backends.party import Party
from mpc.tensors.backends.products import derive

MOST_TOPS = 2
"""Each of them takes a correction in every product."""
LONGEST_WAIT = 8
"""Sums one after the other whose masks are not made. So a value that is added to for ever holds no memory of all."""
_MINUS = Times(-1)


def add_to_masks(party: Party, value: Handle, words: Words, result: Handle) -> None:
    """Give to value + words, of the same shape, the masks that a bit or a rounded value has from its making."""
    if value.bit_mask is not None:
        result.bit_mask = moved(party, value.bit_mask, words)
    if value.rounded_mask is not None:
        result.rounded_mask = moved(party, value.rounded_mask, words)


def moved(party: Party, mask: Mask, words: Words | np.uint64) -> Mask:
    """Return the mask of a value to which public words are added."""
    if not party.computes:
        return mask if mask.source is not None else mask._replace(source=mask)
    return mask._replace(opened=party.reduce(party.known(mask.opened) + words), source=mask.first)


def multiply_masks(party: Party, value: Handle, function: Times, result: Handle) -> None:
    """Give to a multiple of a value the masks that a bit or a rounded value has from its making."""
    if (bit := value.bit_mask) is not None and party.computes:
        of = _on_arrays(party, function)
        result.bit_mask = bit._replace(opened=of(bit.opened), sign=of(bit.sign))
    elif bit is not None:
        result.bit_mask = bit
    if value.rounded_mask is not None:
        result.rounded_mask = _times(party, value.rounded_mask, function)


def _times(party: Party, mask: Mask, function: Times) -> Mask:
    of = _on_arrays(party, function)
    if not party.computes:
        return Mask(value=of(mask.value), tops=mask.tops)
    tops = tuple(top._replace(lift=of(top.lift)) for top in mask.tops)
    return Mask(opened=of(mask.opened), share=of(mask.share), tops=tops)


def _on_arrays(party: Party, function: Times) -> Callable[[Words | None], Words]:
    return lambda words: party.reduce(function(party.known(words)))


def _mask_of(party: Party, handle: Handle) -> Later | None:
    """Return the mask of a value, or None where it has none that another one may be added to."""
    if handle.mask is None and (later := handle.rounded_later) is not None:
        return later
    mask = handle.mask or (None if roots_of(handle) else derive(party, handle))
    return None if mask is None or mask.owed else Later.of(mask)


def add_masks(party: Party, function: np.ufunc, x: Handle, y: Handle, result: Handle) -> None:
    """Give to the sum or difference of two masked values, at least one of them rounded, a mask of the same kind."""
    if not any(each.mask is None and each.is_masked for each in (x, y)):  # none of them is rounded
        return
    first, second = _mask_of(party, x), _mask_of(party, y)
    if first is None or second is None:
        return
    tops = first.tops + second.tops
    if 0 < tops <= MOST_TOPS:
        depth = 1 + max(first.depth, second.depth)
        later = Later(partial(_sum_of, party, function, first, second, result.shape), tops, depth=depth)
        result.round_later(later if depth < LONGEST_WAIT else Later.of(later.mask))


def _sum_of(party: Party, function: np.ufunc, one: Later, other: Later, shape: Shape) -> Mask:
    first, second = one.mask, other.mask
    if function is np.subtract:
        second = _times(party, second, _MINUS)
    tops = (*first.tops, *second.tops)

    def total(one: Words | None, other: Words | None) -> Words:
        found = party.reduce(party.known(one) + party.known(other))
        return found if found.shape == shape else np.broadcast_to(found, shape)

    with np.errstate(over="ignore"):
        if not party.computes:
            return Mask(value=total(first.value, second.value), tops=tops)
        return Mask(opened=total(first.opened, second.opened), share=total(first.share, second.share), tops=tops)
