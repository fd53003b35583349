"""The pieces of a batch and the frames of a piece, which bound what a side works on and sends at once.

A batch is cut into pieces of whole tiles. For each piece::

    EvaluatorPieces                                    GarblerPieces
    evaluate            choices ---------------->      garble          behind an OT extension, where OTs are short
    store_tables or     <---- tables, in frames        send_tables
    evaluate_tables

The choices of a piece are made two pieces ahead and cross one piece ahead, so that both sides compute at once. The
conversation stays half-duplex nevertheless, and it cannot jam, however small the buffers between the two are. For the
evaluator sends the choices of piece k + 1 only when it has read all of piece k - 1. The garbler sends nothing of piece
k before it has read those choices. So at any moment one side listens.

Tables that go ahead are stored until their labels come. Streamed tables are evaluated as they arrive. For them the
garbler's labels come as a seed, in front of the first frame of each piece. A projection comes behind the last frame.
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest
from typing import Literal

from mpc._core import Circuit, EvaluatedPiece, EvaluatorSession, GarbledPiece, GarblerSession, table_memory
from mpc.channels.frames import Channel
from mpc.garbled.batch import EvaluatedBatch, GarbledBatch
from mpc.ring import Words, packed_size

FRAME_BYTES = 1 << 19  # of tables in a frame: large enough for the link, small enough to overlap work and transport
OTS_A_PIECE = 1 << 16  # about so many OTs, whose labels fit the second cache
TILE = 32  # instances that share a hash key
OTS_A_BLOCK, BLOCK_BYTES = 128, 496  # an OT extension comes in blocks of so many OTs, each of so many bytes
CHECK_BYTES = BLOCK_BYTES + 48  # and so many for its consistency check
CACHE_LINE = 64

Tables = Literal["half-gates", "three-halves"]
"""How AND gates are garbled."""
TABLE_LABELS: dict[Tables, str] = {"half-gates": "tables", "three-halves": "three-halves"}


def pieces_of(circuit: Circuit, n: int) -> list[slice]:
    """Return the instances of a batch in runs of whole tiles, the same on both sides."""
    size = max(TILE, OTS_A_PIECE // max(1, circuit.evaluator_bits) // TILE * TILE)
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]


class FrameMemory:
    """Memory for one frame, which is kept from frame to frame."""

    def __init__(self) -> None:
        self._memory = memoryview(b"")

    def take(self, size: int, head: int = 0) -> memoryview:
        """Return ``size`` bytes. The byte after the first ``head`` bytes begins a cache line.

        A vector that crosses two cache lines costs twice as much.
        """
        skipped = -head % CACHE_LINE
        if len(self._memory) < skipped + size:
            self._memory = memoryview(mmap.mmap(-1, skipped + size))
        return self._memory[skipped : skipped + size]


class GarblerPieces:
    """The garbler's side of every piece of a session."""

    def __init__(self, channel: Channel, session: GarblerSession, tables: Tables) -> None:
        self._channel = channel
        self._session = session
        self._tables = TABLE_LABELS[tables]
        self._frames = FrameMemory()

    def garble(self, batch: GarbledBatch, values: Words | None = None) -> Iterator[tuple[slice, GarbledPiece]]:
        """Yield piece after piece, its choices taken in. The choices of the next piece have arrived by then, too.

        ``values`` are the garbler's, if the batch is streamed. Their labels then are a seed.
        """
        circuit, pieces = batch.circuit, pieces_of(batch.circuit, batch.n)
        choices = self._receive_choices(batch, pieces[0])
        for rows, following in zip(pieces, [*pieces[1:], None], strict=True):
            count = rows.stop - rows.start
            split = len(choices) - packed_size(count * circuit.evaluator_bits, 1)
            with self._channel.naming_peer():
                if split:
                    self._session.extend(choices[:split])
                known = None if values is None else values[rows]
                piece = self._session.garble(circuit, count, choices[split:], batch.projection is not None, known)
            if following is not None:
                choices = self._receive_choices(batch, following)
            yield rows, piece

    def _receive_choices(self, batch: GarbledBatch, rows: slice) -> memoryview:
        """Receive the corrections of a piece, behind an OT extension where OTs are short."""
        needed = (rows.stop - rows.start) * batch.circuit.evaluator_bits
        missing = max(0, needed - self._session.ots_left)
        extension = -(-missing // OTS_A_BLOCK) * BLOCK_BYTES + CHECK_BYTES if missing else 0
        return self._channel.recv(f"{batch.name}/choices", extension + packed_size(needed, 1))

    def send_tables(self, batch: GarbledBatch, piece: GarbledPiece, labels: bytes = b"") -> None:
        """Send the tables of a piece in frames. ``labels`` lead the first frame, a projection ends the last one."""
        label = f"{batch.name}/{self._tables}"
        while left := piece.tables_left:
            frame = self._frames.take(min(left, FRAME_BYTES))
            piece.write_tables(frame)
            projection = b"" if piece.tables_left else batch.share_outputs(piece)
            self._channel.send(label, labels, frame, projection)
            labels = b""
        if not batch.circuit.and_gates:
            self._channel.send(label, labels, batch.share_outputs(piece))


class EvaluatorPieces:
    """The evaluator's side of every piece of a session."""

    def __init__(self, channel: Channel, session: EvaluatorSession, tables: Tables) -> None:
        self._channel = channel
        self._session = session
        self._format = tables
        self._tables = TABLE_LABELS[tables]
        self._frames = FrameMemory()

    def evaluate(
        self, batch: EvaluatedBatch, values: Words
    ) -> Iterator[tuple[slice, EvaluatedPiece, Callable[[], None]]]:
        """Yield piece after piece, each with a call that sends the choices for the piece two ahead.

        When piece k is yielded, the choices for pieces k and k + 1 have been sent, and those for piece k + 2 have been
        made. The call sends the latter. The garbler waits for them, so make the call as soon as piece k is read, before
        working on it.
        """
        pieces = pieces_of(batch.circuit, batch.n)
        begun: deque[EvaluatedPiece] = deque()
        for rows in pieces[:2]:
            piece, send_choices = self._choose(batch, rows, values)
            begun.append(piece)
            send_choices()
        for rows, two_ahead in zip_longest(pieces, pieces[2:]):
            send_choices = _send_nothing
            if two_ahead is not None:
                piece, send_choices = self._choose(batch, two_ahead, values)
                begun.append(piece)
            yield rows, begun.popleft(), send_choices

    def _choose(self, batch: EvaluatedBatch, rows: slice, values: Words) -> tuple[EvaluatedPiece, Callable[[], None]]:
        """Begin a piece, and return it with the call that sends its choices.

        These are corrections, one bit for an input bit, behind an extension if OTs are short.
        """
        count = rows.stop - rows.start
        missing = count * batch.circuit.evaluator_bits - self._session.ots_left
        extension = self._session.extend(missing) if missing > 0 else b""
        labels_are_a_seed = batch.circuits == "streamed"
        piece = self._session.evaluate(
            batch.circuit, count, values[rows], batch.projection is not None, labels_are_a_seed
        )
        return piece, partial(self._channel.send, f"{batch.name}/choices", extension, piece.corrections)

    def store_tables(self, batch: EvaluatedBatch, rows: slice) -> memoryview:
        """Return the tables of a piece, which went ahead, with the projection behind them, if there is one."""
        label = f"{batch.name}/{self._tables}"
        tables = batch.circuit.table_bytes(rows.stop - rows.start, self._format)
        stored = table_memory(tables + batch.projection_bytes(rows)).data
        first, last = 0, min(FRAME_BYTES, tables)
        while last < tables:
            self._channel.recv_into(label, stored[first:last])
            first, last = last, min(last + FRAME_BYTES, tables)
        self._channel.recv_into(label, stored[first:])
        return stored

    def evaluate_tables(
        self, batch: EvaluatedBatch, rows: slice, piece: EvaluatedPiece, send_choices: Callable[[], None]
    ) -> bytes:
        """Evaluate the streamed tables of a piece as they arrive, and return its projection, if there is one.

        ``send_choices`` is called when all tables are read, before the last of them are worked on.
        """
        label = f"{batch.name}/{self._tables}"
        labels = piece.label_bytes
        left = batch.circuit.table_bytes(rows.stop - rows.start, self._format)
        projection = batch.projection_bytes(rows)
        while True:
            now = min(left, FRAME_BYTES)
            left -= now
            frame = self._frames.take(labels + now + (0 if left else projection), labels)
            self._channel.recv_into(label, frame)
            if not left:
                send_choices()
            with self._channel.naming_peer():
                if labels:
                    piece.set_labels(frame[:labels])
                piece.feed_tables(frame[labels : labels + now])
            if not left:
                return bytes(frame[labels + now :])
            labels = 0


def _send_nothing() -> None:
    """No choices are left to send."""
