"""How two parties meet: strangers, crowds and silence keep nobody out, and every wait ends."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from mpc.channels import doors
from mpc.channels.credentials import Credentials
from mpc.channels.doors import AT_THE_DOOR, GREETING_S
from mpc.channels.hello import Hello, digest_of
from mpc.channels.tls import TlsChannel, handshake
from mpc.errors import DeadlineError, ProtocolError, TransportError
from tests.authority import issue
from tests.mpc.channels.meeting import ANSWERING, PATIENCE_S, accept, dial, door, outcomes, strangers

HELLO = Hello(ANSWERING, "session", digest_of({}))


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Credentials]:
    return issue(tmp_path_factory.mktemp("authority"), "server-0", "client", "client-1")


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def certified(port: int, credentials: Credentials) -> TlsChannel:
    """A connection that has shown a certificate and says no hello."""
    plain = socket.create_connection(("127.0.0.1", port))
    return TlsChannel("server-0", 10, plain, handshake(plain, credentials.context(), 10, server_side=False, step=""))


def one_after_the_other(patch: pytest.MonkeyPatch) -> None:
    """Take the defence out: whoever comes is greeted before the next one is let in."""

    class Inline(threading.Thread):
        def start(self) -> None:
            self.run()

        def join(self, _: float | None = None) -> None:
            pass

    patch.setattr(doors.threading, "Thread", Inline)


@pytest.mark.parametrize("defended", [False, True])
def test_the_right_peer_gets_in_while_fifty_silent_strangers_hang_on(
    parties: dict[str, Credentials], opened: ExitStack, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    listener = opened.enter_context(door(parties["server-0"]))
    for stranger in strangers(listener.port, 50):
        opened.enter_context(stranger)
    dialled: Callable[[], object] = lambda: dial(  # noqa: E731
        listener.port, parties["client"], within_s=60 if defended else 8
    )
    if defended:
        accepted, channel = outcomes(lambda: accept(listener, within_s=60), dialled)
        assert isinstance(accepted, TlsChannel)
        assert isinstance(channel, TlsChannel)
        assert accepted.peer == "client"
        channel.send("ping", b"x")
        assert bytes(accepted.recv("ping")) == b"x"
        channel.close()
        accepted.close()
    else:
        other = threading.Thread(target=outcomes, args=(dialled,), daemon=True)
        other.start()
        with monkeypatch.context() as patch, pytest.raises(DeadlineError, match="no connection from client within 4 s"):
            one_after_the_other(patch)
            accept(listener, within_s=4)
        listener.close()
        other.join(30)


def test_a_certified_peer_without_a_hello_holds_nothing(parties: dict[str, Credentials], opened: ExitStack) -> None:
    listener = opened.enter_context(door(parties["server-0"], deadline_s=60))
    silent, accepted, channel = outcomes(
        lambda: certified(listener.port, parties["client-1"]),
        lambda: accept(listener, "client", "client-1"),
        lambda: (time.sleep(0.2), dial(listener.port, parties["client"]))[1],
    )
    assert isinstance(accepted, TlsChannel), accepted
    assert isinstance(channel, TlsChannel)
    assert isinstance(silent, TlsChannel)
    assert accepted.peer == "client"
    began = time.monotonic()
    with pytest.raises(
        DeadlineError, match=rf"client-1 within 8 s, dropped meanwhile: no hello within {GREETING_S:g} s"
    ):
        accept(listener, "client-1", within_s=8)
    with pytest.raises(TransportError, match=r"closed|broke"):
        silent.recv("hello")
    assert time.monotonic() - began < 60
    for end in (accepted, channel, silent):
        end.close()


def test_who_came_while_another_call_expected_it_is_not_taken_by_a_later_one(
    parties: dict[str, Credentials], opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = opened.enter_context(door(parties["server-0"]))
    taken, next_met = [], listener._next_met

    def when_both_are_there() -> TlsChannel | None:
        if not taken and len(listener._met) < 2:
            return None
        taken.append(next_met())
        return taken[-1]

    with monkeypatch.context() as patch:
        patch.setattr(listener, "_next_met", when_both_are_there)
        first, *dialled = outcomes(
            lambda: accept(listener, "client", "client-1"),
            *(lambda name=name: dial(listener.port, parties[name]) for name in ("client", "client-1")),  # type: ignore[misc]
        )
    assert isinstance(first, TlsChannel), first
    ends = dict(zip(("client", "client-1"), dialled, strict=True))
    with pytest.raises(DeadlineError, match=f"no connection from {first.peer} within 1 s"):
        accept(listener, first.peer, within_s=1)
    (other,) = {*ends} - {first.peer}
    with pytest.raises(TransportError, match=r"closed|broke"):
        ends[other].recv("anything")  # type: ignore[attr-defined]
    first.send("ping", b"x")
    assert bytes(ends[first.peer].recv("ping")) == b"x"  # type: ignore[attr-defined]
    for end in (first, *ends.values()):
        end.close()  # type: ignore[attr-defined]


def test_a_connection_is_dropped_or_becomes_a_channel_and_never_both() -> None:
    for drop_first in (True, False):
        ours, theirs = socket.socketpair()
        arrival = doors._Arrival(ours, "here")
        with closing(ours), closing(theirs):
            if drop_first:
                arrival.drop("too late")
                assert not arrival.enter()
            else:
                assert arrival.enter()
                arrival.drop("too late")
            assert arrival.dropped == ("too late" if drop_first else "")
            theirs.settimeout(0.2)
            if drop_first:
                assert theirs.recv(1) == b""
            else:
                ours.sendall(b"x")
                assert theirs.recv(1) == b"x"


def test_who_is_greeted_while_the_door_closes_is_shown_out(
    parties: dict[str, Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection has become a channel, and nobody would ever take or close it."""
    listener = door(parties["server-0"])
    ours, theirs = socket.socketpair()
    arrival, before = doors._Arrival(ours, "here"), threading.Thread()
    enter = arrival.enter

    def enter_and_close() -> bool:
        entered = enter()
        listener.close()
        return entered

    before.start()
    listener._arrivals[arrival] = before
    arrival.expires = time.monotonic()  # until then the peer could read why
    monkeypatch.setattr(arrival, "enter", enter_and_close)
    monkeypatch.setattr(listener, "_channel", lambda _: object())
    with closing(theirs):
        listener._greet(arrival)
        theirs.settimeout(60)
        assert theirs.recv(1) == b""
    assert ours.fileno() == -1
    assert listener._arrivals == {}
    assert listener._met == []


