"""What differs between two parties is named on both sides, and a peer that deviates gains nothing by the exchange."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from mpc.channels.frames import WIRE_VERSION, Channel
from mpc.channels.hello import Agreed, Hello, digest_of, exchange_hello
from mpc.channels.memory import MemoryChannel, memory_pair
from mpc.errors import PeerError, ProtocolError, RefusedError
from tests.mpc.channels.meeting import ANSWERING, QUERYING, outcomes

OURS = {"delta": "0.00001", "epsilon_budget": "10", "pool": "2"}
THEIRS = OURS | {"epsilon_budget": "8"}


def hello(role: str, agreed: dict[str, str], session: str = "s") -> Hello:
    return Hello(role, session, digest_of(agreed))


def against(peer: Callable[[Channel], object], agreed: dict[str, str] | None = OURS) -> tuple[str, MemoryChannel]:
    """What the party that listens says of a peer that does anything, and its end."""
    other, ours = memory_pair("hospital-b", "here")
    _, error = outcomes(
        lambda: peer(other),
        lambda: exchange_hello(ours, hello(ANSWERING, OURS), QUERYING, speaks_first=False, agreed=agreed),
    )
    assert isinstance(error, ProtocolError), error
    assert len(str(error)) < 1500
    assert str(error).isprintable()
    return str(error), ours


def say(channel: Channel, parameters: dict[str, str], digest: str | None = None) -> None:
    channel.send_message("hello", Hello(QUERYING, "s", digest or digest_of(parameters)))
    channel.recv_message("hello", Hello)
    channel.send_message("hello/parameters", Agreed(parameters))


def test_the_digest_follows_names_and_values_and_no_order() -> None:
    assert digest_of(OURS) == digest_of(dict(reversed(OURS.items())))
    digests = {digest_of(one) for one in (OURS, THEIRS, {**OURS, "new": ""}, {"delta": "0.00001"}, {})}
    assert len(digests) == 5
    assert digest_of({"a": "bc"}) != digest_of({"ab": "c"})


def test_both_sides_name_the_field_and_both_values() -> None:
    first, second = memory_pair("hospital-a", "hospital-b")
    dialling, listening = outcomes(
        lambda: exchange_hello(first, hello(QUERYING, OURS), ANSWERING, speaks_first=True, agreed=OURS),
        lambda: exchange_hello(second, hello(ANSWERING, THEIRS), QUERYING, speaks_first=False, agreed=THEIRS),
    )
    differ = "the public parameters differ in epsilon_budget: here"
    assert str(dialling) == f"step hello hospital-b: {differ} 10, at hospital-b 8"
    assert str(listening) == f"step hello hospital-a: {differ} 8, at hospital-a 10"
    assert first.deadline_s == second.deadline_s == 60


def test_nothing_more_is_sent_where_parties_agree_or_are_in_other_runs() -> None:
    for session, fine in (("s", True), ("t", False)):
        first, second = memory_pair("a", "b")
        sides = outcomes(
            lambda first=first: exchange_hello(first, hello(QUERYING, OURS), ANSWERING, speaks_first=True, agreed=OURS),
            lambda second=second, session=session, fine=fine: exchange_hello(
                second, hello(ANSWERING, OURS if fine else THEIRS, session), QUERYING, speaks_first=False, agreed=OURS
            ),
        )
        assert [isinstance(side, Hello) for side in sides] == [fine, fine]
        assert [label for _, label, _ in first.transcript] == ["hello", "hello"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 99}, f"expected wire version {WIRE_VERSION}, found 99"),
        ({"role": "somebody"}, "expected role one who asks, found somebody"),
        ({"session": "yesterday's"}, "expected session s, found yesterday's"),
        ({"parameters": digest_of(THEIRS)}, f"{digest_of(OURS)}, found {digest_of(THEIRS)}"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_field_of_a_hello_is_compared_alone(change: dict[str, object], words: str) -> None:
    other = msgspec.structs.replace(hello(QUERYING, OURS), **change)
    assert words in against(lambda channel: channel.send_message("hello", other), agreed=None)[0]


def test_another_role_is_named_also_where_parameters_differ() -> None:
    def peer(channel: Channel) -> None:
        channel.send_message("hello", hello("somebody", THEIRS))
        channel.recv_message("hello", Hello)
        channel.send_message("hello/parameters", Agreed(THEIRS))

    assert "expected role one who asks, found somebody" in against(peer)[0]


def test_without_parameters_there_are_the_digests() -> None:
    sentence, ours = against(lambda channel: say(channel, THEIRS), agreed=None)
    assert f"expected digest of public parameters {digest_of(OURS)}, found {digest_of(THEIRS)}" in sentence
    assert [label for way, label, _ in ours.transcript if way == "sent"] == ["hello"]


@pytest.mark.parametrize("say_more", ["nothing", "another message", "no text", "more than allowed"])
def test_a_peer_that_does_not_show_its_parameters_is_refused_all_the_same(say_more: str) -> None:
    def peer(channel: Channel) -> None:
        channel.send_message("hello", hello(QUERYING, THEIRS))
        channel.recv_message("hello", Hello)
        if say_more == "another message":
            channel.send("paillier/key", b"")
        elif say_more == "no text":
            channel.send("hello/parameters", msgspec.msgpack.encode({"parameters": {"epsilon_budget": 8}}))
        elif say_more == "more than allowed":
            channel.send_message("hello/parameters", Agreed({str(number): "x" * 100 for number in range(1000)}))

    sentence, ours = against(peer)
    assert f"expected digest of public parameters {digest_of(OURS)}, found {digest_of(THEIRS)}" in sentence
    assert [label for way, label, _ in ours.transcript if way == "sent"] == ["hello"]


def test_parameters_that_are_not_behind_the_digest_are_not_believed() -> None:
    sentence, _ = against(lambda channel: say(channel, OURS, digest="0" * 64))
    assert f"found {'0' * 64}, whose parameters have another digest ({digest_of(OURS)})" in sentence


def test_what_a_peer_says_is_shown_shortened_and_printable() -> None:
    names = {f"field {number}": "v" * 1000 for number in range(20)} | {"\x1b[2Jü\n": "\u202e\x00"}
    sentence, _ = against(lambda channel: say(channel, OURS | names))
    assert "the public parameters differ in '\\x1b[2J\\xfc\\n': here absent, at hospital-b '\\u202e\\x00'" in sentence
    assert sentence.endswith("and 13 more")
    assert sentence.count("v" * 80 + "...") == 7
    assert "v" * 81 not in sentence
    sentence, _ = against(lambda channel: channel.send_message("hello", Hello("\x07" * 3000, "s", digest_of(OURS))))
    assert "\\x07" in sentence


def test_a_refused_name_is_said_and_not_answered() -> None:
    first, second = memory_pair("client", "server-0", deadline_s=0.2)
    first.send_message("hello", Hello(QUERYING, "s", "d", refused="name"))
    with pytest.raises(RefusedError, match="client: the peer refused this party: it expects another name"):
        exchange_hello(second, Hello(ANSWERING, "s", "d"), QUERYING, speaks_first=False)
    with pytest.raises(PeerError, match="no message"):
        first.recv("hello")
    first.send("hello", msgspec.msgpack.encode(msgspec.to_builtins(Hello(QUERYING, "s", "d")) | {"refused": "all"}))
    with pytest.raises(ProtocolError, match="expected a Hello"):
        exchange_hello(second, Hello(ANSWERING, "s", "d"), QUERYING, speaks_first=False)


def test_a_hello_that_refuses_nothing_has_the_bytes_that_it_always_had() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(Hello("r", "s", "d"))) == {
        "role": "r", "session": "s", "parameters": "d", "version": 1,
    }  # fmt: skip
