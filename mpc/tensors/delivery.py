"""Inputs from those who are in no session, and answers to them alone.

A client, or a model's owner, splits its array into one *piece* for each computing party. Pieces are uniform, and add up
to the array. So whoever lacks one of them knows nothing. A client also splits a *mask*, as large as its answer::

    client                                        computing party i
    x = x_1 + ... + x_n,  r = r_1 + ... + r_n
    x_i, r_i                              ---->   x = sum of inputs x_i,  r = sum of inputs r_i
                                                  y = f(x), and y + r is opened among the computing parties
                                          <----   y + r
    y = (y + r) - r

The mask is uniform and drawn for one answer. So y + r shows nothing about y to anybody but the client, who alone knows
r. The client compares what all computing parties send.

Nothing of this depends on how a back-end shares values, and clients may come and go while a session lasts. A party that
changes its piece changes the client's input. Where parties may cheat, a question also has a *pad*, by which its client
notices that (:mod:`mpc.tensors.fingerprints`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from mpc.errors import CheatingError, ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words
from mpc.tensors.backends.interface import Shape, Shared
from mpc.tensors.backends.subsets import subset_sums
from mpc.tensors.network import from_wire, to_wire, wire_size
from mpc.tensors.public import encode
from mpc.tensors.ranges import Factor, Format, raw_range, require_room
from mpc.tensors.session import Session
from mpc.tensors.tensor import PrivateTensor

# -- outside of the session ------------------------------------------------------------------------------------------


def split(words: Words, parties: int, bits: int, randomness: Randomness = SYSTEM) -> list[Words]:
    """Return one piece for each party. They add up to `words` modulo 2^bits, and all but one of them are uniform."""
    ring = Ring(bits)
    pieces = [ring.random(words.shape, randomness) for _ in range(parties - 1)]
    last = words
    for piece in pieces:
        last = last - piece
    return [*pieces, ring.reduce(last)]


def pieces_of(
    label: str,
    values: object,
    shape: Shape,
    bound: object,
    format: Format,
    parties: int,
    randomness: Randomness = SYSTEM,
) -> list[bytes]:
    """Return an owner's array as one message for each computing party.

    Raises:
        ParameterError: another shape. RangeError: NaN, infinity, a value beyond the bound. No sentence holds a value.
    """
    words = words_of(label, values, shape, bound, format)
    return [bytes(to_wire(piece, format.ring_bits)) for piece in split(words, parties, format.ring_bits, randomness)]


def words_of(label: str, values: object, shape: Shape, bound: object, format: Format) -> Words:
    """Return an owner's array as words of the ring. Raises as :func:`pieces_of`."""
    found = raw_range(bound, format.fraction_bits)
    return encode(label, values, shape, found, format.fraction_bits, format.ring_bits)


@dataclass(frozen=True, repr=False)
class Question:
    """A client's records on their way to an answer. Make one for every asking, because a mask serves once.

    Attributes:
        messages: what each computing party gets, in their order. It is the piece of the records, then that of the mask,
            and then that of the pad.
        shape: of the answer.
        mask: what the answer comes back with.
        bits: of the ring.
        rows: for each record its words and those of its mask, which have a fingerprint.
        pad: of the fingerprints. It has no columns where none are asked for.
    """

    messages: tuple[bytes, ...]
    shape: Shape
    mask: Words
    bits: int
    rows: Words
    pad: Words

    @classmethod
    def of(
        cls,
        records: object,
        shape: Shape,
        bound: object,
        answer: Shape,
        format: Format,
        parties: int,
        randomness: Randomness = SYSTEM,
        pads: int = 0,
    ) -> Question:
        """Return the question about records of this shape, whose answer has the shape `answer`.

        Args:
            records, shape, bound, answer, format, parties, randomness: of the question.
            pads: words of each record's pad, or 0 where no party cheats.

        Raises:
            ParameterError, RangeError: as :func:`pieces_of`, before anything is sent.
        """
        bits = format.ring_bits
        words = words_of("records", records, shape, bound, format)
        mask, pad = (Ring(bits).random(each, randomness) for each in (answer, (shape[0], pads)))
        pieces = [[to_wire(piece, bits) for piece in split(each, parties, bits, randomness)]
                  for each in (words, mask, pad)]  # fmt: skip
        messages = tuple(b"".join(map(bytes, each)) for each in zip(*pieces, strict=True))
        rows = np.concatenate([each.reshape(shape[0], -1) for each in (words, mask)], axis=1)
        return cls(messages, answer, mask, bits, rows, pad)

    @property
    def size(self) -> int:
        """The bytes of an answer, with its fingerprint."""
        return wire_size(self.mask.size + self.pad.size, self.bits)

    def answer(
        self, bodies: Sequence[tuple[str, bytes]], fraction_bits: int, coins: bytes = b""
    ) -> NDArray[np.float64]:
        """Return the answer from what each computing party sent, by name.

        Args:
            bodies: the answer under its mask, and then the fingerprint.
            fraction_bits: of the answer.
            coins: that the computing parties have drawn for the fingerprint, which all of them say alike.

        Raises:
            ProtocolError: two of them sent different words. It names both, because either may be wrong.
            CheatingError: the answer is not to these records, or not under this mask.
        """
        first, body = bodies[0]
        if other := next((name for name, theirs in bodies[1:] if theirs != body), None):
            raise ProtocolError(
                f"expected the same answer from all computing parties, found that {first} and {other} sent different "
                "ones; the client cannot tell which one is wrong"
            )
        ring = Ring(self.bits)
        found = from_wire(memoryview(body), self.bits)
        words = found[: self.mask.size].reshape(self.shape)
        if self.pad.size and not np.array_equal(
            found[self.mask.size :].reshape(self.pad.shape), subset_sums(self.rows, coins) + self.pad
        ):
            raise CheatingError(
                "expected an answer to the records that were sent, found one to others or under another mask; a "
                "computing party has changed its piece, and the answer is not taken"
            )
        return ring.decode(ring.reduce(words - self.mask), fraction_bits)

    def __repr__(self) -> str:
        return f"Question(parties={len(self.messages)}, answer={self.shape})"


