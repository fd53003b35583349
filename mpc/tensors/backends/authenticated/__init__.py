"""The back-end `dealer_mac`: as `dealer`, and a computing party that cheats is noticed before anything is revealed.

Read in this order: ``wide`` (numbers modulo 2^128), ``values``, ``dealing`` (keys and correlations), ``party``
(openings), ``check``, ``products``, ``picking``, ``comparison``, ``truncation``, ``outputs``, ``backend``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.lazy_names import lazy_names

if TYPE_CHECKING:
    from mpc.tensors.backends.authenticated.backend import DealerMacBackend
    from mpc.tensors.backends.authenticated.memory import in_memory

__all__ = ["DealerMacBackend", "in_memory"]

__getattr__ = lazy_names(__name__, {"DealerMacBackend": "backend", "in_memory": "memory"})
