"""Sums and element-wise products, of private tensors with each other and with public numbers.

Exact on raw words, except where a product of two fractions is rounded. An operation states its largest error in units,
where a unit is 2^-fraction_bits. Results are refused before they are computed where the ring could not hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mpc.errors import ParameterError
from mpc.ring import Words
from mpc.tensors.autograd import Gradient, Scaled, unbroadcast
from mpc.tensors.backends.interface import Shape, Shared, Times
from mpc.tensors.public import PublicWords, common_room, encode_at, encode_factor, encode_public, reals
from mpc.tensors.ranges import Factor, Range
from mpc.tensors.tensor import Axis, PrivateTensor, Reals


def add(x: PrivateTensor, y: object) -> PrivateTensor:
    """Return x + y, exact but for the encoding of public numbers."""
    return _sum(x, y, "add", lambda a, b: a + b, 1)


def subtract(x: object, y: object) -> PrivateTensor:
    """Return x - y, exact but for the encoding of public numbers."""
    if isinstance(x, PrivateTensor):
        return _sum(x, y, "subtract", lambda a, b: a - b, -1)
    assert isinstance(y, PrivateTensor)  # noqa: S101  (by the operators that lead here)
    return _sum(negate(y), x, "subtract", lambda a, b: a + b, 1)


def _sum(x: PrivateTensor, y: object, name: str, function: Callable[[Reals, Reals], Reals], sign: int) -> PrivateTensor:
    """Return x + sign * y."""
    if not isinstance(y, PrivateTensor):
        return _add_public(x, y, name, sign)
    x, y = aligned(x, y, name)
    label = x.session.label(name)
    broadcast(label, x.shape, y.shape)
    found = x.range + (y.range if sign > 0 else -y.range)
    x.session.require_room(
        found, label, f"{_bits(x)} and {_bits(y)} bits added", [Factor(found.bound, x.fraction_bits)]
    )
    backend = x.session.backend
    shared = backend.add(x.shared, y.shared) if sign > 0 else backend.subtract(x.shared, y.shared)
    x_shape, y_shape = x.shape, y.shape

    def backward(gradient: Gradient) -> Sequence[Gradient | Scaled]:
        right = unbroadcast(gradient, y_shape)
        return unbroadcast(gradient, x_shape), right if sign > 0 else Scaled(right, -1.0)

    return x.session.result(label, shared, found, x.fraction_bits, (x, y), reference=function, backward=backward)


def _add_public(x: PrivateTensor, y: object, name: str, sign: int) -> PrivateTensor:
    session = x.session
    values = sign * reals(name, y)
    public = encode_public(name, values, session.format)
    if public.fraction_bits != x.fraction_bits:
        x = as_fixed(x)
        public = encode_at(name, values, session.format, x.fraction_bits)
    label = session.label(name)
    session.note(public.words)
    broadcast(label, x.shape, public.shape)
    found = x.range + public.range
    session.require_room(found, label, f"{_bits(x)} bits and public ones added", [Factor(found.bound, x.fraction_bits)])
    shape = x.shape
    return session.result(
        label, session.backend.add_public(x.shared, public.words), found, x.fraction_bits, (x,),
        reference=lambda a: a + values, error=public.error,
        backward=lambda gradient: (unbroadcast(gradient, shape),),
    )  # fmt: skip


def negate(x: PrivateTensor) -> PrivateTensor:
    """Return -x, exact."""
    return linear(
        x, "negate", Times(-1), x.shape, found=-x.range,
        reference=np.negative, backward=lambda gradient: (Scaled(gradient, -1.0),),
    )  # fmt: skip


def multiply(x: PrivateTensor, y: object) -> PrivateTensor:
    """Return x * y element by element. Fractions are rounded, whole numbers and bits are exact."""
    return multiply_all([(x, y)])[0] if isinstance(y, PrivateTensor) else scale_all([x], [y])[0]


def scale_all(tensors: Sequence[PrivateTensor], factors: Sequence[object]) -> list[PrivateTensor]:
    """Return tensors times public factors. Those that are rounded by as many bits share a round."""
    ring_bits = tensors[0].format.ring_bits
    rooms = [ring_bits - x.range.bits for x in tensors]
    if len(tensors) > 1 and all(np.ndim(factor) == 0 and factor == factors[0] for factor in factors):  # type: ignore[arg-type]
        rooms = common_room(float(factors[0]), tensors[0].session.format, rooms)  # type: ignore[arg-type]
    products = [_scaled(x, factor, room) for x, factor, room in zip(tensors, factors, rooms, strict=True)]
    shares = [product.shared for product in products]
    for cut in sorted({product.cut for product in products} - {0}):
        places = [place for place, product in enumerate(products) if product.cut == cut]
        bound = max(products[place].found.bound for place in places)
        cuts = tensors[0].session.truncate([shares[place] for place in places], cut, bound)
        for place, value in zip(places, cuts, strict=True):
            shares[place] = value
    return [_scale_result(product, share) for product, share in zip(products, shares, strict=True)]


@dataclass(frozen=True, repr=False)
class _Product:
    """A tensor times a public factor, not rounded yet.

    Attributes:
        found: its range.
        cut: by how many bits it is to be rounded.
        fraction_bits: after that.
        error: of the factor's encoding, as a real number.
    """

    label: str
    x: PrivateTensor
    factor: Reals
    shared: Shared
    found: Range
    cut: int
    fraction_bits: int
    error: float


def _scaled(x: PrivateTensor, y: object, room_bits: int) -> _Product:
    session = x.session
    label = session.label("multiply")
    public = encode_factor(label, y, session.format, room_bits)
    session.note(public.words)
    shape = broadcast(label, x.shape, public.shape)
    found = x.range * public.range
    session.require_room(
        found, label, f"{_bits(x)} bits times a public {public.range.bound.bit_length()}", [x, _factor(public)]
    )
    words = public.words
    function = Times(int(words)) if words.ndim == 0 else wrapping(lambda values: values * words)
    shared = session.backend.linear(function, shape, x.shared)
    # Products of a fixed-point number come back to its format, and exact products to the session's.
    wanted = min(x.fraction_bits or public.fraction_bits, session.format.fraction_bits)
    cut = x.fraction_bits + public.fraction_bits - wanted
    fraction_bits = x.fraction_bits + public.fraction_bits - cut
    error = public.error * x.real_bound
    return _Product(label, x, np.asarray(y, dtype=np.float64), shared, found, cut, fraction_bits, error)


def _scale_result(product: _Product, shared: Shared) -> PrivateTensor:
    values, shape, session = product.factor, product.x.shape, product.x.session

    def backward(gradient: Gradient) -> Sequence[Gradient | Scaled]:
        if values.ndim == 0:
            return (Scaled(gradient, float(values)),)
        return (unbroadcast(gradient * values, shape),)

    return session.result(
        product.label, shared, product.found.truncate(product.cut), product.fraction_bits, (product.x,),
        reference=lambda a: a * values, backward=backward,
        error=product.error + (session.unit(product.fraction_bits) if product.cut else 0.0),
    )  # fmt: skip


def multiply_all(pairs: Sequence[tuple[PrivateTensor, PrivateTensor]], mixed: bool = False) -> list[PrivateTensor]:
    """Return the element-wise products of private pairs of one session. All share the rounds.

    Args:
        pairs: of tensors.
        mixed: whether a side may have more fraction bits than the session's format, as an inverse inside has.
    """
    session = pairs[0][0].session
    labels, ranges = [], []
    for x, y in pairs:
        same_session(x, y, "multiply")
        label = session.label("multiply")
        broadcast(label, x.shape, y.shape)
        found = x.range.square() if x.shared is y.shared else x.range * y.range
        if not mixed:
            require_same_format(label, x, y)
        session.require_room(found, label, f"a product of {_bits(x)} and {_bits(y)} bits", [x, y])
        labels.append(label)
        ranges.append(found)
    products = session.backend.multiply([(x.shared, y.shared) for x, y in pairs])
    return round_products(labels, products, ranges, pairs, lambda a, b: a * b, _product_gradients)


def _product_gradients(x: PrivateTensor, y: PrivateTensor) -> Callable[[Gradient], Sequence[Gradient | Scaled | None]]:
    a, b = x.detach(), y.detach()
    if x is y:
        return lambda gradient: (Scaled(_times(gradient, [a])[0], 2.0), None)

    def backward(gradient: Gradient) -> Sequence[Gradient | Scaled | None]:
        needed = [other for other, tensor in ((b, x), (a, y)) if tensor.requires_grad]
        found = iter(_times(gradient, needed))
        return [unbroadcast(next(found), tensor.shape) if tensor.requires_grad else None for tensor in (x, y)]

    return backward


def _times(gradient: Gradient, others: Sequence[PrivateTensor]) -> list[PrivateTensor]:
    """Return the products of a gradient with several tensors, in the rounds of one."""
    if isinstance(gradient, PrivateTensor):
        return multiply_all([(other, gradient) for other in others], mixed=True)
    return [multiply(other, gradient) for other in others]


def round_products(
    labels: Sequence[str],
    products: Sequence[Shared],
    ranges: Sequence[Range],
    pairs: Sequence[tuple[PrivateTensor, PrivateTensor]],
    reference: Callable[[Reals, Reals], Reals],
    gradients: Callable[[PrivateTensor, PrivateTensor], Callable[[Gradient], Sequence[Gradient | Scaled | None]]],
    exact: Sequence[bool] = (),
) -> list[PrivateTensor]:
    """Return products as tensors, those of two fractions rounded to one unless `exact`, in the rounds of one."""
    session = pairs[0][0].session
    kept = exact or [False] * len(pairs)
    cuts = [0 if keeps else _excess_bits(x, y) for (x, y), keeps in zip(pairs, kept, strict=True)]
    shares = list(products)
    for cut in sorted(set(cuts) - {0}):
        places = [place for place, found in enumerate(cuts) if found == cut]
        bound = max(ranges[place].bound for place in places)
        for place, value in zip(places, session.truncate([shares[place] for place in places], cut, bound), strict=True):
            shares[place] = value
    results = []
    for label, share, found, cut, (x, y) in zip(labels, shares, ranges, cuts, pairs, strict=True):
        fraction_bits = x.fraction_bits + y.fraction_bits - cut
        result = session.result(
            label, share, found.truncate(cut), fraction_bits, (x, y),
            reference=reference, error=session.unit(fraction_bits) if cut else 0.0, backward=gradients(x, y),
        )  # fmt: skip
        results.append(result)
    return results


def _excess_bits(x: PrivateTensor, y: PrivateTensor) -> int:
    """Return by how many bits a product is rounded to come back to the format. One with whole numbers is exact."""
    if not x.fraction_bits or not y.fraction_bits:
        return 0
    wanted = min(max(x.fraction_bits, y.fraction_bits), x.session.format.fraction_bits)
    return x.fraction_bits + y.fraction_bits - wanted


def power(x: PrivateTensor, exponent: int) -> PrivateTensor:
    """Return x to a whole power of at least 1, by squaring."""
    if not isinstance(exponent, int) or exponent < 1:
        raise ParameterError(f"power: expected a whole exponent of at least 1, found {exponent!r}")
    result: PrivateTensor | None = None
    square = x
    while True:
        if exponent & 1:
            result = square if result is None else multiply(result, square)
        exponent >>= 1
        if not exponent:
            return result  # type: ignore[return-value]  # the highest bit of an exponent is 1
        square = multiply(square, square)


def total(x: PrivateTensor, axis: Axis, keepdims: bool) -> PrivateTensor:
    """Return the sum over axes, exact."""
    axes = axes_of("sum", x.shape, axis)
    count = int(np.prod([x.shape[each] for each in axes], dtype=np.int64))
    full = tuple(1 if each in axes else size for each, size in enumerate(x.shape))
    shape = full if keepdims else tuple(size for each, size in enumerate(x.shape) if each not in axes)
    x_shape = x.shape
    return linear(
        x, "sum", lambda words: words.sum(axis=axes, keepdims=keepdims), shape,
        found=x.range.times(count), why=f"{count} values of {_bits(x)} bits added",
        reference=lambda a: np.asarray(a.sum(axis=axes, keepdims=keepdims)),
        backward=lambda gradient: (spread(gradient.reshape(full), x_shape),),
    )  # fmt: skip


def mean(x: PrivateTensor, axis: Axis, keepdims: bool) -> PrivateTensor:
    """Return the mean over axes. Its error is one unit, and that of the public factor."""
    count = int(np.prod([x.shape[each] for each in axes_of("mean", x.shape, axis)], dtype=np.int64))
    if not count:
        raise ParameterError(f"mean: expected values, found none in shape {x.shape}")
    summed = total(x, axis, keepdims)
    return multiply(summed, 1.0 / count) if count > 1 else summed


def spread(gradient: Gradient, shape: Shape) -> Gradient:
    """Return a gradient repeated to a shape."""
    return gradient.broadcast_to(shape) if isinstance(gradient, PrivateTensor) else np.broadcast_to(gradient, shape)


# -- what other operations are made of --------------------------------------------------------------------------------


def linear(
    x: PrivateTensor,
    name: str,
    function: Callable[[Words], Words],
    shape: Shape,
    *,
    found: Range | None = None,
    why: str = "",
    reference: Callable[[Reals], Reals],
    backward: Callable[[Gradient], Sequence[Gradient | Scaled]],
) -> PrivateTensor:
    """Return a function of one tensor that is linear over the ring and needs no communication.

    Args:
        x: the tensor.
        name: of the operation.
        function: on uint64 arrays.
        shape: of the result.
        found: the range of the result, or None where its entries are entries of x.
        why: what the bits consist of, for a refusal.
        reference: the same on floats.
        backward: its adjoint on gradients.
    """
    label = x.session.label(name)
    reached = x.range if found is None else found
    x.session.require_room(reached, label, why, [Factor(reached.bound, x.fraction_bits)])
    shared = x.session.backend.linear(function if isinstance(function, Times) else wrapping(function), shape, x.shared)
    result = x.session.result(label, shared, reached, x.fraction_bits, (x,), reference=reference, backward=backward)
    result.is_bit = x.is_bit and found is None
    return result


def as_fixed(x: PrivateTensor) -> PrivateTensor:
    """Return whole numbers in the session's fixed-point format, exact. Fixed-point numbers stay as they are."""
    return with_fraction_bits(x, x.session.format.fraction_bits) if x.fraction_bits == 0 else x


