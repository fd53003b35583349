"""Private tensors: computing and training on secret-shared data, from one Python program that every party runs.

``import mpc.tensors as pt``, write a program that takes a session, and run it with ``pt.simulate``. A program's numbers
are fixed-point, their ranges are exact, and what the ring cannot hold is refused before it is computed.

- ``Session``, ``PrivateTensor``: what a program is given, and what it computes with.
- ``nn``, ``optim``: layers, losses and gradient descent.
- ``simulate``, ``Policy``: all parties in one process, and what may be revealed to whom.
- ``cost``: what a run will cost and reveal, before it runs. ``epsilon``: what noise on a reveal is worth.
- ``backends``: what computes, each with its own trust.
- ``syft``, ``tfe``: other libraries' words for the same, for programs that were written with them.

All other names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import mpc.tensors.tensor  # noqa: F401  (first, because the modules of its operations reach each other through it)
from mpc.lazy_names import lazy_names

if TYPE_CHECKING:
    from mpc.errors import RangeError
    from mpc.tensors import nn, optim, syft, tfe
    from mpc.tensors.checking import DeviationError
    from mpc.tensors.comparing import maximum, minimum, one_hot, where
    from mpc.tensors.compiling import compile
    from mpc.tensors.convolution import avg_pool2d, conv2d, max_pool2d
    from mpc.tensors.forecast import Forecast, cost
    from mpc.tensors.noise import epsilon
    from mpc.tensors.reveals import Policy, RefusedRevealError, Revealed
    from mpc.tensors.session import Session
    from mpc.tensors.shaping import concatenate, stack
    from mpc.tensors.simulation import ProgramError, Result, simulate
    from mpc.tensors.tensor import PrivateTensor

_MODULES = ("nn", "optim", "syft", "tfe")
_NAMES = {
    "DeviationError": "checking",
    "Forecast": "forecast",
    "Policy": "reveals",
    "PrivateTensor": "tensor",
    "ProgramError": "simulation",
    "RangeError": "ranges",
    "RefusedRevealError": "reveals",
    "Result": "simulation",
    "Revealed": "reveals",
    "Session": "session",
    "avg_pool2d": "convolution",
    "compile": "compiling",
    "concatenate": "shaping",
    "conv2d": "convolution",
    "cost": "forecast",
    "epsilon": "noise",
    "max_pool2d": "convolution",
    "maximum": "comparing",
    "minimum": "comparing",
    "one_hot": "comparing",
    "simulate": "simulation",
    "stack": "shaping",
    "where": "comparing",
}
_load = lazy_names(__name__, _NAMES)

__all__ = [
    "DeviationError",
    "Forecast",
    "Policy",
    "PrivateTensor",
    "ProgramError",
    "RangeError",
    "RefusedRevealError",
    "Result",
    "Revealed",
    "Session",
    "avg_pool2d",
    "compile",
    "concatenate",
    "conv2d",
    "cost",
    "epsilon",
    "max_pool2d",
    "maximum",
    "minimum",
    "nn",
    "one_hot",
    "optim",
    "simulate",
    "stack",
    "syft",
    "tfe",
    "where",
]


def __getattr__(name: str) -> object:
    return import_module(f"{__name__}.{name}") if name in _MODULES else _load(name)
