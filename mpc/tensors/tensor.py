"""The private tensor: what a program holds instead of an array, and the operations on it.

Each operation is a function in a module of its topic. The methods here only name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mpc.tensors.backends.interface import Shape, Shared
from mpc.tensors.ranges import Format, Range, real

if TYPE_CHECKING:
    from mpc.tensors.autograd import Node
    from mpc.tensors.noise import Scale
    from mpc.tensors.reveals import Revealed
    from mpc.tensors.session import Session

Reals = NDArray[np.float64]
Axis: TypeAlias = "int | tuple[int, ...] | None"
_NO_SINGLE_VALUE = (
    "a private tensor has no value that this program may look at: use pt.where in place of if, or reveal it"
)


class PrivateTensor:
    """An array of fixed-point numbers that no party holds in the clear.

    Attributes:
        session: whose parties compute with it.
        shared: the back-end's handle.
        range: of its raw words, exact.
        fraction_bits: of its raw words. Zero for whole numbers.
        owners: whose inputs it depends on.
        requires_grad: whether `backward` shall reach it.
        is_bit: whether a comparison gave it, so that it can choose between values.
    """

    __array_priority__ = 1000
    __hash__ = object.__hash__

    def __init__(
        self, session: Session, shared: Shared, found: Range, fraction_bits: int, owners: frozenset[str] = frozenset()
    ) -> None:
        self.session = session
        self.shared = shared
        self.range = found
        self.fraction_bits = fraction_bits
        self.owners = owners
        self.requires_grad = False
        self.is_bit = False
        self.node: Node | None = None
        self.twin: Reals | None = None
        self._gradient: tuple[PrivateTensor, float] | None = None

    # -- what is public about it --------------------------------------------------------------------------------------

    @property
    def shape(self) -> Shape:
        return tuple(self.shared.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def format(self) -> Format:
        return Format(self.session.format.ring_bits, self.fraction_bits)

    @property
    def bound(self) -> int:
        """The largest magnitude of a raw word, as an exact integer."""
        return self.range.bound

    @property
    def real_bound(self) -> float:
        """The largest magnitude as a real number."""
        return real(self.bound, self.fraction_bits)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("expected a tensor with an axis, found one number")
        return self.shape[0]

    def __iter__(self) -> Iterator[PrivateTensor]:
        return (self[place] for place in range(len(self)))

    def __repr__(self) -> str:
        low, high = (real(end, self.fraction_bits) for end in (self.range.low, self.range.high))
        owners = ", ".join(sorted(self.owners)) or "nobody"
        return f"PrivateTensor(shape={self.shape}, format={self.format}, range=[{low:g}, {high:g}], owners={owners})"

    def _no_value(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(_NO_SINGLE_VALUE)

    __bool__ = __float__ = __int__ = __index__ = __complex__ = __array__ = item = tolist = numpy = _no_value

    # -- arithmetic ---------------------------------------------------------------------------------------------------

    def __add__(self, other: object) -> PrivateTensor:
        return arithmetic.add(self, other)

    def __sub__(self, other: object) -> PrivateTensor:
        return arithmetic.subtract(self, other)

    def __rsub__(self, other: object) -> PrivateTensor:
        return arithmetic.subtract(other, self)

    def __mul__(self, other: object) -> PrivateTensor:
        return arithmetic.multiply(self, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> PrivateTensor:
        return arithmetic.negate(self)

    def __pos__(self) -> PrivateTensor:
        return self

    def __matmul__(self, other: object) -> PrivateTensor:
        return products.matmul(self, other)

    def __rmatmul__(self, other: object) -> PrivateTensor:
        return products.matmul(other, self)

    def __truediv__(self, other: object) -> PrivateTensor:
        return inverses.divide(self, other)

    def __rtruediv__(self, other: object) -> PrivateTensor:
        return inverses.divide(other, self)

    def __pow__(self, exponent: int) -> PrivateTensor:
        return arithmetic.power(self, exponent)

    def square(self) -> PrivateTensor:
        """Return x * x, which is known not to be negative."""
        return arithmetic.multiply(self, self)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> PrivateTensor:
        return arithmetic.total(self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> PrivateTensor:
        return arithmetic.mean(self, axis, keepdims)

    # -- shapes -------------------------------------------------------------------------------------------------------

    def __getitem__(self, index: object) -> PrivateTensor:
        return shaping.take(self, index)

    def reshape(self, *shape: int | tuple[int, ...]) -> PrivateTensor:
        return shaping.reshape(self, shape)

    def flatten(self, start: int = 0) -> PrivateTensor:
        """Return all axes from `start` on as one."""
        return shaping.reshape(self, (*self.shape[:start], -1))

    def transpose(self, *axes: int | tuple[int, ...]) -> PrivateTensor:
        return shaping.transpose(self, axes)

    @property
    def T(self) -> PrivateTensor:
        return shaping.transpose(self, ())

    def squeeze(self, axis: Axis = None) -> PrivateTensor:
        return shaping.squeeze(self, axis)

    def broadcast_to(self, shape: Shape) -> PrivateTensor:
        return shaping.broadcast_to(self, shape)

    # -- comparisons --------------------------------------------------------------------------------------------------

    def __lt__(self, other: object) -> PrivateTensor:
        return comparing.less(self, other)

    def __gt__(self, other: object) -> PrivateTensor:
        return comparing.less(other, self)

    def __le__(self, other: object) -> PrivateTensor:
        return comparing.negated(comparing.less(other, self))

    def __ge__(self, other: object) -> PrivateTensor:
        return comparing.negated(comparing.less(self, other))

    def __eq__(self, other: object) -> PrivateTensor:  # type: ignore[override]  # a tensor of bits, as numpy's
        return comparing.equal(self, other)

    def __ne__(self, other: object) -> PrivateTensor:  # type: ignore[override]
        return comparing.negated(comparing.equal(self, other))

    def relu(self) -> PrivateTensor:
        return comparing.relu(self)

    def __abs__(self) -> PrivateTensor:
        return comparing.absolute(self)

    abs = __abs__

    def sign(self) -> PrivateTensor:
        """Return 1 where a value is at least zero, else -1."""
        return comparing.sign(self)

    def clip(self, low: float | None = None, high: float | None = None) -> PrivateTensor:
        return comparing.clip(self, low, high)

    def max(self, axis: int | None = None, keepdims: bool = False) -> PrivateTensor:
        return extremes.maximum_of(self, axis, keepdims)

    def min(self, axis: int | None = None, keepdims: bool = False) -> PrivateTensor:
        return arithmetic.negate(extremes.maximum_of(arithmetic.negate(self), axis, keepdims))

    def argmax(self, axis: int | None = None) -> PrivateTensor:
        return extremes.argmax(self, axis)

    # -- functions ----------------------------------------------------------------------------------------------------

    def exp(self) -> PrivateTensor:
        return exponentials.exp(self)

    def softmax(self, axis: int = -1) -> PrivateTensor:
        return exponentials.softmax(self, axis)

    def log(self, at_least: float | None = None) -> PrivateTensor:
        return inverses.log(self, at_least)

    def reciprocal(self, at_least: float | None = None) -> PrivateTensor:
        return inverses.reciprocal(self, at_least)

    def sqrt(self) -> PrivateTensor:
        return inverses.sqrt(self)

    def sigmoid(self) -> PrivateTensor:
        return sigmoids.sigmoid(self)

    def tanh(self) -> PrivateTensor:
        return sigmoids.tanh(self)

    # -- training and results -----------------------------------------------------------------------------------------

    def detach(self) -> PrivateTensor:
        """Return the same values, through which no gradient flows."""
        same = PrivateTensor(self.session, self.shared, self.range, self.fraction_bits, self.owners)
        same.is_bit, same.twin = self.is_bit, self.twin
        return same

    def in_format(self) -> PrivateTensor:
        """Return the numbers in the session's format, rounded where they have more fraction bits. Whole ones stay."""
        bits = min(self.fraction_bits, self.session.format.fraction_bits)
        return arithmetic.with_fraction_bits(self, bits)

    def requires_grad_(self, wanted: bool = True) -> PrivateTensor:
        """Let `backward` reach this tensor, and return it."""
        self.requires_grad = wanted
        return self

    @property
    def grad(self) -> PrivateTensor | None:
        """The sum of the gradients since `zero_grad`, if `backward` has reached this tensor."""
        if self._gradient is None:
            return None
        value, factor = self._gradient
        return value.in_format() if factor == 1 else arithmetic.multiply(value, factor).in_format()

    def zero_grad(self) -> None:
        self._gradient = None

    def backward(self) -> None:
        """Add the gradient of this one number to every tensor that it depends on and that requires one."""
        autograd.backward(self)

    def reveal(self, to: str | Sequence[str], name: str | None = None, noise: Scale = 0) -> Revealed:
        """Open this tensor to the named parties. See :meth:`mpc.tensors.session.Session.reveal`."""
        return self.session.reveal(self, to, name, noise)

    # -- the functions of numpy and torch -----------------------------------------------------------------------------

    def __array_ufunc__(self, function: object, method: str, *inputs: object, **options: object) -> object:
        return foreign.numpy_ufunc(function, method, inputs, options)

    def __array_function__(
        self, function: Callable[..., object], types: object, inputs: Sequence[object], options: dict[str, object]
    ) -> object:
        return foreign.call("numpy", function, inputs, options)

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., object],
        types: object,
        inputs: Sequence[object] = (),
        options: dict[str, object] | None = None,
    ) -> object:
        return foreign.call("torch", function, inputs, options or {})


# Below the class, because these modules work on it.
from mpc.tensors import (  # noqa: E402
    arithmetic,
    autograd,
    comparing,
    exponentials,
    extremes,
    foreign,
    inverses,
    products,
    shaping,
    sigmoids,
)
