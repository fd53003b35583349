"""Steps 2 (noise) and 3: the noisy argmax of the vote histogram, to the QP alone, by a garbled circuit with PG.

    QP (evaluator)                                  PG (garbler)
    holds h_qp = sum of its vote shares             holds h_pg = sum of the masks + discrete Gaussian noise
                                                    counts + noise = h_qp + h_pg in Z_2^width, signed
    ------------------------------------------------------------------------------------------
    corrections of its h_qp  -------------------->
             <--------------------  tables, labels of h_pg, colours of the output
    learns argmax(counts + noise)                   learns nothing

``width`` leaves room for every count and the largest noise (:func:`histogram_bits`), so the sum never wraps and the
signed comparison is the true one. Ties go to the lowest class.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit
from mpc.errors import ProtocolError
from mpc.garbled import Evaluator, Garbler
from mpc.noise import discrete_gaussian, noise_bound
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words

ABSTAINED = -1
"""In place of a label: too few parties agree on any (:mod:`mpc.confident`)."""


def histogram_bits(parties: int, sigma: Fraction) -> int:
    """The least width whose signed range holds every noisy count: |count + noise| <= K + 12 sigma < 2^(width-1)."""
    return (parties + noise_bound(sigma)).bit_length() + 1


def guardian_add_noise(mask_sums: Words, sigma: Fraction, width: int, randomness: Randomness = SYSTEM) -> Words:
    """PG, end of step 2: its share ``(n, classes)`` of the histograms with fresh discrete Gaussian noise, Z_2^width."""
    ring = Ring(width)
    return ring.add(mask_sums, ring.reduce(discrete_gaussian(sigma, mask_sums.shape, randomness)))


def answering_add_noise(masks: Words, scale: Fraction, width: int, randomness: Randomness = SYSTEM) -> Words:
    """AP, where the noise is distributed: its masks with its own part of the noise, before it gives them away.

    PG and the QP see the same uniform values as without; the parts add up where the masks do.
    """
    ring = Ring(width)
    return ring.add(masks, ring.reduce(discrete_gaussian(scale, masks.shape, randomness)))


def guardian_release(garbler: Garbler, noisy_share: Words, width: int) -> None:
    """PG: garbles the argmax over its noisy share ``(n, classes)``.

    The caller has charged the privacy ledger before this is called: after it, the QP can have its answer.
    """
    batch = garbler.prepare(Circuit.sum_histogram(noisy_share.shape[1], width), len(noisy_share))
    batch.send_inputs(noisy_share)
    batch.reveal_to_evaluator()


def querying_release(evaluator: Evaluator, share_sums: Words, width: int) -> NDArray[np.int64]:
    """QP: the labels ``(n,)`` of its queries."""
    count, classes = share_sums.shape
    batch = evaluator.prepare(Circuit.sum_histogram(classes, width), count, share_sums)
    batch.receive_inputs()
    return checked_labels(batch.learn_outputs()[:, 0], classes)


def checked_labels(indices: Words, classes: int) -> NDArray[np.int64]:
    """What the circuit gave, as labels; raises `ProtocolError` for an index that no class has."""
    labels = indices.astype(np.int64)
    if (labels >= classes).any():
        raise ProtocolError.mismatch("labels below", classes, int(labels.max()), step="3")
    return labels
