"""One party's side of a session of two parties, method by method of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import numpy as np

from mpc.errors import ParameterError
from mpc.randomness import RoleRandomness
from mpc.ring import Words
from mpc.tensors.backends import truncation as bounds
from mpc.tensors.backends.agreed import AgreedBackend
from mpc.tensors.backends.arguments import (
    applied,
    broadcast,
    check_input,
    matmul_shape,
    ring_words,
)
from mpc.tensors.backends.comparison import width_of
from mpc.tensors.backends.dealing import draw, shapes_in_label
from mpc.tensors.backends.interface import Linear, Rounding, Shape, Shared
from mpc.tensors.backends.kernels import KeyStream
from mpc.tensors.backends.party import Party
from mpc.tensors.backends.seeds import Agreement, receive_seeds, send_seeds, stream_of
from mpc.tensors.backends.two_party import comparison, products, truncation
from mpc.tensors.backends.two_party.comparison import Carries
from mpc.tensors.backends.two_party.matrices import Matrices
from mpc.tensors.backends.two_party.oblivious import Transfers
from mpc.tensors.backends.two_party.packed import Packed
from mpc.tensors.backends.two_party.values import Value, picked, ring_mask, value
from mpc.tensors.network import Network, from_wire, to_wire, wire_size


class TwoPartyBackend(AgreedBackend):
    """One party's side of a session. See :class:`~mpc.tensors.backends.interface.Backend` for its methods.

    Make it by :meth:`join`. Every party of the session makes its own. Base OTs and keys are made once, when the first
    step needs them.
    """

    name = "two_party"
    parties = 2

    def __init__(self, network: Network, agreement: Agreement, randomness: RoleRandomness) -> None:
        super().__init__(network, agreement)
        self._agreement = agreement
        self._randomness = randomness
        self._party = Party(network, agreement.computing, agreement.ring_bits)
        self._peer = self._party.others[0] if self._party.computes else ""
        self._joined = False
        self._inputs = 0
        self._outputs = 0
        self._input_streams: dict[tuple[str, str], KeyStream] = {}  # by owner and receiver
        self._zero: KeyStream | None = None  # of both computing parties
        self._transfers: Transfers | None = None
        self._carries: Carries | None = None
        self._packed: Packed | None = None
        self._matrices: Matrices | None = None
        self._seeds = send_seeds(network, agreement, randomness)

    @classmethod
    def join(
        cls,
        network: Network,
        *,
        computing: Sequence[str],
        outside: Sequence[str] = (),
        ring_bits: int = 64,
        randomness: RoleRandomness | None = None,
    ) -> TwoPartyBackend:
        """Begin a session on the channels of one party. It sends its seeds and waits for nobody.

        Args:
            network: of this party, with channels to both computing parties, and of a computing one to all others.
            computing: two names, in the order that all agree on.
            outside: the names of those who give inputs or take outputs, and do not compute.
            ring_bits: 16 to 64 in whole bytes.
            randomness: for known-answer tests.

        Raises:
            ParameterError: parties, or a ring, that this back-end cannot have.
        """
        return cls(network, cls.agreement(network, computing, outside, ring_bits), randomness or RoleRandomness())

    # -- the session --------------------------------------------------------------------------------------------------

    @property
    def trust(self) -> str:
        first, second = self.computing
        return (
            f"two_party: nobody is trusted with data, and there is no provider; {first} and {second} both follow the "
            "protocol, and neither shows the other what it holds"
        )

    @contextmanager
    def _step(self, name: str) -> Iterator[Party]:
        """Do one call's work under its name. The first such call receives the seeds."""
        if not self._joined:
            self._receive_seeds()
            self._joined = True
        with self._network.in_step(name), np.errstate(over="ignore"):  # single words wrap as arrays do
            yield self._party

    def _receive_seeds(self) -> None:
        receive_seeds(self._network, self._agreement, self._seeds)
        made, got = self._seeds.made, self._seeds.got
        if self._party.computes:
            for owner in (self._peer, *self.outside):
                self._input_streams[owner, self.me] = stream_of(got[owner], "input")
            self._zero = stream_of((made if self._party.first else got)[self._peer], "zero")
        for other, seed in made.items():
            self._input_streams[self.me, other] = stream_of(seed, "input")

    @property
    def transfers(self) -> Transfers:
        """OTs in both directions, whose base OTs are made when they are first asked for."""
        if self._transfers is None:
            self._transfers = Transfers(self._network, self._peer, self._randomness)
        return self._transfers

    @property
    def packed(self) -> Packed:
        """Element-wise products under encryption, whose keys are exchanged when they are first asked for."""
        if self._packed is None:
            self._packed = Packed(self._network, self._peer, self._randomness, first=self._party.first)
        return self._packed

    @property
    def matrices(self) -> Matrices:
        """Matrix products under encryption, whose keys are exchanged when they are first asked for."""
        if self._matrices is None:
            self._matrices = Matrices(self._network, self._peer, self._randomness)
        return self._matrices

    @property
    def _comparing(self) -> Carries:
        if self._carries is None:
            channel = self._network.channel(self._peer)
            self._carries = Carries(channel, self._randomness, first=self._party.first)
        return self._carries

    def _check(self, shared: Shared) -> Value:
        """Return a value of this session. Raises ParameterError for any other."""
        handle = self._party.check(shared)
        if not isinstance(handle, Value):
            raise ParameterError(f"expected a shared array of this back-end, found a {type(handle).__name__}")
        return handle

    # -- in and out ---------------------------------------------------------------------------------------------------

    def input(self, owner: str, words: Words | None, shape: Shape) -> Value:
        """Share an array of its owner. One share comes from a seed, and the rest is the owner's or goes to the second.

        Raises:
            ParameterError: an owner that has no part in it, or words that are no such array.
        """
        words = check_input(self.me, (*self.computing, *self.outside), owner, words, shape, self.ring_bits)
        with self._step("input") as party:
            label = f"input/{self._inputs}/{shapes_in_label([shape])}"
            self._inputs += 1
            first, second = self.computing
            seeded = {first: second, second: first}.get(owner, first)  # whose share comes from the owner's seed
            if words is None:
                if not party.computes:
                    return value(party, shape, None)
                if self.me == seeded:
                    return value(party, shape, draw(self._input_streams[owner, self.me], shape, self.ring_bits))
                channel = self._network.channel(owner)
                body = channel.recv(label, wire_size(prod(shape), self.ring_bits))
                with channel.naming_peer():
                    return value(party, shape, from_wire(body, self.ring_bits).reshape(shape))
            rest = party.reduce(words - draw(self._input_streams[owner, seeded], shape, self.ring_bits))
            if party.computes:
                return value(party, shape, rest)
            self._network.channel(second).send(label, to_wire(rest, self.ring_bits))
            return value(party, shape, None)

    def constant(self, words: Words) -> Value:
        """Return a sharing of public values. The first party holds them, and the other one holds zeros."""
        words = ring_words(words, self.ring_bits, "a constant")
        party = self._party
        share = (words.copy() if party.first else np.zeros_like(words)) if party.computes else None
        return value(party, words.shape, share)

    def open(self, values: Sequence[Shared], to: Sequence[str]) -> list[Words] | None:
        """Open values to these parties, in one round.

        What a receiver sees beside the values is uniform, because both shares are drawn anew.

        Raises:
            ParameterError: a receiver that has no part in it.
        """
        handles = [self._check(each) for each in values]
        if wrong := [name for name in to if name not in (*self.computing, *self.outside)]:
            raise ParameterError(f"expected receivers that compute or are outside, found {', '.join(wrong)}")
        with self._step("open") as party:
            shapes = [handle.shape for handle in handles]
            label = f"output/{self._outputs}/{shapes_in_label(shapes)}"
            self._outputs += 1
            if not handles:
                return None
            count = sum(handle.size for handle in handles)
            fresh = products.joined(self._fresh(handles)) if party.computes else np.zeros(count, dtype=np.uint64)
            body = [to_wire(fresh, self.ring_bits)]
            bodies = {name: body for name in dict.fromkeys(to) if party.computes and name != self.me}
            senders = [name for name in self.computing if name != self.me] if self.me in to else []
            received = self._network.swap(label, bodies, dict.fromkeys(senders, wire_size(count, self.ring_bits)))
            if self.me not in to:
                return None
            for name, theirs in received.items():
                with self._network.channel(name).naming_peer():
                    fresh = fresh + from_wire(theirs, self.ring_bits)
            return products.parted(party.reduce(fresh), shapes)

    def _fresh(self, handles: Sequence[Value]) -> list[Words]:
        """Return this party's shares of the same values, drawn anew. What one party adds, the other one subtracts."""
        party = self._party
        if self._zero is None:
            raise ParameterError("expected a computing party, found one that holds no shares")
        fresh = []
        for handle in handles:
            zero = draw(self._zero, handle.shape, self.ring_bits)
            share = party.share_of(handle)
            fresh.append(party.reduce(share + zero if party.first else share - zero))
        return fresh

    # -- local --------------------------------------------------------------------------------------------------------

    def add(self, x: Shared, y: Shared) -> Value:
        """Return x + y, which broadcast."""
        return self._sum(np.add, x, y)

    def subtract(self, x: Shared, y: Shared) -> Value:
        """Return x - y, which broadcast."""
        return self._sum(np.subtract, x, y)

    def _sum(self, function: np.ufunc, x: Shared, y: Shared) -> Value:
        left, right = self._check(x), self._check(y)
        shape = broadcast(left.shape, right.shape)
        party = self._party
        if not party.computes:
            return value(party, shape, None)
        with np.errstate(over="ignore"):
            return value(party, shape, party.reduce(function(party.share_of(left), party.share_of(right))))

    def add_public(self, x: Shared, words: Words) -> Value:
        """Return x + words, which broadcast."""
        handle, words = self._check(x), ring_words(words, self.ring_bits, "public values").copy()
        shape = broadcast(handle.shape, words.shape)
        party = self._party
        if not party.computes:
            return value(party, shape, None)
        with np.errstate(over="ignore"):
            own = np.broadcast_to(party.share_of(handle), shape)
            share = party.reduce(own + words) if party.first else own
            bit = handle.bit.moved(words, ring_mask(party)) if handle.bit and shape == handle.shape else None
            return value(party, shape, share, bit)

    def linear(self, function: Linear, shape: Shape, *values: Shared) -> Value:
        """Return function(*values), of this shape, for a function that is linear over the ring in all arrays at once.

        Raises:
            ParameterError: the function returns something else than an array of uint64 of that shape.
        """
        handles = [self._check(each) for each in values]
        if not handles:
            raise ParameterError("expected at least one value, found none")
        party = self._party
        if not party.computes:
            return value(party, shape, None)
        with np.errstate(over="ignore"):
            found = applied(function, shape, *[party.share_of(handle) for handle in handles])
            bit = picked(party, function, handles[0], shape) if len(handles) == 1 else None
            return value(party, shape, party.reduce(found), bit)

    # -- products -----------------------------------------------------------------------------------------------------

    def multiply(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Value]:
        """Return the element-wise products, which broadcast. All pairs share their rounds."""
        handles = [(self._check(x), self._check(y)) for x, y in pairs]
        shapes = [broadcast(x.shape, y.shape) for x, y in handles]
        with self._step("multiply") as party:
            if not party.computes:
                return _shapes_alone(party, shapes)
            return products.multiply(party, self, handles, shapes)

    def matmul(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Value]:
        """Return matrix products `(..., m, k) @ (..., k, n)`. All pairs share their rounds."""
        handles = [(self._check(x), self._check(y)) for x, y in pairs]
        shapes = [matmul_shape(x.shape, y.shape) for x, y in handles]
        with self._step("matmul") as party:
            if not party.computes:
                return _shapes_alone(party, shapes)
            return products.matmul(party, self, handles, shapes)

    def truncate(self, values: Sequence[Shared], bits: int, bound: int, rounding: Rounding) -> list[Value]:
        """Return values / 2^bits, rounded. `stochastic` takes two rounds, and the exact ones a comparison more.

        Raises:
            RangeError: bound >= 2^(ring_bits - 2), for `nearest` with half a unit added.
        """
        handles = [self._check(each) for each in values]
        bounds.check(self.ring_bits, bits, bound, rounding)
        with self._step("truncate") as party:
            if bits == 0:
                return handles
            if not party.computes:
                return _shapes_alone(party, [handle.shape for handle in handles])
            carries = None if rounding == "stochastic" else self._comparing
            return truncation.truncate(party, carries, self.transfers, handles, self._fresh(handles), bits, rounding)

    # -- comparisons --------------------------------------------------------------------------------------------------

    def negative(self, values: Sequence[Shared], bound: int) -> list[Value]:
        """Return 1 where a value is below zero, else 0.

        Raises:
            RangeError: bound >= 2^(ring_bits - 1).
        """
        handles = [self._check(each) for each in values]
        width_of(bound, self.ring_bits)
        with self._step("negative") as party:
            if not party.computes:
                return _shapes_alone(party, [handle.shape for handle in handles])
            return comparison.negative(party, self._comparing, self.transfers, handles, bound)

    def keep_if(self, bits: Sequence[Shared], values: Sequence[Shared]) -> list[Value]:
        """Return bit * value, which broadcast. Bits as `negative` and `relu` gave them take two OTs each."""
        if len(bits) != len(values):
            raise ParameterError(f"expected a value for each of {len(bits)} bits, found {len(values)}")
        return self.multiply(list(zip(bits, values, strict=True)))

    def relu(self, values: Sequence[Shared], bound: int) -> tuple[list[Value], list[Value]]:
        """Return max(0, value), and 1 where a value is at least zero.

        Raises:
            RangeError: bound >= 2^(ring_bits - 1).
        """
        handles = [self._check(each) for each in values]
        width_of(bound, self.ring_bits)
        with self._step("relu") as party:
            if not party.computes:
                shapes = [handle.shape for handle in handles]
                return _shapes_alone(party, shapes), _shapes_alone(party, shapes)
            return comparison.relu(party, self._comparing, self.transfers, handles, bound)

    def __repr__(self) -> str:
        return f"TwoPartyBackend(me={self.me!r}, computing={self.computing}, ring_bits={self.ring_bits})"


def _shapes_alone(party: Party, shapes: Sequence[Shape]) -> list[Value]:
    """Return what an outside party has of results."""
    return [value(party, shape, None) for shape in shapes]
