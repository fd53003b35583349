"""Step 3 with a threshold (Confident-GNMax). A query gets a class label only where enough parties agree.

Otherwise the answer is "abstained". This is algorithm 1 of Papernot, Song, Mironov, Raghunathan, Talwar, Erlingsson,
"Scalable Private Learning with PATE", ICLR 2018. The label is argmax(counts + noise at sigma) if
max(counts) + noise at sigma_T >= T. Both noises are PG's own.

    QP (evaluator)                                  PG (garbler)
    holds h_qp = sum of its vote shares             holds h_pg = sum of the masks;  counts = h_qp + h_pg
                                                    limit = T - discrete Gaussian at sigma_T
    ------------------------------------------------------------------------------------------
    shares of  b_j = [count_j >= limit]    <----->  threshold circuit, its bits projected to shares
    shares of  r = [sum_j b_j > 0]         <----->  threshold circuit of one word, likewise
    index of the largest of                <-----   argmax circuit
      (B - 2 B r, count_0 + noise_0, ...)           B beyond every noisy count

Where r = 0, the first entry is B and the index is 0. Otherwise the first entry is -B and the index is 1 + the label.
The QP learns that index and nothing else. It does not learn by how much the threshold was passed or missed, nor which
b_j were set. PG learns nothing, not even that the QP got no label. Between the circuits everything is linear in
additive shares. The two sides therefore add and scale without talking.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit
from mpc.capc.release import ABSTAINED, Labels, checked_labels
from mpc.dp.discrete_gaussian import discrete_gaussian, noise_bound
from mpc.garbled.batch import Projection
from mpc.garbled.session import Evaluator, Garbler
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words


def confident_bits(parties: int, sigma: Fraction, threshold: int, threshold_sigma: Fraction) -> int:
    """Return a width in which neither counts less the limit nor noisy counts beside B = 2^(width-2) can wrap."""
    return (parties + noise_bound(sigma) + threshold + noise_bound(threshold_sigma) + 1).bit_length() + 2


@dataclass(frozen=True)
class ConfidentArgmax:
    """The class with the largest noisy count, where the largest count with its own noise reaches the threshold.

    Attributes:
        threshold, threshold_sigma: T, and the scale of the discrete Gaussian on it.
        width: :func:`confident_bits`.
    """

    threshold: int
    threshold_sigma: Fraction
    width: int
    title = "noisy argmax where enough parties agree"
    repeatable = False  # the check looks at counts without noise

    def limits(self, count: int, randomness: Randomness = SYSTEM) -> NDArray[np.int64]:
        """PG: return the limits ``(count,)`` that the largest count of each query has to reach, T less fresh noise."""
        return self.threshold - discrete_gaussian(self.threshold_sigma, (count,), randomness)

    def guardian(self, garbler: Garbler, mask_sums: Words, noisy_share: Words, randomness: Randomness = SYSTEM) -> None:
        """PG: garble. The caller has charged the privacy ledger for a check and an answer of every query before."""
        count, classes = mask_sums.shape
        ring = Ring(self.width)
        limits = self.limits(count, randomness)
        margins = ring.add(mask_sums, ring.reduce(1 - limits)[:, None])  # count >= limit is count - limit + 1 > 0
        shared = Projection(self.width)
        reached = garbler.garble(Circuit.threshold(classes, self.width), margins, projection=shared)
        totals = _total(reached.shares(), ring)
        any_reached = garbler.garble(Circuit.threshold(1, self.width), totals, projection=shared)
        beyond = np.full((count, 1), _beyond(ring), np.uint64)
        gate = ring.add(_scaled(any_reached.shares(), ring), beyond)
        values = np.concatenate([gate, noisy_share], axis=1)
        batch = garbler.garble(Circuit.sum_histogram(1 + classes, self.width), values)
        batch.reveal_to_evaluator()

    def querying(self, evaluator: Evaluator, share_sums: Words) -> Labels:
        """QP: return the labels ``(n,)`` of its queries, ``ABSTAINED`` where too few parties agree."""
        classes = share_sums.shape[1]
        ring = Ring(self.width)
        shared = Projection(self.width)
        reached = evaluator.evaluate(Circuit.threshold(classes, self.width), share_sums, projection=shared)
        totals = _total(reached.shares(), ring)
        any_reached = evaluator.evaluate(Circuit.threshold(1, self.width), totals, projection=shared)
        gate = _scaled(any_reached.shares(), ring)
        values = np.concatenate([gate, share_sums], axis=1)
        batch = evaluator.evaluate(Circuit.sum_histogram(1 + classes, self.width), values)
        indices = checked_labels(batch.learn_outputs()[:, 0], 1 + classes, evaluator.channel)
        return np.where(indices == 0, ABSTAINED, indices - 1)

    def clear(self, counts: NDArray[np.int64], noisy: NDArray[np.int64], randomness: Randomness = SYSTEM) -> Labels:
        reached = counts.max(axis=1) >= self.limits(len(counts), randomness)
        return np.where(reached, noisy.argmax(axis=1), ABSTAINED).astype(np.int64)


def _beyond(ring: Ring) -> int:
    """Return B, larger than every noisy count and no more than half of the signed range."""
    return 1 << (ring.bits - 2)


def _total(bit_shares: Words, ring: Ring) -> Words:
    """Return shares ``(n, 1)`` of the number of bits that are set."""
    return ring.reduce(bit_shares.sum(axis=1, keepdims=True, dtype=np.uint64))


def _scaled(bit_shares: Words, ring: Ring) -> Words:
    """Return shares of -2 B r. One side adds B to its own."""
    return ring.reduce(bit_shares * np.uint64(2**ring.bits - 2 * _beyond(ring)))
