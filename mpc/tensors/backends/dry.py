"""The back-end `dealer` without numbers: it says exactly what a run would cost each party, and computes nothing.

It goes through the same steps as the provider of correlations does, by the same code. It draws and deals nothing, and
wherever the computing parties would open something it counts what they would send. So a change of a step changes what
is foreseen, too. No party's data are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import msgspec
import numpy as np

from mpc.channels.frames import frame_size
from mpc.randomness import RoleRandomness
from mpc.ring import Words
from mpc.tensors.backends.dealer import DealerBackend
from mpc.tensors.backends.dealing import Dealing, shapes_in_label
from mpc.tensors.backends.handles import Handle, Owed
from mpc.tensors.backends.interface import Cost, Shape, Shared
from mpc.tensors.backends.kernels import SEED_BYTES
from mpc.tensors.backends.party import Party
from mpc.tensors.backends.seeds import agreement_of
from mpc.tensors.network import Network, wire_size

PLANNER = "planner"
"""Who follows the program. It is no party, and so never an owner or a receiver."""


def _nothing(shape: Shape) -> Words:
    """Return an array of zeros that takes no memory."""
    return np.broadcast_to(np.uint64(0), shape)


class Tally:
    """What has crossed so far between the parties of a run."""

    def __init__(self, names: Sequence[str]) -> None:
        self.rounds = dict.fromkeys(names, 0)
        self.sent = dict.fromkeys(names, 0)
        self.received = dict.fromkeys(names, 0)

    def frame(self, sender: str, receiver: str, label: str, body: int) -> None:
        """Count one message."""
        size = frame_size(label, body)
        self.sent[sender] += size
        self.received[receiver] += size

    def swap(self, names: Sequence[str], label: str, bodies: Mapping[str, int]) -> None:
        """Count a round in which some of these send a message to each other one."""
        for receiver in names:
            senders = [sender for sender in bodies if sender != receiver]
            self.rounds[receiver] += bool(senders)
            for sender in senders:
                self.frame(sender, receiver, label, bodies[sender])


class _DryParty(Party):
    """A party without shares that counts the openings of the others."""

    def __init__(self, network: Network, computing: tuple[str, ...], ring_bits: int, tally: Tally) -> None:
        super().__init__(network, computing, ring_bits)
        self._tally = tally

    def pass_by(
        self,
        kind: str,
        sizes: Sequence[tuple[int, int]],
        shapes: Sequence[Shape],
        senders: Sequence[str | None] | None = None,
    ) -> None:
        label = f"open/{self.openings}/{kind}/{shapes_in_label(shapes)}"
        self.openings += 1
        bodies: dict[str, int] = {}
        for (count, bits), sender in zip(sizes, senders or [None] * len(sizes), strict=True):
            for name in self.computing if sender is None else (sender,):
                bodies[name] = bodies.get(name, 0) + wire_size(count, bits)
        self._tally.swap(self.computing, label, bodies)


class _DryDealing(Dealing):
    """The provider's side, which makes nothing and counts what it would send."""

    def __init__(self, tally: Tally, provider: str, last: str) -> None:
        super().__init__()
        self._tally, self._provider, self._last = tally, provider, last
        self._sizes: list[int] = []

    def mask(self, shape: Shape, bits: int) -> Words:
        return _nothing(shape)

    def owners_mask(self, place: int, shape: Shape, bits: int) -> Words:
        return _nothing(shape)

    def mask_planes(self, shape: Shape) -> Words:
        return _nothing(shape)

    def deal(self, shape: Shape, bits: int, make: Callable[[], Words]) -> Words:
        self._sizes.append(wire_size(self._count(shape), bits))
        return _nothing(shape)

    def deal_planes(self, shape: Shape, make: Callable[[], Words]) -> Words:
        self._sizes.append(8 * self._count(shape))
        return _nothing(shape)

    def owe(self, shape: Shape, make: Callable[[], Words]) -> Owed:
        return Owed(shape, _nothing(shape))

    def _end(self) -> None:
        if self._sizes:
            self._tally.frame(self._provider, self._last, self._label, sum(self._sizes))
        self._sizes = []


class DryDealer(DealerBackend):
    """All parties' costs of a session of :class:`DealerBackend`, as one object that follows the program once."""

    def __init__(self, computing: Sequence[str], provider: str, outside: Sequence[str], ring_bits: int) -> None:
        names = (*computing, provider, *outside)
        agreement = agreement_of(computing, provider, outside, ring_bits)
        super().__init__(Network(PLANNER, {}), agreement, RoleRandomness())
        self._tally = Tally(names)
        self._party = _DryParty(self._network, agreement.computing, ring_bits, self._tally)
        self._party.dealing = _DryDealing(self._tally, provider, agreement.computing[-1])
        self._joined = True
        stated = len(msgspec.msgpack.encode(agreement))
        for sender in names:
            for receiver in names:
                if sender != receiver and (sender in computing or receiver in computing):
                    self._tally.frame(sender, receiver, "join/agreement", stated)
                    if receiver in computing:
                        self._tally.frame(sender, receiver, "join/seed", SEED_BYTES)

    @property
    def costs(self) -> Mapping[str, Cost]:
        """What the run would have cost each party so far."""
        tally = self._tally
        given = self._party.dealing.given
        return {
            name: Cost(
                tally.rounds[name], tally.sent[name], tally.received[name],
                {} if name in self.outside else dict(given),
            )
            for name in tally.sent
        }  # fmt: skip

    def input(self, owner: str, words: Words | None, shape: Shape) -> Handle:
        label = self._inputs.label(shape)
        handle = super().input(owner, words, shape)
        if owner in self.outside:
            self._tally.frame(owner, self.computing[-1], label, wire_size(prod(shape), self.ring_bits))
        return handle

    def open(self, values: Sequence[Shared], to: Sequence[str]) -> list[Words] | None:
        handles = [self._party.check(value) for value in values]
        label = f"output/{self._outputs}/{shapes_in_label([handle.shape for handle in handles])}"
        super().open(values, to)
        size = wire_size(sum(handle.size for handle in handles), self.ring_bits)
        for receiver in dict.fromkeys(to) if handles else ():
            self._tally.rounds[receiver] += 1
            for sender in self.computing:
                if sender != receiver:
                    self._tally.frame(sender, receiver, label, size)
        return None

    def __repr__(self) -> str:
        return f"DryDealer(computing={self.computing}, ring_bits={self.ring_bits})"
