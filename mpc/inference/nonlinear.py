"""ReLU, leaky ReLU, max pooling and rescaling between two private layers, by garbled circuit, on additive shares.

    QP (evaluator)                                        AP (garbler)
    holds y_qp = W r - s, draws the next mask r'          holds y_ap online, y = y_qp + y_ap in Z_2^l
    -------------------------------------------------------------------------------------------------
    prepare: corrections of y_qp         ------------>    garbles, has fresh m
             <------------------------------  tables, projection of x'        (before the query)
             <------------------------------  labels of y_ap                  (online)
    has x' - m
    (x' - m) - r'           ------------------------->    adds m: x' - r'

(In a session opened with ``circuits="streamed"`` all three cross online.)

with x' = max(0, floor(y / 2^f)) for a ReLU and likewise for the others. truncation drops wires and is exact. Max
pooling takes a window of shares for each x'. What the AP receives and has in the end is uniform, because r' is fresh;
the QP sees labels, tables and x' - m, uniform because m is fresh. (Delphi subtracts r' in the circuit, from an input of
the QP: as many ANDs and OTs again as the ring has bits.)
"""

from __future__ import annotations

import math

from mpc._core import Circuit
from mpc.channels.frames import Channel
from mpc.garbled.batch import EvaluatedBatch, GarbledBatch, Projection
from mpc.garbled.session import Evaluator, Garbler
from mpc.inference.models.architecture import AnyLayer, Architecture, LeakyRelu, MaxPool, Relu
from mpc.inference.models.tensors import circuit_rows
from mpc.ring import Ring, Words


def circuit_of(layer: AnyLayer, shift: int, architecture: Architecture) -> Circuit:
    """The circuit of a non-linear layer: shares of l bits; one output of l bits less the shift, signed unless a ReLU
    makes it positive."""
    bits = architecture.ring_bits
    if isinstance(layer, MaxPool):
        return Circuit.max_pool(math.prod(layer.kernel), bits, shift, layer.rectify)
    if isinstance(layer, LeakyRelu):
        return Circuit.leaky_relu(bits, shift, layer.slope, architecture.fraction_bits)
    return Circuit.relu(bits, shift) if isinstance(layer, Relu) else Circuit.rescale(bits, shift)


def _projection(layer: AnyLayer, ring: Ring) -> Projection:
    positive = isinstance(layer, Relu) or (isinstance(layer, MaxPool) and layer.rectify)
    return Projection(ring.bits, signed=not positive)


class QueryingNonlinear:
    """The querying party's side of one layer for one batch: prepared, then used once."""

    def __init__(
        self, evaluator: Evaluator, layer: AnyLayer, circuit: Circuit, ring: Ring, shares: Words, next_masks: Words
    ) -> None:
        inputs = circuit_rows(layer, shares)
        self._ring = ring
        self._next_masks = next_masks
        self._batch: EvaluatedBatch = evaluator.prepare(
            circuit, len(inputs), inputs, projection=_projection(layer, ring)
        )

    def run(self, channel: Channel) -> None:
        """Online: evaluate under the AP's labels, send it x' - m - r'."""
        self._batch.receive_inputs()
        shares = self._batch.shares().reshape(self._next_masks.shape)
        channel.send_words("inference/masked", self._ring.reduce(shares - self._next_masks), self._ring.bits)


class AnsweringNonlinear:
    """The answering party's side; ``shape`` is that of one batch after the layer."""

    def __init__(self, garbler: Garbler, layer: AnyLayer, circuit: Circuit, ring: Ring, shape: tuple[int, ...]) -> None:
        self._layer = layer
        self._ring = ring
        self._shape = shape
        self._batch: GarbledBatch = garbler.prepare(circuit, math.prod(shape), projection=_projection(layer, ring))

    def run(self, channel: Channel, shares: Words) -> Words:
        """Online: its shares of y, ``(n, *shape before)``, to its shares x' - r'."""
        self._batch.send_inputs(circuit_rows(self._layer, shares))
        masked = channel.recv_words("inference/masked", self._shape, self._ring.bits)
        return self._ring.add(masked, self._batch.shares().reshape(self._shape))
