"""Who may connect to whom: the right name, the right role, the same run; and many conversations at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from mpc.channels.attempts import Attempt
from mpc.channels.frames import Channel
from mpc.channels.tls import TlsChannel
from mpc.errors import DeadlineError, ProtocolError, RefusedError, TransportError
from orchestrator import certificates
from parties.frame.connections import Connections
from parties.frame.errors import AbsentError
from parties.frame.plan import RunFolders
from parties.frame.settings import Address, PartySettings, Peer
from tests.mpc.channels.meeting import outcomes

NAMES = ("client", "server-0", "privacy-guardian")
QUERYING, ANSWERING, GUARDIAN = "one who asks", "one who answers", "a third one"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> RunFolders:
    top = tmp_path_factory.mktemp("run")
    made = RunFolders(top / "files", top / "logs", "test")
    certificates.issue("test", [(name, made.party(name)) for name in NAMES])
    return made


def settings(folders: RunFolders, name: str, session: str = "session-1") -> PartySettings:
    return PartySettings(
        name=name, session=session, log=folders.log(name), supervisor=None,
        connect_deadline_s=20, message_deadline_s=20, run_deadline_s=60,
    )  # fmt: skip


AGREED = {"epsilon_budget": "10", "pool": "2"}


def party(
    folders: RunFolders,
    name: str,
    role: str,
    agreed: Mapping[str, str] = AGREED,
    session: str = "session-1",
    note: Callable[[str], None] = lambda _: None,
) -> Connections:
    return Connections(settings(folders, name, session), folders.party(name), role, agreed, note)


@pytest.fixture
def client(folders: RunFolders) -> Iterator[Connections]:
    with party(folders, "client", QUERYING) as made:
        yield made


def meet(
    client: Connections, server: Connections, peer: str = "server-0", expects: str = ANSWERING
) -> tuple[Channel, Channel]:
    """The client dials the server; whichever side fails first raises."""
    with server:
        listener = server.listen(Address(host="127.0.0.1", port=0))
        where = Peer(name=peer, host="127.0.0.1", port=listener.port)
        sides: list[Callable[[], Channel]] = [
            lambda: client.dial(where, expects),
            lambda: server.accept(listener, {"client": QUERYING}),
        ]
        first, second = client.with_each(sides, lambda side: side())
        first.send("ping", b"12345")
        assert bytes(second.recv("ping")) == b"12345"
        return first, second


def test_parties_of_one_run_meet_and_know_each_others_names(client: Connections, folders: RunFolders) -> None:
    ours, theirs = meet(client, party(folders, "server-0", ANSWERING))
    assert (ours.peer, theirs.peer) == ("server-0", "client")


def test_another_session_is_refused(client: Connections, folders: RunFolders) -> None:
    with pytest.raises(ProtocolError, match="session"):
        meet(client, party(folders, "server-0", ANSWERING, session="session-2"))


def test_other_public_parameters_are_refused_and_named_on_both_sides(client: Connections, folders: RunFolders) -> None:
    with party(folders, "server-0", ANSWERING, agreed={"epsilon_budget": "8", "sigma": "3"}) as server:
        listener = server.listen(Address(host="127.0.0.1", port=0))
        where = Peer(name="server-0", host="127.0.0.1", port=listener.port)
        ours, theirs = outcomes(
            lambda: client.dial(where, ANSWERING), lambda: server.accept(listener, {"client": QUERYING})
        )
    assert isinstance(ours, ProtocolError)
    assert isinstance(theirs, ProtocolError)
    assert str(ours) == (
        "step hello server-0: the public parameters differ in epsilon_budget: here 10, at server-0 8; "
        "pool: here 2, at server-0 absent; sigma: here absent, at server-0 3"
    )
    assert str(theirs) == (
        "step hello client: the public parameters differ in epsilon_budget: here 8, at client 10; "
        "sigma: here 3, at client absent; pool: here absent, at client 2"
    )


def test_another_role_is_refused(client: Connections, folders: RunFolders) -> None:
    with pytest.raises(ProtocolError, match="expected role one who answers, found a third one"):
        meet(client, party(folders, "server-0", GUARDIAN))


def test_another_name_is_refused_and_both_sides_say_so(client: Connections, folders: RunFolders) -> None:
    notes: list[str] = []
    with party(folders, "server-0", ANSWERING, note=notes.append) as server:
        listener = server.listen(Address(host="127.0.0.1", port=0))
        where = Peer(name="privacy-guardian", host="127.0.0.1", port=listener.port)
        error, waited = outcomes(
            lambda: client.dial(where, GUARDIAN), lambda: server.accept(listener, {"client": QUERYING}, 2.0)
        )
    assert isinstance(error, RefusedError)
    assert "expected privacy-guardian in the peer's certificate, found server-0" in str(error)
    assert isinstance(waited, DeadlineError)
    reason = "client: the peer refused this party: it expects another name in this party's certificate"
    assert str(waited) == f"step accept: no connection from client within 2 s, dropped meanwhile: {reason} (1x)"
    assert notes == [f"dropped a connection from 127.0.0.1: {reason}"]


def test_who_is_not_expected_is_not_let_in_and_both_sides_say_so(folders: RunFolders) -> None:
    with party(folders, "server-0", ANSWERING) as server, party(folders, "privacy-guardian", GUARDIAN) as intruder:
        listener = server.listen(Address(host="127.0.0.1", port=0))
        where = Peer(name="server-0", host="127.0.0.1", port=listener.port)
        waited, error = outcomes(
            lambda: server.accept(listener, {"client": QUERYING}, 2.0), lambda: intruder.dial(where, ANSWERING)
        )
    assert isinstance(waited, AbsentError)
    assert "dropped meanwhile: privacy-guardian: this party is not expected now (1x)" in str(waited)
    assert isinstance(error, RefusedError)
    assert "the peer refused this party: it expects another name in this party's certificate" in str(error)


def test_those_who_do_not_come_are_named(folders: RunFolders) -> None:
    with party(folders, "server-0", ANSWERING) as server:
        listener = server.listen(Address(host="127.0.0.1", port=0))
        with pytest.raises(AbsentError, match=r"no connection from a, b within 0\.1 s") as caught:
            server.accept(listener, {"b": QUERYING, "a": GUARDIAN}, within_s=0.1)
    assert caught.value.awaits == ("a", "b")


def test_a_peer_may_keep_silent_for_as_long_as_others_may_take_to_appear(folders: RunFolders) -> None:
    patient = settings(folders, "server-0").model_copy(update={"connect_deadline_s": 50.0})
    with Connections(patient, folders.party("server-0"), ANSWERING, AGREED) as server:
        with party(folders, "client", QUERYING) as client:
            listener = server.listen(Address(host="127.0.0.1", port=0))
            where = Peer(name="server-0", host="127.0.0.1", port=listener.port)
            sides: list[Callable[[], Channel]] = [
                lambda: server.accept(listener, {"client": QUERYING}),
                lambda: client.dial(where, ANSWERING),
            ]
            channel, _ = client.with_each(sides, lambda side: side())
        assert channel.deadline_s == 50
        server.begin()
        assert channel.deadline_s == 20


def test_with_each_keeps_the_order_and_works_at_once(client: Connections) -> None:
    barrier = threading.Barrier(5, timeout=30)  # nobody passes unless all five are there

    def work(number: int) -> int:
        barrier.wait()
        return number * number

    assert client.with_each(range(5), work) == [0, 1, 4, 9, 16]
    assert client.with_each([], work) == []


def test_work_beside_the_callers_own_is_not_in_its_way_and_its_failure_comes_afterwards(client: Connections) -> None:
    failed, done = threading.Event(), []

    def work(number: int) -> int:
        if number == 1:
            failed.set()
            raise KeyError(number)
        return number

    with client.meanwhile([0, 2], work) as working:
        assert working.results() == [0, 2]
    with pytest.raises(KeyError), client.meanwhile([0, 1], work):
        assert failed.wait(30)
        done.append("what was paid for")
    assert done == ["what was paid for"]
    with pytest.raises(KeyError) as caught, client.meanwhile([1], work):
        while not failed.is_set() or any(thread.is_alive() for thread in client._workers):
            time.sleep(0.001)
        raise ValueError("a consequence")
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_callers_failure_ends_the_work_beside_it(folders: RunFolders) -> None:
    with party(folders, "server-0", ANSWERING) as server, party(folders, "client", QUERYING) as client:
        listener = server.listen(Address(host="127.0.0.1", port=0))
        where = Peer(name="server-0", host="127.0.0.1", port=listener.port)
        sides: list[Callable[[], Channel]] = [
            lambda: client.dial(where, ANSWERING),
            lambda: server.accept(listener, {"client": QUERYING}),
        ]
        channel, _ = client.with_each(sides, lambda side: side())
        ended = []

        def work(_: int) -> None:
            with pytest.raises(TransportError, match=r"closed|broke"):
                channel.recv("never")
            ended.append(True)

        with pytest.raises(ValueError, match="mine"), client.meanwhile([0], work):
            raise ValueError("mine")
        assert ended == [True]


def test_a_failure_ends_the_threads_that_wait_for_peers_before_anything_is_closed(folders: RunFolders) -> None:
    """A socket closed under a thread would let its last record land in whatever file is opened next."""
    with party(folders, "server-0", ANSWERING) as server, party(folders, "client", QUERYING) as client:
        listener = server.listen(Address(host="127.0.0.1", port=0))
        where = Peer(name="server-0", host="127.0.0.1", port=listener.port)
        both: list[Callable[[], Channel]] = [
            lambda: client.dial(where, ANSWERING),
            lambda: server.accept(listener, {"client": QUERYING}),
        ]
        channel, _ = client.with_each(both, lambda side: side())
        threads = set[threading.Thread]()
        waiting = threading.Event()

        def work(number: int) -> None:
            threads.add(threading.current_thread())
            if number == 1:
                waiting.wait(30)
                raise KeyError(number)
            waiting.set()
            with pytest.raises(TransportError, match=r"closed|broke"):
                channel.recv("never")

        with pytest.raises(KeyError):
            client.with_each(range(2), work)
        assert len(threads) == 2
        assert not any(thread.is_alive() for thread in threads)


def test_a_thread_that_does_not_end_keeps_its_connection(folders: RunFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parties.frame.connections._GRACE_S", 0.1)
    computed = threading.Event()
    closed = []
    with pytest.raises(KeyError), party(folders, "client", QUERYING) as client:
        listener = client.listen(Address(host="127.0.0.1", port=0))
        monkeypatch.setattr(listener, "close", lambda: closed.append(listener))

        def work(number: int) -> None:
            if number == 1:
                raise KeyError(number)
            computed.wait(300)

        client.with_each(range(2), work)
    assert closed == []
    computed.set()


def test_connections_stay_open_for_threads_that_others_have_started(
    folders: RunFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed, closed = threading.Event(), []
    threads = [threading.Thread(target=computed.wait, args=(300,), daemon=True)]
    for alive in (True, False):
        with party(folders, "client", QUERYING) as client:
            listener = client.listen(Address(host="127.0.0.1", port=0))
            monkeypatch.setattr(listener, "close", lambda alive=alive: closed.append(alive))
            client.leave_open_for(threads)
            if alive:
                threads[0].start()
            else:
                computed.set()
                threads[0].join(60)
    assert closed == [False]


def test_what_was_left_open_for_a_thread_is_closed_once_it_has_ended(folders: RunFolders) -> None:
    """So a service that goes on does not gather connections of sessions that are over."""
    computed, late = threading.Event(), threading.Event()
    closed: list[str] = []
    threads = [threading.Thread(target=event.wait, args=(300,), daemon=True) for event in (computed, computed, late)]
    for thread in threads:
        thread.start()
    with party(folders, "client", QUERYING) as client:
        client.leave_open_for(threads[:2], lambda: closed.append("first"))
        client.leave_open_for(threads[1:], lambda: closed.append("second"))
        client.close_left()
        assert closed == []
        computed.set()
        for thread in threads[:2]:
            thread.join(60)
        client.close_left()
        client.close_left()
        assert closed == ["first"]
        late.set()
        threads[2].join(60)
        client.close_left()
    assert closed == ["first", "second"]


# -- attempts that are given up --------------------------------------------------------------------------------------


@pytest.mark.parametrize("listens", [False, True], ids=["nobody listens", "one that never greets"])
def test_an_attempt_that_is_given_up_ends_at_once_and_says_how_long_it_lasted(
    client: Connections, listens: bool
) -> None:
    """Its own deadline is 20 seconds. One that never greets keeps the connection in the system's queue."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if not listens:
            silent.close()
        attempt, where = Attempt(), Peer(name="server-0", host="127.0.0.1", port=port)
        began = time.monotonic()
        threading.Timer(1.0, attempt.give_up).start()
        with pytest.raises(DeadlineError, match=f"nobody accepted a connection at 127.0.0.1:{port} within [1-9] s"):
            client.dial(where, ANSWERING, attempt)
        assert 1.0 <= time.monotonic() - began < 10


