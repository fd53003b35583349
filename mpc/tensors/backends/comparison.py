"""Comparisons of public numbers with shared bits, and from shared bits to the ring.

x is negative where the highest bit of x mod 2^m is one, for 2^m > 2 |x|. Once c = x + r mod 2^m is open, for a mask r,
that bit is::

    c_top ^ r_top ^ [c_low < r_low]                       low: without the highest of the m bits

The provider deals r's highest bit and, for each four bits of r_low, the sixteen bits that say which number they are.
Against a public c these give, without a message, [c < r] and [c = r] of every four bits. A tree puts four such groups
together in a round for all values at once, and up to eight where there are few values
(:mod:`mpc.tensors.backends.tree`). At last the bit b goes to the ring by a
bit beta that is shared both ways (daBits, Rotaru and Wood, INDOCRYPT 2019)::

    t = b ^ beta is opened          b = t + (1 - 2 t) beta

So b is masked from the start, and keeping or dropping a masked value by b opens nothing at all. A value x that has a
mask a needs no opening of c either, because c = x - a is open already, and r is -a.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from mpc._core import chosen_planes, tables_of_planes
from mpc.errors import RangeError
from mpc.ring import Words
from mpc.tensors.backends import tree
from mpc.tensors.backends.handles import Handle, Mask, roots_of
from mpc.tensors.backends.kernels import from_plane, whole
from mpc.tensors.backends.layout import Layout, joined, parted
from mpc.tensors.backends.moving import moved
from mpc.tensors.backends.party import Party
from mpc.tensors.backends.products import derive, low_mask, mask_all, multiply
from mpc.tensors.network import Part, wire_bits, wire_size

__all__ = ["GROUP_BITS", "below", "between", "joined", "less_than", "negative", "parted", "relu", "to_ring", "width_of"]

_ONE = np.uint64(1)
GROUP_BITS = 4


def less_than(party: Party, numbers: Sequence[Words], layout: Layout, bits: int, *, top: bool) -> Words:
    """Return XOR shares of the plane [public < secret] on the lowest `bits` bits, in a round for each level of a tree.

    Args:
        party: this one.
        numbers: by place, the public ones at a computing party, and the secret ones at the provider.
        layout: of them.
        bits: of the numbers.
        top: whether to add, by XOR, bit number `bits` of both.
    """
    groups = -(-bits // GROUP_BITS)
    flat = tree.is_flat(groups, layout.words)
    rows = _table_rows(bits)
    dealt = party.dealing.deal_planes(
        (rows + top, layout.secret_words),
        lambda: tables_of_planes(np.ascontiguousarray(layout.secret_planes(numbers, bits + top)), bits),
    )
    if not party.computes:
        tree.dealt(party, groups, layout.words, flat=flat)
        return np.zeros(layout.words, dtype=np.uint64)
    planes = layout.planes(numbers, bits + top)
    result: Words = np.bitwise_xor.reduce(layout.spread(dealt[rows:]), axis=0)
    if party.first:
        result ^= np.bitwise_xor.reduce(planes[bits:], axis=0)
    if groups == 0:
        return result
    less, equal = chosen_planes(whole(dealt), whole(planes), bits, int(party.one), layout.secret_blocks())
    result ^= tree.whole(party, less, equal, flat=flat)
    return result


def _table_rows(bits: int) -> int:
    """Return how many numbers above zero all groups of a number of so many bits can have together."""
    groups, rest = divmod(bits, GROUP_BITS)
    return groups * ((1 << GROUP_BITS) - 1) + (1 << rest) - 1


def to_ring(party: Party, plane: Words, layout: Layout) -> list[Handle]:
    """Return bits in the ring from XOR shares of their plane, in one round. They are masked from the start."""
    shapes, bits = layout.shapes, party.ring_bits
    beta = party.dealing.mask_planes((layout.words,))
    blocks = list(layout.blocks())  # each on its own, so that large arrays are not joined
    ring_betas = [
        party.dealing.deal((count,), bits, partial(from_plane, beta[part], count)) for _, count, part in blocks
    ]
    handles: dict[int, Handle] = {}
    if not party.computes:
        party.pass_by("bits to ring", [(beta.size, 64)], shapes)
        for (places, _, _), ring_beta in zip(blocks, ring_betas, strict=True):
            for place, value in zip(places, parted(ring_beta, [shapes[each] for each in places]), strict=True):
                handles[place] = party.handle(shapes[place], None)
                handles[place].bit_mask = Mask(value=value)
        return [handles[place] for place in range(len(shapes))]
    (opened,) = party.open("bits to ring", [Part(plane ^ beta, planes=True)], shapes)
    for (places, count, part), ring_beta in zip(blocks, ring_betas, strict=True):
        t = from_plane(opened[part], count)
        twice = t << _ONE
        sign = party.reduce(np.subtract(_ONE, twice, out=twice))
        share = sign * ring_beta
        if party.first:
            share += t
        block = [shapes[place] for place in places]
        arrays = [parted(flat, block) for flat in (t, sign, ring_beta, party.reduce(share))]
        for place, t_part, sign_part, beta_part, share_part in zip(places, *arrays, strict=True):
            handles[place] = party.handle(shapes[place], share_part)
            handles[place].bit_mask = Mask(opened=t_part, sign=sign_part, share=beta_part)
    return [handles[place] for place in range(len(shapes))]


def negative(party: Party, values: Sequence[Handle], bound: int) -> list[Handle]:
    """Return 1 where a value is below zero. Values without a mask are opened in the smallest ring that holds them."""
    bits = width_of(bound, party.ring_bits)
    shapes = [value.shape for value in values]
    with party.dealing.correlation("negative", shapes, f"{bits} bits"):
        masks = _low_masks(party, values, bits)
        layout = Layout.of(shapes, masks)
        plane = less_than(party, _numbers(party, masks), layout, bits - 1, top=True)
        return to_ring(party, plane, layout)


def width_of(bound: int, ring_bits: int) -> int:
    """Return the bits of the smallest ring that holds a magnitude of `bound` with its sign."""
    bits = bound.bit_length() + 1
    if bound < 0 or bits > ring_bits:
        raise RangeError(
            f"expected a bound of 0 to 2^{ring_bits - 1} - 1 for a ring of {ring_bits} bits, found {bound}"
        )
    return bits


def _low_masks(party: Party, values: Sequence[Handle], bits: int) -> list[Mask]:
    """Return masks of all values modulo 2^bits. Those for which something has to be opened share a round.

    With x = c - r, a mask has c as what is opened, and -r as its secret. The bits above do not count.
    """
    found = {id(value): low_mask(party, value, bits) for value in values}
    if _masks_cost_less(party, missing := _without(values, found), bits):
        mask_all(party, missing, half=True)
        found |= {id(value): derive(party, value) for value in missing}
    narrow = _without(values, found)
    masks = [party.dealing.mask(value.shape, bits) for value in narrow]
    if narrow and not party.computes:
        party.pass_by("narrow", [(value.size, bits) for value in narrow], [value.shape for value in narrow])
        secret = _without_owed(party, narrow, masks)
        found |= {id(value): Mask(value=np.negative(r)) for value, r in zip(narrow, secret, strict=True)}
    elif narrow:
        parts = [Part(party.share_of(value) + mask, bits) for value, mask in zip(narrow, masks, strict=True)]
        opened = party.open("narrow", parts, [value.shape for value in narrow])
        found |= {id(value): Mask(opened=c) for value, c in zip(narrow, opened, strict=True)}
    return [mask for value in values if (mask := found[id(value)]) is not None]


def _without(values: Sequence[Handle], found: Mapping[int, Mask | None]) -> list[Handle]:
    """Return the values for which no mask was found, each once."""
    return list({id(value): value for value in values if found[id(value)] is None}.values())


def _masks_cost_less(party: Party, values: Sequence[Handle], bits: int) -> bool:
    """Return whether fewer bytes are opened for masks of what the values came from, which then serve what follows."""
    roots = {id(root): root for value in values for root in roots_of(value)}
    opened = wire_size(sum(value.size for value in values if roots_of(value)), bits)
    return 0 < wire_size(sum(root.size for root in roots.values()), party.ring_bits) < opened


def _without_owed(party: Party, values: Sequence[Handle], masks: Sequence[Words]) -> list[Words]:
    """Return the provider's r of each value, where the opened shares may have missed something."""
    return [
        mask if value.owed is None else mask - party.known(value.owed.value)
        for value, mask in zip(values, masks, strict=True)
    ]


