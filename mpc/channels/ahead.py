"""A channel whose messages are taken from the connection before anybody asks for them.

A peer that prepares messages ahead would otherwise wait as soon as the operating system's buffers are full. Here a
thread takes what comes and keeps it in memory, up to a bound. Beyond the bound the peer waits as on any other channel.
"""

from __future__ import annotations

import select
import threading
import time
from collections import deque
from collections.abc import Sequence

import numpy as np
from OpenSSL import SSL

from mpc.channels.frames import Buffer, Channel, Exchange
from mpc.channels.sockets import SocketChannel
from mpc.errors import DeadlineError, OrderError, ParameterError, TransportError

_TAKEN_AT_ONCE = 1 << 18  # bytes
_LOOK_S = 0.5  # between two looks whether the channel was closed


class AheadChannel(Channel):
    """Goes on with the conversation of another channel, which nobody else may use from then on.

    Args:
        inner: the channel. This object closes it.
        most: bytes that may wait in memory.

    Attributes:
        waiting: bytes that wait now.
        most_waiting: the most that ever waited.
    """

    def __init__(self, inner: SocketChannel, most: int) -> None:
        super().__init__(inner.peer, inner.deadline_s)
        if most < 1:
            raise ParameterError(f"expected room for at least one byte, found {most}")
        self.small_body = inner.small_body
        self.waiting = self.most_waiting = 0
        self._inner = inner
        self._most = most
        self._sent_frames, self._received_frames = inner._sent_frames, inner._received_frames
        self._chunks: deque[memoryview] = deque()
        self._failure: TransportError | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._connection = threading.Lock()  # a TLS connection is used by one thread at a time
        self._thread = threading.Thread(target=self._take_ahead, name=f"ahead of {inner.peer}", daemon=True)
        self._thread.start()

    def _write(self, parts: list[Buffer]) -> None:
        with self._connection:
            self._inner.deadline_s = self.deadline_s
            self._inner._write(parts)

    def _read(self, target: memoryview, expires: float) -> None:
        filled = 0
        while filled < len(target):
            with self._changed:
                while not self._chunks:
                    if self._failure is not None:
                        raise type(self._failure)(str(self._failure.args[0]), peer=self.peer, step=self.step)
                    if not self._changed.wait(max(0.0, expires - time.monotonic())):
                        raise DeadlineError(f"no message within {self.deadline_s:g} s", peer=self.peer, step=self.step)
                chunk = self._chunks.popleft()
                count = min(len(chunk), len(target) - filled)
                if count < len(chunk):
                    self._chunks.appendleft(chunk[count:])
                self.waiting -= count
                self._changed.notify_all()
            target[filled : filled + count] = chunk[:count]
            filled += count

    def begin_exchange(self, label: str, parts: Sequence[Buffer] | None, target: memoryview | None) -> Exchange:
        """Refuse, because only one side of this conversation speaks at a time. Raises OrderError."""
        raise OrderError(f"expected one side at a time to speak with {self.peer}, found an exchange of '{label}'")

    def _take_ahead(self) -> None:
        try:
            early = self._inner._unread
            if len(early):  # what came with the last message of the other channel
                self._keep(memoryview(bytes(early)))
            memory = np.empty(_TAKEN_AT_ONCE, dtype=np.uint8).data
            count = 0
            # After a full take, TLS may hold more that the operating system does not know of.
            while self._wait_for_room() and (count == len(memory) or self._wait_for_data()):
                with self._connection:
                    count = self._take_now(memory)
                if count:
                    self._keep(memoryview(bytes(memory[:count])))
        except TransportError as error:
            self._end(error)
        except OSError as error:
            self._end(TransportError(f"the connection broke ({error.strerror})", peer=self.peer))

    def _wait_for_room(self) -> bool:
        """Wait until more may be kept, and return False once the channel was closed."""
        with self._changed:
            while self.waiting >= self._most and not self._closed:
                self._changed.wait(_LOOK_S)
            return not self._closed

    def _wait_for_data(self) -> bool:
        poll = select.poll()
        poll.register(self._inner._connection, select.POLLIN)
        while not self._closed and not poll.poll(_LOOK_S * 1e3):
            pass
        return not self._closed

    def _take_now(self, memory: memoryview) -> int:
        """Return how many bytes have come into memory. It may be none, where a record has not come as a whole."""
        inner, filled = self._inner, 0
        inner._connection.setblocking(False)
        try:
            while filled < len(memory):
                count = inner.receive_now(memory[filled:])
                filled += count
                if count == 0:
                    raise SSL.ZeroReturnError
        except BlockingIOError:
            return filled
        except (OSError, SSL.Error) as error:
            if filled:  # what came before the error counts, and the next call meets the error again
                return filled
            if isinstance(error, SSL.Error) and not any(
                error.args
            ):  # OpenSSL has no more to say of a closed connection
                raise TransportError("the peer closed the connection", peer=self.peer) from error
            raise inner._broken(error, "no progress") from error
        finally:
            inner._connection.setblocking(True)
        return filled

    def _keep(self, chunk: memoryview) -> None:
        with self._changed:
            self._chunks.append(chunk)
            self.waiting += len(chunk)
            self.most_waiting = max(self.most_waiting, self.waiting)
            self._changed.notify_all()

    def _end(self, error: TransportError) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    @property
    def left(self) -> bool:
        """Whether the peer has closed its end."""
        return self._failure is not None or self._inner.left

    def interrupt(self) -> None:
        """Make the call fail that a thread is waiting in. Any thread may do so, and :meth:`close` is still due."""
        self._inner.interrupt()

    def close(self) -> None:
        self._closed = True
        self._inner.interrupt()
        with self._changed:
            self._failure = self._failure or TransportError("the connection was closed here", peer=self.peer)
            self._changed.notify_all()
        self._thread.join()
        self._inner.close()
