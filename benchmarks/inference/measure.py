"""Measurements of this project, for one model and one batch size.

The querying party is in one process, and the answering parties are in another, over TLS. In every measurement the
secret logits must equal those of the model in fixed point, in the clear.
"""

from __future__ import annotations

import re
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.inference.models import Model
from benchmarks.two_party import peak_memory_mb, run_many, run_with_dealer
from mpc.capc.parameters import Preprocessing
from mpc.channels.frames import Channel
from mpc.garbled.session import Circuits, Evaluator, Garbler
from mpc.inference import (
    AnsweringInference,
    Architecture,
    Dealer,
    Network,
    QueryingCorrelation,
    QueryingInference,
    dealer_give_seeds,
    querying_take_seeds,
)
from mpc.inference.models.fixed import Nonlinearity, PrivateLayer
from mpc.inference.models.limits import LARGEST_RING_BITS
from mpc.ring import Words
from tests.mpc.inference.examples import Agreement

SESSION_QUERIES = 2048
Bytes = dict[str, int]  # by "layer: what"


def fixed(model: Model, fraction_bits: int) -> Network:
    """In the narrowest ring that holds every worst case, which is what its owner could have had agreed."""

    def converted(ring_bits: int) -> Network:
        return Network.from_layers(
            model.layers, model.shape, fraction_bits=fraction_bits, session_queries=SESSION_QUERIES, ring_bits=ring_bits
        )

    wide = converted(LARGEST_RING_BITS)
    needed = max(2 * fraction_bits, *(found.ring_bits for found in wide.ranges))
    return converted(needed)


def error_of(model: Model, network: Network) -> float:
    """The largest difference of a logit to torch's, over all of the model's inputs, by the twin."""
    found = network.decode_logits(network.run_clear(network.encode_inputs(model.inputs)))
    return float(np.abs(found - model.logits).max())


class Layers:
    """Which layer a message's label belongs to, as "layer: what"."""

    def __init__(self, architecture: Architecture) -> None:
        steps = list(enumerate(architecture.layers))
        self._private = [f"{i} {layer.kind}" for i, layer in steps if isinstance(layer, PrivateLayer)]
        self._nonlinear = [f"{i} {layer.kind}" for i, layer in steps if isinstance(layer, Nonlinearity)]

    def of(self, label: str) -> str:
        private = re.fullmatch(r"linear/(\d+)/(\w+)", label)
        if private:
            return f"{self._private[int(private[1])]}: {private[2]}"
        # Circuits are numbered as they are prepared: layer by layer, batch by batch.
        garbled = re.fullmatch(r"garbled/(\d+)/.*/(\w+)", label)
        if garbled:
            return f"{self._nonlinear[int(garbled[1]) % len(self._nonlinear)]}: {garbled[2]}"
        return f"all: {label}"


@dataclass
class Meter:
    """Bytes that a channel carried in both directions, by layer and what they are."""

    layers: Layers
    seen: Bytes

    @classmethod
    def on(cls, channel: Channel, layers: Layers) -> Meter:
        meter = cls(layers, {})
        send, recv, recv_into = channel.send, channel.recv, channel.recv_into

        def counted_send(label: str, *parts: Any) -> None:
            meter.count(label, sum(memoryview(part).nbytes for part in parts))
            send(label, *parts)

        def counted_recv(label: str, *arguments: Any, **named: Any) -> memoryview:
            body = recv(label, *arguments, **named)
            meter.count(label, len(body))
            return body

        def counted_recv_into(label: str, target: memoryview) -> None:
            recv_into(label, target)
            meter.count(label, len(target))

        channel.send, channel.recv = counted_send, counted_recv  # type: ignore[method-assign]
        channel.recv_into = counted_recv_into  # type: ignore[method-assign]
        return meter

    def count(self, label: str, size: int) -> None:
        key = self.layers.of(label)
        self.seen[key] = self.seen.get(key, 0) + size

    def take(self) -> Bytes:
        seen, self.seen = self.seen, {}
        return seen


