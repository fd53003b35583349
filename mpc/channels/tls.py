"""Channels over TCP with TLS 1.3, in which both sides show a certificate of the run's own authority.

:mod:`mpc.channels.doors` makes the connections. Certificates are Ed25519. TLS 1.3 (RFC 8446) is used with AES-128-GCM
alone. No session is resumed, and nothing is compressed.

TLS is pyOpenSSL's, which brings an OpenSSL of its own. The one behind Python's ``ssl`` may be years older, and OpenSSL
3.0 takes twice as long for a record.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

from mpc.channels.credentials import handshake_error
from mpc.channels.frames import Buffer
from mpc.channels.sockets import SocketChannel, check_not_later_than
from mpc.errors import DeadlineError

_RECORD_BYTES = 1 << 14  # of data in a TLS record, at most
_OPENSSL = Binding()  # the library that pyOpenSSL calls, by its C names


class TlsConnection(SSL.Connection):
    """A connection of pyOpenSSL with a read straight into the caller's memory, and a send with less around it.

    The library's own ``recv_into`` allocates memory for every record and copies the record out of it, which costs as
    much as the decryption. This class uses the same inner names of the library as its methods do.
    """

    def encrypt_from(self, data: memoryview) -> int:
        """Send ``data`` and return its length. Raises as ``send``."""
        with _OPENSSL.ffi.from_buffer("char[]", data) as memory:
            count = int(_OPENSSL.lib.SSL_write(self._ssl, memory, len(data)))
        if count <= 0:
            self._raise_ssl_error(self._ssl, count)
        return count

    @property
    def decrypt(self) -> Callable[[Any, int], int]:
        """Read at most a record that has come into so many bytes at a ``char *``. After 0 or less :meth:`fail` is due.

        Large messages have many records. So whoever reads them takes this function once.
        """
        return partial(_OPENSSL.lib.SSL_read, self._ssl)

    def fail(self, count: int) -> NoReturn:
        """Raise the error of a read that gave `count`, as ``recv_into``."""
        self._raise_ssl_error(self._ssl, count)
        raise AssertionError("expected an error of OpenSSL, found none")


class TlsChannel(SocketChannel):
    """A channel over TLS 1.3 whose peer has shown its certificate.

    A record (16 KiB) that trickles in is given up only when nothing comes for the length of the deadline. A message of
    many records is held to the deadline as on any other channel.

    Attributes:
        tls: the connection, which tells version and cipher.
    """

    def __init__(self, peer: str, deadline_s: float, connection: socket.socket, tls: TlsConnection) -> None:
        super().__init__(peer, deadline_s, connection)
        self.tls = tls

    def _send_all(self, parts: list[Buffer]) -> None:
        if len(parts) == 1 and len(parts[0]) <= _RECORD_BYTES:
            self._encrypt(memoryview(parts[0]))
            return
        if sum(map(len, parts)) <= _RECORD_BYTES:
            self._send_records(parts)
            return
        # Records are held back until a segment is full, so that they do not cross the operating system one by one.
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        try:
            if len(parts) == 1:
                self._encrypt(memoryview(parts[0]))
            else:
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
                self.tls.encrypt_from(data)
                return
            except SSL.WantWriteError:  # too late, or a signal came
                check_not_later_than(expires)

    def _decrypted(self) -> bool:
        return bool(self.tls.pending())

    def send_now(self, data: memoryview) -> int:
        try:
            return self.tls.encrypt_from(data)  # the same data again after a refusal, as OpenSSL demands
        except (SSL.WantWriteError, SSL.WantReadError):
            raise BlockingIOError from None

    def receive_now(self, target: memoryview) -> int:
        filled, size, decrypt = 0, len(target), self.tls.decrypt
        with _OPENSSL.ffi.from_buffer("char[]", target, require_writable=True) as memory:
            while filled < size:
                if (count := decrypt(memory + filled, size - filled)) > 0:
                    filled += count
                    continue
                try:
                    self.tls.fail(count)
                except (SSL.WantReadError, SSL.WantWriteError):
                    if filled:
                        break
                    raise BlockingIOError from None
                except SSL.ZeroReturnError:
                    break
                except SSL.SysCallError as error:
                    if error.args[0] != -1:
                        raise
                    break  # closed without a closing message
        return filled

    def _receive_some(self, target: memoryview, expires: float, flags: int) -> int:
        filled, size, decrypt = 0, len(target), self.tls.decrypt
        with _OPENSSL.ffi.from_buffer("char[]", target, require_writable=True) as memory:
            while filled < size:
                if (count := decrypt(memory + filled, size - filled)) > 0:
                    filled += count
                    if flags != socket.MSG_WAITALL:
                        break
                    check_not_later_than(expires)
                    continue
                try:
                    self.tls.fail(count)
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


def handshake(
    plain: socket.socket, context: SSL.Context, within_s: float, *, server_side: bool, peer: str = "", step: str
) -> TlsConnection:
    """Return the connection after a TLS handshake over ``plain``, which becomes non-blocking.

    In TLS 1.3 the dialling side is done before the listening side has looked at its certificate. So the dialling side
    may see a refusal only when it next reads.

    Raises:
        DeadlineError: the other side was not done in time.
        RefusedError: one side does not accept the other's certificate or version of TLS.
        TransportError: the connection broke.
    """
    plain.setblocking(False)
    tls = TlsConnection(context, plain)
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
            event = select.POLLIN
        except SSL.WantWriteError:
            event = select.POLLOUT
        except (SSL.Error, OSError) as error:
            raise handshake_error(error, tls, peer, step) from error
        if not wait_for(plain, event, expires):
            raise DeadlineError(f"no TLS handshake within {within_s:g} s", peer=peer, step=step)


def wait_for(plain: socket.socket, event: int, expires: float) -> bool:
    """Wait for an event of the socket, and return whether it came before the monotonic instant ``expires``."""
    poll = select.poll()
    poll.register(plain, event)
    return bool(poll.poll(max(0.0, expires - time.monotonic()) * 1e3))
