"""Signals that ask the orchestrator to end become an exception, once.

The exception may arrive while code of others runs that does not let it pass. Python drops what is raised while it
finalises an object. A library that calls back into Python may make an error of its own of it, as pydantic does. So the
signal is remembered: an error that was made of it is `Interrupted` again, and a dropped one is raised once more.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from orchestrator.errors import Interrupted
from parties.frame.lifetime import raised_again

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """The signal that asked this process to end, if there was one."""

    def __init__(self) -> None:
        self.number: int | None = None

    def check(self) -> None:
        """Raise `Interrupted` where a signal came and its exception did not end what went on."""
        if self.number is not None:
            ignore_signals()
            raise Interrupted(self.number)

    @contextmanager
    def stays(self) -> Iterator[None]:
        """Within this, an error that comes after the signal is `Interrupted`, unless a file is the matter."""
        try:
            yield
        except OSError:
            raise
        except Exception:
            self.check()
            raise


@contextmanager
def signals_raise() -> Iterator[Interruption]:
    """SIGINT, SIGTERM and SIGHUP (but for `nohup`) raise `Interrupted` in here, so that the teardown runs."""
    interruption = Interruption()

    def interrupt(number: int, frame: FrameType | None) -> None:
        ignore_signals()
        interruption.number = number
        raise Interrupted(number)

    def again(dropped: Interrupted) -> int:
        signal.signal(dropped.number, interrupt)
        return dropped.number

    heeded = [number for number in ENDING if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        with interruption.stays(), raised_again(Interrupted, again):
            yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Ignore them from here to the end of `signals_raise`, because the rest must not be interrupted."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
