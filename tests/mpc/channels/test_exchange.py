"""Both sides send at once, over memory, TCP and TLS. Bodies of any length cross, and what does not fit is refused."""

from __future__ import annotations

import socket
import struct
import threading
import time

import numpy as np
import pytest

from mpc.channels.frames import SMALL_BODY, Channel, exchange_all
from mpc.channels.memory import run_both_sides
from mpc.channels.sockets import SocketChannel
from mpc.errors import DeadlineError, ProtocolError, TransportError
from tests.mpc.channels.conftest import Pairs, tcp_pair
from tests.mpc.channels.meeting import outcomes

LARGE = 8_000_001  # more than the buffers of a socket hold, and no multiple of a record


@pytest.mark.parametrize("sizes", [(0, 0), (1, 5000), (4096, 4097), (LARGE, 3), (LARGE, LARGE)])
def test_bodies_of_any_length_cross_at_once_and_the_conversation_goes_on(pairs: Pairs, sizes: tuple[int, int]) -> None:
    left, right = pairs()
    bodies = [np.random.default_rng(size).bytes(size) for size in sizes]
    for _ in range(2):
        with left.in_step("opening"):
            to_left, to_right = run_both_sides(
                lambda: left.exchange("opening/0", bodies[0], sizes[1]),
                lambda: right.exchange("opening/0", bodies[1], sizes[0]),
            )
        assert (bytes(to_left), bytes(to_right)) == (bodies[1], bodies[0])
    head = 16 + len("opening/0")
    assert left.traffic["opening"].sent == right.traffic[""].received == 2 * (head + sizes[0])
    assert left.traffic["opening"].received == right.traffic[""].sent == 2 * (head + sizes[1])
    right.send("ordinary", b"1234")
    assert bytes(left.recv("ordinary", 4)) == b"1234"


