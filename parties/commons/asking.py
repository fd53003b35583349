"""Questions and answers between parties of whom some may be silent, lie, or be gone.

    asking party                                     answering party
    Line.ask  ->  ask     what, body  ------------>  Desk, one thread a connection
              <-  answer  status, body  <----------  the function for `what`

A line is one connection with a thread of its own. So a silent answering party holds up nothing but its line, and who
asks decides how many answers are enough. A line that broke is made anew at the next question, because an answering
party may start again. A question may then be asked twice. So every question has the same answer when it is asked again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import TypeVar

from mpc.channels.attempts import Attempt
from mpc.channels.tls import TlsChannel
from mpc.commons.encoding import U8, Blob, Name, Record, coded, decode, encode
from mpc.errors import MpcError, OrderError, ProtocolError, TransportError
from parties.frame.connections import Connections
from parties.frame.settings import Peer

MOST_BODY = 1 << 27
MOST_HEAD = 256  # bytes of a message beside its body
MOST_MESSAGE = MOST_BODY + MOST_HEAD
MOST_SENTENCE = 1 << 12
DONE, REFUSED = 0, 1
_GRACE_S = 2.0  # for a thread to notice that its connection is gone
_ROUND_S = 5.0  # after which those who have refused are asked again, whoever else keeps silent
_PAUSE_S = 0.2  # before somebody is asked again

Key = TypeVar("Key")


class RefusedError(ProtocolError):
    """The other side has answered that it refuses."""


class LateError(MpcError):
    """No answer came in time."""


@dataclass(frozen=True)
class Ask(Record):
    """A question. `what` says which."""

    what: str = coded(Name())
    body: bytes = coded(Blob(MOST_BODY))

    def __repr__(self) -> str:
        return f"Ask({self.what}, {len(self.body)} bytes)"


@dataclass(frozen=True)
class Answer(Record):
    """What was asked for, or in a refusal the sentence that says why."""

    status: int = coded(U8)
    body: bytes = coded(Blob(MOST_BODY))

    def check(self) -> str:
        if self.status not in (DONE, REFUSED):
            return f"expected the status of an answer from 0 to 1, found {self.status}"
        return ""

    def __repr__(self) -> str:
        return f"Answer({self.status}, {len(self.body)} bytes)"


class Line:
    """One party's way to one answering party. Questions are asked one after the other.

    Args:
        connections: of the asking party.
        peer, role: whom to ask.
        deadline_s: the longest wait for one answer.
    """

    def __init__(self, connections: Connections, peer: Peer, role: str, deadline_s: float) -> None:
        self.peer = peer
        self._connections, self._role, self._deadline_s = connections, role, deadline_s
        self._questions: queue.Queue[tuple[str, list[bytes], Future[bytes]] | None] = queue.Queue()
        self._channel: TlsChannel | None = None
        self._before = (0, 0)  # over connections that broke
        self._attempt = Attempt()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"line to {peer.name}", daemon=True)
        self._thread.start()

    def ask(self, what: str, body: bytes = b"") -> Future[bytes]:
        """Return the answer to come. It is a `PeerError` where there is none, or where the other side refuses."""
        answer: Future[bytes] = Future()
        if self._closed:
            raise OrderError(f"expected an open line to {self.peer.name}, found one that was closed")
        held = [body]
        answer.add_done_callback(lambda _: held.clear())  # a question that is cancelled waits without its body
        self._questions.put((what, held, answer))
        return answer

    @property
    def moved(self) -> tuple[int, int]:
        """The bytes that were sent and received so far."""
        sent, received = self._before
        channel = self._channel
        if channel is not None:
            sent += channel.traffic[""].sent
            received += channel.traffic[""].received
        return sent, received

    def break_off(self) -> None:
        """Break the connection, if there is one. The next question is asked over another."""
        channel = self._channel
        if channel is not None:
            channel.interrupt()

    def close(self) -> None:
        """Give up what is asked, and end. It may be called again."""
        self._closed = True
        self._attempt.give_up()
        channel = self._channel
        if channel is not None:
            channel.interrupt()
        self._questions.put(None)
        self._thread.join(_GRACE_S)
        self._connections.leave_open_for([self._thread])

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            what, held, answer = question
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                answer.set_result(self._exchange(encode(Ask(what, held[0])), what))
            except BaseException as error:  # noqa: BLE001  raised again where the answer is looked at
                answer.set_exception(error)

    def _exchange(self, message: bytes, what: str) -> bytes:
        if (channel := self._channel) is not None:
            try:
                return self._once(channel, message, what)
            except TransportError:
                if self._closed:
                    raise
        return self._once(self._dialled(), message, what)

    def _dialled(self) -> TlsChannel:
        channel = self._connections.dial(self.peer, self._role, self._attempt)
        channel.deadline_s = self._deadline_s
        self._channel = channel
        return channel

    def _once(self, channel: TlsChannel, message: bytes, what: str) -> bytes:
        try:
            channel.send("ask", message)
            with channel.naming_peer():
                answer = decode(Answer, bytes(channel.recv("answer", limit=MOST_MESSAGE)))
        except BaseException:
            self._before = self.moved
            self._channel = None  # an answer that comes late must not be taken for the next one
            self._connections.hang_up([channel])
            raise
        if answer.status == REFUSED:
            sentence = answer.body[:MOST_SENTENCE].decode("utf-8", "replace")
            raise RefusedError(f"refused '{what}': {sentence}", peer=self.peer.name)
        return answer.body


def gather(
    answers: Mapping[Key, Future[bytes]],
    within_s: float,
    *,
    take: Callable[[Key, bytes], None],
    enough: Callable[[], bool] = lambda: False,
    grace_s: float = 0.0,
) -> dict[Key, MpcError]:
    """Take answers as they come, until all are there, or enough, or the time is over.

    Args:
        take: checks an answer and keeps it. It raises `MpcError` for one that it does not accept.
        enough: whether those that were taken suffice.
        grace_s: how much longer to wait for the others once there are enough.

    Returns:
        For each that gave no answer that was taken, the error that says why.
    """
    began = time.monotonic()
    expires = began + within_s
    pending = {future: key for key, future in answers.items()}
    failed: dict[Key, MpcError] = {}
    satisfied = enough()
    if satisfied:
        expires = min(expires, time.monotonic() + grace_s)
    while pending and (left := expires - time.monotonic()) > 0:
        done, _ = wait(pending, timeout=left, return_when=FIRST_COMPLETED)
        for future in done:
            key = pending.pop(future)
            try:
                take(key, future.result())
            except MpcError as error:
                failed[key] = error
        if not satisfied and enough():
            satisfied = True
            expires = min(expires, time.monotonic() + grace_s)
    for future in pending:
        future.cancel()  # a question that has not been asked yet
    late = LateError(f"no answer within {time.monotonic() - began:.1f} s")
    return failed | dict.fromkeys(pending.values(), late)


def rounds(
    lines: Mapping[Key, Line],
    ask: Callable[[Line], Future[bytes]],
    taken: dict[Key, bytes],
    *,
    least: int,
    expires: float,
    grace_s: float,
) -> Iterator[dict[Key, MpcError]]:
    """Ask all of these the same, and yield whenever it is worth a look at what was taken. They are asked again then.

    One party that is gone does not keep another from being asked again that has refused for the moment. Those who lag
    are asked again for a while, also where the others suffice, because a lie that nobody waits for is not seen. They
    have refused, or have not answered within a round. Who is not there is not waited for.

    Args:
        ask: asks one of them.
        taken: the answers so far, into which further ones go.
        least: how many suffice to end a round.
        expires: the time by the monotonic clock at which a round ends.
        grace_s: how long to wait for the others then, and for those who lag.

    Yields:
        For each without an answer the error that says why.
    """
    answers = dict[Key, Future[bytes]]()
    lag_until: float | None = None
    while True:
        answers = {key: one for key, one in answers.items() if not one.done()}
        for key, line in lines.items():
            if key not in taken and key not in answers:
                answers[key] = ask(line)
        failed = gather(
            answers,
            max(0.0, min(_ROUND_S, expires - time.monotonic())),
            take=taken.__setitem__,
            enough=lambda: len(taken) >= least,
            grace_s=grace_s,
        )
        now = time.monotonic()
        lag_until = now + grace_s if lag_until is None else lag_until
        lags = any(isinstance(one, RefusedError | LateError) for one in failed.values())
        if not lags or now >= lag_until:
            yield failed
        time.sleep(_PAUSE_S)
