"""Reshaping, slicing, joining: moving entries without changing them, at no cost in communication."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.errors import ParameterError
from mpc.tensors.arithmetic import aligned, axes_of, linear
from mpc.tensors.autograd import Gradient, unbroadcast
from mpc.tensors.backends.interface import Shape
from mpc.tensors.tensor import Axis, PrivateTensor


def _flat(numbers: Sequence[object]) -> tuple[int, ...]:
    """Return the numbers of `f(1, 2)` and of `f((1, 2))` alike."""
    only = numbers[0] if len(numbers) == 1 else None
    return tuple(only) if isinstance(only, tuple | list) else tuple(numbers)  # type: ignore[arg-type]


def reshape(x: PrivateTensor, shape: Sequence[object]) -> PrivateTensor:
    wanted, before = _flat(shape), x.shape
    try:
        after = np.broadcast_to(np.uint8(0), before).reshape(wanted).shape
    except (TypeError, ValueError):
        raise ParameterError(f"reshape: expected a shape for {x.size} values of {before}, found {wanted}") from None
    return linear(
        x, "reshape", lambda words: words.reshape(after), after,
        reference=lambda a: a.reshape(after), backward=lambda gradient: (gradient.reshape(before),),
    )  # fmt: skip


def transpose(x: PrivateTensor, axes: Sequence[object]) -> PrivateTensor:
    wanted = _flat(axes) or tuple(reversed(range(x.ndim)))
    if sorted(each % max(1, x.ndim) for each in wanted) != list(range(x.ndim)):
        raise ParameterError(f"transpose: expected an order of {x.ndim} axes, found {wanted}")
    back = tuple(int(each) for each in np.argsort([each % x.ndim for each in wanted])) if x.ndim else ()
    shape = tuple(x.shape[each] for each in wanted)
    return linear(
        x, "transpose", lambda words: words.transpose(wanted), shape,
        reference=lambda a: a.transpose(wanted), backward=lambda gradient: (gradient.transpose(back),),
    )  # fmt: skip


def swap_last(x: PrivateTensor) -> PrivateTensor:
    """Return every matrix of a stack transposed."""
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def squeeze(x: PrivateTensor, axis: Axis) -> PrivateTensor:
    axes = axes_of("squeeze", x.shape, axis)
    if axis is None:
        axes = tuple(each for each, size in enumerate(x.shape) if size == 1)
    if any(x.shape[each] != 1 for each in axes):
        raise ParameterError(f"squeeze: expected axes of size 1, found {axis} of shape {x.shape}")
    return reshape(x, (tuple(size for each, size in enumerate(x.shape) if each not in axes),))


def broadcast_to(x: PrivateTensor, shape: Shape) -> PrivateTensor:
    before, shape = x.shape, tuple(shape)
    try:
        np.broadcast_to(np.uint8(0), before)
        fits = np.broadcast_shapes(before, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ParameterError(f"broadcast_to: expected a shape that {before} broadcasts to, found {shape}")
    return linear(
        x, "broadcast_to", lambda words: np.broadcast_to(words, shape).copy(), shape,
        reference=lambda a: np.broadcast_to(a, shape), backward=lambda gradient: (unbroadcast(gradient, before),),
    )  # fmt: skip


def take(x: PrivateTensor, index: Any) -> PrivateTensor:
    """Return a part by numpy's public indices. A private index is refused, because it would tell a value."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, PrivateTensor) for part in parts):
        raise TypeError(
            "expected public indices, found a private tensor: use pt.where, or a product with a one-hot row"
        )
    before = x.shape
    try:
        shape = np.broadcast_to(np.uint8(0), before)[index].shape
    except IndexError as error:
        raise ParameterError(f"take: expected indices within shape {before}, found others ({error})") from None

    def backward(gradient: Gradient) -> Sequence[Gradient]:
        return (_put(gradient, before, index),)

    return linear(
        x, "take", lambda words: np.array(words[index]), shape,
        reference=lambda a: a[index], backward=backward,
    )  # fmt: skip


