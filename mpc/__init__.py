"""Secure computation: protocols, shares, circuits, channels.

``mpc.argmax`` and ``mpc.sum_histogram`` are the two one-call functions of :mod:`mpc.garbled.one_call`. They are loaded
at their first use, so that importing a light module such as :mod:`mpc.errors` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpc.garbled.one_call import argmax, sum_histogram

__all__ = ["argmax", "sum_histogram"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from mpc.garbled import one_call as two_party  # noqa: PLC0415  (the point of this function)

        return getattr(two_party, name)
    raise AttributeError(f"module 'mpc' has no attribute {name!r}")
