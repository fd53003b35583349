"""Random networks, their float meaning, and two sides that run at once; shared by the tests of this folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mpc.channels.memory import MemoryChannel, memory_pair
from mpc.garbled.session import Circuits, Evaluator, Garbler
from mpc.inference import (
    AnsweringInference,
    AvgPool2d,
    Conv2d,
    Flatten,
    LeakyReLU,
    Linear,
    Network,
    NetworkWeights,
    QueryingInference,
    ReLU,
)
from mpc.inference.models.bounds import WEIGHT_NORM

Left = TypeVar("Left")
Right = TypeVar("Right")
Floats = NDArray[np.float64]


def run_both_sides(left: Callable[[], Left], right: Callable[[], Right]) -> tuple[Left, Right]:
    """Run both sides of a step at once; the first error is raised."""
    results: dict[str, Right] = {}
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results["right"] = right()
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        mine = left()
    except BaseException as error:
        thread.join(30)
        if errors:
            raise errors[0] from error
        raise
    thread.join()
    if errors:
        raise errors[0]
    return mine, results["right"]


@dataclass(frozen=True)
class Agreement:
    input_shape: tuple[int, ...]
    classes: int
    ring_bits: int
    fraction_bits: int
    weight_norm: int = WEIGHT_NORM
    weight_bits: int | None = None

    @classmethod
    def of(cls, network: Network) -> Agreement:
        public = network.architecture
        return cls(public.input_shape, public.classes, public.ring_bits, public.fraction_bits)


@dataclass
class Session:
    querying: QueryingInference
    answering: AnsweringInference
    querying_channel: MemoryChannel
    answering_channel: MemoryChannel

    @classmethod
    def open(
        cls,
        network: Network,
        deadline_s: float = 60.0,
        prepared: NetworkWeights | None = None,
        circuits: Circuits = "ahead",
        weight_norm: int = WEIGHT_NORM,
    ) -> Session:
        agreement = replace(Agreement.of(network), weight_norm=weight_norm)
        mine, theirs = memory_pair("client", "server", deadline_s)
        evaluator, garbler = run_both_sides(
            lambda: Evaluator.open(mine, circuits=circuits), lambda: Garbler.open(theirs, circuits=circuits)
        )
        querying, answering = run_both_sides(
            lambda: QueryingInference.open(mine, evaluator, agreement),
            lambda: AnsweringInference.open(theirs, garbler, network, agreement, prepared=prepared),
        )
        return cls(querying, answering, mine, theirs)

    def run(self, queries: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Both shares of the logits."""
        asked, served = run_both_sides(
            lambda: self.querying.prepare(len(queries)), lambda: self.answering.prepare(len(queries))
        )
        return run_both_sides(lambda: self.querying.infer(asked, queries), lambda: self.answering.infer(served))


def uniform(rng: np.random.Generator, *shape: int) -> Floats:
    """Weights as torch initialises them."""
    return rng.uniform(-1, 1, shape) / np.sqrt(np.prod(shape[1:]) or 1)


def mlp(rng: np.random.Generator) -> tuple[list[object], tuple[int, ...]]:
    """64-32-10."""
    return [
        Linear(uniform(rng, 32, 64), uniform(rng, 32)),
        ReLU(),
        Linear(uniform(rng, 10, 32), uniform(rng, 10)),
    ], (64,)


def cryptonets_relu(rng: np.random.Generator) -> tuple[list[object], tuple[int, ...]]:
    """Convolution 5x5, stride 2, 'same', to 5x14x14; ReLU; 980-100; ReLU; 100-10."""
    return [
        Conv2d(uniform(rng, 5, 1, 5, 5), uniform(rng, 5), stride=2, padding=(1, 2, 1, 2)),
        ReLU(),
        Flatten(),
        Linear(uniform(rng, 100, 980), uniform(rng, 100)),
        ReLU(),
        Linear(uniform(rng, 10, 100), uniform(rng, 10)),
    ], (1, 28, 28)


def everything(rng: np.random.Generator) -> tuple[list[object], tuple[int, ...]]:
    """Pools on narrow and on wide values, overlapping windows, two private layers in a row, a pool at the end."""
    return [
        AvgPool2d(2),
        Conv2d(uniform(rng, 4, 2, 3, 3), uniform(rng, 4), padding=1),
        AvgPool2d(2),
        ReLU(),
        ReLU(),
        Conv2d(uniform(rng, 6, 4, 3, 3), uniform(rng, 6), padding=1),
        Conv2d(uniform(rng, 3, 6, 2, 3), uniform(rng, 3), stride=(1, 2)),
        ReLU(),
        AvgPool2d((2, 1), 1),
        Conv2d(uniform(rng, 5, 3, 1, 1), uniform(rng, 5)),
        AvgPool2d((2, 1)),
        Flatten(),
    ], (2, 16, 16)


def lenet() -> Any:
    """LeNet-5 with batch normalisation and max pooling, as a torch module."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Dropout(), nn.Linear(84, 10),
    )  # fmt: skip


def float_logits(layers: list[object], values: Floats) -> Floats:
    """The network in floating point, by definition."""
    for layer in layers:
        if isinstance(layer, Conv2d):
            weight, sides = np.asarray(layer.weight), layer.padding
            top, bottom, left, right = (sides,) * 4 if isinstance(sides, int) else sides
            step = (layer.stride,) * 2 if isinstance(layer.stride, int) else layer.stride
            padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
            values = np.einsum("bchwuv,ocuv->bohw", windows[:, :, :: step[0], :: step[1]], weight)
            values = values + np.asarray(layer.bias)[None, :, None, None]
        elif isinstance(layer, Linear):
            values = values @ np.asarray(layer.weight).T + np.asarray(layer.bias)
        elif isinstance(layer, ReLU):
            values = np.maximum(values, 0)
        elif isinstance(layer, LeakyReLU):
            values = np.maximum(values, layer.slope * values)
        elif isinstance(layer, AvgPool2d):
            kernel = (layer.kernel,) * 2 if isinstance(layer.kernel, int) else layer.kernel
            stride = kernel if layer.stride is None else layer.stride
            step = (stride,) * 2 if isinstance(stride, int) else stride
            windows = np.lib.stride_tricks.sliding_window_view(values, kernel, axis=(2, 3))
            values = windows[:, :, :: step[0], :: step[1]].mean(axis=(4, 5))
        else:
            values = values.reshape(len(values), -1)
    return values
