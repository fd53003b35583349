"""How long a party lives: until its work is done, its supervisor is gone, its deadline has passed or it is told to end.

All but the first arrive in the main thread as the exception `Ended`, so that connections are closed and the status
is written as for any other failure. A party that does not end within a few seconds of that is ended hard.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_POLL_S = 0.5
_GRACE_S = 10.0


class Ended(BaseException):
    """The party was told to end; not an `Exception`, so that no step takes it for one of its own."""


def process_started(pid: int) -> str | None:
    """A mark of when process `pid` started, None when it is not there.

    On Linux the kernel's start time in ticks since boot; elsewhere only whether it is there.
    """
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = status.read_text().rpartition(")")[2].split()  # the name, in brackets, may hold spaces
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else fields[19]  # a zombie supervises nothing
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it is there and somebody else's
    return "there"


@contextmanager
def lifetime(supervisor_pid: int | None, supervisor_started: str | None, deadline_s: float) -> Iterator[None]:
    """Within this, SIGTERM, SIGHUP, SIGINT, the supervisor's end and the deadline raise `Ended` in the main thread."""
    reason = ""
    over = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)  # once is enough: the way out must not be interrupted
        raise Ended(reason or "told to end")

    def watch() -> None:
        nonlocal reason
        expires = time.monotonic() + deadline_s
        while not over.wait(_POLL_S):
            if supervisor_pid is not None and process_started(supervisor_pid) != supervisor_started:
                reason = "the process that started this party is gone"
            elif time.monotonic() > expires:
                reason = f"the run lasted longer than its deadline of {deadline_s:g} s"
            if reason:
                os.kill(os.getpid(), signal.SIGTERM)
                if not over.wait(_GRACE_S):
                    os._exit(1)
                return

    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.signal(number, end) for number in numbers}
    threading.Thread(target=watch, name="lifetime", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)
