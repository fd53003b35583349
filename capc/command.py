"""The command, put together from the launcher, the protocols and the programs beside them.

What `--help` lists comes from two tables. `PROGRAMS` has what belongs to no protocol. Each protocol has a table of its
own, `commands` in its module `protocol`. Both name what to import, and only what was asked for is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path

from capc import __version__
from orchestrator.cli import main
from orchestrator.command_line import CommandLine, Program
from parties.protocols import PROTOCOLS

PROGRAMS = {
    "dashboard": Program("look at a run while it lasts", "orchestrator.dashboard", "look at runs"),
}

_HERE = Path(__file__).resolve().parent
CONFIGS = next((folder for folder in (_HERE / "configs", _HERE.parent / "configs") if folder.is_dir()), _HERE)
"""The configurations that come along, in an installation and in a checkout."""

if __name__ == "__main__":
    called, *given = sys.argv[1:]
    sys.exit(main(PROTOCOLS, given, CommandLine(called, __version__, PROGRAMS, CONFIGS)))
