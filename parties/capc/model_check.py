"""The offline check of a model's file: what it is as a network of this protocol, what a query costs, how exact it is.

Bytes and round trips are counted in a run of both sides of private inference in this process, with the real
cryptography. Seconds here are measured in the same run. Seconds on other links are **computed**:

    seconds here + 8 x bytes / rate + round trips x round-trip time

What the vote and the release take is not in it. It is the same for every model, and little beside a large one.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mpc.channels.memory import MemoryChannel, memory_pair, run_both_sides
from mpc.errors import MpcError, RangeError
from mpc.garbled.session import Evaluator, Garbler
from mpc.inference import AnsweringInference, Network, QueryingInference
from mpc.inference.models.fixed import LeakyRectify, MaxPool, Rectify
from mpc.inference.models.floats import FloatLayer, Floats, run
from mpc.inference.models.limits import LARGEST_RING_BITS
from parties.capc.config import CapcConfig
from parties.frame.child import ending, run_child
from parties.frame.errors import ConfigError
from parties.learning.labels import LABEL_KINDS, Labelling
from parties.learning.model_files.checking import CheckJob
from parties.learning.model_files.layers_file import read_layers
from parties.learning.model_files.source import ModelSource
from parties.learning.records import DataError

LINKS = {
    "10 Gbit/s": (10e9, 0.0),
    "1 Gbit/s, 1 ms": (1e9, 0.001),
    "200 Mbit/s, 20 ms": (200e6, 0.020),
    "100 Mbit/s, 40 ms": (100e6, 0.040),
    "20 Mbit/s, 80 ms": (20e6, 0.080),
}
"""Bits a second and the seconds of a round trip."""

FORMULA = "computed: seconds here + 8 x bytes / rate + round trips x round-trip time"
_RANDOM = 64  # queries, where no samples are given
_DEADLINE_S = 600.0


@dataclass(frozen=True)
class Cost:
    """What one query costs, of which `ahead` does not depend on it and `online` does.

    Attributes:
        bytes: both ways, with the heads of frames.
        round_trips: how often the querying party waits for an answer.
        seconds: measured here, both sides on this machine.
    """

    bytes: int
    round_trips: int
    seconds: float

    def seconds_on(self, link: str) -> float:
        """Compute the seconds on one of :data:`LINKS` by :data:`FORMULA`."""
        rate, trip_s = LINKS[link]
        return self.seconds + 8 * self.bytes / rate + self.round_trips * trip_s


@dataclass(frozen=True)
class Agreed:
    """What both sides of private inference agree on."""

    input_shape: tuple[int, ...]
    classes: int
    ring_bits: int
    fraction_bits: int
    weight_norm: int
    weight_bits: int | None


def check_model(
    source: ModelSource,
    shape: tuple[int, ...],
    ends: tuple[float, float],
    config: CapcConfig,
    samples: Path | None = None,
    labelling: Labelling = "class",
) -> dict[str, Any]:
    """Return all that the check found, as plain values. `refusal` is None where the model can be used.

    Raises `PartyError` where the check itself fails.
    """
    with tempfile.TemporaryDirectory(prefix="capc-check-") as folder:
        job = CheckJob(source=source, shape=shape, ends=ends, labelling=labelling, layers=Path(folder) / "layers.npz")
        found = _in_child(job)
        if found["refusal"] is not None:
            return found
        layers, image_shape, _ = read_layers(job.layers)
    queries, truth = _queries(samples, image_shape, ends)
    try:
        network, said = _network(layers, image_shape, ends, config, queries)
    except MpcError as error:
        return found | {"refusal": str(error), "would_fit": _would_fit(layers, image_shape, ends, config, queries)}
    ahead, online = measure(network, config, queries[:1])
    return found | {
        "words": [*found["words"], *said, *_outside(ends)],
        "layers": _described(layers, image_shape),
        "relus": relus(network),
        "fraction_bits": network.architecture.fraction_bits,
        "weight_bits": list(network.architecture.private_bits),
        "ring_bits": network.architecture.ring_bits,
        "ring_bits_needed": max(one.ring_bits for one in network.ranges),
        "bytes": {"ahead": ahead.bytes, "online": online.bytes},
        "round_trips": {"ahead": ahead.round_trips, "online": online.round_trips},
        "seconds_here": {"ahead": ahead.seconds, "online": online.seconds},
        "seconds_computed": {
            link: {"ahead": ahead.seconds_on(link), "online": online.seconds_on(link)} for link in LINKS
        },
        "formula": FORMULA,
        "accuracy": accuracy(network, layers, queries, truth, labelling),
    }


def _in_child(job: CheckJob) -> dict[str, Any]:
    child = run_child("parties.learning.model_files.checking", job, _DEADLINE_S)
    if child.returncode != 0:
        raise ConfigError(f"model {job.source.file}: the check failed: {ending(child)}")
    found: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return found


def _queries(path: Path | None, shape: tuple[int, ...], ends: tuple[float, float]) -> tuple[Floats, Any]:
    """Return samples ``(n, *shape)`` and their labels, if the file has some. Without a file they are drawn."""
    if path is None:
        return np.random.default_rng(0).uniform(*ends, (_RANDOM, *shape)), None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"samples: {path} cannot be read as an NPZ file ({type(error).__name__})") from error
    truth = arrays.pop("labels", None)
    if len(arrays) != 1:
        raise DataError(
            f"samples: expected one array of inputs beside `labels` in {path}, found {', '.join(arrays) or 'none'}"
        )
    values = np.asarray(next(iter(arrays.values())), np.float64)
    if math.prod(values.shape[1:]) != math.prod(shape) or not len(values):
        raise DataError(f"samples: expected an array (n, {', '.join(map(str, shape))}) in {path}, found {values.shape}")
    if not (values.min() >= ends[0] and values.max() <= ends[1]):
        raise DataError(
            f"samples: expected values in {ends[0]:g}..{ends[1]:g} in {path}, found {values.min():g}..{values.max():g}"
        )
    if truth is not None and len(truth) != len(values):
        raise DataError(f"samples: expected {len(values)} labels in {path}, found {len(truth)}")
    return values.reshape(-1, *shape), truth


def _network(
    layers: Sequence[FloatLayer], shape: tuple[int, ...], ends: tuple[float, float], config: CapcConfig, samples: Floats
) -> tuple[Network, list[str]]:
    """Return the network in fixed point, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network = Network.from_layers(
            layers, shape, ends, config.fraction_bits, config.ring_bits, config.n_queries * 2, samples=samples,
            weight_norm=config.weight_norm, weight_bits=config.weight_bits, beyond_bounds=config.beyond_bounds,
        )  # fmt: skip
    return network, [str(one.message) for one in caught]


