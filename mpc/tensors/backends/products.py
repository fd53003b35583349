"""Masks that are opened once, and products by Beaver's triples (Beaver, CRYPTO 1991) on them.

For x = E + a and y = F + b, with E and F opened and c = a b dealt::

    x y = E F + E b + a F + c                all parties: E b + a F + c on their shares; the first also adds E F

The provider does not deal c at once. Most products are rounded next, and that opens x y + r for a mask r. Without c
the parties open x y - c + r', for an r' that comes from seeds. That is the same for r = r' - c, which the provider
knows. So a product that is only rounded or compared takes no correction. Else c is dealt when shares are needed.

The same holds for matrix products, in this order of factors. A square is the case in which both handles are the same
one, so that it takes one mask and one opening. Elements of a bit's mask may have signs, x = E + S a. A
rounded value has the mask a - L r, with L public and a multiple of 2^(k-f), of which the provider knows a and r. Then::

    (E + a - L r)(F + b - M s) = E F + E (b - M s) + (a - L r) F + a b - L (b r) - M (a s) + L M (r s)

The last term is zero modulo 2^k where both are cut by at most k bits together. The provider deals b r and a s modulo
2^f, which is less than a mask and takes no round. The product of a bit and a rounded value is less by S M (a s). See
:mod:`mpc.tensors.backends.handles` for why masks may be used again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod

import numpy as np

from mpc.errors import OrderError, ParameterError
from mpc.ring import Words
from mpc.tensors.backends.handles import Handle, Mask, Origin, Owed, Top, roots_of, zeros
from mpc.tensors.backends.interface import Linear, Shape
from mpc.tensors.backends.kernels import matmul as matrix_product
from mpc.tensors.backends.kernels import multiply_layer, whole
from mpc.tensors.backends.party import Party
from mpc.tensors.network import Part

Product = Callable[[Words, Words], Words]
LARGEST_REPEATED = 1 << 13
"""Elements of a product for which a rounded factor may be repeated without a mask of its own, which takes a round."""
_ZERO = np.uint64(0)


def mask_all(party: Party, handles: Sequence[Handle], *, half: bool = False) -> None:
    """Give every handle a mask of sign 1, with one round for all that have to be opened, or with none.

    Where there is a round, it also opens what was to be masked ahead.

    Args:
        party: this one.
        handles: to be masked.
        half: whether shares of the masks may miss something, because only the provider will use the masks.
    """
    roots = {id(root): root for handle in handles if handle.mask is None for root in roots_of(handle)}
    if roots:
        _mask_roots(party, roots, half=half)
    for handle in handles:
        if handle.mask is None:
            derive(party, handle)
    if not half and any([handle.mask is not None and handle.mask.owed is not None for handle in handles]):
        _complete(party, handles)


def _mask_roots(party: Party, roots: dict[int, Handle], *, half: bool) -> None:
    """Draw a mask for each of these, and open them and what was to be masked ahead in one round."""
    if party.ahead:
        roots.update((id(root), root) for handle in party.ahead for root in _roots_ahead(handle))
        party.ahead.clear()
    fresh = list(roots.values())
    if not half:
        settle(party, fresh)
    shares = [_share_of_mask(party, root) for root in fresh]
    senders = [root.owner for root in fresh]
    if not party.computes:
        for root, share in zip(fresh, shares, strict=True):
            value = share if root.owed is None else party.reduce(share + party.known(root.owed.value))
            root.mask = Mask(value=value, owed=root.owed)
        sizes = [(root.size, party.ring_bits) for root in fresh]
        party.pass_by("masked", sizes, [root.shape for root in fresh], senders)
    else:
        parts = [_part(party, root, share, sender) for root, share, sender in zip(fresh, shares, senders, strict=True)]
        opened = party.open("masked", parts, [root.shape for root in fresh])
        for root, share, masked in zip(fresh, shares, opened, strict=True):
            lacking = root.owner is not None and root.owner != party.network.me
            root.mask = Mask(opened=masked, share=share, owed=root.owed, lacking=lacking)
    for root in fresh:
        root.drawn = True


def _share_of_mask(party: Party, root: Handle) -> Words:
    """Draw a mask for a handle. That of a computing party's input is drawn by its owner and the provider alone."""
    if root.owner is None:
        return party.dealing.mask(root.shape, party.ring_bits)
    if party.computes and party.network.me != root.owner:
        return zeros(root.shape)
    return party.dealing.owners_mask(party.computing.index(root.owner), root.shape, party.ring_bits)


