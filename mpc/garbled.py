"""Garbled circuits over a channel: the Python face of the C++ core.

    Evaluator                                                       Garbler
    open:     first base-OT message                       ------>
                                                          <------   salt, 128 points
              tree sums                                   ------>
    prepare, a batch in pieces of whole tiles:
              OT extension (if any is short), corrections ------>   of the first piece
              those of the next piece, if there is one    ------>
                                                          <------   tables of the first piece, in frames
              ... and so on; then
    (inputs)                                              <------   labels of the garbler's values
    garble / evaluate: as prepare, with a piece's labels in front of its tables in the same frame
    (outputs) one or more of
              learn_outputs                               <------   reveal_to_evaluator
              return_outputs                              ------>   receive_outputs
              take_shares                                 <------   share_bits

Yao's protocol with half gates (Zahur, Rosulek, Evans, EUROCRYPT 2015) or three halves (Rosulek, Roy, CRYPTO 2021: a
quarter fewer bytes for half as much computation again, see docs/circuits.md), evaluator inputs by OT extension (Roy,
CRYPTO 2022) from base OTs of Chou and Orlandi (LATINCRYPT 2015). Semi-honest: each side learns its own inputs and what
an output step gives it, nothing else. Both sides must make the same calls in the same order; every message is labelled
with the batch's number, circuit and size, so a mismatch is refused and not computed upon.

The choices of a piece cross while the piece before it is worked on, so that both sides compute at once. The
conversation stays half-duplex nevertheless, and cannot jam however small the buffers between the two are: the evaluator
sends the choices of piece k + 1 only when it has read all of piece k - 1, and the garbler sends nothing of piece k
before it has read them; so at any moment one side listens. A finished piece keeps its outputs: what a side holds is
bounded by a piece and the outputs, except that :meth:`Evaluator.prepare` keeps all tables until the labels come.

Values are uint64 arrays ``(n, words)``, one row an instance, each word within its width. ``ProtocolError`` (with peer
and step): the other side's message has the wrong label, length or content. ``ParameterError``: the caller's own values.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np

from mpc._core import Circuit, Evaluation, EvaluatorSession, GarblerSession, Garbling
from mpc.channel import Buffer, Channel
from mpc.errors import ParameterError, ProtocolError
from mpc.randomness import Randomness
from mpc.ring import Words, packed_size

FRAME_BYTES = 1 << 19  # tables travel in frames of this size: large enough for the link, small enough to overlap
OTS_A_PIECE = 1 << 16  # a batch is worked on in pieces of about so many OTs, whose labels fit the second cache
TILE = 32  # instances that share a hash key; pieces are whole tiles
OTS_A_BLOCK, BLOCK_BYTES = 128, 496  # an OT extension comes in blocks: so many OTs, so many bytes
POINT_BYTES, REPLY_BYTES, SUMS_BYTES = 32, 4112, 3072  # the three base-OT messages

Tables = Literal["half-gates", "three-halves"]
TABLE_LABELS: dict[Tables, str] = {"half-gates": "tables", "three-halves": "three-halves"}


@contextmanager
def _placed(channel: Channel) -> Iterator[None]:
    """Adds peer and step to what the core, which knows neither, finds wrong with a message."""
    try:
        yield
    except ProtocolError as error:
        if error.peer:
            raise
        raise ProtocolError(str(error.args[0]), peer=channel.peer, step=channel.step) from error


def _seed(randomness: Randomness | None) -> bytes | None:
    return None if randomness is None else randomness.bytes(32)


def _pieces(circuit: Circuit, n: int) -> list[slice]:
    """The instances of a batch in runs that both sides work on at once; the same on both sides."""
    if n < 1:
        raise ParameterError(f"expected at least one instance, found {n}")
    size = max(TILE, OTS_A_PIECE // max(1, circuit.evaluator_bits) // TILE * TILE)
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]


def _check_rows(what: str, values: Words, n: int) -> None:
    if values.ndim != 2 or len(values) != n:
        raise ParameterError(f"{what}: expected {n} rows of words, found an array of shape {values.shape}")


def _joined(outputs: list[Words]) -> Words:
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


def _packed_bits(rows: slice, widths: list[int]) -> int:
    return packed_size((rows.stop - rows.start) * sum(widths), 1)


def _slices(message: memoryview, sizes: list[int]) -> Iterator[memoryview]:
    """The message's parts, one a piece."""
    for size in sizes:
        yield message[:size]
        message = message[size:]


