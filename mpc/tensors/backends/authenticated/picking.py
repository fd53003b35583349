"""Linear functions that the parties compute on authenticated shares alone, such as slices and products by public words.

A linear function comes as a function on words modulo 2^64, and shares are numbers modulo 2^128. Where each element of
the result is one element times a public word, the same can be done modulo 2^128. Whether it is so is asked of the
function itself, on public arrays, at all parties alike. A computing party also holds its own share to the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from mpc.errors import ParameterError
from mpc.ring import Words
from mpc.tensors.backends.authenticated.wide import Wide, joined
from mpc.tensors.backends.interface import Linear, Shape
from mpc.tensors.backends.kernels import SEED_BYTES, KeyStream

_ONE = np.uint64(1)


@dataclass(frozen=True)
class Picking:
    """For each element of the result its place in the row of all operands' elements, and a public factor.

    Attributes:
        weights: the factors, or None where all are one.
    """

    places: Words
    weights: Words | None

    def of(self, arrays: Sequence[Words]) -> Words:
        """Return the result of the function on words modulo 2^64."""
        row = arrays[0].reshape(-1) if len(arrays) == 1 else np.concatenate([array.reshape(-1) for array in arrays])
        found = np.take(row, self.places)
        return found if self.weights is None else np.asarray(found * self.weights)

    def of_shares(self, shares: Sequence[Wide]) -> Wide:
        """Return the result of the function on shares."""
        found = joined(list(shares)).at(self.places)
        return found if self.weights is None else found.times(self.weights)


def picking_of(function: Linear, before: Sequence[Shape], after: Shape) -> Picking | None:
    """Return how a function picks elements, or None where it does something else."""
    count = sum(map(prod, before))
    if count == 0 or prod(after) == 0:
        return None
    random = _parted(KeyStream(bytes(SEED_BYTES)).words(count), before)
    expected = np.asarray(function(*random), order="C")
    if expected.shape != after or expected.dtype != np.uint64:
        return None
    for picking in (_gather(function, before), _scaling(function, before, after)):
        if picking is not None and picking.places.shape == after and np.array_equal(picking.of(random), expected):
            return picking
    return None


def _gather(function: Linear, before: Sequence[Shape]) -> Picking | None:
    """Return the picking of a function whose factors are 1, -1 and 0."""
    count = sum(map(prod, before))
    numbers = _parted(np.arange(1, count + 1, dtype=np.uint64), before)
    found = np.asarray(function(*numbers), order="C").view(np.int64)
    if found.min() > 0:  # the most common case, in which each is a place
        return None if found.max() > count else Picking((found - 1).view(np.uint64), None)
    sizes = np.abs(found)
    if sizes.max() > count or sizes.min() < 0:  # the least integer has no positive one
        return None
    return Picking(np.maximum(sizes - 1, 0).view(np.uint64), np.sign(found).view(np.uint64))


def _scaling(function: Linear, before: Sequence[Shape], after: Shape) -> Picking | None:
    """Return the picking of a function that multiplies by public words, element by element."""
    if len(before) != 1:
        return None
    try:
        places = np.broadcast_to(np.arange(prod(before[0]), dtype=np.uint64).reshape(before[0]), after)
    except ValueError:
        return None
    return Picking(places, np.asarray(function(np.ones(before[0], dtype=np.uint64))))


def _parted(row: Words, shapes: Sequence[Shape]) -> list[Words]:
    arrays, start = [], 0
    for shape in shapes:
        arrays.append(row[start : start + prod(shape)].reshape(shape))
        start += prod(shape)
    return arrays


def check_own(picking: Picking, shares: Sequence[Wide], found: Words) -> None:
    """Refuse a function that did something else with this party's own shares.

    Raises:
        ParameterError: naming no value.
    """
    if not np.array_equal(picking.of([share.value[0] for share in shares]), found):
        raise ParameterError("expected a linear function that does with every array what it did with another")
