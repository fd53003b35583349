"""The first moments of the command, which needs only the standard library.

The command makes keys. So it starts again, as the parties are started, in a Python that takes nothing from the current
folder and from the user's PYTHON* variables.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main(name: str = "capc") -> NoReturn:
    """Become the command, which calls itself `name`."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)  # a standard stream was closed, and libraries expect all three
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    start = os.path.join(home, "parties", "frame", "start.py")
    os.execv(sys.executable, [sys.executable, "-I", start, "capc.command", name, *sys.argv[1:]])  # noqa: S606