# -- in the session --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Piece:
    """What one computing party has of a question, as words: its pieces of the records, of the mask and of the pad."""

    records: Words
    mask: Words
    pad: Words

    @classmethod
    def read(cls, body: memoryview, shape: Shape, answer: Shape, bits: int, pads: int = 0) -> Piece:
        """Return the piece of a message. Raises ProtocolError for another length, or for words that are too wide."""
        size = cls.size(shape, answer, bits, pads)
        if len(body) != size:
            raise ProtocolError.mismatch("bytes of a question", size, len(body))
        words = from_wire(body, bits)
        ends = (prod(shape), prod(shape) + prod(answer))
        return cls(
            words[: ends[0]].reshape(shape), words[ends[0] : ends[1]].reshape(answer),
            words[ends[1] :].reshape(shape[0], pads),
        )  # fmt: skip

    @staticmethod
    def size(shape: Shape, answer: Shape, bits: int, pads: int = 0) -> int:
        """Return the bytes of a message for records and an answer of these shapes, and so many words of a pad each."""
        return wire_size(prod(shape) + prod(answer) + shape[0] * pads, bits)

    @classmethod
    def filled(cls, pieces: Sequence[Piece], rows: int, bits: int, randomness: Randomness = SYSTEM) -> Piece:
        """Return the pieces of several questions as one, with rows of zeros behind them up to so many.

        Nobody may learn the answers to those rows. So every party draws its piece of their mask itself.
        """
        first = pieces[0]
        empty = rows - sum(len(piece.records) for piece in pieces)
        if empty < 0:
            raise ParameterError(f"expected at most {rows} records, found {rows - empty}")
        zeros = np.zeros((empty, *first.records.shape[1:]), dtype=np.uint64)
        masks, pads = (Ring(bits).random((empty, *each.shape[1:]), randomness) for each in (first.mask, first.pad))
        return cls(
            np.concatenate([*(piece.records for piece in pieces), zeros]),
            np.concatenate([*(piece.mask for piece in pieces), masks]),
            np.concatenate([*(piece.pad for piece in pieces), pads]),
        )

    def __repr__(self) -> str:
        return f"Piece(records={self.records.shape}, mask={self.mask.shape})"


def read_piece(body: memoryview, shape: Shape, bits: int) -> Words:
    """Return one computing party's piece of an array from its message. Raises ProtocolError for another length."""
    if len(body) != wire_size(prod(shape), bits):
        raise ProtocolError.mismatch("bytes of an array", wire_size(prod(shape), bits), len(body))
    return from_wire(body, bits).reshape(shape)


def put_together(session: Session, own: Words | None, shape: Shape, bound: object, owner: str) -> PrivateTensor:
    """Return the private tensor of which each computing party has a piece. A party that does not compute gives None.

    The bound is the owner's word. Its own side has checked it.

    Raises:
        ParameterError: a piece of another shape. RangeError: a bound that the ring does not hold.
    """
    label, backend, format = session.label("pieces"), session.backend, session.format
    found = raw_range(bound, format.fraction_bits)
    stated = Factor(found.bound, format.fraction_bits)
    require_room(found, format.ring_bits, label, "the stated bound", format.fraction_bits, [stated])
    if (own is not None) != (session.me in backend.computing):
        raise ParameterError(f"{label}: expected a piece at the computing parties alone, found others at {session.me}")
    shared = sum_of_pieces(session, own, shape)
    return session.wrap(label, shared, found, format.fraction_bits, frozenset((owner,)))


def sum_of_pieces(session: Session, own: Words | None, shape: Shape) -> Shared:
    """Return the shared array of which each computing party has a piece. A party that does not compute gives None."""
    backend = session.backend
    pieces = [backend.input(name, own if name == session.me else None, shape) for name in backend.computing]
    total = pieces[0]
    for piece in pieces[1:]:
        total = backend.add(total, piece)
    return total


def open_masked(
    session: Session, answer: PrivateTensor, mask: Shared, fingerprint: Shared | None = None
) -> list[Words] | None:
    """Open an answer under its clients' masks, and a fingerprint where there is one. Others than who computes get None.

    Rows without a client need a mask as well. For these each party draws its piece itself.
    """
    session.label("masked answer")
    backend = session.backend
    masked = backend.add(answer.shared, mask)
    return backend.open([masked] if fingerprint is None else [masked, fingerprint], backend.computing)
