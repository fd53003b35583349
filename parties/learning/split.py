"""Splitting the training pool among its owners, and setting records without a label aside for the querying parties.

The same seed gives the same parts. The test set has no part in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parties.frame.errors import ConfigError
from parties.learning.labels import Kinds, Labels, kind_of

Indices = NDArray[np.intp]


def set_aside(labels: Labels, count: int, seed: int) -> tuple[Indices, Indices]:
    """Draw `count` records at random from the pool. Returns them and all the others, both in the pool's order."""
    if count >= len(labels):
        raise ConfigError(f"unlabelled: expected fewer than the {len(labels)} training records, found {count}")
    order = np.random.default_rng([seed, 0xA51DE]).permutation(len(labels))
    return np.sort(order[:count]), np.sort(order[count:])


def split(labels: Labels, owners: int, seed: int, method: str, missing_classes: int = 0) -> list[Indices]:
    """Split the pool into each owner's indices.

    They are disjoint, together the whole pool, and differ by at most one in size.

    ``iid`` splits the shuffled pool. ``stratified`` splits it class by class, so that every part has (within a record)
    the pool's share of every class. With `missing_classes` every owner lacks so many classes (:func:`lacking`). Each
    class is then split among the owners that do not lack it, and sizes may differ by more.
    Where records have several labels, every combination of labels that occurs counts as a class.
    """
    if len(labels) < owners:
        raise ConfigError(f"{len(labels)} training records cannot be split among {owners} data owners")
    if method not in ("stratified", "iid"):
        raise ConfigError(f"split {method!r} is not known; there are stratified and iid")
    classes = kind_of(labels).strata(labels)
    order = np.random.default_rng([seed, 0x5B117]).permutation(len(labels))
    if missing_classes:
        if method != "stratified":
            raise ConfigError("missing_classes: expected split stratified, found iid")
        return _split_without(classes, order, lacking(int(classes.max()) + 1, owners, seed, missing_classes))
    if method == "stratified":
        order = order[np.argsort(classes[order], kind="stable")]
    return [np.sort(order[owner::owners]) for owner in range(owners)]


def lacking(classes: int, owners: int, seed: int, missing_classes: int) -> list[frozenset[int]]:
    """Return the classes of which each owner has no record.

    They are a window that moves along the shuffled classes from one owner to the next. Every class is so lacked by
    equally many owners, within one round.
    """
    if missing_classes >= classes:
        raise ConfigError(f"missing_classes: expected fewer than the {classes} classes, found {missing_classes}")
    shuffled = np.random.default_rng([seed, 0x1ACC]).permutation(classes)
    windows = [range(owner * missing_classes, (owner + 1) * missing_classes) for owner in range(owners)]
    return [frozenset(int(shuffled[place % classes]) for place in window) for window in windows]


def _split_without(classes: Kinds, order: Indices, lacks: list[frozenset[int]]) -> list[Indices]:
    """The records in this order, each class in turn among the owners who hold it."""
    parts: list[list[int]] = [[] for _ in lacks]
    for number in range(int(classes.max()) + 1):
        holders = [owner for owner, absent in enumerate(lacks) if number not in absent]
        if not holders:
            raise ConfigError(f"missing_classes: expected an owner for class {number}, found that all lack it")
        holders.sort(key=lambda owner: len(parts[owner]))  # who has fewest is dealt to first
        for turn, index in enumerate(order[classes[order] == number]):
            parts[holders[turn % len(holders)]].append(int(index))
    if not all(parts):
        raise ConfigError(f"{len(classes)} training records cannot be split among {len(lacks)} data owners")
    return [np.sort(np.array(part, dtype=np.intp)) for part in parts]
