"""How the back-end `dealer` shares inputs.

An input of a computing party stays with its owner::

    owner    x                  all others    0

Nothing is sent. These shares need not be random, because whatever a party sends later is hidden by words of its own,
drawn from a seed: shares of the masks of :mod:`mpc.tensors.backends.handles`, or of zero under an output.

The owner of an input that does not compute has seeds with all computing parties, from which their shares come. It sends
the last party what the shares of the others lack.
"""

from __future__ import annotations

from math import prod

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.dealing import draw, shapes_in_label
from mpc.tensors.backends.handles import Handle
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import KeyStream
from mpc.tensors.backends.party import Party
from mpc.tensors.backends.seeds import Agreement, Seeds, stream_of
from mpc.tensors.network import from_wire, to_wire, wire_size


class Inputs:
    """One party's side of all inputs of a session."""

    def __init__(self, agreement: Agreement, seeds: Seeds) -> None:
        self._agreement = agreement
        self._seeds = seeds
        self._count = 0
        self._streams: dict[tuple[str, str], KeyStream] = {}  # by an owner that does not compute, and receiver

    def label(self, shape: Shape) -> str:
        """Return the label of the next input's message, which only an owner that does not compute sends."""
        return f"input/{self._count}/{shapes_in_label([shape])}"

    def share(self, party: Party, owner: str, words: Words | None, shape: Shape) -> Handle:
        """Return the shared array of its owner, who alone gives words."""
        label = self.label(shape)
        self._count += 1
        if owner in self._agreement.outside:
            return self._of_outside(party, label, owner, words, shape)
        share = None
        if party.network.me == owner:
            share = np.array(party.known(words))  # the caller may write to its own
        elif party.computes:
            share = np.zeros(shape, dtype=np.uint64)
        handle = party.handle(shape, share, given=True)
        handle.owner = owner
        return handle

    def _of_outside(self, party: Party, label: str, owner: str, words: Words | None, shape: Shape) -> Handle:
        """Return the shared array of an owner that does not compute."""
        network, computing, bits = party.network, party.computing, self._agreement.ring_bits
        last = computing[-1]
        share = None
        if network.me == owner:
            rest = party.known(words)
            for other in computing[:-1]:
                rest = rest - self._next(owner, other, shape)
            network.channel(last).send(label, to_wire(rest, bits))
        elif network.me == last:
            channel = network.channel(owner)
            body = channel.recv(label, wire_size(prod(shape), bits))
            with channel.naming_peer():
                share = from_wire(body, bits).reshape(shape)
        elif party.computes:
            share = self._next(owner, network.me, shape)
        return party.handle(shape, share, given=True)

    def _next(self, owner: str, receiver: str, shape: Shape) -> Words:
        """Return a receiver's share of the next input of an owner that does not compute."""
        if (owner, receiver) not in self._streams:
            seed = self._seeds.made.get(receiver) or self._seeds.got[owner]
            self._streams[owner, receiver] = stream_of(seed, "input")
        return draw(self._streams[owner, receiver], shape, self._agreement.ring_bits)

    def __repr__(self) -> str:
        return "Inputs(<hidden>)"
