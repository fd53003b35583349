"""Comparisons with authenticated bits. The steps are those of :mod:`mpc.tensors.backends.comparison`.

The value x is masked, c = x - a is open, and r is -a. Each bit has a MAC, so that a party cannot open another one. A
bit b goes to the ring by a bit beta that is dealt both ways, once as a word of bits and once as a number::

    t = b ^ beta is opened          b = t + (1 - 2 t) beta
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mpc.errors import OrderError
from mpc.ring import Words
from mpc.tensors.backends.authenticated.party import MacParty
from mpc.tensors.backends.authenticated.products import mask_all, mask_of, multiply
from mpc.tensors.backends.authenticated.values import Dealt, Mask, Value
from mpc.tensors.backends.comparison import joined, less_than, parted, width_of
from mpc.tensors.backends.interface import Shape
from mpc.tensors.network import Part

_ONE = np.uint64(1)
RING_BITS = 64
LARGEST_PART = 1 << 22
"""Words of correlations that values are compared with at a time. More values take more rounds, and not more memory."""


def less_in_parts(
    party: MacParty, public: Words | None, secret: Words | None, count: int, bits: int, *, top: bool
) -> Words:
    """Return the words of the bits [public < secret], as :func:`~mpc.tensors.backends.comparison.less_than` does."""
    at_once = max(64, LARGEST_PART // (6 * bits + 16))
    found = []
    for start in range(0, count, at_once):
        part = slice(start, min(start + at_once, count))
        size = part.stop - part.start
        with party.dealing.correlation("compare", [(size,)], f"{bits} bits"):
            known, hidden = (None if words is None else words[part] for words in (public, secret))
            found.append(less_than(party, known, hidden, size, bits, top=top))
    return joined(found)


def to_ring(party: MacParty, plane: Words, shapes: Sequence[Shape]) -> list[Value]:
    """Return bits in the ring, in one round. They are masked from the start."""
    count = sum(map(prod, shapes))
    with party.dealing.correlation("bits to ring", shapes):
        beta = party.dealing.mask_planes((count,))
        number = party.dealing.authentic((count,), lambda: beta & _ONE)
        results = []
        if not party.computes:
            for shape, words in zip(shapes, parted(party.known(number.value), shapes), strict=True):
                value = party.value(shape, None)
                value.bit_mask = Mask(Dealt(value=words))
                results.append(value)
            return results
        (opened,) = party.open("bits to ring", [Part(plane ^ beta, planes=True)], shapes)
    t = opened & _ONE
    sign = _ONE - (t << _ONE)
    dealt = party.has(number.share)
    share = party.public(t) + dealt.times(sign)
    start = 0
    for shape in shapes:
        part = np.arange(start, start + prod(shape), dtype=np.uint64).reshape(shape)
        start += prod(shape)
        value = party.value(shape, share.at(part))
        value.bit_mask = Mask(Dealt(dealt.at(part)), t[part], sign[part])
        results.append(value)
    return results


def masked(party: MacParty, values: Sequence[Value]) -> None:
    """Give every value a mask, in one round."""
    with party.dealing.correlation("mask", [value.shape for value in values]):
        mask_all(party, values)


def negative(party: MacParty, values: Sequence[Value], bound: int) -> list[Value]:
    """Return 1 where a value is below zero."""
    bits = width_of(bound, RING_BITS)
    masked(party, values)
    low = np.uint64((1 << bits) - 1)
    public = secret = None
    if party.computes:
        public = joined([party.known(mask_of(value).opened) for value in values]) & low
    else:
        secret = np.negative(joined([party.known(mask_of(value).dealt.value) for value in values])) & low
    count = sum(value.size for value in values)
    plane = less_in_parts(party, public, secret, count, bits - 1, top=True)
    return to_ring(party, plane, [value.shape for value in values])


def relu(party: MacParty, values: Sequence[Value], bound: int) -> tuple[list[Value], list[Value]]:
    """Return max(0, value) and whether each is at least zero, in the rounds of the comparison alone."""
    kept = [_not(party, bit) for bit in negative(party, values, bound)]
    shapes = [value.shape for value in values]
    return multiply(party, list(zip(kept, values, strict=True)), shapes), kept


def _not(party: MacParty, bit: Value) -> Value:
    """Return 1 - bit, masked as the bit is."""
    mask = bit.bit_mask
    if mask is None:
        raise OrderError(f"expected a bit with a mask, found {bit!r}")
    if not party.computes:
        result = party.value(bit.shape, None)
        result.bit_mask = mask
        return result
    ones = np.ones(bit.shape, dtype=np.uint64)
    result = party.value(bit.shape, party.public(ones) - party.share_of(bit))
    result.bit_mask = Mask(mask.dealt, ones - party.known(mask.opened), np.negative(party.known(mask.sign)))
    return result
