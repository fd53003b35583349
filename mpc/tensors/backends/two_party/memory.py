"""Back-ends of all parties of a session within one process, for tests, examples and simulations."""

from __future__ import annotations

from collections.abc import Sequence

from mpc.errors import ParameterError
from mpc.tensors.backends.memory import all_joined, networks_in_memory
from mpc.tensors.backends.two_party.backend import TwoPartyBackend


def in_memory(
    parties: Sequence[str],
    provider: str | None = None,
    outside: Sequence[str] = (),
    ring_bits: int = 64,
    *,
    deadline_s: float = 600.0,
    kept: bool = False,
    seed: bytes | None = None,
) -> dict[str, TwoPartyBackend]:
    """Return a back-end for every party by name, over channels in memory. Each belongs to a thread of its own.

    Args:
        parties, outside, ring_bits: as for :meth:`TwoPartyBackend.join`.
        provider: there is none. A name is refused.
        deadline_s: longest wait for one message. A party that ends is noticed at once, so it is long.
        kept: whether channels keep transcripts, which tests look at.
        seed: for known-answer tests.
    """
    if provider is not None:
        raise ParameterError(f"expected no provider of correlations for the back-end two_party, found {provider}")
    names = list(dict.fromkeys((*parties, *outside)))
    networks = networks_in_memory(parties, names, None, deadline_s, kept=kept)
    told = {"computing": parties, "outside": outside, "ring_bits": ring_bits}
    return all_joined(TwoPartyBackend.join, networks, seed, told)