def _would_fit(
    layers: Sequence[FloatLayer], shape: tuple[int, ...], ends: tuple[float, float], config: CapcConfig, samples: Floats
) -> str:
    """Return with which other choices the model would fit, or what to do where there are none."""
    for bits in range(config.fraction_bits, 3, -1):
        try:
            widest = config.model_copy(
                update={"fraction_bits": bits, "ring_bits": LARGEST_RING_BITS, "beyond_bounds": "scale"}
            )
            network, _ = _network(layers, shape, ends, widest, samples)
        except RangeError:
            continue
        except MpcError:
            break
        agree = network.precision.labels if network.precision else 1.0
        return (
            f"it fits with fraction_bits {bits}, ring_bits {LARGEST_RING_BITS} and beyond_bounds scale, where "
            f"{agree:.0%} of the samples get the same label as in floats"
        )
    return "smaller weights would fit: train with more weight decay, or with batch normalisation"


def measure(network: Network, config: CapcConfig, query: Floats) -> tuple[Cost, Cost]:
    """Run one query between both sides in this process, and return what it took ahead and online.

    The base oblivious transfers and the keys, which serve a whole session, are not in it.
    """
    architecture = network.architecture
    agreed = Agreed(
        architecture.input_shape, architecture.classes, architecture.ring_bits, architecture.fraction_bits,
        config.weight_norm, config.weight_bits,
    )  # fmt: skip
    asking, answering = memory_pair("querying party", "answering party", _DEADLINE_S)
    tables: Literal["half-gates", "three-halves"] = config.garbling
    evaluator, garbler = run_both_sides(
        lambda: Evaluator.open(asking, tables=tables, circuits=config.circuits),
        lambda: Garbler.open(answering, tables=tables, circuits=config.circuits),
    )
    querying, serving = run_both_sides(
        lambda: QueryingInference.open(asking, evaluator, agreed),
        lambda: AnsweringInference.open(answering, garbler, network, agreed),
    )
    asking.transcript.clear()
    with asking.in_step("ahead"):
        began = time.perf_counter()
        mine, theirs = run_both_sides(lambda: querying.prepare(1), lambda: serving.prepare(1))
        ahead = _cost(asking, time.perf_counter() - began)
    encoded = network.encode_inputs(query)
    asking.transcript.clear()
    with asking.in_step("online"):
        began = time.perf_counter()
        left, right = run_both_sides(lambda: querying.infer(mine, encoded), lambda: serving.infer(theirs))
        online = _cost(asking, time.perf_counter() - began)
    if not np.array_equal(network.ring.signed(network.ring.add(left, right)), network.run_clear(encoded)):
        raise MpcError("expected shares that add up to the network's logits, found others")
    return ahead, online


