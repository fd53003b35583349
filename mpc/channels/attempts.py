"""An attempt to reach a party, which another thread may give up."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Attempt:
    """An attempt to reach a party, which any thread may give up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the number of a closed socket may belong to another file
        self._plain: socket.socket | None = None
        self._given_up = False

    @property
    def given_up(self) -> bool:
        with self._lock:
            return self._given_up

    def give_up(self) -> None:
        """Make the current or next wait for the party fail."""
        with self._lock:
            self._given_up = True
            self._shut()

    @contextlib.contextmanager
    def holding(self, plain: socket.socket) -> Iterator[None]:
        """Note the connection that is waited on, and let it go before anybody closes it."""
        self._hold(plain)
        try:
            yield
        finally:
            self._hold(None)

    def _hold(self, plain: socket.socket | None) -> None:
        with self._lock:
            self._plain = plain
            if self._given_up:
                self._shut()

    def _shut(self) -> None:
        if self._plain is not None:
            with contextlib.suppress(OSError):  # already gone
                self._plain.shutdown(socket.SHUT_RDWR)
