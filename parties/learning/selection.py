"""The choice of the unlabelled records that a party asks about. They should teach its model most.

The strategies are those that CaPC's authors offer ("CaPC Learning", ICLR 2021), all from the party's own model:

- ``random``: any.
- ``entropy``: where the predicted distribution has the largest entropy.
- ``margin``: where the two likeliest classes are closest (the "gap"). With several labels, for both: on their average.
- ``k-center``: greedily, the record farthest from all that are labelled or chosen already, in the features that the
  model's last layer sees (Sener, Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach",
  ICLR 2018, algorithm 1).

A function of a user's own is a strategy, too. Each gives every record a score, and the largest are asked about first. A
campaign that is continued with more queries asks about the next ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parties.learning.extensions.calling import Call
from parties.learning.extensions.registry import Kind
from parties.learning.labels import Floats, kind_of
from parties.learning.model_files.layers_file import read_layers, write_layers
from parties.learning.models import Model
from parties.learning.records import AskedRecords, Images, Records

Order = NDArray[np.intp]


@dataclass(frozen=True)
class Candidates:
    """What a strategy may look at. A function of a user's own gets it as its one argument.

    It returns a finite score for each image, ``(n,)``. The records with the largest scores are asked about first.
    Images come in an order shuffled under `seed`, and equal scores keep that order.

    Attributes:
        images: the unlabelled records, ``(n, channels, height, width)`` in 0..1.
        own: the party's own records, as `own.images` and `own.labels`.
        model: the party's own model. ``model.logits(images)`` is ``(n, classes)``, and ``model.features(images)``
            ``(n, features)`` the input of its last layer.
        seed: of the experiment, for what is left to chance.
    """

    images: Images
    own: Records
    model: Model
    seed: int

    def write(self, folder: Path) -> None:
        """Write everything but the seed into a private folder, for :meth:`read`."""
        AskedRecords(self.images, None).write(folder / "candidates.npz")
        self.own.write(folder / "own.npz")
        write_layers(folder / "model.npz", self.model.layers, self.model.image_shape)

    @classmethod
    def read(cls, folder: Path, seed: int) -> Candidates:
        """Read what :meth:`write` wrote."""
        own, images = Records.read(folder / "own.npz"), AskedRecords.read(folder / "candidates.npz").images
        channels, height, width = own.images.shape[1:]
        return cls(images, own, Model((channels, height, width), read_layers(folder / "model.npz")[0]), seed)


def order_to_ask(
    strategy: str,
    model: Model,
    own: Records,
    unlabelled: AskedRecords,
    seed: int,
    code: Path | None = None,
    work: Path | None = None,
) -> Order:
    """Return the unlabelled records' indices, the ones to ask about first. Ties are broken by a shuffle under `seed`.

    `unlabelled` may carry the correct labels of an experiment, which are not looked at. A function of a user's own is
    called in a child process. Its module is looked for in the folder `code` as well, and what it gets lies in the
    private folder `work` meanwhile. Raises `ConfigError` for scores of another shape, or that are not finite.
    """
    shuffled = np.random.default_rng([seed, 0x5E1EC7]).permutation(len(unlabelled))
    candidates = Candidates(unlabelled.images[shuffled], own, model, seed)
    built_in = _BUILT_IN.get(strategy)
    scores = built_in(candidates) if built_in else _own_scores(strategy, candidates, code, work)
    return shuffled[np.argsort(-scores, kind="stable")]


def _own_scores(strategy: str, candidates: Candidates, code: Path | None, work: Path | None) -> Floats:
    """Return the scores that a function of a user's own gives, after every check of them."""
    with Call(STRATEGIES, strategy, code, work) as call:
        candidates.write(call.inputs)
        found = call.run(seed=candidates.seed)
    scores, count = found.arrays.get("scores", np.zeros(())), len(candidates.images)
    if scores.shape != (count,):
        raise found.refuse(f"scores ({count},), one for each record", scores.shape)
    if not np.isfinite(scores).all():
        raise found.refuse("finite scores", f"{int((~np.isfinite(scores)).sum())} infinite or undefined ones")
    return scores.astype(np.float64)


def _random(candidates: Candidates) -> Floats:
    return np.zeros(len(candidates.images))


def _entropy(candidates: Candidates) -> Floats:
    return kind_of(candidates.own.labels).entropy(candidates.model.logits(candidates.images))


def _margin(candidates: Candidates) -> Floats:
    return -kind_of(candidates.own.labels).margin(candidates.model.logits(candidates.images))


def _k_center(candidates: Candidates) -> Floats:
    model = candidates.model
    order = _farthest_first(model.features(candidates.own.images), model.features(candidates.images))
    scores = np.empty(len(order))
    scores[order] = -np.arange(len(order))
    return scores


_BUILT_IN: dict[str, Callable[[Candidates], Floats]] = {
    "random": _random,
    "entropy": _entropy,
    "margin": _margin,
    "k-center": _k_center,
}

STRATEGIES = Kind("strategy", "strategies", tuple(_BUILT_IN))
"""The strategies that have a name."""


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
