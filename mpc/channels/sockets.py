"""A channel over one connected socket, without encryption.

:mod:`mpc.channels.tls` adds TLS, and parties only use it so.
"""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import struct
import sys
import termios
import time
from collections.abc import Sequence
from typing import TypeVar

from OpenSSL import SSL

from mpc.channels.credentials import reason_of, refusal_in
from mpc.channels.frames import LARGEST_BODY, SMALL_BODY, Buffer, Channel, Exchange
from mpc.errors import DeadlineError, ProtocolError, RefusedError, TransportError

_READ_AHEAD_BYTES = 1 << 14  # what may be taken from a connection beyond what is asked for, as much as a TLS record has
_CHUNK_BYTES = 1 << 16  # that are read at once of what a peer that has left has sent
_PARTS_AT_ONCE = 512  # for one call to the operating system, which takes 1024 at most
_ALIVE = (  # A machine that is gone says nothing. One that is there answers, however long its party computes.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),  # seconds of silence before it is asked
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),  # seconds between two questions
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),  # questions without an answer that break the connection
)
_FRAME_BYTES = 2048  # of a sending buffer, for what goes around a body: header, label, and TLS's own
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
        for level, option, value in _ALIVE:
            connection.setsockopt(level, option, value)
        self.small_body = _held_at_once(connection)
        self._timeout_s = 0.0
        self._ahead = memoryview(bytearray(_READ_AHEAD_BYTES))
        self._unread = self._ahead[:0]
        self._departures = select.poll()
        self._departures.register(connection, select.POLLRDHUP)

    def _write(self, parts: list[Buffer]) -> None:
        self._hear_why_the_peer_left()
        try:
            self._set_timeout()
            self._send_all(parts)
        except (OSError, SSL.Error) as error:
            self._broken_off = True
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

    def _take_whole(
        self, label: str, size: int | None, limit: int, target: memoryview | None, expires: float
    ) -> memoryview | None:
        if not len(self._unread):
            self._unread = self._ahead[: self._receive(self._ahead, expires)]
        found = self._whole_frame(self._unread, label, size, limit, target)
        if found is None:
            return None
        body, self._unread = found
        return body

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

    def begin_exchange(self, label: str, parts: Sequence[Buffer] | None, target: memoryview | None) -> Exchange:
        return _SocketExchange(self, label, parts, target)

    def hold_back(self, held: bool) -> None:
        """Keep what is sent until a segment is full, or no longer."""
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, held)

    def send_now(self, data: memoryview) -> int:
        """Send what the connection takes without waiting, and return its length. It may be nothing."""
        return self._connection.send(data)

    def receive_now(self, target: memoryview) -> int:
        """Receive what has come, at most as much as ``target`` takes, and return its length. Zero is the end.

        Raises:
            BlockingIOError: nothing has come.
        """
        return self._connection.recv_into(target)

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

    def departure(self, step: str) -> TransportError:
        """Return the error for a peer that has :attr:`left`. It names the party that the peer says it has lost."""
        try:
            with self.in_step(step):
                self.recv("")
        except TransportError as error:
            return error
        except ProtocolError:  # it was about to say something else
            pass
        return TransportError("the peer closed the connection", peer=self.peer, step=step)

    def _hear_why_the_peer_left(self) -> None:
        """Raise TransportError in the name of the party that a peer which has left said it has lost, if it did.

        To be called before sending. A connection that could not send is of no more use to read from. What the peer said
        besides stays to be received.
        """
        if self._connection.fileno() < 0 or not self._departures.poll(0):  # closed here, as the next call reports
            return
        chunk, expires = memoryview(bytearray(_CHUNK_BYTES)), time.monotonic() + self.deadline_s
        with contextlib.suppress(OSError, SSL.Error):  # a machine that is gone says no more
            while self._decrypted() or _waiting_bytes(self._connection):  # not to the end, after which nobody may send
                count = self._receive_some(chunk, expires, 0)
                self._unread = memoryview(bytearray(self._unread) + chunk[:count])
        self._look_for_loss(self._unread)

    def await_message(self, beside: Sequence[SocketChannel]) -> None:
        """Wait until there is something to receive, while the peers of the channels `beside` stay.

        Raises:
            DeadlineError: nothing came in time.
            TransportError: one of those peers has left, and is named.
        """
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        for other in beside:
            poll.register(other._connection, select.POLLRDHUP)
        if len(self._unread) or self._decrypted():
            return
        ready = dict(poll.poll(self.deadline_s * 1e3))
        if not ready:
            raise DeadlineError(f"no message within {self.deadline_s:g} s", peer=self.peer, step=self.step)
        if self._connection.fileno() in ready:
            return
        raise next(other for other in beside if other._connection.fileno() in ready).departure(self.step)

    def _decrypted(self) -> bool:
        """Whether there is something to receive that is no longer at the operating system's."""
        return False

    def interrupt(self) -> None:
        """Make the call fail that a thread is waiting in. Any thread may do so, and :meth:`close` is still due."""
        with contextlib.suppress(OSError):  # already gone
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.interrupt()
        self._connection.close()


