"""A listening side without a session of its own takes the first that fits, and a revoked certificate lets nobody in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from mpc.channels.credentials import Credentials
from mpc.channels.doors import Listener
from mpc.channels.hello import CHECKING, NO_SESSION, Admission, Hello, digest_of, session_of
from mpc.channels.tls import TlsChannel
from mpc.errors import DeadlineError, ProtocolError, RefusedError, TransportError
from tests.authority import Authority
from tests.mpc.channels.meeting import ANSWERING, accept, dial, outcomes

A, B = session_of("client", "a" * 32), session_of("other", "b" * 32)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def server(authority: Authority) -> Credentials:
    return authority.issue("server-0")


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def service(server: Credentials, notes: list[str]) -> Iterator[tuple[Listener, Admission]]:
    admission = Admission()
    own = Hello(ANSWERING, NO_SESSION, digest_of({}))
    with Listener(
        ("127.0.0.1", 0), server, own, agreed={}, deadline_s=60, note=notes.append, admission=admission
    ) as listener:
        yield listener, admission


def test_the_first_that_fits_brings_the_session(
    service: tuple[Listener, Admission], authority: Authority, notes: list[str]
) -> None:
    """One with other parameters, one with a foreign session and one with a name that is no session do not."""
    listener, admission = service
    client, other = authority.issue("client"), authority.issue("other")

    def come() -> TlsChannel:
        with pytest.raises(ProtocolError, match="the public parameters differ in queries: here 3, at server-0 absent"):
            dial(listener.port, other, session=B, agreed={"queries": "3"})
        for wrong in (A, "other/short", "session"):
            with pytest.raises(ProtocolError, match="expected session"):
                dial(listener.port, other, session=wrong, agreed={})
        assert admission.session == ""
        return dial(listener.port, client, session=A, agreed={})

    accepted, dialled = outcomes(lambda: accept(listener, "client", "other", within_s=60), come)
    assert isinstance(accepted, TlsChannel), accepted
    assert isinstance(dialled, TlsChannel), dialled
    with closing(accepted), closing(dialled):
        assert (accepted.peer, admission.session) == ("client", A)
    assert len(notes) == 4
    assert "the public parameters differ in queries" in notes[0]


def test_who_comes_for_another_session_is_told_to_come_again(
    service: tuple[Listener, Admission], authority: Authority
) -> None:
    listener, _ = service
    client, other = authority.issue("client"), authority.issue("other")
    accepted, dialled = outcomes(
        lambda: accept(listener, "client", "other"), lambda: dial(listener.port, client, session=A, agreed={})
    )
    assert isinstance(accepted, TlsChannel), accepted
    assert isinstance(dialled, TlsChannel), dialled
    with closing(accepted), closing(dialled):
        for expected in (("client", "other"), ("client",)):  # whether its name is awaited now or not
            waited, error = outcomes(
                lambda expected=expected: accept(listener, *expected, within_s=2),
                lambda: dial(listener.port, other, session=B, agreed={}, within_s=1),
            )
            assert isinstance(waited, DeadlineError), waited
            assert isinstance(error, DeadlineError), error
            assert "the listening side serves another session" in str(error)


def test_a_session_whose_bringer_came_to_nothing_is_forgotten() -> None:
    admission, own = Admission(), Hello("one who answers", NO_SESSION, "digest")
    first, second = object(), object()
    hello = Hello("one who asks", A, "digest")
    for other in ({"parameters": "another digest"}, {"role": "one who answers"}, {"version": 7}):
        admission.answer(own, msgspec.structs.replace(hello, **other), "one who asks", "client", first)
        assert admission.session == ""  # not even until this connection ends
    assert admission.answer(own, hello, "one who asks", "client", first).session == A
    admission.withdraw(second)
    assert admission.session == A
    admission.withdraw(first)
    assert admission.session == ""


def test_a_service_with_one_session_for_good_takes_all_that_fit_and_keeps_it() -> None:
    admission, own = Admission("study/service"), Hello("one who answers", "study/service", "digest")

    def answer(session: str, role: str | None, says: str = "one who asks") -> Hello:
        arrival = object()
        found = admission.answer(own, Hello(says, session, "digest"), role, "client", arrival)
        admission.withdraw(arrival)
        return found

    assert answer("study/service", "one who asks") == own
    assert answer(A, "one who asks").refused == "busy"
    assert answer("study/service", None).refused == "name"
    assert answer("0" * 32, None, CHECKING).session == "0" * 32
    assert admission.session == "study/service"


def test_the_wait_ends_when_the_peer_beside_leaves(service: tuple[Listener, Admission], authority: Authority) -> None:
    listener, _ = service
    client = authority.issue("client")
    accepted, dialled = outcomes(lambda: accept(listener), lambda: dial(listener.port, client, session=A, agreed={}))
    assert isinstance(accepted, TlsChannel), accepted
    assert isinstance(dialled, TlsChannel), dialled
    dialled.close()
    with closing(accepted), pytest.raises(TransportError, match="the peer closed") as caught:
        listener.accept({"other": "one who asks"}, within_s=60, beside=accepted)
    assert caught.value.peer == "client"


def test_a_list_that_is_installed_while_a_party_listens_counts_for_the_next_that_comes(
    authority: Authority, server: Credentials
) -> None:
    client = authority.issue("client")
    server = replace(server, revoked=authority.revoke())
    with Listener(
        ("127.0.0.1", 0), server, Hello(ANSWERING, "session", digest_of({})), agreed={}, deadline_s=60
    ) as listener:
        accepted, dialled = outcomes(lambda: accept(listener), lambda: dial(listener.port, client))
        assert isinstance(accepted, TlsChannel), accepted
        assert isinstance(dialled, TlsChannel), dialled
        accepted.close()
        dialled.close()
        authority.revoke(client)
        waited, error = outcomes(lambda: accept(listener, within_s=6), lambda: dial(listener.port, client))
    assert isinstance(waited, DeadlineError), waited
    assert "the peer's certificate is refused (certificate revoked)" in str(waited)
    assert isinstance(error, RefusedError), error
    assert "this party's certificate has been revoked" in str(error)


def test_a_revoked_listening_side_is_refused(authority: Authority, server: Credentials) -> None:
    client = replace(authority.issue("client"), revoked=authority.revoke(server))
    with Listener(
        ("127.0.0.1", 0), server, Hello(ANSWERING, "session", digest_of({})), agreed={}, deadline_s=60
    ) as listener:
        waited, error = outcomes(lambda: accept(listener, within_s=6), lambda: dial(listener.port, client))
    assert "this party's certificate has been revoked" in str(waited)
    assert isinstance(error, RefusedError), error
    assert "the peer's certificate is refused (certificate revoked)" in str(error)


def test_a_list_that_is_gone_or_another_authoritys_lets_nobody_in(
    authority: Authority, server: Credentials, tmp_path: Path
) -> None:
    with pytest.raises(TransportError, match="cannot use the credentials"):
        replace(server, revoked=tmp_path / "absent.pem").context()
    client = replace(authority.issue("client"), revoked=Authority(tmp_path / "foreign", "foreign").revoke())
    with Listener(
        ("127.0.0.1", 0), server, Hello(ANSWERING, "session", digest_of({})), agreed={}, deadline_s=60
    ) as listener:
        _, error = outcomes(lambda: accept(listener, within_s=6), lambda: dial(listener.port, client))
    assert isinstance(error, RefusedError), error
    assert "unable to get certificate CRL" in str(error)
