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
    garble / evaluate: as prepare, with the seed of a piece's labels in front of its tables in the same frame
    (outputs) in shares, if prepared with a projection: it came behind the tables; otherwise one or both of
              learn_outputs                               <------   reveal_to_evaluator
              return_outputs                              ------>   receive_outputs

Yao's protocol with half gates (Zahur, Rosulek, Evans, EUROCRYPT 2015) or three halves (Rosulek, Roy, CRYPTO 2021: a
quarter fewer bytes for half as much computation again, see docs/circuits.md), evaluator inputs by OT extension (Roy,
CRYPTO 2022) from base OTs of Chou and Orlandi (LATINCRYPT 2015). Semi-honest: each side learns its own inputs and what
an output step gives it, nothing else. Both sides must make the same calls in the same order; every message is labelled
with the batch's number, circuit and size, so a mismatch is refused and not computed upon.

A session opened with ``circuits="streamed"`` on both sides prepares nothing: what :meth:`Garbler.prepare` and
:meth:`Evaluator.prepare` give back does all of its work, as garble and evaluate do, when the inputs come.

The choices of a piece are made two pieces ahead and cross one ahead, so that both sides compute at once. The
conversation stays half-duplex nevertheless, and cannot jam however small the buffers between the two are: the evaluator
sends the choices of piece k + 1 only when it has read all of piece k - 1, and the garbler sends nothing of piece k
before it has read them; so at any moment one side listens. A finished piece keeps its outputs: what a side holds is
bounded by a piece and the outputs, except that :meth:`Evaluator.prepare` keeps all tables until the labels come.

Values are uint64 arrays ``(n, words)``, one row an instance, each word within its width. ``ProtocolError`` (with peer
and step): the other side's message has the wrong label, length or content. ``ParameterError``: the caller's own values.
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest
from typing import Generic, Literal, TypeVar

from mpc._core import Circuit, Evaluation, EvaluatorSession, GarblerSession, Garbling, table_memory
from mpc.channels.frames import Channel
from mpc.garbled.batch import EvaluatedBatch, GarbledBatch, Projection, check_instances, check_rows
from mpc.randomness import Randomness, core_seed
from mpc.ring import Words, packed_size

FRAME_BYTES = 1 << 19  # tables travel in frames of this size: large enough for the link, small enough to overlap
OTS_A_PIECE = 1 << 16  # a batch is worked on in pieces of about so many OTs, whose labels fit the second cache
TILE = 32  # instances that share a hash key; pieces are whole tiles
OTS_A_BLOCK, BLOCK_BYTES = 128, 496  # an OT extension comes in blocks: so many OTs, so many bytes
CACHE_LINE = 64
POINT_BYTES, REPLY_BYTES, SUMS_BYTES = 32, 4112, 3072  # the three base-OT messages

Tables = Literal["half-gates", "three-halves"]
# When the tables of a prepared batch cross: before the garbler's inputs, or with them.
Circuits = Literal["ahead", "streamed"]
CoreSession = TypeVar("CoreSession", GarblerSession, EvaluatorSession)
TABLE_LABELS: dict[Tables, str] = {"half-gates": "tables", "three-halves": "three-halves"}


def _seed(randomness: Randomness | None) -> bytes | None:
    return None if randomness is None else core_seed(randomness)


def _pieces(circuit: Circuit, n: int) -> list[slice]:
    """The instances of a batch in runs that both sides work on at once; the same on both sides."""
    size = max(TILE, OTS_A_PIECE // max(1, circuit.evaluator_bits) // TILE * TILE)
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]


class _Frames:
    """Memory for one frame, kept from frame to frame."""

    def __init__(self) -> None:
        self._memory = memoryview(b"")

    def take(self, size: int, head: int = 0) -> memoryview:
        """What follows the first ``head`` bytes starts a cache line: vectors across two lines cost twice."""
        skipped = -head % CACHE_LINE
        if len(self._memory) < skipped + size:
            self._memory = memoryview(mmap.mmap(-1, skipped + size))
        return self._memory[skipped : skipped + size]


def _nothing() -> None:
    """No choices are left to send."""


class _Side(Generic[CoreSession]):
    """What both sides of a session keep."""

    def __init__(self, channel: Channel, session: CoreSession, tables: Tables, circuits: Circuits) -> None:
        self.channel = channel
        self._session: CoreSession = session
        self._tables = tables
        self._circuits = circuits
        self._batches = 0
        self._frames = _Frames()

    def _next_name(self, circuit: Circuit, n: int, projection: Projection | None) -> str:
        """Of a new batch; the same on both sides."""
        check_instances(n)
        number, self._batches = self._batches, self._batches + 1
        shared = f"/{projection}" if projection else ""
        return f"garbled/{number}/{circuit.name}/{n}{shared}"

    def _tables_label(self, batch: GarbledBatch | EvaluatedBatch) -> str:
        return f"{batch.name}/{TABLE_LABELS[self._tables]}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channel!r})"


