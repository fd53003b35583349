"""Float layers of a trained network, as their owner has them."""

from mpc.inference.models.floats.activations import Flatten, LeakyReLU, ReLU
from mpc.inference.models.floats.layer import FloatLayer, Floats, run
from mpc.inference.models.floats.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from mpc.inference.models.floats.weighted import BatchNorm, Conv2d, Linear, WeightedLayer

SUPPORTED = (Conv2d, Linear, BatchNorm, ReLU, LeakyReLU, AvgPool2d, AdaptiveAvgPool2d, MaxPool2d, Flatten)

__all__ = [
    "SUPPORTED",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Flatten",
    "FloatLayer",
    "Floats",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "WeightedLayer",
    "run",
]
