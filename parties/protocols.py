"""The protocols that can be run, by the name that a person gives.

Each protocol has a folder in `parties/`, its wing, whose module `protocol` holds it as `PROTOCOL`. Its `name` is what a
person gives. A wing that is not there is left out, and the others still work.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from parties.frame.plan import RunnableProtocol

WINGS = ("capc", "tensors", "encrypted", "commons")
"""The wings by name. The first that is there is the default."""

_FOUND: list[RunnableProtocol] = [
    import_module(f"parties.{wing}.protocol").PROTOCOL for wing in WINGS if find_spec(f"parties.{wing}")
]
PROTOCOLS: dict[str, RunnableProtocol] = {protocol.name: protocol for protocol in _FOUND}
