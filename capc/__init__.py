"""The command `capc`, which is also `python run_protocol.py`, and the version of the whole project.

What it does lies below: `orchestrator` runs a protocol, `parties` are its programs, `mpc` is the secure computation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import metadata  # noqa: PLC0415 - the command starts without it

    try:
        return metadata.version("capc")
    except metadata.PackageNotFoundError:  # a folder of sources that nobody has installed
        return "unknown"
