"""One party's side of a session of three, which offers what every back-end offers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import numpy as np

from mpc.errors import ParameterError
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
from mpc.tensors.backends.replicated import comparison, inputs, products, truncation
from mpc.tensors.backends.replicated.keys import PARTIES, Keys
from mpc.tensors.backends.replicated.trio import Replica, Trio
from mpc.tensors.backends.seeds import Agreement
from mpc.tensors.network import Network


class ReplicatedBackend(AgreedBackend):
    """One party's side of a session. See :class:`~mpc.tensors.backends.interface.Backend` for its methods.

    Make it by :meth:`join`. Every party of the session makes its own.
    """

    name = "replicated"
    parties = PARTIES

    def __init__(self, network: Network, agreement: Agreement, randomness: RoleRandomness) -> None:
        super().__init__(network, agreement)
        self._keys = Keys(network, agreement)
        self._trio = Trio(network, agreement.computing, agreement.ring_bits, self._keys)
        self._joined = False
        self._keys.send(randomness)

    @classmethod
    def join(
        cls,
        network: Network,
        *,
        computing: Sequence[str],
        outside: Sequence[str] = (),
        ring_bits: int = 64,
        randomness: RoleRandomness | None = None,
    ) -> ReplicatedBackend:
        """Begin a session on the channels of one party. It sends its keys and waits for nobody.

        Args:
            network: of this party, with channels to all computing parties, and of a computing one to all others.
            computing: three names, in the order that all agree on.
            outside: the names of those who give inputs or take outputs, and do not compute.
            ring_bits: 16 to 64 in whole bytes.
            randomness: for known-answer tests. Without it keys are of the operating system's randomness.

        Raises:
            ParameterError: parties, or a ring, that this back-end cannot have.
        """
        return cls(network, cls.agreement(network, computing, outside, ring_bits), randomness or RoleRandomness())

    # -- the session --------------------------------------------------------------------------------------------------

    @property
    def trust(self) -> str:
        first, second, third = self.computing
        return (
            f"replicated: all parties follow the protocol, and no two of {first}, {second} and {third} collude; "
            "nobody deals anything"
        )

    @contextmanager
    def _step(self, name: str) -> Iterator[Trio]:
        """Do one call's work under its name. The first such call receives the keys."""
        if not self._joined:
            self._keys.receive()
            self._joined = True
        with self._network.in_step(name), np.errstate(over="ignore"):  # single words wrap as arrays do
            yield self._trio

    def _shapes_alone(self, shapes: Sequence[Shape]) -> list[Replica]:
        """Return what an outside party has of results."""
        return [self._trio.replica(shape, None) for shape in shapes]

    # -- in and out ---------------------------------------------------------------------------------------------------

    def input(self, owner: str, words: Words | None, shape: Shape) -> Replica:
        """Share an array of its owner. A computing owner sends one word an element, and an outside one two.

        Raises:
            ParameterError: an owner that has no part in it, or words that are no such array.
        """
        words = check_input(self.me, (*self.computing, *self.outside), owner, words, shape, self.ring_bits)
        with self._step("input") as trio:
            if owner in self.computing:
                return inputs.of_computing(trio, self.computing.index(owner), words, shape)
            return inputs.of_outside(trio, owner, words, shape)

    def constant(self, words: Words) -> Replica:
        """Return a sharing of public values, which are component 0. The others are zero."""
        words = ring_words(words, self.ring_bits, "a constant").copy()
        trio = self._trio
        return trio.replica(words.shape, None if trio.place is None else trio.public(words), zeros=(1, 2))

    def open(self, values: Sequence[Shared], to: Sequence[str]) -> list[Words] | None:
        """Open values to these parties, in one round. See :func:`~mpc.tensors.backends.replicated.inputs.open_to`.

        Raises:
            ParameterError: a receiver that has no part in it.
        """
        replicas = [self._trio.check(value) for value in values]
        if wrong := [name for name in to if name not in (*self.computing, *self.outside)]:
            raise ParameterError(f"expected receivers that compute or are outside, found {', '.join(wrong)}")
        with self._step("open") as trio:
            return inputs.open_to(trio, replicas, [name for name in dict.fromkeys(to)], self.outside)

    # -- local --------------------------------------------------------------------------------------------------------

    def add(self, x: Shared, y: Shared) -> Replica:
        """Return x + y, which broadcast."""
        return self._sum(np.add, x, y)

    def subtract(self, x: Shared, y: Shared) -> Replica:
        """Return x - y, which broadcast."""
        return self._sum(np.subtract, x, y)

    def _sum(self, function: np.ufunc, x: Shared, y: Shared) -> Replica:
        left, right = self._trio.check(x), self._trio.check(y)
        return self._each(function, broadcast(left.shape, right.shape), left, right)

    def add_public(self, x: Shared, words: Words) -> Replica:
        """Return x + words, which broadcast."""
        value, words = self._trio.check(x), ring_words(words, self.ring_bits, "public values")
        return self._sum(np.add, value, self.constant(words))

    def linear(self, function: Linear, shape: Shape, *values: Shared) -> Replica:
        """Return function(*values), of this shape, for a function that is linear over the ring in all arrays at once.

        Raises:
            ParameterError: the function returns something else than an array of uint64 of that shape.
        """
        replicas = [self._trio.check(value) for value in values]
        if not replicas:
            raise ParameterError("expected at least one value, found none")
        return self._each(lambda *arrays: applied(function, shape, *arrays), shape, *replicas)

    def _each(self, function: Linear, shape: Shape, *values: Replica) -> Replica:
        """Return what a linear function gives for both components of this party.

        What it gives for products that wait is a sum that waits with them, if it is not larger than they are.
        """
        trio = self._trio
        if trio.place is None:
            return trio.replica(shape, None)
        waiting = [value.size for value in values if value.share is not None]
        if waiting and prod(shape) <= sum(waiting):
            with np.errstate(over="ignore"):
                return trio.came_of(shape, function(*[trio.share_of(value) for value in values]), values)
        trio.settle(values)
        pairs = [trio.pair_of(value) for value in values]
        zeros = frozenset.intersection(*(value.zeros for value in values))
        with np.errstate(over="ignore"):
            first, second = (trio.reduce(function(*[pair[number] for pair in pairs])) for number in range(2))
        return trio.replica(shape, (first, second), zeros)

    # -- products -----------------------------------------------------------------------------------------------------

    def multiply(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Replica]:
        """Return the element-wise products, which broadcast, in one round. Each party sends one word an element."""
        replicas = [(self._trio.check(x), self._trio.check(y)) for x, y in pairs]
        shapes = [broadcast(x.shape, y.shape) for x, y in replicas]
        with self._step("multiply") as trio:
            if trio.place is None:
                return self._shapes_alone(shapes)
            return products.multiply(trio, replicas, shapes)

    def matmul(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Replica]:
        """Return matrix products `(..., m, k) @ (..., k, n)`, in one round. Each party sends a word for each result."""
        replicas = [(self._trio.check(x), self._trio.check(y)) for x, y in pairs]
        shapes = [matmul_shape(x.shape, y.shape) for x, y in replicas]
        with self._step("matmul") as trio:
            if trio.place is None:
                return self._shapes_alone(shapes)
            return products.matrix_products(trio, replicas, shapes)

    def truncate(self, values: Sequence[Shared], bits: int, bound: int, rounding: Rounding) -> list[Replica]:
        """Return values / 2^bits, rounded. `stochastic` takes two rounds, and the exact ones a comparison more.

        Raises:
            RangeError: bound >= 2^(ring_bits - 2), for `nearest` with half a unit added.
        """
        replicas = [self._trio.check(value) for value in values]
        truncation.check(self.ring_bits, bits, bound, rounding)
        with self._step("truncate") as trio:
            if trio.place is None:
                return self._shapes_alone([replica.shape for replica in replicas])
            return truncation.truncate(trio, replicas, bits, rounding)

    # -- comparisons --------------------------------------------------------------------------------------------------

    def negative(self, values: Sequence[Shared], bound: int) -> list[Replica]:
        """Return 1 where a value is below zero, else 0.

        Raises:
            RangeError: bound >= 2^(ring_bits - 1).
        """
        replicas = [self._trio.check(value) for value in values]
        comparison.width_of(bound, self.ring_bits)
        with self._step("negative") as trio:
            if trio.place is None:
                return self._shapes_alone([replica.shape for replica in replicas])
            return comparison.negative(trio, replicas, bound)

    def keep_if(self, bits: Sequence[Shared], values: Sequence[Shared]) -> list[Replica]:
        """Return bit * value, which broadcast, in one round."""
        if len(bits) != len(values):
            raise ParameterError(f"expected a value for each of {len(bits)} bits, found {len(values)}")
        return self.multiply(list(zip(bits, values, strict=True)))

    def relu(self, values: Sequence[Shared], bound: int) -> tuple[list[Replica], list[Replica]]:
        """Return max(0, value), and 1 where a value is at least zero, in one round more than the comparison.

        Raises:
            RangeError: bound >= 2^(ring_bits - 1).
        """
        replicas = [self._trio.check(value) for value in values]
        comparison.width_of(bound, self.ring_bits)
        with self._step("relu") as trio:
            if trio.place is None:
                shapes = [replica.shape for replica in replicas]
                return self._shapes_alone(shapes), self._shapes_alone(shapes)
            return comparison.relu(trio, replicas, bound)

    def __repr__(self) -> str:
        return f"ReplicatedBackend(me={self.me!r}, computing={self.computing}, ring_bits={self.ring_bits})"
