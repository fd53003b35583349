"""One digest of the wire per protocol and direction, checked in: `wire_baseline.json`.

All randomness is injected, so a digest changes only if the protocol does (or a circuit). Whoever means that puts the
digests that the failing test prints into the file, and counts up the version in the hello. The frames of a channel have
theirs in test_session.py.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit, EvaluatorSession, GarblerSession

BASELINE = Path(__file__).with_name("wire_baseline.json")
INSTANCES = 37  # one whole tile and a part
CIRCUIT = Circuit.threshold(3, 11)
TO_GARBLER, TO_EVALUATOR = "evaluator to garbler", "garbler to evaluator"


class Wire:
    """Digests what is sent, by protocol and direction; lengths too, so that a byte cannot move between messages."""

    def __init__(self) -> None:
        self._sent: dict[str, list[bytes]] = {}

    def send(self, protocol: str, direction: str, message: bytes) -> bytes:
        self._sent.setdefault(f"{protocol}, {direction}", []).extend([len(message).to_bytes(8, "little"), message])
        return message

    def digests(self) -> dict[str, str]:
        return {name: hashlib.sha256(b"".join(sent)).hexdigest() for name, sent in sorted(self._sent.items())}


def words(seed: int, widths: list[int]) -> NDArray[np.uint64]:
    drawn = hashlib.shake_128(bytes([seed])).digest(8 * INSTANCES * len(widths))
    shifts = np.array([64 - width for width in widths], dtype=np.uint64)
    return np.frombuffer(drawn, dtype="<u8").reshape(INSTANCES, len(widths)) >> shifts


def open_sessions(wire: Wire, tables: str) -> tuple[GarblerSession, EvaluatorSession]:
    garbler, evaluator = GarblerSession(bytes(range(32)), tables), EvaluatorSession(bytes(range(32, 64)), tables)
    first = wire.send("base OT", TO_GARBLER, evaluator.start_base())
    reply = wire.send("base OT", TO_EVALUATOR, garbler.receive_base(first))
    garbler.finish_base(wire.send("base OT", TO_GARBLER, evaluator.receive_base(reply)))
    return garbler, evaluator


def run_batch(
    wire: Wire,
    garbler: GarblerSession,
    evaluator: EvaluatorSession,
    name: str,
    seeded: bool = False,
) -> None:
    mine, theirs = words(1, CIRCUIT.garbler_widths), words(2, CIRCUIT.evaluator_widths)
    extension = evaluator.extend(INSTANCES * CIRCUIT.evaluator_bits)
    garbler.extend(wire.send("OT extension", TO_GARBLER, extension))
    evaluation = evaluator.evaluate(CIRCUIT, INSTANCES, theirs, seeded=seeded)
    corrections = wire.send(name, TO_GARBLER, evaluation.corrections)
    garbling = garbler.garble(CIRCUIT, INSTANCES, corrections, values=mine if seeded else None)
    chunks = []
    memory = memoryview(bytearray(10_000))
    while written := garbling.write_tables(memory):
        chunks.append(wire.send(name, TO_EVALUATOR, bytes(memory[:written])))
    labels = garbling.input_labels(None if seeded else mine)
    evaluation.set_labels(wire.send(name, TO_EVALUATOR, labels))
    for chunk in chunks:
        evaluation.feed_tables(chunk)
    expected = CIRCUIT.run(mine, theirs)
    opened = evaluation.decode(wire.send(name, TO_EVALUATOR, garbling.decoding()))
    np.testing.assert_array_equal(opened, expected)
    np.testing.assert_array_equal(garbling.decode(wire.send(name, TO_GARBLER, evaluation.colours())), expected)
    message, shares = garbling.project(13)
    other = evaluation.open_projection(wire.send("projection", TO_EVALUATOR, message), 13)
    np.testing.assert_array_equal((shares + other) & np.uint64(2**13 - 1), expected)


def test_the_wire_is_what_it_was() -> None:
    wire = Wire()
    sessions = open_sessions(wire, "half-gates")
    run_batch(wire, *sessions, "garbled batch, first")
    run_batch(wire, *sessions, "garbled batch, second")
    other = Wire()  # base OTs and OT extension are the same
    run_batch(other, *open_sessions(other, "half-gates"), "garbled batch, seeded", seeded=True)
    run_batch(other, *open_sessions(other, "three-halves"), "three-halves batch")
    digests = wire.digests() | {name: digest for name, digest in other.digests().items() if " batch, " in name}
    assert digests == json.loads(BASELINE.read_text()), json.dumps(digests, indent=2)
