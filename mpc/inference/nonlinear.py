"""ReLU, leaky ReLU, max pooling and rescaling between two private layers, by garbled circuit, on additive shares.

    QP (evaluator)                                        AP (garbler)
    holds y_qp = W r - s, draws the next mask r'          holds y_ap online, y = y_qp + y_ap in Z_2^l
    -------------------------------------------------------------------------------------------------
    prepare: corrections of (y_qp, r')   ------------>    garbles
             <------------------------------  tables                          (before the query)
             <------------------------------  labels of y_ap                  (online)
    colours of the outputs  ------------------------->    decodes x' - r'

with x' = max(0, floor(y / 2^f)) for a ReLU and likewise for the others (:func:`mpc.inference.tensors.nonlinear`):
truncation drops wires and is exact. Max pooling takes a window of shares for each x'. The AP's result is uniform,
because r' is fresh; the QP sees labels and tables only.
"""

from __future__ import annotations

import math

import numpy as np

from mpc._core import Circuit
from mpc.garbled import EvaluatedBatch, Evaluator, GarbledBatch, Garbler
from mpc.inference.architecture import AnyLayer, Architecture, LeakyRelu, MaxPool, Relu
from mpc.inference.tensors import circuit_rows
from mpc.ring import Words


def circuit_of(layer: AnyLayer, shift: int, architecture: Architecture) -> Circuit:
    """The circuit of a non-linear layer, words of l bits: garbler shares; evaluator shares and a mask; one output."""
    bits = architecture.ring_bits
    if isinstance(layer, MaxPool):
        return Circuit.max_pool(math.prod(layer.kernel), bits, shift, layer.rectify)
    if isinstance(layer, LeakyRelu):
        return Circuit.leaky_relu(bits, shift, layer.slope, architecture.fraction_bits)
    return Circuit.relu(bits, shift) if isinstance(layer, Relu) else Circuit.rescale(bits, shift)


class QueryingNonlinear:
    """The querying party's side of one layer for one batch: prepared, then used once."""

    def __init__(
        self, evaluator: Evaluator, layer: AnyLayer, circuit: Circuit, shares: Words, next_masks: Words
    ) -> None:
        inputs = np.concatenate([circuit_rows(layer, shares), next_masks.reshape(-1, 1)], axis=1)
        self._batch: EvaluatedBatch = evaluator.prepare(circuit, len(inputs), inputs)

    def run(self) -> None:
        """Online: evaluate under the AP's labels, send it the colours of its outputs."""
        self._batch.receive_inputs()
        self._batch.return_outputs()


class AnsweringNonlinear:
    """The answering party's side; ``shape`` is that of one batch after the layer."""

    def __init__(self, garbler: Garbler, layer: AnyLayer, circuit: Circuit, shape: tuple[int, ...]) -> None:
        self._layer = layer
        self._shape = shape
        self._batch: GarbledBatch = garbler.prepare(circuit, math.prod(shape))

    def run(self, shares: Words) -> Words:
        """Online: its shares of y, ``(n, *shape before)``, to its shares x' - r'."""
        self._batch.send_inputs(circuit_rows(self._layer, shares))
        return self._batch.receive_outputs().reshape(self._shape)
