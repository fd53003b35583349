"""Outputs: values that are opened under masks of their readers, between two checks.

A reader who does not compute gets the masked values from the first computing party, and their hash from all others. One
of them is honest at least, and sends only what was checked. So the reader has the right values, or notices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from math import prod

from mpc.errors import CheatingError
from mpc.ring import Words
from mpc.tensors.backends.authenticated.party import MacParty
from mpc.tensors.backends.authenticated.values import Dealt, Value
from mpc.tensors.backends.comparison import joined, parted
from mpc.tensors.backends.interface import Shape
from mpc.tensors.network import from_wire, to_wire, wire_size

_BITS = 64


def open_masked(
    party: MacParty, values: Sequence[Value], masks: Mapping[str, Sequence[Dealt]]
) -> dict[str, list[Words]]:
    """Return for each reader the values without its masks, which all computing parties learn.

    Before they are opened, everything else is checked. An error that somebody brought in could make them show more.
    """
    shares = [
        party.share_of(value) - party.has(mask.share)
        for dealt in masks.values()
        for value, mask in zip(values, dealt, strict=True)
    ]
    party.check_all()
    opened = party.open_numbers("output", shares)
    party.check_all()
    return {name: opened[place * len(values) : (place + 1) * len(values)] for place, name in enumerate(masks)}


def send(party: MacParty, label: str, opened: Sequence[Words], reader: str) -> None:
    """Send a reader who does not compute its masked values, or their hash, facing :func:`from_all`."""
    body = to_wire(joined(opened), _BITS)
    party.network.channel(reader).send(label, body if party.first else hashlib.sha256(body).digest())


def from_all(party: MacParty, label: str, shapes: Sequence[Shape], masks: Sequence[Words] | None) -> list[Words]:
    """Receive an output as a reader who does not compute, facing :func:`send`.

    Raises:
        CheatingError: the computing parties say different things.
    """
    size = wire_size(sum(map(prod, shapes)), _BITS)
    first, *others = party.computing
    body = party.network.channel(first).recv(label, size)
    party.network.rounds += 1
    digest = hashlib.sha256(body)
    for name in others:
        if bytes(party.network.channel(name).recv(label, digest.digest_size)) != digest.digest():
            raise CheatingError(
                f"expected the same output from {first} and {name}, found that they say different things"
            )
    opened = parted(from_wire(body, _BITS), shapes)
    return [words + mask for words, mask in zip(opened, masks or [], strict=True)]
