"""Values that parties 0 and 1 see under a mask, which the third party alone knows.

For a mask r that is uniform modulo 2^bits, c = x + r is opened to parties 0 and 1. Each of them lacks one component of
x. The third party has both of these, so one word to each is enough, and nobody waits but these two::

    party 2    x_2 + r  ───►  party 0            x_0 + r  ───►  party 1            c = x_0 + x_1 + x_2 + r

The bits of r are shared by XOR without a message. Bit by bit r is the XOR of words that the third party draws from its
key with party 0, and words from its key with party 1. Each of these two knows one of the two, so that r is uniform to
it. The third party knows r, and nothing of c.

A product that waits as three additive shares z_0, z_1, z_2, each hidden by a share of zero, is opened under a mask
straight away. No components are made of it::

    party 2    z_2 + r  ───►  parties 0, 1       party 0  z_0  ◄───►  party 1  z_1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpc.errors import OrderError
from mpc.ring import Words
from mpc.tensors.backends.comparison import joined
from mpc.tensors.backends.replicated.trio import Form, Replica, Trio
from mpc.tensors.network import from_wire, to_wire

THIRD = 2


@dataclass(frozen=True, repr=False)
class Masked:
    """All values of a step in one flat array, under their masks.

    Attributes:
        count, bits: of the words.
        opened: c, to parties 0 and 1 alone.
        mask: r, to the third party alone.
        halves: what this party knows of the two halves of r: the one of component 0, or of 2, or both in this order.
    """

    count: int
    bits: int
    opened: Words | None
    mask: Words | None
    halves: tuple[Words, ...]

    def __repr__(self) -> str:
        return f"Masked(count={self.count}, bits={self.bits})"


def mask(trio: Trio, values: Sequence[Replica], bits: int) -> Masked:
    """Open all values to parties 0 and 1, under fresh masks, modulo 2^bits. No mask serves twice."""
    shapes = [value.shape for value in values]
    count = sum(value.size for value in values)
    low = np.uint64((1 << bits) - 1)
    halves = tuple(trio.draw(component, "mask", (count,), bits) for component in (0, 2) if component in owned(trio))
    form, what = Form(count, bits), f"masked ({bits} bits)"
    if bits == trio.ring_bits and all(value.share is not None for value in values):
        return _of_sums(trio, values, form, halves)
    trio.settle(values)
    first, second = (_flat([trio.pair_of(value)[number] for value in values]) for number in range(2))
    if trio.place == THIRD:
        r = halves[0] ^ halves[1]
        trio.third(what, shapes, ([form], [form]), [(first + r) & low, (second + r) & low])
        return Masked(count, bits, None, r, halves)
    (theirs,) = trio.third(what, shapes, ([form], [form]), [])
    return Masked(count, bits, (first + second + theirs) & low, None, halves)


def _of_sums(trio: Trio, values: Sequence[Replica], form: Form, halves: tuple[Words, ...]) -> Masked:
    """Open products that wait under masks, from their hidden additive shares, in the round that their own would be."""
    label = trio.label(f"sums/masked ({form.bits} bits)", [value.shape for value in values])
    mine = _flat([trio.hidden(value) for value in values])
    trio.spend(values)
    if trio.place == THIRD:
        r = halves[0] ^ halves[1]
        part = [to_wire(trio.reduce(mine + r), form.bits)]
        trio.network.swap(label, {name: part for name in trio.computing[:2]}, {})
        return Masked(form.count, form.bits, None, r, halves)
    other = trio.computing[1 - trio.own(0)]
    part = [to_wire(mine, form.bits)]
    received = trio.network.swap(label, {other: part}, dict.fromkeys((other, trio.computing[THIRD]), form.size))
    for name, body in received.items():
        with trio.network.channel(name).naming_peer():
            mine = mine + from_wire(body, form.bits)
    return Masked(form.count, form.bits, trio.reduce(mine), None, halves)


def known(words: Words | None) -> Words:
    """Return an array that this party must know. Raises OrderError where it does not."""
    if words is None:
        raise OrderError("expected an array that this party knows, found none")
    return words


def owned(trio: Trio) -> tuple[int, int]:
    """Return which components this party holds."""
    return trio.own(0), trio.own(1)


def _flat(arrays: Sequence[Words]) -> Words:
    return np.asarray(arrays[0].reshape(-1)) if len(arrays) == 1 else joined(arrays)