def with_fraction_bits(x: PrivateTensor, fraction_bits: int) -> PrivateTensor:
    """Return the same numbers with more fraction bits, exact, or with fewer, rounded."""
    session, more = x.session, fraction_bits - x.fraction_bits
    if not more:
        return x
    label = session.label("rescale")
    found = x.range.shift_left(more) if more > 0 else x.range.truncate(-more)
    session.require_room(
        found, label, f"{_bits(x)} bits and {more} more of fraction", [Factor(found.bound, fraction_bits)]
    )
    if more > 0:
        shared = session.backend.linear(Times(1 << more), x.shape, x.shared)
    else:
        shared = session.truncate([x.shared], -more, x.bound)[0]
    error = 0.0 if more > 0 else session.unit(fraction_bits)
    return session.result(
        label, shared, found, fraction_bits, (x,),
        reference=lambda a: a, error=error, backward=lambda gradient: (gradient,),
    )  # fmt: skip


def aligned(x: PrivateTensor, y: PrivateTensor, name: str) -> tuple[PrivateTensor, PrivateTensor]:
    """Return two tensors of one session with the same fraction bits, whole numbers turned into fixed point."""
    same_session(x, y, name)
    if x.fraction_bits == 0:
        x = with_fraction_bits(x, y.fraction_bits)
    elif y.fraction_bits == 0:
        y = with_fraction_bits(y, x.fraction_bits)
    require_same_format(name, x, y)
    return x, y


