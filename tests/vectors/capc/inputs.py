"""The inputs of the runs: parameters, seeds, queries and networks. What comes out of them is the vector."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mpc.capc import PublicParameters
from mpc.inference import AvgPool2d, Conv2d, Flatten, LeakyReLU, Linear, MaxPool2d, Network, ReLU
from tests.vectors.capc.scenario import Vector

FRACTION_BITS, RING_BITS, KEY_BITS = 6, 27, 1024
INPUTS, HIDDEN = 5, 3


class Drawn:
    """Weights of one party's model, which resembles those of the others."""

    def __init__(self, party: int) -> None:
        self._common, self._own = np.random.default_rng(100), np.random.default_rng(party)

    def weights(self, *shape: int) -> NDArray[np.float64]:
        return self._common.normal(size=shape) + self._own.normal(size=shape) / 2

    def bias(self, count: int) -> NDArray[np.float64]:
        return self.weights(count) / 8


def perceptron(party: int, outputs: int) -> list[object]:
    drawn = Drawn(party)
    return [
        Linear(drawn.weights(HIDDEN, INPUTS), drawn.bias(HIDDEN)),
        ReLU(),
        Linear(drawn.weights(outputs, HIDDEN), drawn.bias(outputs)),
    ]


def image_network(party: int, outputs: int) -> list[object]:
    drawn = Drawn(party)
    return [
        Conv2d(drawn.weights(2, 1, 3, 3), drawn.bias(2), padding=1),
        ReLU(),
        MaxPool2d(2),
        Conv2d(drawn.weights(2, 2, 2, 2), drawn.bias(2)),
        LeakyReLU(0.25),
        AvgPool2d(2),
        Flatten(),
        Linear(drawn.weights(outputs, 2), drawn.bias(outputs)),
    ]


# name: what is covered, the choices, number of queries, float layers
SCENARIOS: dict[str, tuple[str, dict[str, Any], int, Any]] = {
    "argmax-paillier-he": (
        "The defaults: argmax, masks under Paillier, linear layers under encryption, half gates ahead, PG's noise.",
        {"parties": 3, "classes": 5, "sigma": "1"},
        4,
        perceptron,
    ),
    "argmax-direct-he-streamed": (
        "Masks to PG in the clear, garbled circuits streamed with the query.",
        {"parties": 2, "classes": 5, "sigma": "3/2", "aggregation": "direct", "circuits": "streamed"},
        3,
        perceptron,
    ),
    "argmax-paillier-dealer-three-halves": (
        "Linear layers' correlations from a dealer, three-halves garbling ahead.",
        {"parties": 2, "classes": 3, "sigma": "1/2", "preprocessing": "dealer", "garbling": "three-halves"},
        35,
        perceptron,
    ),
    "argmax-parts-direct-dealer-streamed": (
        "Every AP adds a part of the noise; a dealer; three halves, streamed.",
        {
            "parties": 3,
            "classes": 4,
            "sigma": "2",
            "noise_parts": 2,
            "aggregation": "direct",
            "preprocessing": "dealer",
            "garbling": "three-halves",
            "circuits": "streamed",
        },
        3,
        perceptron,
    ),
    "argmax-image-paillier-he": (
        "Convolutions, max pooling, average pooling and a leaky ReLU on images; one AP.",
        {"parties": 1, "classes": 3, "sigma": "1", "input_shape": (1, 6, 6)},
        2,
        image_network,
    ),
    "confident-paillier-he": (
        "Confident-GNMax: some queries are answered and some are not.",
        {"parties": 4, "classes": 4, "sigma": "1/2", "threshold": 3, "threshold_sigma": "3/2"},
        8,
        perceptron,
    ),
    "confident-direct-dealer-streamed": (
        "Confident-GNMax with masks in the clear, a dealer and streamed circuits.",
        {
            "parties": 2,
            "classes": 3,
            "sigma": "1",
            "threshold": 2,
            "threshold_sigma": "3/2",
            "aggregation": "direct",
            "preprocessing": "dealer",
            "circuits": "streamed",
        },
        5,
        perceptron,
    ),
    "labels-parts-paillier-he": (
        "Several labels a query, each by a noisy majority; noise in parts, under Paillier.",
        {"parties": 3, "classes": 4, "sigma": "1", "labelling": "labels", "noise_parts": 3},
        5,
        perceptron,
    ),
    "labels-direct-dealer-three-halves": (
        "Several labels a query; masks in the clear, a dealer, three halves, PG's noise.",
        {
            "parties": 2,
            "classes": 3,
            "sigma": "1",
            "labelling": "labels",
            "aggregation": "direct",
            "preprocessing": "dealer",
            "garbling": "three-halves",
        },
        4,
        perceptron,
    ),
    "argmax-no-noise": (
        "The smallest run: one AP, one query, two classes, no noise, so that the label is the model's own.",
        {"parties": 1, "classes": 2, "sigma": "0", "aggregation": "direct", "preprocessing": "dealer"},
        1,
        perceptron,
    ),
}


def scenario(name: str) -> Vector:
    """The inputs of a scenario."""
    about, choices, count, layers = SCENARIOS[name]
    given = {"input_shape": (INPUTS,), "ring_bits": RING_BITS, "fraction_bits": FRACTION_BITS, "key_bits": KEY_BITS}
    parameters = PublicParameters(**(given | choices))
    networks = [
        Network.from_layers(
            layers(index, parameters.classes),
            input_shape=parameters.input_shape,
            input_range=(-1.0, 1.0),
            fraction_bits=FRACTION_BITS,
            ring_bits=RING_BITS,
            session_queries=64,
        )
        for index in range(parameters.parties)
    ]
    queries = np.random.default_rng(7).integers(
        -1 << FRACTION_BITS, 1 + (1 << FRACTION_BITS), (count, *parameters.input_shape)
    )
    roles = ["client", *(f"server-{index}" for index in range(parameters.parties)), "privacy-guardian", "dealer"]
    return {
        "about": about,
        "parameters": msgspec.to_builtins(parameters),
        "seeds": {role: hashlib.sha256(f"capc vectors, {name}, {role}".encode()).hexdigest() for role in roles},
        "queries": queries.tolist(),
        "networks": [
            {
                "architecture": msgspec.to_builtins(network.architecture),
                "layers": [
                    {"weights": fixed.weights.tolist(), "bias": fixed.bias.tolist()} for fixed in network.weights
                ],
            }
            for network in networks
        ],
    }