@dataclass(frozen=True, repr=False)
class Work:
    """The same batch of queries, again and again after once that does not count, as each process does its part."""

    network: Network
    queries: Words
    repetitions: int
    dealt: bool
    circuits: Circuits

    @property
    def batch(self) -> int:
        return len(self.queries)

    @property
    def agreement(self) -> Agreement:
        return Agreement.of(self.network)

    def deal(self, channels: list[Channel]) -> None:
        """The dealer."""
        querying, answering = channels
        (seed,) = dealer_give_seeds(querying, 1)
        dealer = Dealer.open(answering, seed)
        for _ in range(self.repetitions + 1):
            dealer.deal(dealer.next())

    def answer(self, channels: list[Channel]) -> dict[str, Any]:
        """All answering parties, a thread each; or one and its connection to the dealer."""
        guardian = channels.pop() if self.dealt else None
        meters = [Meter.on(guardian, Layers(self.network.architecture))] if guardian is not None else []
        sides = at_once(
            lambda channel: AnsweringInference.open(
                channel,
                Garbler.open(channel, circuits=self.circuits),
                self.network,
                self.agreement,
                dealer=guardian,
            ),
            channels,
        )
        opening = [meter.take() for meter in meters]
        pairs = dict(zip(channels, sides, strict=True))

        def serve(channel: Channel) -> Words:
            for _ in range(self.repetitions + 1):
                correlation = pairs[channel].prepare(self.batch)
                channel.send("ready")
                shares: Words = pairs[channel].infer(correlation)
                channel.send("done")
            return shares

        cpu = time.process_time()
        return {
            "shares": at_once(serve, channels),
            "cpu_ms": self._a_batch((time.process_time() - cpu) * 1e3),
            "memory_mb": peak_memory_mb(),
            "open_bytes": opening[0] if opening else {},
            "offline_bytes": {label: self._a_batch(size) for meter in meters for label, size in meter.take().items()},
        }

    def ask(self, channels: list[Channel]) -> dict[str, Any]:
        """The querying party, a thread for each answering party."""
        guardian = channels.pop() if self.dealt else None
        meter = Meter.on(channels[0], Layers(self.network.architecture))
        seed = querying_take_seeds(guardian, 1)[0] if guardian is not None else None
        started = time.perf_counter()
        sides = at_once(
            lambda channel: QueryingInference.open(
                channel, Evaluator.open(channel, circuits=self.circuits), self.agreement, dealt=seed
            ),
            channels,
        )
        open_ms = (time.perf_counter() - started) * 1e3
        open_bytes = meter.take()
        pairs = dict(zip(channels, sides, strict=True))

        def prepare(channel: Channel) -> QueryingCorrelation:
            correlation: QueryingCorrelation = pairs[channel].prepare(self.batch)
            channel.recv("ready", 0)
            return correlation

        def infer(channel: Channel) -> Words:
            shares: Words = pairs[channel].infer(prepared[channel], self.queries)
            channel.recv("done", 0)
            return shares

        offline_ms, online_ms, offline, online = [], [], [], []
        cpu = time.process_time()
        for _ in range(self.repetitions + 1):
            started = time.perf_counter()
            prepared = dict(zip(channels, at_once(prepare, channels), strict=True))
            ready = time.perf_counter()
            offline.append(meter.take())
            shares = at_once(infer, channels)
            online_ms.append((time.perf_counter() - ready) * 1e3)
            offline_ms.append((ready - started) * 1e3)
            online.append(meter.take())
        both = [before + after for before, after in zip(offline_ms, online_ms, strict=True)]
        return {
            "shares": shares,
            "open_ms": open_ms,
            "open_bytes": open_bytes,
            "first_ms": both[0],
            "offline_ms": statistics.median(offline_ms[1:]),
            "online_ms": statistics.median(online_ms[1:]),
            "range_ms": [min(both[1:]), max(both[1:])],
            # OTs are extended in large blocks, now and then: the mean is what a batch costs.
            "offline_bytes": _mean(offline),
            "online_bytes": _mean(online),
            "cpu_ms": self._a_batch((time.process_time() - cpu) * 1e3),
            "memory_mb": peak_memory_mb(),
        }

    def _a_batch(self, total: float) -> float:
        return total / (self.repetitions + 1)


