"""Two connected channels within one process, and a way to run both sides of a step at the same time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from mpc.channels.frames import LARGEST_BODY, Buffer, Channel, Exchange
from mpc.errors import DeadlineError, OrderError, TransportError

Left = TypeVar("Left")
Right = TypeVar("Right")


class MemoryChannel(Channel):
    """One end of a pair within a process.

    Attributes:
        transcript: every frame that passed, as this party saw it, with its direction, its label and its body. It stays
            empty where none is kept.
    """

    def __init__(
        self, peer: str, deadline_s: float, outbox: queue.Queue[bytes], inbox: queue.Queue[bytes], *, kept: bool = True
    ) -> None:
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
        for part in filter(len, parts):  # an empty one is the sign that the conversation is over
            self._outbox.put(bytes(part))

    def _read(self, target: memoryview, expires: float) -> None:
        filled = 0
        while filled < len(target):
            if not self._pending:
                try:
                    data = self._inbox.get(timeout=max(0.0, expires - time.monotonic()))
                except queue.Empty:
                    raise DeadlineError(
                        f"no message within {self.deadline_s:g} s", peer=self.peer, step=self.step
                    ) from None
                if not data:
                    self._inbox.put(b"")
                    raise TransportError("the peer closed the connection", peer=self.peer, step=self.step)
                self._pending = memoryview(data)
            count = min(len(self._pending), len(target) - filled)
            target[filled : filled + count] = self._pending[:count]
            self._pending = self._pending[count:]
            filled += count

    def close(self) -> None:
        self._outbox.put(b"")


class _MemoryExchange(Exchange):
    """Sending never waits here, so one frame may follow the other."""

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

    def awaited(self) -> tuple[int, int]:
        raise OrderError("expected an exchange in memory to be complete after one move, found another wait")

    def end(self) -> None:
        """Do nothing. Every channel in memory is always ready."""


def memory_pair(
    first: str, second: str, deadline_s: float = 60.0, *, kept: bool = True
) -> tuple[MemoryChannel, MemoryChannel]:
    """Return two connected ends, first the one that ``first`` holds, then the one that ``second`` holds.

    ``kept`` is whether each end keeps a transcript.
    """
    forth: queue.Queue[bytes] = queue.Queue()
    back: queue.Queue[bytes] = queue.Queue()
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
