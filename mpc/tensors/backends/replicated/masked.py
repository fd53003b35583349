"""Values that parties 0 and 1 see under a mask, which the third party alone knows.

For a mask r that is uniform modulo 2^bits, c = x + r is opened to parties 0 and 1. Each of them lacks one component of
x. The third party has both of these, so one word to each is enough, and nobody waits but these two::

    party 2    x_2 + r  ───►  party 0            x_0 + r  ───►  party 1            c = x_0 + x_1 + x_2 + r

The bits of r are shared by XOR without a message. Bit by bit r is the XOR of words that the third party draws from its
key with party 0, and words from its key with party 1. Each of these two knows one of the two, so that r is uniform to
it. The third party knows r, and nothing of c. What else it makes of r, it shares in the same message (:mod:`.sharing`).

Where some values wait as three additive shares z_0, z_1, z_2, all are opened under masks from such shares, each hidden
by a share of zero. No components are made of them::

    party 2    z_2 + r  ───►  parties 0, 1       party 0  z_0  ◄───►  party 1  z_1
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mpc.errors import OrderError
from mpc.ring import Words
from mpc.tensors.backends.comparison import joined
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.replicated.sharing import component_0, component_2
from mpc.tensors.backends.replicated.trio import THIRD, Form, Replica, Trio

Label = tuple[str, Sequence[Shape]]
Forms = tuple[list[Form], list[Form]]
Opened = tuple[Words | None, list[Words]]


@dataclass(frozen=True)
class Dealt:
    """What the third party makes of its mask, and shares."""

    form: Form
    make: Callable[[Words], Words]


@dataclass(frozen=True, repr=False)
class Masked:
    """All values of a step in one flat array, under their masks.

    Attributes:
        count, bits: of the words.
        opened: c, to parties 0 and 1 alone.
        halves: what this party knows of the two halves of r: the one of component 0, or of 2, or both in this order.
        dealt: what this party holds of each array that the third party made of r: component 0, or 2, or 2 and 0.
    """

    count: int
    bits: int
    opened: Words | None
    halves: list[Words]
    dealt: list[list[Words]]

    def __repr__(self) -> str:
        return f"Masked(count={self.count}, bits={self.bits})"


def mask(trio: Trio, what: str, values: Sequence[Replica], bits: int, dealt: Sequence[Dealt]) -> Masked:
    """Open all values to parties 0 and 1, under fresh masks, modulo 2^bits. No mask serves twice.

    Args:
        trio, values: of this party.
        what: for the label. It names all numbers of bits that the step depends on.
        bits: of the ring that the values are taken to, which holds them.
        dealt: what the third party shares besides.
    """
    label: Label = what, [value.shape for value in values]
    form = Form(sum(value.size for value in values), bits)
    halves = [trio.draw(component, "mask", (form.count,), bits) for component in (0, 2) if component in owned(trio)]
    shared = [[] if trio.place == 0 else [component_2(trio, each.form)] for each in dealt]
    r = halves[0] ^ halves[1] if trio.place == THIRD else None
    if r is not None:
        for each, components in zip(dealt, shared, strict=True):
            components.append(component_0(each.make(r), components[0], each.form))
    rest = [components[1] for components in shared if r is not None]
    forms = [form, *(each.form for each in dealt)], [form]
    if bits == trio.ring_bits and any(value.share is not None for value in values):
        opened, received = _from_sums(trio, label, values, forms, r, rest)
    else:
        opened, received = _from_components(trio, label, values, forms, r, rest)
    if trio.place == 0:
        shared = [[words] for words in received]
    return Masked(form.count, bits, opened, halves, shared)


def _from_components(
    trio: Trio, label: Label, values: Sequence[Replica], forms: Forms, r: Words | None, rest: list[Words]
) -> Opened:
    """Return c, and what else the third party sends this one."""
    trio.settle(values)
    first, second = (_flat([trio.pair_of(value)[number] for value in values]) for number in range(2))
    low = np.uint64((1 << forms[1][0].bits) - 1)
    if r is not None:
        trio.third(*label, forms, [(first + r) & low, *rest, (second + r) & low])
        return None, []
    lacking, *received = trio.third(*label, forms, [])
    return (first + second + lacking) & low, received


def _from_sums(
    trio: Trio, label: Label, values: Sequence[Replica], forms: Forms, r: Words | None, rest: list[Words]
) -> Opened:
    """Return the same from additive shares, in the round that those that wait would take otherwise."""
    mine = _flat([trio.hidden(value) for value in values])
    trio.spend([value for value in values if value.share is not None])
    if r is not None:
        masked = trio.reduce(mine + r)
        trio.third(*label, forms, [masked, *rest, masked])
        return None, []
    lacking, *received = trio.third(*label, forms, [], (mine, forms[1][0]))
    theirs = received.pop()
    return trio.reduce(mine + lacking + theirs), received


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
