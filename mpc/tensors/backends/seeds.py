"""How a session of the dealer's back-end begins: what all have agreed on, and the seeds of every pair of parties.

Each side of a channel says what it believes they agree on, and seeds follow::

    provider   seed of correlations   ───►  each computing party
    computing  seed of zeros          ───►  each other computing party
    outside    seed of inputs         ───►  each computing party

A seed serves several purposes, each by a hash of its own. All seeds are sent at once. They are received before anything
else, and nobody waits in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from mpc.errors import ProtocolError
from mpc.randomness import RoleRandomness
from mpc.tensors.backends.arguments import check_dealt_parties, check_ring
from mpc.tensors.backends.kernels import SEED_BYTES, KeyStream
from mpc.tensors.network import Network


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all parties of a session must have agreed on before."""

    backend: str
    ring_bits: int
    computing: tuple[str, ...]
    provider: str
    outside: tuple[str, ...]


def agreement_of(
    computing: Sequence[str], provider: str, outside: Sequence[str], ring_bits: int, backend: str = "dealer"
) -> Agreement:
    """Return what the parties of a session agree on. Raises ParameterError for what it cannot have with a dealer."""
    check_dealt_parties(computing, provider, outside)
    check_ring(ring_bits)
    return Agreement(backend, ring_bits, tuple(computing), provider, tuple(outside))


@dataclass(repr=False)
class Seeds:
    """The seeds of one party by the other's name: those that it made, and those that it got."""

    made: dict[str, bytes] = field(default_factory=dict)
    got: dict[str, bytes] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "Seeds(<hidden>)"


def stream_of(seed: bytes, purpose: str) -> KeyStream:
    """Return the stream of one purpose of a seed, under SHA-256 of the purpose and the seed."""
    return KeyStream(hashlib.sha256(purpose.encode("ascii") + b"/" + seed).digest())


def send_agreement(network: Network, agreement: Agreement) -> None:
    """Send every peer what this party believes, facing :func:`receive_agreement`."""
    with network.in_step("join"):
        for peer in network.peers:
            network.channel(peer).send_message("join/agreement", agreement)


def receive_agreement(network: Network, peer: str, agreement: Agreement) -> None:
    """Receive what a peer believes. Raises ProtocolError where it has agreed on something else."""
    with network.in_step("join"):
        theirs = network.channel(peer).recv_message("join/agreement", Agreement)
    for name in Agreement.__struct_fields__:
        if getattr(theirs, name) != getattr(agreement, name):
            expected, found = getattr(agreement, name), getattr(theirs, name)
            raise ProtocolError.mismatch(name, expected, found, peer=peer, step="join")


Receivers = Callable[[Agreement, str], tuple[str, ...]]
"""Tells whom a party sends seeds."""


def all_computing(agreement: Agreement, name: str) -> tuple[str, ...]:
    """Return whom a party of the back-end `dealer` sends seeds."""
    return tuple(other for other in agreement.computing if other != name)


def send_seeds(
    network: Network, agreement: Agreement, randomness: RoleRandomness, receivers: Receivers = all_computing
) -> Seeds:
    """Send what this party believes and its seeds, facing :func:`receive_seeds`. Nothing is waited for."""
    seeds = Seeds()
    send_agreement(network, agreement)
    with network.in_step("join"):
        for peer in receivers(agreement, network.me):
            if peer not in network.peers:  # of one who only follows a program
                continue
            seeds.made[peer] = randomness.source(f"seed/{peer}").bytes(SEED_BYTES)
            network.channel(peer).send("join/seed", seeds.made[peer])
    return seeds


def receive_seeds(network: Network, agreement: Agreement, seeds: Seeds, receivers: Receivers = all_computing) -> None:
    """Receive what the others believe, and their seeds.

    Raises:
        ProtocolError: another party has agreed on something else.
    """
    with network.in_step("join"):
        for peer in network.peers:
            receive_agreement(network, peer, agreement)
            if network.me in receivers(agreement, peer):
                seeds.got[peer] = bytes(network.channel(peer).recv("join/seed", SEED_BYTES))
