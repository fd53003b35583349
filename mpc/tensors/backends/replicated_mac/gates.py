"""What the parties have shared of products and not yet proven to each other.

Party i is the prover of what it shares. It holds components i and i + 1. Of these the party before it, its *left*
verifier, knows component i, and the party after it, its *right* one, component i + 1. A claim of party i is, for
arrays that the left verifier knows, arrays that the right one knows, and a sum of which each knows a part::

    left_1 right_1 + left_2 right_2 + ... = left_sum + right_sum

The prover knows all of it. Each party is the prover of its own claims, and a verifier of those of both others. Numbers
are claimed modulo 2^64 and bits, 64 a word, modulo 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.replicated.keys import PARTIES

Present = tuple[Words | None, Words | None]
"""The two components that a party holds of a factor, or None for one that all know to be zero."""


Zeros = frozenset[int]
"""The numbers of components that all know to be zero."""


def crosses(party: int, x: Zeros, y: Zeros) -> bool:
    """Return whether a product has a term of component `party` of x and the next one of y."""
    return party not in x and (party + 1) % PARTIES not in y


@dataclass(frozen=True, repr=False)
class Claim:
    """One party's view of a claim. All arrays have the gate's shape, or broadcast to it.

    Attributes:
        prover: the number of the party whose claim it is.
        left, right: the factors, in pairs. The left verifier has no `right`, and the right one no `left`.
        left_sum: at the left verifier alone.
        right_sum: at the prover and the right verifier.
    """

    prover: int
    left: Sequence[Words] | None = None
    right: Sequence[Words] | None = None
    left_sum: Words | None = None
    right_sum: Words | None = None

    def __repr__(self) -> str:
        return f"Claim(prover={self.prover})"


@dataclass(frozen=True)
class Gate:
    """Element-wise products of one shape, with this party's views of the claims about them."""

    shape: Shape
    claims: Sequence[Claim]

    @property
    def size(self) -> int:
        """About as many bytes as this keeps from being freed, and its check takes, at every party alike."""
        return 64 * prod(self.shape)


@dataclass(frozen=True, repr=False)
class MatrixGate:
    """A product of matrices, whose claims are made when they are checked.

    Attributes:
        shape: of the result.
        factors: the shapes of both factors.
        x, y: the factors' components.
        zeros: those of each factor that are zero.
        provers: the numbers of those who have shared a part of it.
        sent: this party's message as a prover.
        drawn: what hides the message of the party after, which this one draws too.
        received: the message of the party before.
    """

    shape: Shape
    factors: tuple[Shape, Shape]
    x: Present
    y: Present
    zeros: tuple[Zeros, Zeros]
    provers: Sequence[int]
    sent: Words | None
    drawn: Words | None
    received: Words | None

    @property
    def size(self) -> int:
        """About as many bytes as this keeps from being freed, at every party alike."""
        return 16 * (sum(map(prod, self.factors)) + 2 * prod(self.shape)) if prod(self.shape) else 0

    def __repr__(self) -> str:
        return f"MatrixGate(shape={self.shape})"


@dataclass(repr=False)
class Pending:
    """All that was shared and is not yet checked.

    Attributes:
        numbers, bits: the gates, in the order of the program.
        size: bytes that they keep from being freed, about.
        checked: whether nothing has happened that a check could find.
    """

    numbers: list[Gate | MatrixGate] = field(default_factory=list)
    bits: list[Gate] = field(default_factory=list)
    size: int = 0
    checked: bool = True

    def add_numbers(self, gate: Gate | MatrixGate) -> None:
        """Take note of products of numbers."""
        if gate.size:
            self.numbers.append(gate)
            self._grow(gate.size)

    def add_bits(self, gate: Gate) -> None:
        """Take note of products of bits."""
        if gate.size:
            self.bits.append(gate)
            self._grow(gate.size)

    def _grow(self, size: int) -> None:
        self.size += size
        self.checked = False

    def forget(self) -> None:
        """Drop everything, after a check or when the session ends."""
        self.numbers, self.bits, self.size, self.checked = [], [], 0, True

    def __repr__(self) -> str:
        return f"Pending(numbers={len(self.numbers)}, bits={len(self.bits)}, size={self.size})"
