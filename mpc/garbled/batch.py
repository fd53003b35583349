"""A batch of instances of one garbled circuit, from its preparation to its outputs.

A session (:mod:`mpc.garbled.session`) hands batches out. Each side has its class, and each method faces one of the
other side::

    EvaluatedBatch                            GarbledBatch
                   (prepared)                                 (prepared)
    receive_inputs       <------ labels       send_inputs             choices and tables, too, if they are streamed
                   (inputs are there)                         (inputs are sent)
    shares                                    shares                  on each side alone, if there is a projection
    split_outputs                             split_outputs           on each side alone, shares under XOR
    learn_outputs        <---- decoding       reveal_to_evaluator     the evaluator learns the outputs
    return_outputs       colours ----->       receive_outputs         the garbler learns the outputs

The inputs come first. Each step that sends or receives is taken once. A call that is out of this order, or that comes a
second time, is a mistake of the caller. It raises ``ParameterError`` before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, Literal, TypeVar

import numpy as np

from mpc._core import Circuit, EvaluatedPiece, GarbledPiece
from mpc.channels.frames import Buffer, Channel
from mpc.errors import ParameterError
from mpc.ring import Words, packed_size

Piece = TypeVar("Piece", GarbledPiece, EvaluatedPiece)

Circuits = Literal["ahead", "streamed"]
"""When the tables of a prepared batch cross: ahead of the garbler's inputs, or streamed together with them."""


@dataclass(frozen=True)
class Projection:
    """Make the outputs end as additive shares in Z_2^width, which are opened to nobody.

    The garbler's shares are drawn. The evaluator's follow from projection gates (Ball, Malkin, Rosulek, CCS 2016). Such
    a gate is a ciphertext of at most ``width`` bits for an output bit, and it does not depend on any input. Both sides
    give the same projection.

    Attributes:
        width: bits of the ring, no fewer than any output word has.
        signed: output words are in two's complement.
    """

    width: int
    signed: bool = False

    def __str__(self) -> str:
        return f"{'signed ' if self.signed else ''}shares of {self.width} bits"


def check_instances(n: int) -> None:
    """Raise ParameterError for a batch without instances."""
    if n < 1:
        raise ParameterError(f"expected at least one instance, found {n}")


def check_rows(what: str, values: Words, n: int) -> None:
    """Raise ParameterError unless ``values`` has one row of words for each of ``n`` instances."""
    if values.ndim != 2 or len(values) != n:
        raise ParameterError(f"{what}: expected {n} rows of words, found an array of shape {values.shape}")


def _joined(outputs: list[Words]) -> Words:
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


def _zeros(rows: slice, bits: int) -> bytes:
    """Return packed zeros for every output bit of a piece."""
    return bytes(packed_size((rows.stop - rows.start) * bits, 1))


