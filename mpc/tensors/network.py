"""The channels of one party to all others by name, and openings of shares over them.

An opening is symmetric. Each party sends its shares to every other one and adds up what it receives, in one round and
with one message to each peer. All messages of a round move at once (:func:`~mpc.channels.frames.exchange_all`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mpc._core import pack_words, unpack_words
from mpc.channels.frames import Buffer, Channel, exchange_all
from mpc.errors import ParameterError, ProtocolError
from mpc.ring import Words

_WIDTHS = {8: "<u1", 16: "<u2", 32: "<u4", 64: "<u8"}  # bits that numpy converts in one pass


def wire_bits(bits: int) -> int:
    """Return the width on the wire of an element of Z_2^bits, in whole bytes."""
    return (bits + 7) // 8 * 8


def wire_size(count: int, bits: int) -> int:
    """Return the bytes that so many elements of Z_2^bits take on the wire."""
    return count * (wire_bits(bits) // 8)


def to_wire(words: Words, bits: int) -> memoryview:
    """Return words modulo 2^bits as bytes, each in whole bytes. Nothing of the bits above the width leaves."""
    width = wire_bits(bits)
    if bits == 64 and words.ndim and words.size and words.flags.c_contiguous:
        return words.data.cast("B")
    if bits != width:
        words = words & np.uint64((1 << bits) - 1)
    if kind := _WIDTHS.get(width):
        return np.ascontiguousarray(words).reshape(-1).astype(kind, copy=False).view(np.uint8).data
    return memoryview(pack_words(np.ascontiguousarray(words), width))


def from_wire(body: memoryview, bits: int) -> Words:
    """Return flat words of Z_2^bits from bytes, the inverse of :func:`to_wire`. Raises ProtocolError for wider ones."""
    if bits == 64:
        return np.frombuffer(body, dtype=np.uint64)
    width = wire_bits(bits)
    if kind := _WIDTHS.get(width):
        words = np.frombuffer(body, dtype=kind).astype(np.uint64, copy=False)
    else:
        words = unpack_words(body, len(body) * 8 // width, width)
    if bits != width and words.size and int(words.max()) >> bits:
        raise ProtocolError(f"expected words of {bits} bits, found wider ones")
    return words


@dataclass(frozen=True, repr=False)
class Part:
    """What a party opens in a round: shares that are added modulo 2^bits, or planes that are combined by XOR.

    Attributes:
        shares: of this party.
        bits, planes: how they are put together.
        sender: the one party whose share is not zero for all to know, and who alone sends it. None for all parties.
    """

    shares: Words
    bits: int = 64
    planes: bool = False
    sender: str | None = None

    def __repr__(self) -> str:
        return f"Part(shape={self.shares.shape}, bits={self.bits}, planes={self.planes})"


def _sizes_from(peers: Sequence[str], parts: Sequence[Part]) -> dict[str, int]:
    """Return the bytes that each peer sends in a round, without those peers that send no part."""
    if all([part.sender is None for part in parts]):
        return dict.fromkeys(peers, sum([wire_size(part.shares.size, part.bits) for part in parts])) if parts else {}
    sizes: dict[str, int] = {}
    for part in parts:
        size = wire_size(part.shares.size, part.bits)
        for peer in peers if part.sender is None else (part.sender,):
            if peer in peers:
                sizes[peer] = sizes.get(peer, 0) + size
    return sizes


class InStep:
    """Names the step of channels, from when it is entered until it is left."""

    __slots__ = ("_channels", "_outer", "_step")

    def __init__(self, channels: Sequence[Channel], step: str) -> None:
        self._channels, self._step = channels, step
        self._outer = [channel.step for channel in channels]

    def __enter__(self) -> None:
        for channel in self._channels:
            channel.step = self._step

    def __exit__(self, *_: object) -> None:
        for channel, before in zip(self._channels, self._outer, strict=True):
            channel.step = before


class Network:
    """The channels of one party to all others.

    Attributes:
        me: this party's name.
        rounds: how often this party has waited for messages of others.
    """

    def __init__(self, me: str, channels: Mapping[str, Channel]) -> None:
        for name, channel in channels.items():
            if channel.peer != name or name == me:
                raise ParameterError(f"expected a channel from {me} to {name}, found one to {channel.peer}")
        self.me = me
        self.rounds = 0
        self._channels = dict(channels)
        self._before = self._crossed()

    @property
    def peers(self) -> tuple[str, ...]:
        """The names of all others that this party has a channel to."""
        return tuple(self._channels)

    def channel(self, peer: str) -> Channel:
        """Return the channel to one peer. Raises ParameterError where there is none."""
        if peer not in self._channels:
            raise ParameterError(f"expected a channel from {self.me} to {peer}, found channels to {self.peers}")
        return self._channels[peer]

    def in_step(self, step: str) -> InStep:
        """Count traffic under `step` within this context. Errors name it, too."""
        return InStep(list(self._channels.values()), step)

    def swap(
        self, label: str, bodies: Mapping[str, Sequence[Buffer]], sizes: Mapping[str, int]
    ) -> dict[str, memoryview]:
        """Send bodies, in parts, to some peers and receive bodies of these sizes from some, at once, in one round."""
        memory = {peer: np.empty(size, dtype=np.uint8).data for peer, size in sizes.items()}
        peers = [peer for peer in self._channels if peer in bodies or peer in sizes]
        exchange_all(label, [(self._channels[peer], bodies.get(peer), memory.get(peer)) for peer in peers])
        self.rounds += bool(sizes)
        return memory

    def open(self, label: str, peers: Sequence[str], parts: Sequence[Part]) -> list[Words]:
        """Open shares to these peers, who open theirs to this party, in one round.

        Whoever sends no part of a round sends no message in it, and whoever alone sends all parts waits for nobody.

        Returns:
            for each part the sum of all parties' shares modulo 2^bits, or the XOR, in the part's shape.
        """
        own = [to_wire(part.shares, part.bits) for part in parts if part.sender is None or part.sender == self.me]
        received = self.swap(label, dict.fromkeys(peers, own) if own else {}, _sizes_from(peers, parts))
        places = dict.fromkeys(received, 0)
        opened = []
        for part in parts:
            total, size = part.shares, wire_size(part.shares.size, part.bits)
            for peer in peers if part.sender is None else (part.sender,) if part.sender != self.me else ():
                start = places[peer]
                places[peer] = end = start + size
                words = self._words_from(peer, received[peer][start:end], part.bits).reshape(part.shares.shape)
                if part.sender is not None:
                    total = words
                    continue
                flags = words.flags
                into = words if flags.writeable and flags.aligned else None  # what came in is nobody else's
                total = (np.bitwise_xor if part.planes else np.add)(total, words, out=into)
            if part.bits < 64 and not part.planes:
                total = total & np.uint64((1 << part.bits) - 1)
            opened.append(total)
        return opened

    def _words_from(self, peer: str, body: memoryview, bits: int) -> Words:
        """Return words from a peer's message. An error names the peer."""
        try:
            return from_wire(body, bits)
        except ProtocolError:
            with self._channels[peer].naming_peer():
                raise

    def traffic(self) -> tuple[int, int]:
        """Return the bytes that were sent and received over all channels since this was made, with headers."""
        sent, received = self._crossed()
        return sent - self._before[0], received - self._before[1]

    def _crossed(self) -> tuple[int, int]:
        steps = [traffic for channel in self._channels.values() for traffic in channel.traffic.values()]
        return sum(step.sent for step in steps), sum(step.received for step in steps)

    def close(self) -> None:
        """End all conversations. They may be ended again."""
        for channel in self._channels.values():
            channel.close()

    def __repr__(self) -> str:
        return f"Network(me={self.me!r}, peers={self.peers})"
