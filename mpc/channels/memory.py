"""Two connected channels within one process, and a way to run both sides of a step at the same time."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from mpc.channels.frames import LARGEST_BODY, Buffer, Channel, Exchange
from mpc.errors import DeadlineError, OrderError, TransportError

Left = TypeVar("Left")
Right = TypeVar("Right")


class _Pipe:
    """Pieces of bytes on their way to one reader, within a process.

    Args:
        capacity: bytes that may wait before the writer does. None lets it run ahead without end.
    """

    def __init__(self, capacity: int | None) -> None:
        self._capacity = capacity
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._ended = False
        self._left = False
        self._changed = threading.Condition()

    def put(self, piece: bytes, expires: float) -> None:
        """Add a piece. Raises TimeoutError where the reader takes nothing, and BrokenPipeError where it has left."""
        with self._changed:
            while self._capacity is not None and self._bytes > self._capacity:
                if self._left:
                    raise BrokenPipeError
                self._wait(expires)
            if not self._ended:
                self._pieces.append(piece)
                self._bytes += len(piece)
                self._changed.notify()

    def get(self, expires: float) -> bytes:
        """Return the next piece, or nothing after the last one. Raises TimeoutError."""
        with self._changed:
            while not self._pieces:
                if self._ended:
                    return b""
                self._wait(expires)
            piece = self._pieces.popleft()
            self._bytes -= len(piece)
            self._changed.notify()
            return piece

    def _wait(self, expires: float) -> None:
        if not self._changed.wait(max(0.0, expires - time.monotonic())):
            raise TimeoutError

    def end(self) -> None:
        """Let the reader come to an end, as the writer."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def leave(self) -> None:
        """Let the writer wait no longer, as the reader."""
        with self._changed:
            self._left = True
            self._changed.notify_all()


class MemoryChannel(Channel):
    """One end of a pair within a process.

    Attributes:
        transcript: every frame that passed, as this party saw it, with its direction, its label and its body. It stays
            empty where none is kept.
    """

    def __init__(self, peer: str, deadline_s: float, outbox: _Pipe, inbox: _Pipe, *, kept: bool = True) -> None:
        super().__init__(peer, deadline_s)
        self._kept = kept
        self.transcript: list[tuple[Literal["sent", "received"], str, bytes]] = []
        self._outbox = outbox
        self._inbox = inbox
        self._pending = memoryview(b"")

    def send(self, label: str, *parts: Buffer) -> None:
        super().send(label, *parts)
        if self._kept:
            self.transcript.append(("sent", label, b"".join(parts)))

    def recv(self, label: str, size: int | None = None, *, limit: int = LARGEST_BODY) -> memoryview:
        body = super().recv(label, size, limit=limit)
        if self._kept:
            self.transcript.append(("received", label, bytes(body)))
        return body

    def recv_into(self, label: str, target: memoryview) -> None:
        super().recv_into(label, target)
        if self._kept:
            self.transcript.append(("received", label, bytes(target)))

    def begin_exchange(self, label: str, parts: Sequence[Buffer] | None, target: memoryview | None) -> Exchange:
        return _MemoryExchange(self, label, parts, target)

    def _write(self, parts: list[Buffer]) -> None:
        expires = time.monotonic() + self.deadline_s
        try:
            for part in filter(len, parts):  # an empty one would be the sign that the conversation is over
                self._outbox.put(bytes(part), expires)
        except TimeoutError:
            raise DeadlineError(
                f"the peer took no data for {self.deadline_s:g} s", peer=self.peer, step=self.step
            ) from None
        except BrokenPipeError:
            raise TransportError("the peer closed the connection", peer=self.peer, step=self.step) from None

    def _read(self, target: memoryview, expires: float) -> None:
        filled = 0
        while filled < len(target):
            if not self._pending:
                try:
                    data = self._inbox.get(expires)
                except TimeoutError:
                    raise DeadlineError(
                        f"no message within {self.deadline_s:g} s", peer=self.peer, step=self.step
                    ) from None
                if not data:
                    raise TransportError("the peer closed the connection", peer=self.peer, step=self.step)
                self._pending = memoryview(data)
            count = min(len(self._pending), len(target) - filled)
            target[filled : filled + count] = self._pending[:count]
            self._pending = self._pending[count:]
            filled += count

    def close(self) -> None:
        self._outbox.end()
        self._inbox.leave()


class _MemoryExchange(Exchange):
    """Both frames one after the other. A pair whose writer may have to wait is not for exchanges of what fills it."""

    def __init__(
        self, channel: MemoryChannel, label: str, parts: Sequence[Buffer] | None, target: memoryview | None
    ) -> None:
        super().__init__(channel)
        self._label = label
        self._target = target
        if parts is not None:
            channel.send(label, *parts)

    def move(self) -> bool:
        if self._target is not None:
            self.channel.recv_into(self._label, self._target)
        return True

    @property
    def sent(self) -> bool:
        return True

    def awaited(self) -> tuple[int, int]:
        raise OrderError("expected an exchange in memory to be complete after one move, found another wait")

    def end(self) -> None:
        """Do nothing. Every channel in memory is always ready."""


def memory_pair(
    first: str, second: str, deadline_s: float = 60.0, *, kept: bool = True, capacity: int | None = None
) -> tuple[MemoryChannel, MemoryChannel]:
    """Return two connected ends, first the one that ``first`` holds, then the one that ``second`` holds.

    ``kept`` is whether each end keeps a transcript. ``capacity`` is how many bytes may be on their way before a sender
    waits, or None for any number.
    """
    forth, back = _Pipe(capacity), _Pipe(capacity)
    near = MemoryChannel(second, deadline_s, forth, back, kept=kept)
    return near, MemoryChannel(first, deadline_s, back, forth, kept=kept)


def run_both_sides(left: Callable[[], Left], right: Callable[[], Right]) -> tuple[Left, Right]:
    """Return the results of both sides of a step, which run at the same time. Raises the first error of either."""
    finished: queue.Queue[tuple[int, object, BaseException | None]] = queue.Queue()

    def run(side: int, step: Callable[[], object]) -> None:
        try:
            finished.put((side, step(), None))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            finished.put((side, None, error))

    for side, step in enumerate((left, right)):
        threading.Thread(target=run, args=(side, step), daemon=True).start()
    results: dict[int, object] = {}
    for _ in range(2):
        side, result, error = finished.get()
        if error is not None:
            raise error
        results[side] = result
    return results[0], results[1]  # type: ignore[return-value]  # by side, hence by type
