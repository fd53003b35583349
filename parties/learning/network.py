"""A party's trained model as the fixed-point network that private inference runs on."""

from __future__ import annotations

from mpc import inference
from parties.learning.models import AvgPool, Conv, Dense, Model, Relu

_INPUT_RANGE = (0.0, 1.0)  # of a pixel


def fixed_point(model: Model, ring_bits: int, fraction_bits: int, queries: int) -> inference.Network:
    """Convert the model to a network in Z_2^ring_bits, to be asked `queries` times in a session.

    Raises `mpc.errors.RangeError` if a layer could overflow the ring.
    """
    weights = iter(model.weights)
    layers: list[object] = []
    for layer in model.layers:
        if isinstance(layer, Conv):
            kernels, bias = next(weights)
            layers.append(inference.Conv2d(kernels, bias, stride=layer.stride, padding=layer.padding))
        elif isinstance(layer, Dense):
            matrix, bias = next(weights)
            layers.append(inference.Linear(matrix, bias))
        elif isinstance(layer, AvgPool):
            layers.append(inference.AvgPool2d(layer.size))
        else:
            layers.append(inference.ReLU() if isinstance(layer, Relu) else inference.Flatten())
    return inference.Network.from_layers(
        layers,
        input_shape=model.image_shape,
        input_range=_INPUT_RANGE,
        fraction_bits=fraction_bits,
        ring_bits=ring_bits,
        session_queries=queries,
    )
