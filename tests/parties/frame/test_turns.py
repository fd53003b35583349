"""A process of a service that waits for its turn still answers whoever comes to the door."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpc.channels.hello import CHECKING, session_of
from mpc.channels.tls import TlsChannel
from mpc.errors import BusyError, DeadlineError, TransportError
from orchestrator import certificates
from parties.frame.connections import Connections
from parties.frame.plan import RunFolders
from parties.frame.settings import Address, PartySettings, Peer, Place
from parties.frame.turnstile import Lock
from tests.mpc.channels.meeting import outcomes

SERVING, ASKING = "a service", "one who opens"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> RunFolders:
    top = tmp_path_factory.mktemp("run")
    made = RunFolders(top / "files", top / "logs", "test")
    certificates.issue("test", [(name, made.party(name)) for name in ("host", "first", "second")])
    return made


def party(folders: RunFolders, name: str, role: str, within_s: float = 2.0, place: Place | None = None) -> Connections:
    settings = PartySettings(
        name=name, session="" if place else session_of(name, "a" * 32), log=folders.log(name), supervisor=None,
        connect_deadline_s=within_s, message_deadline_s=20, run_deadline_s=60, place=place,
    )  # fmt: skip
    return Connections(settings, folders.party(name), role, {})


class Waiting:
    """A service's process whose earlier session goes on, so that it waits with a session of its own."""

    def __init__(self, folders: RunFolders, top: Path) -> None:
        self.earlier = Lock(top / "turn")
        assert self.earlier.try_to_take()
        self.door = socket.create_server(("127.0.0.1", 0), backlog=8)
        self.peer = Peer(name="host", host="127.0.0.1", port=self.door.getsockname()[1])
        self.top = top
        self.folders = folders
        self.error: Exception | None = None
        self.turns: list[str] = []

    def serve(self) -> None:
        place = Place(descriptor=self.door.dup().detach(), door=self.top / "door", session=self.top / "turn")
        try:
            with party(self.folders, "host", SERVING, place=place) as connections:
                listener = connections.listen(Address(host="127.0.0.1", port=0))
                opener, _ = connections.admit(listener, dict.fromkeys(["first", "second"], ASKING))
                connections.await_turn(listener=listener, opener=opener)
                self.turns.append(opener.peer)
                connections.close_door(listener)
                connections._taking_turns().serving.give_back()  # as the end of its process does
        except TransportError as error:
            self.error = error


@pytest.fixture
def waiting(folders: RunFolders, tmp_path: Path) -> Iterator[tuple[Waiting, TlsChannel, threading.Thread]]:
    service = Waiting(folders, tmp_path)
    thread = threading.Thread(target=service.serve)
    thread.start()
    with party(folders, "first", ASKING, 60) as first:
        channel = first.dial(service.peer, SERVING)
        yield service, channel, thread
    service.earlier.give_back()
    thread.join(60)
    service.door.close()
    assert not thread.is_alive()


def test_a_third_that_asks_is_told_of_the_session_and_one_that_checks_gets_its_answer(
    waiting: tuple[Waiting, TlsChannel, threading.Thread], folders: RunFolders
) -> None:
    service, _, thread = waiting
    with party(folders, "second", ASKING) as second, pytest.raises(DeadlineError) as caught:
        second.dial(service.peer, SERVING)
    assert isinstance(caught.value.__cause__, BusyError)
    with party(folders, "second", CHECKING, 60) as second:
        assert second.dial(service.peer, SERVING).peer == "host"
    service.earlier.give_back()
    thread.join(60)
    assert service.turns == ["first"]


def test_who_waits_in_line_comes_in_when_the_door_is_free(
    waiting: tuple[Waiting, TlsChannel, threading.Thread], folders: RunFolders
) -> None:
    service, _, thread = waiting
    told = threading.Event()
    following = threading.Thread(target=service.serve)

    def end_the_session() -> None:
        assert told.wait(60)
        service.earlier.give_back()
        thread.join(60)
        following.start()

    with party(folders, "second", ASKING) as second:
        found, _ = outcomes(lambda: second.dial_in_line(service.peer, SERVING, told.set), end_the_session)
        assert isinstance(found, TlsChannel), found
        following.join(60)
    assert service.turns == ["first", "second"]


def test_the_wait_ends_when_the_one_that_opened_the_session_leaves(
    waiting: tuple[Waiting, TlsChannel, threading.Thread],
) -> None:
    service, channel, thread = waiting
    began = time.monotonic()
    channel.close()
    thread.join(60)
    assert (service.turns, service.error is not None) == ([], True)
    assert time.monotonic() - began < 50
