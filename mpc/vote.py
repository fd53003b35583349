"""Step 1c: logit shares to shares of a one-hot vote, by a garbled circuit between QP and AP.

    QP (evaluator)                                   AP (garbler)
    holds z_qp                                       holds z_ap,  z = z_qp + z_ap in Z_2^ring_bits
    ------------------------------------------------------------------------------------------
    prepare: corrections of its z_qp  ------------>
             <------------  tables of argmax(z_qp + z_ap)                      (before the query)
             <------------  labels of z_ap
             <------------  projection ciphertexts, with fresh m in Z_2^width
    gets onehot(argmax z) - m                        keeps m

Nobody learns the vote. ``m`` is drawn here, independent of every earlier mask: reusing the AP's logit mask would
hand the QP all logits (it holds both differences). Ties go to the lowest class. Yao's protocol with half gates
(Zahur, Rosulek, Evans, EUROCRYPT 2015) and a projection of each output bit to Z_2^width (a projection gate of Ball,
Malkin, Rosulek, "Garbling Gadgets for Boolean and Arithmetic Circuits", CCS 2016).
"""

from __future__ import annotations

from mpc._core import Circuit
from mpc.garbled import EvaluatedBatch, Evaluator, GarbledBatch, Garbler
from mpc.ring import Words


def querying_prepare(evaluator: Evaluator, logit_shares: Words, ring_bits: int) -> EvaluatedBatch:
    """QP, before the query: ``logit_shares`` ``(n, classes)`` in Z_2^ring_bits are known from preprocessing."""
    count, classes = logit_shares.shape
    return evaluator.prepare(Circuit.argmax(classes, ring_bits), count, logit_shares)


def answering_prepare(garbler: Garbler, count: int, classes: int, ring_bits: int) -> GarbledBatch:
    """AP, before the query."""
    return garbler.prepare(Circuit.argmax(classes, ring_bits), count)


def querying_vote(prepared: EvaluatedBatch, width: int) -> Words:
    """QP: its shares ``(n, classes)`` of the one-hot votes in Z_2^width, uniform on their own."""
    prepared.receive_inputs()
    return prepared.take_shares(width)


def answering_vote(prepared: GarbledBatch, logit_shares: Words, width: int) -> Words:
    """AP: its fresh masks ``m`` ``(n, classes)`` in Z_2^width, which are its shares of the one-hot votes."""
    prepared.send_inputs(logit_shares)
    return prepared.share_bits(width)