def test_an_attempt_beside_a_peer_ends_when_that_peer_leaves(client: Connections, folders: RunFolders) -> None:
    with party(folders, "server-0", ANSWERING) as server, socket.create_server(("127.0.0.1", 0)) as silent:
        listener = server.listen(Address(host="127.0.0.1", port=0))
        here = Peer(name="server-0", host="127.0.0.1", port=listener.port)
        ours, theirs = outcomes(
            lambda: client.dial(here, ANSWERING), lambda: server.accept(listener, {"client": QUERYING})
        )
        nowhere = Peer(name="privacy-guardian", host="127.0.0.1", port=silent.getsockname()[1])
        began = time.monotonic()
        threading.Timer(1.0, ours.close).start()
        with pytest.raises(TransportError, match="step connect client: the peer closed the connection"):
            server.dial_beside(nowhere, GUARDIAN, theirs)
        assert 1.0 <= time.monotonic() - began < 10


def test_who_hangs_up_closes_those_channels_and_keeps_the_others(client: Connections, folders: RunFolders) -> None:
    with party(folders, "server-0", ANSWERING) as server:
        listener = server.listen(Address(host="127.0.0.1", port=0))
        where = Peer(name="server-0", host="127.0.0.1", port=listener.port)

        def meeting() -> list[TlsChannel]:
            return outcomes(
                lambda: client.dial(where, ANSWERING), lambda: server.accept(listener, {"client": QUERYING})
            )  # type: ignore[return-value]

        (kept, there), (ended, other) = meeting(), meeting()
        client.hang_up([ended])
        assert other.left
        assert not there.left
        client.hang_up([ended])  # once more, as where a signal interrupted the end of a session
        kept.send("ping", b"12345")
        assert bytes(there.recv("ping")) == b"12345"
        client.hang_up()
        assert there.left
        (again, _) = meeting()  # whoever listened goes on
        assert again.peer == "server-0"


