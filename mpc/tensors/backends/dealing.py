"""Random correlations, as their provider gives them and as the computing parties take them.

The provider shares a seed with each computing party. Whatever is random comes from the seeds on both sides, without a
message. Whatever depends on it, such as the product of two masks, is shared so: all parties but the last draw their
shares from their seeds, and the last one gets what is missing, the *correction*::

    party i       stream i    a_i                 share of a         stream i    c_i
    last party    stream n    a_n                 share of a         c_n = correction
    provider      all         a = a_1 + ... + a_n, c = f(a)          correction = c - c_1 - ... - c_(n-1)

The provider runs the same calls with shapes alone and sends corrections ahead without waiting for anybody. A correction
is one message for each call. Its label carries a number, the kind and the shapes, so that parties that do not compute
the same refuse each other.

Alone, each party learns nothing. Its shares are drawn from its own seed or hidden by another party's seed. So the
provider must collude with nobody, and any n - 1 parties see shares that are uniform, whatever the masks are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod

import numpy as np

from mpc.channels.frames import Channel
from mpc.errors import ProtocolError, TransportError
from mpc.ring import Words
from mpc.tensors.backends.handles import Owed
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import KeyStream, whole
from mpc.tensors.network import from_wire, to_wire, wire_size

_LONGEST_SHAPES = 120  # characters of a label


def shapes_in_label(shapes: Sequence[Shape]) -> str:
    """Return shapes as they stand in a label, shortened where there are many."""
    return _in_label(tuple(shapes))


@lru_cache(maxsize=1024)
def _in_label(shapes: tuple[Shape, ...]) -> str:
    text = " ".join("x".join(map(str, shape)) or "1" for shape in shapes)
    words = sum(prod(shape) for shape in shapes)
    return text if len(text) <= _LONGEST_SHAPES else f"{len(shapes)} arrays of {words}"


def draw(stream: KeyStream, shape: Shape, bits: int) -> Words:
    """Draw uniform words of Z_2^bits from a stream. Each takes 1, 2, 4 or 8 bytes of it."""
    if bits == 64:
        return stream.words(shape)
    count = prod(shape)
    width = 1 if bits <= 8 else 2 if bits <= 16 else 4 if bits <= 32 else 8
    words = stream.words((count * width + 7) // 8)
    if width < 8:
        words = words.view(f"<u{width}")[:count].astype(np.uint64)
    if bits < 8 * width:
        words &= np.uint64((1 << bits) - 1)
    return words.reshape(shape)


def add_drawn(total: Words, stream: KeyStream, bits: int) -> Words:
    """Return total + words that are drawn from a stream, in the memory of `total`, which is in C order."""
    if bits == 64:
        stream.add_to(total)
        return total
    total += draw(stream, total.shape, bits)
    return total


def less_drawn(words: Words, stream: KeyStream, bits: int) -> Words:
    """Return words less those that are drawn from a stream, in new memory."""
    return stream.subtracted(whole(words)) if bits == 64 else words - draw(stream, words.shape, bits)


class Correlation:
    """What is dealt in one message, from when it is entered until it is left."""

    __slots__ = ("_dealing", "_detail", "_kind", "_shapes")

    def __init__(self, dealing: Dealing, kind: str, shapes: Sequence[Shape], detail: str) -> None:
        self._dealing, self._kind, self._shapes, self._detail = dealing, kind, shapes, detail

    def __enter__(self) -> None:
        dealing = self._dealing
        if not dealing._open:
            dealing._kind, dealing._about = self._kind, (self._detail, self._shapes)
            dealing._number += 1
        dealing._open += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        dealing = self._dealing
        dealing._open -= 1
        if kind is None and not dealing._open:
            dealing._end()


class Dealing(ABC):
    """A source of correlations, which all who take part call in the same order.

    Attributes:
        given: how many words of each kind were dealt beyond what comes from seeds.
    """

    def __init__(self) -> None:
        self.given: dict[str, int] = {}
        self._number = 0
        self._kind = ""
        self._about: tuple[str, Sequence[Shape]] = "", ()
        self._open = 0  # correlations that stand within each other

    def correlation(self, kind: str, shapes: Sequence[Shape], detail: str = "") -> Correlation:
        """Deal all that is asked for meanwhile in one message. Within another correlation it is part of that one.

        `detail` is whatever else the provider's work depends on, such as a number of bits.
        """
        return Correlation(self, kind, shapes, detail)

    @property
    def _label(self) -> str:
        """The label of the correlation's message, which not every party needs."""
        detail, shapes = self._about
        about = f"{self._kind} ({detail})" if detail else self._kind
        return f"dealt/{self._number - 1}/{about}/{shapes_in_label(shapes)}"

    @abstractmethod
    def mask(self, shape: Shape, bits: int) -> Words:
        """Return a uniform array of Z_2^bits: a party's share of it, or the provider's array itself."""

    @abstractmethod
    def owners_mask(self, place: int, shape: Shape, bits: int) -> Words:
        """Return a uniform array of Z_2^bits that computing party number `place` and the provider alone know.

        The shares of all others are zero. They do not call this.
        """

    @abstractmethod
    def mask_planes(self, shape: Shape) -> Words:
        """Return uniform planes: a party's XOR share of them, or the provider's planes themselves."""

    @abstractmethod
    def deal(self, shape: Shape, bits: int, make: Callable[[], Words]) -> Words:
        """Return a party's share of what the provider alone makes, in Z_2^bits. The provider gets what it made."""

    @abstractmethod
    def deal_planes(self, shape: Shape, make: Callable[[], Words]) -> Words:
        """Return a party's XOR share of planes that the provider alone makes. The provider gets what it made."""

    def owe(self, shape: Shape, make: Callable[[], Words]) -> Owed:
        """Return what the provider alone makes, and deals later if ever."""
        return Owed(shape, None)

    @abstractmethod
    def _end(self) -> None:
        """End the message of one correlation."""

    def _count(self, shape: Shape) -> int:
        count = prod(shape)
        self.given[self._kind] = self.given.get(self._kind, 0) + count
        return count


