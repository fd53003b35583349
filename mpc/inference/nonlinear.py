"""The non-linearities between two private layers, by garbled circuit on additive shares.

These are ReLU, leaky ReLU, max pooling and rescaling::

    QP (evaluator)                                        AP (garbler)
    holds y_qp = W r - s, draws the next mask r'          holds y_ap online, y = y_qp + y_ap in Z_2^l
    -------------------------------------------------------------------------------------------------
    prepare: corrections of y_qp         ------------>    garbles, has fresh m
             <------------------------------  tables, projection of x'        (before the query)
             <------------------------------  labels of y_ap                  (online)
    has x' - m
    (x' - m) - r'           ------------------------->    adds m: x' - r'

In a session opened with ``circuits="streamed"`` all three cross online.

For a ReLU x' = max(0, floor(y / 2^f)), and likewise for the others. Truncation drops wires and is exact. Max pooling
takes a window of shares for each x'.

What the AP receives and has in the end is uniform, because r' is fresh. The QP sees wire labels, tables and x' - m,
which is uniform because m is fresh. Delphi subtracts r' in the circuit instead, from an input of the QP. That takes as
many ANDs and OTs again as the ring has bits.
"""

from __future__ import annotations

import math

from mpc._core import Circuit
from mpc.channels.frames import Channel
from mpc.garbled.batch import EvaluatedBatch, GarbledBatch, Projection
from mpc.garbled.session import Evaluator, Garbler
from mpc.inference.models.fixed import Nonlinearity
from mpc.ring import Ring, Words
from mpc.use_once import UseOnce


class QueryingNonlinear:
    """The querying party's side of one layer for one batch. It is prepared, then used once.

    Args:
        share: of the layer's input, ``(n, *shape before)``.
        next_mask: r', ``(n, *shape after)``.
    """

    def __init__(
        self, evaluator: Evaluator, layer: Nonlinearity, circuit: Circuit, ring: Ring, share: Words, next_mask: Words
    ) -> None:
        inputs = layer.circuit_rows(share)
        self._ring = ring
        projection = Projection(ring.bits, signed=layer.signed)
        prepared = evaluator.prepare(circuit, len(inputs), inputs, projection=projection)
        self._prepared: UseOnce[tuple[EvaluatedBatch, Words]] = UseOnce((prepared, next_mask), "a circuit and its mask")

    def run(self, channel: Channel) -> None:
        """Evaluate online under the AP's wire labels, and send it x' - m - r'.

        Raises:
            OrderError: the second time.
        """
        batch, next_mask = self._prepared.take()
        batch.receive_inputs()
        shares = batch.shares().reshape(next_mask.shape)
        channel.send_words("inference/masked", self._ring.reduce(shares - next_mask), self._ring.bits)


class AnsweringNonlinear:
    """The answering party's side of one layer for one batch. It is prepared, then used once.

    Args:
        shape: of the layer's output, ``(n, *shape after)``.
    """

    def __init__(
        self, garbler: Garbler, layer: Nonlinearity, circuit: Circuit, ring: Ring, shape: tuple[int, ...]
    ) -> None:
        self._layer = layer
        self._ring = ring
        self._shape = shape
        projection = Projection(ring.bits, signed=layer.signed)
        prepared = garbler.prepare(circuit, math.prod(shape), projection=projection)
        self._prepared: UseOnce[GarbledBatch] = UseOnce(prepared, "a circuit")

    def run(self, channel: Channel, share: Words) -> Words:
        """Send the wire labels of this side's share of y online, ``(n, *shape before)``, and return its x' - r'.

        Raises:
            OrderError: the second time.
        """
        batch = self._prepared.take()
        batch.send_inputs(self._layer.circuit_rows(share))
        masked = channel.recv_words("inference/masked", self._shape, self._ring.bits)
        return self._ring.add(masked, batch.shares().reshape(self._shape))
