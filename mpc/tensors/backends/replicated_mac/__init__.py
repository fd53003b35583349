"""The back-end `replicated_mac`: as `replicated`, and one party that cheats is noticed before anything is revealed.

Every component is known to two parties, so that nobody can lie about it alone. What a party can do is to send a wrong
share of a product. So each proves to the other two, before an output, that all of its products were right, and shows
them nothing else (Boneh, Boyle, Corrigan-Gibbs, Gilboa and Ishai, CRYPTO 2019; Boyle, Gilboa, Ishai and Nof, CCS 2019).
No MACs are needed. The name is that of its place beside `dealer_mac`.

Read in this order: ``gates`` (what is still to be proven), ``guarded`` (a party, and the one message by which products
are shared), ``products``, ``carries`` (sums that one party knows), ``comparison``, ``truncation``. Then the proofs:
``check`` (its rounds, and why it holds), ``wide``, ``numbers``, ``bits``. Then ``outputs`` and ``backend``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.lazy_names import lazy_names

if TYPE_CHECKING:
    from mpc.tensors.backends.replicated_mac.backend import ReplicatedMacBackend
    from mpc.tensors.backends.replicated_mac.memory import in_memory

__all__ = ["ReplicatedMacBackend", "in_memory"]

__getattr__ = lazy_names(__name__, {"ReplicatedMacBackend": "backend", "in_memory": "memory"})
