"""What a client says of hosts whose answers differ, or are malformed."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from mpc.channels.sockets import SocketChannel
from mpc.errors import DeadlineError, ProtocolError, TransportError
from mpc.tensors.backends.subsets import SUMS
from mpc.tensors.delivery import Question
from parties.frame.errors import AbsentError
from parties.tensors.serving.client import Client
from parties.tensors.serving.messages import Outcome
from tests.parties.tensors.services import FORMAT, RECORDS


def what_a_client_says(said: dict[str, tuple[Outcome, bytes]]) -> ProtocolError:
    """What a client raises of answers that come in this order."""
    told = SimpleNamespace(ring_bits=64, pads=SUMS, answer_s=60.0, name="ann")
    client = Client(told, None, None, None)  # type: ignore[arg-type]  # it has connections already
    asked = Question.of(RECORDS[:1], (1, 3), 8, (1, 2), FORMAT, len(said), pads=SUMS)
    hosts = []
    try:
        for name, (outcome, word) in said.items():
            mine, theirs = (SocketChannel(peer, 60.0, end)
                            for peer, end in zip((name, "ann"), local_pair(), strict=True))  # fmt: skip
            client._channels.append(mine)  # type: ignore[arg-type]
            hosts.append(theirs)
            theirs.send_message("outcome", outcome)
            theirs.send("answer", word.ljust(asked.size, b"0"))
        with pytest.raises(ProtocolError) as caught:
            outcome, bodies = client._ask_once(1, asked, time.monotonic() + 60.0)
            asked.answer(bodies, outcome.fraction_bits, bytes.fromhex(outcome.coins))
    finally:
        for channel in (*client._channels, *hosts):
            channel.close()
    return caught.value


def local_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return socket.create_connection(server.getsockname()), server.accept()[0]


GOOD = (Outcome("answer", fraction_bits=16, coins="0" * 64), b"right")


@pytest.mark.parametrize("first", ["cheater", "honest"])
@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ((Outcome("answer", fraction_bits=15, coins="0" * 64), b"right"), "the same fraction bits"),
        ((Outcome("answer", fraction_bits=16, coins="1" * 64), b"right"), "the same coins"),
        ((GOOD[0], b"wrong"), "the same answer"),
    ],
)
def test_where_two_hosts_differ_the_client_names_both_and_blames_neither(
    first: str, bad: tuple[Outcome, bytes], what: str
) -> None:
    both = {"cheater": bad, "honest": GOOD}
    error = what_a_client_says({first: both.pop(first)} | both)
    assert error.peer == ""
    assert what in str(error)
    assert {"cheater", "honest"} <= set(str(error).split())
    assert "the client cannot tell which one is wrong" in str(error)


@pytest.mark.parametrize("first", ["cheater", "honest"])
@pytest.mark.parametrize("bad", [{"fraction_bits": 64}, {"fraction_bits": -1}, {"coins": "g" * 64}, {"coins": ""}])
def test_a_host_whose_answer_is_malformed_is_named(first: str, bad: dict[str, Any]) -> None:
    both = {"cheater": (msgspec.structs.replace(GOOD[0], **bad), b"right"), "honest": GOOD}
    assert what_a_client_says({first: both.pop(first)} | both).peer == "cheater"


def test_hosts_that_give_no_answer_are_all_listed_and_none_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is there may wait for one that is lost. Whoever looks for that one is told whom the client awaits."""
    told = SimpleNamespace(
        ring_bits=64, pads=SUMS, answer_s=0.2, name="ann", largest_batch=4, computing=("here", "lost"), format=FORMAT
    )
    model = SimpleNamespace(input=(3,), bound=8, output=(2,))
    client = Client(told, model, None, SimpleNamespace(note=print))  # type: ignore[arg-type]  # it has connections
    pairs = [local_pair() for _ in range(2)]
    monkeypatch.setattr(client, "hang_up", lambda: None)
    try:
        for name, (mine, _) in zip(("here", "lost"), pairs, strict=True):
            client._channels.append(SocketChannel(name, 60.0, mine))  # type: ignore[arg-type]
        with pytest.raises(AbsentError, match=r"no answer of here, lost within 0\.2 s$") as caught:
            client.ask(RECORDS[:1])
        assert (caught.value.peer, caught.value.awaits) == ("", ("here", "lost"))
    finally:
        for pair in pairs:
            for end in pair:
                end.close()


def test_a_host_that_cannot_be_reached_is_awaited_and_a_busy_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    told = SimpleNamespace(
        ring_bits=64, pads=0, answer_s=0.0, name="ann", largest_batch=4, computing=("here", "lost"), format=FORMAT
    )
    model = SimpleNamespace(input=(3,), bound=8, output=(2,))
    client = Client(told, model, None, SimpleNamespace(note=print))  # type: ignore[arg-type]  # it needs none

    def lost(expires: float) -> None:
        raise TransportError("nobody listens", peer="lost", step="connect")

    monkeypatch.setattr(client, "_connect", lost)
    monkeypatch.setattr(client, "hang_up", lambda: None)
    with pytest.raises(AbsentError, match="last because step connect lost: nobody listens") as caught:
        client.ask(RECORDS[:1])
    assert caught.value.awaits == ("lost",)
    monkeypatch.setattr(client, "_connect", lambda expires: None)
    monkeypatch.setattr(client, "_ask_once", lambda *asked: (Outcome("busy", "all lanes are taken"), []))
    with pytest.raises(DeadlineError, match="last because all lanes are taken") as late:
        client.ask(RECORDS[:1])
    assert not isinstance(late.value, AbsentError)
