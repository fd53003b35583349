"""How a session of three begins: what all have agreed on, and the keys of every pair of parties.

Key j belongs to component j, which party j and the party before it hold::

    party j   key j   ───►  party j - 1          fresh randomness of party j, over the channel of the two
    outside   a seed of inputs for components 0 and 1   ───►  both holders of each

Each purpose of a key has a stream of its own. Both holders draw from it in the same order, so that they always draw the
same words, which nobody else can tell from uniform ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpc.randomness import RoleRandomness
from mpc.tensors.backends.kernels import SEED_BYTES, KeyStream
from mpc.tensors.backends.seeds import Agreement, receive_agreement, send_agreement, stream_of
from mpc.tensors.network import Network

PARTIES = 3
SEEDED = (0, 1)  # the components of an outside party's input that come from seeds


def held_by(component: int, computing: Sequence[str]) -> tuple[str, str]:
    """Return who holds a component: the party of its number, and the one before."""
    return computing[component], computing[component - 1]


class Keys:
    """The keys that one party has, from :meth:`send` and :meth:`receive`."""

    def __init__(self, network: Network, agreement: Agreement) -> None:
        self._network = network
        self._agreement = agreement
        self._seeds: dict[tuple[str, int], bytes] = {}  # by whom it is of, or "" for the parties' own, and component
        self._streams: dict[tuple[str, int, str], KeyStream] = {}

    def send(self, randomness: RoleRandomness) -> None:
        """Send what this party believes and the keys that it makes. Nothing is waited for."""
        me, computing = self._network.me, self._agreement.computing
        send_agreement(self._network, self._agreement)
        with self._network.in_step("join"):
            if me in computing:
                self._make("", computing.index(me), randomness)
            elif me in self._agreement.outside:
                for component in SEEDED:
                    self._make(me, component, randomness)

    def _make(self, owner: str, component: int, randomness: RoleRandomness) -> None:
        seed = randomness.source(f"key/{component}").bytes(SEED_BYTES)
        self._seeds[owner, component] = seed
        for holder in held_by(component, self._agreement.computing):
            if holder != self._network.me:
                self._network.channel(holder).send("join/seed", seed)

    def receive(self) -> None:
        """Receive what the others believe, and their keys.

        Raises:
            ProtocolError: another party has agreed on something else.
        """
        me, computing = self._network.me, self._agreement.computing
        with self._network.in_step("join"):
            for peer in self._network.peers:
                receive_agreement(self._network, peer, self._agreement)
                made = [computing.index(peer)] if peer in computing else SEEDED
                for component in made:
                    if me in held_by(component, computing):
                        seed = bytes(self._network.channel(peer).recv("join/seed", SEED_BYTES))
                        self._seeds["" if peer in computing else peer, component] = seed

    def stream(self, component: int, purpose: str, owner: str = "") -> KeyStream:
        """Return the stream of one purpose of a key that this party has, of an outside owner's where one is named."""
        name = owner, component, purpose
        if name not in self._streams:
            self._streams[name] = stream_of(self._seeds[owner, component], purpose)
        return self._streams[name]

    def forget(self) -> None:
        """Lose all keys, so that nothing can be drawn any more."""
        self._seeds.clear()
        self._streams.clear()

    def __repr__(self) -> str:
        return "Keys(<hidden>)"
