"""A session of garbled circuits between two parties, over one channel.

    Evaluator                                                       Garbler
    open:     first base-OT message                       ------>
                                                          <------   salt, 128 points
              tree sums, their check                      ------>
    prepare, piece by piece:
              OT extension (if any is short), corrections ------>
                                                          <------   tables, in frames
    receive_inputs / send_inputs:                         <------   labels of the garbler's values
    evaluate / garble, piece by piece:
              OT extension (if any is short), corrections ------>
                                                          <------   a seed of the labels, tables, in frames
    outputs:  in shares, by a projection behind the tables, or by split_outputs without a message, or one or both of
              learn_outputs                               <------   reveal_to_evaluator
              return_outputs                              ------>   receive_outputs

This is Yao's protocol with half gates (Zahur, Rosulek, Evans, EUROCRYPT 2015) or three halves (Rosulek, Roy, CRYPTO
2021). Three halves take a quarter fewer bytes for half as much computation again, see docs/circuits.md. The evaluator's
inputs go by OT extension (Roy, CRYPTO 2022) from base OTs of Chou and Orlandi (LATINCRYPT 2015).

The garbler is trusted to follow the protocol. An evaluator that deviates is refused, or guesses bits of the garbler's
offset at the risk of being refused (``mpc/core/ot``). Each learns its own inputs and what an output step gives it, and
nothing else.

Both sides make the same calls in the same order. Every message is labelled with the batch's number, circuit and size,
so that a mismatch is refused and not computed upon. How pieces follow each other, and why the
conversation cannot jam, is in :mod:`mpc.garbled.pieces`.

A session opened with ``circuits="streamed"`` on both sides prepares nothing. What ``prepare`` returns there does all of
its work when the inputs come, as ``evaluate`` and ``garble`` do.

A piece that is done keeps its outputs. So what a side holds is bounded by a piece and the outputs, except that
:meth:`Evaluator.prepare` keeps all tables until the labels come.

Values are uint64 arrays ``(n, words)``, with a row for each instance and each word within its width. ``ProtocolError``,
with peer and step, says that a message of the other side has the wrong label, length or content. ``ParameterError`` is
about the caller's own values and calls.
"""

from __future__ import annotations

from functools import partial

from mpc._core import Circuit, EvaluatorSession, GarblerSession
from mpc.channels.frames import Channel
from mpc.garbled.batch import Circuits, EvaluatedBatch, GarbledBatch, Projection, check_instances, check_rows
from mpc.garbled.pieces import EvaluatorPieces, GarblerPieces, Tables
from mpc.randomness import Randomness, core_seed
from mpc.ring import Words

__all__ = ["Circuits", "Evaluator", "Garbler", "Tables"]

POINT_BYTES, REPLY_BYTES, SUMS_BYTES = 32, 4112, 4128  # the three base-OT messages


def _seed(randomness: Randomness | None) -> bytes | None:
    return None if randomness is None else core_seed(randomness)


class _Side:
    """The state that both sides of a session have."""

    def __init__(self, channel: Channel, circuits: Circuits) -> None:
        self.channel = channel
        self._circuits = circuits
        self._batches = 0

    def _next_name(self, circuit: Circuit, n: int, projection: Projection | None) -> str:
        """Return the name of a new batch, the same on both sides."""
        check_instances(n)
        number, self._batches = self._batches, self._batches + 1
        shared = f"/{projection}" if projection else ""
        return f"garbled/{number}/{circuit.name}/{n}{shared}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channel!r})"


