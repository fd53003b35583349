"""The protocols that can be run, by the name that a person gives."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from parties.frame.plan import RunnableProtocol

WINGS = ("capc",)
"""One folder of `parties/` a protocol, whose module `protocol` has it as `PROTOCOL`. The first is the default."""

PROTOCOLS: dict[str, RunnableProtocol] = {
    wing: import_module(f"parties.{wing}.protocol").PROTOCOL for wing in WINGS if find_spec(f"parties.{wing}")
}
"""Those whose folder is there: a house without one of its wings still stands."""