def test_a_hello_that_trickles_in_is_given_up_in_time(
    parties: dict[str, Credentials], opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "GREETING_S", 1.0)
    listener = opened.enter_context(door(parties["server-0"]))

    def trickle() -> float:
        channel = certified(listener.port, parties["client"])
        began = time.monotonic()
        with closing(channel), pytest.raises(TransportError):
            while time.monotonic() - began < 60:
                channel.deadline_s = 0.2
                channel._write([b"C"])
                try:
                    channel._read(memoryview(bytearray(1)), time.monotonic() + 0.2)
                except DeadlineError:
                    continue
        return time.monotonic() - began

    waited, held_s = outcomes(lambda: accept(listener, within_s=8), trickle)
    assert isinstance(waited, DeadlineError | ProtocolError)
    assert isinstance(held_s, float)
    assert held_s < 30


def test_a_crowd_is_bounded_and_the_right_peer_gets_in(parties: dict[str, Credentials], opened: ExitStack) -> None:
    listener = opened.enter_context(door(parties["server-0"]))
    crowd, most = [opened.enter_context(stranger) for stranger in strangers(listener.port, AT_THE_DOOR)], 0
    files = len(os.listdir("/proc/self/fd"))
    over = threading.Event()

    def come() -> None:
        nonlocal most
        while not over.is_set():
            crowd.extend(opened.enter_context(stranger) for stranger in strangers(listener.port, 1))
            most = max(
                most, len(listener._arrivals), len(os.listdir("/proc/self/fd")) - files - len(crowd) + AT_THE_DOOR
            )
            time.sleep(0.002)  # the right peer shares this processor

    def arrive() -> TlsChannel:
        while len(crowd) < 3 * AT_THE_DOOR:
            time.sleep(0.01)
        try:
            return dial(listener.port, parties["client"], within_s=100)
        finally:
            over.set()

    accepted, channel, _ = outcomes(lambda: accept(listener, within_s=100), arrive, come)
    assert isinstance(accepted, TlsChannel), accepted
    assert isinstance(channel, TlsChannel), channel
    assert AT_THE_DOOR // 2 < most <= AT_THE_DOOR + 4  # and the peer's own two ends, and a listing of files
    with pytest.raises(DeadlineError, match=f"more than {AT_THE_DOOR} connections at the door"):
        accept(listener, "client-1", within_s=0.2)
    for end in (accepted, channel):
        end.close()