def three(client: Connections, folders: RunFolders) -> tuple[Connections, Channel, Channel]:
    """A guardian that is connected to the client and to a server, with its peers' ends."""
    guardian = party(folders, "privacy-guardian", GUARDIAN)
    server = party(folders, "server-0", ANSWERING)
    listener = guardian.listen(Address(host="127.0.0.1", port=0))
    where = Peer(name="privacy-guardian", host="127.0.0.1", port=listener.port)
    asked = [
        lambda: client.dial(where, GUARDIAN),
        lambda: server.dial(where, GUARDIAN),
        lambda: guardian.accept(listener, {"client": QUERYING, "server-0": ANSWERING}),
        lambda: guardian.accept(listener, {"client": QUERYING, "server-0": ANSWERING}),
    ]
    ours, theirs, *_ = outcomes(*asked)
    assert isinstance(ours, Channel)
    assert isinstance(theirs, Channel)
    return guardian, ours, theirs


@pytest.mark.parametrize("manner", ["at the end", "with threads"])
def test_who_ends_because_of_a_lost_peer_tells_the_others_its_name(
    client: Connections, folders: RunFolders, manner: str
) -> None:
    guardian, ours, theirs = three(client, folders)
    theirs.close()
    lost = TransportError("the peer closed the connection", peer="server-0", step="2")
    with pytest.raises(TransportError), guardian:
        if manner == "at the end":
            raise lost
        with guardian.meanwhile([1], lambda _: time.sleep(0.1)):
            raise lost
    with pytest.raises(TransportError, match="server-0: privacy-guardian has no connection to it"):
        ours.recv("sum")


