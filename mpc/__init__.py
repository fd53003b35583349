"""Secure computation between parties that do not trust each other with their data.

``mpc.argmax`` and ``mpc.sum_histogram`` do a whole task in one call, over a :class:`Garbler` on one side and an
:class:`Evaluator` on the other (:mod:`mpc.garbled.one_call`). Everything else is in a folder for each topic:

- ``errors``, ``randomness``, ``ring``: what all others stand on.
- ``channels``: conversations between two parties.
- ``garbled``: garbled circuits over a channel.
- ``paillier``: an additively homomorphic cipher.
- ``dp``: noise, and the accounting of differential privacy.
- ``inference``: neural networks on additive shares.
- ``capc``: the steps of CaPC, one protocol that is built from these.

A name is loaded when it is first used, so that importing a light module such as :mod:`mpc.errors` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.lazy_names import lazy_names

if TYPE_CHECKING:
    from mpc.garbled import Evaluator, Garbler, argmax, sum_histogram

__all__ = ["Evaluator", "Garbler", "argmax", "sum_histogram"]

__getattr__ = lazy_names(__name__, dict.fromkeys(__all__, "garbled"))
