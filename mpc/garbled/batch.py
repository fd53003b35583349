"""A batch of instances of one garbled circuit, from its preparation to its outputs: what :mod:`mpc.garbled.session`
hands out.

Each method faces the one of the other side; see there for the order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

import numpy as np

from mpc._core import Circuit, Evaluation, Garbling
from mpc.channels.frames import Buffer, Channel
from mpc.errors import ParameterError
from mpc.ring import Words, packed_size

Part = TypeVar("Part")


@dataclass(frozen=True)
class Projection:
    """Outputs that end as additive shares in Z_2^width, the garbler's first, and are opened to nobody.

    Projection gates (Ball, Malkin, Rosulek, CCS 2016), a ciphertext of at most ``width`` bits an output bit, which do
    not depend on any input. On both sides the same.

    Attributes:
        width: bits of the ring, no fewer than any output word has.
        signed: output words are in two's complement.
    """

    width: int
    signed: bool = False

    def __str__(self) -> str:
        return f"{'signed ' if self.signed else ''}shares of {self.width} bits"


def check_instances(n: int) -> None:
    if n < 1:
        raise ParameterError(f"expected at least one instance, found {n}")


def check_rows(what: str, values: Words, n: int) -> None:
    if values.ndim != 2 or len(values) != n:
        raise ParameterError(f"{what}: expected {n} rows of words, found an array of shape {values.shape}")


def _joined(outputs: list[Words]) -> Words:
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


def _receive_bits(
    channel: Channel, label: str, parts: Sequence[tuple[slice, object]], widths: list[int]
) -> list[memoryview]:
    """One message of packed bits, words of these widths for every instance, cut into one part a piece."""
    sizes = [packed_size((rows.stop - rows.start) * sum(widths), 1) for rows, _ in parts]
    message, ends = channel.recv(label, sum(sizes)), list(accumulate(sizes))
    return [message[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _kept(name: str, parts: list[Part]) -> list[Part]:
    """The pieces of a batch; one that was streamed into shares has let go of them."""
    if not parts:
        raise ParameterError(f"expected a batch whose outputs can be opened, found {name}, streamed into shares")
    return parts


def _shares(projection: Projection | None, shares: list[Words]) -> Words:
    if projection is None or not shares:
        raise ParameterError(
            "expected a batch with a projection, its tables sent, found one whose outputs are not shared"
        )
    return _joined(shares)


class GarbledBatch:
    """The garbler's side of a batch of instances of one circuit; each step once.

    Attributes:
        n: instances.
        stream: in a streamed session, what garbles and sends all of a batch for the garbler's values; None once it is
            called, or where tables are sent ahead.
    """

    def __init__(self, channel: Channel, name: str, circuit: Circuit, n: int, projection: Projection | None) -> None:
        self._channel = channel
        self.name = name
        self.circuit = circuit
        self.n = n
        self.projection = projection
        self.parts: list[tuple[slice, Garbling]] = []
        self.stream: Callable[[GarbledBatch, Words], None] | None = None
        self._shares: list[Words] = []

    def send_inputs(self, values: Words) -> None:
        """Sends the labels of the garbler's ``values`` ``(n, garbler words)``; the evaluator learns nothing of them."""
        check_rows("garbler's values", values, self.n)
        if self.stream is not None:
            stream, self.stream = self.stream, None
            stream(self, values)
            return
        if not self.parts:
            raise ParameterError(
                f"expected a batch prepared ahead, found {self.name}, whose inputs went with its tables"
            )
        for rows, garbling in self.parts:
            self._channel.send(f"{self.name}/labels", garbling.input_labels(values[rows]))

    def reveal_to_evaluator(self) -> None:
        """Opens the outputs to the evaluator alone."""
        kept = _kept(self.name, self.parts)
        self._channel.send(f"{self.name}/decoding", *(garbling.decoding() for _, garbling in kept))

    def receive_outputs(self) -> Words:
        """The outputs ``(n, output words)``, to the garbler; the evaluator sends their colour bits."""
        kept = _kept(self.name, self.parts)
        colours = _receive_bits(self._channel, f"{self.name}/colours", kept, self.circuit.output_widths)
        with self._channel.naming_peer():
            return _joined([garbling.decode(own) for (_, garbling), own in zip(kept, colours, strict=True)])

    def project(self, garbling: Garbling) -> bytes:
        """Keeps this side's shares of a piece's outputs, and gives what the evaluator needs for its own; without a
        projection nothing."""
        if self.projection is None:
            return b""
        message, shares = garbling.project(self.projection.width, self.projection.signed)
        self._shares.append(shares)
        return message

    def shares(self) -> Words:
        """This side's shares ``(n, output words)``: fresh, uniform on their own, known once the tables are sent."""
        return _shares(self.projection, self._shares)

    def __repr__(self) -> str:
        return f"GarbledBatch({self.name})"


