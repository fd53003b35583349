"""The network CN-ReLU as a model to serve, with made-up weights. How long an answer takes does not depend on them.

28x28; convolution 5x5, stride 2, to 5x13x13; ReLU; 845-100; ReLU; 100-10
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

import mpc.tensors as pt
from parties.tensors.programs import Here

INPUT, BOUND = (1, 28, 28), (0, 1)
OUTPUT = (10,)
PARAMETERS = {"filters": ((5, 1, 5, 5), 1), "hidden": ((845, 100), 1), "last": ((100, 10), 1)}
ARGUMENTS = {"records": 64}

Floats = NDArray[np.float64]


def load(here: Here) -> dict[str, Floats]:
    random = np.random.default_rng(1)
    return {name: random.uniform(-1, 1, shape) / shape[-1] ** 0.5 for name, (shape, _) in PARAMETERS.items()}


def records(here: Here, client: str) -> Floats:
    return np.random.default_rng(sum(client.encode())).uniform(0, 1, (here.whole("records"), *INPUT))


def answer(s: pt.Session, parameters: Mapping[str, pt.PrivateTensor], x: pt.PrivateTensor) -> pt.PrivateTensor:
    inner = pt.conv2d(x, parameters["filters"], stride=2, padding=1).relu().flatten(1)
    return (inner @ parameters["hidden"]).relu() @ parameters["last"]
