"""The back-end `dealer_mac`: n >= 2 computing parties of whom all but one may cheat, and a provider who does not.

Values are shared modulo 2^128 with MACs (SPDZ2k: Cramer, Damgard, Escudero, Scholl, Xing, CRYPTO 2018). A party that
opens something else than it holds is found with a probability of more than 1 - 2^-45, before anything is revealed
(:mod:`~mpc.tensors.backends.authenticated.check`). Then all honest parties end, and nothing more comes out.

Inputs and outputs go through masks that the provider deals to their owner and reader alone. An owner publishes x - r,
so that x has a mask from the start and cannot be shared wrongly. To a reader the computing parties open x - r, which
shows nothing to anybody else. An output is opened only after all that it depends on was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np

from mpc.errors import OrderError, ParameterError
from mpc.randomness import RoleRandomness
from mpc.ring import Words
from mpc.tensors.backends.arguments import (
    broadcast,
    check_channels,
    check_input,
    matmul_shape,
    ring_words,
)
from mpc.tensors.backends.authenticated import comparison, outputs, products, truncation
from mpc.tensors.backends.authenticated.dealing import MacGiven, MacTaken
from mpc.tensors.backends.authenticated.party import MOST_PENDING, MacParty
from mpc.tensors.backends.authenticated.values import Dealt, Mask, Value
from mpc.tensors.backends.authenticated.wide import Wide
from mpc.tensors.backends.comparison import width_of
from mpc.tensors.backends.dealing import draw, shapes_in_label
from mpc.tensors.backends.interface import Cost, Linear, Rounding, Shape, Shared
from mpc.tensors.backends.kernels import KeyStream
from mpc.tensors.backends.seeds import Agreement, agreement_of, receive_seeds, send_seeds, stream_of
from mpc.tensors.backends.subsets import SUMS, sums_of_subsets
from mpc.tensors.backends.truncation import check
from mpc.tensors.network import Network, from_wire, to_wire, wire_size

RING_BITS = 64


def _linked(agreement: Agreement, name: str) -> tuple[str, ...]:
    """Return with whom a party has a channel. The provider has one to everybody."""
    everybody = (*agreement.computing, agreement.provider, *agreement.outside)
    return everybody if name not in agreement.outside else (*agreement.computing, agreement.provider)


def _seeded(agreement: Agreement, name: str) -> tuple[str, ...]:
    """Return whom a party sends seeds. Only the provider sends any."""
    return (*agreement.computing, *agreement.outside) if name == agreement.provider else ()


class DealerMacBackend:
    """One party's side of a session. See :class:`~mpc.tensors.backends.interface.Backend` for its methods.

    Make it by :meth:`join`. Every party of the session makes its own.
    """

    name = "dealer_mac"
    ring_bits = RING_BITS

    def __init__(
        self, network: Network, agreement: Agreement, randomness: RoleRandomness, most_pending: int = MOST_PENDING
    ) -> None:
        self.me = network.me
        self.computing = agreement.computing
        self.provider = agreement.provider
        self.outside = agreement.outside
        self._network = network
        self._agreement = agreement
        self._party = MacParty(network, agreement.computing, randomness, most_pending)
        self._is_outside = self.me in self.outside
        self._joined = False
        self._ended = ""
        self._inputs = 0
        self._outputs = 0
        self._given: dict[str, int] = {}
        self._own_masks: dict[str, KeyStream] = {}  # by the party that knows them beside the provider
        self._seeds = send_seeds(network, agreement, randomness, _seeded)

    @classmethod
    def join(
        cls,
        network: Network,
        *,
        computing: Sequence[str],
        provider: str,
        outside: Sequence[str] = (),
        ring_bits: int = RING_BITS,
        randomness: RoleRandomness | None = None,
        most_pending: int = MOST_PENDING,
    ) -> DealerMacBackend:
        """Begin a session on the channels of one party. It sends its seeds and waits for nobody.

        Args:
            network: of this party, with channels to all others, or of an outside party to all that are not outside.
            computing: at least two names, in the order that all agree on.
            provider: the name of the provider of correlations, who neither computes nor gives inputs.
            outside: the names of those who give inputs or take outputs, and do not compute.
            ring_bits: 64.
            randomness: for known-answer tests.
            most_pending: bytes of what is opened and not checked, after which a check comes without a reveal.

        Raises:
            ParameterError: parties, or a ring, that this back-end cannot have.
        """
        agreement = agreement_of(computing, provider, outside, ring_bits, cls.name)
        everybody = (*agreement.computing, provider, *agreement.outside)
        check_channels(network, everybody, _linked(agreement, network.me))
        if ring_bits != RING_BITS:
            raise ParameterError(f"expected a ring of {RING_BITS} bits for dealer_mac, found {ring_bits} bits")
        return cls(network, agreement, randomness or RoleRandomness(), most_pending)

    # -- the session --------------------------------------------------------------------------------------------------

    @property
    def trust(self) -> str:
        others = len(self.computing) - 1
        return (
            f"dealer_mac: {self.provider}, who deals the correlations, follows the protocol and colludes with nobody; "
            f"up to {others} of the {len(self.computing)} computing parties may collude and cheat, which ends the "
            "session before anything wrong is revealed, but for a probability below 2^-45"
        )

    @property
    def cost(self) -> Cost:
        sent, received = self._network.traffic()
        return Cost(self._network.rounds, sent, received, dict(self._given))

    def close(self) -> None:
        """End the conversations with all others. They may be ended again."""
        self._network.close()

    @contextmanager
    def _step(self, name: str) -> Iterator[MacParty]:
        """Do one call's work under its name. The first such call receives the seeds.

        A step that fails ends the session here: the keys are gone, and everybody who waits for this party learns it.
        """
        if self._ended:
            raise OrderError(f"expected a session that goes on, found one that ended in the step {self._ended}")
        with self._network.in_step(name), np.errstate(over="ignore"):
            try:
                if not self._joined:
                    self._receive_seeds()
                    self._joined = True
                yield self._party
            except ParameterError:
                raise  # of the caller, before anything was sent
            except BaseException:
                self._ended = name
                self._party.forget()
                self.close()
                raise

    def _receive_seeds(self) -> None:
        receive_seeds(self._network, self._agreement, self._seeds, _seeded)
        made, got, last = self._seeds.made, self._seeds.got, self.computing[-1]
        if self.me == self.provider:
            streams = [stream_of(made[name], "dealt") for name in self.computing]
            self._party.dealing = MacGiven(streams, self._network.channel(last))
            self._own_masks = {name: stream_of(seed, "own masks") for name, seed in made.items()}
        else:
            self._own_masks = {self.me: stream_of(got[self.provider], "own masks")}
        if self._party.computes:
            provider = self._network.channel(self.provider) if self.me == last else None
            stream = stream_of(got[self.provider], "dealt")
            self._party.dealing = MacTaken(stream, provider, first=self._party.first)
        if not self._is_outside:
            self._given = self._party.dealing.given

    def _words(self, words: object, what: str) -> Words:
        return ring_words(words, self.ring_bits, what)

    # -- in and out ---------------------------------------------------------------------------------------------------

    def input(self, owner: str, words: Words | None, shape: Shape) -> Value:
        """Share an array of its owner, who publishes its difference from a mask that it got from the provider.

        Raises:
            ParameterError: an owner that has no part in it, or words that are no such array.
        """
        words = check_input(self.me, (*self.computing, *self.outside), owner, words, shape, self.ring_bits)
        with self._step("input") as party:
            label = f"input/{self._inputs}/{shapes_in_label([shape])}"
            self._inputs += 1
            body = memoryview(b"")
            own = draw(self._own_masks[owner], shape, RING_BITS) if owner in self._own_masks else None
            if words is not None:
                body = to_wire(words - party.known(own), RING_BITS)
                for other in party.others:
                    self._network.channel(other).send(label, body)
            if self._is_outside:
                return _shape_alone(party, shape)
            with party.dealing.correlation("input", [shape]):
                dealt = party.dealing.authentic(shape, lambda: party.known(own))
            if not party.computes:
                result = party.value(shape, None)
                result.mask, result.drawn = Mask(dealt), True
                return result
            if words is None:
                body = self._network.channel(owner).recv(label, wire_size(int(np.prod(shape)), RING_BITS))
            party.pending.saw(body)
            opened = from_wire(body, RING_BITS).reshape(shape)
            result = party.value(shape, party.has(dealt.share) + party.public(opened))
            result.mask, result.drawn = Mask(dealt, opened), True
            return result

    def constant(self, words: Words) -> Value:
        """Return a sharing of public values. The first party holds them, and the others hold zeros."""
        words = self._words(words, "a constant").copy()
        with self._step("constant") as party:
            result = party.value(words.shape, party.public(words) if party.computes else None)
            if party.computes:
                result.mask = Mask(Dealt(Wide.zeros(words.shape)), words)
            else:
                result.mask = Mask(Dealt() if self._is_outside else Dealt(value=np.zeros_like(words)))
            return result

    def open(self, values: Sequence[Shared], to: Sequence[str]) -> list[Words] | None:
        """Open values to these parties, after a check of all that was opened before, and before another one.

        Raises:
            ParameterError: a receiver that has no part in it, such as the provider.
            CheatingError: some party has opened something else than it held. Nobody learns anything more.
        """
        handles = [self._party.check(value) for value in values]
        if wrong := [name for name in to if name not in (*self.computing, *self.outside)]:
            raise ParameterError(f"expected receivers that compute or are outside, found {', '.join(wrong)}")
        with self._step("open") as party:
            shapes = [handle.shape for handle in handles]
            readers = list(dict.fromkeys(to)) if handles else []
            label = f"output/{self._outputs}/{shapes_in_label(shapes)}"
            self._outputs += 1
            known = {name: self._masks_known_to(name, shapes) for name in readers}
            if self._is_outside:
                return outputs.from_all(party, label, shapes, known[self.me]) if self.me in readers else None
            with party.dealing.correlation("output", shapes, f"to {len(readers)}"):
                dealt = {
                    name: [
                        party.dealing.authentic(shape, partial(_at, known[name], place))
                        for place, shape in enumerate(shapes)
                    ]
                    for name in readers
                }
            if not party.computes or not readers:
                return None
            opened = outputs.open_masked(party, handles, dealt)
            for name in readers:
                if name in self.outside:
                    outputs.send(party, label, opened[name], name)
            mine = opened.get(self.me)
            return None if mine is None else [_at(known[self.me], place) + words for place, words in enumerate(mine)]

    def _masks_known_to(self, name: str, shapes: Sequence[Shape]) -> list[Words] | None:
        """Return masks that the provider and one party know, or None where this is neither."""
        stream = self._own_masks.get(name)
        return None if stream is None else [draw(stream, shape, RING_BITS) for shape in shapes]

    # -- local --------------------------------------------------------------------------------------------------------

    def add(self, x: Shared, y: Shared) -> Value:
        """Return x + y, which broadcast."""
        return self._sum(np.add, Wide.__add__, x, y)

    def subtract(self, x: Shared, y: Shared) -> Value:
        """Return x - y, which broadcast."""
        return self._sum(np.subtract, Wide.__sub__, x, y)

    def _sum(self, words: Callable[..., Words], shares: Callable[[Wide, Wide], Wide], x: Shared, y: Shared) -> Value:
        values = [self._party.check(x), self._party.check(y)]
        shape = broadcast(values[0].shape, values[1].shape)
        with self._step("add") as party:
            share = shares(*[party.share_of(value) for value in values]) if party.computes else None
            result = party.value(shape, share)
            masks = [value.mask for value in values if value.mask is not None]
            if len(masks) == 2:
                result.mask = products.mask_of_function(
                    party, lambda arrays: np.asarray(words(*arrays)), lambda parts: shares(*parts), masks
                )
            return result

    def add_public(self, x: Shared, words: Words) -> Value:
        """Return x + words, which broadcast."""
        value, words = self._party.check(x), self._words(words, "public values")
        shape = broadcast(value.shape, words.shape)
        with self._step("add") as party:
            if not party.computes:
                result = party.value(shape, None)
            else:
                words = np.broadcast_to(words, shape)
                result = party.value(shape, party.share_of(value) + party.public(words))
            if value.mask is not None:
                result.mask = products.moved(party, value.mask, words, shape)
            elif value.bit_mask is not None:
                result.bit_mask = products.moved(party, value.bit_mask, words, shape)
            return result

    def linear(self, function: Linear, shape: Shape, *values: Shared) -> Value:
        """Return function(*values), of this shape, for a function that is linear over the ring in all arrays at once.

        Functions that pick elements and multiply them by public words cost nothing. Others open what is not masked yet,
        in a round, and take a correlation of the result's size.

        Raises:
            ParameterError: the function returns something else than an array of uint64 of that shape.
        """
        handles = [self._party.check(value) for value in values]
        if not handles:
            raise ParameterError("expected at least one value, found none")
        with self._step("linear") as party:
            return _shape_alone(party, shape) if self._is_outside else products.linear(party, function, shape, handles)

    def subset_sums(self, rows: Shared, coins: bytes | None) -> Value:
        """Return for each of `(n, count)` rows the sums of subsets that coins choose, without a message."""
        value = self._party.check(rows)
        with self._step("fingerprint") as party:
            share = None
            if party.computes:
                whole = party.share_of(value)
                share = sums_of_subsets(
                    _drawn(coins), value.shape[1], lambda columns, chosen: whole.columns(columns).before(chosen)
                )
            return party.value((value.shape[0], SUMS), share)

    # -- products -----------------------------------------------------------------------------------------------------

    def multiply(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Value]:
        """Return the element-wise products, which broadcast, in one round, or in none where all are masked already."""
        handles = [(self._party.check(x), self._party.check(y)) for x, y in pairs]
        shapes = [broadcast(x.shape, y.shape) for x, y in handles]
        with self._step("multiply") as party:
            if self._is_outside:
                return [_shape_alone(party, shape) for shape in shapes]
            return products.multiply(party, handles, shapes)

    def matmul(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Value]:
        """Return matrix products `(..., m, k) @ (..., k, n)`, in one round, or in none where all are masked already."""
        handles = [(self._party.check(x), self._party.check(y)) for x, y in pairs]
        shapes = [matmul_shape(x.shape, y.shape) for x, y in handles]
        with self._step("matmul") as party:
            if self._is_outside:
                return [_shape_alone(party, shape) for shape in shapes]
            return products.matmul(party, handles, shapes)

    def truncate(self, values: Sequence[Shared], bits: int, bound: int, rounding: Rounding) -> list[Value]:
        """Return values / 2^bits, rounded. `stochastic` takes one round, and the exact ones a comparison more.

        Raises:
            RangeError: bound >= 2^62, for `nearest` with half a unit added.
        """
        handles = [self._party.check(value) for value in values]
        check(self.ring_bits, bits, bound, rounding)
        with self._step("truncate") as party:
            if self._is_outside:
                return [_shape_alone(party, handle.shape) for handle in handles]
            return truncation.truncate(party, handles, bits, bound, rounding)

    # -- comparisons --------------------------------------------------------------------------------------------------

    def negative(self, values: Sequence[Shared], bound: int) -> list[Value]:
        """Return 1 where a value is below zero, else 0.

        Raises:
            RangeError: bound >= 2^63.
        """
        handles = [self._party.check(value) for value in values]
        width_of(bound, self.ring_bits)
        with self._step("negative") as party:
            if self._is_outside:
                return [_shape_alone(party, handle.shape) for handle in handles]
            return comparison.negative(party, handles, bound)

    def keep_if(self, bits: Sequence[Shared], values: Sequence[Shared]) -> list[Value]:
        """Return bit * value, which broadcast. Bits as `negative` and `relu` gave them are not opened again."""
        if len(bits) != len(values):
            raise ParameterError(f"expected a value for each of {len(bits)} bits, found {len(values)}")
        return self.multiply(list(zip(bits, values, strict=True)))

    def relu(self, values: Sequence[Shared], bound: int) -> tuple[list[Value], list[Value]]:
        """Return max(0, value), and 1 where a value is at least zero, in the rounds of one comparison.

        Raises:
            RangeError: bound >= 2^63.
        """
        handles = [self._party.check(value) for value in values]
        width_of(bound, self.ring_bits)
        with self._step("relu") as party:
            if self._is_outside:
                shapes = [handle.shape for handle in handles]
                return [_shape_alone(party, shape) for shape in shapes], [
                    _shape_alone(party, shape) for shape in shapes
                ]
            return comparison.relu(party, handles, bound)

    def __repr__(self) -> str:
        return f"DealerMacBackend(me={self.me!r}, computing={self.computing})"


def _at(masks: list[Words] | None, place: int) -> Words:
    """Return one of the masks that this party must know."""
    if masks is None:
        raise OrderError("expected masks that this party knows, found none")
    return masks[place]


def _drawn(coins: bytes | None) -> bytes:
    """Return the coins that a computing party must have."""
    if coins is None:
        raise ParameterError("expected coins of all computing parties, found none")
    return coins


def _shape_alone(party: MacParty, shape: Shape) -> Value:
    """Return what an outside party has of a result."""
    return party.value(shape, None)
