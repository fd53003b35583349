"""Who connects to whom in a computation.

computing party   <--->  every other computing party, of which the later one dials the earlier one
provider          ---->  every computing party
outside party     ---->  every computing party, and the provider where it gets masks from it
"""

from __future__ import annotations

from parties.tensors.settings import COMPUTING, OUTSIDE, PROVIDER, Computation, Role


def role_of(computation: Computation, name: str) -> Role:
    """Return the role of a party."""
    if name in computation.computing:
        return COMPUTING
    return PROVIDER if name == computation.provider else OUTSIDE


def everybody(computation: Computation) -> tuple[str, ...]:
    """Return the names of all parties, in the order that all share."""
    providers = () if computation.provider is None else (computation.provider,)
    return (*computation.computing, *providers, *computation.outside)


def provider_listens(computation: Computation) -> bool:
    """Return whether outside parties connect to the provider."""
    return computation.backend == "dealer_mac" and computation.provider is not None and bool(computation.outside)


def dialled(computation: Computation, name: str) -> tuple[str, ...]:
    """Return the parties that this one connects to."""
    if name in computation.computing:
        return computation.computing[: computation.computing.index(name)]
    if name in computation.outside and computation.provider is not None and provider_listens(computation):
        return (*computation.computing, computation.provider)
    return computation.computing


def awaited(computation: Computation, name: str) -> dict[str, Role]:
    """Return the parties that connect to this one, with their roles."""
    return {
        other: role_of(computation, other) for other in everybody(computation) if name in dialled(computation, other)
    }
