"""Back-ends of all parties of a session within one process, for tests, examples and simulations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from mpc.channels.frames import Channel
from mpc.channels.memory import memory_pair
from mpc.randomness import RoleRandomness
from mpc.tensors.backends.dealer import DealerBackend
from mpc.tensors.network import Network

Joined = TypeVar("Joined")

RUN_AHEAD_BYTES = 1 << 26  # of corrections that the provider may send before they are taken, as in a socket's buffer


def in_memory(
    parties: Sequence[str],
    provider: str,
    outside: Sequence[str] = (),
    ring_bits: int = 64,
    *,
    deadline_s: float = 600.0,
    kept: bool = False,
    seed: bytes | None = None,
) -> dict[str, DealerBackend]:
    """Return a back-end for every party by name, over channels in memory. Each belongs to a thread of its own.

    Args:
        parties, provider, outside, ring_bits: as for :meth:`DealerBackend.join`.
        deadline_s: longest wait for one message. A party that ends is noticed at once, so it is long.
        kept: whether channels keep transcripts, which tests look at.
        seed: for known-answer tests.
    """
    names = list(dict.fromkeys((*parties, provider, *outside)))
    networks = networks_in_memory(parties, names, provider, deadline_s, kept=kept)
    told = {"computing": parties, "provider": provider, "outside": outside, "ring_bits": ring_bits}
    return all_joined(DealerBackend.join, networks, seed, told)


def all_joined(
    join: Callable[..., Joined], networks: Mapping[str, Network], seed: bytes | None, told: Mapping[str, object]
) -> dict[str, Joined]:
    """Return what joining a session gives to each party by name, each with randomness of its own.

    Args:
        join: of a back-end.
        networks: of all parties by name.
        seed: for known-answer tests.
        told: what `join` is told beside the network and the randomness.
    """
    return {
        name: join(network, randomness=RoleRandomness(None if seed is None else seed + name.encode("ascii")), **told)
        for name, network in networks.items()
    }


def networks_in_memory(
    parties: Sequence[str], names: Sequence[str], ahead: str | None, deadline_s: float, *, kept: bool
) -> dict[str, Network]:
    """Return the channels of all by name. Every computing party has one to each other party, and maybe others do.

    Args:
        parties: those among `names` who have channels to all others.
        ahead: whoever may run ahead of the others, by :data:`RUN_AHEAD_BYTES` at most. None where nobody is held back.
        deadline_s, kept: as for :func:`in_memory`.
    """
    channels: dict[str, dict[str, Channel]] = {name: {} for name in names}
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            if first in parties or second in parties:
                capacity = RUN_AHEAD_BYTES if ahead in (first, second) else None
                ends = memory_pair(first, second, deadline_s, kept=kept, capacity=capacity)
                channels[first][second], channels[second][first] = ends
    return {name: Network(name, channels[name]) for name in names}
