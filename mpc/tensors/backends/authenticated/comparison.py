"""Comparisons with authenticated bits.

The value x is masked, c = x - a is open, and r is -a. As in :mod:`mpc.tensors.backends.comparison` the provider deals
for each group of bits of r which number they are. Of three bits these are n_1 to n_7, each a word with its MAC
(:func:`~mpc._core.chosen_words`)::

    [c < r] = n_(c+1) ^ ... ^ n_7           [c = r] = n_c, or 1 ^ n_1 ^ ... ^ n_7 for c = 0           of three bits each

Groups are as large as it takes for the fewest rounds, and then for the fewest words. A tree puts them together
(:mod:`mpc.tensors.backends.tree`). A bit b goes to the ring by a bit beta that is dealt both ways, once as a word of
bits and once as a number::

    t = b ^ beta is opened          b = t + (1 - 2 t) beta
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from math import prod

import numpy as np

from mpc._core import chosen_words, number_planes
from mpc.errors import OrderError
from mpc.ring import Words
from mpc.tensors.backends import tree
from mpc.tensors.backends.authenticated.party import MacParty
from mpc.tensors.backends.authenticated.products import mask_all, mask_of, multiply
from mpc.tensors.backends.authenticated.values import Dealt, Mask, Value
from mpc.tensors.backends.comparison import joined, parted, width_of
from mpc.tensors.backends.interface import Shape
from mpc.tensors.network import Part

_ONE = np.uint64(1)
RING_BITS = 64
LARGEST_PART = 1 << 23
"""Words of correlations that values are compared with at a time. More values take more rounds, and not more memory."""


def less_in_parts(
    party: MacParty, public: Words | None, secret: Words | None, count: int, bits: int, *, top: bool
) -> Words:
    """Return the words of the bits [public < secret] on the lowest `bits` bits.

    Args:
        party: of which a computing one knows `public`, and the provider `secret`, both flat and of `count` words.
        count, bits: of the numbers.
        top: whether to add, by XOR, bit number `bits` of both.
    """
    at_once = max(64, LARGEST_PART // (5 * bits + 16))
    found = []
    for start in range(0, count, at_once):
        part = slice(start, min(start + at_once, count))
        size = part.stop - part.start
        with party.dealing.correlation("compare", [(size,)], f"{bits} bits"):
            if party.computes:
                found.append(_less_than(party, party.known(public)[part], bits, top=top))
            else:
                _deal(party, party.known(secret)[part], bits, top=top)
    return joined(found)


def _groups(bits: int, width: int) -> int:
    return -(-bits // width)


@cache
def _width(bits: int) -> int:
    """Return how many bits a group has, so that there are few rounds, and then few words."""

    def cost(width: int) -> tuple[int, int]:
        groups = _groups(bits, width)
        return tree.levels(groups), sum(_largest(bits, width)) + tree.words(groups)

    return min(range(1, 5), key=cost)


def _largest(bits: int, width: int) -> list[int]:
    """Return for each group of so many bits, the lowest ones first, the largest number that they can be."""
    return [(1 << min(width, bits - first)) - 1 for first in range(0, bits, width)]


def _numbers(words: Words, bits: int) -> Iterator[tuple[int, Words]]:
    """Give for each group of bits, the lowest ones first, the largest number that they can be, and what they are."""
    width = _width(bits)
    for place, largest in enumerate(_largest(bits, width)):
        yield largest, (words >> np.uint64(place * width)) & np.uint64(largest)


def _deal(party: MacParty, secret: Words, bits: int, *, top: bool) -> None:
    """Deal, as the provider, what :func:`_less_than` takes."""
    for largest, number in _numbers(secret, bits):
        party.dealing.deal_planes((largest, secret.size), partial(number_planes, number, largest))
    if top:
        high = (secret >> np.uint64(bits)) & _ONE
        party.dealing.deal_planes((secret.size,), partial(_planes_where, _ONE, high))
    tree.dealt(party, _groups(bits, _width(bits)), secret.size)


def _planes_where(wanted: Words | np.uint64, number: Words) -> Words:
    """Return words of all ones where a number is the wanted one, and of zeros elsewhere."""
    return np.asarray(np.uint64(0) - (number == wanted).astype(np.uint64))


def _less_than(party: MacParty, public: Words, bits: int, *, top: bool) -> Words:
    groups = [
        chosen_words(party.dealing.deal_planes((largest, public.size), _nothing), number, int(party.one))
        for largest, number in _numbers(public, bits)
    ]
    result = np.zeros(public.size, dtype=np.uint64)
    if top:
        result = party.dealing.deal_planes((public.size,), _nothing)
        result = result ^ (_planes_where(_ONE, (public >> np.uint64(bits)) & _ONE) & party.one)
    if groups:
        less, equal = np.stack(groups, axis=1)
        result ^= tree.whole(party, less, equal)
    return result


def _nothing() -> Words:
    raise OrderError("expected the provider to make a correlation, found a computing party that does")


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