def below(party: Party, value: Handle, ends: Sequence[int], bound: int) -> list[Handle]:
    """Return for each end 1 where value < end, in the rounds of one comparison. One secret serves all ends."""
    bits = width_of(bound, party.ring_bits)
    shapes = [value.shape] * len(ends)
    with party.dealing.correlation("below", shapes, f"{bits} bits"):
        mask = low_mask(party, value, bits)
        if mask is None:  # of all bits it serves products as well, where there are so many ends that they often follow
            if len(ends) * wire_bits(bits) > party.ring_bits:
                mask_all(party, [value], half=True)
            (mask,) = _low_masks(party, [value], bits)
        masks = [_moved_by(party, mask, -end) for end in ends]
        layout = Layout.of(shapes, masks)
        return to_ring(party, less_than(party, _numbers(party, masks), layout, bits - 1, top=True), layout)


def _moved_by(party: Party, mask: Mask, number: int) -> Mask:
    return moved(party, mask, np.uint64(number % (1 << party.ring_bits)))


def between(
    party: Party, values: Sequence[Handle], ends: Sequence[tuple[int, int]], bound: int
) -> tuple[list[Handle], list[Handle]]:
    """Return 1 where low <= value < high, and 1 where value < high, in the rounds of one comparison.

    One secret serves both ends. As low <= high, the first bit is the XOR of whether the value is below each.
    """
    bits = width_of(bound, party.ring_bits)
    shapes = [value.shape for value in values for _ in range(2)]
    with party.dealing.correlation("between", shapes, f"{bits} bits"):
        mask_all(party, [value for value in values if low_mask(party, value, bits) is None])
        masks = []
        for value, pair in zip(values, ends, strict=True):
            mask = low_mask(party, value, bits) or derive(party, value)
            masks += [_moved_by(party, mask, -end) for end in pair]
        layout = Layout.of(shapes, masks)
        plane = less_than(party, _numbers(party, masks), layout, bits - 1, top=True)
        parts = {block[0]: part for block, _, part in layout.blocks()}
        for place in range(0, len(shapes), 2):
            plane[parts[place]] ^= plane[parts[place + 1]]
        found = to_ring(party, plane, layout)
        return found[0::2], found[1::2]


