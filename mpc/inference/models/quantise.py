"""The conversion of float layers to public layers and folded private weights."""

from __future__ import annotations

from collections.abc import Sequence

from mpc.errors import ParameterError
from mpc.inference.models.floats import SUPPORTED, FloatLayer
from mpc.inference.models.quantiser import Quantised, Quantiser
from mpc.inference.models.shapes import Shape


def quantise(layers: Sequence[object], input_shape: Shape, fraction_bits: int) -> Quantised:
    """Return public layers and private weights, folded and not rounded yet.

    Two private layers in a row get a rescaling between them. A ReLU on values that are not negative is dropped.

    Raises:
        ParameterError: a layer that is not supported or does not fit its place, with its name.
        RangeError: a weight or bias that is not finite.
    """
    if not isinstance(layers, Sequence) or isinstance(layers, str):
        raise ParameterError(f"expected a list of layers, found {type(layers).__name__}")
    quantiser = Quantiser(input_shape, fraction_bits)
    for index, layer in enumerate(layers):
        name = f"layer {index} ({type(layer).__name__})"
        if not isinstance(layer, FloatLayer):
            supported = ", ".join(kind.__name__ for kind in SUPPORTED)
            raise ParameterError(f"expected one of {supported}, found {name}")
        if not layer.takes_unequal_means:
            quantiser.refuse_unequal_means(name)
        layer.enter(quantiser, name)
    return quantiser.finish(type(layers[-1]).__name__ if layers else "nothing")
