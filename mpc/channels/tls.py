"""Channels over TCP with TLS 1.3, in which both sides show a certificate of the run's own authority.

    dialling side (connect)                          listening side (Listener)
    TCP, again until the other side listens  ----->
    TLS 1.3 handshake  <-------------------------->
    checks the name that it dialled                  learns the name from the certificate, and checks that it is allowed

Certificates are Ed25519. TLS 1.3 (RFC 8446) is used with AES-128-GCM alone. No session is resumed, and nothing is
compressed.

TLS is pyOpenSSL's, which brings an OpenSSL of its own. The one behind Python's ``ssl`` may be years older, and OpenSSL
3.0 takes twice as long for a record.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import Any

from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

from mpc.channels.credentials import Credentials, dns_name, reason_of
from mpc.channels.frames import Buffer
from mpc.channels.sockets import SocketChannel, check_not_later_than
from mpc.errors import DeadlineError, ProtocolError, TransportError

_RECORD_BYTES = 1 << 14  # of data in a TLS record, at most
_STRANGERS_S = 10.0  # a stranger that says nothing may keep the listener for no longer
_OPENSSL = Binding()  # the library that pyOpenSSL calls, by its C names


class _Connection(SSL.Connection):
    """A connection of pyOpenSSL with a read straight into the caller's memory.

    The library's own ``recv_into`` allocates memory for every record and copies the record out of it, which costs as
    much as the decryption. This class uses the same inner names of the library as that method does.
    """

    def decrypt_to(self, memory: Any, size: int) -> int:
        """Read at most a record that has come into ``size`` bytes at a ``char *``. Raises as ``recv_into``."""
        count = int(_OPENSSL.lib.SSL_read(self._ssl, memory, size))
        if count <= 0:
            self._raise_ssl_error(self._ssl, count)
        return count


class TlsChannel(SocketChannel):
    """A channel over TLS 1.3 whose peer has shown its certificate.

    A record (16 KiB) that trickles in is given up only when nothing comes for the length of the deadline. A message of
    many records is held to the deadline as on any other channel.

    Attributes:
        tls: the connection, which tells version and cipher.
    """

    def __init__(self, peer: str, deadline_s: float, connection: socket.socket, tls: _Connection) -> None:
        super().__init__(peer, deadline_s, connection)
        self.tls = tls

    def _send_all(self, parts: list[Buffer]) -> None:
        if sum(map(len, parts)) <= _RECORD_BYTES:
            self._send_records(parts)
            return
        # Records are held back until a segment is full, so that they do not cross the operating system one by one.
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        try:
            self._send_records(parts)
        finally:
            with contextlib.suppress(OSError):  # the connection is gone, as the next call reports
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    def _send_records(self, parts: list[Buffer]) -> None:
        """Send the parts in whole records but for the last. A record is filled across parts."""
        rest = b""  # the begin of a record that is not full yet
        for part in parts:
            view = memoryview(part)
            if rest or len(view) < _RECORD_BYTES:
                missing = _RECORD_BYTES - len(rest)
                rest += view[:missing]
                view = view[missing:]
                if len(rest) < _RECORD_BYTES:
                    continue
                self._encrypt(memoryview(rest))
            whole = len(view) // _RECORD_BYTES * _RECORD_BYTES
            self._encrypt(view[:whole])
            rest = bytes(view[whole:])
        self._encrypt(memoryview(rest))

    def _encrypt(self, data: memoryview) -> None:
        """Send all of ``data``, in whole records but for the last."""
        expires = time.monotonic() + self.deadline_s
        while data:
            try:
                self.tls.send(data)
                return
            except SSL.WantWriteError:  # too late, or a signal came
                check_not_later_than(expires)

    def _receive_some(self, target: memoryview, expires: float, flags: int) -> int:
        filled = 0
        with _OPENSSL.ffi.from_buffer("char[]", target, require_writable=True) as memory:
            while filled < len(target):
                try:
                    filled += self.tls.decrypt_to(memory + filled, len(target) - filled)
                    if flags != socket.MSG_WAITALL:
                        break
                except SSL.WantReadError:  # too late, or a signal came
                    pass
                except SSL.ZeroReturnError:
                    break
                except SSL.SysCallError as error:
                    if error.args[0] != -1:
                        raise
                    break  # closed without a closing message
                check_not_later_than(expires)
        return filled


def _handshake(plain: socket.socket, context: SSL.Context, within_s: float, *, server_side: bool) -> _Connection:
    """Return the connection after a TLS handshake over ``plain``.

    Raises SSL.Error, TimeoutError, OSError or, from the verification of the certificate, ProtocolError.
    """
    plain.setblocking(False)
    tls = _Connection(context, plain)
    if server_side:
        tls.set_accept_state()
    else:
        tls.set_connect_state()
    expires = time.monotonic() + within_s
    while True:
        try:
            tls.do_handshake()
            return tls
        except SSL.WantReadError:
            _wait(plain, select.POLLIN, expires)
        except SSL.WantWriteError:
            _wait(plain, select.POLLOUT, expires)


def _wait(plain: socket.socket, event: int, expires: float) -> None:
    """Wait for an event of the socket. Raises TimeoutError after the monotonic instant ``expires``."""
    poll = select.poll()
    poll.register(plain, event)
    if not poll.poll(max(0.0, expires - time.monotonic()) * 1e3):
        raise TimeoutError("timed out")


def connect(
    address: tuple[str, int],
    peer: str,
    credentials: Credentials,
    *,
    deadline_s: float,
    connect_within_s: float,
) -> TlsChannel:
    """Return a channel to ``peer``, which may begin to listen until ``connect_within_s`` has passed.

    ``deadline_s`` is the channel's, for one message.

    Raises:
        DeadlineError: nobody listened in time.
        TransportError: the authority has not signed the peer's certificate, or it names another party.
    """
    context = credentials.context(peer)
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
        tls = _handshake(plain, context, max(0.001, expires - time.monotonic()), server_side=False)
    except (SSL.Error, OSError, ProtocolError) as error:
        plain.close()
        raise TransportError(f"the TLS handshake failed ({reason_of(error)})", peer=peer, step="connect") from error
    return TlsChannel(peer, deadline_s, plain, tls)


class Listener:
    """A listening socket that turns authenticated connections into channels."""

    def __init__(self, address: tuple[str, int], credentials: Credentials, *, deadline_s: float) -> None:
        self._context = credentials.context()
        self._deadline_s = deadline_s
        try:
            self._socket = socket.create_server(address, backlog=64)
        except OSError as error:
            raise TransportError(f"cannot listen at {address[0]}:{address[1]} ({error})", step="listen") from error

    @property
    def port(self) -> int:
        """The port that is listened on, which the operating system chose if 0 was asked for."""
        return int(self._socket.getsockname()[1])

    def accept(self, allowed: frozenset[str], *, within_s: float) -> TlsChannel:
        """Return the next connection from one of the ``allowed`` names.

        Connections without an accepted certificate are dropped and do not count, so that a stranger cannot end a run.

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
        """Return a channel if the handshake shows an allowed name. Otherwise close the connection and return None."""
        try:
            tls = _handshake(plain, self._context, min(within_s, _STRANGERS_S), server_side=True)
            certificate = tls.get_peer_certificate(as_cryptography=True)
            peer = None if certificate is None else dns_name(certificate)
        except (SSL.Error, OSError, ProtocolError):
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
