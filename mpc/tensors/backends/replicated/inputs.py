"""Arrays of their owners on their way in, and opened values on their way out.

A computing owner i knows its array anyway. So it takes a component from its key with the party before, and gives the
rest to the party after, as one word an element. The third component is zero::

    x_i = key i             x_(i+1) = x - x_i  ───►  party i + 1              x_(i+2) = 0

Party i + 1 does not have key i, so that what it gets is uniform. Party i - 1 gets nothing but words of the key. An
outside owner takes two components from seeds, and sends the last one to both of its holders::

    x_0, x_1 from seeds         x_2 = x - x_0 - x_1  ───►  parties 1 and 2

To a computing receiver i the party before sends component i - 1. It follows from the value and from the components that
the receiver has, so that it shows the value alone. To outside receivers parties 0 and 1 send two shares of the sum,
which are hidden from each other by words of their key.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.comparison import joined, parted
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.replicated.keys import PARTIES
from mpc.tensors.backends.replicated.trio import Form, Replica, Trio
from mpc.tensors.network import from_wire, to_wire


def of_computing(trio: Trio, owner: int, words: Words | None, shape: Shape) -> Replica:
    """Share an array of the computing party of this number, which alone gives words."""
    label = trio.label("input", [shape])
    after = (owner + 1) % PARTIES
    zeros = ((owner + 2) % PARTIES,)
    if trio.place is None:
        return trio.replica(shape, None)
    if trio.place == after:
        peer = trio.computing[owner]
        form = Form(int(np.prod(shape)), trio.ring_bits)
        body = trio.network.swap(label, {}, {peer: form.size})[peer]
        with trio.network.channel(peer).naming_peer():
            rest = from_wire(body, trio.ring_bits).reshape(shape)
        return trio.replica(shape, trio.alone(after, rest), zeros)
    drawn = trio.draw(owner, "input", shape, trio.ring_bits)
    if words is None:
        return trio.replica(shape, trio.alone(owner, drawn), zeros)
    rest = trio.reduce(words - drawn)
    trio.network.swap(label, {trio.computing[after]: [to_wire(rest, trio.ring_bits)]}, {})
    return trio.replica(shape, (drawn, rest), zeros)


def of_outside(trio: Trio, owner: str, words: Words | None, shape: Shape) -> Replica:
    """Share an array of an outside party, which alone gives words."""
    label = trio.label("input", [shape])
    bits = trio.ring_bits
    if words is not None:
        rest = trio.reduce(words - _seeded(trio, 0, owner, shape) - _seeded(trio, 1, owner, shape))
        part = [to_wire(rest, bits)]
        trio.network.swap(label, {trio.computing[1]: part, trio.computing[2]: part}, {})
    if trio.place is None:
        return trio.replica(shape, None)
    pair = []
    for component in (trio.own(0), trio.own(1)):
        if component < 2:
            pair.append(_seeded(trio, component, owner, shape))
        else:
            body = trio.network.swap(label, {}, {owner: Form(int(np.prod(shape)), bits).size})[owner]
            with trio.network.channel(owner).naming_peer():
                pair.append(from_wire(body, bits).reshape(shape))
    return trio.replica(shape, (pair[0], pair[1]))


def _seeded(trio: Trio, component: int, owner: str, shape: Shape) -> Words:
    return trio.draw(component, "input", shape, trio.ring_bits, owner)


def open_to(
    trio: Trio, values: Sequence[Replica], receivers: Sequence[str], outside: Sequence[str]
) -> list[Words] | None:
    """Open values to some parties, in one round. All others get None."""
    shapes = [value.shape for value in values]
    trio.settle(values)
    label = trio.label("output", shapes)
    if not values:
        return None
    count = sum(value.size for value in values)
    size = Form(count, trio.ring_bits).size
    me = trio.network.me
    flat = [] if trio.place is None else [joined([trio.pair_of(value)[n] for value in values]) for n in range(2)]
    bodies: dict[str, list[memoryview]] = {}
    sizes: dict[str, int] = {}
    if trio.place is not None:
        after = trio.computing[(trio.place + 1) % PARTIES]
        if after in receivers:
            bodies[after] = [to_wire(flat[0], trio.ring_bits)]
        if me in receivers:
            sizes[trio.computing[trio.place - 1]] = size
        if trio.place < 2 and set(receivers) & set(outside):
            hidden = trio.draw(1, "output", (count,), trio.ring_bits)
            part = [to_wire(flat[0] + flat[1] + hidden if trio.place == 0 else flat[1] - hidden, trio.ring_bits)]
            bodies |= {name: part for name in receivers if name in outside}
    elif me in receivers:
        sizes = dict.fromkeys(trio.computing[:2], size)
    received = trio.network.swap(label, bodies, sizes)
    if me not in receivers:
        return None
    total = np.zeros(count, dtype=np.uint64)
    for own in flat:
        total += own
    for name, body in received.items():
        with trio.network.channel(name).naming_peer():
            total += from_wire(body, trio.ring_bits)
    return parted(trio.reduce(total), shapes)
