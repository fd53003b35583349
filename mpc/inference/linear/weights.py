"""The answering party's weights in the form that its arithmetic on ciphertexts takes.

The transformed weights are the same under every querying party's key. They can therefore be made before one is there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpc._core import RlweEvaluator, RlweParameters, RlweSecretKey, RlweWeights
from mpc.errors import ParameterError
from mpc.inference.linear.architecture import Architecture
from mpc.inference.linear.encoding import Layout, plan
from mpc.inference.models.shapes import Convolution

LAYOUTS_KEPT = 2  # batch sizes whose transformed weights stay in memory, per layer


class LayerWeights:
    """One layer's weights ``[outputs, channels, kh, kw]``, small signed integers, in NTT form.

    The forms for the batch sizes that were used last stay in memory.

    Args:
        index: the layer's place in the parameters.
    """

    def __init__(
        self, name: str, shape: Convolution, weights: NDArray[np.int64], parameters: RlweParameters, index: int
    ) -> None:
        if weights.shape != shape.weight_shape:
            raise ParameterError(f"expected weights of shape {shape.weight_shape} in {name}, found {weights.shape}")
        self.name = name
        self.shape = shape
        self.parameters = parameters
        self._weights = weights
        self._index = index
        # The core transforms through an evaluator, whose key plays no part in it: any will do.
        self._loader = RlweEvaluator(parameters, RlweSecretKey(parameters).public_key())
        self._kept: OrderedDict[Layout, RlweWeights] = OrderedDict()

    def transformed(self, layout: Layout, outputs: range) -> RlweWeights:
        """Return the weights of some output blocks, transformed. They are kept if all of the layer's may be."""
        kept = self._kept.get(layout)
        if kept is not None:
            self._kept.move_to_end(layout)
            return kept
        encoded = np.stack(
            [
                np.stack([layout.encode_weights(self._weights, o, c) for c in range(layout.channel_blocks)])
                for o in outputs
            ]
        )
        loaded = self._loader.load(encoded, self._index)
        if layout.keeps_weights:
            while len(self._kept) >= LAYOUTS_KEPT:
                self._kept.popitem(last=False)
            self._kept[layout] = loaded
        return loaded


class NetworkWeights:
    """Every private layer's weights. The sessions with all querying parties share them, one after the other."""

    def __init__(self, architecture: Architecture, weights: Sequence[NDArray[np.int64]]) -> None:
        parameters = architecture.rlwe()
        layers = zip(architecture.private_layers(), weights, strict=True)
        self.layers = [
            LayerWeights(name, shape, weight, parameters, index)
            for index, ((name, _, shape), weight) in enumerate(layers)
        ]

    def transform(self, batch: int) -> None:
        """Transform the weights ahead of the first batch of this size, as far as the result may stay in memory."""
        for layer in self.layers:
            layout = plan(layer.shape, batch, layer.parameters.degree)
            if layout.keeps_weights:
                layer.transformed(layout, layout.output_groups[0])
