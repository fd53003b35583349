"""Steps 2 (noise) and 3, in which the noisy counts of votes become class labels, to the QP alone.

QP and PG compute them by a garbled circuit. This file holds the plain rule, the argmax (:class:`NoisyArgmax`). Other
rules are in :mod:`mpc.capc.confident` and :mod:`mpc.capc.majority`::

    QP (evaluator)                                  PG (garbler)
    holds h_qp = sum of its vote shares             holds h_pg = sum of the masks + discrete Gaussian noise
                                                    counts + noise = h_qp + h_pg in Z_2^width, signed
    ------------------------------------------------------------------------------------------
    corrections of its h_qp  -------------------->
             <--------------------  tables, wire labels of h_pg, colours of the output
    learns argmax(counts + noise)                   learns nothing

``width`` leaves room for every count and the largest noise (:func:`histogram_bits`). The sum therefore never wraps, and
the signed comparison is the true one. Ties go to the lowest class.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit
from mpc.channels.frames import Channel
from mpc.dp.discrete_gaussian import discrete_gaussian, noise_bound
from mpc.errors import ProtocolError
from mpc.garbled.session import Evaluator, Garbler
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words

ABSTAINED = -1
"""Stands in place of a class label where too few parties agree on any (:mod:`mpc.capc.confident`)."""

Labels = NDArray[np.int64]
"""What the QP learns. One class a query gives ``(n,)``, a class or ABSTAINED for each. Several labels a query give
``(n, labels)``, a 0 or 1 for each."""


class Release(Protocol):
    """Step 3, in which counts of votes become labels. Counts and shares are ``(n, classes)``."""

    @property
    def title(self) -> str:
        """Name of the computation, for people."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether the labels are computed from the noisy counts alone, so that repeating the step gives no more."""
        ...

    def guardian(self, garbler: Garbler, mask_sums: Words, noisy_share: Words, randomness: Randomness = SYSTEM) -> None:
        """PG: garble for its shares of the counts without and with noise.

        The caller has charged the privacy ledger before, because the QP can have its answer after this. The randomness
        is for the noise on a threshold.
        """
        ...

    def querying(self, evaluator: Evaluator, share_sums: Words) -> Labels:
        """QP: return the labels of its queries. It learns nothing else, and PG learns nothing.

        Raises:
            ProtocolError: a malformed message, or an index that no class has.
        """
        ...

    def clear(self, counts: NDArray[np.int64], noisy: NDArray[np.int64], randomness: Randomness = SYSTEM) -> Labels:
        """Return the same in the open, from counts without and with noise."""
        ...


def histogram_bits(parties: int, sigma: Fraction) -> int:
    """Return the least width whose signed range holds every noisy count.

    The bound is |count + noise| <= K + 12 sigma < 2^(width-1).
    """
    return (parties + noise_bound(sigma)).bit_length() + 1


def draw_noise(shape: tuple[int, ...], sigma: Fraction, width: int, randomness: Randomness = SYSTEM) -> Words:
    """Draw fresh discrete Gaussian noise ``(n, classes)`` in Z_2^width, to be added to a share of the counts.

    The guardian does this at the end of step 2. Where the noise is distributed, every answering party adds its part to
    its masks before it gives them away. The guardian and the querying party then see the same uniform values as without
    noise, and the parts add up where the masks do.
    """
    return Ring(width).reduce(discrete_gaussian(sigma, shape, randomness))


@dataclass(frozen=True)
class NoisyArgmax:
    """The class with the largest noisy count in Z_2^width (report-noisy-max with Gaussian noise)."""

    width: int
    title = "noisy argmax"
    repeatable = True

    def guardian(self, garbler: Garbler, mask_sums: Words, noisy_share: Words, randomness: Randomness = SYSTEM) -> None:
        batch = garbler.garble(Circuit.sum_histogram(noisy_share.shape[1], self.width), noisy_share)
        batch.reveal_to_evaluator()

    def querying(self, evaluator: Evaluator, share_sums: Words) -> Labels:
        classes = share_sums.shape[1]
        batch = evaluator.evaluate(Circuit.sum_histogram(classes, self.width), share_sums)
        return checked_labels(batch.learn_outputs()[:, 0], classes, evaluator.channel)

    def clear(self, counts: NDArray[np.int64], noisy: NDArray[np.int64], randomness: Randomness = SYSTEM) -> Labels:
        labels: Labels = noisy.argmax(axis=1).astype(np.int64)
        return labels


def answered(labels: Labels) -> NDArray[np.bool_]:
    """Return which of the queries got an answer, ``(n,)``."""
    got: NDArray[np.bool_] = (labels != ABSTAINED).reshape(len(labels), -1).all(axis=1)
    return got


def checked_labels(indices: Words, classes: int, channel: Channel) -> Labels:
    """Return a circuit's indices as class labels. Raises `ProtocolError` for an index that no class has."""
    labels = indices.astype(np.int64)
    if (labels >= classes).any():
        found = int(labels.max())
        raise ProtocolError.mismatch("class labels below", classes, found, peer=channel.peer, step=channel.step)
    return labels
