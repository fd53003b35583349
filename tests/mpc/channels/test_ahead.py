"""A channel that takes messages ahead: nothing is lost, and what waits is bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mpc.channels.ahead import AheadChannel
from mpc.channels.frames import exchange_all
from mpc.channels.tls import TlsChannel
from mpc.errors import DeadlineError, OrderError, ProtocolError, TransportError
from tests.authority import issue
from tests.mpc.channels.meeting import meet

MEGABYTE = 1 << 20


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[TlsChannel, TlsChannel]]:
    credentials = issue(tmp_path, "server-0", "client")
    near, far = meet(credentials["server-0"], credentials["client"], 60.0)
    yield near, far
    near.close()
    far.close()


def until(condition: Callable[[], bool]) -> None:
    expires = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < expires
        time.sleep(0.01)


def test_a_peer_that_is_far_ahead_waits_for_nobody_and_may_leave(pair: tuple[TlsChannel, TlsChannel]) -> None:
    """Its 40 messages are 20 MB, which no socket holds. Without a thread that takes them it would stand still."""
    near, far = pair
    far.deadline_s = 60.0
    near.send("first", b"1")
    assert bytes(far.recv("first")) == b"1"
    ahead = AheadChannel(near, 1 << 26)
    for number in range(40):
        far.send(f"part/{number}", bytes([number]) * (MEGABYTE // 2))
    far.close()
    until(lambda: ahead.most_waiting > 19 * MEGABYTE)
    for number in range(40):
        assert bytes(ahead.recv(f"part/{number}", MEGABYTE // 2)) == bytes([number]) * (MEGABYTE // 2)
    assert ahead.waiting == 0
    with pytest.raises(TransportError, match="the peer closed the connection"):
        ahead.recv("more")
    ahead.close()


def test_the_conversation_goes_on_both_ways_with_its_numbers(pair: tuple[TlsChannel, TlsChannel]) -> None:
    near, far = pair
    far.send("first", b"1")
    far.send("second", b"2")  # may be read with the first, before the other channel takes over
    near.recv("first")
    near.send("told", b"3")
    ahead = AheadChannel(near, MEGABYTE)
    ahead.send("told again", b"4" * MEGABYTE)
    assert [bytes(far.recv("told")), len(far.recv("told again"))] == [b"3", MEGABYTE]
    assert bytes(ahead.recv("second")) == b"2"
    far.send("third", b"3")
    with pytest.raises(ProtocolError, match="expected message 'fourth', found message 'third'"):
        ahead.recv("fourth")
    ahead.close()


def test_what_waits_is_bounded(pair: tuple[TlsChannel, TlsChannel]) -> None:
    near, far = pair
    ahead = AheadChannel(near, MEGABYTE)
    sender = threading.Thread(target=far.send, args=("large", bytes(64 * MEGABYTE)))
    sender.start()
    until(lambda: ahead.most_waiting >= MEGABYTE)
    time.sleep(0.5)  # it could take more now
    assert sender.is_alive()
    assert MEGABYTE <= ahead.most_waiting < 2 * MEGABYTE
    assert len(ahead.recv("large")) == 64 * MEGABYTE
    sender.join(60)
    assert ahead.most_waiting < 2 * MEGABYTE
    ahead.close()


def test_a_wait_has_an_end(pair: tuple[TlsChannel, TlsChannel]) -> None:
    near, far = pair
    ahead = AheadChannel(near, MEGABYTE)
    ahead.deadline_s = 0.2
    with pytest.raises(DeadlineError, match=r"no message within 0.2 s"):
        ahead.recv("never")
    with pytest.raises(OrderError, match="one side at a time"):
        exchange_all("both", [(ahead, [bytes(MEGABYTE)], memoryview(bytearray(MEGABYTE)))])
    ahead.deadline_s = 20.0
    closer = threading.Timer(0.3, ahead.close)
    closer.start()
    with pytest.raises(TransportError):
        ahead.recv("never")
    closer.join()
    assert far.left
