"""Step 1c, in which shares of the logits become shares of a vote, by a garbled circuit between QP and AP.

    QP (evaluator)                                   AP (garbler)
    holds z_qp                                       holds z_ap,  z = z_qp + z_ap in Z_2^ring_bits
    ------------------------------------------------------------------------------------------
    prepare: corrections of its z_qp  ------------>
             <------------  tables of vote(z_qp + z_ap), projection of its bits  (before the query)
                                                     has m, fresh in Z_2^width
             <------------  wire labels of z_ap
    gets vote(z) - m

(In a session opened with ``circuits="streamed"`` nothing crosses before the query.)

A vote is a 0 or 1 for every class or label (:class:`VotingRule`). Where exactly one class is right, it is the one-hot
argmax. Where any number of labels may be right, it is [z_j > 0] for each. An AP that wants another operating point
shifts its model's bias.

Nobody learns the vote. ``m`` is made here, of fresh wire labels, and is independent of every earlier mask. An AP that
used its logit mask again would hand the QP all logits, because the QP would hold both differences. Ties go to the
lowest class. This is Yao's protocol with half gates (Zahur, Rosulek, Evans, EUROCRYPT 2015) and a projection of each
output bit to Z_2^width (a projection gate of Ball, Malkin, Rosulek, "Garbling Gadgets for Boolean and Arithmetic
Circuits", CCS 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit
from mpc.garbled.batch import EvaluatedBatch, GarbledBatch, Projection
from mpc.garbled.session import Evaluator, Garbler
from mpc.ring import Words

Labelling = Literal["class", "labels"]
"""A query gets either one of the classes, or a yes or no for each of several labels."""

Votes = NDArray[np.int64]


def _one_hot(logits: Votes) -> Votes:
    votes = np.zeros_like(logits)
    votes[np.arange(len(logits)), logits.argmax(axis=1)] = 1
    return votes


def _positive(logits: Votes) -> Votes:
    return (logits > 0).astype(np.int64)


@dataclass(frozen=True)
class VotingRule:
    """The way in which a party votes.

    Attributes:
        title: name of the computation, for people.
        circuit: makes the circuit, given the number of classes or labels and the bits of a logit. It has an output bit
            for each class or label.
        votes: the same in the clear, of signed logits ``(n, classes)``. The result is 0 or 1.
        sensitivity: gives the number of counts that one changed vote can move, each by 1, given how many there are.
    """

    title: str
    circuit: Callable[[int, int], Circuit]
    votes: Callable[[Votes], Votes]
    sensitivity: Callable[[int], int]


VOTING_RULES: dict[Labelling, VotingRule] = {
    "class": VotingRule("argmax", Circuit.argmax, _one_hot, lambda classes: 2),
    "labels": VotingRule("sign of each logit", Circuit.threshold, _positive, lambda labels: labels),
}


def querying_prepare(
    evaluator: Evaluator, logit_shares: Words, ring_bits: int, width: int, rule: VotingRule
) -> EvaluatedBatch:
    """QP: prepare before the query. ``logit_shares`` ``(n, classes)`` in Z_2^ring_bits are known from preprocessing."""
    count, classes = logit_shares.shape
    circuit = rule.circuit(classes, ring_bits)
    return evaluator.prepare(circuit, count, logit_shares, projection=Projection(width))


def answering_prepare(
    garbler: Garbler, count: int, classes: int, ring_bits: int, width: int, rule: VotingRule
) -> GarbledBatch:
    """AP: garble before the query."""
    return garbler.prepare(rule.circuit(classes, ring_bits), count, projection=Projection(width))


def querying_vote(prepared: EvaluatedBatch) -> Words:
    """QP: return its shares ``(n, classes)`` of the votes in Z_2^width, uniform on their own."""
    prepared.receive_inputs()
    return prepared.shares()


def answering_vote(prepared: GarbledBatch, logit_shares: Words) -> Words:
    """AP: return its fresh masks ``m`` ``(n, classes)`` in Z_2^width, which are its shares of the votes."""
    prepared.send_inputs(logit_shares)
    return prepared.shares()