@pytest.mark.parametrize("buffers", [2048, 4096, 8192, 16_384, 100_000, 300_000])
@pytest.mark.parametrize("size", [100, 1 << 12, 1 << 14, (1 << 14) + 1, 97_000, SMALL_BODY, SMALL_BODY + 1])
def test_two_sides_with_small_buffers_do_not_wait_for_each_other(size: int, buffers: int) -> None:
    """A body that the system calls small elsewhere is more than these buffers hold.

    With the least buffer that Linux gives, TCP itself comes to 500 bytes every 200 ms now and then, for any program
    that polls. So the smallest here is twice that.
    """
    made: list[socket.socket] = []
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)  # which those that are accepted have as well
        server.bind(("127.0.0.1", 0))
        server.listen()
        made.append(socket.socket())
        made[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
        made[0].connect(server.getsockname())
        made.append(server.accept()[0])
    for each in made:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
    left, right = SocketChannel("right", 60.0, made[0]), SocketChannel("left", 60.0, made[1])
    bodies = [np.random.default_rng(number).bytes(size) for number in range(2)]
    try:
        for _ in range(3):
            found = run_both_sides(
                lambda: left.exchange("opening", bodies[0], size), lambda: right.exchange("opening", bodies[1], size)
            )
            assert (bytes(found[0]), bytes(found[1])) == (bodies[1], bodies[0])
    finally:
        left.close()
        right.close()


def test_a_small_body_leaves_at_once_with_the_buffers_that_the_system_gives(socket_pairs: Pairs) -> None:
    assert [side.small_body for side in socket_pairs()] == [SMALL_BODY, SMALL_BODY]


def test_what_comes_right_after_an_exchange_is_not_lost(pairs: Pairs) -> None:
    """A reader takes more from the connection than it asked for."""
    left, right = pairs()
    body = bytes(10_000)

    def eager() -> None:
        right.exchange("opening", body, 10_000)
        right.send("next", b"abc")

    def patient() -> bytes:
        left.exchange("opening", body, 10_000)
        time.sleep(0.05)
        return bytes(left.recv("next", 3))

    assert run_both_sides(patient, eager)[0] == b"abc"


@pytest.mark.parametrize("size", [100, 100_000])
@pytest.mark.parametrize(
    ("label", "extra", "replayed", "sentence"),
    [
        ("opening/1", 0, False, "expected message 'opening/0', found message 'opening/1'"),
        ("opening/0", -1, False, "expected {size} bytes in 'opening/0', found {less}"),
        ("opening/0", 1, False, "expected {size} bytes in 'opening/0', found {more}"),
        ("opening/0", 0, True, "expected frame number {number} for 'opening/0', found 0"),
    ],
    ids=["wrong label", "short", "long", "replayed"],
)
def test_what_does_not_fit_is_refused_with_the_peers_name(
    pairs: Pairs, size: int, label: str, extra: int, replayed: bool, sentence: str
) -> None:
    left, right = pairs()
    if replayed:
        run_both_sides(lambda: left.exchange("opening/0", b"", 0), lambda: right.exchange("opening/0", b"", 0))
        right._sent_frames = 0
    right.send(label, bytes(size + extra))
    with left.in_step("multiply"), pytest.raises(ProtocolError) as caught:
        left.exchange("opening/0", bytes(size), size)
    expected = sentence.format(size=size, less=size - 1, more=size + 1, number=left._received_frames)
    assert str(caught.value) == f"step multiply right: {expected}"


@pytest.mark.parametrize("size", [100, LARGE])
def test_a_silent_peer_is_given_up_by_name(pairs: Pairs, size: int) -> None:
    left, _ = pairs(deadline_s=0.3)
    started = time.monotonic()
    with pytest.raises(DeadlineError, match="right: no message") as caught:
        left.exchange("opening", bytes(size), size)
    assert caught.value.peer == "right"
    assert time.monotonic() - started < 60


def test_a_peer_that_trickles_is_given_up_too() -> None:
    """The deadline is for the whole exchange, however often something comes."""
    left, right = tcp_pair(deadline_s=0.5)
    assert isinstance(right, SocketChannel)
    head = struct.pack("<2sBBIQ", b"CP", 1, 7, 0, 1 << 20) + b"opening"
    ended = threading.Event()

    def trickle() -> None:
        right._connection.sendall(head)
        while not ended.wait(0.02):
            right._connection.send(bytes(100))

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    started = time.monotonic()
    try:
        with pytest.raises(DeadlineError, match=r"right: no message 'opening' within 0\.5 s"):
            left.exchange("opening", bytes(1 << 20), 1 << 20)
        assert time.monotonic() - started < 60
    finally:
        ended.set()
        thread.join(60)
        left.close()
        right.close()


def test_a_peer_that_leaves_in_mid_exchange_is_named(pairs: Pairs) -> None:
    left, right = pairs()
    if type(right).__name__ != "MemoryChannel":
        right.send("opening", bytes(5000))  # of which the other side waits for more
    right.close()
    with pytest.raises((TransportError, ProtocolError), match="right"):
        left.exchange("opening", bytes(LARGE), LARGE)


@pytest.mark.parametrize("size", [64, 3_000_001])
def test_many_parties_open_to_each_other_in_one_call(pairs: Pairs, size: int) -> None:
    names = ["a", "b", "c"]
    channels: dict[str, dict[str, Channel]] = {name: {} for name in names}
    for first, second in (("a", "b"), ("a", "c"), ("b", "c")):
        channels[first][second], channels[second][first] = pairs(first, second)

    def side(me: str) -> dict[str, bytes]:
        targets = {peer: np.empty(size, dtype=np.uint8) for peer in channels[me]}
        body = me.encode() * size
        exchange_all(
            "opening", [(channel, [body[:10], body[10:]], targets[peer].data) for peer, channel in channels[me].items()]
        )
        return {peer: target.tobytes() for peer, target in targets.items()}

    for me, received in zip(names, outcomes(*(lambda me=me: side(me) for me in names)), strict=True):
        assert received == {peer: peer.encode() * size for peer in names if peer != me}


def test_one_way_is_possible_and_a_late_one_of_many_is_named(pairs: Pairs) -> None:
    ab, ba = pairs("a", "b")
    ac, ca = pairs("a", "c")
    target = np.empty(50_000, dtype=np.uint8)
    ca.send("opening", b"x" * 50_000)
    exchange_all("opening", [(ab, [b"y" * 50_000], None), (ac, None, target.data)])
    assert bytes(ba.recv("opening", 50_000)) == b"y" * 50_000
    assert target.tobytes() == b"x" * 50_000
    ab.deadline_s = ac.deadline_s = 2
    with pytest.raises(DeadlineError, match="c: no message") as caught:
        exchange_all("next", [(ab, [bytes(50_000)], None), (ac, [bytes(50_000)], target.data)])
    assert caught.value.peer == "c"


@pytest.mark.parametrize("size", [100, LARGE])
def test_an_exchange_on_a_closed_channel_is_an_error_of_the_connection(pairs: Pairs, size: int) -> None:
    left, _ = pairs(deadline_s=0.3)
    left.close()
    with pytest.raises(TransportError, match="right"):
        left.exchange("opening", bytes(size), size)
