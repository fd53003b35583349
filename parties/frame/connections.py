"""A party's connections to its peers, and the checks that both ends are in the same run.

    dialling side                              listening side
    TCP, again until the peer listens  ----->  Listener
    TLS 1.3, both certificates; each checks the other's name
    hello: role, session, digest  ---------->
          <----------  hello: role, session, digest
    where the digests differ, the public parameters themselves, both ways, so that both name what differs

One thread uses a connection at a time. No connection is closed while a thread may use it, because the operating system
gives the number of a closed socket to the next file that is opened, and a late record would be written into that file.
When one thread fails, all connections are shut down. That interrupts the other threads, and after they have ended the
connections are closed. Where a peer was lost, the others are told its name before.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from mpc.channels.attempts import Attempt
from mpc.channels.credentials import Credentials
from mpc.channels.doors import Listener, connect
from mpc.channels.hello import NO_SESSION, Admission, Hello, digest_of
from mpc.channels.tls import TlsChannel
from mpc.errors import BusyError, DeadlineError, TransportError
from parties.frame.errors import AbsentError
from parties.frame.settings import Address, PartySettings, Peer
from parties.frame.turnstile import POLL_S, Lock
from parties.frame.workers import Workers

__all__ = ["Connections", "credentials"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK_S = 0.5  # between two looks whether a peer has left
_PAUSE_S = 0.5  # between two tries at the door of a service that another session goes in at
_GRACE_S = 1.0  # for a thread to notice that its connection is gone; it may be computing, or dialling


def credentials(folder: Path, *, federation: bool = False) -> Credentials:
    """Return the certificate, key and authority in a folder. In a federation there is a list of the revoked, too."""
    revoked = folder / "revoked.pem" if federation else None
    return Credentials(folder / "certificate.pem", folder / "key.pem", folder / "ca.pem", revoked)


@dataclass(frozen=True)
class _Turn:
    """What a process of a service holds while it is at the door, and while it serves."""

    admission: Admission
    door: Lock
    serving: Lock


class Connections:
    """All connections of one party, closed together.

    Before `begin()`, the longer connect deadline applies to every message, because a peer may still wait for a party
    that has yet to appear.

    Args:
        settings: name, session and deadlines.
        folder: the party's private folder, with its credentials.
        role: the party's role, in the protocol's own words.
        agreed: all that the parties of the protocol must agree on, as text by name. The hello compares its digest. A
            peer of the run with another digest is shown all of it, so it holds public values only.
        note: gets a sentence when a connection is dropped for a new reason, such as a party's `Progress.note`.
    """

    def __init__(
        self,
        settings: PartySettings,
        folder: Path,
        role: str,
        agreed: Mapping[str, str],
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        federation = settings.credentials is not None
        self._credentials = credentials(settings.credentials or folder, federation=federation)
        self._agreed = agreed
        self._turn: _Turn | None = None
        if settings.place is not None:
            self._turn = _Turn(Admission(settings.session), Lock(settings.place.door), Lock(settings.place.session))
        self._hello = Hello(role, settings.session or NO_SESSION, digest_of(agreed))
        self._note = note
        self._open: list[TlsChannel | Listener] = []
        self._workers: list[threading.Thread] = []
        self._left_open: list[tuple[list[threading.Thread], Callable[[], None]]] = []

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self.say_lost(error)
        if any(worker.is_alive() for worker in self._workers):
            return  # it may still use a connection, and the end of the process closes them all
        for connection in self._open:
            connection.close()

    def dial(self, peer: Peer, role: str, attempt: Attempt | None = None) -> TlsChannel:
        """Connect to a party that listens now or will do so before the deadline, and speak first.

        Another thread may give the attempt up.
        """
        channel = connect(
            (peer.host, peer.port),
            peer.name,
            self._credentials,
            self._hello,
            role,
            agreed=self._agreed,
            deadline_s=self._settings.connect_deadline_s,
            connect_within_s=self._settings.connect_deadline_s,
            attempt=attempt,
        )
        self._open.append(channel)
        return channel

    def dial_in_line(self, peer: Peer, role: str, waiting: Callable[[], None] = lambda: None) -> TlsChannel:
        """Connect to a service as :meth:`dial`, and wait in line while another session goes in at its door.

        That may take as long as a run. `waiting` is called each time that the service has said so for the whole connect
        deadline.
        """
        expires = time.monotonic() + self._settings.run_deadline_s
        while True:
            try:
                return self.dial(peer, role)
            except DeadlineError as error:
                if not isinstance(error.__cause__, BusyError) or time.monotonic() > expires:
                    raise
                waiting()
                time.sleep(_PAUSE_S)

    def dial_beside(self, peer: Peer, role: str, beside: TlsChannel) -> TlsChannel:
        """Connect as :meth:`dial`, but give up when the peer of the channel `beside` has left.

        Raises `TransportError` in the name of that peer then, or of the one that it says it has lost.
        """
        attempt, over = Attempt(), threading.Event()

        def look() -> None:
            while not over.wait(_LOOK_S):
                if beside.left:
                    attempt.give_up()

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            return self.dial(peer, role, attempt)
        except DeadlineError as error:
            if attempt.given_up:
                raise beside.departure("connect") from error
            raise
        finally:
            over.set()
            looking.join()

    def leave_open_for(self, threads: Iterable[threading.Thread], close: Callable[[], None] | None = None) -> None:
        """Close nothing at the end if one of these threads lives then, because it may still use a connection.

        `close`, if given, closes what they use. :meth:`close_left` calls it once they have ended.
        """
        threads = list(threads)
        self._workers = [worker for worker in self._workers if worker.is_alive()] + threads
        if close is not None:
            self._left_open.append((threads, close))

    def close_left(self) -> None:
        """Close what was left open for threads that have ended since. It may be called again after a signal."""
        for left in list(self._left_open):
            threads, close = left
            if not any(thread.is_alive() for thread in threads):
                close()
                self._left_open.remove(left)

    def hang_up(self, channels: Iterable[TlsChannel] | None = None) -> None:
        """Close these channels, or all. No thread may use them. It may be called again after a signal."""
        for channel in [one for one in self._open if isinstance(one, TlsChannel)] if channels is None else channels:
            channel.close()
            with suppress(ValueError):  # it was closed before
                self._open.remove(channel)

    def listen(self, address: Address) -> Listener:
        """Bind the party's port, or take the socket that a service's process inherits."""
        place = self._settings.place
        where = (address.host, address.port) if place is None else socket.socket(fileno=place.descriptor)
        listener = Listener(
            where,
            self._credentials,
            self._hello,
            agreed=self._agreed,
            deadline_s=self._settings.connect_deadline_s,
            note=self._note,
            admission=self._turn.admission if self._turn else None,
        )
        self._open.append(listener)
        return listener

    def accept(
        self,
        listener: Listener,
        roles: dict[str, str],
        within_s: float | None = None,
        beside: TlsChannel | None = None,
    ) -> TlsChannel:
        """Return the next connection from one of the named parties, each of which has the role given.

        Args:
            within_s: how long that may take. None stands for the connect deadline.
            beside: the wait ends as well when the peer of this channel leaves.

        Raises `AbsentError` after the deadline.
        """
        try:
            within_s = self._settings.connect_deadline_s if within_s is None else within_s
            channel = listener.accept(roles, within_s=within_s, beside=beside)
        except DeadlineError as error:
            raise AbsentError(error.args[0], awaits=tuple(sorted(roles)), step=error.step) from error
        self._open.append(channel)
        return channel

    # -- a process of a service ---------------------------------------------------------------------------------------

    def admit(self, listener: Listener, roles: dict[str, str]) -> tuple[TlsChannel, str]:
        """Return the first of the named parties that comes, and the session that it brings, for a service's process.

        It waits until it is needed, without a deadline. From then on this party is in that session.
        """
        turn = self._taking_turns()
        turn.door.take()
        channel = self.accept(listener, roles, math.inf)
        self._hello = Hello(self._hello.role, turn.admission.session, self._hello.parameters)
        return channel, turn.admission.session

    def await_turn(
        self,
        waiting: Callable[[], None] = lambda: None,
        listener: Listener | None = None,
        opener: TlsChannel | None = None,
    ) -> None:
        """Wait until the service's session before this one is over. Meanwhile call `waiting` again and again.

        Args:
            listener: of a process that holds the door, which greets whoever comes meanwhile. One that opens a further
                session is told to come again, and one that only checks gets its answer.
            opener: the channel to the party that has opened this session. The wait ends as well when it leaves.

        The wait has no deadline of its own. The earlier session has one, and its process ends with it. A process of a
        service whose session goes on and on stands by so, until it takes the place of one that has ended.
        """
        serving = self._taking_turns().serving
        if listener is None:
            serving.take(waiting)
        else:
            serving.take(waiting, pause=partial(_turn_away, listener, opener))

    def close_door(self, listener: Listener) -> None:
        """Let the service's next process greet whoever comes, because all parties of this session are there."""
        listener.close()
        self._taking_turns().door.give_back()

    def _taking_turns(self) -> _Turn:
        if self._turn is None:
            raise RuntimeError("expected a process of a service, found one of a run")
        return self._turn

    def begin(self) -> None:
        """Apply the message deadline from now on, because all peers have appeared."""
        for connection in self._open:
            if isinstance(connection, TlsChannel):
                connection.deadline_s = self._settings.message_deadline_s

    def with_each(self, items: Sequence[Item], work: Callable[[Item], Result]) -> list[Result]:
        """Do the work for all items at once, one thread each, and return the results in the items' order.

        The first error interrupts the other threads and is raised when they have ended.
        """
        with self.meanwhile(items, work) as working:
            return working.results()

    @contextmanager
    def meanwhile(self, items: Sequence[Item], work: Callable[[Item], Result]) -> Iterator[Workers[Item, Result]]:
        """Do the work for all items, one thread each, beside the caller's own work with other connections.

        Both have ended when this block ends. An error in a thread does not interrupt the caller, who may be about to
        get what it has paid for. The error is raised at the end of the block. An error of the caller interrupts the
        threads.
        """
        working = Workers(items, work)
        self._workers = [worker for worker in self._workers if worker.is_alive()] + working.threads
        try:
            working.start()
            yield working
            working.results()
        except BaseException as error:
            first = working.failure()
            self.say_lost(first or error)
            self._interrupt()
            if first is not None and first is not error:
                raise first from error
            raise

    def say_lost(self, error: BaseException | None, channels: Iterable[TlsChannel] | None = None) -> None:
        """Where this party leaves because a peer was lost or did not come, tell the others which one.

        They would blame this party. Where several did not come, they are told the first name.

        Args:
            error: which names the peer.
            channels: to the others that this party leaves. None stands for all.
        """
        name = (
            error.awaits[0]
            if isinstance(error, AbsentError)
            else error.peer
            if isinstance(error, TransportError)
            else ""
        )
        if name:
            for connection in list(self._open) if channels is None else channels:
                if isinstance(connection, TlsChannel) and not connection.left:
                    connection.say_lost(name)

    def _interrupt(self) -> None:
        """Shut every connection down and wait for the threads that used them."""
        for connection in self._open:
            if isinstance(connection, TlsChannel):
                connection.interrupt()
        expires = time.monotonic() + _GRACE_S
        for worker in self._workers:
            if worker.is_alive():
                worker.join(max(0.0, expires - time.monotonic()))


def _turn_away(listener: Listener, opener: TlsChannel | None) -> None:
    """Greet whoever comes for a moment, and let nobody in. Raises `TransportError` when the opener leaves."""
    with suppress(DeadlineError):
        listener.accept({}, within_s=POLL_S, beside=opener)
