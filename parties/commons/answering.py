"""The answering side: a desk at which other parties ask, each at a connection and in a thread of its own.

A stranger is not let in, and a party that asks what its role may not ask is refused. Whoever sends what is no question
is dropped, and may come again. None of this ends the answering party. It ends where its own disk fails.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from mpc.channels.doors import Listener
from mpc.channels.tls import TlsChannel
from mpc.commons.encoding import decode, encode
from mpc.errors import MpcError, PeerError, ProtocolError
from parties.commons.asking import DONE, MOST_HEAD, MOST_SENTENCE, REFUSED, Answer, Ask
from parties.frame.connections import Connections
from parties.frame.errors import AbsentError

_POLL_S = 0.5  # between two looks whether the desk is closed
_GRACE_S = 2.0
_MOST_EACH = 4  # connections of one party


@dataclass(frozen=True)
class Question:
    """What may be asked.

    Attributes:
        by: the roles that may ask it.
        most: bytes of its body.
        answer: gets the name of the party that asks and the question's body. It raises `MpcError` to refuse.
    """

    by: Collection[str]
    answer: Callable[[str, bytes], bytes]
    most: int = 1 << 10


class Desk:
    """Answers all parties that may come, until it is closed.

    Args:
        roles: the parties that may come, with the role of each.
        questions: by `what`.
        idle_s: how long a party may keep silent between two questions.
        answer_s: how long it may take to receive one answer.
        note: gets a sentence when a party leaves, or is dropped for what it sent.
    """

    def __init__(
        self,
        connections: Connections,
        listener: Listener,
        roles: Mapping[str, str],
        questions: Mapping[str, Question],
        idle_s: float,
        answer_s: float,
        note: Callable[[str], None],
    ) -> None:
        self.failure: BaseException | None = None
        self._connections, self._listener, self._note = connections, listener, note
        self._roles, self._questions, self._idle_s, self._answer_s = dict(roles), questions, idle_s, answer_s
        self._closed = threading.Event()
        self._lock = threading.Lock()  # for what follows
        self._threads: dict[threading.Thread, TlsChannel] = {}
        self._before: dict[str, tuple[int, int]] = {}  # bytes over connections that have ended
        self._door = threading.Thread(target=self._let_in, name="door", daemon=True)
        self._door.start()

    def check(self) -> None:
        """Raise what has ended a thread of the desk and must end the party."""
        if self.failure is not None:
            raise self.failure

    def moved(self, peer: str) -> tuple[int, int]:
        """Return the bytes that were sent to a party and received from it so far."""
        with self._lock:
            sent, received = self._before.get(peer, (0, 0))
            for channel in self._threads.values():
                if channel.peer == peer:
                    sent, received = sent + channel.traffic[""].sent, received + channel.traffic[""].received
            return sent, received

    def break_off(self) -> None:
        """Break all connections. Whoever may come connects again."""
        with self._lock:
            channels = list(self._threads.values())
        for channel in channels:
            channel.interrupt()

    def close(self) -> None:
        """Stop answering. It may be called again."""
        self._closed.set()
        self._door.join(_GRACE_S)
        with self._lock:
            threads = dict(self._threads)
        for channel in threads.values():
            channel.interrupt()
        for thread in threads:
            thread.join(_GRACE_S)
        self._connections.leave_open_for([self._door, *threads])  # one may still make an answer

    def _let_in(self) -> None:
        while not self._closed.is_set():
            try:
                channel = self._connections.accept(self._listener, self._roles, _POLL_S)
            except AbsentError:
                continue
            except PeerError as error:
                self._note(f"a party was not let in: {error}")
                continue
            except BaseException as error:  # noqa: BLE001  it ends the party, in the main thread
                self.failure = self.failure or error
                return
            thread = threading.Thread(target=self._serve, args=(channel,), name=f"desk: {channel.peer}", daemon=True)
            with self._lock:
                same = [one for one in self._threads.values() if one.peer == channel.peer]
                self._threads[thread] = channel
            for one in same[: max(0, len(same) + 1 - _MOST_EACH)]:  # the oldest, whose other end may be gone
                one.interrupt()
            thread.start()

    def _serve(self, channel: TlsChannel) -> None:
        try:
            role = self._roles[channel.peer]
            most = max((one.most for one in self._questions.values() if role in one.by), default=0)
            while not self._closed.is_set():
                channel.deadline_s = self._idle_s
                with channel.naming_peer():
                    asked = decode(Ask, bytes(channel.recv("ask", limit=most + MOST_HEAD)))
                channel.deadline_s = self._answer_s
                channel.send("answer", self._answer(channel.peer, asked))
        except PeerError as error:
            if isinstance(error, ProtocolError) and not self._closed.is_set():
                self._note(f"dropped {channel.peer}: {error}")
        except BaseException as error:  # noqa: BLE001  it ends the party, in the main thread
            self.failure = self.failure or error
        finally:
            with self._lock:
                self._threads.pop(threading.current_thread(), None)
                sent, received = self._before.get(channel.peer, (0, 0))
                traffic = channel.traffic[""]
                self._before[channel.peer] = sent + traffic.sent, received + traffic.received
            if not self._closed.is_set():
                with suppress(ValueError):  # all connections are being closed
                    self._connections.hang_up([channel])

    def _answer(self, peer: str, asked: Ask) -> bytes:
        """Return the encoded answer. One that is too large to be sent is refused, as all that cannot be answered."""
        question = self._questions.get(asked.what)
        try:
            if question is None or self._roles[peer] not in question.by:
                raise ProtocolError(f"expected what a {self._roles[peer]} may ask, found '{asked.what}'")
            if len(asked.body) > question.most:
                found = f"{len(asked.body)} bytes"
                raise ProtocolError(f"expected at most {question.most} bytes with '{asked.what}', found {found}")
            return encode(Answer(DONE, question.answer(peer, asked.body)))
        except MpcError as error:
            return encode(Answer(REFUSED, str(error).encode()[:MOST_SENTENCE]))
