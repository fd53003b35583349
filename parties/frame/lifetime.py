"""How long a party lives.

A party ends when its work is done. It ends early when its supervisor is gone, when its deadline has passed, or when a
signal tells it to. An early end arrives in the main thread as the exception `Ended`, so that connections are closed and
a status is written as for any other failure. Python drops an exception that is raised while it finalises an object. The
main thread may also be held up elsewhere. A party that does not exit within a few seconds of an early end is killed.

A service has no end of its own. It does its work within `serving()`, and being told to end is its good end.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

__all__ = ["Ended", "ToldToEnd", "ignore_signals", "lifetime", "process_started", "serving"]

_POLL_S = 0.5
_GRACE_S = 10.0
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Ended(BaseException):
    """The party must end now. Not an `Exception`, so that no step takes it for an error of its own."""


class ToldToEnd(Ended):
    """A signal told the party to end.

    Attributes:
        heeded: a service has stopped its work, and takes the time that it needs to leave what it must.
    """

    heeded: bool = False


def ignore_signals() -> None:
    """Ignore the signals that end a party, because it is ending and its last words must not be interrupted."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def process_started(pid: int) -> str | None:
    """Return a mark of when process `pid` started, or None when there is no such process.

    On Linux this is the kernel's start time in ticks since boot. Elsewhere it says only whether the process exists.
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
        pass  # it exists and belongs to another user
    return "there"


@contextmanager
def lifetime(supervisor_pid: int | None, supervisor_started: str | None, deadline_s: float) -> Iterator[None]:
    """Within this, SIGTERM, SIGHUP, SIGINT, the supervisor's end and the deadline raise `Ended` in the main thread."""
    reason = ""
    told: ToldToEnd | None = None
    over = threading.Event()

    def end(number: int, _: FrameType | None) -> None:
        nonlocal told
        ignore_signals()  # once is enough
        if reason:
            raise Ended(reason)
        told = ToldToEnd(f"told to end by {signal.Signals(number).name}")
        raise told

    def watch() -> None:
        nonlocal reason
        expires, ending_since = time.monotonic() + deadline_s, math.inf
        while not over.wait(_POLL_S):
            now = time.monotonic()
            if not reason:
                if supervisor_pid is not None and process_started(supervisor_pid) != supervisor_started:
                    reason = "the process that started this party is gone"
                elif now > expires:
                    reason = f"the run lasted longer than its deadline of {deadline_s:g} s"
                if reason:
                    os.kill(os.getpid(), signal.SIGTERM)
            if not reason and (told is None or told.heeded):
                ending_since = math.inf
            elif ending_since == math.inf:
                ending_since = now
            elif now - ending_since > _GRACE_S:
                with contextlib.suppress(OSError):
                    os.write(2, f"{reason or told}, and it had not ended {_GRACE_S:g} s later\n".encode())
                os._exit(1)

    before = {number: signal.signal(number, end) for number in _ENDING}
    threading.Thread(target=watch, name="lifetime", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def serving() -> Iterator[None]:
    """Within this, being told to end ends the block and nothing else.

    A service works in this block, usually in an endless loop. After the block it writes what it must leave and returns,
    and its status says that it finished. The signal may interrupt any line of the block, so a piece of work that must
    be whole belongs in a journal, or after the block. The supervisor's end and the deadline are failures here, too.
    """
    try:
        yield
    except ToldToEnd as told:
        told.heeded = True
