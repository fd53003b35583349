"""The command that tries settings over a grid, given the protocols that there are."""

from __future__ import annotations

from collections.abc import Sequence

from capc import __version__
from capc.command import CONFIGS
from orchestrator.command_line import CommandLine
from orchestrator.grid import sweep
from parties.protocols import PROTOCOLS


def simulate(arguments: Sequence[str], name: str) -> int:
    """Run the command, called by this name, and return its exit status."""
    return sweep.simulate(PROTOCOLS, CommandLine(name, __version__, {}, CONFIGS), arguments, name)
