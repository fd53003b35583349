"""A party of three that lets nothing pass unproven, and the one message by which products are shared.

Party i shares a value v that it knows, such as the sum of its products of components::

    a = key i                      component i         known to i, and to i - 1 by the key
    v - a   ───►  party i + 1      component i + 1     known to both

To party i + 1, which does not have key i, the message is uniform. Party i - 1 receives nothing. Whatever party i sends
is a sharing of something, so that the only cheat is a wrong v. That it is right is a claim (:mod:`.gates`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from mpc.errors import OrderError
from mpc.randomness import RoleRandomness
from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.replicated.keys import PARTIES, Keys
from mpc.tensors.backends.replicated.trio import Form, Pair, Replica, Trio, lowest
from mpc.tensors.backends.replicated_mac.gates import Gate, MatrixGate, Pending
from mpc.tensors.network import Network, to_wire

RING_BITS = 64
MOST_PENDING = 1 << 27
"""Bytes of what is shared and not checked, about, after which a check comes without a reveal."""


class Held(Replica):
    """A shared array, as one party holds it.

    Attributes:
        fresh: whether its components are uniform, apart from their sum, and belong to no other value.
    """

    __slots__ = ("fresh",)

    def __init__(self, session: object, shape: Shape, pair: Pair | None, zeros: frozenset[int] = frozenset()) -> None:
        super().__init__(session, shape, pair, zeros)
        self.fresh = False

    def __repr__(self) -> str:
        return f"Held(shape={self.shape})"


@dataclass(frozen=True, repr=False)
class Part:
    """What some parties share of an array.

    Attributes:
        shape: of the array.
        provers: the numbers of the parties that share one each.
        value: this party's, if it is one of them.
        bits: of a word on the wire.
        planes: whether words are combined by XOR.
    """

    shape: Shape
    provers: Sequence[int]
    value: Words | None
    bits: int = RING_BITS
    planes: bool = False

    def __repr__(self) -> str:
        return f"Part(shape={self.shape}, provers={self.provers})"


@dataclass(frozen=True, repr=False)
class Shares:
    """What a party has of a :class:`Part`. Each is None where the party that it came of shares nothing.

    Attributes:
        kept: this party's drawn component, and `sent` its message.
        drawn: the drawn component of the party after, and `received` the message of the one before.
    """

    kept: Words | None
    sent: Words | None
    drawn: Words | None
    received: Words | None

    def __repr__(self) -> str:
        return "Shares(<hidden>)"


class Guarded(Trio):
    """One party of a session.

    Attributes:
        pending: what was shared and is not yet proven.
    """

    def __init__(
        self, network: Network, computing: tuple[str, ...], keys: Keys, randomness: RoleRandomness, most_pending: int
    ) -> None:
        super().__init__(network, computing, RING_BITS, keys)
        self.pending = Pending()
        self.randomness = randomness.source("check")
        self.checks = 0
        self._most_pending = most_pending
        self._turns = 0
        self._alike = {component: hashlib.sha256() for component in range(PARTIES)}

    # -- places -------------------------------------------------------------------------------------------------------

    @property
    def me(self) -> int:
        """This computing party's number."""
        return self.own(0)

    @property
    def after(self) -> int:
        """The number of the party after, whose left verifier this one is."""
        return self.own(1)

    @property
    def before(self) -> int:
        """The number of the party before, whose right verifier this one is."""
        return (self.own(0) - 1) % PARTIES

    def turn(self) -> int:
        """Return whose turn it is to do what one party does for all. All parties call this alike."""
        self._turns += 1
        return self._turns % PARTIES

    # -- values -------------------------------------------------------------------------------------------------------

    def replica(self, shape: Shape, pair: Pair | None, zeros: Iterable[int] = ()) -> Held:
        """Return a new shared array of this session, with this party's components if it computes."""
        made = super().replica(shape, pair, zeros)
        return Held(self, shape, made.pair, made.zeros)

    def components(self, numbers: dict[int, Words], shape: Shape) -> Pair:
        """Return this party's two components among those by number. What is missing is zero."""
        nothing = np.uint64(0)
        first, second = (np.broadcast_to(numbers.get(self.own(n), nothing), shape) for n in range(2))
        return first, second

    # -- what is shared -----------------------------------------------------------------------------------------------

    def shared(self, what: str, parts: Sequence[Part]) -> list[Shares]:
        """Let parties share what they know, all in one round. See the module."""
        label = self.label(f"share/{what}", [part.shape for part in parts])
        kept = [self._hides(self.me, part) for part in parts]
        drawn = [self._hides(self.after, part) for part in parts]
        sent = [None if hidden is None else _less(part, hidden) for part, hidden in zip(parts, kept, strict=True)]
        awaited = [part for part in parts if self.before in part.provers]
        forms = [Form(prod(part.shape), part.bits) for part in awaited]
        bodies = [to_wire(words, part.bits) for part, words in zip(parts, sent, strict=True) if words is not None]
        before, after = self.computing[self.before], self.computing[self.after]
        arrays: Iterator[Words] = iter([])
        if bodies or forms:
            sizes = {before: sum(form.size for form in forms)} if forms else {}
            received = self.network.swap(label, {after: bodies} if bodies else {}, sizes)
            if forms:
                arrays = iter(self._split(before, received[before], forms))
        return [
            Shares(a, m, b, next(arrays).reshape(part.shape) if self.before in part.provers else None)
            for part, a, m, b in zip(parts, kept, sent, drawn, strict=True)
        ]

    def _hides(self, prover: int, part: Part) -> Words | None:
        if prover not in part.provers:
            return None
        return self.draw(prover, "shared bits" if part.planes else "shared", part.shape, part.bits)

    def tell(self, what: str, words: Words) -> None:
        """Send the party after words, which the third party will compare with it, facing :meth:`told`."""
        label = self.label(f"tell/{what}", [words.shape])
        self.network.swap(label, {self.computing[self.after]: [to_wire(words, RING_BITS)]}, {})

    def told(self, what: str, shape: Shape) -> Words:
        """Receive words of the party before."""
        label, before = self.label(f"tell/{what}", [shape]), self.computing[self.before]
        form = Form(prod(shape), RING_BITS)
        body = self.network.swap(label, {}, {before: form.size})[before]
        (words,) = self._split(before, body, [form])
        return words.reshape(shape)

    def pass_by(self, what: str, shape: Shape) -> None:
        """Stand, at the third party, where the others call :meth:`tell` and :meth:`told`."""
        self.label(f"tell/{what}", [shape])

    # -- what is to be checked ----------------------------------------------------------------------------------------

    def claim_numbers(self, gate: Gate | MatrixGate) -> None:
        """Take note of products of numbers, for the next check."""
        self.pending.add_numbers(gate)

    def claim_bits(self, gate: Gate) -> None:
        """Take note of products of bits, for the next check."""
        self.pending.add_bits(gate)

    def alike(self, component: int, words: Words) -> None:
        """Take note of what both holders of a component must have got alike."""
        self._alike[component].update(to_wire(words, RING_BITS))
        self.pending.checked = False

    def digest(self, component: int) -> bytes:
        """Return a hash of all that both holders of a component must have got alike."""
        return self._alike[component].digest()

    @property
    def is_late(self) -> bool:
        """Whether so much is pending that it is to be checked even if nothing is revealed."""
        return self.pending.size > self._most_pending

    def forget(self) -> None:
        """Lose the keys and all that is pending, so that nothing can be computed or opened any more."""
        self._keys.forget()
        self.pending.forget()

    def __repr__(self) -> str:
        return f"Guarded(me={self.network.me!r}, computing={self.computing})"


def _less(part: Part, hidden: Words) -> Words:
    if part.value is None:
        raise OrderError("expected a prover that knows what it shares, found none")
    value = np.broadcast_to(part.value, part.shape)
    return np.asarray(value ^ hidden) if part.planes else lowest(np.asarray(value - hidden), part.bits)