def _cost(channel: MemoryChannel, seconds: float) -> Cost:
    directions = [direction for direction, _, _ in channel.transcript]
    trips = sum(now == "received" and before == "sent" for before, now in pairwise(directions))
    traffic = channel.traffic[channel.step]
    return Cost(traffic.sent + traffic.received, trips, seconds)


def relus(network: Network) -> int:
    """Return how many values of a query go through a comparison, in ReLUs, leaky ReLUs and max pooling."""
    return sum(
        math.prod(step.after) for step in network.steps if isinstance(step.layer, Rectify | LeakyRectify | MaxPool)
    )


def accuracy(
    network: Network, layers: Sequence[FloatLayer], queries: Floats, truth: Any, labelling: Labelling
) -> dict[str, Any]:
    """Compare labels and logits in fixed point with those of the float layers, and with the truth where it is known."""
    kind = LABEL_KINDS[labelling]
    floats = run(layers, queries)
    parts = [
        network.run_clear(network.encode_inputs(part)) for part in np.array_split(queries, -(-len(queries) // 256))
    ]
    fixed = network.decode_logits(np.concatenate(parts))
    same = (kind.predicted(fixed) == kind.predicted(floats)).reshape(len(queries), -1).all(axis=1)
    found: dict[str, Any] = {
        "queries": len(queries),
        "same_label": int(same.sum()),
        "largest_logit_error": float(np.abs(fixed - floats).max()),
    }
    if truth is not None:
        found["right_in_floats"] = int((kind.predicted(floats) == truth).reshape(len(queries), -1).all(axis=1).sum())
        found["right_in_fixed_point"] = int(
            (kind.predicted(fixed) == truth).reshape(len(queries), -1).all(axis=1).sum()
        )
    return found


def _outside(ends: tuple[float, float]) -> list[str]:
    if ends[0] >= 0 and ends[1] <= 1:
        return []
    return [f"a run asks about records in 0..1, and this model was checked for {ends[0]:g}..{ends[1]:g}"]


def _described(layers: Sequence[FloatLayer], shape: tuple[int, ...]) -> list[dict[str, Any]]:
    found = []
    for layer in layers:
        shape = layer.output_shape(shape)
        found.append({"layer": repr(layer), "output": list(shape)})
    return found
