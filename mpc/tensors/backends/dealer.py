"""The back-end `dealer`: n >= 2 computing parties, and a provider that deals correlations and sees no data.

Values are additive shares modulo 2^ring_bits. All parties follow the protocol. Any n - 1 computing parties may put
together what they see and learn nothing, as long as the provider does not help them. Outside parties may help them.

Read in this order: ``party`` and ``handles`` (what a step works on), ``seeds``, ``inputs``, ``dealing``,
``products``, ``moving``, ``truncation``, ``layout``, ``comparison``, ``gathers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from mpc.errors import ParameterError
from mpc.randomness import RoleRandomness
from mpc.ring import Words
from mpc.tensors.backends import comparison, products, truncation
from mpc.tensors.backends.arguments import (
    applied,
    broadcast,
    check_channels,
    check_input,
    matmul_shape,
    ring_words,
)
from mpc.tensors.backends.dealing import Given, Taken, draw, shapes_in_label
from mpc.tensors.backends.gathers import gather_of, gathered
from mpc.tensors.backends.handles import Handle, mask_of_public
from mpc.tensors.backends.inputs import Inputs
from mpc.tensors.backends.interface import Cost, Linear, Rounding, Shape, Shared, Times
from mpc.tensors.backends.kernels import KeyStream
from mpc.tensors.backends.layout import joined, parted
from mpc.tensors.backends.moving import add_masks, add_to_masks, multiply_masks
from mpc.tensors.backends.party import Party
from mpc.tensors.backends.seeds import Agreement, agreement_of, receive_seeds, send_seeds, stream_of
from mpc.tensors.network import InStep, Network, from_wire, to_wire, wire_size


class _Step:
    """One call of the back-end, in which single words wrap as arrays do."""

    __slots__ = ("_errors", "_party", "_step")

    def __init__(self, party: Party, step: InStep) -> None:
        self._party, self._step, self._errors = party, step, np.errstate(over="ignore")

    def __enter__(self) -> Party:
        self._step.__enter__()
        self._errors.__enter__()
        return self._party

    def __exit__(self, *_: object) -> None:
        self._errors.__exit__(None, None, None)
        self._step.__exit__()


class DealerBackend:
    """One party's side of a session. See :class:`~mpc.tensors.backends.interface.Backend` for its methods.

    Make it by :meth:`join`. Every party of the session makes its own.
    """

    name = "dealer"

    def __init__(self, network: Network, agreement: Agreement, randomness: RoleRandomness) -> None:
        self.me = network.me
        self.ring_bits = agreement.ring_bits
        self.computing = agreement.computing
        self.provider = agreement.provider
        self.outside = agreement.outside
        self._network = network
        self._agreement = agreement
        self._party = Party(network, agreement.computing, agreement.ring_bits)
        self._is_provider = self.me == self.provider
        self._is_outside = self.me in self.outside
        self._joined = False
        self._outputs = 0
        self._zeros: list[tuple[KeyStream, bool]] = []  # with each other computing party, and whether it is added here
        self._seeds = send_seeds(network, agreement, randomness)
        self._inputs = Inputs(agreement, self._seeds)

    @classmethod
    def join(
        cls,
        network: Network,
        *,
        computing: Sequence[str],
        provider: str,
        outside: Sequence[str] = (),
        ring_bits: int = 64,
        randomness: RoleRandomness | None = None,
    ) -> DealerBackend:
        """Begin a session on the channels of one party. It sends its seeds and waits for nobody.

        Args:
            network: of this party, with channels to all computing parties, and of a computing one to all others.
            computing: at least two names, in the order that all agree on.
            provider: the name of the provider of correlations, who neither computes nor gives inputs.
            outside: the names of those who give inputs or take outputs, and do not compute.
            ring_bits: 16 to 64 in whole bytes.
            randomness: for known-answer tests.

        Raises:
            ParameterError: parties, or a ring, that this back-end cannot have.
        """
        agreement = agreement_of(computing, provider, outside, ring_bits)
        everybody = (*agreement.computing, provider, *agreement.outside)
        check_channels(network, everybody, everybody if network.me in computing else agreement.computing)
        return cls(network, agreement, randomness or RoleRandomness())

    # -- the session --------------------------------------------------------------------------------------------------

    @property
    def trust(self) -> str:
        others = len(self.computing) - 1
        return (
            f"dealer: all parties follow the protocol, and {self.provider}, who deals the correlations, colludes with "
            f"nobody; up to {others} of the {len(self.computing)} computing parties may collude"
        )

    @property
    def cost(self) -> Cost:
        sent, received = self._network.traffic()
        given = dict(self._party.dealing.given) if self._joined and not self._is_outside else {}
        return Cost(self._network.rounds, sent, received, given)

    def close(self) -> None:
        """End the conversations with all others. They may be ended again."""
        self._network.close()

    def _step(self, name: str) -> _Step:
        """Do one call's work under its name, within this context. The first such call receives the seeds."""
        if not self._joined:
            self._receive_seeds()
            self._joined = True
        return _Step(self._party, self._network.in_step(name))

    def _receive_seeds(self) -> None:
        receive_seeds(self._network, self._agreement, self._seeds)
        made, got, last = self._seeds.made, self._seeds.got, self.computing[-1]
        if self._is_provider:
            streams = [stream_of(made[name], "dealt") for name in self.computing]
            self._party.dealing = Given(streams, self._network.channel(last))
        if self._party.computes:
            provider = self._network.channel(self.provider) if self.me == last else None
            self._party.dealing = Taken(stream_of(got[self.provider], "dealt"), provider)
            place = self.computing.index
            for other in self._party.others:
                earlier = place(self.me) < place(other)
                self._zeros.append((stream_of(made[other] if earlier else got[other], "zero"), earlier))

    def _words(self, words: object, what: str) -> Words:
        return ring_words(words, self.ring_bits, what)

    # -- in and out ---------------------------------------------------------------------------------------------------

    def input(self, owner: str, words: Words | None, shape: Shape) -> Handle:
        """Share an array of its owner. One who computes keeps it. Else shares come from seeds, but for one.

        Raises:
            ParameterError: an owner that has no part in it, or words that are no such array.
        """
        words = check_input(self.me, (*self.computing, *self.outside), owner, words, shape, self.ring_bits)
        with self._step("input") as party:
            return self._inputs.share(party, owner, words, shape)

    def constant(self, words: Words) -> Handle:
        """Return a sharing of public values. The first party holds them, and the others hold zeros.

        Nothing of it is opened when it is multiplied or compared.
        """
        words = self._words(words, "a constant").copy()
        party = self._party
        words.setflags(write=False)
        share = (words if party.first else np.zeros_like(words)) if party.computes else None
        handle = party.handle(words.shape, share)
        handle.mask = mask_of_public(words if party.computes else None, words.shape)
        return handle

    def open(self, values: Sequence[Shared], to: Sequence[str]) -> list[Words] | None:
        """Open values to these parties, in one round.

        What a receiver sees beside the values is uniform, because all shares are re-randomised by a sharing of zero.

        Raises:
            ParameterError: a receiver that has no part in it, such as the provider.
        """
        handles = [self._party.check(value) for value in values]
        if wrong := [name for name in to if name not in (*self.computing, *self.outside)]:
            raise ParameterError(f"expected receivers that compute or are outside, found {', '.join(wrong)}")
        with self._step("open") as party:
            products.settle(party, handles)
            shapes = [handle.shape for handle in handles]
            label = f"output/{self._outputs}/{shapes_in_label(shapes)}"
            self._outputs += 1
            if self._is_provider or not handles:
                return None
            shares = [self._randomised(party, handle) for handle in handles] if party.computes else []
            parts = [to_wire(share, self.ring_bits) for share in shares]
            bodies = {name: parts for name in dict.fromkeys(to) if party.computes and name != self.me}
            size = wire_size(sum(handle.size for handle in handles), self.ring_bits)
            senders = [name for name in self.computing if name != self.me] if self.me in to else []
            received = self._network.swap(label, bodies, dict.fromkeys(senders, size))
            if self.me not in to:
                return None
            total = joined(shares) if shares else np.zeros(size * 8 // self.ring_bits, dtype=np.uint64)
            for name, theirs in received.items():
                with self._network.channel(name).naming_peer():
                    total = total + from_wire(theirs, self.ring_bits)
            return parted(party.reduce(total), shapes)

    def _randomised(self, party: Party, handle: Handle) -> Words:
        """Return a fresh share of the same value. The parties' streams add up to zero."""
        share = party.share_of(handle)
        for stream, added in self._zeros:
            zero = draw(stream, handle.shape, self.ring_bits)
            share = share + zero if added else share - zero
        return party.reduce(share)

    # -- local --------------------------------------------------------------------------------------------------------

    def add(self, x: Shared, y: Shared) -> Handle:
        """Return x + y, which broadcast."""
        return self._sum(np.add, x, y)

    def subtract(self, x: Shared, y: Shared) -> Handle:
        """Return x - y, which broadcast."""
        return self._sum(np.subtract, x, y)

    def _sum(self, function: np.ufunc, x: Shared, y: Shared) -> Handle:
        left, right = self._party.check(x), self._party.check(y)
        shape = broadcast(left.shape, right.shape)
        party = self._party
        with np.errstate(over="ignore"):
            share = None
            if party.computes:
                share = party.reduce(function(party.share_of(left), party.share_of(right)))
            result = party.handle(shape, share)
            result.owed = products.owed_of(party, function, shape, [left, right])
            result.came_from(function, left, right)
            add_masks(party, function, left, right, result)
            return result

    def add_public(self, x: Shared, words: Words) -> Handle:
        """Return x + words, which broadcast."""
        value, words = self._party.check(x), self._words(words, "public values").copy()
        shape = broadcast(value.shape, words.shape)
        party = self._party
        with np.errstate(over="ignore"):
            share = None
            if party.computes:
                own = party.share_of(value)
                share = np.asarray(own + words) if party.first else own
                share = party.reduce(share if share.shape == shape else np.broadcast_to(share, shape))
            result = party.handle(shape, share)
            same = shape == value.shape
            spread = np.asarray if same else partial(np.broadcast_to, shape=shape)
            result.owed = products.owed_of(party, spread, shape, [value])
            result.came_from(spread, value, offset=words, same=same)
            if same:
                add_to_masks(party, value, words, result)
            return result

    def linear(self, function: Linear, shape: Shape, *values: Shared) -> Handle:
        """Return function(*values), of this shape, for a function that is linear over the ring in all arrays at once.

        The function may be called again later, on masks, and must then give the same. A party whose share comes out
        different refuses it.

        Raises:
            ParameterError: the function returns something else than an array of uint64 of that shape.
        """
        handles = [self._party.check(value) for value in values]
        if not handles:
            raise ParameterError("expected at least one value, found none")
        party = self._party
        with np.errstate(over="ignore"):
            share = None
            if party.computes:
                share = party.reduce(applied(function, shape, *[party.share_of(handle) for handle in handles]))
            result = party.handle(shape, share)
            result.owed = products.owed_of(party, function, shape, handles)
            if isinstance(function, Times) and len(handles) == 1:
                result.came_from(function, *handles)
                multiply_masks(party, handles[0], function, result)
                return result
            result.came_from(function, *handles, checked=True)
            bit = handles[0].bit_mask
            if bit is not None and len(handles) == 1 and (gather := gather_of(function, handles[0].shape, shape)):
                result.bit_mask = gathered(party, gather, bit, handles[0].share, share)
            return result

    # -- products -----------------------------------------------------------------------------------------------------

    def multiply(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Handle]:
        """Return the element-wise products, which broadcast, in one round, or in none where all are masked already."""
        handles = [(self._party.check(x), self._party.check(y)) for x, y in pairs]
        shapes = [broadcast(x.shape, y.shape) for x, y in handles]
        with self._step("multiply") as party:
            if self._is_outside:
                return _shapes_alone(party, shapes)
            return products.multiply(party, handles, shapes)

    def multiply_rounded(
        self, pairs: Sequence[tuple[Shared, Shared]], bits: int, bound: int, rounding: Rounding
    ) -> list[Handle]:
        """Return the element-wise products / 2^bits, rounded, for which the provider sends one message.

        Raises:
            RangeError: as :meth:`truncate`.
        """
        handles = [(self._party.check(x), self._party.check(y)) for x, y in pairs]
        shapes = [broadcast(x.shape, y.shape) for x, y in handles]
        truncation.check(self.ring_bits, bits, bound, rounding)
        with self._step("multiply") as party:
            if self._is_outside:
                return _shapes_alone(party, shapes)
            with party.dealing.correlation("multiply", shapes, f"{rounding} by {bits} bits"):
                return truncation.truncate(party, products.multiply(party, handles, shapes), bits, bound, rounding)

    def matmul(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Handle]:
        """Return matrix products `(..., m, k) @ (..., k, n)`, in one round, or in none where all are masked already."""
        handles = [(self._party.check(x), self._party.check(y)) for x, y in pairs]
        shapes = [matmul_shape(x.shape, y.shape) for x, y in handles]
        with self._step("matmul") as party:
            if self._is_outside:
                return _shapes_alone(party, shapes)
            return products.matmul(party, handles, shapes)

    def truncate(self, values: Sequence[Shared], bits: int, bound: int, rounding: Rounding) -> list[Handle]:
        """Return values / 2^bits, rounded. `stochastic` takes one round, and the exact ones a comparison more.

        Raises:
            RangeError: bound >= 2^(ring_bits - 2), for `nearest` with half a unit added.
        """
        handles = [self._party.check(value) for value in values]
        truncation.check(self.ring_bits, bits, bound, rounding)
        with self._step("truncate") as party:
            if self._is_outside:
                return _shapes_alone(party, [handle.shape for handle in handles])
            return truncation.truncate(party, handles, bits, bound, rounding)

    # -- comparisons --------------------------------------------------------------------------------------------------

    def negative(self, values: Sequence[Shared], bound: int) -> list[Handle]:
        """Return 1 where a value is below zero, else 0.

        Raises:
            RangeError: bound >= 2^(ring_bits - 1).
        """
        handles = [self._party.check(value) for value in values]
        comparison.width_of(bound, self.ring_bits)
        with self._step("negative") as party:
            if self._is_outside:
                return _shapes_alone(party, [handle.shape for handle in handles])
            return comparison.negative(party, handles, bound)

    def keep_if(self, bits: Sequence[Shared], values: Sequence[Shared]) -> list[Handle]:
        """Return bit * value, which broadcast. Bits as `negative` and `relu` gave them are not opened again."""
        if len(bits) != len(values):
            raise ParameterError(f"expected a value for each of {len(bits)} bits, found {len(values)}")
        return self.multiply(list(zip(bits, values, strict=True)))

    def relu(self, values: Sequence[Shared], bound: int) -> tuple[list[Handle], list[Handle]]:
        """Return max(0, value), and 1 where a value is at least zero, in the rounds of one comparison.

        Raises:
            RangeError: bound >= 2^(ring_bits - 1).
        """
        handles = [self._party.check(value) for value in values]
        comparison.width_of(bound, self.ring_bits)
        with self._step("relu") as party:
            if self._is_outside:
                shapes = [handle.shape for handle in handles]
                return _shapes_alone(party, shapes), _shapes_alone(party, shapes)
            return comparison.relu(party, handles, bound)

    def below(self, value: Shared, ends: Sequence[int], bound: int) -> list[Handle]:
        """Return for each end 1 where value < end, in the rounds of one comparison.

        Raises:
            RangeError: bound >= 2^(ring_bits - 1).
        """
        handle = self._party.check(value)
        comparison.width_of(bound, self.ring_bits)
        with self._step("below") as party:
            if self._is_outside:
                return _shapes_alone(party, [handle.shape] * len(ends))
            return comparison.below(party, handle, ends, bound)

    def between(
        self, values: Sequence[Shared], ends: Sequence[tuple[int, int]], bound: int
    ) -> tuple[list[Handle], list[Handle]]:
        """Return 1 where low <= value < high, and 1 where value < high, in the rounds of one comparison.

        Raises:
            RangeError: bound >= 2^(ring_bits - 1). ParameterError: ends in another order.
        """
        handles = [self._party.check(value) for value in values]
        comparison.width_of(bound, self.ring_bits)
        if len(ends) != len(handles) or any(low > high for low, high in ends):
            raise ParameterError(f"expected a lower and an upper end for each of {len(handles)} values, found {ends}")
        with self._step("between") as party:
            if self._is_outside:
                shapes = [handle.shape for handle in handles]
                return _shapes_alone(party, shapes), _shapes_alone(party, shapes)
            return comparison.between(party, handles, ends, bound)

    def mask_ahead(self, values: Sequence[Shared]) -> None:
        """Open the masks of these values in the same round as those that are opened next."""
        handles = [self._party.check(value) for value in values]
        if not self._is_outside:  # who follows no openings
            self._party.ahead += handles

    def __repr__(self) -> str:
        return f"DealerBackend(me={self.me!r}, computing={self.computing}, ring_bits={self.ring_bits})"


def _shapes_alone(party: Party, shapes: Sequence[Shape]) -> list[Handle]:
    """Return what an outside party has of results."""
    return [party.handle(shape, None) for shape in shapes]
