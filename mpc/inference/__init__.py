"""Private inference, steps 1a and 1b: the answering party's network on the querying party's secret inputs.

A party makes a :class:`Network` from float layers and opens its side of a session.

    models/      what a network is: layers as floats and in fixed point, ranges, converters
    linear/      the architecture, and the correlations of the private layers, without a dealer or with one
    network      float layers and their encryption put together; the computation in the clear
    nonlinear    the other layers, on shares
    sessions     both sides, in order
    pool         correlations prepared ahead
"""

from mpc.inference.linear.architecture import Architecture
from mpc.inference.linear.dealt import TRUST, Dealer, dealer_give_seeds, querying_take_seeds
from mpc.inference.linear.weights import NetworkWeights
from mpc.inference.models.convert_onnx import from_onnx
from mpc.inference.models.convert_sklearn import from_sklearn
from mpc.inference.models.convert_torch import from_torch
from mpc.inference.models.floats import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
)
from mpc.inference.network import Network
from mpc.inference.pool import AnsweringPool, QueryingPool
from mpc.inference.sessions import (
    AnsweringCorrelation,
    AnsweringInference,
    QueryingCorrelation,
    QueryingInference,
)

__all__ = [
    "TRUST",
    "AdaptiveAvgPool2d",
    "AnsweringCorrelation",
    "AnsweringInference",
    "AnsweringPool",
    "Architecture",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Dealer",
    "Flatten",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Network",
    "NetworkWeights",
    "QueryingCorrelation",
    "QueryingInference",
    "QueryingPool",
    "ReLU",
    "dealer_give_seeds",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "querying_take_seeds",
]
