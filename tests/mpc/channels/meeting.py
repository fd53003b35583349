"""Parties that meet over real sockets, each side in a thread whose error the test sees."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mpc.channels.credentials import Credentials
from mpc.channels.doors import Listener, connect
from mpc.channels.hello import Hello, digest_of
from mpc.channels.tls import TlsChannel

PATIENCE_S = 300.0
Result = TypeVar("Result")

ANSWERING, QUERYING = "one who answers", "one who asks"


def outcomes(*sides: Callable[[], object]) -> list[object]:
    """What each side returns, or the error that it raises. All run at the same time."""
    with ThreadPoolExecutor(len(sides)) as pool:
        futures = [pool.submit(side) for side in sides]
        return [future.exception(PATIENCE_S) or future.result() for future in futures]


def door(
    credentials: Credentials,
    *,
    agreed: Mapping[str, str] | None = None,
    session: str = "session",
    deadline_s: float = 5.0,
    note: Callable[[str], None] = lambda _: None,
) -> Listener:
    own = Hello(ANSWERING, session, digest_of(agreed or {}))
    return Listener(("127.0.0.1", 0), credentials, own, agreed=agreed, deadline_s=deadline_s, note=note)


def dial(
    port: int,
    credentials: Credentials,
    *,
    peer: str = "server-0",
    agreed: Mapping[str, str] | None = None,
    session: str = "session",
    within_s: float = 5.0,
    deadline_s: float = 5.0,
) -> TlsChannel:
    own = Hello(QUERYING, session, digest_of(agreed or {}))
    address = ("127.0.0.1", port)
    return connect(
        address, peer, credentials, own, ANSWERING, agreed=agreed, deadline_s=deadline_s, connect_within_s=within_s
    )


def accept(listener: Listener, *names: str, within_s: float = 5.0) -> TlsChannel:
    return listener.accept(dict.fromkeys(names or ("client",), QUERYING), within_s=within_s)


def meet(server: Credentials, client: Credentials, deadline_s: float = 5.0) -> tuple[TlsChannel, TlsChannel]:
    """The ends of `server-0` and of `client`."""
    with door(server, deadline_s=deadline_s) as listener:
        ends = outcomes(lambda: accept(listener), lambda: dial(listener.port, client, deadline_s=deadline_s))
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    accepted, dialled = ends
    assert isinstance(accepted, TlsChannel)
    assert isinstance(dialled, TlsChannel)
    return accepted, dialled


def strangers(port: int, count: int) -> list[socket.socket]:
    """So many connections that say nothing."""
    return [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) for _ in range(count)]
