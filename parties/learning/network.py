"""A party's trained model as the fixed-point network that private inference runs on."""

from __future__ import annotations

from mpc.inference import Network
from mpc.inference.models.bounds import Beyond
from mpc.inference.models.fixed import AnyLayer
from mpc.inference.models.quantise import quantise
from mpc.inference.sessions import Agreement
from parties.learning.models import Model, architecture

_INPUT_RANGE = (0.0, 1.0)  # of a pixel


def fixed_point(model: Model, agreed: Agreement, queries: int, beyond_bounds: Beyond) -> Network:
    """Convert the model to a network in Z_2^ring_bits, to be asked `queries` times in a session.

    Raises `mpc.errors.RangeError` if a layer could overflow the ring, or for weights beyond the public bounds that are
    to be refused.
    """
    return Network.from_layers(
        model.layers,
        input_shape=model.image_shape,
        input_range=_INPUT_RANGE,
        fraction_bits=agreed.fraction_bits,
        ring_bits=agreed.ring_bits,
        session_queries=queries,
        weight_norm=agreed.weight_norm,
        weight_bits=agreed.weight_bits,
        beyond_bounds=beyond_bounds,
    )


def public_layers(name: str, agreed: Agreement) -> tuple[AnyLayer, ...]:
    """Return the public layers of every model of this architecture, without any weights."""
    channels, height, width = agreed.input_shape
    layers = architecture(name, (channels, height, width), agreed.classes)
    return tuple(quantise(layers, agreed.input_shape, agreed.fraction_bits).layers)
