"""A party's trained model as the fixed-point network that private inference runs on."""

from __future__ import annotations

from mpc.inference import Network
from parties.learning.models import Model

_INPUT_RANGE = (0.0, 1.0)  # of a pixel


def fixed_point(model: Model, ring_bits: int, fraction_bits: int, queries: int) -> Network:
    """Convert the model to a network in Z_2^ring_bits, to be asked `queries` times in a session.

    Raises `mpc.errors.RangeError` if a layer could overflow the ring.
    """
    return Network.from_layers(
        model.layers,
        input_shape=model.image_shape,
        input_range=_INPUT_RANGE,
        fraction_bits=fraction_bits,
        ring_bits=ring_bits,
        session_queries=queries,
    )
