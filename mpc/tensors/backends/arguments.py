"""What callers give to a back-end, checked by all parties alike before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.errors import ParameterError
from mpc.ring import Words
from mpc.tensors.backends.interface import Linear, Shape
from mpc.tensors.network import Network

NARROWEST_RING, WIDEST_RING = 16, 64


def check_ring(ring_bits: int) -> None:
    """Refuse a ring that does not take whole bytes of a word."""
    if not NARROWEST_RING <= ring_bits <= WIDEST_RING or ring_bits % 8:
        raise ParameterError(
            f"expected a ring of {NARROWEST_RING} to {WIDEST_RING} bits in whole bytes, found {ring_bits} bits"
        )


def ring_words(words: object, ring_bits: int, what: str) -> Words:
    """Return an array of ring elements of the caller's. Raises ParameterError for anything else."""
    if not isinstance(words, np.ndarray | np.uint64) or words.dtype != np.uint64:
        found = f"one of {words.dtype}" if isinstance(words, np.ndarray) else type(words).__name__
        raise ParameterError(f"expected {what} as an array of uint64, found {found}")
    if ring_bits < 64 and words.size and int(words.max()) >> ring_bits:
        raise ParameterError(f"expected {what} modulo 2^{ring_bits}, found wider words")
    return np.asarray(words)


def applied(function: Linear, shape: Shape, *arrays: Words) -> Words:
    """Return what a caller's linear function gives. Raises ParameterError for another type or shape than expected."""
    found = function(*arrays)
    if not isinstance(found, np.ndarray | np.uint64) or found.dtype != np.uint64 or found.shape != shape:
        raise ParameterError(
            f"expected a linear function that returns uint64 of shape {shape}, found "
            f"{getattr(found, 'dtype', type(found).__name__)} of shape {np.shape(found)}"
        )
    return np.asarray(found)


def broadcast(x: Shape, y: Shape) -> Shape:
    """Return the shape that two shapes broadcast to."""
    if x == y:
        return x
    try:
        return np.broadcast_shapes(x, y)
    except ValueError:
        raise ParameterError(f"expected shapes that broadcast, found {x} and {y}") from None


def matmul_shape(x: Shape, y: Shape) -> Shape:
    """Return the shape of a product of matrices of two shapes."""
    if len(x) < 2 or len(y) < 2 or x[-1] != y[-2]:
        raise ParameterError(f"expected matrices (..., m, k) and (..., k, n), found {x} and {y}")
    return (*broadcast(x[:-2], y[:-2]), x[-2], y[-1])


def check_dealt_parties(computing: Sequence[str], provider: str, outside: Sequence[str]) -> None:
    """Refuse parties that no session with a provider of correlations can have."""
    if provider in computing:
        raise ParameterError(
            f"expected a provider of correlations that does not compute, found {provider}, who could open every value"
        )
    everybody = (*computing, provider, *outside)
    if len(computing) < 2:
        raise ParameterError(f"expected at least 2 computing parties, found {len(computing)}")
    if len(set(everybody)) != len(everybody):
        raise ParameterError(f"expected every party once, found {', '.join(everybody)}")


def check_exact_parties(backend: str, count: int, computing: Sequence[str], outside: Sequence[str]) -> None:
    """Refuse another number of parties than a back-end without a provider has, and a name that comes twice."""
    if len(computing) != count:
        raise ParameterError(
            f"expected exactly {count} computing parties for the back-end {backend}, found {len(computing)}"
        )
    everybody = (*computing, *outside)
    if len(set(everybody)) != len(everybody):
        raise ParameterError(f"expected every party once, found {', '.join(everybody)}")


def check_input(
    me: str, owners: Sequence[str], owner: str, words: object, shape: Shape, ring_bits: int
) -> Words | None:
    """Return the words of an input, which its owner alone gives.

    Args:
        me: this party.
        owners: those who may give inputs.
        owner, words, shape: of the input, as the caller gave them.
        ring_bits: of the ring.

    Raises:
        ParameterError: an owner that has no part in it, or words that are no such array.
    """
    if owner not in owners:
        raise ParameterError(f"expected an owner that computes or is outside, found {owner}")
    if (words is not None) != (owner == me):
        found = "none" if words is None else "some"
        raise ParameterError(f"expected words of {owner} at {owner} alone, found {found} at {me}")
    if words is None:
        return None
    checked = ring_words(words, ring_bits, "an input")
    if checked.shape != shape:
        raise ParameterError(f"expected an input of shape {shape}, found {checked.shape}")
    return checked


def check_channels(network: Network, everybody: Sequence[str], needed: Sequence[str]) -> None:
    """Refuse a party that is none of all, and channels to others than it needs, of whom it may be one itself."""
    if network.me not in everybody:
        raise ParameterError(f"expected one of {', '.join(everybody)}, found {network.me}")
    others = set(needed) - {network.me}
    if set(network.peers) != others:
        raise ParameterError(
            f"expected {network.me} to have channels to {sorted(others)}, found {sorted(network.peers)}"
        )
