"""A channel over one connected socket, without encryption.

:mod:`mpc.channels.tls` adds TLS, and parties only use it so.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time

from OpenSSL import SSL

from mpc.channels.credentials import reason_of, refusal_in
from mpc.channels.frames import Buffer, Channel
from mpc.errors import DeadlineError, RefusedError, TransportError

_READ_AHEAD_BYTES = 1 << 12  # what may be taken from a connection beyond what is asked for
_PARTS_AT_ONCE = 512  # for one call to the operating system, which takes 1024 at most
_TIMEVAL = struct.Struct("@ll")  # seconds, microseconds


class SocketChannel(Channel):
    """A channel over one connected socket, which one thread uses.

    The socket blocks. The deadline is the operating system's own limit on each call. So a message that trickles in may
    take up to twice its deadline.
    """

    def __init__(self, peer: str, deadline_s: float, connection: socket.socket) -> None:
        super().__init__(peer, deadline_s)
        self._connection = connection
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timeout_s = 0.0
        self._ahead = memoryview(bytearray(_READ_AHEAD_BYTES))
        self._unread = self._ahead[:0]

    def _write(self, parts: list[Buffer]) -> None:
        try:
            self._set_timeout()
            self._send_all(parts)
        except (OSError, SSL.Error) as error:
            raise self._broken(error, f"the peer took no data for {self.deadline_s:g} s") from error

    def _send_all(self, parts: list[Buffer]) -> None:
        """Send the parts in order, as many as possible in the first call."""
        sent = self._connection.sendmsg(parts[:_PARTS_AT_ONCE])
        for part in parts:
            if sent < len(part):
                self._connection.sendall(memoryview(part)[sent:])
            sent = max(0, sent - len(part))

    def _read(self, target: memoryview, expires: float) -> None:
        filled = self._move_unread(target)
        while filled < len(target):
            if len(target) - filled >= _READ_AHEAD_BYTES:
                # Wait for all of it at once. To wake this thread for every segment costs the sender's processor, too.
                filled += self._receive(target[filled:], expires, socket.MSG_WAITALL)
            else:
                self._unread = self._ahead[: self._receive(self._ahead, expires)]
                filled += self._move_unread(target[filled:])

    def _move_unread(self, target: memoryview) -> int:
        """Fill ``target`` from what was read ahead, and return the number of bytes moved."""
        count = min(len(self._unread), len(target))
        if count:
            target[:count] = self._unread[:count]
            self._unread = self._unread[count:]
        return count

    def _receive(self, target: memoryview, expires: float, flags: int = 0) -> int:
        """Receive what has come, at least one byte, and return its length."""
        try:
            self._set_timeout()
            check_not_later_than(expires)
            count = self._receive_some(target, expires, flags)
        except (OSError, SSL.Error) as error:
            raise self._broken(error, f"no message within {self.deadline_s:g} s") from error
        if count == 0:
            raise TransportError("the peer closed the connection", peer=self.peer, step=self.step)
        return count

    def _receive_some(self, target: memoryview, expires: float, flags: int) -> int:
        """As :meth:`_receive`, but raise the operating system's errors, and return 0 at the end of the conversation."""
        return self._connection.recv_into(target, 0, flags)

    def _set_timeout(self) -> None:
        """Put the deadline on the socket's calls."""
        if self._timeout_s != self.deadline_s:
            limit = _TIMEVAL.pack(int(self.deadline_s), max(1, int(self.deadline_s % 1 * 1e6)))
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self._connection.setsockopt(socket.SOL_SOCKET, option, limit)
            self._timeout_s = self.deadline_s

    def _broken(self, error: OSError | SSL.Error, late: str) -> TransportError:
        """Return this layer's error for one of the socket's calls. ``late`` is the sentence for a timeout."""
        if isinstance(error, TimeoutError | BlockingIOError):
            return DeadlineError(late, peer=self.peer, step=self.step)
        if refusal := refusal_in(error):
            return RefusedError(refusal, peer=self.peer, step=self.step)
        return TransportError(f"the connection broke ({reason_of(error)})", peer=self.peer, step=self.step)

    @property
    def left(self) -> bool:
        """Whether the peer has closed its end, or its machine has reset the connection."""
        poll = select.poll()
        poll.register(self._connection, select.POLLRDHUP)
        return bool(poll.poll(0))

    def interrupt(self) -> None:
        """Make the call fail that a thread is waiting in. Any thread may do so, and :meth:`close` is still due."""
        with contextlib.suppress(OSError):  # already gone
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.interrupt()
        self._connection.close()


def check_not_later_than(expires: float) -> None:
    """Raise TimeoutError after the monotonic instant ``expires``."""
    if time.monotonic() >= expires:
        raise TimeoutError
