"""Random correlations with MACs, as their provider gives them and as the computing parties take them.

The provider draws a key for each computing party from that party's stream. The sum of all keys, which nobody else
knows, authenticates every number that is dealt::

    party i       stream i    x'_i, m_i            shares of x' and of its MAC
    last party    stream n    x'_n                 m_n = correction, and of what is not random x'_n's lower word, too
    provider      all         x' = sum of x'_i     correction = key x' - m_1 - ... - m_(n-1)     modulo 2^128

A bit is one word b D over F_2^48, shared by XOR, for a key D whose lowest bit is one. So the lowest bit of a party's
word is its share of b, and the 47 other ones are its share of the MAC. Comparisons work on such words, one for each bit
of each value, where the back-end `dealer` works on planes.

The provider is honest. So what it authenticates is what it says, no correlation is sacrificed to test another, and the
MACs themselves need no proof. All that is left to a cheating party is to open something else than its share.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from mpc._core import bit_planes, pack_bit_words, wide_macs
from mpc.channels.frames import Channel
from mpc.errors import OrderError
from mpc.ring import Words
from mpc.tensors.backends.authenticated.values import Dealt
from mpc.tensors.backends.authenticated.wide import Wide, add, subtract
from mpc.tensors.backends.dealing import Dealing, Given, Taken, draw
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import KeyStream, whole
from mpc.tensors.network import from_wire, to_wire, wire_size

BIT_WORD = 48
"""Bits of a bit's word: the bit and 47 bits of its MAC."""


class MacDealing(Dealing):
    """A source of correlations with MACs."""

    @abstractmethod
    def authentic_mask(self, shape: Shape) -> Dealt:
        """Return a uniform array of numbers modulo 2^128 with its MACs."""

    @abstractmethod
    def authentic(self, shape: Shape, make: Callable[[], Words]) -> Dealt:
        """Return an array of words that the provider alone makes, with its MACs."""


def _bit_key(stream: KeyStream, *, first: bool) -> np.uint64:
    """Draw a party's part of the key of bits. The lowest bits of all parts have the XOR 1."""
    (word,) = draw(stream, (1,), BIT_WORD)
    return np.uint64((int(word) & ~1) | first)


