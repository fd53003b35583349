"""Layers and losses, in the words of torch's `nn`, with parameters that no party holds in the clear."""

from __future__ import annotations

from mpc.tensors.nn.layers import (
    AvgPool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from mpc.tensors.nn.losses import Loss, binary_cross_entropy, cross_entropy, mse
from mpc.tensors.nn.modules import Module, Parameter

__all__ = [
    "AvgPool2d",
    "Conv2d",
    "Flatten",
    "Linear",
    "Loss",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "binary_cross_entropy",
    "cross_entropy",
    "mse",
]