def test_another_error_is_not_told(client: Connections, folders: RunFolders) -> None:
    guardian, ours, theirs = three(client, folders)
    with pytest.raises(ProtocolError), guardian:
        raise ProtocolError("expected a sum, found noise", peer="server-0", step="2")
    for channel in (ours, theirs):
        with pytest.raises(TransportError, match="privacy-guardian: the peer closed the connection"):
            channel.recv("sum")


def test_who_waited_in_vain_for_a_peer_tells_the_others_its_name(client: Connections, folders: RunFolders) -> None:
    guardian, ours, _ = three(client, folders)
    with pytest.raises(AbsentError), guardian:
        listener = guardian.listen(Address(host="127.0.0.1", port=0))
        guardian.accept(listener, {"server-0": ANSWERING}, within_s=0.1)
    with pytest.raises(TransportError, match="server-0: privacy-guardian has no connection to it"):
        ours.recv("sum")


def test_a_wait_for_a_peer_ends_with_the_name_of_whom_another_has_lost(
    client: Connections, folders: RunFolders
) -> None:
    guardian, ours, theirs = three(client, folders)
    theirs.close()
    ours.say_lost("server-0")
    ours.close()
    with guardian:
        beside = next(one for one in guardian._open if isinstance(one, TlsChannel) and one.peer == "client")
        listener = guardian.listen(Address(host="127.0.0.1", port=0))
        with pytest.raises(TransportError, match="server-0: client has no connection to it"):
            guardian.accept(listener, {"server-0": ANSWERING}, beside=beside)