class _Batch(Generic[Piece]):
    """The state that both sides of a batch have.

    Attributes:
        name: begins the label of every message of this batch.
        n: number of instances.
        circuits: when the tables cross.
        pieces: runs of instances with the core's object for each. A batch that was streamed into shares keeps none.
    """

    def __init__(
        self,
        channel: Channel,
        name: str,
        circuit: Circuit,
        n: int,
        projection: Projection | None,
        circuits: Circuits,
    ) -> None:
        self.name = name
        self.circuit = circuit
        self.n = n
        self.projection = projection
        self.circuits = circuits
        self.pieces: list[tuple[slice, Piece]] = []
        self._channel = channel
        self._shares: list[Words] = []
        self._inputs_done = False
        self._opened: set[str] = set()

    def shares(self) -> Words:
        """Return this side's shares of the outputs, ``(n, output words)``, which are uniform on their own.

        The garbler has them when the tables are sent, the evaluator when the inputs are there. This sends nothing and
        may be called again.
        """
        if self.projection is None or not self._shares:
            raise ParameterError(
                "expected a batch with a projection, its tables sent, found one whose outputs are not shared"
            )
        return _joined(self._shares)

    def _take_inputs(self, step: str) -> None:
        """Note that the inputs cross now."""
        if self._inputs_done:
            raise ParameterError(f"expected {step} once for {self.name}, found a second call")
        self._inputs_done = True

    def _take_outputs(self, step: str) -> list[tuple[slice, Piece]]:
        """Note that an output step begins, and return the pieces that it opens."""
        if not self._inputs_done:
            raise ParameterError(f"expected the inputs of {self.name} before {step}, found none")
        if not self.pieces:
            raise ParameterError(
                f"expected a batch whose outputs can be opened, found {self.name}, streamed into shares"
            )
        if step in self._opened:
            raise ParameterError(f"expected {step} once for {self.name}, found a second call")
        self._opened.add(step)
        return self.pieces

    def _receive_bits(self, label: str) -> list[memoryview]:
        """Receive one message with a bit for every output bit, and cut it into one part for each piece."""
        bits = sum(self.circuit.output_widths)
        sizes = [packed_size((rows.stop - rows.start) * bits, 1) for rows, _ in self.pieces]
        message, ends = self._channel.recv(label, sum(sizes)), list(accumulate(sizes))
        return [message[end - size : end] for size, end in zip(sizes, ends, strict=True)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"


class GarbledBatch(_Batch[GarbledPiece]):
    """The garbler's side of a batch.

    Args:
        stream: garbles and sends all of the batch for the garbler's values. None for a batch whose tables go ahead.
    """

    def __init__(
        self,
        channel: Channel,
        name: str,
        circuit: Circuit,
        n: int,
        projection: Projection | None,
        stream: Callable[[GarbledBatch, Words], None] | None,
    ) -> None:
        super().__init__(channel, name, circuit, n, projection, "streamed" if stream else "ahead")
        self._stream = stream

    def send_inputs(self, values: Words) -> None:
        """Send the labels of the garbler's ``values``, ``(n, garbler words)``, of which the evaluator learns nothing.

        A streamed batch is garbled now, and its tables cross with the labels.
        """
        check_rows("garbler's values", values, self.n)
        self._take_inputs("send_inputs")
        if self._stream:
            self._stream(self, values)
            return
        for rows, piece in self.pieces:
            self._channel.send(f"{self.name}/labels", piece.input_labels(values[rows]))

    def reveal_to_evaluator(self) -> None:
        """Open the outputs to the evaluator alone."""
        pieces = self._take_outputs("reveal_to_evaluator")
        self._channel.send(f"{self.name}/decoding", *(piece.decoding() for _, piece in pieces))

    def receive_outputs(self) -> Words:
        """Return the outputs, ``(n, output words)``, which the garbler alone learns from colour bits."""
        pieces = self._take_outputs("receive_outputs")
        colours = self._receive_bits(f"{self.name}/colours")
        with self._channel.naming_peer():
            return _joined([piece.decode(bits) for (_, piece), bits in zip(pieces, colours, strict=True)])

    def split_outputs(self) -> Words:
        """Return this side's share of the outputs under XOR, ``(n, output words)``, without a message.

        It is the permute bits of the output labels, which are uniform. The evaluator's share is their colours.
        """
        bits = sum(self.circuit.output_widths)
        pieces = self._take_outputs("split_outputs")
        return _joined([piece.decode(_zeros(rows, bits)) for rows, piece in pieces])

    def share_outputs(self, piece: GarbledPiece) -> bytes:
        """Keep this side's shares of a piece's outputs, and return what the evaluator needs for its own.

        Without a projection that is empty.
        """
        if self.projection is None:
            return b""
        message, shares = piece.project(self.projection.width, self.projection.signed)
        self._shares.append(shares)
        return message


class EvaluatedBatch(_Batch[EvaluatedPiece]):
    """The evaluator's side of a batch.

    Args:
        stream: receives and evaluates all of the batch. None for a batch whose tables go ahead.

    Attributes:
        stored: tables and projection of each piece, in a batch whose tables went ahead, until its labels come.
    """

    def __init__(
        self,
        channel: Channel,
        name: str,
        circuit: Circuit,
        n: int,
        projection: Projection | None,
        stream: Callable[[EvaluatedBatch], None] | None,
    ) -> None:
        super().__init__(channel, name, circuit, n, projection, "streamed" if stream else "ahead")
        self._stream = stream
        self.stored: list[memoryview] = []

    def receive_inputs(self) -> None:
        """Receive the labels of the garbler's values, and evaluate.

        The choices and tables of a streamed batch cross now, too.
        """
        self._take_inputs("receive_inputs")
        if self._stream:
            stream, self._stream = self._stream, None  # it holds this side's values
            stream(self)
            return
        memory = memoryview(bytearray(max(piece.label_bytes for _, piece in self.pieces)))
        for number, (rows, piece) in enumerate(self.pieces):
            labels = memory[: piece.label_bytes]
            self._channel.recv_into(f"{self.name}/labels", labels)
            stored, self.stored[number] = self.stored[number], memoryview(b"")
            tables = len(stored) - self.projection_bytes(rows)
            with self._channel.naming_peer():
                piece.set_labels(labels)
                piece.feed_tables(stored[:tables])
            self.open_shares(piece, stored[tables:])

    def learn_outputs(self) -> Words:
        """Return the outputs, ``(n, output words)``, which this side alone learns."""
        pieces = self._take_outputs("learn_outputs")
        decoding = self._receive_bits(f"{self.name}/decoding")
        with self._channel.naming_peer():
            return _joined([piece.decode(bits) for (_, piece), bits in zip(pieces, decoding, strict=True)])

    def return_outputs(self) -> None:
        """Open the outputs to the garbler alone."""
        pieces = self._take_outputs("return_outputs")
        self._channel.send(f"{self.name}/colours", *(piece.colours() for _, piece in pieces))

    def split_outputs(self) -> Words:
        """Return this side's share of the outputs under XOR, facing :meth:`GarbledBatch.split_outputs`."""
        bits = sum(self.circuit.output_widths)
        pieces = self._take_outputs("split_outputs")
        return _joined([piece.decode(_zeros(rows, bits)) for rows, piece in pieces])

    def open_shares(self, piece: EvaluatedPiece, message: Buffer) -> None:
        """Keep this side's shares of a piece's outputs, which ``message`` opens. Without a projection do nothing."""
        if self.projection is not None:
            with self._channel.naming_peer():
                self._shares.append(piece.open_projection(message, self.projection.width, self.projection.signed))

    def projection_bytes(self, rows: slice) -> int:
        """Return the length of what :meth:`open_shares` takes for a piece."""
        return self.circuit.projection_bytes(rows.stop - rows.start, self.projection.width) if self.projection else 0
