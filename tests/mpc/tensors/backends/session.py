"""Sessions of all parties in memory, each in a thread, and what a program gives to each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from mpc.channels.memory import MemoryChannel
from mpc.ring import Ring, Words
from mpc.tensors.backends import (
    DealerBackend,
    ReplicatedBackend,
    TwoPartyBackend,
    authenticated,
    in_memory,
    replicated,
    replicated_mac,
    two_party,
)
from mpc.tensors.backends.interface import Shared

PATIENCE_S = 200.0
PROVIDER, OUTSIDE = "carol", "olga"
Result = TypeVar("Result")
Backend = DealerBackend | ReplicatedBackend | TwoPartyBackend
Program = Callable[[Any], Result]


class Case(int):
    """A number of computing parties with a back-end. A plain number stands for the dealer's."""

    backend = "dealer"

    def __repr__(self) -> str:
        return f"{self.backend}-{int(self)}"


class Replicated(Case):
    backend = "replicated"


class Authenticated(Case):
    backend = "dealer_mac"


class ReplicatedMac(Case):
    backend = "replicated_mac"


class TwoParty(Case):
    backend = "two_party"


REPLICATED, REPLICATED_MAC, TWO_PARTY = Replicated(3), ReplicatedMac(3), TwoParty(2)
AUTHENTICATED = [Authenticated(2), Authenticated(3), Authenticated(5)]


def rings_of(n: int) -> list[int]:
    """The widths of rings that a case's back-end can have, of which tests try some."""
    return [64] if isinstance(n, Authenticated | ReplicatedMac) else [64, 40, 32, 16]


def sessions_of(n: int, outside: Sequence[str] = (), ring_bits: int = 64, **options: Any) -> dict[str, Any]:
    """A back-end for every party of a case, connected in memory."""
    if isinstance(n, Replicated):
        return dict(replicated.in_memory(names(n), None, outside, ring_bits, **options))
    if isinstance(n, ReplicatedMac):
        return dict(replicated_mac.in_memory(names(n), None, outside, ring_bits, **options))
    if isinstance(n, Authenticated):
        return dict(authenticated.in_memory(names(n), PROVIDER, outside, ring_bits, **options))
    if isinstance(n, TwoParty):
        return dict(two_party.in_memory(names(n), None, outside, ring_bits, **options))
    return dict(in_memory(names(n), PROVIDER, outside, ring_bits, **options))


def names(count: int) -> tuple[str, ...]:
    return tuple(f"p{number}" for number in range(count))


def words(values: ArrayLike, bits: int = 64) -> Words:
    """Python's or numpy's signed integers as elements of the ring."""
    return Ring(bits).reduce(np.array([int(v) % (1 << bits) for v in np.asarray(values, dtype=object).reshape(-1)],
                                      dtype=np.uint64).reshape(np.shape(values)))  # fmt: skip


def signed(ring_elements: Words, bits: int = 64) -> np.ndarray:
    """Python integers, so that nothing overflows in a test."""
    return Ring(bits).signed(ring_elements).astype(object)


def outcomes(backends: Mapping[str, Any], program: Program[Result]) -> dict[str, Result | BaseException]:
    """What each party gets, or the error that it raises. One that fails closes its channels, as a process would."""

    def side(backend: Any) -> Result:
        try:
            return program(backend)
        except BaseException:
            backend.close()
            raise

    with ThreadPoolExecutor(len(backends)) as pool:
        futures = {name: pool.submit(side, backend) for name, backend in backends.items()}
        return {name: future.exception(PATIENCE_S) or future.result() for name, future in futures.items()}


def run(backends: Mapping[str, Any], program: Program[Result]) -> dict[str, Result]:
    """What each party gets. Raises the error of a party that blames nobody, or else the first."""
    found = outcomes(backends, program)
    errors = [error for error in found.values() if isinstance(error, BaseException)]
    if errors:
        raise min(errors, key=lambda error: bool(getattr(error, "peer", "")))
    return found  # type: ignore[return-value]  # no errors


def together(
    n: int,
    inputs: Sequence[Words],
    program: Callable[[Any, list[Shared]], Sequence[Shared]],
    ring_bits: int = 64,
    outside: Sequence[str] = (),
    **options: Any,
) -> list[Words]:
    """The opened results of a program on inputs of the parties in turn, which all computing parties agree on."""
    owners = [*names(n), *outside]
    backends = sessions_of(n, outside, ring_bits, **options)

    def side(backend: Backend) -> list[Words] | None:
        shared: list[Shared] = []
        for place, value in enumerate(inputs):
            owner = owners[place % len(owners)]
            shared.append(backend.input(owner, value if backend.me == owner else None, value.shape))
        return backend.open(program(backend, shared), names(n))

    found = run(backends, side)
    assert found.get(PROVIDER) is None
    first = found[names(n)[0]]
    assert first is not None
    for name in names(n)[1:]:
        other = found[name]
        assert other is not None
        assert all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    return first


def transcript(backend: Backend, peer: str) -> list[tuple[str, str, bytes]]:
    channel = backend._network.channel(peer)
    assert isinstance(channel, MemoryChannel)
    return channel.transcript
