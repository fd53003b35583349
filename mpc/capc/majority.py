"""Step 3 where any number of labels may be right. Each label is a yes if a noisy majority of the parties says yes.

Dziedzic, Choquette-Choo, Dullerud, Suriyakumar, Shahin Shamsabadi, Kaleem, Jha, Papernot, Wang, "Private Multi-Winner
Voting for Machine Learning", PoPETs 2023(1), "Binary voting", for CaPC.

    QP (evaluator)                                  PG (garbler)
    holds h_qp = sum of its vote shares             holds h_pg = sum of the masks + discrete Gaussian noise
                                                    counts + noise = h_qp + h_pg in Z_2^width, signed
    ------------------------------------------------------------------------------------------
    corrections of its h_qp  -------------------->
             <--------------------  tables, wire labels of h_pg - floor(K / 2), colours of the outputs
    learns [count_j + noise_j > K / 2] for each j   learns nothing

A label is a yes or no, so one count with one noise is enough. Half of K is public. PG takes it off its share, and the
comparison that remains is a sign. This takes 2b - 2 AND gates a label. An argmax of two, which compares the yeses with
the nos, takes 3b - 2, twice the inputs and a second noise. A tie is a no.

On privacy. A record lies at one party and can turn all its L votes on a query, which moves each count by 1. A query is
therefore L discrete Gaussian mechanisms of sensitivity 1 side by side (L2 sensitivity sqrt L). The bits are computed
from nothing else. The paper has two other rules. Tau voting clips a party's votes to an L2 norm, which is a division
inside a circuit and alters the votes of parties that often say yes. Powerset voting is an argmax over 2^L counts at
sensitivity sqrt 2, which is better for labels that nearly determine each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit
from mpc.capc.release import Labels
from mpc.garbled.session import Evaluator, Garbler
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words


@dataclass(frozen=True)
class NoisyMajority:
    """For every label, whether the count of yeses with noise is more than half of the parties. Counts are in Z_2^width.

    ``width`` is that of the noisy argmax, because taking off K / 2 keeps |count + noise| <= K + 12 sigma.
    """

    parties: int
    width: int
    title = "noisy majority of each label"
    repeatable = True

    def guardian(self, garbler: Garbler, mask_sums: Words, noisy_share: Words, randomness: Randomness = SYSTEM) -> None:
        ring = Ring(self.width)
        labels = noisy_share.shape[1]
        margins = ring.add(noisy_share, ring.reduce(np.full((1, labels), -(self.parties // 2), np.int64)))
        garbler.garble(Circuit.threshold(labels, self.width), margins).reveal_to_evaluator()

    def querying(self, evaluator: Evaluator, share_sums: Words) -> Labels:
        circuit = Circuit.threshold(share_sums.shape[1], self.width)
        return evaluator.evaluate(circuit, share_sums).learn_outputs().astype(np.int64)

    def clear(self, counts: NDArray[np.int64], noisy: NDArray[np.int64], randomness: Randomness = SYSTEM) -> Labels:
        return (noisy > self.parties // 2).astype(np.int64)
