"""One party's side of a session of three of whom one may cheat, which offers what every back-end offers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from mpc.errors import OrderError, ParameterError
from mpc.randomness import RoleRandomness
from mpc.ring import Words
from mpc.tensors.backends.agreed import AgreedBackend
from mpc.tensors.backends.arguments import (
    applied,
    broadcast,
    check_input,
    matmul_shape,
    ring_words,
)
from mpc.tensors.backends.interface import Linear, Rounding, Shape, Shared
from mpc.tensors.backends.replicated import inputs
from mpc.tensors.backends.replicated.keys import PARTIES, Keys
from mpc.tensors.backends.replicated_mac import check, comparison, outputs, products, truncation
from mpc.tensors.backends.replicated_mac.guarded import MOST_PENDING, RING_BITS, Guarded, Held
from mpc.tensors.backends.seeds import Agreement
from mpc.tensors.backends.subsets import SUMS, subset_sums
from mpc.tensors.network import Network


class ReplicatedMacBackend(AgreedBackend):
    """One party's side of a session. See :class:`~mpc.tensors.backends.interface.Backend` for its methods.

    Make it by :meth:`join`. Every party of the session makes its own.
    """

    name = "replicated_mac"
    parties = PARTIES
    only_ring = RING_BITS

    def __init__(
        self, network: Network, agreement: Agreement, randomness: RoleRandomness, most_pending: int = MOST_PENDING
    ) -> None:
        super().__init__(network, agreement)
        self._keys = Keys(network, agreement)
        self._trio = Guarded(network, agreement.computing, self._keys, randomness, most_pending)
        self._joined = False
        self._ended = ""
        self._keys.send(randomness)

    @classmethod
    def join(
        cls,
        network: Network,
        *,
        computing: Sequence[str],
        outside: Sequence[str] = (),
        ring_bits: int = RING_BITS,
        randomness: RoleRandomness | None = None,
        most_pending: int = MOST_PENDING,
    ) -> ReplicatedMacBackend:
        """Begin a session on the channels of one party. It sends its keys and waits for nobody.

        Args:
            network: of this party, with channels to all computing parties, and of a computing one to all others.
            computing: three names, in the order that all agree on.
            outside: the names of those who give inputs or take outputs, and do not compute.
            ring_bits: 64.
            randomness: for known-answer tests. Without it keys are of the operating system's randomness.
            most_pending: bytes of what is shared and not checked, about, after which a check comes without a reveal.

        Raises:
            ParameterError: parties, or a ring, that this back-end cannot have.
        """
        agreement = cls.agreement(network, computing, outside, ring_bits)
        return cls(network, agreement, randomness or RoleRandomness(), most_pending)

    # -- the session --------------------------------------------------------------------------------------------------

    @property
    def trust(self) -> str:
        first, second, third = self.computing
        return (
            f"replicated_mac: no two of {first}, {second} and {third} collude; one of them may cheat, which ends the "
            "session before anything wrong is revealed, but for a probability below 2^-45; nobody deals anything"
        )

    @contextmanager
    def _step(self, name: str) -> Iterator[Guarded]:
        """Do one call's work under its name. The first such call receives the keys.

        A step that fails ends the session here: the keys are gone, and everybody who waits for this party learns it.
        """
        if self._ended:
            raise OrderError(f"expected a session that goes on, found one that ended in the step {self._ended}")
        with self._network.in_step(name), np.errstate(over="ignore"):  # single words wrap as arrays do
            try:
                if not self._joined:
                    self._keys.receive()
                    self._joined = True
                yield self._trio
                if self._trio.is_late:
                    check.check_all(self._trio)
            except ParameterError:
                raise  # of the caller, before anything was sent
            except BaseException:
                self._ended = name
                self._trio.forget()
                self.close()
                raise

    def _shapes_alone(self, shapes: Sequence[Shape]) -> list[Held]:
        """Return what an outside party has of results."""
        return [self._trio.replica(shape, None) for shape in shapes]

    def _held(self, value: Shared) -> Held:
        """Return a shared array of this party and session. Raises ParameterError for any other."""
        replica = self._trio.check(value)
        if not isinstance(replica, Held):
            raise ParameterError(f"expected a shared array of this back-end, found a {type(value).__name__}")
        return replica

    # -- in and out ---------------------------------------------------------------------------------------------------

    def input(self, owner: str, words: Words | None, shape: Shape) -> Held:
        """Share an array of its owner. A computing owner sends one word an element, and an outside one two.

        Raises:
            ParameterError: an owner that has no part in it, or words that are no such array.
        """
        words = check_input(self.me, (*self.computing, *self.outside), owner, words, shape, self.ring_bits)
        with self._step("input") as trio:
            if owner in self.computing:
                return self._held(inputs.of_computing(trio, self.computing.index(owner), words, shape))
            found = self._held(inputs.of_outside(trio, owner, words, shape))
            if trio.place is not None:  # the owner may have told the two holders of a component different things
                for component, held in zip((trio.me, trio.after), trio.pair_of(found), strict=True):
                    trio.alike(component, held)
            return found

    def constant(self, words: Words) -> Held:
        """Return a sharing of public values, which are component 0. The others are zero."""
        words = ring_words(words, self.ring_bits, "a constant").copy()
        trio = self._trio
        return trio.replica(words.shape, None if trio.place is None else trio.public(words), zeros=(1, 2))

    def open(self, values: Sequence[Shared], to: Sequence[str]) -> list[Words] | None:
        """Open values to these parties, in one round, after a check of all that is not checked yet.

        Raises:
            ParameterError: a receiver that has no part in it.
            CheatingError: some party has shared or sent something else than it should. Nobody learns anything more.
        """
        held = [self._held(value) for value in values]
        if wrong := [name for name in to if name not in (*self.computing, *self.outside)]:
            raise ParameterError(f"expected receivers that compute or are outside, found {', '.join(wrong)}")
        with self._step("open") as trio:
            readers = list(dict.fromkeys(to)) if held else []
            if readers:
                check.check_all(trio)
            return outputs.open_to(trio, held, readers, self.outside)

    # -- local --------------------------------------------------------------------------------------------------------

    def add(self, x: Shared, y: Shared) -> Held:
        """Return x + y, which broadcast."""
        return self._sum(np.add, x, y)

    def subtract(self, x: Shared, y: Shared) -> Held:
        """Return x - y, which broadcast."""
        return self._sum(np.subtract, x, y)

    def _sum(self, function: np.ufunc, x: Shared, y: Shared) -> Held:
        left, right = self._held(x), self._held(y)
        return self._each(function, broadcast(left.shape, right.shape), left, right)

    def add_public(self, x: Shared, words: Words) -> Held:
        """Return x + words, which broadcast."""
        value, words = self._held(x), ring_words(words, self.ring_bits, "public values")
        return self._sum(np.add, value, self.constant(words))

    def linear(self, function: Linear, shape: Shape, *values: Shared) -> Held:
        """Return function(*values), of this shape, for a function that is linear over the ring in all arrays at once.

        Raises:
            ParameterError: the function returns something else than an array of uint64 of that shape.
        """
        held = [self._held(value) for value in values]
        if not held:
            raise ParameterError("expected at least one value, found none")
        return self._each(lambda *arrays: applied(function, shape, *arrays), shape, *held)

    def subset_sums(self, rows: Shared, coins: bytes | None) -> Held:
        """Return for each of `(n, count)` rows the sums of subsets that coins choose, without a message."""
        held = self._held(rows)
        if self._trio.place is not None and coins is None:
            raise ParameterError("expected coins of all computing parties, found none")
        return self._each(lambda words: subset_sums(words, coins or b""), (held.shape[0], SUMS), held)

    def _each(self, function: Linear, shape: Shape, *values: Held) -> Held:
        """Return what a linear function gives for both components of this party."""
        with self._step("linear") as trio:
            if trio.place is None:
                return trio.replica(shape, None)
            pairs = [trio.pair_of(value) for value in values]
            zeros = frozenset.intersection(*(value.zeros for value in values))
            first, second = (np.asarray(function(*[pair[number] for pair in pairs])) for number in range(2))
            return trio.replica(shape, (first, second), zeros)

    # -- products -----------------------------------------------------------------------------------------------------

    def multiply(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Held]:
        """Return the element-wise products, which broadcast, in one round. Each party sends one word an element."""
        held = [(self._held(x), self._held(y)) for x, y in pairs]
        shapes = [broadcast(x.shape, y.shape) for x, y in held]
        with self._step("multiply") as trio:
            if trio.place is None:
                return self._shapes_alone(shapes)
            return products.multiply(trio, held, shapes)

    def matmul(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Held]:
        """Return matrix products `(..., m, k) @ (..., k, n)`, in one round. Each party sends a word for each result."""
        held = [(self._held(x), self._held(y)) for x, y in pairs]
        shapes = [matmul_shape(x.shape, y.shape) for x, y in held]
        with self._step("matmul") as trio:
            if trio.place is None:
                return self._shapes_alone(shapes)
            return products.matrix_products(trio, held, shapes)

    def truncate(self, values: Sequence[Shared], bits: int, bound: int, rounding: Rounding) -> list[Held]:
        """Return values / 2^bits, rounded. `stochastic` takes two rounds, and the exact ones a comparison more.

        Raises:
            RangeError: bound >= 2^(ring_bits - 2), for `nearest` with half a unit added.
        """
        held = [self._held(value) for value in values]
        truncation.check(self.ring_bits, bits, bound, rounding)
        with self._step("truncate") as trio:
            if trio.place is None:
                return self._shapes_alone([value.shape for value in held])
            return truncation.truncate(trio, held, bits, rounding)

    # -- comparisons --------------------------------------------------------------------------------------------------

    def negative(self, values: Sequence[Shared], bound: int) -> list[Held]:
        """Return 1 where a value is below zero, else 0.

        Raises:
            RangeError: bound >= 2^(ring_bits - 1).
        """
        held = [self._held(value) for value in values]
        comparison.width_of(bound, self.ring_bits)
        with self._step("negative") as trio:
            if trio.place is None:
                return self._shapes_alone([value.shape for value in held])
            return comparison.negative(trio, held, bound)

    def keep_if(self, bits: Sequence[Shared], values: Sequence[Shared]) -> list[Held]:
        """Return bit * value, which broadcast, in one round."""
        if len(bits) != len(values):
            raise ParameterError(f"expected a value for each of {len(bits)} bits, found {len(values)}")
        return self.multiply(list(zip(bits, values, strict=True)))

    def relu(self, values: Sequence[Shared], bound: int) -> tuple[list[Held], list[Held]]:
        """Return max(0, value), and 1 where a value is at least zero, in one round more than the comparison.

        Raises:
            RangeError: bound >= 2^(ring_bits - 1).
        """
        held = [self._held(value) for value in values]
        comparison.width_of(bound, self.ring_bits)
        with self._step("relu") as trio:
            if trio.place is None:
                shapes = [value.shape for value in held]
                return self._shapes_alone(shapes), self._shapes_alone(shapes)
            return comparison.relu(trio, held, bound)

    def __repr__(self) -> str:
        return f"ReplicatedMacBackend(me={self.me!r}, computing={self.computing})"
