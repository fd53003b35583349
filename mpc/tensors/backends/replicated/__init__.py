"""The back-end `replicated`: three computing parties, of whom no two collude, and no provider of correlations.

A value x = x_0 + x_1 + x_2 modulo 2^ring_bits has three components. Each party lacks one of them::

    party 0    x_0, x_1          party 1    x_1, x_2          party 2    x_2, x_0

Bits are shared so by XOR. Every component is known to two parties, and these two share a key, too. Party i and the one
before it, i - 1, share key i (Araki, Furukawa, Lindell, Nof and Ohara, CCS 2016).

Read in this order: ``keys`` (how a session begins), ``trio`` (what a step works on, and the messages), ``inputs``,
``products``, ``sharing`` (what the third party knows alone), ``masked`` (values that two see under a mask of the
third), ``truncation``, ``comparison``, ``backend``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.lazy_names import lazy_names

if TYPE_CHECKING:
    from mpc.tensors.backends.replicated.backend import ReplicatedBackend
    from mpc.tensors.backends.replicated.memory import in_memory

__all__ = ["ReplicatedBackend", "in_memory"]

__getattr__ = lazy_names(__name__, {"ReplicatedBackend": "backend", "in_memory": "memory"})
