"""Private inference, steps 1a and 1b: the answering party's network on the querying party's secret inputs.

One way in for the parties: a :class:`Network` made from float layers, and the two sides of a session.

    architecture   what is public          layers, quantise, ranges, network   float layers to fixed point, bounded
    encoding, rlwe, linear                 W r - s without a dealer              masks, dealer     and with one
    nonlinear      ReLU on shares          sessions                  both sides, in order
    pool           correlations prepared ahead           convert, convert_onnx    models of other libraries
"""

from mpc.inference.linear.dealt import TRUST, Dealer, dealer_give_seeds, querying_take_seeds
from mpc.inference.linear.encrypted import NetworkWeights
from mpc.inference.models.architecture import Architecture
from mpc.inference.models.convert import from_sklearn, from_torch
from mpc.inference.models.convert_onnx import from_onnx
from mpc.inference.models.layers import (
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
