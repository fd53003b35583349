"""Secure computation: protocols, shares, circuits, channels.

``mpc.argmax`` and ``mpc.sum_histogram`` are the two one-call functions, see :mod:`mpc.two_party`; they are loaded when
first used, so that importing a light module such as :mod:`mpc.errors` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpc.two_party import argmax, sum_histogram

__all__ = ["argmax", "sum_histogram"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from mpc import two_party  # noqa: PLC0415  (the point of this function)

        return getattr(two_party, name)
    raise AttributeError(f"module 'mpc' has no attribute {name!r}")
