"""The largest value along an axis, and its place, by a tournament of ceil(log2(n)) comparisons in a row."""

from __future__ import annotations

import numpy as np

from mpc.errors import ParameterError
from mpc.tensors.arithmetic import add, subtract
from mpc.tensors.comparing import keep, relu_and_bit
from mpc.tensors.shaping import concatenate, reshape, take
from mpc.tensors.tensor import PrivateTensor


def maximum_of(x: PrivateTensor, axis: int | None, keepdims: bool) -> PrivateTensor:
    """Return the largest values along an axis, exact. Among equal ones the gradient goes to the first."""
    values, axis, before = _prepared("max", x, axis)
    while values.shape[-1] > 1:
        left, right, rest = _halves(values)
        winners = add(right, relu_and_bit(subtract(left, right))[0])
        winners.range = x.range
        values = concatenate([winners, rest], -1) if rest is not None else winners
    shape = (*before[:axis], *([1] if keepdims else []), *before[axis + 1 :])
    return reshape(values, (shape,))


def argmax(x: PrivateTensor, axis: int | None) -> PrivateTensor:
    """Return the places of the largest values along an axis, as whole numbers. Among equal ones the first wins."""
    with x.session.no_grad():
        values, axis, before = _prepared("argmax", x, axis)
        count = values.shape[-1]
        places = x.session.constant(np.broadcast_to(np.arange(count), values.shape))
        first = True
        while values.shape[-1] > 1:
            left, right, rest = _halves(values)
            left_place, right_place, rest_place = _halves(places)
            kept, bit = relu_and_bit(subtract(left, right))
            winners = add(right, kept)
            winners.range = x.range
            # In the first round the places are public, so choosing between them costs nothing.
            shift = bit * -1 if first else keep(bit, subtract(left_place, right_place))
            winner_places = add(right_place, shift)
            winner_places.range = places.range
            values = winners if rest is None else concatenate([winners, rest], -1)
            places = winner_places if rest_place is None else concatenate([winner_places, rest_place], -1)
            first = False
        return reshape(places, ((*before[:axis], *before[axis + 1 :]),))


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
