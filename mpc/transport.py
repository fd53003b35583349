"""Channels over TCP with TLS 1.3: both sides show a certificate of the run's own authority.

A party's name is the DNS name in its certificate; who connects checks the name it dialled, who listens learns
the name from the certificate. Ed25519 certificates; TLS 1.3 (RFC 8446) with the library's AEAD suites; no
session tickets, no compression.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mpc.channel import Buffer, Channel
from mpc.errors import DeadlineError, ProtocolError, TransportError

_READ_AHEAD_BYTES = 1 << 12  # taken from a plain socket beyond what is asked for
_TAKEN_BYTES = 1 << 17  # encrypted bytes taken from the socket at once
_FLUSH_BYTES = 1 << 16  # records are given to the socket when there are so many bytes of them
_PARTS_AT_ONCE = 512  # given to the system in one call, which takes 1024 at most
_TIMEVAL = struct.Struct("@ll")  # seconds, microseconds


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
    """A channel over one connected socket, used by one thread; parties only ever use it over TLS.

    The socket blocks, with the deadline as the operating system's own limit on each call: a message that trickles in
    may so take up to twice its deadline.
    """

    def __init__(self, peer: str, deadline_s: float, connection: socket.socket) -> None:
        super().__init__(peer, deadline_s)
        self._connection = connection
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._limit_s = 0.0
        self._ahead = memoryview(bytearray(_READ_AHEAD_BYTES))
        self._unread = self._ahead[:0]

    def _write(self, parts: list[Buffer]) -> None:
        with self._conversing(f"the peer took no data for {self.deadline_s:g} s"):
            sent = self._connection.sendmsg(parts[:_PARTS_AT_ONCE])
            for part in parts:
                if sent < len(part):
                    self._connection.sendall(memoryview(part)[sent:])
                sent = max(0, sent - len(part))

    def _read(self, target: memoryview, expires: float) -> None:
        filled = 0
        while filled < len(target):
            if not self._unread and len(target) - filled >= len(self._ahead):
                # All of it at once: to wake this thread for every segment costs the sender's processor, too.
                filled += self._receive(target[filled:], expires, socket.MSG_WAITALL)
                continue
            if not self._unread:
                self._unread = self._ahead[: self._receive(self._ahead, expires)]
            count = min(len(self._unread), len(target) - filled)
            target[filled : filled + count] = self._unread[:count]
            self._unread = self._unread[count:]
            filled += count

    def _receive(self, target: memoryview, expires: float, flags: int = 0) -> int:
        """What the socket has, at least one byte."""
        with self._conversing(f"no message within {self.deadline_s:g} s"):
            if time.monotonic() >= expires:
                raise TimeoutError
            count = self._connection.recv_into(target, 0, flags)
        if count == 0:
            raise TransportError("the peer closed the connection", peer=self.peer, step=self.step)
        return count

    @contextlib.contextmanager
    def _conversing(self, late: str) -> Iterator[None]:
        """Puts the deadline on the socket's calls and turns their errors into this layer's."""
        if self._limit_s != self.deadline_s:
            limit = _TIMEVAL.pack(int(self.deadline_s), max(1, int(self.deadline_s % 1 * 1e6)))
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self._connection.setsockopt(socket.SOL_SOCKET, option, limit)
            self._limit_s = self.deadline_s
        try:
            yield
        except (TimeoutError, BlockingIOError):
            raise DeadlineError(late, peer=self.peer, step=self.step) from None
        except OSError as error:
            raise TransportError(f"the connection broke ({error})", peer=self.peer, step=self.step) from error

    def interrupt(self) -> None:
        """Make the call fail that a thread is waiting in. From any thread; :meth:`close` is still due."""
        with contextlib.suppress(OSError):  # already gone
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.interrupt()
        self._connection.close()


@dataclass(frozen=True)
class Tls:
    """One side of a TLS connection whose bytes somebody else carries."""

    state: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO


class TlsChannel(SocketChannel):
    """A channel over TLS 1.3 whose peer has shown its certificate.

    Records are made and opened in memory and cross the socket many at a time: a call of the operating system a record
    (16 KiB), two to read one, would cost a sixth of the throughput.
    """

    def __init__(self, peer: str, deadline_s: float, connection: socket.socket, tls: Tls) -> None:
        super().__init__(peer, deadline_s, connection)
        self._tls = tls
        self._taken = memoryview(bytearray(_TAKEN_BYTES))

    def _write(self, parts: list[Buffer]) -> None:
        with self._conversing(f"the peer took no data for {self.deadline_s:g} s"):
            for part in parts:
                view = memoryview(part)
                written = 0
                while written < len(view):
                    written += self._tls.state.write(view[written : written + _FLUSH_BYTES])
                    if self._tls.outgoing.pending >= _FLUSH_BYTES:
                        self._connection.sendall(self._tls.outgoing.read())
            self._connection.sendall(self._tls.outgoing.read())

    def _read(self, target: memoryview, expires: float) -> None:
        filled = 0
        while filled < len(target):
            try:
                count = int(self._tls.state.read(len(target) - filled, target[filled:]))
            except ssl.SSLWantReadError:
                self._tls.incoming.write(self._taken[: self._receive(self._taken, expires)])
                continue
            except ssl.SSLError as error:
                raise TransportError(f"the connection broke ({error})", peer=self.peer, step=self.step) from error
            if count == 0:
                raise TransportError("the peer closed the connection", peer=self.peer, step=self.step)
            filled += count


def _handshake(
    plain: socket.socket, context: ssl.SSLContext, within_s: float, *, server_side: bool, peer: str | None = None
) -> Tls:
    """Raises ssl.SSLError, TimeoutError or OSError."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = Tls(context.wrap_bio(incoming, outgoing, server_side, peer), incoming, outgoing)
    expires = time.monotonic() + within_s
    while True:
        try:
            tls.state.do_handshake()
            finished = True
        except ssl.SSLWantReadError:
            finished = False
        finally:  # in case of an error too: its alert tells the peer why
            remaining = expires - time.monotonic()
            plain.settimeout(max(0.001, remaining))
            plain.sendall(outgoing.read())
        if finished:
            return tls
        if remaining <= 0:
            raise TimeoutError("timed out")
        data = plain.recv(1 << 16)
        if not data:
            raise ConnectionResetError("the peer closed the connection")
        incoming.write(data)


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
        tls = _handshake(plain, context, max(0.001, expires - time.monotonic()), server_side=False, peer=peer)
    except (ssl.SSLError, TimeoutError, OSError) as error:
        plain.close()
        raise TransportError(f"the TLS handshake failed ({error})", peer=peer, step="connect") from error
    return TlsChannel(peer, deadline_s, plain, tls)


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
        try:
            within_s = min(within_s, 10.0)  # a silent stranger may not hold the door for long
            tls = _handshake(plain, self._context, within_s, server_side=True)
            peer = peer_name(tls.state)
        except (ssl.SSLError, TimeoutError, OSError, ProtocolError):
            plain.close()
            return None
        if peer not in allowed:
            plain.close()
            return None
        return TlsChannel(peer, self._deadline_s, plain, tls)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def peer_name(connection: ssl.SSLObject) -> str:
    """The one DNS name in the peer's verified certificate."""
    certificate = connection.getpeercert() or {}
    names = [str(entry[1]) for entry in certificate.get("subjectAltName", ()) if entry[0] == "DNS"]
    if len(names) != 1:
        raise ProtocolError.mismatch("one DNS name in the peer's certificate", 1, len(names), step="connect")
    return names[0]
