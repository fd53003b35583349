"""A party that leaves because it lost another says so, and its peers name the one that was lost."""

from __future__ import annotations

import threading
import time

import pytest

from mpc.channels.frames import Channel, exchange_all
from mpc.channels.sockets import SocketChannel
from mpc.errors import DeadlineError, ProtocolError, TransportError
from tests.mpc.channels.conftest import Pairs, tcp_pair


def test_the_receiver_names_the_party_that_was_lost_and_who_lost_it(pairs: Pairs) -> None:
    left, right = pairs()
    left.send("greeting", b"as usual")
    left.say_lost("third")
    left.close()
    assert bytes(right.recv("greeting")) == b"as usual"
    with pytest.raises(TransportError) as raised, right.in_step("2"):
        right.recv("more")
    assert str(raised.value) == "step 2 third: left has no connection to it"
    assert raised.value.peer == "third"


@pytest.mark.parametrize("size", [10, 100_000])
def test_it_is_heard_in_an_exchange(pairs: Pairs, size: int) -> None:
    left, right = pairs()
    left.say_lost("third")
    with pytest.raises(TransportError, match="third: left has no connection to it"):
        right.exchange("opening", bytes(size), size)


def test_nothing_is_said_to_the_lost_party_itself_nor_to_one_that_has_left(pairs: Pairs) -> None:
    left, right = pairs()
    left.say_lost("right")
    left.close()
    with pytest.raises(TransportError, match="left: the peer closed the connection"):
        right.recv("more")
    right.say_lost("third")
    right.say_lost("third")


def test_a_frame_on_its_way_is_not_broken_up(pairs: Pairs) -> None:
    left, right = pairs()
    waiting = threading.Thread(target=lambda: left.recv("late"), daemon=True)
    waiting.start()
    while not left._busy.locked():
        time.sleep(0.001)
    left.say_lost("third")  # another thread waits for a frame, and would use the connection at the same time
    right.send("late", b"at last")
    waiting.join(60)
    assert not waiting.is_alive()
    left.send("answer", b"")
    assert len(right.recv("answer")) == 0


def test_nothing_is_said_within_an_exchange_and_afterwards_it_is() -> None:
    left, right = tcp_pair()
    size = 8_000_001
    moving = threading.Thread(target=lambda: left.exchange("opening", bytes(size), size), daemon=True)
    moving.start()
    while not left._busy.locked():
        time.sleep(0.001)
    left.say_lost("third")
    assert bytes(right.exchange("opening", bytes(size), size)) == bytes(size)
    moving.join(60)
    left.say_lost("third")
    with pytest.raises(TransportError, match="third: left has"):
        exchange_all("opening", [(right, [b"1"], memoryview(bytearray(1)))])
    left.close()
    right.close()


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "two\nlines", "é"])
def test_what_is_no_name_is_not_said_and_not_taken(pairs: Pairs, name: str) -> None:
    left, right = pairs()
    left.say_lost(name)
    left.send("lost", name.encode())
    with pytest.raises(ProtocolError, match="expected message 'more', found message 'lost'"):
        right.recv("more")


def test_a_peer_that_takes_nothing_does_not_hold_up_the_end() -> None:
    left, right = tcp_pair(deadline_s=120.0)
    left._connection.setblocking(False)
    try:
        while True:
            left._connection.send(bytes(1 << 16))
    except BlockingIOError:
        pass
    left._connection.setblocking(True)
    begun = time.monotonic()
    left.say_lost("third")
    assert time.monotonic() - begun < 60
    left.close()
    right.close()


def sockets(*channels: Channel) -> list[SocketChannel]:
    assert all(isinstance(channel, SocketChannel) for channel in channels)
    return [channel for channel in channels if isinstance(channel, SocketChannel)]


def test_a_wait_ends_with_a_message_and_one_that_was_read_ahead_counts(socket_pairs: Pairs) -> None:
    left, right = sockets(*socket_pairs())
    other, _ = sockets(*socket_pairs())
    right.send("first", b"1")
    right.send("second", b"2")
    for label in ("first", "second"):
        left.await_message([other])
        left.recv(label)
    left.deadline_s = 0.2
    with pytest.raises(DeadlineError, match=r"right: no message within 0.2 s"):
        left.await_message([other])


