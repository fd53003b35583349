"""Channels over TCP with TLS 1.3: both sides show a certificate of the run's own authority.

A party's name is the DNS name in its certificate; who connects checks the name it dialled, who listens learns
the name from the certificate. Ed25519 certificates; TLS 1.3 (RFC 8446) with the library's AEAD suites; no
session tickets, no compression.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from mpc.channel import Buffer, Channel
from mpc.errors import DeadlineError, ProtocolError, TransportError


@dataclass(frozen=True)
class Credentials:
    """Paths of a party's certificate, its private key and the authority that signs every party of the run."""

    certificate: Path
    key: Path
    authority: Path

    def context(self, *, server: bool) -> ssl.SSLContext:
        """A TLS 1.3 context that demands and verifies the peer's certificate."""
        purpose = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(purpose)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        if server:
            context.num_tickets = 0
        context.load_verify_locations(cafile=str(self.authority))
        context.load_cert_chain(str(self.certificate), str(self.key))
        return context


class SocketChannel(Channel):
    """A channel over one connected, blocking socket, used by one thread; parties only ever use it over TLS."""

    def __init__(self, peer: str, deadline_s: float, connection: socket.socket) -> None:
        super().__init__(peer, deadline_s)
        self._connection = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _write(self, parts: list[Buffer]) -> None:
        self._connection.settimeout(self.deadline_s)
        try:
            for part in parts:
                self._connection.sendall(part)
        except TimeoutError:
            raise DeadlineError(
                f"the peer took no data for {self.deadline_s:g} s", peer=self.peer, step=self.step
            ) from None
        except OSError as error:
            raise self._broken(error) from error

    def _read(self, target: memoryview, expires: float) -> None:
        filled = 0
        try:
            while filled < len(target):
                self._connection.settimeout(max(0.001, expires - time.monotonic()))
                count = self._connection.recv_into(target[filled:])
                if count == 0:
                    raise TransportError("the peer closed the connection", peer=self.peer, step=self.step)
                filled += count
        except TimeoutError:
            raise DeadlineError(f"no message within {self.deadline_s:g} s", peer=self.peer, step=self.step) from None
        except OSError as error:
            raise self._broken(error) from error

    def _broken(self, error: OSError) -> TransportError:
        return TransportError(f"the connection broke ({error})", peer=self.peer, step=self.step)

    def interrupt(self) -> None:
        """Make the call fail that a thread is waiting in. From any thread; :meth:`close` is still due."""
        with contextlib.suppress(OSError):  # already gone
            # The plain socket's shutdown: that of a TLS socket would first take encryption off under the other thread.
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)

    def close(self) -> None:
        self.interrupt()
        self._connection.close()


class TlsChannel(SocketChannel):
    """A channel over TLS 1.3 whose peer has shown its certificate."""

    def __init__(self, peer: str, deadline_s: float, connection: ssl.SSLSocket) -> None:
        super().__init__(peer, deadline_s, connection)


def connect(
    address: tuple[str, int],
    peer: str,
    credentials: Credentials,
    *,
    deadline_s: float,
    connect_within_s: float,
) -> TlsChannel:
    """Dial ``peer``, trying again while nothing listens yet, until ``connect_within_s`` has passed.

    Raises:
        DeadlineError: nobody listened in time.
        TransportError: the peer's certificate is not the authority's or names somebody else.
    """
    context = credentials.context(server=False)
    expires = time.monotonic() + connect_within_s
    pause_s = 0.005
    while True:
        remaining = expires - time.monotonic()
        if remaining <= 0:
            raise DeadlineError(
                f"nobody accepted a connection at {address[0]}:{address[1]} within {connect_within_s:g} s",
                peer=peer,
                step="connect",
            )
        try:
            plain = socket.create_connection(address, timeout=remaining)
            break
        except (ConnectionRefusedError, ConnectionResetError, TimeoutError):
            time.sleep(min(pause_s, max(0.0, remaining)))
            pause_s = min(0.2, pause_s * 1.5)
        except OSError as error:
            raise TransportError(
                f"cannot reach {address[0]}:{address[1]} ({error})", peer=peer, step="connect"
            ) from error
    try:
        return TlsChannel(peer, deadline_s, context.wrap_socket(plain, server_hostname=peer))
    except (ssl.SSLError, TimeoutError, OSError) as error:
        plain.close()
        raise TransportError(f"the TLS handshake failed ({error})", peer=peer, step="connect") from error


class Listener:
    """A listening socket that turns authenticated connections into channels."""

    def __init__(self, address: tuple[str, int], credentials: Credentials, *, deadline_s: float) -> None:
        self._context = credentials.context(server=True)
        self._deadline_s = deadline_s
        try:
            self._socket = socket.create_server(address, backlog=64)
        except OSError as error:
            raise TransportError(f"cannot listen at {address[0]}:{address[1]} ({error})", step="listen") from error

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def accept(self, allowed: frozenset[str], *, within_s: float) -> TlsChannel:
        """The next connection from one of the ``allowed`` names.

        Connections without an accepted certificate are dropped and do not count: a stranger cannot end a run.

        Raises:
            DeadlineError: none of them came in time.
        """
        expires = time.monotonic() + within_s
        while True:
            remaining = expires - time.monotonic()
            if remaining <= 0:
                names = ", ".join(sorted(allowed))
                raise DeadlineError(f"no connection from {names} within {within_s:g} s", step="accept")
            self._socket.settimeout(remaining)
            try:
                plain, _ = self._socket.accept()
            except TimeoutError:
                continue
            channel = self._authenticate(plain, allowed, remaining)
            if channel is not None:
                return channel

    def _authenticate(self, plain: socket.socket, allowed: frozenset[str], within_s: float) -> TlsChannel | None:
        plain.settimeout(min(within_s, 10.0))  # a silent stranger may not hold the door for long
        try:
            connection = self._context.wrap_socket(plain, server_side=True)
            peer = peer_name(connection)
        except (ssl.SSLError, TimeoutError, OSError, ProtocolError):
            plain.close()
            return None
        if peer not in allowed:
            connection.close()
            return None
        return TlsChannel(peer, self._deadline_s, connection)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def peer_name(connection: ssl.SSLSocket) -> str:
    """The one DNS name in the peer's verified certificate."""
    certificate = connection.getpeercert() or {}
    names = [str(entry[1]) for entry in certificate.get("subjectAltName", ()) if entry[0] == "DNS"]
    if len(names) != 1:
        raise ProtocolError.mismatch("one DNS name in the peer's certificate", 1, len(names), step="connect")
    return names[0]
