"""One-call functions for two parties that hold additive shares of a vector; both call the same function.

    mpc.argmax:        (shares; shares)  ->  fresh shares of onehot(argmax of the sums), to both; nobody learns it
    mpc.sum_histogram: (shares; shares)  ->  the index of the largest sum, to the evaluator alone

Each party opens a session once (:class:`mpc.garbled.session.Garbler` on one side,
:class:`mpc.garbled.session.Evaluator` on the other, over any channel) and may then call as often as it likes::

    garbler = Garbler.open(channel)                   evaluator = Evaluator.open(channel)
    mine = mpc.argmax(garbler, shares, ring_bits=37)  mine = mpc.argmax(evaluator, shares, ring_bits=37)

    Evaluator                              Garbler
    choices (OT corrections)  ---------->
                              <----------  tables, labels
                              <----------  argmax: projection, with fresh masks | sum_histogram: colours of the output

Semi-honest, two parties, no third one trusted. Half gates (EUROCRYPT 2015), projection of output bits to Z_2^width.
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
    if shares.ndim != 2 or shares.shape[0] < 1 or shares.shape[1] < 2:
        raise ParameterError(f"expected shares of shape (n, classes) with 2 or more classes, found {shares.shape}")
    return int(shares.shape[1])


def argmax(party: Garbler | Evaluator, shares: Words, *, ring_bits: int = 64, width: int = 64) -> Words:
    """Fresh additive shares ``(n, classes)`` in Z_2^width of the one-hot argmax; each side's alone are uniform.

    ``shares`` ``(n, classes)`` in Z_2^ring_bits; the sums of both sides' are read as signed. Ties go to the lowest
    index. Neither side learns anything. Both give the same ``ring_bits`` and ``width``.
    """
    classes = _classes(shares)
    circuit = Circuit.argmax(classes, ring_bits)
    if isinstance(party, Garbler):
        return party.garble(circuit, shares, projection=Projection(width)).shares()
    return party.evaluate(circuit, shares, projection=Projection(width)).shares()


def sum_histogram(party: Garbler | Evaluator, shares: Words, *, width: int = 64) -> NDArray[np.int64] | None:
    """The evaluator gets the index ``(n,)`` of the largest sum, the garbler gets None and learns nothing.

    ``shares`` ``(n, classes)`` in Z_2^width; the sums of both sides' are read as signed and must not wrap. Ties go to
    the lowest index.
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
