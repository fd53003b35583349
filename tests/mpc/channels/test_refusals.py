"""Certificates, versions and names that are refused: both sides say why, over real sockets."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from mpc.channels.credentials import Credentials
from mpc.channels.tls import TlsChannel
from mpc.errors import DeadlineError, RefusedError
from tests.authority import Authority
from tests.mpc.channels.meeting import PATIENCE_S, accept, dial, door, outcomes

HOURS = datetime.timedelta(hours=1)
WAIT_S = 4.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Credentials:
    return authority.issue("server-0")


@pytest.fixture(scope="module")
def client(authority: Authority) -> Credentials:
    return authority.issue("client")


def expired(authority: Authority, name: str) -> Credentials:
    return authority.issue(name, since=-3 * HOURS, until=-HOURS)


def early(authority: Authority, name: str) -> Credentials:
    return authority.issue(name, since=HOURS, until=3 * HOURS)


def of_another_authority(authority: Authority, name: str) -> Credentials:
    other = Authority(authority.folder / f"foreign-{name}", "foreign authority")
    return replace(other.issue(name), authority=authority.path)


def of_a_namesake(authority: Authority, name: str) -> Credentials:
    """Of another authority with the same name."""
    return replace(Authority(authority.folder / f"namesake-{name}").issue(name), authority=authority.path)


def with_two_names(authority: Authority, name: str) -> Credentials:
    return authority.issue(name, dns_names=[name, "other"])


def without_a_name(authority: Authority, name: str) -> Credentials:
    return authority.issue(name, dns_names=[])


def with_another_name(authority: Authority, _: str) -> Credentials:
    return authority.issue("stranger")


REFUSED_NAME = "the peer refused this party: it expects another name in this party's certificate"
CASES = [  # credentials, what the refusing side says, what the refused side hears
    (expired, "certificate has expired, valid from 20", "this party's certificate has expired"),
    (early, "certificate is not yet valid or the system clock is incorrect, valid from 20",
     "this party's certificate is not valid, or not yet"),
    (of_another_authority, "unable to get local issuer certificate",
     "this party's certificate is not from the authority of the peer's run"),
    (of_a_namesake, "certificate signature failure",
     "this party's certificate is not signed by the authority of the peer's run"),
    (with_two_names, "expected one DNS name in the peer's certificate, found 2", REFUSED_NAME),
    (without_a_name, "expected one DNS name in the peer's certificate, found 0", REFUSED_NAME),
]  # fmt: skip
Bad = Callable[[Authority, str], Credentials]
cases = pytest.mark.parametrize(("bad", "says", "hears"), CASES, ids=[case[0].__name__ for case in CASES])


def refused(listening: Credentials, dialling: Credentials) -> tuple[str, str, list[str]]:
    """What both sides say in the end, and what the listening side notes at once."""
    notes: list[str] = []
    with door(listening, note=notes.append) as listener:
        waited, error = outcomes(
            lambda: accept(listener, within_s=WAIT_S), lambda: dial(listener.port, dialling, within_s=60)
        )
    assert isinstance(waited, DeadlineError), waited
    assert isinstance(error, RefusedError), error
    assert error.peer == "server-0"
    return str(waited), str(error), notes


@cases
def test_a_dialling_side_is_refused(authority: Authority, server: Credentials, bad: Bad, says: str, hears: str) -> None:
    listening, dialling, notes = refused(server, bad(authority, "client"))
    assert says in listening
    assert "dropped meanwhile" in listening
    assert hears in dialling
    assert len(notes) == 1
    assert says in notes[0]


@cases
def test_a_listening_side_is_refused(
    authority: Authority, client: Credentials, bad: Bad, says: str, hears: str
) -> None:
    listening, dialling, notes = refused(bad(authority, "server-0"), client)
    assert says in dialling
    assert hears in listening
    assert len(notes) == 1
    assert hears in notes[0]


def test_another_name_on_either_side_is_refused(authority: Authority, server: Credentials, client: Credentials) -> None:
    listening, dialling, _ = refused(server, with_another_name(authority, "client"))
    assert "stranger: this party is not expected now" in listening
    assert REFUSED_NAME in dialling
    listening, dialling, _ = refused(with_another_name(authority, "server-0"), client)
    assert REFUSED_NAME in listening
    assert "expected server-0 in the peer's certificate, found stranger" in dialling


def of_python(client: Credentials, version: ssl.TLSVersion, *, certificate: bool = True) -> ssl.SSLContext:
    """The context of another implementation of TLS."""
    context = ssl.create_default_context(cafile=str(client.authority))
    context.minimum_version = context.maximum_version = version
    if certificate:
        context.load_cert_chain(str(client.certificate), str(client.key))
    return context


def say_hello(port: int, context: ssl.SSLContext) -> str:
    """What the other implementation hears after its handshake, which may end before it is refused."""
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with pytest.raises(ssl.SSLError) as caught, context.wrap_socket(plain, server_hostname="server-0") as wrapped:
            wrapped.sendall(b"anything")
            wrapped.recv(1)
    return str(caught.value)


def test_a_client_without_a_certificate_is_refused_and_hears_why(server: Credentials, client: Credentials) -> None:
    context = of_python(client, ssl.TLSVersion.TLSv1_3, certificate=False)
    with door(server) as listener:
        waited, heard = outcomes(lambda: accept(listener, within_s=WAIT_S), lambda: say_hello(listener.port, context))
    assert isinstance(waited, DeadlineError)
    assert "dropped meanwhile: the TLS handshake failed (peer did not return a certificate)" in str(waited)
    assert "CERTIFICATE_REQUIRED" in str(heard)


def test_older_tls_is_refused(server: Credentials, client: Credentials) -> None:
    with door(server) as listener:
        waited, heard = outcomes(
            lambda: accept(listener, within_s=WAIT_S),
            lambda: say_hello(listener.port, of_python(client, ssl.TLSVersion.TLSv1_2)),
        )
    assert isinstance(waited, DeadlineError)
    assert "unsupported protocol" in str(waited)
    assert "PROTOCOL_VERSION" in str(heard)


def test_a_listening_side_that_speaks_no_tls_is_named(client: Credentials) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        plain.settimeout(PATIENCE_S)

        def answer() -> None:
            with plain.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(1 << 12)

        _, error = outcomes(answer, lambda: dial(plain.getsockname()[1], client))
    assert isinstance(error, RefusedError)
    assert "step connect server-0: the TLS handshake failed (" in str(error)


def test_no_session_is_resumed(server: Credentials, client: Credentials) -> None:
    """Whatever a client has saved, the listening side shakes hands in full and shows its certificate again."""
    context = of_python(client, ssl.TLSVersion.TLSv1_3)
    received: list[str] = []

    def look(_: Any, direction: str, __: Any, ___: Any, kind: Any, ____: bytes) -> None:
        if direction == "read":
            received.append(getattr(kind, "name", ""))

    context._msg_callback = look  # type: ignore[attr-defined]
    with door(server) as listener:
        saved = None
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", listener.port)) as plain:

                def come(plain: socket.socket = plain, saved: ssl.SSLSession | None = saved) -> ssl.SSLSession | None:
                    with context.wrap_socket(plain, server_hostname="server-0", session=saved) as wrapped:
                        wrapped.settimeout(0.3)
                        with pytest.raises(TimeoutError):  # whatever follows the handshake has come by then
                            wrapped.recv(1)
                        assert wrapped.session_reused is False
                        return wrapped.session

                waited, saved = outcomes(lambda: accept(listener, within_s=3), come)  # type: ignore[assignment]
                assert isinstance(waited, DeadlineError)
                assert isinstance(saved, ssl.SSLSession), saved
    assert received.count("CERTIFICATE") == received.count("FINISHED") == 2


def test_strangers_do_not_get_in_and_do_not_end_the_wait(
    authority: Authority, server: Credentials, client: Credentials
) -> None:
    with door(server) as listener:

        def come() -> TlsChannel:
            with socket.create_connection(("127.0.0.1", listener.port)) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            for bad in (of_another_authority, with_another_name):
                with pytest.raises(RefusedError):
                    dial(listener.port, bad(authority, "client"))
            return dial(listener.port, client)

        accepted, channel = outcomes(lambda: accept(listener, within_s=60), come)
    assert isinstance(accepted, TlsChannel), accepted
    assert isinstance(channel, TlsChannel), channel
    with closing(accepted), closing(channel):
        assert accepted.peer == "client"
