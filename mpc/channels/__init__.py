"""Conversations between two parties, in labelled frames.

Read in this order:

- ``frames``: what a frame is, and :class:`Channel`, which sends and receives them, one way or both at once.
- ``memory``: channels within one process, for tests, examples and simulations.
- ``sockets``: a channel over one connected socket.
- ``tls``: the same over TLS 1.3. Parties only use this one.
- ``credentials``: the certificate of a party, and what it demands of the other side's certificate.
- ``hello``: the first messages each way, by which both sides see that they are in the same run.
- ``doors``: how a party connects, and how it listens.

A module is loaded when one of its names is first used, so that a channel in memory needs no OpenSSL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.lazy_names import lazy_names

if TYPE_CHECKING:
    from mpc.channels.credentials import Credentials
    from mpc.channels.doors import Listener, connect
    from mpc.channels.frames import Channel, Traffic, exchange_all
    from mpc.channels.hello import Hello, exchange_hello
    from mpc.channels.memory import MemoryChannel, memory_pair, run_both_sides
    from mpc.channels.sockets import SocketChannel
    from mpc.channels.tls import TlsChannel

__all__ = [
    "Channel",
    "Credentials",
    "Hello",
    "Listener",
    "MemoryChannel",
    "SocketChannel",
    "TlsChannel",
    "Traffic",
    "connect",
    "exchange_all",
    "exchange_hello",
    "memory_pair",
    "run_both_sides",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Channel": "frames",
        "Credentials": "credentials",
        "Hello": "hello",
        "Listener": "doors",
        "MemoryChannel": "memory",
        "SocketChannel": "sockets",
        "TlsChannel": "tls",
        "Traffic": "frames",
        "connect": "doors",
        "exchange_all": "frames",
        "exchange_hello": "hello",
        "memory_pair": "memory",
        "run_both_sides": "memory",
    },
)