class _Frames:
    """Memory for one frame, kept from frame to frame; it starts a page: vectors across two cache lines cost twice."""

    def __init__(self) -> None:
        self._memory = memoryview(b"")

    def take(self, size: int) -> memoryview:
        if len(self._memory) < size:
            self._memory = memoryview(mmap.mmap(-1, size))
        return self._memory[:size]


def _name(number: int, circuit: Circuit, n: int, late: bool) -> str:
    return f"garbled/{number}/{circuit.name}/{n}{'/late' if late else ''}"


class Garbler:
    """The garbler's side of a session; :meth:`open` one per channel and keep it."""

    def __init__(self, channel: Channel, session: GarblerSession, tables: Tables = "half-gates") -> None:
        self.channel = channel
        self._session = session
        self._tables = tables
        self._batches = 0
        self._frames = _Frames()

    @classmethod
    def open(cls, channel: Channel, randomness: Randomness | None = None, *, tables: Tables = "half-gates") -> Garbler:
        """Base OTs, the evaluator speaking first. ``randomness``: tests only; default is the operating system's.

        ``tables``: how gates are garbled, the same on both sides; labels of messages hold them to it.
        """
        session = GarblerSession(_seed(randomness), tables)
        with _placed(channel):
            channel.send("garbled/base/2", session.receive_base(channel.recv("garbled/base/1", POINT_BYTES)))
            session.finish_base(channel.recv("garbled/base/3", SUMS_BYTES))
        return cls(channel, session, tables)

    def prepare(self, circuit: Circuit, n: int, *, late: bool = False) -> GarbledBatch:
        """Receives the evaluator's choices, garbles ``n`` instances and sends the tables.

        ``late``: the evaluator chooses only when the garbler's inputs are sent (16 bytes an input bit more).
        """
        batch = GarbledBatch(self.channel, self._name(circuit, n, late), circuit, late)
        for part in self._garblings(batch.name, circuit, n, late):
            self._send_tables(batch.name, part[1], b"")
            batch.parts.append(part)
        return batch

    def garble(self, circuit: Circuit, values: Words) -> GarbledBatch:
        """:meth:`prepare` and :meth:`GarbledBatch.send_inputs` in one: labels go first, so that the evaluator evaluates
        while tables arrive and stores none. ``values`` ``(n, garbler words)``."""
        batch = GarbledBatch(self.channel, self._name(circuit, len(values), late=False), circuit, late=False)
        for rows, garbling in self._garblings(batch.name, circuit, len(values), late=False):
            self._send_tables(batch.name, garbling, garbling.input_labels(values[rows]))
            batch.parts.append((rows, garbling))
        return batch

    def _name(self, circuit: Circuit, n: int, late: bool) -> str:
        self._batches += 1
        return _name(self._batches - 1, circuit, n, late)

    def _garblings(self, name: str, circuit: Circuit, n: int, late: bool) -> Iterator[tuple[slice, Garbling]]:
        """Piece after piece, each with the evaluator's choices taken in; by then those of the next have arrived."""
        pieces = _pieces(circuit, n)
        choices = self._receive_choices(name, circuit, pieces[0], late)
        for rows, following in zip(pieces, [*pieces[1:], None], strict=True):
            count = rows.stop - rows.start
            split = len(choices) - (0 if late else packed_size(count * circuit.evaluator_bits, 1))
            with _placed(self.channel):
                if split:
                    self._session.extend(choices[:split])
                garbling = self._session.garble(circuit, count, None if late else choices[split:])
            if following is not None:
                choices = self._receive_choices(name, circuit, following, late)
            yield rows, garbling

    def _receive_choices(self, name: str, circuit: Circuit, rows: slice, late: bool) -> memoryview:
        """An extension, where OTs are short, and unless the batch is late the corrections."""
        needed = (rows.stop - rows.start) * circuit.evaluator_bits
        missing = max(0, needed - self._session.ots_left)
        extension = -(-missing // OTS_A_BLOCK) * BLOCK_BYTES
        return self.channel.recv(f"{name}/choices", extension + (0 if late else packed_size(needed, 1)))

    def _send_tables(self, name: str, garbling: Garbling, labels: bytes) -> None:
        """One piece's tables, in frames, the first of which begins with the labels, if they are given."""
        label = f"{name}/{TABLE_LABELS[self._tables]}"
        while left := garbling.tables_left:
            frame = self._frames.take(min(left, FRAME_BYTES))
            garbling.write_tables(frame)
            self.channel.send(label, labels, frame)
            labels = b""
        if labels:  # a circuit without AND gates
            self.channel.send(label, labels)

    def __repr__(self) -> str:
        return f"Garbler({self.channel!r})"


class GarbledBatch:
    """The garbler's side of a batch of instances of one circuit; each step once."""

    def __init__(self, channel: Channel, name: str, circuit: Circuit, late: bool) -> None:
        self._channel = channel
        self.name = name
        self._circuit = circuit
        self._late = late
        self.parts: list[tuple[slice, Garbling]] = []

    @property
    def _n(self) -> int:
        return int(self.parts[-1][0].stop)

    def _output_bytes(self) -> list[int]:
        return [_packed_bits(rows, self._circuit.output_widths) for rows, _ in self.parts]

    def send_inputs(self, values: Words) -> None:
        """Sends the labels of the garbler's ``values`` ``(n, garbler words)``; the evaluator learns nothing of them."""
        _check_rows("garbler's values", values, self._n)
        corrections: list[Buffer | None] = [None] * len(self.parts)
        if self._late:
            sizes = [_packed_bits(rows, self._circuit.evaluator_widths) for rows, _ in self.parts]
            corrections = list(_slices(self._channel.recv(f"{self.name}/corrections", sum(sizes)), sizes))
        for (rows, garbling), correction in zip(self.parts, corrections, strict=True):
            with _placed(self._channel):
                labels = garbling.input_labels(values[rows], correction)
            self._channel.send(f"{self.name}/labels", labels)

    def reveal_to_evaluator(self) -> None:
        """Opens the outputs to the evaluator alone."""
        self._channel.send(f"{self.name}/decoding", *(garbling.decoding() for _, garbling in self.parts))

    def receive_outputs(self) -> Words:
        """The outputs ``(n, output words)``, to the garbler; the evaluator sends their colour bits."""
        sizes = self._output_bytes()
        colours = _slices(self._channel.recv(f"{self.name}/colours", sum(sizes)), sizes)
        with _placed(self._channel):
            return _joined([garbling.decode(own) for (_, garbling), own in zip(self.parts, colours, strict=True)])

    def share_bits(self, width: int) -> Words:
        """This side's shares ``(n, output words)`` of the output bits in Z_2^width: fresh, uniform, the evaluator holds
        the rest. For circuits whose output words are single bits."""
        shares = []
        for _, garbling in self.parts:
            message, share = garbling.project(width)
            self._channel.send(f"{self.name}/projection", message)
            shares.append(share)
        return _joined(shares)

    def __repr__(self) -> str:
        return f"GarbledBatch({self._circuit.name}, n={self._n})"


class Evaluator:
    """The evaluator's side of a session; :meth:`open` one per channel and keep it."""

    def __init__(self, channel: Channel, session: EvaluatorSession, tables: Tables = "half-gates") -> None:
        self.channel = channel
        self._session = session
        self._tables = tables
        self._batches = 0
        self._frames = _Frames()

    @classmethod
    def open(
        cls, channel: Channel, randomness: Randomness | None = None, *, tables: Tables = "half-gates"
    ) -> Evaluator:
        """Base OTs, this side speaking first. ``randomness``: tests only; default is the operating system's.

        ``tables`` as for :meth:`Garbler.open`.
        """
        session = EvaluatorSession(_seed(randomness), tables)
        with _placed(channel):
            channel.send("garbled/base/1", session.start_base())
            channel.send("garbled/base/3", session.receive_base(channel.recv("garbled/base/2", REPLY_BYTES)))
        return cls(channel, session, tables)

    def prepare(self, circuit: Circuit, n: int, values: Words | None = None) -> EvaluatedBatch:
        """Sends this side's choices, receives and stores the tables.

        ``values`` ``(n, evaluator words)``: this side's inputs, of which the garbler learns nothing. None: chosen late,
        see :meth:`EvaluatedBatch.choose`; the garbler must prepare ``late`` too.
        """
        batch = EvaluatedBatch(self.channel, self._name(circuit, n, values), circuit)
        for part in self._evaluations(batch.name, circuit, n, values):
            self._receive_tables(batch.name, circuit, part, labelled=False)
            batch.parts.append(part)
        return batch

    def evaluate(self, circuit: Circuit, values: Words) -> EvaluatedBatch:
        """:meth:`prepare` and :meth:`EvaluatedBatch.receive_inputs` in one, facing :meth:`Garbler.garble`."""
        batch = EvaluatedBatch(self.channel, self._name(circuit, len(values), values), circuit)
        for part in self._evaluations(batch.name, circuit, len(values), values):
            self._receive_tables(batch.name, circuit, part, labelled=True)
            batch.parts.append(part)
        return batch

    def _name(self, circuit: Circuit, n: int, values: Words | None) -> str:
        self._batches += 1
        return _name(self._batches - 1, circuit, n, values is None)

    def _evaluations(
        self, name: str, circuit: Circuit, n: int, values: Words | None
    ) -> Iterator[tuple[slice, Evaluation]]:
        """Piece after piece, each with its choices sent; by then those of the next are sent too."""
        pieces = _pieces(circuit, n)
        if values is not None:
            _check_rows("evaluator's values", values, n)
        begun = self._send_choices(name, circuit, pieces[0], values)
        for rows, following in zip(pieces, [*pieces[1:], None], strict=True):
            evaluation = begun
            if following is not None:
                begun = self._send_choices(name, circuit, following, values)
            yield rows, evaluation

    def _send_choices(self, name: str, circuit: Circuit, rows: slice, values: Words | None) -> Evaluation:
        """An extension, where OTs are short, and unless the batch is late the corrections."""
        missing = (rows.stop - rows.start) * circuit.evaluator_bits - self._session.ots_left
        extension = self._session.extend(missing) if missing > 0 else b""
        own = None if values is None else values[rows]
        evaluation = self._session.evaluate(circuit, rows.stop - rows.start, own)
        self.channel.send(f"{name}/choices", extension, b"" if values is None else evaluation.corrections)
        return evaluation

    def _receive_tables(self, name: str, circuit: Circuit, part: tuple[slice, Evaluation], labelled: bool) -> None:
        """One piece's tables, the labels in front of them or not: evaluated on the way if so, stored otherwise."""
        rows, evaluation = part
        labels = evaluation.label_bytes if labelled else 0
        label = f"{name}/{TABLE_LABELS[self._tables]}"
        left = circuit.table_bytes(rows.stop - rows.start, self._tables)
        while left or labels:
            now = min(left, FRAME_BYTES)
            frame = self._frames.take(labels + now)
            self.channel.recv_into(label, frame)
            with _placed(self.channel):
                if labels:
                    evaluation.set_labels(frame[:labels])
                evaluation.feed_tables(frame[labels:])
            left -= now
            labels = 0

    def __repr__(self) -> str:
        return f"Evaluator({self.channel!r})"


class EvaluatedBatch:
    """The evaluator's side of a batch of instances of one circuit; each step once."""

    def __init__(self, channel: Channel, name: str, circuit: Circuit) -> None:
        self._channel = channel
        self.name = name
        self._circuit = circuit
        self.parts: list[tuple[slice, Evaluation]] = []

    @property
    def _n(self) -> int:
        return int(self.parts[-1][0].stop)

    def choose(self, values: Words) -> None:
        """Late batches only: sends the choices for ``values`` ``(n, evaluator words)``; the garbler is about to
        :meth:`GarbledBatch.send_inputs`."""
        _check_rows("evaluator's values", values, self._n)
        corrections = [evaluation.choose(values[rows]) for rows, evaluation in self.parts]
        self._channel.send(f"{self.name}/corrections", *corrections)

    def receive_inputs(self) -> None:
        """Receives the labels and evaluates."""
        for _, evaluation in self.parts:
            labels = self._channel.recv(f"{self.name}/labels", evaluation.label_bytes)
            with _placed(self._channel):
                evaluation.set_labels(labels)

    def learn_outputs(self) -> Words:
        """The outputs ``(n, output words)``, to this side alone."""
        sizes = [_packed_bits(rows, self._circuit.output_widths) for rows, _ in self.parts]
        decoding = _slices(self._channel.recv(f"{self.name}/decoding", sum(sizes)), sizes)
        with _placed(self._channel):
            return _joined([own.decode(bits) for (_, own), bits in zip(self.parts, decoding, strict=True)])

    def return_outputs(self) -> None:
        """Opens the outputs to the garbler alone."""
        self._channel.send(f"{self.name}/colours", *(evaluation.colours() for _, evaluation in self.parts))

    def take_shares(self, width: int) -> Words:
        """This side's shares ``(n, output words)`` of the output bits in Z_2^width, uniform on their own."""
        shares = []
        for rows, evaluation in self.parts:
            size = packed_size(2 * width * (rows.stop - rows.start) * len(self._circuit.output_widths), 1)
            message = self._channel.recv(f"{self.name}/projection", size)
            with _placed(self._channel):
                shares.append(evaluation.open_projection(message, width))
        return _joined(shares)

    def __repr__(self) -> str:
        return f"EvaluatedBatch({self._circuit.name}, n={self._n})"