class Given(Dealing):
    """The provider's side.

    Args:
        streams: with each computing party, in their order.
        last: the channel to the last computing party.
    """

    def __init__(self, streams: Sequence[KeyStream], last: Channel) -> None:
        super().__init__()
        self._streams = streams
        self._last = last
        self._parts: list[memoryview] = []

    def mask(self, shape: Shape, bits: int) -> Words:
        total = draw(self._streams[0], shape, bits)
        for stream in self._streams[1:]:
            add_drawn(total, stream, bits)
        return total if bits == 64 else total & np.uint64((1 << bits) - 1)

    def owners_mask(self, place: int, shape: Shape, bits: int) -> Words:
        return draw(self._streams[place], shape, bits)

    def mask_planes(self, shape: Shape) -> Words:
        total = draw(self._streams[0], shape, 64)
        for stream in self._streams[1:]:
            total ^= draw(stream, shape, 64)
        return total

    def deal(self, shape: Shape, bits: int, make: Callable[[], Words]) -> Words:
        self._count(shape)
        made = make()
        rest = made
        for stream in self._streams[:-1]:
            rest = less_drawn(rest, stream, bits)
        self._parts.append(to_wire(rest, bits))
        return made

    def owe(self, shape: Shape, make: Callable[[], Words]) -> Owed:
        return Owed(shape, make())

    def deal_planes(self, shape: Shape, make: Callable[[], Words]) -> Words:
        self._count(shape)
        made = make()
        rest = made
        for stream in self._streams[:-1]:
            rest = rest ^ draw(stream, shape, 64)
        self._parts.append(to_wire(rest, 64))
        return made

    def _end(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            self._last.send(self._label, *parts)

    def __repr__(self) -> str:
        return "Given(<hidden>)"


class Taken(Dealing):
    """A computing party's side.

    Args:
        stream: with the provider.
        provider: the channel to it, for the last computing party alone, which gets the corrections.
    """

    def __init__(self, stream: KeyStream, provider: Channel | None) -> None:
        super().__init__()
        self._stream = stream
        self._provider = provider
        self._body: memoryview | None = None
        self._start = 0

    def mask(self, shape: Shape, bits: int) -> Words:
        return draw(self._stream, shape, bits)

    def owners_mask(self, place: int, shape: Shape, bits: int) -> Words:
        return draw(self._stream, shape, bits)

    def mask_planes(self, shape: Shape) -> Words:
        return draw(self._stream, shape, 64)

    def deal(self, shape: Shape, bits: int, make: Callable[[], Words]) -> Words:
        count = self._count(shape)
        if self._provider is None:
            return draw(self._stream, shape, bits)
        part = self._take(self._provider, wire_size(count, bits))
        try:
            return from_wire(part, bits).reshape(shape)
        except ProtocolError:
            with self._provider.naming_peer():
                raise

    def deal_planes(self, shape: Shape, make: Callable[[], Words]) -> Words:
        count = self._count(shape)
        if self._provider is None:
            return draw(self._stream, shape, 64)
        return from_wire(self._take(self._provider, 8 * count), 64).reshape(shape)

    def _take(self, provider: Channel, size: int) -> memoryview:
        """Return the next bytes of the correlation's message, which is received when its first bytes are needed."""
        if self._body is None:
            try:
                self._body, self._start = provider.recv(self._label), 0
            except TransportError as error:
                sentence = f"expected '{self._label}', found that {error.args[0]}"
                raise type(error)(sentence, peer=error.peer, step=error.step) from error
        end = self._start + size
        if end > len(self._body):
            raise self._wrong(provider, f"at least {end}")
        part, self._start = self._body[self._start : end], end
        return part

    def _end(self) -> None:
        body, self._body = self._body, None
        if body is not None and self._provider is not None and self._start != len(body):
            self._body = body
            raise self._wrong(self._provider, str(self._start))

    def _wrong(self, provider: Channel, size: str) -> ProtocolError:
        return ProtocolError.mismatch(
            f"bytes in '{self._label}'", size, len(self._body or b""), peer=provider.peer, step=provider.step
        )

    def __repr__(self) -> str:
        return "Taken(<hidden>)"
