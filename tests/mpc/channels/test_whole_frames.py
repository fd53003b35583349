"""A frame that came as a whole is taken at once, and is refused as any other where it is not what is expected."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from mpc.channels.sockets import SocketChannel
from mpc.errors import ProtocolError, TransportError


def frame(label: str, number: int, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return struct.pack("<2sBBIQ", b"CP", 1, len(label), number, size) + label.encode() + body


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, SocketChannel]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        raw = socket.create_connection(server.getsockname())
        channel = SocketChannel("peer", 60.0, server.accept()[0])
    yield raw, channel
    channel.close()
    raw.close()


def test_frames_that_come_together_are_taken_one_by_one_into_memory_of_their_own(
    ends: tuple[socket.socket, SocketChannel],
) -> None:
    raw, channel = ends
    raw.sendall(frame("one", 0, b"first") + frame("two", 1, b"second") + frame("three", 2, b""))
    first = channel.recv("one", 5)
    target = memoryview(bytearray(6))
    channel.recv_into("two", target)
    assert first.readonly
    assert (bytes(first), bytes(target), bytes(channel.recv("three"))) == (b"first", b"second", b"")
    assert channel.traffic[""].received == 3 * 16 + len("onetwothree") + 11


@pytest.mark.parametrize("cut", [1, 15, 17, 19, 22, 16_000])
def test_a_frame_that_comes_in_pieces_is_waited_for(ends: tuple[socket.socket, SocketChannel], cut: int) -> None:
    raw, channel = ends
    body = bytes(range(256)) * 80
    whole = frame("label", 0, body) + frame("label", 1, b"next")
    raw.sendall(whole[:cut])
    late = threading.Timer(0.05, raw.sendall, [whole[cut:]])
    late.start()
    assert bytes(channel.recv("label")) == body
    assert bytes(channel.recv("label")) == b"next"
    late.join()


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (frame("other", 0, b"body"), "expected message 'label', found message 'other'"),
        (frame("labels", 0, b"body"), "expected message 'label', found message 'labels'"),
        (frame("label", 1, b"body"), "expected frame number 0 for 'label', found 1"),
        (frame("label", 0, b"bodies"), "expected 4 bytes in 'label', found 6"),
        (b"XX" + frame("label", 0, b"body")[2:], "expected a frame of version 1 for 'label', found another format"),
        (b"CP\x02" + frame("label", 0, b"body")[3:], "expected a frame of version 1 for 'label', found another format"),
    ],
)
def test_a_whole_frame_that_is_not_expected_is_refused_by_what_is_wrong_with_it(
    ends: tuple[socket.socket, SocketChannel], sent: bytes, sentence: str
) -> None:
    raw, channel = ends
    raw.sendall(sent)
    with pytest.raises(ProtocolError, match=sentence):
        channel.recv("label", 4)


def test_a_whole_frame_beyond_the_limit_is_refused(
    ends: tuple[socket.socket, SocketChannel],
) -> None:
    raw, channel = ends
    raw.sendall(frame("label", 0, b"body"))
    with pytest.raises(ProtocolError, match="expected at most 3 bytes in 'label', found 4"):
        channel.recv("label", limit=3)


def test_a_peer_that_says_whom_it_has_lost_is_heard(ends: tuple[socket.socket, SocketChannel]) -> None:
    raw, channel = ends
    raw.sendall(frame("lost", 0, b"carol"))
    with pytest.raises(TransportError, match="peer has no connection to it") as found:
        channel.recv("label")
    assert found.value.peer == "carol"
