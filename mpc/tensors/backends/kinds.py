"""Which back-ends there are, which parties each of them has, and how a party joins one by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mpc.errors import ParameterError
from mpc.tensors.backends.interface import Backend
from mpc.tensors.network import Network


@dataclass(frozen=True)
class Kind:
    """One back-end that can be chosen.

    Attributes:
        module, name: the class of the back-end, below `mpc.tensors.backends`.
        memory: the module whose `in_memory` connects all parties within one process.
        parties: how many compute, or None for two or more.
        dealt: whether a provider of correlations takes part.
        about: who computes and who is trusted, for a list of choices.
        proven: whether a computing party that cheats is noticed. Such a back-end has a ring of 64 bits.
    """

    module: str
    name: str
    memory: str
    parties: int | None
    dealt: bool
    about: str
    proven: bool = False

    def joined(
        self, network: Network, computing: Sequence[str], provider: str | None, outside: Sequence[str], ring_bits: int
    ) -> Backend:
        """Begin a session on the channels of one party."""
        found: Any = getattr(_module(self.module), self.name)
        dealt = {"provider": provider} if self.dealt else {}
        backend: Backend = found.join(network, computing=computing, outside=outside, ring_bits=ring_bits, **dealt)
        return backend


KINDS: Mapping[str, Kind] = {
    "dealer": Kind("dealer", "DealerBackend", "memory", None, True, "2 parties or more, and a provider"),
    "dealer_mac": Kind(
        "authenticated",
        "DealerMacBackend",
        "authenticated.memory",
        None,
        True,
        "the same where computing parties may cheat",
        proven=True,
    ),
    "replicated": Kind(
        "replicated", "ReplicatedBackend", "replicated.memory", 3, False, "3 parties of whom no two collude"
    ),
    "replicated_mac": Kind(
        "replicated_mac",
        "ReplicatedMacBackend",
        "replicated_mac.memory",
        3,
        False,
        "the same where one of the 3 may cheat",
        proven=True,
    ),
    "two_party": Kind("two_party", "TwoPartyBackend", "two_party.memory", 2, False, "2 parties who trust nobody else"),
}
"""By the name in a configuration."""

IN_MEMORY: Mapping[str, Kind] = {
    "clear": Kind("clear", "ClearBackend", "clear", None, False, "trying a program, and hides nothing"),
    **KINDS,
}
"""Those of a simulation, by name."""


def kind_of(backend: str) -> Kind:
    """Return a back-end of a simulation by its name. Raises `ParameterError` for another one."""
    if backend not in IN_MEMORY:
        raise ParameterError(f"expected a back-end among {', '.join(IN_MEMORY)}, found {backend!r}")
    return IN_MEMORY[backend]


def check_parties(backend: str, computing: Sequence[str], provider: str | None, outside: Sequence[str] = ()) -> None:
    """Raise `ParameterError` for parties that a back-end cannot have."""
    kind = kind_of(backend)
    if kind.parties is not None and len(computing) != kind.parties:
        raise ParameterError(
            f"expected exactly {kind.parties} computing parties for the back-end {backend}, found {len(computing)}"
        )
    if len(computing) < 2:
        raise ParameterError(f"expected at least 2 computing parties, found {len(computing)}")
    if kind.dealt and provider is None:
        raise ParameterError(
            f"expected a provider of correlations, which holds no share, for the back-end {backend}, found none"
        )
    if not kind.dealt and provider is not None:
        raise ParameterError(f"expected no provider of correlations for the back-end {backend}, found {provider}")
    if provider in computing:
        raise ParameterError(
            f"expected a provider of correlations that does not compute, found {provider}, who could open every value"
        )
    names = [*computing, *([provider] if provider else []), *outside]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParameterError(f"expected each party in one role, found {', '.join(twice)} in two")


def join(
    network: Network,
    *,
    backend: str,
    computing: Sequence[str],
    provider: str | None = None,
    outside: Sequence[str] = (),
    ring_bits: int = 64,
) -> Backend:
    """Begin a session on the channels of one party, of the back-end of this name.

    Raises:
        ParameterError: no such back-end, or parties or a ring that it cannot have.
    """
    check_parties(backend, computing, provider, outside)
    return kind_of(backend).joined(network, computing, provider, outside, ring_bits)


def all_in_memory(
    backend: str, parties: Sequence[str], provider: str | None, outside: Sequence[str], ring_bits: int
) -> Mapping[str, Backend]:
    """Return a back-end for every party by name, connected in memory."""
    memory = kind_of(backend).memory
    if backend in KINDS:
        check_parties(backend, parties, provider, outside)
    found: Mapping[str, Backend] = _module(memory).in_memory(tuple(parties), provider, tuple(outside), ring_bits)
    return found


def _module(name: str) -> Any:
    return import_module(f"mpc.tensors.backends.{name}")