def _part(party: Party, root: Handle, share: Words, sender: str | None) -> Part:
    """Return what is opened of a handle under its mask. Where another party alone opens it, this one's part is zero."""
    own = party.share_of(root)
    if sender is not None and sender != party.network.me:
        return Part(own, party.ring_bits, sender=sender)
    return Part(own - share, party.ring_bits, sender=sender)


def _roots_ahead(handle: Handle) -> list[Handle]:
    """Return what may be masked ahead for a value: nothing that is larger, or whose shares miss something."""
    roots = roots_of(handle)
    return roots if all(root.owed is None and root.size <= handle.size for root in roots) else []


def settle(party: Party, handles: Sequence[Handle]) -> None:
    """Deal what the shares of these miss, in one message, so that they are whole."""
    lacking = [handle for handle in handles if handle.owed is not None]
    if not lacking:
        return
    _deal(party, [handle.owed for handle in lacking if handle.owed is not None])
    for handle in lacking:
        if handle.owed is not None:
            if party.computes:
                handle.share = party.reduce(party.share_of(handle) + party.known(handle.owed.share))
                handle.share.setflags(write=False)
            handle.owed = None


def _complete(party: Party, handles: Sequence[Handle]) -> None:
    """Deal what the shares of these handles' masks miss."""
    _deal(party, [handle.mask.owed for handle in handles if handle.mask is not None and handle.mask.owed is not None])
    for handle in handles:
        mask = handle.mask
        if mask is not None and mask.owed is not None:
            share = party.reduce(party.known(mask.share) + party.known(mask.owed.share)) if party.computes else None
            handle.complete_mask(mask._replace(share=share, owed=None, source=mask.first))


def _deal(party: Party, owed: Sequence[Owed]) -> None:
    waiting = list({id(each): each for each in owed if not each.dealt}.values())
    if not waiting:
        return
    with party.dealing.correlation("settle", [each.shape for each in waiting]):
        for each in waiting:
            each.share = party.dealing.deal(each.shape, party.ring_bits, partial(party.known, each.value))
            each.dealt = True


def owed_of(party: Party, function: Linear, shape: Shape, handles: Sequence[Handle]) -> Owed | None:
    """Return what a linear function of these misses, or None."""
    if not any(handle.owed for handle in handles):
        return None
    return _owed(party, function, shape, [(handle.shape, handle.owed) for handle in handles])


def _owed(party: Party, function: Linear, shape: Shape, parts: Sequence[tuple[Shape, Owed | None]]) -> Owed | None:
    if not any(owed for _, owed in parts):
        return None
    if party.computes:
        return Owed(shape, None)
    values = [np.broadcast_to(_ZERO, each) if owed is None else party.known(owed.value) for each, owed in parts]
    return Owed(shape, spread(party.reduce(function(*values)), shape))


def spread(words: Words, shape: Shape) -> Words:
    """Return words that broadcast to a shape in that shape."""
    return words if words.shape == shape else np.broadcast_to(words, shape)


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
        return spread(result, handle.shape)

    public = all(mask.public for mask in masks)
    source = masks[0].first if origin.same else None
    before = [(parent.shape, mask.owed) for parent, mask in zip(origin.parents, masks, strict=True)]
    owed = _owed(party, origin.function, handle.shape, before)
    if not party.computes:
        handle.mask = Mask(value=of([mask.value for mask in masks]), owed=owed, public=public, source=source)
        return derive(party, handle)
    _check_again(party, handle, origin, of)
    opened = of([mask.opened for mask in masks])
    if origin.offset is not None:
        opened = party.reduce(opened + origin.offset)
    lacking = owed is None and all(mask.lacking or mask.public for mask in masks)
    share = zeros(handle.shape) if lacking else of([mask.share for mask in masks])
    handle.mask = Mask(opened=opened, share=share, owed=owed, public=public, lacking=lacking, source=source)
    return derive(party, handle)


def low_mask(party: Party, handle: Handle, bits: int) -> Mask | None:
    """Return a mask of the value modulo 2^bits for which nothing has to be opened, or None.

    What is taken off the mask of a rounded value is a multiple of a power of two, and below that it has a mask as any
    other value. The same holds for linear functions of rounded values.
    """
    if not roots_of(handle):
        return derive(party, handle)
    rounded = handle.rounded_mask
    if rounded is not None and rounded.whole_bits + bits <= party.ring_bits:
        return rounded
    origin = handle.origin
    if origin is None:
        return None
    masks = [low_mask(party, parent, bits) for parent in origin.parents]
    known = [mask for mask in masks if mask is not None]
    if len(known) < len(masks):
        return None
    return _low_of(party, handle, origin, known)