def require_same_format(label: str, x: PrivateTensor, y: PrivateTensor) -> None:
    if x.fraction_bits and y.fraction_bits and x.fraction_bits != y.fraction_bits:
        raise ParameterError(
            f"{label}: expected tensors of one format, found {x.fraction_bits} and {y.fraction_bits} fraction bits"
        )


def same_session(x: PrivateTensor, y: PrivateTensor, name: str) -> None:
    if x.session is not y.session:
        raise ParameterError(f"{name}: expected tensors of one session, found two sessions")


def broadcast(label: str, *shapes: Shape) -> Shape:
    """Return the shape that these broadcast to, or refuse."""
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        found = " and ".join(map(str, shapes))
        raise ParameterError(f"{label}: expected shapes that broadcast, found {found}") from None


def axes_of(name: str, shape: Shape, axis: Axis) -> tuple[int, ...]:
    """Return the axes that a caller means, counted from the front."""
    wanted = tuple(range(len(shape))) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not -len(shape) <= each < len(shape) for each in wanted):
        raise ParameterError(f"{name}: expected axes of a tensor with shape {shape}, found {axis!r}")
    return tuple(each % len(shape) for each in wanted)


def _bits(x: PrivateTensor) -> int:
    return x.bound.bit_length()


def _factor(public: PublicWords) -> Factor:
    return Factor(public.range.bound, public.fraction_bits)


def wrapping(function: Callable[..., Words]) -> Callable[..., Words]:
    """Return a function on words that also returns an array, without a warning, where numpy makes a scalar of it."""

    def compute(*words: Words) -> Words:
        if all(each.ndim for each in words):  # numpy warns of single numbers alone
            return np.asarray(function(*words))
        with np.errstate(over="ignore"):
            return np.asarray(function(*words))

    return compute


def add_any(x: object, y: object) -> PrivateTensor:
    """Return x + y where either may be public."""
    return add(x, y) if isinstance(x, PrivateTensor) else add(_private(y), x)


def multiply_any(x: object, y: object) -> PrivateTensor:
    """Return x * y where either may be public."""
    return multiply(x, y) if isinstance(x, PrivateTensor) else multiply(_private(y), x)


def _private(x: object) -> PrivateTensor:
    if not isinstance(x, PrivateTensor):
        raise ParameterError(f"expected a private tensor, found {type(x).__name__}")
    return x
