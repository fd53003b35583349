"""Two functions that do a whole task for two parties with additive shares of a vector. Both call the same one.

    mpc.argmax:        (shares; shares)  ->  fresh shares of onehot(argmax of the sums), to both
    mpc.sum_histogram: (shares; shares)  ->  the index of the largest sum, to the evaluator alone

Nobody learns the argmax. Each party opens a session once, a :class:`mpc.garbled.session.Garbler` on one side and a
:class:`mpc.garbled.session.Evaluator` on the other, over any channel. Then it may call as often as it likes::

    garbler = Garbler.open(channel)                      evaluator = Evaluator.open(channel)
    fresh = mpc.argmax(garbler, shares, ring_bits=37)    fresh = mpc.argmax(evaluator, shares, ring_bits=37)

    Evaluator                              Garbler
    choices (OT corrections)  ---------->
                              <----------  tables, labels
                              <----------  argmax: projection, with fresh masks | sum_histogram: decoding of the output

Both parties are trusted to follow the protocol (semi-honest), and no third one takes part. The circuits are garbled
with half gates (EUROCRYPT 2015). Projection gates take output bits to Z_2^width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit
from mpc.errors import ParameterError, ProtocolError
from mpc.garbled.batch import Projection
from mpc.garbled.session import Evaluator, Garbler
from mpc.ring import Words


def _classes(shares: Words) -> int:
    """Return the number of classes that the shares are of."""
    if shares.ndim != 2 or shares.shape[0] < 1 or shares.shape[1] < 2:
        raise ParameterError(f"expected shares of shape (n, classes) with 2 or more classes, found {shares.shape}")
    return int(shares.shape[1])


def argmax(party: Garbler | Evaluator, shares: Words, *, ring_bits: int = 64, width: int = 64) -> Words:
    """Return fresh additive shares ``(n, classes)`` in Z_2^width of the one-hot argmax.

    ``shares`` ``(n, classes)`` are in Z_2^ring_bits, and the sums of both sides' are read as signed. Ties go to the
    lowest index. The shares of one side alone are uniform, and neither side learns anything. Both give the same
    ``ring_bits`` and ``width``.
    """
    classes = _classes(shares)
    circuit = Circuit.argmax(classes, ring_bits)
    if isinstance(party, Garbler):
        return party.garble(circuit, shares, projection=Projection(width)).shares()
    return party.evaluate(circuit, shares, projection=Projection(width)).shares()


def sum_histogram(party: Garbler | Evaluator, shares: Words, *, width: int = 64) -> NDArray[np.int64] | None:
    """Return the index ``(n,)`` of the largest sum to the evaluator. The garbler gets None and learns nothing.

    ``shares`` ``(n, classes)`` are in Z_2^width. The sums of both sides' are read as signed and must not wrap. Ties go
    to the lowest index.
    """
    classes = _classes(shares)
    circuit = Circuit.sum_histogram(classes, width)
    if isinstance(party, Garbler):
        garbled = party.garble(circuit, shares)
        garbled.reveal_to_evaluator()
        return None
    evaluated = party.evaluate(circuit, shares)
    labels = evaluated.learn_outputs()[:, 0].astype(np.int64)
    if (labels >= classes).any():
        raise ProtocolError.mismatch(
            "labels below", classes, int(labels.max()), peer=party.channel.peer, step=party.channel.step
        )
    return labels
