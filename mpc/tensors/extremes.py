"""The largest value along an axis, and its place.

Few values are compared all with each other, in one call. The largest one is the one that no other beats. Many values
meet in a tournament of ceil(log2(n)) comparisons in a row, which compares less and waits longer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError
from mpc.tensors.arithmetic import add, multiply, subtract
from mpc.tensors.autograd import Gradient
from mpc.tensors.comparing import BIT, keep, negative, relu_and_bit
from mpc.tensors.products import matmul
from mpc.tensors.ranges import Range
from mpc.tensors.shaping import concatenate, reshape, take
from mpc.tensors.tensor import PrivateTensor

Indices = NDArray[np.intp]

MOST_VALUES = 16
MOST_MULTIPLIED = 5
"""Up to so many values, the bits of each are multiplied. Of more, the defeats are counted and compared with none."""
MOST_PAIRS = 1 << 15
"""Beyond these the tournament is cheaper than its rounds."""


def maximum_of(x: PrivateTensor, axis: int | None, keepdims: bool) -> PrivateTensor:
    """Return the largest values along an axis, exact. Among equal ones the gradient goes to the first."""
    values, axis, before = _prepared("max", x, axis)
    largest = _largest_of_few(values) if _few(values) else _tournament(values)
    return reshape(largest, ((*before[:axis], *([1] if keepdims else []), *before[axis + 1 :]),))


def argmax(x: PrivateTensor, axis: int | None) -> PrivateTensor:
    """Return the places of the largest values along an axis, as whole numbers. Among equal ones the first wins."""
    with x.session.no_grad():
        values, axis, before = _prepared("argmax", x, axis)
        places = multiply(_one_hot(values), np.arange(values.shape[-1])).sum(axis=-1) if _few(values) else None
        found = _place_by_tournament(values) if places is None else places
        return reshape(found, ((*before[:axis], *before[axis + 1 :]),))


def _few(values: PrivateTensor) -> bool:
    count = values.shape[-1]
    pairs = values.size * (count - 1) // 2
    fits = values.range.times(count).bits <= values.session.format.ring_bits
    return 1 < count <= MOST_VALUES and pairs <= MOST_PAIRS and fits


def _one_hot(values: PrivateTensor) -> PrivateTensor:
    """Return 1 at the first of the largest values along the last axis, else 0."""
    count = values.shape[-1]
    first, second = np.triu_indices(count, 1)
    below = negative(subtract(take(values, (..., first)), take(values, (..., second))))
    if count > MOST_MULTIPLIED:
        return negative(subtract(_defeats(below, first, second, count), 1))
    # Row i has the bits of i against every other j: 1 - [x_i < x_j] for a later j, and [x_j < x_i] for an earlier one.
    pair = np.zeros((count, count), dtype=np.intp)
    pair[first, second] = pair[second, first] = np.arange(len(first))
    others = [[j for j in range(count) if j != i] for i in range(count)]
    index = np.array([[pair[i, j] for j in row] for i, row in enumerate(others)])
    later = np.array([[float(j > i) for j in row] for i, row in enumerate(others)])
    wins = add(multiply(take(below, (..., index)), 1 - 2 * later), later)
    wins.range = BIT
    while wins.shape[-1] > 1:
        left, right, rest = _halves(wins)
        wins = multiply(left, right)
        wins.range = BIT
        wins = wins if rest is None else concatenate([wins, rest], -1)
    return reshape(wins, (values.shape,))


def _defeats(below: PrivateTensor, first: Indices, second: Indices, count: int) -> PrivateTensor:
    """Return for each value how many others beat it, from the bits of whether each first of a pair is below its second.

    Of equal values the first one beats the others.
    """
    signs = np.zeros((len(first), count))
    signs[np.arange(len(first)), first] = 1
    signs[np.arange(len(first)), second] = -1
    defeats = add(matmul(below, signs), np.arange(count))
    defeats.range = Range(0, count - 1)
    return defeats


def _largest_of_few(values: PrivateTensor) -> PrivateTensor:
    session = values.session
    with session.no_grad():
        chosen = _one_hot(values)
        found = multiply(chosen, values).sum(axis=-1)

    def backward(gradient: Gradient) -> list[Gradient]:
        return [multiply(chosen, gradient.reshape((*gradient.shape, 1)))]

    return session.result(
        session.label("max"), found.shared, values.range, values.fraction_bits, (values,),
        reference=lambda a: a.max(axis=-1), backward=backward,
    )  # fmt: skip


def _tournament(values: PrivateTensor) -> PrivateTensor:
    found = values.range
    while values.shape[-1] > 1:
        left, right, rest = _halves(values)
        winners = add(right, relu_and_bit(subtract(left, right))[0])
        winners.range = found
        values = concatenate([winners, rest], -1) if rest is not None else winners
    return take(values, (..., 0))


def _place_by_tournament(values: PrivateTensor) -> PrivateTensor:
    places = values.session.constant(np.broadcast_to(np.arange(values.shape[-1]), values.shape))
    found, first = values.range, True
    while values.shape[-1] > 1:
        left, right, rest = _halves(values)
        left_place, right_place, rest_place = _halves(places)
        kept, bit = relu_and_bit(subtract(left, right))
        winners = add(right, kept)
        winners.range = found
        # In the first round the places are public, so choosing between them costs nothing.
        shift = multiply(bit, -1) if first else keep(bit, subtract(left_place, right_place))
        winner_places = add(right_place, shift)
        winner_places.range = places.range
        values = winners if rest is None else concatenate([winners, rest], -1)
        places = winner_places if rest_place is None else concatenate([winner_places, rest_place], -1)
        first = False
    return take(places, (..., 0))


def _prepared(name: str, x: PrivateTensor, axis: int | None) -> tuple[PrivateTensor, int, tuple[int, ...]]:
    """Return the values with their axis as the last one, that axis, and the shape before."""
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    if not isinstance(axis, int) or not -x.ndim <= axis < x.ndim:
        raise ParameterError(f"{name}: expected an axis of a tensor with shape {x.shape}, found {axis!r}")
    axis %= x.ndim
    if not x.shape[axis]:
        raise ParameterError(f"{name}: expected values along axis {axis}, found none in shape {x.shape}")
    if axis == x.ndim - 1:
        return x, axis, x.shape
    order = (*(each for each in range(x.ndim) if each != axis), axis)
    return x.transpose(order), axis, x.shape


def _halves(x: PrivateTensor) -> tuple[PrivateTensor, PrivateTensor, PrivateTensor | None]:
    """Return the values at even places, those at odd ones, and the last one where their number is odd.

    Neighbours meet, so the winners keep their order, and the earlier one of two places is on the left in every round.
    """
    paired = x.shape[-1] // 2 * 2
    rest = take(x, (..., slice(paired, None))) if x.shape[-1] % 2 else None
    return take(x, (..., slice(0, paired, 2))), take(x, (..., slice(1, paired, 2))), rest
