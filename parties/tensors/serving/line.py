"""The leader's line: which requests have come to all computing parties, and which of them make up the next batch.

A request stands in line once every computing party has it. A batch takes those in front, as many as fit a free lane. It
leaves when it is full, or when the first of them has waited long enough. All parties take the leader's word for the
order. A leader that lies about it can keep clients from their answers, and can do nothing else, because a party
computes each request once, and its answer is open to its client alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from parties.tensors.serving.messages import Order

_REMEMBERED = 1 << 16  # requests that are over; their names are fresh, so that a longer memory finds no more


@dataclass
class _Arrival:
    """A request that has come to some parties.

    Attributes:
        since: the monotonic instant of its first arrival.
    """

    records: int
    since: float
    parties: set[str] = field(default_factory=set)


class Line:
    """Decides on the order of requests. Any thread may use it.

    Args:
        parties: all computing parties.
        lanes: how many records each lane takes.
        most: records that may stand in line.
        max_wait_s: how long the first in line may wait for others that fill its batch.
        patience_s: how long a request may take to come to all parties.
    """

    def __init__(
        self, parties: Sequence[str], lanes: Sequence[int], most: int, max_wait_s: float, patience_s: float
    ) -> None:
        self._parties = frozenset(parties)
        self._lanes = tuple(lanes)
        self._most = most
        self._max_wait_s = max_wait_s
        self._patience_s = patience_s
        self._free = set(range(len(lanes)))
        self._coming: dict[str, _Arrival] = {}
        self._line: dict[str, _Arrival] = {}  # in the order of their coming
        self._past: dict[str, bool] = {}  # the latest requests that stand here no more, and whether a batch took them
        self._refusals: deque[Order] = deque()
        self._woken = False
        self._changed = threading.Condition()

    def arrived(self, party: str, request: str, records: int) -> None:
        """Take note that a request has come to a party."""
        with self._changed:
            if request in self._past or request in self._line:  # it came late, or its client asks it twice
                self._refuse(request, "refused", "expected a request that waits for an answer, found one that ended")
                return
            one = self._coming.setdefault(request, _Arrival(records, time.monotonic()))
            if one.records != records:
                self._refuse(request, "refused", "expected the same number of records at all computing parties")
                return
            one.parties.add(party)
            if one.parties == self._parties:
                waiting = sum(other.records for other in self._line.values())
                del self._coming[request]
                if waiting + records > self._most:
                    self._refuse(request, "busy", f"{waiting} records are waiting, and at most {self._most} may")
                else:
                    one.since = time.monotonic()
                    self._line[request] = one
            self._changed.notify_all()

    def give_up(self, request: str, why: str) -> None:
        """End a request at all parties, if it is in no batch yet."""
        with self._changed:
            if not self._past.get(request, False):  # a party that it came to late has not heard that it ended
                self._refuse(request, "refused", why)

    def _refuse(self, request: str, kind: Literal["busy", "refused"], why: str) -> None:
        self._coming.pop(request, None)
        self._line.pop(request, None)
        self._remember(request, taken=self._past.get(request, False))
        self._refusals.append(Order(requests=(request,), kind=kind, why=why))
        self._changed.notify_all()

    def _remember(self, request: str, *, taken: bool) -> None:
        self._past[request] = taken
        if len(self._past) > _REMEMBERED:
            del self._past[next(iter(self._past))]

    def lane_is_free(self, lane: int) -> None:
        """Take note that a lane is done with its batch."""
        with self._changed:
            self._free.add(lane)
            self._changed.notify_all()

    def wake(self) -> None:
        """Let the thread that waits for an order look up."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def next(self, within_s: float) -> Order | None:
        """Return what all parties are to do next, or None where nothing is due in that time or :meth:`wake` came."""
        expires = time.monotonic() + within_s
        with self._changed:
            while True:
                now = time.monotonic()
                self._give_up_late(now)
                if self._refusals:
                    return self._refusals.popleft()
                order, due = self._batch(now)
                if order is not None:
                    return order
                if self._woken or now >= expires:
                    self._woken = False
                    return None
                self._changed.wait(max(0.0, min(expires, due) - now))

    def _give_up_late(self, now: float) -> None:
        late = [name for name, one in self._coming.items() if now - one.since > self._patience_s]
        for name in late:
            missing = ", ".join(sorted(self._parties - self._coming[name].parties))
            self._refuse(name, "refused", f"expected the request at all computing parties, found none at {missing}")

    def _batch(self, now: float) -> tuple[Order | None, float]:
        """Return the next batch, or None and the instant at which there may be one."""
        never = now + self._patience_s
        if not self._line or not self._free:
            return None, never
        waiting = sum(one.records for one in self._line.values())
        due = next(iter(self._line.values())).since + self._max_wait_s
        if waiting < max(self._lanes) and now < due:
            return None, due
        room = max(self._lanes[lane] for lane in self._free)
        taken, total = [], 0
        for name, one in self._line.items():
            if total + one.records > room:
                break
            taken.append(name)
            total += one.records
        if not taken:  # the first needs a larger lane, which is not free now
            return None, never
        lane = min((lane for lane in self._free if self._lanes[lane] >= total), key=lambda lane: self._lanes[lane])
        self._free.discard(lane)
        for name in taken:
            del self._line[name]
            self._remember(name, taken=True)
        return Order(lane=lane, requests=tuple(taken)), now