AnySocketChannel = TypeVar("AnySocketChannel", bound=SocketChannel)


def _held_at_once(connection: socket.socket) -> int:
    """Return how long a body may be that surely leaves at once, although the peer receives nothing.

    Both sides may send first. So the whole frame has to fit the sending buffer, for nobody here knows how much the
    peer's receiving one takes. The operating system counts a segment with its own record of it, which may double it.
    """
    size = connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    return min(SMALL_BODY, max(0, size // 2 - _FRAME_BYTES))


def _waiting_bytes(connection: socket.socket) -> int:
    """Return how many bytes have come on a connection that nobody has read."""
    count = bytearray(4)
    fcntl.ioctl(connection, termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder)


class _SocketExchange(Exchange):
    """Both frames on a socket that does not block meanwhile."""

    channel: SocketChannel

    def __init__(
        self, channel: SocketChannel, label: str, parts: Sequence[Buffer] | None, target: memoryview | None
    ) -> None:
        super().__init__(channel)
        channel._busy.acquire()
        pieces = [] if parts is None else channel._outgoing(label, *parts)
        self._unsent = [memoryview(piece).cast("B") for piece in pieces if len(piece)]
        self._parts = iter(()) if target is None else channel._incoming(label, len(target), LARGEST_BODY, target)
        self._wanted = next(self._parts, None)
        try:
            channel._connection.setblocking(False)
            channel.hold_back(True)
        except OSError as error:
            channel._busy.release()
            raise channel._broken(error, "") from error

    def move(self) -> bool:
        channel = self.channel
        late = f"no progress within {channel.deadline_s:g} s"
        try:
            self._receive()  # first, because a connection that could not send is of no more use to read from
            if self._unsent and self._wanted is None:
                channel._hear_why_the_peer_left()
            self._send()
        except (OSError, SSL.Error) as error:
            raise channel._broken(error, late) from error
        return not self._unsent and self._wanted is None

    def _send(self) -> None:
        """Send until the connection takes no more."""
        while self._unsent:
            try:
                count = self.channel.send_now(self._unsent[0])
            except BlockingIOError:
                return
            self._unsent[0] = self._unsent[0][count:]
            if not self._unsent[0]:
                self._unsent.pop(0)
            if not self._unsent:
                self.channel.hold_back(False)

    def _receive(self) -> None:
        """Receive until nothing more has come. Small parts come by way of what was read ahead."""
        channel = self.channel
        while self._wanted is not None:
            wanted = self._wanted[channel._move_unread(self._wanted) :]
            if not wanted:
                self._wanted = next(self._parts, None)
                continue
            self._wanted = wanted
            direct = len(wanted) >= _READ_AHEAD_BYTES
            try:
                count = channel.receive_now(wanted if direct else channel._ahead)
            except BlockingIOError:
                return
            if count == 0:
                raise TransportError("the peer closed the connection", peer=channel.peer, step=channel.step)
            if direct:
                self._wanted = wanted[count:]
            else:
                channel._unread = channel._ahead[:count]

    @property
    def sent(self) -> bool:
        return not self._unsent

    def awaited(self) -> tuple[int, int]:
        events = select.POLLOUT if self._unsent else 0
        return self.channel._connection.fileno(), events | (select.POLLIN if self._wanted is not None else 0)

    def end(self) -> None:
        with contextlib.suppress(OSError):  # the connection is gone, as the next call reports
            self.channel.hold_back(False)
            self.channel._connection.setblocking(True)
        self.channel._broken_off |= not self.sent
        self.channel._busy.release()


def wait_for_any(channels: Sequence[AnySocketChannel], within_s: float) -> AnySocketChannel | None:
    """Return a channel whose next message has begun to come, or whose peer has left. None where there is none in time.

    All messages before must have been received as a whole.
    """
    if early := next((channel for channel in channels if len(channel._unread)), None):
        return early
    poll = select.poll()
    for channel in channels:
        poll.register(channel._connection, select.POLLIN)
    ready = {file for file, _ in poll.poll(max(0.0, within_s) * 1e3)}
    return next((channel for channel in channels if channel._connection.fileno() in ready), None)


def check_not_later_than(expires: float) -> None:
    """Raise TimeoutError after the monotonic instant ``expires``."""
    if time.monotonic() >= expires:
        raise TimeoutError