class Garbler(_Side):
    """The garbler's side of a session. Make one for a channel with :meth:`open`, and keep it."""

    def __init__(self, channel: Channel, session: GarblerSession, tables: Tables, circuits: Circuits) -> None:
        super().__init__(channel, circuits)
        self._pieces = GarblerPieces(channel, session, tables)

    @classmethod
    def open(
        cls,
        channel: Channel,
        randomness: Randomness | None = None,
        *,
        tables: Tables = "half-gates",
        circuits: Circuits = "ahead",
    ) -> Garbler:
        """Do the base OTs, in which the evaluator speaks first.

        Args:
            randomness: for tests only. The default is the operating system's.
            tables: how gates are garbled, the same on both sides. Another choice changes the labels of messages, so
                that it is refused.
            circuits: when tables of a prepared batch cross, the same on both sides. Another choice changes the lengths
                of messages, so that it is refused.
        """
        session = GarblerSession(_seed(randomness), tables)
        with channel.naming_peer():
            channel.send("garbled/base/2", session.receive_base(channel.recv("garbled/base/1", POINT_BYTES)))
            session.finish_base(channel.recv("garbled/base/3", SUMS_BYTES))
        return cls(channel, session, tables, circuits)

    def prepare(self, circuit: Circuit, n: int, *, projection: Projection | None = None) -> GarbledBatch:
        """Receive the evaluator's choices, garble ``n`` instances and send the tables.

        In a streamed session nothing crosses yet. With a projection the outputs become shares, and what the evaluator
        needs for its own goes with the tables.
        """
        name = self._next_name(circuit, n, projection)
        if self._circuits == "streamed":
            return GarbledBatch(self.channel, name, circuit, n, projection, self._stream)
        batch = GarbledBatch(self.channel, name, circuit, n, projection, None)
        for rows, garbling in self._pieces.garble(batch):
            self._pieces.send_tables(batch, garbling)
            batch.pieces.append((rows, garbling))
        return batch

    def garble(self, circuit: Circuit, values: Words, *, projection: Projection | None = None) -> GarbledBatch:
        """Do :meth:`prepare` and :meth:`GarbledBatch.send_inputs` in one, for known ``values`` ``(n, garbler words)``.

        Their labels go first, as a seed. So the evaluator evaluates while tables arrive, and stores none.
        """
        name = self._next_name(circuit, len(values), projection)
        batch = GarbledBatch(self.channel, name, circuit, len(values), projection, self._stream)
        batch.send_inputs(values)
        return batch

    def _stream(self, batch: GarbledBatch, values: Words) -> None:
        """Garble all pieces of a batch and send their labels and tables. Outputs that are shared let a piece go."""
        for rows, garbling in self._pieces.garble(batch, values):
            self._pieces.send_tables(batch, garbling, garbling.input_labels())
            if batch.projection is None:
                batch.pieces.append((rows, garbling))


class Evaluator(_Side):
    """The evaluator's side of a session. Make one for a channel with :meth:`open`, and keep it."""

    def __init__(self, channel: Channel, session: EvaluatorSession, tables: Tables, circuits: Circuits) -> None:
        super().__init__(channel, circuits)
        self._pieces = EvaluatorPieces(channel, session, tables)

    @classmethod
    def open(
        cls,
        channel: Channel,
        randomness: Randomness | None = None,
        *,
        tables: Tables = "half-gates",
        circuits: Circuits = "ahead",
    ) -> Evaluator:
        """Do the base OTs, in which this side speaks first. The arguments are those of :meth:`Garbler.open`."""
        session = EvaluatorSession(_seed(randomness), tables)
        with channel.naming_peer():
            channel.send("garbled/base/1", session.start_base())
            channel.send("garbled/base/3", session.receive_base(channel.recv("garbled/base/2", REPLY_BYTES)))
        return cls(channel, session, tables, circuits)

    def prepare(
        self, circuit: Circuit, n: int, values: Words, *, projection: Projection | None = None
    ) -> EvaluatedBatch:
        """Send this side's choices, then receive and store the tables.

        ``values`` ``(n, evaluator words)`` are this side's inputs, of which the garbler learns nothing. In a streamed
        session nothing crosses yet, and the batch keeps a copy of them. ``projection`` is the garbler's.
        """
        check_rows("evaluator's values", values, n)
        name = self._next_name(circuit, n, projection)
        if self._circuits == "streamed":
            stream = partial(self._stream, values=values.copy())
            return EvaluatedBatch(self.channel, name, circuit, n, projection, stream)
        batch = EvaluatedBatch(self.channel, name, circuit, n, projection, None)
        for rows, evaluation, send_choices in self._pieces.evaluate(batch, values):
            batch.stored.append(self._pieces.store_tables(batch, rows))
            send_choices()
            batch.pieces.append((rows, evaluation))
        return batch

    def evaluate(self, circuit: Circuit, values: Words, *, projection: Projection | None = None) -> EvaluatedBatch:
        """Do :meth:`prepare` and :meth:`EvaluatedBatch.receive_inputs` in one, facing :meth:`Garbler.garble`."""
        check_rows("evaluator's values", values, len(values))
        name = self._next_name(circuit, len(values), projection)
        stream = partial(self._stream, values=values)
        batch = EvaluatedBatch(self.channel, name, circuit, len(values), projection, stream)
        batch.receive_inputs()
        return batch

    def _stream(self, batch: EvaluatedBatch, values: Words) -> None:
        """Evaluate all pieces of a batch as their tables arrive. Outputs that are shared let a piece go."""
        for rows, evaluation, send_choices in self._pieces.evaluate(batch, values):
            projection = self._pieces.evaluate_tables(batch, rows, evaluation, send_choices)
            if batch.projection is None:
                batch.pieces.append((rows, evaluation))
            else:
                batch.open_shares(evaluation, projection)
