"""How long a party lives.

A party ends when its work is done. It ends early when its supervisor is gone, when its deadline has passed, or when a
signal tells it to. An early end arrives in the main thread as the exception `Ended`, so that connections are closed and
a status is written as for any other failure.

The exception may arrive while code of others runs that does not let it pass. Python drops what is raised while it
finalises an object; then it is raised once more. A library that calls back into Python may make an error of its own of
it; then :func:`heard` finds what it was. The main thread may also be held up. A party that does not exit within a few
seconds of an early end is killed.

A service has no end of its own. It does its work within `serving()`, and being told to end is its good end.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

from mpc.errors import MpcError, TransportError
from parties.frame.errors import PartyError

__all__ = ["Ended", "ToldToEnd", "heard", "ignore_signals", "lifetime", "process_started", "raised_again", "serving"]

_POLL_S = 0.5
_GRACE_S = 10.0
_AGAIN_S = 0.05  # after an exception was dropped
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


Dropped = TypeVar("Dropped", bound=BaseException)


class Ended(BaseException):
    """The party must end now. Not an `Exception`, so that no step takes it for an error of its own."""


class ToldToEnd(Ended):
    """A signal told the party to end."""


class _Life:
    """What the main thread is to hear.

    Attributes:
        ended: it must end. None again where a service has stopped its work, and takes the time that it needs.
    """

    ended: Ended | None = None


_life = _Life()  # signals are the process's own, too


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


def heard(error: BaseException) -> BaseException:
    """Return the `Ended` that an error is, was made of or came after, or the error itself where there is none.

    What the party says for itself stays: a file that cannot be written, a refusal, a peer that cheats. A peer that is
    lost is none of them, because all may be told to end at once.

    The exception has then let go of all that it passed. It may have arrived as a lock was taken that only the end of
    its frame gives back, and the party still has to write its last words.
    """
    lost = isinstance(error, (TransportError, ConnectionError))
    own = isinstance(error, (OSError, PartyError, MpcError)) and not lost
    ended = error if isinstance(error, Ended) else _life.ended if isinstance(error, Exception) and not own else None
    if ended is None:
        return error
    ignore_signals()
    passed: list[BaseException | None] = [error, ended]
    while passed:
        one = passed.pop()
        if one is not None and one.__traceback__ is not None:
            one.__traceback__ = None
            passed += [one.__context__, one.__cause__]
    return ended


@contextmanager
def raised_again(kind: type[Dropped], again: Callable[[Dropped], int]) -> Iterator[None]:
    """Within this, a signal's exception of this kind that Python drops, as it finalises an object, comes once more.

    `again` sets its handler and returns the signal.
    """
    timers: list[threading.Timer] = []

    def see_dropped(dropped: sys.UnraisableHookArgs) -> None:
        if not isinstance(dropped.exc_value, kind):
            hook(dropped)
            return
        timers.append(threading.Timer(_AGAIN_S, os.kill, (os.getpid(), again(dropped.exc_value))))
        timers[-1].start()

    hook, sys.unraisablehook = sys.unraisablehook, see_dropped
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for timer in timers:
            timer.cancel()
            timer.join()


@contextmanager
def lifetime(supervisor_pid: int | None, supervisor_started: str | None, deadline_s: float) -> Iterator[None]:
    """Within this, SIGTERM, SIGHUP, SIGINT, the supervisor's end and the deadline raise `Ended` in the main thread."""
    reason = ""
    came = signal.SIGTERM
    over = threading.Event()

    def end(number: int, _: FrameType | None) -> None:
        nonlocal came
        ignore_signals()  # once is enough
        came = signal.Signals(number)
        _life.ended = Ended(reason) if reason else ToldToEnd(f"told to end by {came.name}")
        raise _life.ended

    def again(_: Ended) -> int:
        signal.signal(came, end)
        return came

    def watch() -> None:
        nonlocal reason
        expires, ending_since = time.monotonic() + deadline_s, math.inf
        while not over.wait(_POLL_S):
            now, ended = time.monotonic(), _life.ended
            if not reason:
                if supervisor_pid is not None and process_started(supervisor_pid) != supervisor_started:
                    reason = "the process that started this party is gone"
                elif now > expires:
                    reason = f"the run lasted longer than its deadline of {deadline_s:g} s"
                if reason:
                    os.kill(os.getpid(), signal.SIGTERM)
            if not reason and ended is None:
                ending_since = math.inf
            elif ending_since == math.inf:
                ending_since = now
            elif now - ending_since > _GRACE_S:
                with contextlib.suppress(OSError):
                    os.write(2, f"{reason or ended}, and it had not ended {_GRACE_S:g} s later\n".encode())
                os._exit(1)

    before = {number: signal.signal(number, end) for number in _ENDING}
    threading.Thread(target=watch, name="lifetime", daemon=True).start()
    try:
        with raised_again(Ended, again):
            yield
    except Exception as error:
        if (ended := heard(error)) is error:
            raise
        raise ended from None
    finally:
        over.set()
        _life.ended = None
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
    except BaseException as error:
        if not isinstance(heard(error), ToldToEnd):
            raise
        _life.ended = None