class Garbler(_Side[GarblerSession]):
    """The garbler's side of a session; :meth:`open` one per channel and keep it."""

    @classmethod
    def open(
        cls,
        channel: Channel,
        randomness: Randomness | None = None,
        *,
        tables: Tables = "half-gates",
        circuits: Circuits = "ahead",
    ) -> Garbler:
        """Base OTs, the evaluator speaking first.

        Args:
            randomness: tests only; default is the operating system's.
            tables: how gates are garbled, the same on both sides; labels of messages hold them to it.
            circuits: when tables of a prepared batch are sent, the same on both sides; lengths of messages hold them to
                it.
        """
        session = GarblerSession(_seed(randomness), tables)
        with channel.naming_peer():
            channel.send("garbled/base/2", session.receive_base(channel.recv("garbled/base/1", POINT_BYTES)))
            session.finish_base(channel.recv("garbled/base/3", SUMS_BYTES))
        return cls(channel, session, tables, circuits)

    def prepare(self, circuit: Circuit, n: int, *, projection: Projection | None = None) -> GarbledBatch:
        """Receives the evaluator's choices, garbles ``n`` instances and sends the tables.

        Args:
            projection: the outputs become shares; what the evaluator needs for its own goes with the tables.

        In a streamed session nothing happens yet.
        """
        batch = self._batch(circuit, n, projection)
        if self._circuits == "streamed":
            batch.stream = self._stream
            return batch
        for part in self._garblings(batch):
            self._send_tables(batch, part[1], b"")
            batch.parts.append(part)
        return batch

    def garble(self, circuit: Circuit, values: Words, *, projection: Projection | None = None) -> GarbledBatch:
        """:meth:`prepare` and :meth:`GarbledBatch.send_inputs` in one, for ``values`` ``(n, garbler words)`` that are
        known: their labels go first, as a seed, so that the evaluator evaluates while tables arrive and stores none."""
        batch = self._batch(circuit, len(values), projection)
        self._stream(batch, values)
        return batch

    def _batch(self, circuit: Circuit, n: int, projection: Projection | None) -> GarbledBatch:
        name = self._next_name(circuit, n, projection)
        return GarbledBatch(self.channel, name, circuit, n, projection)

    def _stream(self, batch: GarbledBatch, values: Words) -> None:
        for rows, garbling in self._garblings(batch, values):
            self._send_tables(batch, garbling, garbling.input_labels())
            if batch.projection is None:
                batch.parts.append((rows, garbling))

    def _garblings(self, batch: GarbledBatch, values: Words | None = None) -> Iterator[tuple[slice, Garbling]]:
        """Piece after piece, each with the evaluator's choices taken in; by then those of the next have arrived."""
        circuit, pieces = batch.circuit, _pieces(batch.circuit, batch.n)
        shared = batch.projection is not None
        choices = self._receive_choices(batch, pieces[0])
        for rows, following in zip(pieces, [*pieces[1:], None], strict=True):
            count = rows.stop - rows.start
            split = len(choices) - packed_size(count * circuit.evaluator_bits, 1)
            with self.channel.naming_peer():
                if split:
                    self._session.extend(choices[:split])
                known = None if values is None else values[rows]
                garbling = self._session.garble(circuit, count, choices[split:], shared, known)
            if following is not None:
                choices = self._receive_choices(batch, following)
            yield rows, garbling

    def _receive_choices(self, batch: GarbledBatch, rows: slice) -> memoryview:
        """Receive the corrections of a piece, behind an extension where OTs are short."""
        needed = (rows.stop - rows.start) * batch.circuit.evaluator_bits
        missing = max(0, needed - self._session.ots_left)
        extension = -(-missing // OTS_A_BLOCK) * BLOCK_BYTES
        return self.channel.recv(f"{batch.name}/choices", extension + packed_size(needed, 1))

    def _send_tables(self, batch: GarbledBatch, garbling: Garbling, labels: bytes) -> None:
        """One piece's tables, in frames; the first begins with the labels, if they are given, the last ends with the
        projection, if there is one."""
        label = self._tables_label(batch)
        while left := garbling.tables_left:
            frame = self._frames.take(min(left, FRAME_BYTES))
            garbling.write_tables(frame)
            message = b"" if garbling.tables_left else batch.project(garbling)
            self.channel.send(label, labels, frame, message)
            labels = b""
        if not batch.circuit.and_gates:
            self.channel.send(label, labels, batch.project(garbling))


class Evaluator(_Side[EvaluatorSession]):
    """The evaluator's side of a session; :meth:`open` one per channel and keep it."""

    @classmethod
    def open(
        cls,
        channel: Channel,
        randomness: Randomness | None = None,
        *,
        tables: Tables = "half-gates",
        circuits: Circuits = "ahead",
    ) -> Evaluator:
        """Base OTs, this side speaking first; arguments as for :meth:`Garbler.open`."""
        session = EvaluatorSession(_seed(randomness), tables)
        with channel.naming_peer():
            channel.send("garbled/base/1", session.start_base())
            channel.send("garbled/base/3", session.receive_base(channel.recv("garbled/base/2", REPLY_BYTES)))
        return cls(channel, session, tables, circuits)

    def prepare(
        self, circuit: Circuit, n: int, values: Words, *, projection: Projection | None = None
    ) -> EvaluatedBatch:
        """Sends this side's choices, receives and stores the tables.

        Args:
            values: this side's inputs ``(n, evaluator words)``, of which the garbler learns nothing.
            projection: as for :meth:`Garbler.prepare`, and the same.

        In a streamed session nothing happens yet.
        """
        batch = self._batch(circuit, n, values, projection)
        if self._circuits == "streamed":
            batch.stream = partial(self._stream, values=values.copy())
            return batch
        for rows, evaluation, send_next_choices in self._evaluations(batch, values, seeded=False):
            batch.stored.append(self._store_tables(batch, rows))
            send_next_choices()
            batch.parts.append((rows, evaluation))
        return batch

    def evaluate(self, circuit: Circuit, values: Words, *, projection: Projection | None = None) -> EvaluatedBatch:
        """:meth:`prepare` and :meth:`EvaluatedBatch.receive_inputs` in one, facing :meth:`Garbler.garble`."""
        batch = self._batch(circuit, len(values), values, projection)
        self._stream(batch, values)
        return batch

    def _batch(self, circuit: Circuit, n: int, values: Words, projection: Projection | None) -> EvaluatedBatch:
        check_rows("evaluator's values", values, n)
        name = self._next_name(circuit, n, projection)
        return EvaluatedBatch(self.channel, name, circuit, n, projection)

    def _stream(self, batch: EvaluatedBatch, values: Words) -> None:
        for rows, evaluation, send_next_choices in self._evaluations(batch, values, seeded=True):
            message = self._evaluate_tables(batch, rows, evaluation, send_next_choices)
            if batch.projection is None:
                batch.parts.append((rows, evaluation))
            else:
                batch.open(evaluation, message)

    def _evaluations(
        self, batch: EvaluatedBatch, values: Words, seeded: bool
    ) -> Iterator[tuple[slice, Evaluation, Callable[[], None]]]:
        """Piece after piece; by then its choices and those of the next are sent, those of the one after that are made.
        They are to be sent, by the call that comes with each piece, as soon as it is read and before it is worked on:
        the garbler waits for them."""
        pieces = _pieces(batch.circuit, batch.n)
        begun: deque[Evaluation] = deque()
        for rows in pieces[:2]:
            evaluation, send = self._choices(batch, rows, values, seeded)
            begun.append(evaluation)
            send()
        for rows, ahead in zip_longest(pieces, pieces[2:]):
            send = _nothing
            if ahead is not None:
                evaluation, send = self._choices(batch, ahead, values, seeded)
                begun.append(evaluation)
            yield rows, begun.popleft(), send

    def _choices(
        self, batch: EvaluatedBatch, rows: slice, values: Words, seeded: bool
    ) -> tuple[Evaluation, Callable[[], None]]:
        """Begin a piece. Returns it, and the call that sends its corrections, behind an extension if OTs are short."""
        count = rows.stop - rows.start
        missing = count * batch.circuit.evaluator_bits - self._session.ots_left
        extension = self._session.extend(missing) if missing > 0 else b""
        evaluation = self._session.evaluate(batch.circuit, count, values[rows], batch.projection is not None, seeded)
        return evaluation, partial(self.channel.send, f"{batch.name}/choices", extension, evaluation.corrections)

    def _store_tables(self, batch: EvaluatedBatch, rows: slice) -> memoryview:
        """One piece's tables, with the projection behind them, if there is one."""
        label = self._tables_label(batch)
        tables = batch.circuit.table_bytes(rows.stop - rows.start, self._tables)
        stored = table_memory(tables + batch.projection_bytes(rows)).data
        first, last = 0, min(FRAME_BYTES, tables)
        while last < tables:
            self.channel.recv_into(label, stored[first:last])
            first, last = last, min(last + FRAME_BYTES, tables)
        self.channel.recv_into(label, stored[first:])
        return stored

    def _evaluate_tables(
        self, batch: EvaluatedBatch, rows: slice, evaluation: Evaluation, send_next_choices: Callable[[], None]
    ) -> bytes:
        """Evaluate one piece's tables as they arrive, behind their labels. Returns the projection, if there is one.

        ``send_next_choices`` is called when all tables are there, before the last of them are worked on.
        """
        label = self._tables_label(batch)
        labels = evaluation.label_bytes
        left = batch.circuit.table_bytes(rows.stop - rows.start, self._tables)
        projected = batch.projection_bytes(rows)
        while True:
            now = min(left, FRAME_BYTES)
            left -= now
            frame = self._frames.take(labels + now + (0 if left else projected), labels)
            self.channel.recv_into(label, frame)
            if not left:
                send_next_choices()
            with self.channel.naming_peer():
                if labels:
                    evaluation.set_labels(frame[:labels])
                evaluation.feed_tables(frame[labels : labels + now])
            if not left:
                return bytes(frame[labels + now :])
            labels = 0
