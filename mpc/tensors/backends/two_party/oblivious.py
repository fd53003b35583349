"""Oblivious transfers between the two parties, in both directions at once.

Each party is the sender of one session of OTs and the receiver of another. A step takes two rounds::

    receiver of each session       choices, behind an OT extension where OTs are short   ---->   its sender
    sender of each session         the masked differences of its words                   ---->   its receiver

Both parties end with a share of choice times difference, for each OT. The OTs and what is hidden from whom are in
``mpc/core/ot/word_ot.hpp``. Base OTs are made once a session.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpc._core import EvaluatorSession, GarblerSession
from mpc.channels.frames import Buffer
from mpc.garbled.pieces import BLOCK_BYTES, CHECK_BYTES, OTS_A_BLOCK
from mpc.garbled.session import POINT_BYTES, REPLY_BYTES, SUMS_BYTES
from mpc.randomness import RoleRandomness, core_seed
from mpc.ring import Words, packed_size
from mpc.tensors.network import Network

OTS_AT_ONCE = 1 << 19  # of one message, which bounds what a step holds


@dataclass(frozen=True, repr=False)
class Sent:
    """What a party sends in `count` OTs: differences `(count, words)`."""

    differences: Words

    def __repr__(self) -> str:
        return f"Sent(shape={self.differences.shape})"


@dataclass(frozen=True, repr=False)
class Chosen:
    """What a party chooses in as many OTs as there are bits, and how many words it receives in each."""

    bits: Words
    words: int = 1

    def __repr__(self) -> str:
        return f"Chosen(shape={self.bits.shape}, words={self.words})"


def _extension_bytes(missing: int) -> int:
    """Return the length of the message that makes so many OTs, or nothing."""
    return -(-missing // OTS_A_BLOCK) * BLOCK_BYTES + CHECK_BYTES if missing > 0 else 0


class Transfers:
    """One party's ends of both sessions of OTs. Making it does the base OTs, in three rounds.

    Args:
        network: with a channel to the peer.
        peer: the other computing party.
        randomness: for known-answer tests.
    """

    def __init__(self, network: Network, peer: str, randomness: RoleRandomness) -> None:
        self._network = network
        self._peer = peer
        self._number = 0
        self._sender = GarblerSession(core_seed(randomness.source("ot/sender")))
        self._receiver = EvaluatorSession(core_seed(randomness.source("ot/receiver")))
        with network.channel(peer).naming_peer():
            theirs = self._swap("ot/base/1", [self._receiver.start_base()], POINT_BYTES)
            theirs = self._swap("ot/base/2", [self._sender.receive_base(theirs)], REPLY_BYTES)
            theirs = self._swap("ot/base/3", [self._receiver.receive_base(theirs)], SUMS_BYTES)
            self._sender.finish_base(theirs)

    def words(self, kind: str, sent: Sent, chosen: Chosen, bits: int) -> tuple[Words, Words]:
        """Do OTs of words modulo 2^bits in both directions, of which either may be empty.

        Args:
            kind: what for, in the labels of the messages.
            sent: this party's differences, facing the peer's bits.
            chosen: this party's bits, facing the peer's differences.
            bits: of the words.

        Returns:
            this party's shares of the differences that the peer chose, `(count, words)`, and of those that it chose.
        """
        sends, receives = len(sent.differences), len(chosen.bits)
        words = sent.differences.shape[1]
        shares = np.zeros((sends, words), dtype=np.uint64)
        received = np.zeros((receives, chosen.words), dtype=np.uint64)
        for first in range(0, max(sends, receives), OTS_AT_ONCE):
            out, into = slice(first, first + OTS_AT_ONCE), slice(first, first + OTS_AT_ONCE)
            given, bits_now = sent.differences[out], chosen.bits[into]
            shares[out], received[into] = self._words(kind, given, Chosen(bits_now, chosen.words), bits)
        return shares, received

    def _words(self, kind: str, given: Words, chosen: Chosen, bits: int) -> tuple[Words, Words]:
        """Do so many OTs as one message holds."""
        sends, words = given.shape
        receives = len(chosen.bits)
        label = f"ot/{self._number}/{kind}/{bits} bits"
        self._number += 1
        choices = np.packbits(chosen.bits.astype(np.uint8), bitorder="little").tobytes()
        extension = self._extension(receives)
        mine = self._receiver.choose_words(receives, chosen.words, bits, choices) if receives else None
        split = _extension_bytes(sends - self._sender.ots_left)
        theirs = self._swap(
            f"{label}/choices", [extension, mine.corrections if mine else b""], split + packed_size(sends, 1)
        )
        message, shares = b"", np.zeros(0, dtype=np.uint64)
        if sends:
            self._extend(theirs[:split])
            with self._network.channel(self._peer).naming_peer():
                message, shares = self._sender.send_words(
                    sends, words, bits, theirs[split:], np.ascontiguousarray(given).reshape(-1)
                )
        body = self._swap(f"{label}/words", [message], mine.message_bytes if mine else 0)
        received = np.zeros(0, dtype=np.uint64)
        if mine:
            with self._network.channel(self._peer).naming_peer():
                received = mine.receive(body)
        return shares.reshape(sends, words), received.reshape(receives, chosen.words)

    def products(self, sent: Words, chosen: Words, bits: int) -> Words:
        """Return a share of this party's `sent` times the peer's `chosen`, plus the peer's times this one's, flat.

        All four arrays have one length. The share is the sum of both products' shares modulo 2^bits. Each product takes
        `bits` OTs.
        """
        at_once = max(1, OTS_AT_ONCE // bits)
        parts = [
            self._products(sent[first : first + at_once], chosen[first : first + at_once], bits)
            for first in range(0, len(sent), at_once)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)

    def _products(self, sent: Words, chosen: Words, bits: int) -> Words:
        label = f"ot/{self._number}/products/{bits} bits"
        self._number += 1
        ots = len(chosen) * bits
        extension = self._extension(ots)
        mine = self._receiver.choose_products(bits, np.ascontiguousarray(chosen))
        split = _extension_bytes(ots - self._sender.ots_left)
        theirs = self._swap(f"{label}/choices", [extension, mine.corrections], split + packed_size(ots, 1))
        self._extend(theirs[:split])
        with self._network.channel(self._peer).naming_peer():
            message, shares = self._sender.send_products(bits, theirs[split:], np.ascontiguousarray(sent))
        body = self._swap(f"{label}/words", [message], mine.message_bytes)
        with self._network.channel(self._peer).naming_peer():
            return np.asarray(shares + mine.receive(body))

    def _extension(self, count: int) -> bytes:
        """Return the message that makes the OTs that the receiver lacks, or nothing."""
        missing = count - self._receiver.ots_left
        return self._receiver.extend(missing) if missing > 0 else b""

    def _extend(self, message: Buffer) -> None:
        """Take the peer's message that makes OTs, if there is one."""
        if len(message):
            with self._network.channel(self._peer).naming_peer():
                self._sender.extend(message)

    def _swap(self, label: str, body: list[Buffer], size: int) -> memoryview:
        """Send a body to the peer and receive one. One that is empty on both sides is not sent."""
        bodies = {self._peer: body} if any(map(len, body)) else {}
        return self._network.swap(label, bodies, {self._peer: size} if size else {}).get(self._peer, memoryview(b""))

    def __repr__(self) -> str:
        return f"Transfers(peer={self._peer!r})"
