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

JOIN, TAKE_PART, CERTIFICATES = "join a federation", "take part in a federation", "keep certificates"

PROGRAMS = {
    "dashboard": Program("look at a run while it lasts", "orchestrator.dashboard", "look at runs"),
    "simulate": Program("try settings over a grid, into a table", "capc.grid:simulate", "try settings"),
    "init": Program("make the authority of a federation", "capc.federation:init", JOIN),
    "request": Program("make a key, and a request for its certificate", "capc.federation:request", JOIN),
    "approve": Program("sign a member's request, as the authority", "capc.federation:approve", JOIN),
    "install": Program("put a certificate into place", "capc.federation:install", JOIN),
    "check": Program("look for what would keep a member from taking part", "capc.federation:check", JOIN),
    "serve": Program("take part in one session after the other", "capc.federation:serve", TAKE_PART),
    "ask": Program("open a session", "capc.federation:ask", TAKE_PART),
    "status": Program("show whether services run, and what they do", "capc.federation:status", TAKE_PART),
    "health": Program("tell whether services are well", "capc.federation:health", TAKE_PART),
    "report": Program("show what a member took part in and has spent", "capc.federation:report", TAKE_PART),
    "log": Program("show the sessions that a service has taken part in", "capc.federation:log", TAKE_PART),
    "stop": Program("end a service in order", "capc.federation:stop", TAKE_PART),
    "prune": Program("remove what old sessions left, but no account", "capc.federation:prune", TAKE_PART),
    "cert renew": Program("make a new key, and a request for its certificate", "capc.federation:renew", CERTIFICATES),
    "cert list": Program("list the certificates that the authority signed", "capc.federation:listed", CERTIFICATES),
    "cert revoke": Program("revoke a member's certificates, as the authority", "capc.federation:revoke", CERTIFICATES),
    "cert update": Program("install a newer list of revoked certificates", "capc.federation:update", CERTIFICATES),
}

_HERE = Path(__file__).resolve().parent
CONFIGS = next((folder for folder in (_HERE / "configs", _HERE.parent / "configs") if folder.is_dir()), _HERE)
"""The configurations that come along, in an installation and in a checkout."""

if __name__ == "__main__":
    called, *given = sys.argv[1:]
    sys.exit(main(PROTOCOLS, given, CommandLine(called, __version__, PROGRAMS, CONFIGS)))
