"""Comparisons, whose results are private bits, and what is made of them by choosing. All of it is exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from mpc.errors import ParameterError
from mpc.ring import Words
from mpc.tensors.arithmetic import (
    add,
    aligned,
    as_fixed,
    broadcast,
    multiply,
    negate,
    same_session,
    subtract,
    wrapping,
)
from mpc.tensors.autograd import Gradient, unbroadcast
from mpc.tensors.backends.interface import ManyEnds, Shape, Shared
from mpc.tensors.public import encode_at
from mpc.tensors.ranges import Factor, Range
from mpc.tensors.tensor import PrivateTensor

BIT = Range(0, 1)


def less(x: object, y: object) -> PrivateTensor:
    """Return 1 where x < y, else 0, as whole numbers. Public operands are compared as they are encoded."""
    return negative(subtract(x, y))


def equal(x: object, y: object) -> PrivateTensor:
    """Return 1 where the raw words of x and y are equal, else 0."""
    difference = subtract(x, y)
    below, above = negative_all([difference, negate(difference)])
    different = add(below, above)
    different.range, different.is_bit = BIT, True  # at most one of both
    return negated(different)


def negative(x: PrivateTensor) -> PrivateTensor:
    """Return 1 where x < 0, else 0."""
    return negative_all([x])[0]


def negative_all(tensors: Sequence[PrivateTensor]) -> list[PrivateTensor]:
    """Return the bits of several tensors in the rounds of one."""
    session = tensors[0].session
    found = session.backend.negative([x.shared for x in tensors], max(x.bound for x in tensors))
    results = []
    for x, shared in zip(tensors, found, strict=True):
        label = session.label("negative")
        result = session.result(label, shared, BIT, 0, (x,), reference=lambda a: (a < 0).astype(np.float64))
        result.is_bit = True
        results.append(result)
    return results


def negated(bit: PrivateTensor) -> PrivateTensor:
    """Return 1 - bit."""
    result = subtract(1, bit)
    result.range, result.is_bit = BIT, bit.is_bit
    return result


def keep_all(pairs: Sequence[tuple[PrivateTensor, PrivateTensor]]) -> list[PrivateTensor]:
    """Return bit * value for bits that comparisons gave, in the rounds of one. Nothing is rounded."""
    session = pairs[0][0].session
    labels = []
    for bit, value in pairs:
        same_session(bit, value, "keep")
        labels.append(session.label("keep"))
        broadcast(labels[-1], bit.shape, value.shape)
    found = session.backend.keep_if([bit.shared for bit, _ in pairs], [value.shared for _, value in pairs])
    results = []
    for label, shared, (bit, value) in zip(labels, found, pairs, strict=True):
        result = session.result(
            label, shared, value.range.union(Range(0, 0)), value.fraction_bits, (bit, value),
            reference=lambda b, v: b * v, backward=_keep_gradients(bit.detach(), value.shape),
        )  # fmt: skip
        results.append(result)
    return results


def _keep_gradients(bit: PrivateTensor, shape: Shape) -> Callable[[Gradient], Sequence[Gradient | None]]:
    return lambda gradient: (None, unbroadcast(_kept(bit, gradient), shape))


def keep(bit: PrivateTensor, value: PrivateTensor) -> PrivateTensor:
    """Return bit * value, where bit is 0 or 1 as a whole number."""
    if bit.is_bit:
        return keep_all([(bit, value)])[0]
    if bit.fraction_bits or bit.range.low < 0 or bit.range.high > 1:
        raise ParameterError("where: expected a condition of bits, as comparisons give them, found other numbers")
    return multiply(bit, value)


def _kept(bit: PrivateTensor, gradient: Gradient) -> Gradient:
    return keep(bit, gradient) if isinstance(gradient, PrivateTensor) else multiply(bit, gradient)


def where(condition: PrivateTensor, x: object, y: object) -> PrivateTensor:
    """Return x where a private bit is 1, else y. Both are computed, so nothing tells which one was taken."""
    if not isinstance(condition, PrivateTensor):
        raise ParameterError("where: expected a private condition, found a public one: choose by plain Python")
    session = condition.session
    x = x if isinstance(x, PrivateTensor) else session.constant(x)
    y = y if isinstance(y, PrivateTensor) else session.constant(y)
    x, y = aligned(x, y, "where")
    chosen = add(y, keep(condition, subtract(x, y)))
    chosen.range = chosen.range.meet(x.range.union(y.range))
    return chosen


def relu(x: PrivateTensor) -> PrivateTensor:
    """Return max(0, x)."""
    if x.range.low >= 0:
        return x
    return relu_and_bit(x)[0]


def relu_and_bit(x: PrivateTensor) -> tuple[PrivateTensor, PrivateTensor]:
    """Return max(0, x), and 1 where x >= 0, else 0."""
    session, label = x.session, x.session.label("relu")
    values, bits = session.backend.relu([x.shared], x.bound)
    return _relu_result(label, x, values[0], bits[0])


def relu_all(tensors: Sequence[PrivateTensor]) -> list[PrivateTensor]:
    """Return max(0, x) of several tensors in the rounds of one."""
    session = tensors[0].session
    label = session.label("relu")
    values, bits = session.backend.relu([x.shared for x in tensors], max(x.bound for x in tensors))
    found = zip(tensors, values, bits, strict=True)
    return [_relu_result(label, x, value, bit)[0] for x, value, bit in found]


def _relu_result(label: str, x: PrivateTensor, value: Shared, found: Shared) -> tuple[PrivateTensor, PrivateTensor]:
    session = x.session
    bit = session.result(label, found, BIT, 0, (x,), reference=lambda a: (a >= 0).astype(np.float64))
    bit.is_bit = True
    flows = bit.detach()
    result = session.result(
        label, value, x.range.maximum(Range(0, 0)), x.fraction_bits, (x,),
        reference=lambda a: np.maximum(a, 0.0), backward=lambda gradient: (_kept(flows, gradient),),
    )  # fmt: skip
    return result, bit


def absolute(x: PrivateTensor) -> PrivateTensor:
    """Return |x| = 2 max(0, x) - x."""
    if x.range.low >= 0:
        return x
    result = subtract(multiply(relu(x), 2), x)
    result.range = Range(0, x.bound)
    return result


def sign(x: PrivateTensor) -> PrivateTensor:
    """Return 1 where x >= 0, else -1."""
    result = subtract(1, multiply(negative(x), 2))
    result.range = Range(-1, 1)
    return result


def maximum(x: object, y: object) -> PrivateTensor:
    """Return the larger one of x and y, element by element."""
    if not isinstance(x, PrivateTensor):
        x, y = y, x
    assert isinstance(x, PrivateTensor)  # noqa: S101  (by the functions that lead here)
    other = y if isinstance(y, PrivateTensor) else x.session.constant(y)
    x, other = aligned(x, other, "maximum")
    result = add(other, relu(subtract(x, other)))
    result.range = x.range.maximum(other.range)
    return result


def minimum(x: object, y: object) -> PrivateTensor:
    """Return the smaller one of x and y, element by element."""
    return negate(maximum(_minus(x), _minus(y)))


def clip(x: PrivateTensor, low: object, high: object) -> PrivateTensor:
    """Return x, or the nearest end where it lies beyond public ends. The result's range is these ends.

    Both ends are compared with in one call. An end that the range of x does not reach costs nothing.
    """
    if (low is not None and np.ndim(low) > 0) or (high is not None and np.ndim(high) > 0):  # type: ignore[arg-type]
        raise ParameterError("clip: expected one number for each end, found an array")
    if low is not None and high is not None and float(low) > float(high):  # type: ignore[arg-type]
        raise ParameterError(f"clip: expected a lower end below the upper one, found {low} and {high}")
    if not x.fraction_bits and any(end is not None and float(end) != int(float(end)) for end in (low, high)):  # type: ignore[arg-type]
        x = as_fixed(x)
    below = low is not None and x.range.low < _raw(x, low)
    above = high is not None and x.range.high > _raw(x, high)
    if not below and not above:
        return x
    ends = (_raw(x, low) if below else None, _raw(x, high) if above else None)
    return clip_all([x], [ends])[0]


Ends = tuple["int | None", "int | None"]


def clip_all(tensors: Sequence[PrivateTensor], ends: Sequence[Ends]) -> list[PrivateTensor]:
    """Return tensors taken back to public raw ends, of which there may be one, in the rounds of one comparison."""
    whole = [(low, high) for low, high in ends if low is not None and high is not None]
    if len(whole) == len(ends) and isinstance(tensors[0].session.backend, ManyEnds):
        return _clip_between(tensors, whole)
    # Both differences have one sign, so that a back-end can compare them with one secret.
    over = [
        subtract(x, float(np.ldexp(float(end), -x.fraction_bits)))
        for x, pair in zip(tensors, ends, strict=True) for end in pair if end is not None
    ]  # fmt: skip
    kept = iter(relu_all(over))
    results = []
    for x, (low, high) in zip(tensors, ends, strict=True):
        result = x if low is None else add(next(kept), float(np.ldexp(float(low), -x.fraction_bits)))
        result = result if high is None else subtract(result, next(kept))
        result.range = _clipped(x.range, low, high)
        results.append(result)
    return results


def _clipped(found: Range, low: int | None, high: int | None) -> Range:
    found = found if low is None else found.maximum(Range(low, low))
    return found if high is None else Range(min(found.low, high), min(found.high, high))


def _clip_between(tensors: Sequence[PrivateTensor], ends: Sequence[tuple[int, int]]) -> list[PrivateTensor]:
    """Return b x + high + (low - high) [x < high] - low b, for b = [low <= x < high].

    The bits are two for each number, and one product does for both ends, as one does for the gradient.
    """
    session = tensors[0].session
    backend = session.backend
    assert isinstance(backend, ManyEnds)  # noqa: S101  (by the caller)
    label, bound = session.label("clip"), 0
    for x, (low, high) in zip(tensors, ends, strict=True):
        reached = Range(x.range.low - high, x.range.high - low)
        session.require_room(reached, label, "a comparison", [Factor(x.bound, x.fraction_bits)])
        bound = max(bound, reached.bound)
    inside, below = backend.between([x.shared for x in tensors], ends, bound)
    kept = backend.keep_if(inside, [x.shared for x in tensors])
    results = []
    for x, (low, high), within, under, part in zip(tensors, ends, inside, below, kept, strict=True):
        ends_of = [under, within] if low else [under]
        shared = backend.linear(wrapping(partial(_with_ends, (low - high, -low))), x.shape, part, *ends_of)
        end = np.full((), high % (1 << session.format.ring_bits), dtype=np.uint64)
        results.append(_clip_result(label, x, (low, high), within, backend.add_public(shared, end)))
    return results


def _with_ends(factors: tuple[int, int], part: Words, *bits: Words) -> Words:
    """Return what is kept, and public factors times the bits of whether it is beyond an end."""
    total = part
    for bit, factor in zip(bits, factors, strict=False):  # where the lower end is zero, there is one bit
        more = np.asarray(bit * np.uint64(factor % (1 << 64)))
        total = np.add(total, more, out=more)
    return total


def _clip_result(label: str, x: PrivateTensor, ends: tuple[int, int], within: Shared, shared: Shared) -> PrivateTensor:
    low, high = (float(np.ldexp(float(end), -x.fraction_bits)) for end in ends)
    bit = x.session.result(
        label, within, BIT, 0, (x,), reference=lambda a: ((a >= low) & (a < high)).astype(np.float64)
    )
    bit.is_bit = True
    flows = bit.detach()
    return x.session.result(
        label, shared, _clipped(x.range, *ends), x.fraction_bits, (x,),
        reference=lambda a: np.clip(a, low, high), backward=lambda gradient: (_kept(flows, gradient),),
    )  # fmt: skip


def _raw(x: PrivateTensor, end: object) -> int:
    return encode_at("clip", end, x.session.format, x.fraction_bits).range.low


def _minus(x: object) -> object:
    return negate(x) if isinstance(x, PrivateTensor) else -np.asarray(x)


def one_hot(classes: PrivateTensor, count: int) -> PrivateTensor:
    """Return rows of bits, 1 at each value's place among `count` classes, from whole numbers."""
    if classes.fraction_bits:
        raise ParameterError("one_hot: expected whole numbers, found fixed-point ones")
    return equal(classes.reshape(*classes.shape, 1), np.arange(count))
