"""Matrix products of private tensors with each other and with public matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpc.errors import ParameterError
from mpc.tensors.arithmetic import round_products, same_session, wrapping
from mpc.tensors.autograd import Gradient, Scaled, unbroadcast
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import matmul as ring_matmul
from mpc.tensors.public import encode_factor
from mpc.tensors.ranges import Factor
from mpc.tensors.shaping import swap_last
from mpc.tensors.tensor import PrivateTensor


def matmul(x: object, y: object) -> PrivateTensor:
    """Return x @ y as numpy's, of at least one private tensor. Its largest error is one unit."""
    if isinstance(x, PrivateTensor) and isinstance(y, PrivateTensor):
        return matmul_all([(x, y)])[0]
    return _matmul_public(x, y)


def matmul_all(pairs: Sequence[tuple[PrivateTensor, PrivateTensor]], exact: Sequence[bool] = ()) -> list[PrivateTensor]:
    """Return the matrix products of private pairs of one session. All share the rounds.

    Args:
        pairs: of tensors.
        exact: which products keep the fraction bits of both sides and are not rounded, none by default.
    """
    session = pairs[0][0].session
    matrices = []
    for x, y in pairs:
        same_session(x, y, "matmul")
        matrices.append((_row(x) if x.ndim == 1 else x, _column(y) if y.ndim == 1 else y))
    labels, ranges = [], []
    for x, y in matrices:
        label = session.label("matmul")
        _shape(label, x.shape, y.shape)
        if x.fraction_bits and y.fraction_bits and x.fraction_bits != y.fraction_bits:
            raise ParameterError(
                f"{label}: expected tensors of one format, found {x.fraction_bits} and {y.fraction_bits} fraction bits"
            )
        inner = x.shape[-1]
        found = (x.range * y.range).times(inner)
        why = f"{inner} products of {x.bound.bit_length()} and {y.bound.bit_length()} bits added"
        session.require_room(found, label, why, [x, y])
        labels.append(label)
        ranges.append(found)
    products = session.backend.matmul([(x.shared, y.shared) for x, y in matrices])
    results = round_products(labels, products, ranges, matrices, np.matmul, _gradients, exact)
    return [_as_numpy(result, x, y) for result, (x, y) in zip(results, pairs, strict=True)]


def _gradients(x: PrivateTensor, y: PrivateTensor) -> Callable[[Gradient], Sequence[Gradient | Scaled | None]]:
    a, b = x.detach(), y.detach()

    def backward(gradient: Gradient) -> Sequence[Gradient | Scaled | None]:
        if not isinstance(gradient, PrivateTensor):
            left = matmul(gradient, swap_last(b)) if x.requires_grad else None
            right = matmul(swap_last(a), gradient) if y.requires_grad else None
        else:
            wanted = [(gradient, swap_last(b))] if x.requires_grad else []
            wanted += [(swap_last(a), gradient)] if y.requires_grad else []
            # The gradient of a leaf meets the learning rate next, and one rounding does for both products.
            found = iter(matmul_all(wanted, [each.node is None for each in (x, y) if each.requires_grad]))
            left = next(found) if x.requires_grad else None
            right = next(found) if y.requires_grad else None
        return (
            None if left is None else unbroadcast(left, a.shape),
            None if right is None else unbroadcast(right, b.shape),
        )

    return backward


def _matmul_public(x: object, y: object) -> PrivateTensor:
    """Return a product with one public matrix. Each public entry is off by its encoding, besides the last rounding."""
    private, public_left = (x, False) if isinstance(x, PrivateTensor) else (y, True)
    assert isinstance(private, PrivateTensor)  # noqa: S101  (by the operators that lead here)
    values = np.asarray(x if public_left else y, dtype=np.float64)
    if private.ndim == 1:
        private = _row(private) if not public_left else _column(private)
    matrix = values.reshape(1, -1) if values.ndim == 1 and public_left else values
    matrix = matrix.reshape(-1, 1) if values.ndim == 1 and not public_left else matrix
    session = private.session
    label = session.label("matmul")
    shape = _shape(
        label, matrix.shape if public_left else private.shape, private.shape if public_left else matrix.shape
    )
    inner = private.shape[-2 if public_left else -1]
    public = encode_factor(
        label, matrix, session.format, session.format.ring_bits - private.range.bits - inner.bit_length()
    )
    session.note(public.words)
    found = (private.range * public.range).times(inner)
    why = f"{inner} products of {private.bound.bit_length()} and {public.range.bound.bit_length()} bits added"
    session.require_room(found, label, why, [private, Factor(public.range.bound, public.fraction_bits)])
    words = public.words
    function = (lambda w: ring_matmul(words, w)) if public_left else (lambda w: ring_matmul(w, words))
    shared = session.backend.linear(wrapping(function), shape, private.shared)
    cut = public.fraction_bits if private.fraction_bits else max(0, public.fraction_bits - session.format.fraction_bits)
    fraction_bits = private.fraction_bits or min(public.fraction_bits, session.format.fraction_bits)
    if cut:
        shared = session.truncate([shared], cut, found.bound)[0]
        found = found.truncate(cut)
    swapped, private_shape = np.swapaxes(matrix, -1, -2), private.shape

    def backward(gradient: Gradient) -> Sequence[Gradient | Scaled]:
        found = swapped @ gradient if public_left else gradient @ swapped
        return (unbroadcast(found, private_shape),)

    result = session.result(
        label, shared, found, fraction_bits, (private,),
        reference=(lambda a: np.matmul(matrix, a)) if public_left else (lambda a: np.matmul(a, matrix)),
        error=inner * public.error * private.real_bound + (session.unit(fraction_bits) if cut else 0.0),
        backward=backward,
    )  # fmt: skip
    return _as_numpy(result, x, y)


def _row(x: PrivateTensor) -> PrivateTensor:
    return x.reshape(1, x.size)


def _column(x: PrivateTensor) -> PrivateTensor:
    return x.reshape(x.size, 1)


def _as_numpy(result: PrivateTensor, x: object, y: object) -> PrivateTensor:
    """Return a product without the axes that vectors were given for it."""
    shape = list(result.shape)
    if np.ndim(x) == 1:  # type: ignore[arg-type]  # a tensor has it too
        del shape[-2]
    if np.ndim(y) == 1:  # type: ignore[arg-type]
        del shape[-1]
    return result if len(shape) == result.ndim else result.reshape(tuple(shape))


def _shape(label: str, left: Shape, right: Shape) -> Shape:
    if len(left) < 2 or len(right) < 2 or left[-1] != right[-2]:
        raise ParameterError(f"{label}: expected shapes (…, m, k) and (…, k, n), found {left} and {right}")
    try:
        batch = np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        raise ParameterError(f"{label}: expected batches that broadcast, found {left} and {right}") from None
    return (*batch, left[-2], right[-1])