class MacGiven(Given, MacDealing):
    """The provider's side. See :class:`~mpc.tensors.backends.dealing.Given`."""

    def __init__(self, streams: Sequence[KeyStream], last: Channel) -> None:
        super().__init__(streams, last)
        keys, bit_key = 0, 0
        for place, stream in enumerate(streams):
            keys += int(draw(stream, (1,), 64)[0])
            bit_key ^= int(_bit_key(stream, first=place == 0))
        self._key_low, self._key_high = (np.asarray(word, dtype=np.uint64) for word in (keys % 2**64, keys >> 64))
        self._bit_key = np.uint64(bit_key)

    def authentic_mask(self, shape: Shape) -> Dealt:
        low, high = draw(self._streams[-1], (2, *shape), 64)
        macs = []
        for stream in self._streams[:-1]:
            theirs = draw(stream, (2, 2, *shape), 64)
            low, high = add(low, high, theirs[0, 0], theirs[1, 0])
            macs.append((theirs[0, 1], theirs[1, 1]))
        self._send_macs(low, high, macs)
        return Dealt(value=low)

    def authentic(self, shape: Shape, make: Callable[[], Words]) -> Dealt:
        self._count(shape)
        made = np.asarray(make())
        high = draw(self._streams[-1], shape, 64)
        known_low, macs = np.zeros_like(high), []
        for place, stream in enumerate(self._streams[:-1]):
            theirs = draw(stream, (2, 2, *shape), 64)
            if place == 0:
                known_low, high = theirs[0, 0], high + theirs[1, 0]
            else:
                known_low, high = add(known_low, high, theirs[0, 0], theirs[1, 0])
            macs.append((theirs[0, 1], theirs[1, 1]))
        rest = np.asarray(made - known_low)
        high = high + (made < known_low)  # the carry of known_low + rest
        self._parts.append(to_wire(rest, 64))
        self._send_macs(made, high, macs)
        return Dealt(value=made)

    def _send_macs(self, low: Words, high: Words, macs: Sequence[tuple[Words, Words]]) -> None:
        """Send the last party its shares of the MACs of numbers, of which the others have these."""
        first, *rest = macs
        low, high, less_low, less_high = (np.asarray(half, order="C") for half in (low, high, *first))
        mac_low, mac_high = wide_macs(low, high, int(self._key_low), int(self._key_high), less_low, less_high)
        for theirs in rest:
            mac_low, mac_high = subtract(mac_low, mac_high, *theirs)
        self._parts += [to_wire(mac_low, 64), to_wire(mac_high, 64)]

    def mask_planes(self, shape: Shape) -> Words:
        """Return uniform bits, each in a word that is all zeros or all ones."""
        bits = self._streams[-1].words((prod(shape) + 7) // 8).view(np.uint8)[: prod(shape)]
        others = self._others_words(shape)
        planes = bit_planes(others, bits)
        self._send_words(planes, others)
        return planes

    def deal_planes(self, shape: Shape, make: Callable[[], Words]) -> Words:
        """Return what the provider makes: bits, each in a word that is all zeros or all ones."""
        self._count(shape)
        made = make()
        self._send_words(whole(made), self._others_words(shape))
        return made

    def _others_words(self, shape: Shape) -> Words:
        """Return the XOR of the words of all but the last party, with more bits above them, which do not leave."""
        words = self._streams[0].words(shape)
        for stream in self._streams[1:-1]:
            stream.exclusive_or_into(words)
        return words

    def _send_words(self, planes: Words, others: Words) -> None:
        self._parts.append(memoryview(pack_bit_words(planes, others, int(self._bit_key), BIT_WORD // 8)))

    def __repr__(self) -> str:
        return "MacGiven(<hidden>)"


class MacTaken(Taken, MacDealing):
    """A computing party's side. See :class:`~mpc.tensors.backends.dealing.Taken`.

    Attributes:
        key: this party's part of the key of numbers.
        bit_key: this party's part of the key of bits.
    """

    def __init__(self, stream: KeyStream, provider: Channel | None, *, first: bool) -> None:
        super().__init__(stream, provider)
        self.key = np.uint64(draw(stream, (1,), 64)[0])
        self.bit_key = _bit_key(stream, first=first)

    def authentic_mask(self, shape: Shape) -> Dealt:
        if self._provider is None:
            return self._drawn(shape)
        low, high = draw(self._stream, (2, *shape), 64)
        return Dealt(share=self._with_macs(low, high))

    def authentic(self, shape: Shape, make: Callable[[], Words]) -> Dealt:
        self._count(shape)
        if self._provider is None:
            return self._drawn(shape)
        high = draw(self._stream, shape, 64)
        return Dealt(share=self._with_macs(self._taken(shape, 64), high))

    def _drawn(self, shape: Shape) -> Dealt:
        low, high = draw(self._stream, (2, 2, *shape), 64)
        return Dealt(share=Wide(low, high))

    def _with_macs(self, low: Words, high: Words) -> Wide:
        mac_low, mac_high = self._taken(low.shape, 64), self._taken(low.shape, 64)
        return Wide(np.stack((low, mac_low)), np.stack((high, mac_high)))

    def mask_planes(self, shape: Shape) -> Words:
        if self._provider is None:
            return draw(self._stream, shape, BIT_WORD)
        draw(self._stream, shape, 1)  # which says what the bits are, and is part of the words that come
        return self._taken(shape, BIT_WORD)

    def deal_planes(self, shape: Shape, make: Callable[[], Words]) -> Words:
        self._count(shape)
        return draw(self._stream, shape, BIT_WORD) if self._provider is None else self._taken(shape, BIT_WORD)

    def _taken(self, shape: Shape, bits: int) -> Words:
        if self._provider is None:
            raise OrderError("expected corrections for the last party alone, found another one that takes them")
        part = self._take(self._provider, wire_size(prod(shape), bits))
        with self._provider.naming_peer():
            return from_wire(part, bits).reshape(shape)

    def __repr__(self) -> str:
        return "MacTaken(<hidden>)"
