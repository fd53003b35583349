"""Back-ends `dealer_mac` of all parties of a session within one process, for tests, examples and simulations."""

from __future__ import annotations

from collections.abc import Sequence

from mpc.tensors.backends.authenticated.backend import DealerMacBackend
from mpc.tensors.backends.authenticated.party import MOST_PENDING
from mpc.tensors.backends.memory import all_joined, networks_in_memory


def in_memory(
    parties: Sequence[str],
    provider: str,
    outside: Sequence[str] = (),
    ring_bits: int = 64,
    *,
    deadline_s: float = 600.0,
    kept: bool = False,
    seed: bytes | None = None,
    most_pending: int = MOST_PENDING,
) -> dict[str, DealerMacBackend]:
    """Return a back-end for every party by name, over channels in memory. Each belongs to a thread of its own.

    Args:
        parties, provider, outside, ring_bits, most_pending: as for :meth:`DealerMacBackend.join`.
        deadline_s: longest wait for one message. A party that ends is noticed at once, so it is long.
        kept: whether channels keep transcripts, which tests look at.
        seed: for known-answer tests.
    """
    names = list(dict.fromkeys((*parties, provider, *outside)))
    networks = networks_in_memory((*parties, provider), names, provider, deadline_s, kept=kept)
    told = {"computing": parties, "provider": provider, "outside": outside, "ring_bits": ring_bits}
    return all_joined(DealerMacBackend.join, networks, seed, told | {"most_pending": most_pending})