def _low_of(party: Party, handle: Handle, origin: Origin, masks: Sequence[Mask]) -> Mask:
    """Return the low mask of a linear function of values that have one."""

    def of(arrays: Sequence[Words | None]) -> Words:
        result = party.reduce(origin.function(*[party.known(array) for array in arrays]))
        return spread(result, handle.shape)

    source = masks[0].first if origin.same else None
    if not party.computes:
        return Mask(value=of([mask.value for mask in masks]), source=source)
    _check_again(party, handle, origin, of)
    opened = of([mask.opened for mask in masks])
    return Mask(opened=opened if origin.offset is None else party.reduce(opened + origin.offset), source=source)


def _check_again(party: Party, handle: Handle, origin: Origin, of: Callable[[Sequence[Words | None]], Words]) -> None:
    """Refuse a caller's linear function that does not give the same again, by this party's shares at that time."""
    if not origin.checked:
        return
    again = of(origin.shares)
    if origin.offset is not None and party.first:
        again = party.reduce(again + origin.offset)
    if not np.array_equal(again, party.known(origin.share)):
        raise ParameterError(
            f"expected a linear function that gives the same whenever it is called, found that the one of {handle!r} "
            "has changed (a function in a loop should take the loop's variable as a default argument)"
        )


def multiply(party: Party, pairs: Sequence[tuple[Handle, Handle]], shapes: Sequence[tuple[int, ...]]) -> list[Handle]:
    """Return element-wise products. A bit that has a mask with signs needs no other, and so does a rounded value."""
    wanted = [_to_mask(party, x, y, shape) for (x, y), shape in zip(pairs, shapes, strict=True)]
    mask_all(party, [handle for each in wanted for handle in each])
    with party.dealing.correlation("multiply", shapes):
        return [_elementwise(party, x, y, shape) for (x, y), shape in zip(pairs, shapes, strict=True)]


def _to_mask(party: Party, x: Handle, y: Handle, shape: Shape) -> list[Handle]:
    """Return which of two factors need a mask of their own for their product."""
    pair = (x, y) if x is not y else (x,)
    rounded = [each for each in pair if _is_rounded(each, shape)]
    if len(rounded) == len(pair):
        both = sum(each.rounded_mask.whole_bits for each in (x, y) if each.rounded_mask)
        too_many = both > party.ring_bits
        if too_many:
            del rounded[0]
    return [each for each in pair if each not in rounded and not _is_bit(each)]


def _is_bit(handle: Handle) -> bool:
    """Return whether the mask of a handle is the one with signs."""
    return handle.mask is None and handle.bit_mask is not None


def _is_rounded(handle: Handle, shape: Shape) -> bool:
    """Return whether the mask of a handle may be that of its rounding. Repeated often, an own one costs less."""
    fits = handle.shape == shape or prod(shape) <= LARGEST_REPEATED
    return handle.mask is None and handle.rounded_later is not None and fits


def _elementwise(party: Party, x: Handle, y: Handle, shape: Shape) -> Handle:
    signed = _is_bit(x) or _is_bit(y)
    first, second = _any_mask(x), _any_mask(y)
    if not first.tops and not second.tops:
        return _product(party, first, second, shape, np.multiply, signed=signed)
    if first.public or second.public:
        return _product(party, _whole(party, first), _whole(party, second), shape, np.multiply, signed=signed)
    less = _tops(party, first, second, shape)
    if x is not y:
        less = [*less, *_tops(party, second, first, shape)]
    result = _product(party, _whole(party, first), _whole(party, second), shape, np.multiply, signed=signed)
    if party.computes:
        share = party.share_of(result)
        for part in less:  # which is nobody else's
            whole_part = np.add(part, part, out=part) if x is y else part
            share = np.subtract(share, whole_part, out=part)
        result.share = party.reduce(share)
    return result


def _whole(party: Party, mask: Mask) -> Mask:
    """Return a mask whose shares are of a - L r. The provider's value stays a."""
    if not mask.tops or not party.computes:
        return mask
    share = party.known(mask.share)
    for top in mask.tops:
        less = party.known(top.lift) * party.known(top.share)
        share = np.subtract(share, less, out=less if less.shape == share.shape and less.ndim else None)
    return mask._replace(share=share)