@pytest.mark.parametrize("says", [None, "third"])
def test_a_wait_ends_when_another_peer_leaves_which_is_named_or_whom_it_has_lost(
    socket_pairs: Pairs, says: str | None
) -> None:
    left, right = sockets(*socket_pairs())
    other, gone = sockets(*socket_pairs("left", "other"))
    if says:
        gone.say_lost(says)
    threading.Timer(0.2, gone.close).start()
    begun = time.monotonic()
    with pytest.raises(TransportError) as raised:
        left.await_message([other])
    assert time.monotonic() - begun < 60
    assert raised.value.peer == (says or "other")
    right.send("as usual", b"")
    assert len(left.recv("as usual")) == 0


def test_a_peer_that_left_in_the_middle_of_a_message_has_closed_the_connection(socket_pairs: Pairs) -> None:
    left, right = sockets(*socket_pairs())
    right.send("more", b"1")
    right.close()
    assert str(left.departure("2")) == "step 2 right: the peer closed the connection"


LARGE = 20_000_001


def test_a_round_that_one_party_leaves_ends_with_its_name_at_every_other(socket_pairs: Pairs) -> None:
    """What is half sent to the others is sent to its end before they are told."""
    to_bob, bob = sockets(*socket_pairs("left", "bob"))
    to_carol, carol = sockets(*socket_pairs("left", "carol"))
    threading.Timer(0.3, bob.close).start()
    heard: list[BaseException] = []

    def receive() -> None:
        time.sleep(0.6)  # the frame has begun to arrive, and no buffer holds all of it
        carol.recv("opening", LARGE)
        try:
            carol.recv("opening")
        except TransportError as error:
            heard.append(error)

    receiving = threading.Thread(target=receive, daemon=True)
    receiving.start()
    body = bytes(LARGE)
    with pytest.raises(TransportError) as raised:
        exchange_all("opening", [(each, [body], memoryview(bytearray(LARGE))) for each in (to_bob, to_carol)])
    assert raised.value.peer == "bob"
    to_carol.say_lost("bob")
    receiving.join(60)
    assert [str(error) for error in heard] == ["bob: left has no connection to it"]


def test_a_frame_that_was_broken_off_gets_no_other_bytes(socket_pairs: Pairs) -> None:
    """They would be taken for the end of its body."""
    to_bob, bob = sockets(*socket_pairs("left", "bob"))
    to_carol, carol = sockets(*socket_pairs("left", "carol"))
    threading.Timer(0.3, bob.close).start()
    with pytest.raises(TransportError):
        exchange_all("opening", [(each, [bytes(LARGE)], memoryview(bytearray(8))) for each in (to_bob, to_carol)])
    sent = to_carol.traffic[""].sent
    to_carol.say_lost("bob")
    assert to_carol.traffic[""].sent == sent
    to_carol.close()
    with pytest.raises(TransportError, match="left: "):
        carol.recv("opening", LARGE)


def test_whoever_sends_to_one_that_has_left_hears_which_party_it_had_lost(socket_pairs: Pairs) -> None:
    left, right = socket_pairs()
    left.send("not read yet", bytes(9_000))
    left.say_lost("third")
    left.close()
    with pytest.raises(TransportError, match="third: left has no connection to it") as raised:
        for _ in range(100):
            right.send("more", bytes(10))
            time.sleep(0.02)
    assert raised.value.peer == "third"


@pytest.mark.parametrize("receives", [False, True])
def test_it_is_heard_in_an_exchange_in_which_this_side_cannot_send(socket_pairs: Pairs, receives: bool) -> None:
    left, right = sockets(*socket_pairs())
    left.send("opening", bytes(9_000 if receives else 10))
    left.say_lost("third")
    left.close()
    memory = memoryview(bytearray(9_000)) if receives else None
    with pytest.raises(TransportError, match="third: left has no connection to it"):
        exchange_all("opening", [(right, [bytes(LARGE)], memory)])


def test_what_one_that_has_left_said_before_can_still_be_read(socket_pairs: Pairs) -> None:
    left, right = socket_pairs()
    left.send("first", bytes(range(100)))
    left.send("second", bytes(9_000))
    left.close()
    right.send("more", bytes(10))
    assert bytes(right.recv("first")) == bytes(range(100))
    assert len(right.recv("second")) == 9_000
    with pytest.raises(TransportError) as raised:
        right.recv("third")
    assert raised.value.peer == "left"
