"""Back-ends `replicated_mac` of three parties within one process, for tests, examples and simulations."""

from __future__ import annotations

from collections.abc import Sequence

from mpc.tensors.backends.memory import all_joined
from mpc.tensors.backends.replicated.memory import networks_of_three
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
    networks = networks_of_three(ReplicatedMacBackend.name, parties, provider, outside, deadline_s, kept=kept)
    told = {"computing": parties, "outside": outside, "ring_bits": ring_bits, "most_pending": most_pending}
    return all_joined(ReplicatedMacBackend.join, networks, seed, told)
