"""The back-end `two_party`: exactly two computing parties, and nobody else is trusted.

Values are additive shares modulo 2^ring_bits. Both parties follow the protocol. There is no provider of correlations.

Read in this order: ``backend`` (the session), ``values`` (what a step works on), ``oblivious`` (OTs in both
directions), ``products``, ``comparison``, ``truncation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.lazy_names import lazy_names

if TYPE_CHECKING:
    from mpc.tensors.backends.two_party.backend import TwoPartyBackend
    from mpc.tensors.backends.two_party.memory import in_memory

__all__ = ["TwoPartyBackend", "in_memory"]

__getattr__ = lazy_names(__name__, {"TwoPartyBackend": "backend", "in_memory": "memory"})
