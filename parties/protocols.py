"""The protocols that can be run, by the name that a person gives."""

from __future__ import annotations

from parties.capc import Capc
from parties.plan import RunnableProtocol

PROTOCOLS: dict[str, RunnableProtocol] = {"capc": Capc()}
