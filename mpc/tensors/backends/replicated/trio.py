"""What the steps of the three parties work on, and the messages that pass between them.

There are three kinds of message, each with one array or more::

    around   party i        ───►  party i - 1     of three additive shares, each gives its own to the one before
    paired   party 0       ◄───►  party 1         of two additive shares, which become component 1
    third    party 2        ───►  parties 0, 1    what the third party knows alone

All shares that pass are hidden by words from the keys, so that each receiver sees uniform words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from mpc.errors import OrderError, ParameterError
from mpc.ring import Words
from mpc.tensors.backends.dealing import draw, shapes_in_label
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import KeyStream
from mpc.tensors.backends.replicated.keys import PARTIES, Keys
from mpc.tensors.network import Network, from_wire, to_wire, wire_size

THIRD = 2
"""The number of the third party, which knows masks."""
Pair = tuple[Words, Words]
"""The two components that a party holds: that of its own number, and the next one."""


class Replica:
    """A shared array, as one party of one session holds it. It prints its shape and never a share.

    A product is a sum of three additive shares at first, and so are linear functions of it. It becomes components when
    they are needed (:meth:`Trio.settle`), which may be never, because a truncation takes the shares themselves.

    Attributes:
        session: of the party that made it.
        shape: of the array.
        pair: the components of this party, or None for a party that does not compute and for what waits.
        zeros: the numbers of components that are zero for all to know, because of how the value was shared.
        share: this party's additive share of what waits.
        others: what waits with it and becomes components in the same round: the products of one call, and what came of
            them.
    """

    __slots__ = ("others", "pair", "session", "shape", "share", "size", "zeros")

    def __init__(self, session: object, shape: Shape, pair: Pair | None, zeros: frozenset[int] = frozenset()) -> None:
        self.session = session
        self.shape = shape
        self.size = prod(shape)
        self.pair = pair
        self.zeros = zeros
        self.share: Words | None = None
        self.others: list[Replica] = []

    def __repr__(self) -> str:
        return f"Replica(shape={self.shape})"


@dataclass(frozen=True)
class Form:
    """What an array of a message looks like: so many words modulo 2^bits, or words of planes."""

    count: int
    bits: int = 64
    planes: bool = False

    @property
    def size(self) -> int:
        """The bytes on the wire."""
        return wire_size(self.count, self.bits)


class Trio:
    """One party of a session.

    Attributes:
        computing: the names of the three computing parties, in their order.
        place: this party's number among them, or None for an outside party.
        ring_bits: of the ring that values are shared in.
    """

    def __init__(self, network: Network, computing: tuple[str, ...], ring_bits: int, keys: Keys) -> None:
        self.network = network
        self.computing = computing
        self.place = computing.index(network.me) if network.me in computing else None
        self.ring_bits = ring_bits
        self._keys = keys
        self._numbers: dict[str, int] = {}
        self._ring_mask = np.uint64((1 << ring_bits) - 1)

    # -- values -------------------------------------------------------------------------------------------------------

    def reduce(self, words: Words) -> Words:
        """Return words modulo 2^ring_bits."""
        return np.asarray(words) if self.ring_bits == 64 else np.asarray(words & self._ring_mask)

    def replica(self, shape: Shape, pair: Pair | None, zeros: Iterable[int] = ()) -> Replica:
        """Return a new shared array of this session, with this party's components if it computes."""
        for component in pair or ():
            if component.shape != shape:
                raise OrderError(f"expected a component of shape {shape}, found {component.shape}")
            component.setflags(write=False)  # shared arrays share memory with each other
        return Replica(self, shape, pair, frozenset(zeros))

    def waiting(self, shape: Shape, share: Words, others: list[Replica]) -> Replica:
        """Return a sum of this session that waits with others, from this party's additive share of it."""
        result = self.replica(shape, None)
        result.share = self.reduce(share)
        result.share.setflags(write=False)
        result.others = others
        others.append(result)
        return result

    def came_of(self, shape: Shape, share: Words, parents: Sequence[Replica]) -> Replica:
        """Return what a linear function gives for values of which some wait, in their place.

        They are seldom needed besides. So they are settled no longer with others, but alone if at all.
        """
        waiting = [parent for parent in parents if parent.share is not None]
        self.spend(waiting)
        return self.waiting(shape, share, waiting[-1].others)

    def share_of(self, value: Replica) -> Words:
        """Return an additive share of any value at this computing party."""
        return self.pair_of(value)[0] if value.share is None else value.share

    def settle(self, values: Sequence[Replica]) -> None:
        """Make components of all among these that wait, and of what waits with them, in one round."""
        waiting: dict[int, Replica] = {}
        for value in values:
            if value.share is not None:
                waiting[id(value)] = value
                waiting |= {id(other): other for other in value.others if other.share is not None}
        if not waiting:
            return
        with self.network.in_step("products"), np.errstate(over="ignore"):
            shares = [self.hidden(each) for each in waiting.values()]
            found = self.around("products", shares, self.ring_bits)
        for each, pair in zip(waiting.values(), found, strict=True):
            for component in pair:
                component.setflags(write=False)
            each.pair, each.share = pair, None
            self.spend([each])

    def hidden(self, value: Replica) -> Words:
        """Return this party's additive share of any value, hidden anew whenever it is asked for."""
        return self.reduce(self.zero(value.shape) + self.share_of(value))

    def spend(self, values: Sequence[Replica]) -> None:
        """Let values become components no longer with others, but only where they themselves are needed."""
        for each in values:
            each.others[:] = [other for other in each.others if other is not each]

    def pair_of(self, value: Replica) -> Pair:
        """Return this computing party's components. Raises OrderError where it has none."""
        self.settle([value])
        if value.pair is None:
            raise OrderError(f"expected {self.network.me} to hold components, found none")
        return value.pair

    def check(self, value: object) -> Replica:
        """Return a shared array of this party and session. Raises ParameterError for any other."""
        if not isinstance(value, Replica):
            raise ParameterError(f"expected a shared array of this back-end, found a {type(value).__name__}")
        if value.session is not self:
            whose = value.session.network.me if isinstance(value.session, Trio) else "another back-end"
            raise ParameterError(f"expected a shared array of {self.network.me} in this session, found one of {whose}")
        return value

    def public(self, words: Words) -> Pair:
        """Return the components of public values, which are component 0. The others are zero."""
        return self.alone(0, words)

    def alone(self, component: int, words: Words) -> Pair:
        """Return the components of what the holders of one component know. The others are zero."""
        return self._placed(component, words, words.shape)

    def _placed(self, component: int, words: Words, shape: Shape) -> Pair:
        first, second = (
            words if self.own(number) == component else np.zeros(shape, dtype=np.uint64) for number in range(2)
        )
        return first, second

    def own(self, number: int) -> int:
        """Return which component stands first (0) or second (1) with this computing party."""
        if self.place is None:
            raise OrderError(f"expected {self.network.me} to compute, found that it does not")
        return (self.place + number) % PARTIES

    # -- keys ---------------------------------------------------------------------------------------------------------

    def stream(self, component: int, purpose: str, owner: str = "") -> KeyStream:
        """Return the stream of one purpose of a key that this party has."""
        return self._keys.stream(component, purpose, owner)

    def draw(self, component: int, purpose: str, shape: Shape, bits: int, owner: str = "") -> Words:
        """Return the next words of a key, which both of its holders draw."""
        return draw(self.stream(component, purpose, owner), shape, bits)

    def zero(self, shape: Shape) -> Words:
        """Return this party's additive share of zero. Any two of the three shares are uniform."""
        share = self.stream(self.own(0), "zero").words(shape)
        self.stream(self.own(1), "zero").subtract_from(share)
        return share

    def zero_planes(self, shape: Shape) -> Words:
        """Return this party's XOR share of zeros. Any two of the three shares are uniform."""
        share = self.stream(self.own(0), "zero").words(shape)
        self.stream(self.own(1), "zero").exclusive_or_into(share)
        return share

    # -- messages -----------------------------------------------------------------------------------------------------

    def label(self, kind: str, shapes: Sequence[Shape]) -> str:
        """Return the label of the next message of a kind. All parties number them alike, inputs and outputs apart.

        Outside parties have a part in inputs and outputs alone.
        """
        numbered = kind if kind in ("input", "output") else ""
        number = self._numbers[numbered] = self._numbers.get(numbered, -1) + 1
        return f"{kind}/{number}/{shapes_in_label(shapes)}"

    def around(self, what: str, shares: Sequence[Words], bits: int) -> list[Pair]:
        """Return components from additive shares, or XOR shares, that :meth:`zero` has hidden.

        Each party's share is the component of its number. It sends it to the party before, whose second one it is.
        """
        me = self.own(0)
        before, after = self.computing[me - 1], self.computing[(me + 1) % PARTIES]
        label = self.label(f"around/{what}", [share.shape for share in shares])
        forms = [Form(share.size, bits) for share in shares]
        parts = [to_wire(share, bits) for share in shares]
        body = self.network.swap(label, {before: parts}, {after: sum(form.size for form in forms)})[after]
        received = self._split(after, body, forms)
        return [(share, theirs.reshape(share.shape)) for share, theirs in zip(shares, received, strict=True)]

    def paired(self, what: str, shape: Shape, share: Callable[[], Words] | None, bits: int, *, planes: bool) -> Pair:
        """Return components of what parties 0 and 1 hold additive shares of, or XOR shares. The third has none.

        Components 0 and 2 are drawn from the keys that party 0, and party 1, has with the third party. What is left of
        the two shares is opened between both and is component 1.
        """
        label = self.label(f"paired/{what}", [shape])
        hidden = [self.draw(self.own(n), "paired", shape, bits) for n in range(2) if self.own(n) != 1]
        if share is None:
            return hidden[0], hidden[1]
        mine = share()
        left = mine ^ hidden[0] if planes else mine - hidden[0]
        peer = self.computing[1 - self.own(0)]
        form = Form(prod(shape), bits)
        body = self.network.swap(label, {peer: [to_wire(left, bits)]}, {peer: form.size})[peer]
        (theirs,) = self._split(peer, body, [form])
        theirs = theirs.reshape(shape)
        both = left ^ theirs if planes else left + theirs
        if bits < 64:
            both = both & np.uint64((1 << bits) - 1)
        return (hidden[0], both) if self.own(0) == 0 else (both, hidden[0])

    def third(
        self,
        what: str,
        shapes: Sequence[Shape],
        forms: tuple[Sequence[Form], Sequence[Form]],
        made: Sequence[Words],
        paired: tuple[Words, Form] | None = None,
    ) -> list[Words]:
        """Return what the third party sends this one, which is nothing to itself.

        Args:
            what, shapes: for the label.
            forms: of the arrays that party 0 gets, and party 1.
            made: the arrays for party 0 and then those for party 1, at the third party alone.
            paired: what parties 0 and 1 send each other in the same round, which comes last in what is returned.
        """
        label = self.label(f"third/{what}", shapes)
        if self.own(0) == THIRD:
            every = [*forms[0], *forms[1]]
            parts = [to_wire(words, form.bits) for words, form in zip(made, every, strict=True)]
            cut = len(forms[0])
            bodies = {self.computing[0]: parts[:cut], self.computing[1]: parts[cut:]}
            self.network.swap(label, {name: body for name, body in bodies.items() if body}, {})
            return []
        mine = forms[self.own(0)]
        if not mine:
            return []
        third, peer = self.computing[THIRD], self.computing[1 - self.own(0)]
        sizes = {third: sum(form.size for form in mine)}
        bodies = {}
        if paired is not None:
            bodies[peer], sizes[peer] = [to_wire(paired[0], paired[1].bits)], paired[1].size
        received = self.network.swap(label, bodies, sizes)
        found = self._split(third, received[third], mine)
        return found if paired is None else [*found, *self._split(peer, received[peer], [paired[1]])]

    def _split(self, peer: str, body: memoryview, forms: Sequence[Form]) -> list[Words]:
        """Return the flat arrays of a message. Raises ProtocolError for words wider than their form."""
        arrays, start = [], 0
        with self.network.channel(peer).naming_peer():
            for form in forms:
                arrays.append(from_wire(body[start : start + form.size], form.bits))
                start += form.size
        return arrays

    def __repr__(self) -> str:
        return f"Trio(me={self.network.me!r}, computing={self.computing})"
