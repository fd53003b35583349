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

from mpc._core import Circuit, Evaluation, EvaluatorSession, GarblerSession, Garbling
from mpc.channel import Channel
from mpc.errors import ProtocolError
from mpc.randomness import Randomness
from mpc.ring import Words, packed_size

FRAME_BYTES = 1 << 18  # tables travel in frames of this size: large enough for the link, small enough to overlap
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
        name = _name(self._batches, circuit, n, late)
        needed = n * circuit.evaluator_bits
        missing = max(0, needed - self._session.ots_left)
        extension = -(-missing // OTS_A_BLOCK) * BLOCK_BYTES
        message = self.channel.recv(f"{name}/choices", extension + (0 if late else packed_size(needed, 1)))
        with _placed(self.channel):
            if extension:
                self._session.extend(message[:extension])
            garbling = self._session.garble(circuit, n, None if late else message[extension:])
        self._batches += 1
        while garbling.tables_left:
            self.channel.send(f"{name}/tables", garbling.next_tables(FRAME_BYTES))
        return GarbledBatch(self.channel, name, circuit, n, garbling, late)

    def __repr__(self) -> str:
        return f"Garbler({self.channel!r})"


class GarbledBatch:
    """The garbler's side of ``n`` instances of one circuit; each step once."""

    def __init__(self, channel: Channel, name: str, circuit: Circuit, n: int, garbling: Garbling, late: bool) -> None:
        self._channel = channel
        self._name = name
        self._circuit = circuit
        self._n = n
        self._garbling = garbling
        self._late = late

    def send_inputs(self, values: Words) -> None:
        """Sends the labels of the garbler's ``values`` ``(n, garbler words)``; the evaluator learns nothing of them."""
        corrections = None
        if self._late:
            bits = self._n * self._circuit.evaluator_bits
            corrections = self._channel.recv(f"{self._name}/corrections", packed_size(bits, 1))
        with _placed(self._channel):
            labels = self._garbling.input_labels(values, corrections)
        self._channel.send(f"{self._name}/labels", labels)

    def reveal_to_evaluator(self) -> None:
        """Opens the outputs to the evaluator alone."""
        self._channel.send(f"{self._name}/decoding", self._garbling.decoding())

    def receive_outputs(self) -> Words:
        """The outputs ``(n, output words)``, to the garbler; the evaluator sends their colour bits."""
        bits = self._n * sum(self._circuit.output_widths)
        colours = self._channel.recv(f"{self._name}/colours", packed_size(bits, 1))
        with _placed(self._channel):
            return self._garbling.decode(colours)

    def share_bits(self, width: int) -> Words:
        """This side's shares ``(n, output words)`` of the output bits in Z_2^width: fresh, uniform, the evaluator holds
        the rest. For circuits whose output words are single bits."""
        message, shares = self._garbling.project(width)
        self._channel.send(f"{self._name}/projection", message)
        return shares

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
        late = values is None
        name = _name(self._batches, circuit, n, late)
        missing = n * circuit.evaluator_bits - self._session.ots_left
        with _placed(self.channel):
            extension = self._session.extend(missing) if missing > 0 else b""
            evaluation = self._session.evaluate(circuit, n, values)
        self._batches += 1
        parts = (extension, b"" if late else evaluation.corrections)
        self.channel.send(f"{name}/choices", *(part for part in parts if part))
        left = circuit.table_bytes(n)
        while left:
            size = min(left, FRAME_BYTES)
            evaluation.feed_tables(self.channel.recv(f"{name}/tables", size))
            left -= size
        return EvaluatedBatch(self.channel, name, circuit, n, evaluation)

    def __repr__(self) -> str:
        return f"Evaluator({self.channel!r})"


class EvaluatedBatch:
    """The evaluator's side of ``n`` instances of one circuit; each step once."""

    def __init__(self, channel: Channel, name: str, circuit: Circuit, n: int, evaluation: Evaluation) -> None:
        self._channel = channel
        self._name = name
        self._circuit = circuit
        self._n = n
        self._evaluation = evaluation

    def choose(self, values: Words) -> None:
        """Late batches only: sends the choices for ``values`` ``(n, evaluator words)``; the garbler is about to
        :meth:`GarbledBatch.send_inputs`."""
        with _placed(self._channel):
            self._channel.send(f"{self._name}/corrections", self._evaluation.choose(values))

    def receive_inputs(self) -> None:
        """Receives the labels and evaluates."""
        labels = self._channel.recv(f"{self._name}/labels", self._evaluation.label_bytes)
        with _placed(self._channel):
            self._evaluation.set_labels(labels)

    def learn_outputs(self) -> Words:
        """The outputs ``(n, output words)``, to this side alone."""
        bits = self._n * sum(self._circuit.output_widths)
        decoding = self._channel.recv(f"{self._name}/decoding", packed_size(bits, 1))
        with _placed(self._channel):
            return self._evaluation.decode(decoding)

    def return_outputs(self) -> None:
        """Opens the outputs to the garbler alone."""
        self._channel.send(f"{self._name}/colours", self._evaluation.colours())

    def take_shares(self, width: int) -> Words:
        """This side's shares ``(n, output words)`` of the output bits in Z_2^width, uniform on their own."""
        bits = 2 * width * self._n * len(self._circuit.output_widths)
        message = self._channel.recv(f"{self._name}/projection", packed_size(bits, 1))
        with _placed(self._channel):
            return self._evaluation.open_projection(message, width)

    def __repr__(self) -> str:
        return f"EvaluatedBatch({self._circuit.name}, n={self._n})"
