"""Ports for the runs that tests start, when several sessions and their workers start runs at the same time."""

from __future__ import annotations

import random
import socket

_FIRST, _LAST = 20000, 32000  # below the range that the system takes for outgoing connections
_taken: list[socket.socket] = []


def free_ports(count: int) -> int:
    """The first of `count` consecutive ports that nobody uses and that no other test is given while this process lives.

    A port is taken by a socket of the same number in Linux's abstract namespace, which goes when the process ends.
    """
    for _ in range(1000):
        first = random.randrange(_FIRST, _LAST - count + 1)
        if all(map(_take, range(first, first + count))):
            return first
    raise AssertionError("no free ports")


def _take(port: int) -> bool:
    sign = socket.socket(socket.AF_UNIX)
    try:
        sign.bind(f"\0capc-test-port-{port}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        sign.close()
        return False
    _taken.append(sign)
    return True
