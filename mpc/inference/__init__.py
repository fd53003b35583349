"""Private inference, steps 1a and 1b: the answering party's network on the querying party's secret inputs.

One way in for the parties: a :class:`Network` made from float layers, and the two sides of a session.

    architecture   what is public          layers, ranges, network   float layers to fixed point, and their bounds
    encoding, rlwe, linear                 W r - s without a dealer
    nonlinear      ReLU on shares          sessions                  both sides, in order
    pool           correlations prepared ahead
"""

from mpc.inference.architecture import Architecture
from mpc.inference.layers import AvgPool2d, Conv2d, Flatten, Linear, ReLU
from mpc.inference.network import Network
from mpc.inference.pool import AnsweringPool, QueryingPool
from mpc.inference.sessions import (
    AnsweringCorrelation,
    AnsweringInference,
    QueryingCorrelation,
    QueryingInference,
)

__all__ = [
    "AnsweringCorrelation",
    "AnsweringInference",
    "AnsweringPool",
    "Architecture",
    "AvgPool2d",
    "Conv2d",
    "Flatten",
    "Linear",
    "Network",
    "QueryingCorrelation",
    "QueryingInference",
    "QueryingPool",
    "ReLU",
]
