"""Back-ends of three parties within one process, for tests, examples and simulations."""

from __future__ import annotations

from collections.abc import Sequence

from mpc.errors import ParameterError
from mpc.tensors.backends.arguments import check_exact_parties
from mpc.tensors.backends.memory import all_joined, networks_in_memory
from mpc.tensors.backends.replicated.backend import ReplicatedBackend
from mpc.tensors.backends.replicated.keys import PARTIES
from mpc.tensors.network import Network


def in_memory(
    parties: Sequence[str],
    provider: str | None = None,
    outside: Sequence[str] = (),
    ring_bits: int = 64,
    *,
    deadline_s: float = 600.0,
    kept: bool = False,
    seed: bytes | None = None,
) -> dict[str, ReplicatedBackend]:
    """Return a back-end for every party by name, over channels in memory. Each belongs to a thread of its own.

    Args:
        parties, outside, ring_bits: as for :meth:`ReplicatedBackend.join`.
        provider: is refused. This back-end has none.
        deadline_s: longest wait for one message. A party that ends is noticed at once, so it is long.
        kept: whether channels keep transcripts, which tests look at.
        seed: for known-answer tests.
    """
    networks = networks_of_three(ReplicatedBackend.name, parties, provider, outside, deadline_s, kept=kept)
    told = {"computing": parties, "outside": outside, "ring_bits": ring_bits}
    return all_joined(ReplicatedBackend.join, networks, seed, told)


def networks_of_three(
    backend: str, parties: Sequence[str], provider: str | None, outside: Sequence[str], deadline_s: float, *, kept: bool
) -> dict[str, Network]:
    """Return the channels of three parties and of those outside by name.

    Raises:
        ParameterError: another number of parties, or a provider.
    """
    check_exact_parties(backend, PARTIES, parties, outside)
    if provider is not None:
        raise ParameterError(f"expected no provider of correlations for the back-end {backend}, found {provider}")
    return networks_in_memory(parties, [*parties, *outside], parties[2], deadline_s, kept=kept)
