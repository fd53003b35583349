"""A party's connections: who dials whom, who is let in, and that both ends are in the same run.

    dialling side                              listening side
    TCP, again until somebody listens  ----->  Listener
    TLS 1.3, both certificates; each checks the other's name
    hello: role, session, digest  ---------->
          <----------  hello: role, session, digest

One thread uses a connection at a time, and none is closed while a thread may use it: the operating system gives the
number of a closed socket to the next file that is opened, and a late record would be written into that. When one
thread fails, the connections are shut down, which wakes and ends the others; then they are closed.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from mpc.channels.credentials import Credentials
from mpc.channels.hello import Hello, exchange_hello
from mpc.channels.tls import Listener, TlsChannel, connect
from parties.frame.settings import Address, PartySettings, Peer

Item = TypeVar("Item")
Result = TypeVar("Result")

_GRACE_S = 1.0  # for a thread to notice that its connection is gone; it may be computing, or dialling


def credentials(folder: Path) -> Credentials:
    """The certificate, key and authority in a party's private folder."""
    return Credentials(folder / "certificate.pem", folder / "key.pem", folder / "ca.pem")


class Workers(Generic[Item, Result]):
    """One thread for each item."""

    def __init__(self, items: Sequence[Item], work: Callable[[Item], Result]) -> None:
        self._work = work
        self._done: queue.Queue[tuple[int, Result | None, BaseException | None]] = queue.Queue()
        self._results: dict[int, Result] = {}
        self._failure: BaseException | None = None
        self.threads = [threading.Thread(target=self._run, args=pair, daemon=True) for pair in enumerate(items)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def results(self) -> list[Result]:
        """Of all items, in their order, when all are there; raises the first error as soon as there is one."""
        while self._failure is None and len(self._results) < len(self.threads):
            self._take(self._done.get())
        if self._failure is not None:
            raise self._failure
        return [self._results[index] for index in range(len(self.threads))]

    def failure(self) -> BaseException | None:
        """The first error so far."""
        while self._failure is None and not self._done.empty():
            self._take(self._done.get())
        return self._failure

    def _run(self, index: int, item: Item) -> None:
        try:
            self._done.put((index, self._work(item), None))
        except BaseException as error:  # noqa: BLE001  raised again by `results`, in the caller's thread
            self._done.put((index, None, error))

    def _take(self, done: tuple[int, Result | None, BaseException | None]) -> None:
        index, result, self._failure = done
        self._results[index] = result  # type: ignore[assignment]  # where there is no error it is the result


class Connections:
    """All connections of one party, closed together.

    Before `begin()`, the longer connect deadline applies to every message, because a peer may still wait for a party
    that has yet to appear.

    Args:
        settings: name, session and deadlines.
        folder: the party's private folder, with its credentials.
        role: the party's role, in the protocol's own words.
        agreed: a digest of all that the parties of the protocol must agree on. The hello compares it.
    """

    def __init__(self, settings: PartySettings, folder: Path, role: str, agreed: str) -> None:
        self._settings = settings
        self._credentials = credentials(folder)
        self._hello = Hello(role, settings.session, agreed)
        self._open: list[TlsChannel | Listener] = []
        self._workers: list[threading.Thread] = []

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if any(worker.is_alive() for worker in self._workers):
            return  # it may still use a connection; the end of the process closes them
        for connection in self._open:
            connection.close()

    def dial(self, peer: Peer, role: str) -> TlsChannel:
        """Connect to a party that listens now or will do so before the deadline, and speak first."""
        channel = connect(
            (peer.host, peer.port),
            peer.name,
            self._credentials,
            deadline_s=self._settings.connect_deadline_s,
            connect_within_s=self._settings.connect_deadline_s,
        )
        self._open.append(channel)
        exchange_hello(channel, self._hello, role, speaks_first=True)
        return channel

    def listen(self, address: Address) -> Listener:
        """Bind the party's port."""
        where = (address.host, address.port)
        listener = Listener(where, self._credentials, deadline_s=self._settings.connect_deadline_s)
        self._open.append(listener)
        return listener

    def accept(self, listener: Listener, roles: dict[str, str], within_s: float | None = None) -> TlsChannel:
        """The next connection from one of the named parties, each of which has the role given.

        `within_s` is how long that may take; None for as long as the last party may take to appear.
        """
        within_s = self._settings.connect_deadline_s if within_s is None else within_s
        channel = listener.accept(frozenset(roles), within_s=within_s)
        self._open.append(channel)
        exchange_hello(channel, self._hello, roles[channel.peer], speaks_first=False)
        return channel

    def begin(self) -> None:
        """Everybody is there: from now on a peer answers within the deadline for a message."""
        for connection in self._open:
            if isinstance(connection, TlsChannel):
                connection.deadline_s = self._settings.message_deadline_s

    def with_each(self, items: Sequence[Item], work: Callable[[Item], Result]) -> list[Result]:
        """Do the work for all items at once, one thread each; results in the items' order.

        The first error ends the others' conversations and is raised when their threads have ended.
        """
        with self.meanwhile(items, work) as working:
            return working.results()

    @contextmanager
    def meanwhile(self, items: Sequence[Item], work: Callable[[Item], Result]) -> Iterator[Workers[Item, Result]]:
        """Do the work for all items, one thread each, beside what the caller does with other connections.

        Both have ended when this ends. The caller's part is not broken off when a thread fails: it may be about to get
        what it has paid for. The first error is raised then; the caller's own ends the threads' conversations.
        """
        working = Workers(items, work)
        self._workers = [worker for worker in self._workers if worker.is_alive()] + working.threads
        try:
            working.start()
            yield working
            working.results()
        except BaseException as error:
            first = working.failure()
            self._interrupt()
            if first is not None and first is not error:
                raise first from error
            raise

    def _interrupt(self) -> None:
        """Shut every connection down and wait for the threads that used them."""
        for connection in self._open:
            if isinstance(connection, TlsChannel):
                connection.interrupt()
        expires = time.monotonic() + _GRACE_S
        for worker in self._workers:
            if worker.is_alive():
                worker.join(max(0.0, expires - time.monotonic()))
