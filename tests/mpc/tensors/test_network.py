"""Openings among many parties: exact in every width, one message to each peer in a round, and refusals by name."""

from __future__ import annotations

import numpy as np
import pytest

from mpc.channels.frames import Channel
from mpc.channels.memory import MemoryChannel, memory_pair
from mpc.errors import ParameterError, ProtocolError
from mpc.tensors.network import Network, Part, from_wire, to_wire, wire_bits, wire_size
from tests.mpc.channels.meeting import outcomes

RNG = np.random.default_rng(11)


def networks(names: str) -> dict[str, Network]:
    channels: dict[str, dict[str, Channel]] = {name: {} for name in names}
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            channels[first][second], channels[second][first] = memory_pair(first, second, 5)
    return {name: Network(name, channels[name]) for name in names}


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 16, 24, 31, 32, 33, 40, 56, 63, 64])
def test_words_travel_in_whole_bytes_and_nothing_above_their_width(bits: int) -> None:
    words = RNG.integers(0, 2**64, (3, 5), dtype=np.uint64)
    body = to_wire(words.T, bits)
    assert len(body) == wire_size(15, bits) == 15 * -(-bits // 8)
    expected = [int(v) % (1 << bits) for v in words.T.reshape(-1)]
    assert [int(v) for v in from_wire(body, bits)] == expected
    assert bytes(body) == b"".join(v.to_bytes(wire_bits(bits) // 8, "little") for v in expected)
    if bits % 8:
        with pytest.raises(ProtocolError, match=f"expected words of {bits} bits, found wider ones"):
            from_wire(memoryview(b"\xff" * (wire_bits(bits) // 8)), bits)


@pytest.mark.parametrize("names", ["ab", "abc", "abcde"])
def test_shares_add_up_and_planes_combine_in_one_round_with_one_message_a_peer(names: str) -> None:
    made = networks(names)
    shares = {name: RNG.integers(0, 2**64, (2, 3), dtype=np.uint64) for name in names}
    narrow = {name: RNG.integers(0, 2**64, (4,), dtype=np.uint64) for name in names}
    planes = {name: RNG.integers(0, 2**64, (5,), dtype=np.uint64) for name in names}

    def side(me: str) -> list[np.ndarray]:
        parts = [Part(shares[me]), Part(narrow[me], 13), Part(planes[me], planes=True)]
        return made[me].open("opening", [name for name in names if name != me], parts)

    for me, opened in zip(names, outcomes(*(lambda me=me: side(me) for me in names)), strict=True):
        assert isinstance(opened, list), opened
        assert (opened[0] == sum(shares.values())).all()
        assert [int(v) for v in opened[1]] == [sum(int(s[i]) for s in narrow.values()) % 2**13 for i in range(4)]
        assert (opened[2] == np.bitwise_xor.reduce(list(planes.values()))).all()
        assert made[me].rounds == 1
        for peer in names:
            if peer != me:
                channel = made[me].channel(peer)
                assert isinstance(channel, MemoryChannel)
                lengths = [(direction, len(body)) for direction, _, body in channel.transcript]
                assert lengths == [("sent", 48 + 8 + 40), ("received", 48 + 8 + 40)]
        total = (len(names) - 1) * (16 + len("opening") + 96)
        assert made[me].traffic() == (total, total)


def test_a_word_beyond_the_width_is_refused_with_the_peers_name() -> None:
    made = networks("ab")
    made["b"].channel("a").send("opening", b"\xff\xff")
    with (
        made["a"].in_step("negative"),
        pytest.raises(ProtocolError, match="step negative b: expected words of 13 bits"),
    ):
        made["a"].open("opening", ["b"], [Part(np.zeros(1, dtype=np.uint64), 13)])


def test_channels_must_lead_where_their_names_say() -> None:
    left, _ = memory_pair("a", "b")
    with pytest.raises(ParameterError, match="expected a channel from a to c, found one to b"):
        Network("a", {"c": left})
    with pytest.raises(ParameterError, match="expected a channel from b to b"):
        Network("b", {"b": left})
    network = Network("a", {"b": left})
    with pytest.raises(ParameterError, match="expected a channel from a to x, found channels to"):
        network.channel("x")
    assert "b" in repr(network)
    assert repr(Part(np.full(3, 7, dtype=np.uint64))) == "Part(shape=(3,), bits=64, planes=False)"
