"""Gradients by going back through the operations, in the reverse order (reverse-mode differentiation).

An operation on a tensor that requires a gradient leaves a :class:`Node`. Its `backward` turns the gradient of the
result into those of the inputs. A gradient is a private tensor or a public array. A public factor travels beside it, so
that means and learning rates cost one rounding together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError
from mpc.tensors.backends.interface import Shape

if TYPE_CHECKING:
    from mpc.tensors.tensor import PrivateTensor

Gradient: TypeAlias = "PrivateTensor | NDArray[np.float64]"


@dataclass(frozen=True)
class Scaled:
    """A gradient times a public factor, which is not multiplied out yet."""

    gradient: Gradient
    factor: float


Backward: TypeAlias = "Callable[[Gradient], Sequence[Gradient | Scaled | None]]"


@dataclass(frozen=True, repr=False)
class Node:
    """How a tensor came about.

    Attributes:
        name: of the operation.
        parents: its inputs, as they were then.
        backward: from the gradient of the result to those of the parents, None where no gradient flows.
        scope: where in the program it was, for the sentences of refusals.
    """

    name: str
    parents: tuple[PrivateTensor, ...]
    backward: Backward
    scope: str = ""


def backward(loss: PrivateTensor) -> None:
    """Add the gradient of one number to `grad` of every tensor below it that requires one."""
    if loss.size != 1:
        raise ParameterError(f"expected one number to go back from, found a tensor of shape {loss.shape}")
    if not loss.requires_grad:
        raise ParameterError("expected a tensor that depends on one which requires a gradient, found none")
    backward_from([(loss, Scaled(np.ones(loss.shape), 1.0))])


def backward_from(starts: Sequence[tuple[PrivateTensor, Scaled]]) -> None:
    """Go back from given gradients of given tensors."""
    waiting: dict[int, Scaled] = {}
    order = _order([tensor for tensor, _ in starts])
    for tensor, gradient in starts:
        waiting[id(tensor)] = _sum(waiting.get(id(tensor)), gradient)
    for tensor in order:
        here = waiting.pop(id(tensor), None)
        if here is None:
            continue
        if tensor.node is None:
            _add_to_leaf(tensor, here)
            continue
        with tensor.session.no_grad(), tensor.session.scope(f"{tensor.node.scope} back".lstrip()):
            gradients = tensor.node.backward(here.gradient)
        for parent, flowing in zip(tensor.node.parents, gradients, strict=True):
            if flowing is None or not parent.requires_grad:
                continue
            scaled = flowing if isinstance(flowing, Scaled) else Scaled(flowing, 1.0)
            total = Scaled(scaled.gradient, scaled.factor * here.factor)
            with tensor.session.no_grad():
                waiting[id(parent)] = _sum(waiting.get(id(parent)), total)


def _order(starts: Sequence[PrivateTensor]) -> list[PrivateTensor]:
    """Return all tensors that need a gradient, each before its parents."""
    order: list[PrivateTensor] = []
    seen: set[int] = set()
    stack = [(tensor, False) for tensor in starts]
    while stack:
        tensor, finished = stack.pop()
        if finished:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            if tensor.node is not None:
                stack.extend((parent, False) for parent in tensor.node.parents if parent.requires_grad)
    return order[::-1]


def _sum(first: Scaled | None, second: Scaled) -> Scaled:
    if first is None:
        return second
    a, b = first.gradient, second.gradient
    if not isinstance(a, np.ndarray) and not isinstance(b, np.ndarray) and a.fraction_bits != b.fraction_bits:
        # One is an exact product, and the other one is rounded.
        first, second = Scaled(a.in_format(), first.factor), Scaled(b.in_format(), second.factor)
    if first.factor == second.factor:
        return Scaled(first.gradient + second.gradient, first.factor)
    if first.factor == -second.factor:  # as those of `x - y` of one tensor, which need no rounding
        return Scaled(first.gradient - second.gradient, first.factor)
    return Scaled(first.gradient * first.factor + second.gradient * second.factor, 1.0)


def _add_to_leaf(leaf: PrivateTensor, found: Scaled) -> None:
    gradient = found.gradient
    if isinstance(gradient, np.ndarray):
        gradient, found = leaf.session.constant(gradient * found.factor), Scaled(gradient, 1.0)
    with leaf.session.no_grad():
        total = _sum(None if leaf._gradient is None else Scaled(*leaf._gradient), Scaled(gradient, found.factor))
    leaf._gradient = total.gradient, total.factor  # type: ignore[assignment]  # a sum with a private one is private


def unbroadcast(gradient: Gradient, shape: Shape) -> Gradient:
    """Return the gradient of an array that was broadcast, summed over the axes that it was repeated on."""
    if gradient.shape == shape:
        return gradient
    extra = len(gradient.shape) - len(shape)
    repeated = tuple(range(extra)) + tuple(
        extra + axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[extra + axis] != 1
    )
    return gradient.sum(axis=repeated).reshape(shape) if repeated else gradient.reshape(shape)
