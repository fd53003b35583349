"""Values that parties 0 and 1 see under a mask, which the third party alone knows.

For a mask r that is uniform modulo 2^bits, c = x + r is opened to parties 0 and 1. The third party does not draw r. It
draws a word F from its key with party 1, and lets r be such that party 1 needs no message::

    r = F - x_0           party 1    c = x_1 + x_2 + F
                          party 2    x_2 + r  ───►  party 0    c = x_0 + x_1 + (x_2 + r)

F is uniform and nobody but parties 1 and 2 has it, so that c is uniform to party 0. Party 1 computes c of what it holds
already. To it r is as unknown as x_0 is. The third party knows r, and nothing of c. Whatever else it makes of r, it
shares in the same message (:mod:`.sharing`).

Where some values wait as three additive shares z_0, z_1, z_2, all are opened under masks from such shares. Each is
hidden by a share of zero, so that z_2 is uniform to parties 0 and 1 and is the mask. No components are made::

    r = - z_2             party 0    z_0  ◄───►  party 1    z_1               c = z_0 + z_1
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mpc.errors import OrderError
from mpc.ring import Words
from mpc.tensors.backends.comparison import joined
from mpc.tensors.backends.replicated.sharing import component_0, component_2
from mpc.tensors.backends.replicated.trio import THIRD, Form, Replica, Trio, lowest


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
        dealt: what this party holds of each array that the third party made of r: component 0, or 2, or 2 and 0.
    """

    count: int
    bits: int
    opened: Words | None
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
    shapes = [value.shape for value in values]
    form = Form(sum(value.size for value in values), bits)
    waiting = [value for value in values if value.share is not None] if bits == trio.ring_bits else []
    if waiting:
        first = second = _flat([trio.hidden(value) for value in values])
        trio.spend(waiting)
    else:
        trio.settle(values)
        first, second = (_flat([trio.pair_of(value)[number] for value in values]) for number in range(2))
    word = None if waiting or trio.place == 0 else trio.draw(2, "mask", (form.count,), bits)
    forms = [*([] if waiting else [form]), *(each.form for each in dealt)]

    if trio.place == THIRD:
        r = lowest(np.negative(second) if word is None else word - second, bits)
        shared = [[component_2(trio, each.form)] for each in dealt]
        for each, components in zip(dealt, shared, strict=True):
            components.append(component_0(each.make(r), components[0], each.form))
        rest = [components[1] for components in shared]
        trio.third(what, shapes, forms, rest if waiting else [lowest(first + r, bits), *rest])
        return Masked(form.count, bits, None, shared)
    if waiting:
        *received, theirs = trio.third(what, shapes, forms, [], (first, form))
        opened = lowest(first + theirs, bits)
    elif trio.place == 0:
        lacking, *received = trio.third(what, shapes, forms, [])
        lacking = lacking + first
        opened = lowest(np.add(lacking, second, out=lacking), bits)
    else:
        received = trio.third(what, shapes, forms, [])
        opened = first + second
        opened = lowest(np.add(opened, known(word), out=opened), bits)
    shared = [[words] for words in received] if trio.place == 0 else [[component_2(trio, each.form)] for each in dealt]
    return Masked(form.count, bits, opened, shared)


def known(words: Words | None) -> Words:
    """Return an array that this party must know. Raises OrderError where it does not."""
    if words is None:
        raise OrderError("expected an array that this party knows, found none")
    return words


def _flat(arrays: Sequence[Words]) -> Words:
    return np.asarray(arrays[0].reshape(-1)) if len(arrays) == 1 else joined(arrays)
