"""The choice of the unlabelled records that a party asks about. They should teach its model most.

The strategies are those that CaPC's authors offer ("CaPC Learning", ICLR 2021), all from the party's own model:

- ``random``: any.
- ``entropy``: where the predicted distribution has the largest entropy.
- ``margin``: where the two likeliest classes are closest (the "gap"). With several labels, for both: on their average.
- ``k-center``: greedily, the record farthest from all that are labelled or chosen already, in the features that the
  model's last layer sees (Sener, Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach",
  ICLR 2018, algorithm 1).

Each gives an order of all records, so that a campaign that is continued with more queries asks about the next ones.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from parties.learning.labels import Floats, kind_of
from parties.learning.models import Model
from parties.learning.records import AskedRecords, Records

Strategy = Literal["random", "entropy", "margin", "k-center"]
Order = NDArray[np.intp]


def order_to_ask(strategy: Strategy, model: Model, own: Records, unlabelled: AskedRecords, seed: int) -> Order:
    """Return the unlabelled records' indices, the ones to ask about first. Ties are broken by a shuffle under `seed`.

    `unlabelled` may carry the correct labels of an experiment, which are not looked at.
    """
    shuffled = np.random.default_rng([seed, 0x5E1EC7]).permutation(len(unlabelled))
    images = unlabelled.images[shuffled]
    if strategy == "random":
        return shuffled
    if strategy == "k-center":
        return shuffled[_farthest_first(model.features(own.images), model.features(images))]
    kind, logits = kind_of(own.labels), model.logits(images)
    sure = -kind.entropy(logits) if strategy == "entropy" else kind.margin(logits)
    return shuffled[np.argsort(sure, kind="stable")]


def _farthest_first(labelled: Floats, candidates: Floats) -> Order:
    nearest = np.full(len(candidates), np.inf)
    for center in labelled:
        nearest = np.minimum(nearest, ((candidates - center) ** 2).sum(axis=1))
    chosen: list[int] = []
    for _ in range(len(candidates)):
        farthest = int(nearest.argmax())
        chosen.append(farthest)
        nearest = np.minimum(nearest, ((candidates - candidates[farthest]) ** 2).sum(axis=1))
        nearest[farthest] = -np.inf
    return np.array(chosen, dtype=np.intp)
