"""A process that does its work once whenever it is told to, so that several programs can take turns.

It writes one line of JSON when it is ready, one after each "go" from its standard input, and one after "end".
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def peak_memory_mb() -> float:
    """Return the largest resident size of this process so far, in 10^6 bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def clocked(work: Callable[[], object]) -> dict[str, float]:
    """Do the work. Return the milliseconds of all its threads, and those on the wall."""
    began, started = time.process_time(), time.perf_counter()
    work()
    return {"ms": 1e3 * (time.process_time() - began), "wall_ms": 1e3 * (time.perf_counter() - started)}


def take_turns(ready: dict[str, Any], work: Callable[[], object], end: Callable[[], dict[str, Any]]) -> None:
    """Say what was needed to be ready, work at every "go", and report in the end with the peak of memory before it."""
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            memory = peak_memory_mb()
            print(json.dumps({"memory_mb": memory, **end()}), flush=True)
            return
        print(json.dumps(clocked(work)), flush=True)