class EvaluatedBatch:
    """The evaluator's side of a batch of instances of one circuit; each step once.

    Attributes:
        n: instances.
        stream: in a streamed session, what receives and evaluates all of a batch; otherwise as for the garbler's side.
    """

    def __init__(self, channel: Channel, name: str, circuit: Circuit, n: int, projection: Projection | None) -> None:
        self._channel = channel
        self.name = name
        self.circuit = circuit
        self.n = n
        self.projection = projection
        self.parts: list[tuple[slice, Evaluation]] = []
        self.stored: list[memoryview] = []  # one a part: its tables and projection, until its labels come
        self.stream: Callable[[EvaluatedBatch], None] | None = None
        self._shares: list[Words] = []

    def receive_inputs(self) -> None:
        """Receives the labels and evaluates."""
        if self.stream is not None:
            stream, self.stream = self.stream, None
            stream(self)
            return
        if not self.stored:
            raise ParameterError(f"expected a prepared batch, found {self.name}, whose inputs came with its tables")
        memory = memoryview(bytearray(max(evaluation.label_bytes for _, evaluation in self.parts)))
        for number, (rows, evaluation) in enumerate(self.parts):
            labels = memory[: evaluation.label_bytes]
            self._channel.recv_into(f"{self.name}/labels", labels)
            stored, self.stored[number] = self.stored[number], memoryview(b"")
            tables = len(stored) - self.projection_bytes(rows)
            with self._channel.naming_peer():
                evaluation.set_labels(labels)
                evaluation.feed_tables(stored[:tables])
            self.open(evaluation, stored[tables:])

    def projection_bytes(self, rows: slice) -> int:
        """Length of a piece's projection."""
        return self.circuit.projection_bytes(rows.stop - rows.start, self.projection.width) if self.projection else 0

    def open(self, evaluation: Evaluation, message: Buffer) -> None:
        """Keeps this side's shares of a piece's outputs."""
        if self.projection is not None:
            with self._channel.naming_peer():
                self._shares.append(evaluation.open_projection(message, self.projection.width, self.projection.signed))

    def shares(self) -> Words:
        """This side's shares ``(n, output words)``, uniform on their own, once the inputs are there."""
        return _shares(self.projection, self._shares)

    def learn_outputs(self) -> Words:
        """The outputs ``(n, output words)``, to this side alone."""
        kept = _kept(self.name, self.parts)
        decoding = _receive_bits(self._channel, f"{self.name}/decoding", kept, self.circuit.output_widths)
        with self._channel.naming_peer():
            return _joined([own.decode(bits) for (_, own), bits in zip(kept, decoding, strict=True)])

    def return_outputs(self) -> None:
        """Opens the outputs to the garbler alone."""
        kept = _kept(self.name, self.parts)
        self._channel.send(f"{self.name}/colours", *(evaluation.colours() for _, evaluation in kept))

    def __repr__(self) -> str:
        return f"EvaluatedBatch({self.name})"
