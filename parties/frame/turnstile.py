"""Locks by which the processes of one service take their turns.

A service has one listening socket and a process for each session. Two locks order the processes:

- `door`: whoever holds it accepts connections. It is given back when all parties of the session have come, so that the
  next process can greet those who come for the next session.
- `session`: whoever holds it serves its session. It is given back by the end of the process.

The kernel gives both back when a process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from parties.frame.errors import PartyError

POLL_S = 0.1  # between two tries to take a lock


class Lock:
    """A lock on a file, which is made with mode 0600 when absent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(
        self,
        meanwhile: Callable[[], None] = lambda: None,
        every_s: float = 10.0,
        pause: Callable[[], None] = lambda: time.sleep(POLL_S),
    ) -> None:
        """Wait for the lock, without a deadline, and call `meanwhile` at once and again every so often in the wait.

        `pause` is what fills the time between two tries, which is to take about ``POLL_S``.
        """
        told = -float("inf")
        while not self.try_to_take():
            if time.monotonic() - told >= every_s:
                meanwhile()
                told = time.monotonic()
            pause()

    def try_to_take(self) -> bool:
        """Take the lock if it is free, and return whether it is held now. Raises `PartyError`."""
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PartyError(f"cannot open {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError as error:
            os.close(descriptor)
            raise PartyError(f"cannot lock {self._path}: {error.strerror}") from error
        self._descriptor = descriptor
        return True

    def give_back(self) -> None:
        """Let the next one take the lock. It may be called again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
