"""Opened values on their way out. Each word comes from two parties, so that one of them cannot change it.

A computing reader i lacks component i - 1. The party before sends it, and the party after its hash. It follows from the
value and from what the reader has, so that it shows the value alone.

An outside reader gets the value three times, from each two neighbours j - 1 and j, in two shares that are hidden from
each other by words h of their key::

    party j - 1   ───►  x_(j-1) + x_j + h            party j   ───►  x_(j+1) - h

Two of the three sums have a party in them that may cheat, and the third one has not. So all three must be the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from mpc.errors import CheatingError
from mpc.ring import Words
from mpc.tensors.backends.comparison import joined, parted
from mpc.tensors.backends.replicated.keys import PARTIES
from mpc.tensors.backends.replicated.trio import Form
from mpc.tensors.backends.replicated_mac.guarded import RING_BITS, Guarded, Held
from mpc.tensors.network import from_wire, to_wire

_DIGEST = hashlib.sha256().digest_size


def open_to(
    trio: Guarded, values: Sequence[Held], readers: Sequence[str], outside: Sequence[str]
) -> list[Words] | None:
    """Open values that were checked to some parties, in one round. All others get None.

    Raises:
        CheatingError: two parties say different things.
    """
    shapes = [value.shape for value in values]
    label = trio.label("output", shapes)
    if not values:
        return None
    count = sum(value.size for value in values)
    if trio.place is None:
        return parted(_outside(trio, label, count), shapes) if trio.network.me in readers else None
    first, second = (joined([trio.pair_of(value)[number] for value in values]) for number in range(2))
    before, after = trio.computing[trio.before], trio.computing[trio.after]
    bodies: dict[str, list[memoryview | bytes]] = {}
    if after in readers:
        bodies[after] = [to_wire(first, RING_BITS)]
    if before in readers:
        bodies[before] = [hashlib.sha256(to_wire(second, RING_BITS)).digest()]
    if set(readers) & set(outside):
        with_after = trio.draw(trio.after, "output", (count,), RING_BITS)
        with_before = trio.draw(trio.me, "output", (count,), RING_BITS)
        parts = [to_wire(first + second + with_after, RING_BITS), to_wire(second - with_before, RING_BITS)]
        bodies |= {name: list(parts) for name in readers if name in outside}
    mine = trio.network.me in readers
    sizes = {before: Form(count).size, after: _DIGEST} if mine else {}
    received = trio.network.swap(label, bodies, sizes)
    if not mine:
        return None
    if hashlib.sha256(received[before]).digest() != bytes(received[after]):
        raise CheatingError(
            f"expected {before} and {after} to hold the same component of an output, found different ones"
        )
    return parted(first + second + from_wire(received[before], RING_BITS), shapes)


def _outside(trio: Guarded, label: str, count: int) -> Words:
    """Return an output as a reader who does not compute."""
    size = Form(2 * count).size
    received = trio.network.swap(label, {}, dict.fromkeys(trio.computing, size))
    shares = [from_wire(received[name], RING_BITS).reshape(2, count) for name in trio.computing]
    sums = [np.asarray(shares[place - 1][0] + shares[place][1]) for place in range(PARTIES)]
    if not all(np.array_equal(sums[0], other) for other in sums[1:]):
        raise CheatingError(
            f"expected the same output from each two of {', '.join(trio.computing)}, found different ones"
        )
    return sums[0]