def _tops(party: Party, x: Mask, y: Mask, shape: Shape) -> list[Words]:
    """Return this party's shares of L (S b r), for each L and r of x, and the b and signs S of y."""
    found = []
    for top in x.tops:
        dealt = party.dealing.deal(shape, top.bits, partial(_made_top, party, top, y, shape))
        if party.computes:
            less = np.asarray(party.known(top.lift) * dealt)
            found.append(less if y.sign is None else np.multiply(y.sign, less, out=less))
    return found


def _made_top(party: Party, top: Top, y: Mask, shape: Shape) -> Words:
    low = np.uint64((1 << top.bits) - 1)
    return np.asarray(spread(party.known(top.value) * party.known(y.value), shape) & low)


def matmul(party: Party, pairs: Sequence[tuple[Handle, Handle]], shapes: Sequence[tuple[int, ...]]) -> list[Handle]:
    """Return matrix products, whose masks have no signs."""
    mask_all(party, [handle for pair in pairs for handle in pair])
    with party.dealing.correlation("matmul", shapes):
        return [
            _product(party, derive(party, x), derive(party, y), shape, matrix_product, signed=False)
            for (x, y), shape in zip(pairs, shapes, strict=True)
        ]


def _any_mask(handle: Handle) -> Mask:
    mask = handle.mask or handle.bit_mask or handle.rounded_mask
    if mask is None:
        raise OrderError(f"expected a mask of {handle!r}, found none")
    return mask


def _product(party: Party, x: Mask, y: Mask, shape: tuple[int, ...], product: Product, *, signed: bool) -> Handle:
    """Return the product of two masked values. Provider: c = a b. Parties: E b + a F + c, and E F once.

    Of a bit's mask the provider does not know the signs, so that it deals c at once where a mask is `signed`. Where a
    value is public there is no c.
    """
    if x.public or y.public:
        return _product_with_public(party, x, y, shape, product)

    def made() -> Words:
        return party.reduce(spread(product(party.known(x.value), party.known(y.value)), shape))

    c = party.dealing.deal(shape, party.ring_bits, made) if signed else _ZERO
    owed = None if signed else party.dealing.owe(shape, made)
    if not party.computes:
        result = party.handle(shape, None)
        result.owed = owed
        return result
    e, f, a, b = party.known(x.opened), party.known(y.opened), party.known(x.share), party.known(y.share)
    if x.sign is not None:
        a = x.sign * a
        c = x.sign * c
    if y.sign is not None:
        b = y.sign * b
        c = y.sign * c
    if x.lacking or y.lacking:
        share = _of_one_side(party.first, x.lacking, y.lacking, (e, f, a, b), shape, product)
    elif product is np.multiply:
        share = _of_elements(party.first, e, f, a, b)
    else:
        share = product(e, b)
        matrix_product(a + e if party.first else a, f, share, adds=True)
    if signed:
        share = np.add(share, c, out=np.asarray(c))  # which a sign was multiplied by, so that it is nobody else's
    result = party.handle(shape, party.reduce(share))
    result.owed = owed
    return result


def _of_one_side(
    first: bool,
    x_lacking: bool,
    y_lacking: bool,
    known: tuple[Words, Words, Words, Words],
    shape: Shape,
    product: Product,
) -> Words:
    """Return the same as :func:`_of_elements` by one product at most, where this party's a or b is zero, or both."""
    e, f, a, b = known
    if x_lacking and y_lacking:
        return product(e, f) if first else zeros(shape)
    if x_lacking:
        return product(e, b + f if first else b)
    return product(a + e if first else a, f)


def _of_elements(first: bool, e: Words, f: Words, a: Words, b: Words) -> Words:
    """Return E b + a F, and E F for the first party, which broadcast."""
    if e.shape == f.shape == a.shape == b.shape:
        return multiply_layer(whole(e), whole(f), whole(a), whole(b), None, first)
    return np.asarray(e * b + (a + e if first else a) * f)


def _product_with_public(party: Party, x: Mask, y: Mask, shape: Shape, product: Product) -> Handle:
    """Return the product of two values of which all parties know one: E (b + F), or (a + E) F, with F or E once."""
    if not party.computes:
        return party.handle(shape, None)
    e, f, a, b = party.known(x.opened), party.known(y.opened), party.known(x.share), party.known(y.share)
    if x.public:
        own = b if y.sign is None else y.sign * b
        return party.handle(shape, party.reduce(product(e, own + f if party.first else own)))
    own = a if x.sign is None else x.sign * a
    return party.handle(shape, party.reduce(product(own + e if party.first else own, f)))
