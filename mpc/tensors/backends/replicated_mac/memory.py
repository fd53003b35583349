"""Back-ends `replicated_mac` of three parties within one process, for tests, examples and simulations."""

from __future__ import annotations

from collections.abc import Sequence

from mpc.errors import ParameterError
from mpc.randomness import RoleRandomness
from mpc.tensors.backends.arguments import check_exact_parties
from mpc.tensors.backends.memory import networks_in_memory
from mpc.tensors.backends.replicated.keys import PARTIES
from mpc.tensors.backends.replicated_mac.backend import ReplicatedMacBackend
from mpc.tensors.backends.replicated_mac.guarded import MOST_PENDING


def in_memory(
    parties: Sequence[str],
    provider: str | None = None,
    outside: Sequence[str] = (),
    ring_bits: int = 64,
    *,
    deadline_s: float = 600.0,
    kept: bool = False,
    seed: bytes | None = None,
    most_pending: int = MOST_PENDING,
) -> dict[str, ReplicatedMacBackend]:
    """Return a back-end for every party by name, over channels in memory. Each belongs to a thread of its own.

    Args:
        parties, outside, ring_bits, most_pending: as for :meth:`ReplicatedMacBackend.join`.
        provider: is refused. This back-end has none.
        deadline_s: longest wait for one message. A party that ends is noticed at once, so it is long.
        kept: whether channels keep transcripts, which tests look at.
        seed: for known-answer tests.
    """
    check_exact_parties("replicated_mac", PARTIES, parties, outside)
    if provider is not None:
        raise ParameterError(f"expected no provider of correlations for the back-end replicated_mac, found {provider}")
    names = [*parties, *outside]
    networks = networks_in_memory(parties, names, parties[2], deadline_s, kept=kept)
    return {
        name: ReplicatedMacBackend.join(
            networks[name],
            computing=parties,
            outside=outside,
            ring_bits=ring_bits,
            randomness=RoleRandomness(None if seed is None else seed + name.encode("ascii")),
            most_pending=most_pending,
        )
        for name in names
    }
