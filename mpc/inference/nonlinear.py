"""ReLU and rescaling between two private layers, by garbled circuit, on additive shares.

    QP (evaluator)                                        AP (garbler)
    holds y_qp = W r - s, draws the next mask r'          holds y_ap online, y = y_qp + y_ap in Z_2^l
    -------------------------------------------------------------------------------------------------
    prepare: corrections of (y_qp, r')   ------------>    garbles
             <------------------------------  tables                          (before the query)
             <------------------------------  labels of y_ap                  (online)
    colours of the outputs  ------------------------->    decodes x' - r'

with x' = max(0, floor(y / 2^f)) or floor(y / 2^f): truncation drops wires and is exact. The AP's result is
uniform, because r' is fresh; the QP sees labels and tables only.
"""

from __future__ import annotations

import numpy as np

from mpc._core import Circuit
from mpc.garbled import EvaluatedBatch, Evaluator, GarbledBatch, Garbler
from mpc.inference.architecture import AnyLayer, Architecture, Relu
from mpc.ring import Words


def circuit_of(layer: AnyLayer, architecture: Architecture) -> Circuit:
    """The circuit of a ReLU or rescaling layer; one garbler word, two evaluator words, one output word, of l bits."""
    make = Circuit.relu if isinstance(layer, Relu) else Circuit.rescale
    return make(architecture.ring_bits, architecture.fraction_bits)


class QueryingNonlinear:
    """The querying party's side of one layer for one batch: prepared, then used once."""

    def __init__(self, evaluator: Evaluator, circuit: Circuit, shares: Words, next_masks: Words) -> None:
        inputs = np.stack([shares.reshape(-1), next_masks.reshape(-1)], axis=1)
        self._batch: EvaluatedBatch = evaluator.prepare(circuit, len(inputs), inputs)

    def run(self) -> None:
        """Online: evaluate under the AP's labels, send it the colours of its outputs."""
        self._batch.receive_inputs()
        self._batch.return_outputs()


class AnsweringNonlinear:
    """The answering party's side."""

    def __init__(self, garbler: Garbler, circuit: Circuit, count: int) -> None:
        self._batch: GarbledBatch = garbler.prepare(circuit, count)

    def run(self, shares: Words) -> Words:
        """Online: its share of y, ``(n, *shape)``, to its share x' - r'."""
        self._batch.send_inputs(shares.reshape(-1, 1))
        return self._batch.receive_outputs().reshape(shares.shape)
