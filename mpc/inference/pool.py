"""Pools of correlations at each party, filled in idle time before they are needed, emptied by the queries.

    QP                                         AP
    fill   "prepare n"      ------------->
           prepare(n)       <------------>     prepare(n)            as often as the pool has room
    take   "use n"          ------------->     takes its half
           takes its half                                            prepared on the spot if there is none
    end    "end"            ------------->

Both pools are first in, first out, so that the halves of one correlation meet. A correlation is handed out once and
forgotten. It exists in the memory of the two processes alone. A crash loses it, and nothing can bring it back to be
used a second time. The AP learns how many queries the QP prepares for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

import msgspec

from mpc.channels.frames import Channel
from mpc.errors import ParameterError, ProtocolError
from mpc.inference.models.limits import LARGEST_BATCH

T = TypeVar("T")


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The QP's next order, for ``batch`` queries at a time."""

    kind: Literal["prepare", "use", "end"]
    batch: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.batch <= LARGEST_BATCH or (self.batch == 0) != (self.kind == "end"):
            raise ParameterError(f"expected a batch of 1 to {LARGEST_BATCH} queries, found {self.batch}")


class QueryingPool(Generic[T]):
    """The querying party's pool towards one answering party.

    Args:
        prepare: this side's half for so many queries, such as :meth:`QueryingInference.prepare`.
        size: how many correlations :meth:`fill` keeps ready. With 0 everything is prepared when it is needed.
    """

    def __init__(self, channel: Channel, prepare: Callable[[int], T], size: int) -> None:
        if size < 0:
            raise ParameterError(f"expected a pool of 0 or more correlations, found {size}")
        self._channel = channel
        self._prepare = prepare
        self._size = size
        self._ready: dict[int, deque[T]] = {}

    @property
    def ready(self) -> int:
        """How many correlations wait."""
        return sum(map(len, self._ready.values()))

    def fill(self, batch: int, most: int | None = None) -> None:
        """Prepare correlations for ``batch`` queries each until the pool is full or ``most`` of this size wait."""
        wanted = self._size if most is None else min(self._size, most)
        while self.ready < self._size and len(self._ready.get(batch, ())) < wanted:
            self._order("prepare", batch)

    def take(self, batch: int) -> T:
        """Take the oldest correlation for ``batch`` queries, to be used once. The AP takes its half then."""
        if not self._ready.get(batch):
            self._order("prepare", batch)
        self._channel.send_message("pool/order", Order("use", batch))
        return self._ready[batch].popleft()

    def end(self) -> None:
        """End the session and forget what is left."""
        self._channel.send_message("pool/order", Order("end"))
        self._ready.clear()

    def _order(self, kind: Literal["prepare"], batch: int) -> None:
        self._channel.send_message("pool/order", Order(kind, batch))
        self._ready.setdefault(batch, deque()).append(self._prepare(batch))

    def __repr__(self) -> str:
        return f"QueryingPool(ready={self.ready}, size={self._size})"


class AnsweringPool(Generic[T]):
    """The answering party's pool towards one querying party, which says when to prepare and when to use.

    Args:
        prepare: this side's half, such as :meth:`AnsweringInference.prepare`.
        size: how many correlations may wait. A QP that wants more is refused, so that memory is bounded.
        largest: how many queries one may be for.
    """

    def __init__(self, channel: Channel, prepare: Callable[[int], T], size: int, largest: int = LARGEST_BATCH) -> None:
        self._channel = channel
        self._prepare = prepare
        self._size = size
        self._largest = largest
        self._ready: dict[int, deque[T]] = {}

    @property
    def ready(self) -> int:
        """How many correlations wait."""
        return sum(map(len, self._ready.values()))

    def next(self) -> tuple[int, T] | None:
        """Prepare as told, until a batch is to be served.

        Returns:
            The number of queries and the correlation, or None at the end.

        Raises:
            ProtocolError: more waiting correlations than the pool holds, or the use of one that was not prepared.
        """
        while True:
            order = self._channel.recv_message("pool/order", Order)
            if order.kind == "end":
                self._ready.clear()
                return None
            if order.batch > self._largest:
                self._refuse(f"at most {self._largest} queries at a time", str(order.batch))
            waiting = self._ready.setdefault(order.batch, deque())
            if order.kind == "use":
                if not waiting:
                    self._refuse("a correlation that was prepared", f"none for {order.batch} queries")
                return order.batch, waiting.popleft()
            if self.ready > self._size:
                self._refuse(f"at most {self._size + 1} correlations at a time", "one more")
            waiting.append(self._prepare(order.batch))

    def _refuse(self, expected: str, found: str) -> None:
        raise ProtocolError(f"expected {expected}, found {found}", peer=self._channel.peer, step=self._channel.step)

    def __repr__(self) -> str:
        return f"AnsweringPool(ready={self.ready}, size={self._size})"
