"""Fixed-point layers, which are public, and the weights of the private ones."""

from mpc.inference.models.fixed.activations import LeakyRectify, Rectify, Rescale
from mpc.inference.models.fixed.flatten import FlattenShape
from mpc.inference.models.fixed.layer import FixedWeights, Layer, Nonlinearity, PrivateLayer, PublicMap
from mpc.inference.models.fixed.pooling import MaxPool, SumPool
from mpc.inference.models.fixed.private import Convolve, Dense
from mpc.inference.models.fixed.topology import AnyLayer, Step, Topology

__all__ = [
    "AnyLayer",
    "Convolve",
    "Dense",
    "FixedWeights",
    "FlattenShape",
    "Layer",
    "LeakyRectify",
    "MaxPool",
    "Nonlinearity",
    "PrivateLayer",
    "PublicMap",
    "Rectify",
    "Rescale",
    "Step",
    "SumPool",
    "Topology",
]
