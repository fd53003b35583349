"""Garbled circuits over a channel.

========================================  ==========================================================================
:func:`argmax`, :func:`sum_histogram`     one call for a whole task
:class:`Garbler`, :class:`Evaluator`      the two sides of a session, for any circuit
:class:`GarbledBatch`,                    one circuit for many instances, as a session hands it out
:class:`EvaluatedBatch`
:class:`Projection`                       an argument of a batch whose outputs end as shares
:data:`Circuits`, :data:`Tables`          when tables cross, and how gates are garbled
========================================  ==========================================================================

Start to read in :mod:`mpc.garbled.session`. A module is loaded when one of its names is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.lazy_names import lazy_names

if TYPE_CHECKING:
    from mpc.garbled.batch import Circuits, EvaluatedBatch, GarbledBatch, Projection
    from mpc.garbled.one_call import argmax, sum_histogram
    from mpc.garbled.pieces import Tables
    from mpc.garbled.session import Evaluator, Garbler

__all__ = [
    "Circuits",
    "EvaluatedBatch",
    "Evaluator",
    "GarbledBatch",
    "Garbler",
    "Projection",
    "Tables",
    "argmax",
    "sum_histogram",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Circuits": "batch",
        "EvaluatedBatch": "batch",
        "Evaluator": "session",
        "GarbledBatch": "batch",
        "Garbler": "session",
        "Projection": "batch",
        "Tables": "pieces",
        "argmax": "one_call",
        "sum_histogram": "one_call",
    },
)
