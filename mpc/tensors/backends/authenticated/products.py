"""Masks that are opened once, products by Beaver's triples on them, and linear functions of any kind.

For x = E + S a and y = F + T b, with E and F opened, signs S and T public, and c = a b dealt with MACs::

    x y = x F + E T b + S T c          on all parties' shares of x, b and c, for S and T of ones in matrix products

A linear function f that is not computed on shares (:mod:`mpc.tensors.backends.authenticated.picking`) is dealt: of
x = E + a, which is opened, the provider authenticates f(a), and f(x) = f(E) + f(a) has that mask from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpc.errors import OrderError
from mpc.ring import Words
from mpc.tensors.backends.arguments import applied
from mpc.tensors.backends.authenticated.party import MacParty
from mpc.tensors.backends.authenticated.picking import Picking, check_own, picking_of
from mpc.tensors.backends.authenticated.values import Dealt, Mask, Value
from mpc.tensors.backends.authenticated.wide import Wide
from mpc.tensors.backends.interface import Linear, Shape
from mpc.tensors.backends.kernels import matmul as matmul_words

Pairs = Sequence[tuple[Value, Value]]


def mask_all(party: MacParty, values: Sequence[Value]) -> None:
    """Give every value a mask of sign 1, with one round for all that have none, or with no round."""
    fresh = list({id(value): value for value in values if value.mask is None}.values())
    dealt = [party.dealing.authentic_mask(value.shape) for value in fresh]
    if not party.computes:
        for value, mask in zip(fresh, dealt, strict=True):
            value.mask = Mask(mask)
    elif fresh:
        shares = [party.share_of(value) - party.has(mask.share) for value, mask in zip(fresh, dealt, strict=True)]
        for value, mask, opened in zip(fresh, dealt, party.open_numbers("masked", shares), strict=True):
            value.mask = Mask(mask, opened)
    for value in fresh:
        value.drawn = True


def mask_of(value: Value) -> Mask:
    """Return the mask of sign 1 that a value has."""
    if value.mask is None:
        raise OrderError(f"expected a mask of {value!r}, found none")
    return value.mask


# -- linear functions -------------------------------------------------------------------------------------------------


def linear(party: MacParty, function: Linear, shape: Shape, values: Sequence[Value]) -> Value:
    """Return function(*values), which is linear in all arrays at once, without a message where it picks elements."""
    shares = [party.share_of(value) for value in values] if party.computes else []
    found = np.zeros(0, dtype=np.uint64)
    if party.computes:
        found = applied(function, shape, *[share.value[0] for share in shares])
    picking = picking_of(function, [value.shape for value in values], shape)
    if picking is None:
        return _dealt_linear(party, function, shape, values)
    share = None
    if party.computes:
        check_own(picking, shares, found)
        share = picking.of_shares(shares)
    result = party.value(shape, share)
    masks = [value.mask for value in values]
    if all(masks):
        result.mask = mask_of_function(
            party, picking.of, picking.of_shares, [mask for mask in masks if mask is not None]
        )
    elif len(values) == 1 and values[0].bit_mask is not None:
        bit = values[0].bit_mask
        places = Picking(picking.places, None)  # the factors go to the signs, because the provider does not know those
        picked = mask_of_function(party, places.of, places.of_shares, [bit])
        if party.computes:
            opened, sign = (picking.of([party.known(array)]) for array in (bit.opened, bit.sign))
            picked = Mask(picked.dealt, opened, sign)
        result.bit_mask = picked
    return result


def mask_of_function(
    party: MacParty, words: Callable[[list[Words]], Words], shares: Callable[[list[Wide]], Wide], masks: list[Mask]
) -> Mask:
    """Return the mask of a linear function of masked values, given the function on words and on shares."""
    if party.computes:
        share = shares([party.has(mask.dealt.share) for mask in masks])
        return Mask(Dealt(share), words([party.known(mask.opened) for mask in masks]))
    if any(mask.dealt.value is None for mask in masks):
        return Mask(Dealt())  # an outside party
    return Mask(Dealt(value=words([party.known(mask.dealt.value) for mask in masks])))


def moved(party: MacParty, mask: Mask, words: Words, shape: Shape) -> Mask:
    """Return the mask of a value to which public words are added, and which broadcasts to this shape."""
    if not party.computes:
        value = mask.dealt.value
        return mask if value is None else Mask(Dealt(value=np.broadcast_to(value, shape)))
    opened = np.asarray(party.known(mask.opened) + words)
    sign = None if mask.sign is None else np.broadcast_to(mask.sign, shape)
    return Mask(Dealt(party.has(mask.dealt.share).broadcast(shape)), opened, sign)


def _dealt_linear(party: MacParty, function: Linear, shape: Shape, values: Sequence[Value]) -> Value:
    with party.dealing.correlation("linear", [value.shape for value in values]):
        mask_all(party, values)
        masks = [mask_of(value) for value in values]

        def made() -> Words:
            return np.asarray(function(*[party.known(mask.dealt.value) for mask in masks]))

        dealt = party.dealing.authentic(shape, made)
        if not party.computes:
            result = party.value(shape, None)
            result.mask = Mask(dealt)
            return result
        opened = np.asarray(function(*[party.known(mask.opened) for mask in masks]))
        result = party.value(shape, party.has(dealt.share) + party.public(opened))
        result.mask = Mask(dealt, opened)
        return result


# -- products ---------------------------------------------------------------------------------------------------------


def multiply(party: MacParty, pairs: Pairs, shapes: Sequence[Shape]) -> list[Value]:
    """Return element-wise products. A bit that has a mask with signs needs no other."""
    with party.dealing.correlation("multiply", shapes):
        mask_all(party, [value for pair in pairs for value in pair if value.bit_mask is None])
        return [_multiplied(party, x, y, shape) for (x, y), shape in zip(pairs, shapes, strict=True)]


def _multiplied(party: MacParty, x: Value, y: Value, shape: Shape) -> Value:
    left, right = x.any_mask(), y.any_mask()

    def made() -> Words:
        return np.broadcast_to(party.known(left.dealt.value) * party.known(right.dealt.value), shape)

    c = party.dealing.authentic(shape, made)
    if not party.computes:
        return party.value(shape, None)
    e = party.known(left.opened)
    if right.sign is not None:
        e = e * right.sign
    product = party.has(c.share)
    for sign in (left.sign, right.sign):
        if sign is not None:
            product = product.times(sign)
    f, b = party.known(right.opened), party.has(right.dealt.share)
    return party.value(shape, product.plus_products(party.share_of(x), f, b, e))


def matmul(party: MacParty, pairs: Pairs, shapes: Sequence[Shape]) -> list[Value]:
    """Return matrix products, whose masks have no signs."""
    with party.dealing.correlation("matmul", shapes):
        mask_all(party, [value for pair in pairs for value in pair])
        return [_matrix_product(party, x, y, shape) for (x, y), shape in zip(pairs, shapes, strict=True)]


def _matrix_product(party: MacParty, x: Value, y: Value, shape: Shape) -> Value:
    left, right = mask_of(x), mask_of(y)
    c = party.dealing.authentic(
        shape, lambda: matmul_words(party.known(left.dealt.value), party.known(right.dealt.value))
    )
    if not party.computes:
        return party.value(shape, None)
    e, f, b = party.known(left.opened), party.known(right.opened), party.has(right.dealt.share)
    return party.value(shape, party.has(c.share).plus_matrices(party.share_of(x), f, e, b))
