"""Garbled circuits over a channel: the Python face of the C++ core.

    Evaluator                                                       Garbler
    open:     first base-OT message                       ------>
                                                          <------   salt, 128 points
              tree sums                                   ------>
    prepare:  OT extension (if any is short), corrections ------>
                                                          <------   tables, in frames
    (inputs)                                              <------   labels of the garbler's values
    (outputs) one or more of
              learn_outputs                               <------   reveal_to_evaluator
              return_outputs                              ------>   receive_outputs
              take_shares                                 <------   share_bits

Yao's protocol with half gates (Zahur, Rosulek, Evans, EUROCRYPT 2015), evaluator inputs by OT extension (Roy, CRYPTO
2022) from base OTs of Chou and Orlandi (LATINCRYPT 2015). Semi-honest: each side learns its own inputs and what an
output step gives it, nothing else. Both sides must make the same calls in the same order; every message is labelled
with the batch's number, circuit and size, so a mismatch is refused and not computed upon.

Values are uint64 arrays ``(n, words)``, one row an instance, each word within its width. ``ProtocolError`` (with peer
and step): the other side's message has the wrong label, length or content. ``ParameterError``: the caller's own values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mpc._core import Circuit, Evaluation, EvaluatorSession, GarblerSession, Garbling
from mpc.channel import Buffer, Channel
from mpc.errors import ParameterError, ProtocolError
from mpc.randomness import Randomness
from mpc.ring import Words, packed_size

FRAME_BYTES = 1 << 18  # tables travel in frames of this size: large enough for the link, small enough to overlap
OTS_A_PIECE = 1 << 17  # a batch is worked on in pieces of about so many OTs, so that both sides compute at once
TILE = 32  # instances that share a hash key; pieces are whole tiles
OTS_A_BLOCK, BLOCK_BYTES = 128, 496  # an OT extension comes in blocks: so many OTs, so many bytes
POINT_BYTES, REPLY_BYTES, SUMS_BYTES = 32, 4112, 3072  # the three base-OT messages


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


def _packed_bits(circuit: Circuit, rows: slice, widths: list[int]) -> int:
    return packed_size((rows.stop - rows.start) * sum(widths), 1)


def _name(number: int, circuit: Circuit, n: int, late: bool) -> str:
    return f"garbled/{number}/{circuit.name}/{n}{'/late' if late else ''}"


class Garbler:
    """The garbler's side of a session; :meth:`open` one per channel and keep it."""

    def __init__(self, channel: Channel, session: GarblerSession) -> None:
        self.channel = channel
        self._session = session
        self._batches = 0

    @classmethod
    def open(cls, channel: Channel, randomness: Randomness | None = None) -> Garbler:
        """Base OTs, the evaluator speaking first. ``randomness``: tests only; default is the operating system's."""
        session = GarblerSession(_seed(randomness))
        with _placed(channel):
            channel.send("garbled/base/2", session.receive_base(channel.recv("garbled/base/1", POINT_BYTES)))
            session.finish_base(channel.recv("garbled/base/3", SUMS_BYTES))
        return cls(channel, session)

    def prepare(self, circuit: Circuit, n: int, *, late: bool = False) -> GarbledBatch:
        """Receives the evaluator's choices, garbles ``n`` instances and sends the tables.

        ``late``: the evaluator chooses only when the garbler's inputs are sent (16 bytes an input bit more).
        """
        batch = self._begin(circuit, n, late)
        for part in batch.parts:
            batch.send_tables(part)
        return batch

    def garble(self, circuit: Circuit, values: Words) -> GarbledBatch:
        """:meth:`prepare` and :meth:`GarbledBatch.send_inputs` in one: labels go first, so that the evaluator evaluates
        while tables arrive and stores none. ``values`` ``(n, garbler words)``."""
        batch = self._begin(circuit, len(values), late=False)
        for part in batch.parts:
            batch.send_labels(part, values)
            batch.send_tables(part)
        return batch

    def _begin(self, circuit: Circuit, n: int, late: bool) -> GarbledBatch:
        pieces = _pieces(circuit, n)
        name = _name(self._batches, circuit, n, late)
        parts = []
        for rows in pieces:
            needed = (rows.stop - rows.start) * circuit.evaluator_bits
            missing = max(0, needed - self._session.ots_left)
            extension = -(-missing // OTS_A_BLOCK) * BLOCK_BYTES
            message = self.channel.recv(f"{name}/choices", extension + (0 if late else packed_size(needed, 1)))
            with _placed(self.channel):
                if extension:
                    self._session.extend(message[:extension])
                corrections = None if late else message[extension:]
                parts.append((rows, self._session.garble(circuit, rows.stop - rows.start, corrections)))
        self._batches += 1
        return GarbledBatch(self.channel, name, circuit, parts, late)

    def __repr__(self) -> str:
        return f"Garbler({self.channel!r})"


class GarbledBatch:
    """The garbler's side of a batch of instances of one circuit; each step once."""

    def __init__(
        self, channel: Channel, name: str, circuit: Circuit, parts: list[tuple[slice, Garbling]], late: bool
    ) -> None:
        self._channel = channel
        self._name = name
        self._circuit = circuit
        self._late = late
        self._n = parts[-1][0].stop
        self.parts = parts

    def send_tables(self, part: tuple[slice, Garbling]) -> None:
        """One piece's tables, in frames."""
        garbling = part[1]
        while garbling.tables_left:
            self._channel.send(f"{self._name}/tables", garbling.next_tables(FRAME_BYTES))

    def send_labels(self, part: tuple[slice, Garbling], values: Words, corrections: Buffer | None = None) -> None:
        """One piece's labels."""
        rows, garbling = part
        with _placed(self._channel):
            labels = garbling.input_labels(values[rows], corrections)
        self._channel.send(f"{self._name}/labels", labels)

    def send_inputs(self, values: Words) -> None:
        """Sends the labels of the garbler's ``values`` ``(n, garbler words)``; the evaluator learns nothing of them."""
        _check_rows("garbler's values", values, self._n)
        corrections: list[Buffer | None] = [None] * len(self.parts)
        if self._late:
            sizes = [_packed_bits(self._circuit, rows, self._circuit.evaluator_widths) for rows, _ in self.parts]
            corrections = [self._channel.recv(f"{self._name}/corrections", size) for size in sizes]
        for part, correction in zip(self.parts, corrections, strict=True):
            self.send_labels(part, values, correction)

    def reveal_to_evaluator(self) -> None:
        """Opens the outputs to the evaluator alone."""
        for _, garbling in self.parts:
            self._channel.send(f"{self._name}/decoding", garbling.decoding())

    def receive_outputs(self) -> Words:
        """The outputs ``(n, output words)``, to the garbler; the evaluator sends their colour bits."""
        outputs = []
        for rows, garbling in self.parts:
            size = _packed_bits(self._circuit, rows, self._circuit.output_widths)
            colours = self._channel.recv(f"{self._name}/colours", size)
            with _placed(self._channel):
                outputs.append(garbling.decode(colours))
        return _joined(outputs)

    def share_bits(self, width: int) -> Words:
        """This side's shares ``(n, output words)`` of the output bits in Z_2^width: fresh, uniform, the evaluator holds
        the rest. For circuits whose output words are single bits."""
        shares = []
        for _, garbling in self.parts:
            message, share = garbling.project(width)
            self._channel.send(f"{self._name}/projection", message)
            shares.append(share)
        return _joined(shares)

    def __repr__(self) -> str:
        return f"GarbledBatch({self._circuit.name}, n={self._n})"


class Evaluator:
    """The evaluator's side of a session; :meth:`open` one per channel and keep it."""

    def __init__(self, channel: Channel, session: EvaluatorSession) -> None:
        self.channel = channel
        self._session = session
        self._batches = 0

    @classmethod
    def open(cls, channel: Channel, randomness: Randomness | None = None) -> Evaluator:
        """Base OTs, this side speaking first. ``randomness``: tests only; default is the operating system's."""
        session = EvaluatorSession(_seed(randomness))
        with _placed(channel):
            channel.send("garbled/base/1", session.start_base())
            channel.send("garbled/base/3", session.receive_base(channel.recv("garbled/base/2", REPLY_BYTES)))
        return cls(channel, session)

    def prepare(self, circuit: Circuit, n: int, values: Words | None = None) -> EvaluatedBatch:
        """Sends this side's choices, receives and stores the tables.

        ``values`` ``(n, evaluator words)``: this side's inputs, of which the garbler learns nothing. None: chosen late,
        see :meth:`EvaluatedBatch.choose`; the garbler must prepare ``late`` too.
        """
        batch = self._begin(circuit, n, values)
        for part in batch.parts:
            batch.receive_tables(part)
        return batch

    def evaluate(self, circuit: Circuit, values: Words) -> EvaluatedBatch:
        """:meth:`prepare` and :meth:`EvaluatedBatch.receive_inputs` in one, facing :meth:`Garbler.garble`."""
        batch = self._begin(circuit, len(values), values)
        for part in batch.parts:
            batch.receive_labels(part)
            batch.receive_tables(part)
        return batch

    def _begin(self, circuit: Circuit, n: int, values: Words | None) -> EvaluatedBatch:
        pieces = _pieces(circuit, n)
        if values is not None:
            _check_rows("evaluator's values", values, n)
        name = _name(self._batches, circuit, n, values is None)
        parts = []
        for rows in pieces:
            missing = (rows.stop - rows.start) * circuit.evaluator_bits - self._session.ots_left
            with _placed(self.channel):
                extension = self._session.extend(missing) if missing > 0 else b""
                own = None if values is None else values[rows]
                evaluation = self._session.evaluate(circuit, rows.stop - rows.start, own)
            message = (extension, b"" if values is None else evaluation.corrections)
            self.channel.send(f"{name}/choices", *(part for part in message if part))
            parts.append((rows, evaluation))
        self._batches += 1
        return EvaluatedBatch(self.channel, name, circuit, parts)

    def __repr__(self) -> str:
        return f"Evaluator({self.channel!r})"


class EvaluatedBatch:
    """The evaluator's side of a batch of instances of one circuit; each step once."""

    def __init__(self, channel: Channel, name: str, circuit: Circuit, parts: list[tuple[slice, Evaluation]]) -> None:
        self._channel = channel
        self._name = name
        self._circuit = circuit
        self._n = parts[-1][0].stop
        self.parts = parts

    def receive_tables(self, part: tuple[slice, Evaluation]) -> None:
        """One piece's tables: evaluated if its labels are there, stored otherwise."""
        rows, evaluation = part
        left = self._circuit.table_bytes(rows.stop - rows.start)
        while left:
            size = min(left, FRAME_BYTES)
            evaluation.feed_tables(self._channel.recv(f"{self._name}/tables", size))
            left -= size

    def receive_labels(self, part: tuple[slice, Evaluation]) -> None:
        """One piece's labels."""
        evaluation = part[1]
        labels = self._channel.recv(f"{self._name}/labels", evaluation.label_bytes)
        with _placed(self._channel):
            evaluation.set_labels(labels)

    def choose(self, values: Words) -> None:
        """Late batches only: sends the choices for ``values`` ``(n, evaluator words)``; the garbler is about to
        :meth:`GarbledBatch.send_inputs`."""
        _check_rows("evaluator's values", values, self._n)
        for rows, evaluation in self.parts:
            with _placed(self._channel):
                corrections = evaluation.choose(values[rows])
            self._channel.send(f"{self._name}/corrections", corrections)

    def receive_inputs(self) -> None:
        """Receives the labels and evaluates."""
        for part in self.parts:
            self.receive_labels(part)

    def learn_outputs(self) -> Words:
        """The outputs ``(n, output words)``, to this side alone."""
        outputs = []
        for rows, evaluation in self.parts:
            size = _packed_bits(self._circuit, rows, self._circuit.output_widths)
            decoding = self._channel.recv(f"{self._name}/decoding", size)
            with _placed(self._channel):
                outputs.append(evaluation.decode(decoding))
        return _joined(outputs)

    def return_outputs(self) -> None:
        """Opens the outputs to the garbler alone."""
        for _, evaluation in self.parts:
            self._channel.send(f"{self._name}/colours", evaluation.colours())

    def take_shares(self, width: int) -> Words:
        """This side's shares ``(n, output words)`` of the output bits in Z_2^width, uniform on their own."""
        shares = []
        for rows, evaluation in self.parts:
            size = packed_size(2 * width * (rows.stop - rows.start) * len(self._circuit.output_widths), 1)
            message = self._channel.recv(f"{self._name}/projection", size)
            with _placed(self._channel):
                shares.append(evaluation.open_projection(message, width))
        return _joined(shares)

    def __repr__(self) -> str:
        return f"EvaluatedBatch({self._circuit.name}, n={self._n})"
