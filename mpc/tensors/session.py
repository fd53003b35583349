"""One party's session: what inputs it takes, what it counts, and what it lets out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import ArrayLike

from mpc.errors import OrderError, ParameterError
from mpc.ring import Words
from mpc.tensors.autograd import Backward, Node
from mpc.tensors.backends.interface import Ahead, Backend, RoundedProducts, Rounding, Shape, Shared
from mpc.tensors.checking import Checker, Reference
from mpc.tensors.noise import Scale, exact_scale
from mpc.tensors.public import encode, encode_public
from mpc.tensors.ranges import Factor, Format, Range, raw_range, real, require_room
from mpc.tensors.reveals import Policy, Reveal, Revealed, Reveals
from mpc.tensors.tensor import PrivateTensor

FRACTION_BITS = 16
FEWEST_FRACTION_BITS, MOST_FRACTION_BITS = 4, 28
Loader = Callable[[], ArrayLike]
_CURRENT: ContextVar[Session | None] = ContextVar("current session", default=None)


class Session:
    """What a program is given, on each party's own back-end.

    Attributes:
        backend: what computes.
        format: of all fixed-point numbers of this session.
        rounding: of products. The default is unbiased, which training needs.
        reveals: what has been opened to whom so far.
        seed: of public random numbers, such as initial weights, which all parties agree on.

    Before anything is opened, `compare` is called with :attr:`public_digest`. It ends a party whose peers have another.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        outside: Sequence[str] = (),
        fraction_bits: int = FRACTION_BITS,
        rounding: Rounding = "stochastic",
        policy: Policy | None = None,
        foreseen: Mapping[Reveal, int] | None = None,
        seed: int = 0,
        compare: Callable[[str], None] | None = None,
        tell: Callable[[Reveal], None] = lambda _: None,
    ) -> None:
        if not FEWEST_FRACTION_BITS <= fraction_bits <= MOST_FRACTION_BITS:
            raise ParameterError(
                f"expected {FEWEST_FRACTION_BITS} to {MOST_FRACTION_BITS} fraction bits, found {fraction_bits}"
            )
        self.backend = backend
        self.format = Format(backend.ring_bits, fraction_bits)
        self.rounding: Rounding = rounding
        self.outside = tuple(outside)
        self.reveals = Reveals(self, policy, foreseen, tell)
        self.checker: Checker | None = None  # see mpc.tensors.checking
        self.seed = seed
        self._seeds = 0
        self._operations = 0
        self._public = hashlib.sha256()
        self._compare, self._compared = compare, ""
        self._scopes: list[str] = []
        self._gradients = True

    def __repr__(self) -> str:
        return f"Session(me={self.me!r}, backend={self.backend.name!r}, format={self.format})"

    @property
    def me(self) -> str:
        """This party's name."""
        return self.backend.me

    @property
    def parties(self) -> tuple[str, ...]:
        """Those who may own inputs and take outputs."""
        return (*self.backend.computing, *self.outside)

    # -- in -----------------------------------------------------------------------------------------------------------

    def input(
        self, owner: str, loader: Loader | None, *, shape: Shape, bound: object, whole: bool = False
    ) -> PrivateTensor:
        """Return the private tensor of an owner's array.

        Args:
            owner: one of `parties`.
            loader: returns the array. It is called at the owner alone.
            shape: of the array, which all know.
            bound: the largest magnitude, or a pair (lowest, highest), as real numbers that all know.
            whole: whether all entries are whole numbers, such as classes.

        Raises:
            ParameterError: an array of another shape. RangeError: NaN, infinity, a value beyond the bound. Both at the
                owner alone, without a value in the sentence.
        """
        label = self.label("input")
        if owner not in self.parties:
            raise ParameterError(f"{label}: expected an owner among {', '.join(self.parties)}, found {owner!r}")
        shape = _shape(label, shape)
        fraction_bits = 0 if whole else self.format.fraction_bits
        found = raw_range(bound, fraction_bits)
        stated = Factor(found.bound, fraction_bits)
        require_room(found, self.format.ring_bits, label, "the stated bound", self.format.fraction_bits, [stated])
        words = None
        if owner == self.me:
            if loader is None:
                raise ParameterError(f"{label}: expected a loader at its owner {owner}, found none")
            words = encode(label, loader(), shape, found, fraction_bits, self.format.ring_bits)
        shared = self.backend.input(owner, words, shape)
        return self.wrap(label, shared, found, fraction_bits, frozenset((owner,)))

    def constant(self, values: object) -> PrivateTensor:
        """Return a private tensor of values that all parties know, without communication."""
        label = self.label("constant")
        public = encode_public(label, values, self.format)
        self.note(public.words)
        return self.wrap(label, self.backend.constant(public.words), public.range, public.fraction_bits, frozenset())

    def uniform(self, shape: Shape, bound: float) -> PrivateTensor:
        """Return a constant of uniform numbers from -bound to bound, the same at all parties by the agreed seed."""
        return self.constant(np.random.default_rng(self.next_seed()).uniform(-bound, bound, shape))

    # -- out ----------------------------------------------------------------------------------------------------------

    def reveal(
        self, tensor: PrivateTensor, to: str | Sequence[str], name: str | None = None, noise: Scale = 0
    ) -> Revealed:
        """Open a tensor to the named parties alone.

        With a name it is opened now. Without one it is opened when the program returns it, under its key among the
        outputs. The policy must allow the name and all of the parties, or every party refuses before anything is sent.

        With `noise`, every computing party adds a discrete Gaussian of this standard deviation to every number. See
        :mod:`mpc.tensors.noise`.
        """
        receivers = (to,) if isinstance(to, str) else tuple(to)
        unknown = [receiver for receiver in receivers if receiver not in self.parties]
        if unknown or not receivers:
            raise ParameterError(
                f"reveal: expected parties among {', '.join(self.parties)}, found {', '.join(unknown) or 'none'}"
            )
        return self.reveals.add(tensor, receivers, name, exact_scale(noise))

    # -- which session a layer belongs to -----------------------------------------------------------------------------

    @staticmethod
    def current() -> Session:
        """Return the session that this thread's program runs in, for layers that are made before they see a tensor."""
        session = _CURRENT.get()
        if session is None:
            raise OrderError("expected a session, found none: make layers within a program, or within `with session:`")
        return session

    def __enter__(self) -> Session:
        self._before = _CURRENT.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._before)

    # -- what operations use ------------------------------------------------------------------------------------------

    def label(self, operation: str) -> str:
        """Return the next operation's name and running number, with the scope that it stands in."""
        self._operations += 1
        scope = f" '{self.where}'" if self._scopes else ""
        label = f"{operation} #{self._operations}{scope}"
        self._public.update(label.encode())
        return label

    def note(self, words: Words) -> None:
        """Take public words into the digest of all that this party computed with."""
        self._public.update(str(words.shape).encode())
        self._public.update(np.ascontiguousarray(words).data)

    @property
    def public_digest(self) -> str:
        """SHA-256 of the operations so far and of their public numbers. Parties that differ in it computed nonsense."""
        return self._public.hexdigest()

    def compare(self) -> None:
        """Compare with the other computing parties what was computed with, unless it is what was compared last."""
        if self._compare is not None and (digest := self.public_digest) != self._compared:
            self._compare(digest)
            self._compared = digest

    def next_seed(self) -> tuple[int, int]:
        """Return a seed for public random numbers, another one at each call."""
        self._seeds += 1
        return self.seed, self._seeds

    @property
    def where(self) -> str:
        """The scope of the operation that goes on, such as a layer's name."""
        return "/".join(self._scopes)

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Name the operations within, for the sentences of refusals."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def no_grad(self) -> Iterator[None]:
        """Let the operations within leave no trace for gradients."""
        before, self._gradients = self._gradients, False
        try:
            yield
        finally:
            self._gradients = before

    def require_room(self, found: Range, label: str, why: str, factors: Sequence[PrivateTensor | Factor]) -> None:
        """Refuse what the ring cannot hold. See :func:`mpc.tensors.ranges.require_room`."""
        if found.bits <= self.format.ring_bits:  # as nearly always, so that nothing is made for the sentence
            return
        plain = [
            factor if isinstance(factor, Factor) else Factor(factor.bound, factor.fraction_bits) for factor in factors
        ]
        require_room(found, self.format.ring_bits, label, why, self.format.fraction_bits, plain)

    def mask_ahead(self, values: Sequence[Shared]) -> None:
        """Let the back-end open what these need for products together with what is opened next, if it can."""
        if isinstance(self.backend, Ahead):
            self.backend.mask_ahead(values)

    def truncate(self, values: Sequence[Shared], bits: int, bound: int) -> list[Shared]:
        """Return values divided by 2^bits and rounded as this session rounds, all in one round."""
        return list(self.backend.truncate(values, bits, bound, self.rounding) if bits else values)

    def multiply_rounded(self, pairs: Sequence[tuple[Shared, Shared]], bits: int, bound: int) -> list[Shared]:
        """Return element-wise products divided by 2^bits and rounded as :meth:`truncate` does, of at most `bound`."""
        if bits and isinstance(self.backend, RoundedProducts):
            return list(self.backend.multiply_rounded(pairs, bits, bound, self.rounding))
        return self.truncate(self.backend.multiply(pairs), bits, bound)

    def wrap(
        self,
        label: str,
        shared: Shared,
        found: Range,
        fraction_bits: int,
        owners: frozenset[str],
    ) -> PrivateTensor:
        """Return a tensor that no operation on tensors gave."""
        tensor = PrivateTensor(self, shared, found, fraction_bits, owners)
        if self.checker:
            self.checker.start(label, tensor)
        return tensor

    def result(
        self,
        label: str,
        shared: Shared,
        found: Range,
        fraction_bits: int,
        parents: Sequence[PrivateTensor],
        *,
        reference: Reference,
        error: float = 0.0,
        backward: Backward | None = None,
    ) -> PrivateTensor:
        """Return the tensor that an operation gave.

        Args:
            label: the operation's.
            shared: the back-end's handle of the result.
            found: the range of its raw words.
            fraction_bits: of its raw words.
            parents: the private inputs.
            reference: the same operation on float arrays, for checking.
            error: the operation's largest error, as a real number, on top of its inputs' errors.
            backward: see :class:`mpc.tensors.autograd.Node`. None where no gradient flows.
        """
        owners = parents[0].owners if len(parents) == 1 else frozenset[str]().union(*[each.owners for each in parents])
        tensor = PrivateTensor(self, shared, found, fraction_bits, owners)
        if backward and self._gradients and any(parent.requires_grad for parent in parents):
            tensor.requires_grad = True
            tensor.node = Node(label.split(" ", maxsplit=1)[0], tuple(parents), backward, self.where)
        if self.checker:
            self.checker.check(label, tensor, parents, reference, error)
        return tensor

    def unit(self, fraction_bits: int | None = None) -> float:
        """Return the smallest step between two numbers of this session's format, or of so many fraction bits."""
        return real(1, self.format.fraction_bits if fraction_bits is None else fraction_bits)


def _shape(label: str, shape: object) -> Shape:
    sizes = (shape,) if isinstance(shape, int) else shape
    if not isinstance(sizes, tuple | list) or not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ParameterError(f"{label}: expected a shape of whole numbers, found {shape!r}")
    return tuple(sizes)
