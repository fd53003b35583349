"""Frames over memory and TLS: what is accepted, what is refused, and how long a wait can last."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from mpc.channels.credentials import Credentials
from mpc.channels.hello import Hello, exchange_hello
from mpc.channels.memory import memory_pair, run_both_sides
from mpc.channels.sockets import SocketChannel
from mpc.channels.tls import TlsChannel
from mpc.errors import DeadlineError, ParameterError, ProtocolError, TransportError
from tests.authority import issue
from tests.mpc.channels.meeting import meet


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: int


class Other(msgspec.Struct, frozen=True):
    count: int
    surprise: int


def test_a_frame_arrives_with_its_label_and_is_counted_under_its_step() -> None:
    left, right = memory_pair("left", "right")
    with left.in_step("1a"):
        left.send("linear/upload", b"ab", b"cd")
    assert bytes(right.recv("linear/upload", 4)) == b"abcd"
    assert left.traffic["1a"].sent == right.traffic[""].received == 16 + len("linear/upload") + 4
    assert left.transcript == [("sent", "linear/upload", b"abcd")]
    assert right.transcript == [("received", "linear/upload", b"abcd")]


def test_wrong_label_length_and_type_name_what_was_expected_and_found() -> None:
    left, right = memory_pair("left", "right")
    left.send("masks", b"1234")
    with pytest.raises(ProtocolError, match=r"step 2 left: expected message 'tables', found message 'masks'"):
        with right.in_step("2"):
            right.recv("tables")
    left, right = memory_pair("left", "right")
    left.send("masks", b"1234")
    with pytest.raises(ProtocolError, match="expected 5 bytes in 'masks', found 4"):
        right.recv("masks", 5)
    left, right = memory_pair("left", "right")
    left.send("masks", b"1234")
    with pytest.raises(ProtocolError, match="at most 3 bytes"):
        right.recv("masks", limit=3)
    left, right = memory_pair("left", "right")
    left.send_message("note", Other(1, 2))
    with pytest.raises(ProtocolError, match="expected a Note in 'note'"):
        right.recv_message("note", Note)
    left.send("note", msgspec.msgpack.encode(Note(1)) + b"\x00")
    with pytest.raises(ProtocolError, match="expected a Note"):
        right.recv_message("note", Note)


def test_an_empty_part_of_a_large_frame_is_not_the_end() -> None:
    left, right = memory_pair("left", "right")
    left.send("tables", b"", bytes(1 << 17), b"")
    assert len(right.recv("tables")) == 1 << 17


def test_a_replayed_frame_is_refused() -> None:
    left, right = memory_pair("left", "right")
    left.send("masks", b"1234")
    left._sent_frames = 0
    left.send("masks", b"1234")
    right.recv("masks")
    with pytest.raises(ProtocolError, match="expected frame number 1"):
        right.recv("masks")


def test_another_wire_format_is_refused() -> None:
    left, right = memory_pair("left", "right")
    left._write([b"GET / HTTP/1.1\r\n\r\n"])
    with pytest.raises(ProtocolError, match="expected a frame of version 1"):
        right.recv("hello")


def test_silence_and_closing_end_a_wait() -> None:
    left, right = memory_pair("left", "right", deadline_s=0.05)
    with pytest.raises(DeadlineError, match=r"no message within 0.05 s"):
        right.recv("hello")
    left.close()
    with pytest.raises(TransportError, match="closed"):
        right.recv("hello")


def test_a_sender_waits_where_much_is_on_its_way_and_not_for_ever() -> None:
    left, right = memory_pair("left", "right", deadline_s=60, capacity=1000)
    sent: list[int] = []

    def send() -> None:
        for number in range(10):
            left.send("ahead", bytes(600))
            sent.append(number)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    expires = time.monotonic() + 200
    while len(sent) < 2 and time.monotonic() < expires:
        time.sleep(0.01)
    time.sleep(0.2)
    assert len(sent) == 2  # 1,240 B
    for _ in range(10):
        right.recv("ahead", 600)
    thread.join(60)
    assert len(sent) == 10
    left, right = memory_pair("left", "right", deadline_s=0.2, capacity=1000)
    with pytest.raises(DeadlineError, match=r"right: the peer took no data for 0\.2 s"):
        for _ in range(3):
            left.send("ahead", bytes(600))


def test_a_sender_that_waits_for_one_that_leaves_is_told() -> None:
    left, right = memory_pair("left", "right", deadline_s=60, capacity=1000)

    def send() -> None:
        for _ in range(3):
            left.send("ahead", bytes(600))

    def leave() -> None:
        time.sleep(0.1)
        right.close()

    with pytest.raises(TransportError, match="right: the peer closed the connection"):
        run_both_sides(send, leave)


def test_words_travel_packed() -> None:
    left, right = memory_pair("left", "right")
    words = np.arange(12, dtype=np.uint64).reshape(3, 4)
    left.send_words("shares", words, 5)
    assert len(left.transcript[0][2]) == 8
    assert (right.recv_words("shares", (3, 4), 5) == words).all()
    with pytest.raises(ParameterError):
        left.send("x" * 300, b"")


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (Hello("answering", "s", "p", version=2), "wire version 1, found 2"),
        (Hello("guardian", "s", "p"), "role answering, found guardian"),
        (Hello("answering", "t", "p"), "session s, found t"),
        (Hello("answering", "s", "q"), "digest of public parameters p, found q"),
    ],
)
def test_hello_says_which_part_differs(theirs: Hello, message: str) -> None:
    left, right = memory_pair("left", "right")
    right.send_message("hello", theirs)
    with pytest.raises(ProtocolError, match=message):
        exchange_hello(left, Hello("querying", "s", "p"), "answering", speaks_first=True)


@pytest.fixture
def authority(tmp_path: Path) -> dict[str, Credentials]:
    return issue(tmp_path, "server-0", "client", "stranger")


def _pair(authority: dict[str, Credentials], deadline_s: float = 60.0) -> tuple[TlsChannel, TlsChannel]:
    return meet(authority["server-0"], authority["client"], deadline_s)


def test_tls_carries_large_frames_both_ways_and_knows_the_peer(authority: dict[str, Credentials]) -> None:
    server, client = _pair(authority)
    assert (server.peer, client.peer) == ("client", "server-0")
    body = np.random.default_rng(1).bytes(5_000_000)
    sender = threading.Thread(target=server.send, args=("tables", body), daemon=True)
    sender.start()
    assert client.recv("tables", len(body)) == body
    sender.join(60)
    client.send("done", b"")
    assert len(server.recv("done", 0)) == 0
    assert client.tls.get_protocol_version_name() == "TLSv1.3"
    assert client.tls.get_cipher_name() == "TLS_AES_128_GCM_SHA256"
    client.close()
    with pytest.raises(TransportError):
        server.recv("more")
    server.close()


def test_a_machine_that_is_gone_is_noticed_within_a_minute_on_both_sides(authority: dict[str, Credentials]) -> None:
    """Its silence would hold a party for as long as a message may take, which may be an hour."""
    for end in meet(authority["server-0"], authority["client"]):
        tcp = [
            end._connection.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        ]
        idle_s, every_s, count = tcp
        assert end._connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert idle_s + every_s * count <= 60
        end.close()


def test_tls_wait_has_a_deadline(authority: dict[str, Credentials]) -> None:
    server, client = _pair(authority, deadline_s=0.2)
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        client.recv("tables")
    assert time.monotonic() - started < 60
    for channel in (server, client):
        channel.close()


def test_parts_of_any_size_cross_tls_in_order(authority: dict[str, Credentials]) -> None:
    """Records are filled across them."""
    server, client = _pair(authority)
    sizes = [0, 1, 40, 16_384, 16_383, 16_385, 5, 3 * 16_384, 100_000, 7]
    parts = [np.random.default_rng(size).bytes(size) for size in sizes]
    _, received = run_both_sides(lambda: server.send("many", *parts), lambda: bytes(client.recv("many")))
    assert received == b"".join(parts)
    for channel in (server, client):
        channel.close()


def test_a_tls_peer_that_takes_nothing_is_given_up(authority: dict[str, Credentials]) -> None:
    server, client = _pair(authority, deadline_s=0.2)
    started = time.monotonic()
    with pytest.raises(DeadlineError, match="took no data"):
        client.send("tables", bytes(100_000_000))
    assert time.monotonic() - started < 60
    for channel in (server, client):
        channel.close()


def test_credentials_that_do_not_fit_are_named(authority: dict[str, Credentials]) -> None:
    mixed = replace(authority["client"], key=authority["stranger"].key)
    with pytest.raises(TransportError, match=r"cannot use the credentials beside .*client.pem \(.*mismatch"):
        mixed.context()


def test_a_message_of_very_many_parts_crosses_a_socket() -> None:
    """The system takes 1024 of them in a call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sides = socket.create_connection(server.getsockname()), server.accept()[0]
    ends = [SocketChannel(name, 10, side) for name, side in zip("ba", sides, strict=True)]
    parts = [bytes([number % 256]) * (100 + number % 7) for number in range(3000)]
    _, received = run_both_sides(lambda: ends[0].send("many", *parts), lambda: bytes(ends[1].recv("many")))
    assert received == b"".join(parts)
    for end in ends:
        end.close()


