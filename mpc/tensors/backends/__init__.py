"""What a private tensor is computed with. Each back-end has its own number of parties and its own trust.

``interface`` says what every back-end offers. ``dealer`` is for two parties and more, and a provider of correlations.
``replicated`` is for three parties of whom no two collude. ``two_party`` is for two parties who trust nobody else.
``authenticated`` has MACs, against parties that cheat, and ``replicated_mac`` proofs, against one of three that does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.lazy_names import lazy_names

if TYPE_CHECKING:
    from mpc.tensors.backends.authenticated import DealerMacBackend
    from mpc.tensors.backends.dealer import DealerBackend
    from mpc.tensors.backends.memory import in_memory
    from mpc.tensors.backends.replicated import ReplicatedBackend
    from mpc.tensors.backends.replicated_mac import ReplicatedMacBackend
    from mpc.tensors.backends.two_party import TwoPartyBackend

__all__ = [
    "DealerBackend",
    "DealerMacBackend",
    "ReplicatedBackend",
    "ReplicatedMacBackend",
    "TwoPartyBackend",
    "in_memory",
]

__getattr__ = lazy_names(
    __name__,
    {
        "DealerBackend": "dealer",
        "DealerMacBackend": "authenticated",
        "ReplicatedBackend": "replicated",
        "ReplicatedMacBackend": "replicated_mac",
        "TwoPartyBackend": "two_party",
        "in_memory": "memory",
    },
)