def _put(gradient: Gradient, shape: Shape, index: Any) -> Gradient:
    """Return zeros of a shape with a gradient added at indices, those that come twice twice."""
    if not isinstance(gradient, PrivateTensor):
        into = np.zeros(shape)
        np.add.at(into, index, gradient)
        return into
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, index, 1)

    def put(words: np.ndarray) -> np.ndarray:
        into = np.zeros(shape, dtype=words.dtype)
        np.add.at(into, index, words)
        return into

    most = int(counts.max()) if counts.size else 0
    return linear(
        gradient, "put", put, shape, found=gradient.range.times(most).union(gradient.range.times(0)),
        why=f"{most} values of {gradient.bound.bit_length()} bits added",
        reference=put, backward=lambda back: (back[index],),
    )  # fmt: skip


def pad(x: PrivateTensor, width: int) -> PrivateTensor:
    """Return the last two axes with zeros on all four sides."""
    if width == 0:
        return x
    inner = (..., slice(width, -width), slice(width, -width))
    sides = [(0, 0)] * (x.ndim - 2) + [(width, width)] * 2
    shape = (*x.shape[:-2], x.shape[-2] + 2 * width, x.shape[-1] + 2 * width)
    return linear(
        x, "pad", lambda words: np.pad(words, sides), shape, found=x.range.union(x.range.times(0)),
        reference=lambda a: np.pad(a, sides), backward=lambda gradient: (gradient[inner],),
    )  # fmt: skip


def concatenate(tensors: Sequence[object], axis: int = 0) -> PrivateTensor:
    """Return tensors joined along an axis. Public arrays among them become constants."""
    parts = _same_format("concatenate", tensors)
    session = parts[0].session
    label = session.label("concatenate")
    try:
        shape = np.concatenate([np.broadcast_to(np.uint8(0), part.shape) for part in parts], axis).shape
    except ValueError:
        found = ", ".join(str(part.shape) for part in parts)
        raise ParameterError(f"{label}: expected shapes that differ in axis {axis} alone, found {found}") from None
    axis %= len(shape)
    found_range = parts[0].range
    for part in parts[1:]:
        found_range = found_range.union(part.range)
    ends = np.cumsum([part.shape[axis] for part in parts])
    slices = [
        (*(slice(None),) * axis, slice(int(end) - part.shape[axis], int(end)))
        for end, part in zip(ends, parts, strict=True)
    ]
    shared = session.backend.linear(lambda *words: np.concatenate(words, axis), shape, *(part.shared for part in parts))
    result = session.result(
        label, shared, found_range, parts[0].fraction_bits, parts,
        reference=lambda *arrays: np.concatenate(arrays, axis),
        backward=lambda gradient: [gradient[part] for part in slices],
    )  # fmt: skip
    result.is_bit = all(part.is_bit for part in parts)
    return result


def stack(tensors: Sequence[object], axis: int = 0) -> PrivateTensor:
    """Return tensors of one shape along a new axis."""
    parts = _same_format("stack", tensors)
    if len({part.shape for part in parts}) > 1:
        found = ", ".join(str(part.shape) for part in parts)
        raise ParameterError(f"stack: expected tensors of one shape, found {found}")
    if not -parts[0].ndim - 1 <= axis <= parts[0].ndim:
        raise ParameterError(f"stack: expected an axis of at most {parts[0].ndim}, found {axis}")
    axis %= parts[0].ndim + 1
    shape = (*parts[0].shape[:axis], 1, *parts[0].shape[axis:])
    return concatenate([part.reshape(shape) for part in parts], axis)


def _same_format(name: str, tensors: Sequence[object]) -> list[PrivateTensor]:
    """Return tensors in one format, with constants for public arrays."""
    private = [tensor for tensor in tensors if isinstance(tensor, PrivateTensor)]
    if not private:
        raise ParameterError(f"{name}: expected a private tensor among them, found none")
    session = private[0].session
    parts = [tensor if isinstance(tensor, PrivateTensor) else session.constant(tensor) for tensor in tensors]
    widest = max(parts, key=lambda part: part.fraction_bits)
    return [aligned(part, widest, name)[0] for part in parts]
