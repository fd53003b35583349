"""One process's side of a measurement: it takes orders from the benchmark and says when it began and ended.

    benchmark                                            every process of a project or of a peer
    "prepare" with the work            ------------->    makes inputs and shares them, which does not count
                                       <-------------    "ready", or "refused" with a sentence
    "go"                               ------------->    does the work
                                       <-------------    when it began and ended, by the machine's one clock
    "check", where it is asked for     ------------->    opens the result
                                       <-------------    its errors, at whoever learns the result
    "end"                              ------------->

The orders are lines of JSON over a Unix socket. So they cross network namespaces, and none of their bytes is on a
network device. This file runs in the peers' environments as well, with nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

Order = dict[str, Any]
Prepared = tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]
"""What does the work and returns its result, and what opens a result and says its errors."""

DEADLINE_S = 1800.0  # longest wait for an order; the benchmark may be busy with others meanwhile


class RefusedError(Exception):
    """The work cannot be done here. The sentence says why. All processes of a group find the same at the same place."""


class Orders:
    """The connection of one process to the benchmark.

    Args:
        path: of the benchmark's socket.
        name: of this process.
        works: whether it takes orders. A helper only says its process id.
    """

    def __init__(self, path: str, name: str, works: bool = True) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(DEADLINE_S)
        self._socket.connect(path)
        self._lines = self._socket.makefile("r")
        self.say(name=name, pid=os.getpid(), works=works)
        if not works:
            threading.Thread(target=self._end_with_benchmark, daemon=True).start()

    def _end_with_benchmark(self) -> None:
        """End a helper, which may wait for its peers for ever, when the benchmark says so or is gone."""
        self.next()
        os._exit(0)

    def say(self, **facts: Any) -> None:
        self._socket.sendall(json.dumps(facts).encode() + b"\n")

    def next(self) -> Order:
        """Return the next order. It is "end" as well when the benchmark is gone."""
        line = self._lines.readline()
        return dict(json.loads(line)) if line else {"do": "end"}

    def take_all(self, prepare: Callable[[Order], Prepared], cost: Callable[[], dict[str, int]] = dict) -> None:
        """Take orders until the last one.

        Args:
            prepare: makes the inputs of a work.
            cost: counts what this process has spent so far.
        """
        work: Prepared | None = None
        result: Any = None
        while (order := self.next())["do"] != "end":
            if order["do"] == "prepare":
                work = result = None
                try:
                    work = prepare(order)
                except RefusedError as refused:
                    self.say(refused=str(refused))
                    continue
                self.say(ready=True)
            elif order["do"] == "go" and work is not None:
                before, began = cost(), time.monotonic()
                try:
                    result = work[0]()
                except RefusedError as refused:
                    self.say(refused=str(refused))
                    continue
                ended = time.monotonic()
                self.say(began=began, ended=ended, **{key: spent - before[key] for key, spent in cost().items()})
            elif order["do"] == "check" and work is not None:
                self.say(**work[1](result))
            else:
                raise ValueError(f"expected an order that is known, found {order['do']!r}")