def test_whoever_has_shown_a_certificate_is_dropped_last(
    parties: dict[str, Credentials], opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "AT_THE_DOOR", 4)
    listener = opened.enter_context(door(parties["server-0"]))
    waiting = threading.Thread(target=outcomes, args=(lambda: accept(listener, within_s=100),), daemon=True)
    waiting.start()
    first = opened.enter_context(closing(certified(listener.port, parties["client"])))

    def one_is_certified() -> bool:
        with listener._lock:
            return any(arrival.certified for arrival in listener._arrivals)

    expires = time.monotonic() + 200
    while not one_is_certified() and time.monotonic() < expires:
        time.sleep(0.01)
    for stranger in strangers(listener.port, 12):
        opened.enter_context(stranger)
    time.sleep(0.2)
    with listener._lock:
        assert [arrival.certified for arrival in listener._arrivals].count(True) == 1
    first.deadline_s = 0.1
    with pytest.raises(DeadlineError):  # it is still there
        first.recv("hello")
    listener.close()
    waiting.join(60)


def test_who_was_dropped_without_a_reason_comes_again(parties: dict[str, Credentials]) -> None:
    """Before the handshake, and after it."""
    with socket.create_server(("127.0.0.1", 0)) as plain:
        plain.settimeout(PATIENCE_S)
        port = plain.getsockname()[1]

        def drop_two() -> object:
            plain.accept()[0].close()
            second = plain.accept()[0]
            handshake(second, parties["server-0"].context(), 60, server_side=True, step="")
            second.close()
            plain.close()
            with doors.Listener(
                ("127.0.0.1", port),
                parties["server-0"],
                HELLO,
                deadline_s=60,
            ) as listener:
                return accept(listener)

        accepted, channel = outcomes(drop_two, lambda: dial(port, parties["client"], within_s=60))
    assert isinstance(accepted, TlsChannel), accepted
    assert isinstance(channel, TlsChannel), channel
    accepted.close()
    channel.close()


