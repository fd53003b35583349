"""Masks that are opened once, and products by Beaver's triples (Beaver, CRYPTO 1991) on them.

For x = E + a and y = F + b, with E and F opened and c = a b dealt::

    x y = E F + E b + a F + c                all parties: E b + a F + c on their shares; the first also adds E F

The same holds for matrix products, in this order of factors. A square is the case in which both handles are the same
one, so that it takes one mask and one opening. Elements of a bit's mask may have signs, x = E + S a. See
:mod:`mpc.tensors.backends.handles` for why masks may be used again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpc.errors import OrderError, ParameterError
from mpc.ring import Words
from mpc.tensors.backends.handles import Handle, Mask, roots_of
from mpc.tensors.backends.party import Party
from mpc.tensors.network import Part

Product = Callable[[Words, Words], Words]


def mask_all(party: Party, handles: Sequence[Handle]) -> None:
    """Give every handle a mask of sign 1, with one round for all that have to be opened, or with none."""
    roots: dict[int, Handle] = {}
    for handle in handles:
        roots.update((id(root), root) for root in roots_of(handle))
    fresh = list(roots.values())
    shares = [party.dealing.mask(root.shape, party.ring_bits) for root in fresh]
    if not party.computes:
        for root, value in zip(fresh, shares, strict=True):
            root.mask = Mask(value=value)
        if fresh:
            party.pass_by("masked", [(root.size, party.ring_bits) for root in fresh], [root.shape for root in fresh])
    elif fresh:
        parts = [Part(party.share_of(root) - share, party.ring_bits) for root, share in zip(fresh, shares, strict=True)]
        opened = party.open("masked", parts, [root.shape for root in fresh])
        for root, share, masked in zip(fresh, shares, opened, strict=True):
            root.mask = Mask(opened=masked, share=share)
    for handle in handles:
        derive(party, handle)


def derive(party: Party, handle: Handle) -> Mask:
    """Return the mask of a handle that has one, or whose origins all have one."""
    if handle.mask is not None:
        return handle.mask
    origin = handle.origin
    if origin is None:
        raise OrderError(f"expected a mask of {handle!r}, found none")
    masks = [derive(party, parent) for parent in origin.parents]

    def of(arrays: Sequence[Words | None]) -> Words:
        result = party.reduce(origin.function(*[array for array in arrays if array is not None]))
        return result if result.shape == handle.shape else np.broadcast_to(result, handle.shape)

    if not party.computes:
        handle.mask = Mask(value=of([mask.value for mask in masks]))
        return derive(party, handle)
    if origin.checked:
        _check_again(party, handle, of([party.share_of(parent) for parent in origin.parents]), origin.offset)
    opened = of([mask.opened for mask in masks])
    if origin.offset is not None:
        opened = party.reduce(opened + origin.offset)
    handle.mask = Mask(opened=opened, share=of([mask.share for mask in masks]))
    return derive(party, handle)


def _check_again(party: Party, handle: Handle, again: Words, offset: Words | None) -> None:
    """Refuse a linear function that does not give the same again, by this party's own shares."""
    if offset is not None and party.first:
        again = party.reduce(again + offset)
    if not np.array_equal(again, party.share_of(handle)):
        raise ParameterError(
            f"expected a linear function that gives the same whenever it is called, found that the one of {handle!r} "
            "has changed (a function in a loop should take the loop's variable as a default argument)"
        )


def multiply(party: Party, pairs: Sequence[tuple[Handle, Handle]], shapes: Sequence[tuple[int, ...]]) -> list[Handle]:
    """Return element-wise products. A bit that has a mask with signs needs no other."""
    mask_all(party, [handle for pair in pairs for handle in pair if handle.bit_mask is None or handle.mask is not None])
    with party.dealing.correlation("multiply", shapes):
        return [
            _product(party, _any_mask(x), _any_mask(y), shape, np.multiply)
            for (x, y), shape in zip(pairs, shapes, strict=True)
        ]


def matmul(
    party: Party, pairs: Sequence[tuple[Handle, Handle]], shapes: Sequence[tuple[int, ...]], product: Product
) -> list[Handle]:
    """Return matrix products by the given function, whose masks have no signs."""
    mask_all(party, [handle for pair in pairs for handle in pair])
    with party.dealing.correlation("matmul", shapes):
        return [
            _product(party, derive(party, x), derive(party, y), shape, product)
            for (x, y), shape in zip(pairs, shapes, strict=True)
        ]


def _any_mask(handle: Handle) -> Mask:
    mask = handle.mask or handle.bit_mask
    if mask is None:
        raise OrderError(f"expected a mask of {handle!r}, found none")
    return mask


def _product(party: Party, x: Mask, y: Mask, shape: tuple[int, ...], product: Product) -> Handle:
    """Return the product of two masked values. Provider: c = a b. Parties: E b + a F + c, and E F once."""

    def made() -> Words:
        return party.reduce(np.broadcast_to(product(party.known(x.value), party.known(y.value)), shape))

    c = party.dealing.deal(shape, party.ring_bits, made)
    if not party.computes:
        return party.handle(shape, None)
    e, f, a, b = party.known(x.opened), party.known(y.opened), party.known(x.share), party.known(y.share)
    if x.sign is not None:
        a = x.sign * a
        c = x.sign * c
    if y.sign is not None:
        b = y.sign * b
        c = y.sign * c
    share = product(e, b)
    share += product(a + e if party.first else a, f)
    share += c
    return party.handle(shape, party.reduce(share))
