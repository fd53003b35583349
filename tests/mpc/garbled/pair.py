"""Both sides of a garbled session over channels in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit
from mpc.channels.memory import MemoryChannel, memory_pair, run_both_sides
from mpc.garbled.batch import EvaluatedBatch, GarbledBatch, Projection
from mpc.garbled.session import Circuits, Evaluator, Garbler, Tables
from mpc.randomness import SeededRandomness

Words = NDArray[np.uint64]


def opened(
    seed: bytes | None = None,
    deadline_s: float = 20,
    tables: tuple[Tables, Tables] = ("half-gates", "half-gates"),
    circuits: tuple[Circuits, Circuits] = ("ahead", "ahead"),
) -> tuple[Garbler, Evaluator]:
    garbling, evaluating = memory_pair("garbler", "evaluator", deadline_s)
    sources = (None, None) if seed is None else (SeededRandomness(seed + b"g"), SeededRandomness(seed + b"e"))
    return run_both_sides(
        lambda: Garbler.open(garbling, sources[0], tables=tables[0], circuits=circuits[0]),
        lambda: Evaluator.open(evaluating, sources[1], tables=tables[1], circuits=circuits[1]),
    )


def words(shape: tuple[int, ...], bits: int, seed: int) -> Words:
    return np.random.default_rng(seed).integers(0, 2**64, shape, dtype=np.uint64) >> np.uint64(64 - bits)


def prepared(
    garbler: Garbler,
    evaluator: Evaluator,
    circuit: Circuit,
    own_values: Words,
    other_values: Words,
    projection: Projection | None = None,
) -> tuple[GarbledBatch, EvaluatedBatch]:
    """Both sides up to the evaluated circuit."""

    def garble() -> GarbledBatch:
        batch = garbler.prepare(circuit, len(own_values), projection=projection)
        batch.send_inputs(own_values)
        return batch

    def evaluate() -> EvaluatedBatch:
        batch = evaluator.prepare(circuit, len(other_values), other_values, projection=projection)
        batch.receive_inputs()
        return batch

    return run_both_sides(garble, evaluate)


def frames(party: Garbler | Evaluator, direction: str) -> list[tuple[str, bytes]]:
    channel = party.channel
    assert isinstance(channel, MemoryChannel)
    return [(label, body) for way, label, body in channel.transcript if way == direction]