def _numbers(party: Party, masks: Sequence[Mask]) -> list[Words]:
    """Return what is open of each value to a computing party, and its secret to the provider."""
    if party.computes:
        return [party.known(mask.opened) for mask in masks]
    return [np.negative(party.known(mask.value)) for mask in masks]


def relu(party: Party, values: Sequence[Handle], bound: int) -> tuple[list[Handle], list[Handle]]:
    """Return max(0, value) and whether each is at least zero, in the rounds of the comparison alone."""
    bits = width_of(bound, party.ring_bits)
    shapes = [value.shape for value in values]
    with party.dealing.correlation("relu", shapes, f"{bits} bits"):
        mask_all(party, [value for value in values if not _is_masked_low(party, value, bits)])
        kept = [_not(party, bit) for bit in negative(party, values, bound)]
        return multiply(party, list(zip(kept, values, strict=True)), shapes), kept


def _is_masked_low(party: Party, value: Handle, bits: int) -> bool:
    """Return whether the mask of a rounded value serves its comparison and the product with the bit."""
    mask = value.rounded_mask
    return mask is not None and mask.whole_bits + bits <= party.ring_bits


def _not(party: Party, bit: Handle) -> Handle:
    """Return 1 - bit, masked as the bit is."""
    mask = bit.bit_mask
    if mask is None or not party.computes:
        result = party.handle(bit.shape, None)
        result.bit_mask = mask or Mask()
        return result
    share = np.negative(party.share_of(bit))
    if party.first:
        share += _ONE
    result = party.handle(bit.shape, party.reduce(share))
    opened, sign = party.known(mask.opened), party.known(mask.sign)
    result.bit_mask = Mask(
        opened=party.reduce(_ONE - opened), sign=party.reduce(np.negative(sign)), share=party.known(mask.share)
    )
    return result
