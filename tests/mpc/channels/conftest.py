"""Pairs of connected channels of every kind."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mpc.channels.frames import Channel
from mpc.channels.memory import memory_pair
from mpc.channels.sockets import SocketChannel
from tests.authority import issue
from tests.mpc.channels.meeting import meet

Pair = tuple[Channel, Channel]
Pairs = Callable[..., Pair]


def tcp_pair(first: str = "left", second: str = "right", deadline_s: float = 120.0) -> Pair:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sides = socket.create_connection(server.getsockname()), server.accept()[0]
    return SocketChannel(second, deadline_s, sides[0]), SocketChannel(first, deadline_s, sides[1])


@pytest.fixture(params=["memory", "tcp", "tls"])
def pairs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pairs]:
    """A way to make connected channels, which are closed at the end."""
    yield from _pairs(request.param, tmp_path)


@pytest.fixture(params=["tcp", "tls"])
def socket_pairs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pairs]:
    """The same over sockets alone."""
    yield from _pairs(request.param, tmp_path)


def _pairs(kind: str, tmp_path: Path) -> Iterator[Pairs]:
    made: list[Channel] = []

    def make(first: str = "left", second: str = "right", deadline_s: float = 120.0) -> Pair:
        if kind == "tls":
            names = issue(tmp_path / f"{len(made)}", "server-0", "client")
            pair: Pair = meet(names["server-0"], names["client"], deadline_s)
            pair[0].peer, pair[1].peer = second, first
        else:
            pair = (memory_pair if kind == "memory" else tcp_pair)(first, second, deadline_s)
        made.extend(pair)
        return pair

    yield make
    for channel in made:
        channel.close()