def measure(
    model: Model,
    fraction_bits: int,
    batch: int,
    repetitions: int,
    parties: int = 1,
    preprocessing: Preprocessing = "he",
    circuits: Circuits = "ahead",
) -> dict[str, Any]:
    """``batch`` queries at a time to ``parties`` answering parties at once (one if there is a dealer); medians.

    One process is the querying party, another all answering parties. Bytes are those to and from one answering party,
    the dealer's with it included. CPU time is that of all threads of a process.

    Raises:
        AssertionError: the secret logits are not the twin's.
    """
    network = fixed(model, fraction_bits)
    queries = network.encode_inputs(np.resize(model.inputs, (batch, *model.shape)))
    dealt = preprocessing == "dealer"
    work = Work(network, queries, min(repetitions, SESSION_QUERIES // batch - 1), dealt, circuits)
    if dealt:
        _, served, asked = run_with_dealer(work.deal, work.answer, work.ask)
    else:
        served, asked = run_many(work.answer, work.ask, parties)
    twin = network.run_clear(queries)
    for left, right in zip(asked.pop("shares"), served.pop("shares"), strict=True):
        logits = network.ring.add(left, right)
        assert (network.ring.signed(logits) == twin).all(), "the secret logits are not the twin's"
    for phase in ("open_bytes", "offline_bytes"):  # labels of the dealer's messages are no other's
        asked[phase] |= served.pop(phase)
    parameters = network.architecture.rlwe()
    return {
        "model": model.name,
        "batch": batch,
        "parties": parties,
        "preprocessing": preprocessing,
        "circuits": circuits,
        "fraction_bits": fraction_bits,
        "ring_bits": network.architecture.ring_bits,
        "rlwe": {"degree": parameters.degree, "modulus_bits": parameters.modulus_bits},
        "error": error_of(model, network),
        "ms": asked["offline_ms"] + asked["online_ms"],
        "mb": (sum(asked["offline_bytes"].values()) + sum(asked["online_bytes"].values())) / 1e6,
        **asked,
        "server": served,
    }


def measure_labels(model: Model, fraction_bits: int, batch: int) -> dict[str, Any]:
    """All of the model's inputs, ``batch`` at a time: is every secret logit the twin's, and are labels the float's?"""
    network = fixed(model, fraction_bits)
    encoded, agreement = network.encode_inputs(model.inputs), Agreement.of(network)
    starts = range(0, len(encoded), batch)

    def answer(channels: list[Channel]) -> Any:
        inference = AnsweringInference.open(channels[0], Garbler.open(channels[0]), network, agreement)
        shares = [inference.infer(inference.prepare(len(encoded[start : start + batch]))) for start in starts]
        return np.concatenate(shares), peak_memory_mb()

    def ask(channels: list[Channel]) -> Any:
        inference = QueryingInference.open(channels[0], Evaluator.open(channels[0]), agreement)
        started, shares, meter = time.perf_counter(), [], Meter.on(channels[0], Layers(network.architecture))
        for start in starts:
            part = encoded[start : start + batch]
            shares.append(inference.infer(inference.prepare(len(part)), part))
        ms = (time.perf_counter() - started) * 1e3
        return np.concatenate(shares), peak_memory_mb(), ms, sum(meter.take().values()) / 1e6

    (served, server_memory), (asked, memory, ms, mb) = run_many(answer, ask, 1)
    secret, twin = network.ring.signed(network.ring.add(served, asked)), network.run_clear(encoded)
    predicted, expected = secret.argmax(axis=1), model.logits.argmax(axis=1)
    return {
        "model": model.name,
        "images": len(encoded),
        "batch": batch,
        "fraction_bits": fraction_bits,
        "ring_bits": network.architecture.ring_bits,
        "logits_equal_to_the_twins": float((secret == twin).all(axis=1).mean()),
        "error": float(np.abs(network.decode_logits(secret) - model.logits).max()),
        "accuracy": float((predicted == model.labels).mean()),
        "float_accuracy": float((expected == model.labels).mean()),
        "labels_equal_to_the_floats": float((predicted == expected).mean()),
        "ms_an_image": ms / len(encoded),
        "mb_an_image": mb / len(encoded),
        "memory_mb": memory,
        "server": {"memory_mb": server_memory},
    }


def _mean(batches: list[Bytes]) -> Bytes:
    labels = sorted({label for seen in batches for label in seen})
    return {label: round(sum(seen.get(label, 0) for seen in batches) / len(batches)) for label in labels}


def at_once(step: Callable[[Channel], Any], channels: list[Channel]) -> list[Any]:
    """A step with every peer, each in a thread; the first error is raised."""
    results: list[Any] = [None] * len(channels)
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            results[index] = step(channels[index])
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(1, len(channels))]
    for thread in threads:
        thread.start()
    run(0)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