FIRST_MESSAGES = """
import gc, sys, threading, types
from mpc.channels.memory import memory_pair

source = '''
from __future__ import annotations
import msgspec
class Left(msgspec.Struct, frozen=True, tag="left"):
    extents: tuple[int, ...]
    named: dict[str, int]
class Right(msgspec.Struct, frozen=True, tag="right"):
    pair: tuple[int, int]
    scale: float | None
class Message(msgspec.Struct, frozen=True):
    items: tuple[Left | Right, ...]
'''
sys.setswitchinterval(1e-6)
gc.set_threshold(10)
for number in range(1000):
    module = types.ModuleType(f"messages{number}")
    sys.modules[module.__name__] = module
    exec(source, module.__dict__)
    sent = module.Message((module.Left((1, 2), {"a": 1}), module.Right((3, 4), None)))
    start, received = threading.Barrier(3), []
    def receive(channel):
        start.wait()
        received.append(channel.recv_message("first", module.Message))
    threads = []
    for peer in "abc":
        own, other = memory_pair("me", peer)
        other.send_message("first", sent)
        threads.append(threading.Thread(target=receive, args=(own,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert received == [sent] * 3
"""


def test_the_first_message_of_a_kind_may_come_to_many_threads_at_once() -> None:
    """In a process of its own: where this goes wrong, it ends the process."""
    command = [sys.executable, "-c", FIRST_MESSAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr or done.returncode
