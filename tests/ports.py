"""Ports for the runs that tests start, when several workers (pytest-xdist) start runs at the same time."""

from __future__ import annotations

import os
import random
import socket

_FIRST, _LAST = 20000, 32000  # below the range that the system takes for outgoing connections
_LANES = 8


def free_ports(count: int) -> int:
    """The first of `count` consecutive ports that nobody uses, and that no other worker chooses at this moment."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    width = (_LAST - _FIRST) // _LANES
    lowest = _FIRST + worker % _LANES * width
    for _ in range(1000):
        first = random.randrange(lowest, lowest + width - count)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise AssertionError("no free ports")
