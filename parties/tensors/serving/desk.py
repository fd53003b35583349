"""The requests at one computing party, from their arrival to their end. Any thread may use it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from mpc.errors import ProtocolError
from mpc.tensors.delivery import Piece
from parties.tensors.serving.messages import Outcome


@dataclass(frozen=True, repr=False)
class Ending:
    """How a request ended, with the answer's body where there is one."""

    outcome: Outcome
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Ending({self.outcome.kind})"


@dataclass(frozen=True, repr=False)
class Request:
    """What a client asked.

    Attributes:
        name: of the request, with the client's in front.
        client: who asked.
        piece: this party's piece of the records and of the mask.
        ending: is set once.
    """

    name: str
    client: str
    piece: Piece
    ending: Future[Ending] = field(default_factory=Future)

    @property
    def records(self) -> int:
        return len(self.piece.records)

    def __repr__(self) -> str:
        return f"Request(client={self.client}, records={self.records})"


class Desk:
    """The requests of one session. A request is taken for a batch once, because its mask serves once."""

    def __init__(self) -> None:
        self._waiting: dict[str, Request] = {}
        self._taken: dict[str, Request] = {}
        self._closed: Ending | None = None
        self._lock = threading.Lock()

    def put(self, request: Request) -> None:
        """Take a request in. It ends at once where the session is over."""
        with self._lock:
            if request.name in self._waiting or request.name in self._taken:
                raise ProtocolError(
                    "expected a fresh name of a request, found one that is here already", peer=request.client
                )
            if self._closed is None:
                self._waiting[request.name] = request
                return
            closed = self._closed
        request.ending.set_result(closed)

    def records_of(self, client: str) -> int:
        """Return how many records of a client wait, and are not charged yet."""
        with self._lock:
            return sum(one.records for one in self._waiting.values() if one.client == client)

    def take(self, names: Sequence[str], most: int, leader: str) -> list[Request]:
        """Return the requests of a batch. They wait no longer.

        Raises:
            ProtocolError: the leader named one that does not wait here, or more records than a lane takes.
        """
        with self._lock:
            if len(set(names)) != len(names) or any(name not in self._waiting for name in names):
                raise ProtocolError(
                    "expected a batch of requests that wait here, found one that does not", peer=leader, step="order"
                )
            found = [self._waiting[name] for name in names]
            if not found or sum(one.records for one in found) > most:
                raise ProtocolError.mismatch(
                    "records of a batch, at most", most, sum(one.records for one in found), peer=leader, step="order"
                )
            for one in found:
                self._taken[one.name] = self._waiting.pop(one.name)
            return found

    def end(self, name: str, ending: Ending) -> None:
        """End a request, if it is here."""
        with self._lock:
            found = self._waiting.pop(name, None) or self._taken.pop(name, None)
        if found is not None:
            found.ending.set_result(ending)

    def close(self, ending: Ending) -> None:
        """End all requests so, and those that still come."""
        with self._lock:
            self._closed = ending
            left = [*self._waiting.values(), *self._taken.values()]
            self._waiting.clear()
            self._taken.clear()
        for one in left:
            one.ending.set_result(ending)