def test_who_is_dropped_again_and_again_hears_of_it_in_the_end(parties: dict[str, Credentials]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        plain.settimeout(PATIENCE_S)
        over = threading.Event()

        def drop_all() -> None:
            plain.settimeout(0.1)
            while not over.is_set():
                try:
                    plain.accept()[0].close()
                except TimeoutError:
                    continue

        def come() -> object:
            try:
                return dial(plain.getsockname()[1], parties["client"], within_s=3)
            finally:
                over.set()

        _, error = outcomes(drop_all, come)
    assert isinstance(error, DeadlineError)
    assert re.search(r"within 3 s, and the last attempt was cut off \(.*handshake failed", str(error))


def test_a_silent_listening_side_is_given_up(parties: dict[str, Credentials]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        plain.settimeout(PATIENCE_S)
        began = time.monotonic()
        with pytest.raises(DeadlineError, match=r"step connect server-0: no TLS handshake within 0\.\d+ s"):
            dial(plain.getsockname()[1], parties["client"], within_s=0.5)
    assert time.monotonic() - began < 60


def test_a_listening_side_that_says_no_hello_is_given_up(parties: dict[str, Credentials]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        plain.settimeout(PATIENCE_S)
        kept = []

        def silent() -> None:
            kept.append(plain.accept()[0])
            kept.append(handshake(kept[0], parties["server-0"].context(), 60, server_side=True, step=""))

        _, error = outcomes(silent, lambda: dial(plain.getsockname()[1], parties["client"], deadline_s=0.3))
    assert isinstance(error, DeadlineError)
    assert "no message within 0.3 s" in str(error)
    kept[0].close()


def test_a_silent_dialling_side_is_given_up_and_said(parties: dict[str, Credentials], opened: ExitStack) -> None:
    notes: list[str] = []
    listener = opened.enter_context(door(parties["server-0"], note=notes.append))
    for stranger in strangers(listener.port, 3):
        opened.enter_context(stranger)
    sentence = rf"no connection from client within 8 s, dropped meanwhile: no hello within {GREETING_S:g} s \(3x\)"
    with pytest.raises(DeadlineError, match=sentence):
        accept(listener, within_s=8)
    assert notes == [f"dropped a connection from 127.0.0.1: no hello within {GREETING_S:g} s"]


def test_a_closed_door_leaves_nobody_behind(
    parties: dict[str, Credentials], opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "GREETING_S", 100.0)
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    listener = door(parties["server-0"])
    kept = strangers(listener.port, 20)
    expires = time.monotonic() + 200
    while threading.active_count() < threads + 20:  # a thread for each, once the door has seen it
        assert time.monotonic() < expires
        with pytest.raises(DeadlineError):
            accept(listener, within_s=0.3)
    listener.close()
    listener.close()
    assert threading.active_count() == threads
    for stranger in kept:
        stranger.close()
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_port_that_is_connected_to_itself_is_not_a_peer(
    parties: dict[str, Credentials], opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may choose the dialled port for the dialling end, as it did here on purpose."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    create, themselves = socket.create_connection, []

    def create_connection(address: tuple[str, int], timeout: float) -> socket.socket:
        if themselves:
            return create(address, timeout)
        own = create(address, timeout, source_address=address)
        assert own.getsockname() == own.getpeername()
        themselves.append(own)
        return own

    monkeypatch.setattr(doors.socket, "create_connection", create_connection)

    def listen() -> object:
        while not themselves or themselves[0].fileno() != -1:
            time.sleep(0.005)
        with doors.Listener(("127.0.0.1", port), parties["server-0"], HELLO, deadline_s=60) as listener:
            return accept(listener)

    accepted, channel = outcomes(listen, lambda: dial(port, parties["client"], within_s=60))
    assert isinstance(accepted, TlsChannel), accepted
    assert isinstance(channel, TlsChannel), channel
    for end in (accepted, channel):
        end.close()


def test_nobody_listening_ends_with_the_address_and_the_wait(parties: dict[str, Credentials]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DeadlineError, match=rf"127.0.0.1:{port} within 0.1 s$"):
        dial(port, parties["client"], within_s=0.1)


def test_a_taken_port_is_named(parties: dict[str, Credentials], monkeypatch: pytest.MonkeyPatch) -> None:
    files = len(os.listdir("/proc/self/fd"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(TransportError, match=r"cannot listen at 127.0.0.1:\d+"):
            doors.Listener(taken.getsockname(), parties["client"], Hello("", "", ""), deadline_s=1)
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_bug_at_the_door_is_raised_where_the_party_waits(
    parties: dict[str, Credentials], opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(doors, "peer_name", broken)
    listener = opened.enter_context(door(parties["server-0"]))

    def come() -> None:
        with closing(certified(listener.port, parties["client"])):
            pass

    error, _ = outcomes(lambda: accept(listener), come)
    assert isinstance(error, ZeroDivisionError)
