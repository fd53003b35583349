"""Sums of two components, as bits and as numbers, which one party shares because it knows both.

Party t knows components p and q of a value, and so c = p + q. Its left verifier knows p, and its right one q. It shares
the carries of the addition, one word a value. With C the carries out of each bit, and K = 2 C those into it, each bit
of the addition is one product::

    (p ^ K) & (q ^ K) = C ^ K                 c = p ^ q ^ K

C = A ^ B, of which the left verifier draws A, and the right one gets B. So p ^ 2 A and q ^ 2 B are XOR components of
c, and the products are a claim of bits whose factors are those of :mod:`.gates`::

    (p ^ 2 A) & (q ^ 2 B)  ^  2 A & 2 B  =  (A ^ 2 A ^ (p ^ 2 A) & 2 A)  ^  (B ^ 2 B ^ (q ^ 2 B) & 2 B)

A bit l ^ r, of which the left verifier knows l and the right one r, becomes a number that the party shares as d + e::

    - 2 l r = (d - l) + (e - r)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import plane_words, to_planes
from mpc.tensors.backends.replicated.keys import PARTIES
from mpc.tensors.backends.replicated.masked import known
from mpc.tensors.backends.replicated.trio import Pair, lowest
from mpc.tensors.backends.replicated_mac.gates import Claim, Gate
from mpc.tensors.backends.replicated_mac.guarded import Guarded, Part, Shares

_ONE = np.uint64(1)


@dataclass(frozen=True, repr=False)
class Half:
    """What the prover and one of its verifiers know of a sum.

    Attributes:
        component: the XOR component of c.
        carries: that of the carries out of each bit.
        into: that of the carries into each bit.
    """

    component: Words
    carries: Words
    into: Words

    @classmethod
    def of(cls, component: Words, carries: Words | None, bits: int) -> Half:
        """Return what follows from p or q, and from a component of the carries."""
        carries = known(carries)
        into = lowest(carries << _ONE, bits)
        return cls(component ^ into, carries, into)

    def factors(self, bits: int) -> list[Words]:
        """Return this side's factors of the claim."""
        return [_packed(self.component, bits), _packed(self.into, bits)]

    def sum(self, bits: int) -> Words:
        """Return this side's part of what the products are claimed to add up to."""
        return _packed(self.carries ^ self.into ^ (self.component & self.into), bits)

    def __repr__(self) -> str:
        return "Half(<hidden>)"


@dataclass(frozen=True, repr=False)
class Sum:
    """One party's view of a sum c of words of so many bits. The left verifier has the left half alone."""

    bits: int
    left: Half | None
    right: Half | None

    def planes(self, trio: Guarded, who: int, bits: int) -> Pair:
        """Return this party's components of the lowest planes of c, of which number `who` + 2 is zero."""
        halves = {who: self.left, (who + 1) % PARTIES: self.right}
        planes = {number: to_planes(half.component, bits) for number, half in halves.items() if half is not None}
        return trio.components(planes, next(iter(planes.values())).shape)

    def __repr__(self) -> str:
        return f"Sum(bits={self.bits})"


def carries_of(p: Words, q: Words, bits: int) -> Words:
    """Return the carries out of each bit of p + q, for words of so many bits."""
    total = p + q
    into = total ^ p ^ q
    if bits < 64:
        return into >> _ONE
    return (into >> _ONE) | ((total < p).astype(np.uint64) << np.uint64(63))


def part_of_carries(trio: Guarded, who: int, pair: Pair, bits: int) -> Part:
    """Return what party `who` shares of the carries, from this party's components of a flat array."""
    value = carries_of(pair[0], pair[1], bits) if trio.me == who else None
    return Part(pair[0].shape, [who], value, bits, planes=True)


def sum_of(trio: Guarded, who: int, pair: Pair, shares: Shares, bits: int) -> Sum:
    """Return the sum, from this party's components and what party `who` has shared, and claim that it is right."""
    left = right = left_sum = right_sum = None
    if trio.me == who:
        left, right = Half.of(pair[0], shares.kept, bits), Half.of(pair[1], shares.sent, bits)
    elif trio.after == who:
        left = Half.of(pair[1], shares.drawn, bits)
        left_sum = left.sum(bits)
    else:
        right = Half.of(pair[0], shares.received, bits)
    if right is not None:
        right_sum = right.sum(bits)
    claim = Claim(
        who,
        None if left is None else left.factors(bits),
        None if right is None else right.factors(bits),
        left_sum,
        right_sum,
    )
    trio.claim_bits(Gate((pair[0].size if bits == 64 else bits * plane_words(pair[0].size),), [claim]))
    return Sum(bits, left, right)


def _packed(words: Words, bits: int) -> Words:
    """Return words of so many bits without what they do not use, for a claim."""
    return words if bits == 64 else to_planes(words, bits).reshape(-1)


Bit = tuple[int, "Words | None", "Words | None"]
"""A public factor, and what this party knows of a bit l ^ r: l, or r, or both, as words that are 0 or 1."""


def claim_number(trio: Guarded, who: int, shares: Shares, shape: Shape, bits: Sequence[Bit]) -> None:
    """Claim that a number that party `who` has shared is the sum of bits, each times its factor modulo 2^64."""
    left = right = left_sum = right_sum = None
    if trio.before != who:  # this is not the right verifier
        left = [np.uint64(-2 * factor % 2**64) * known(own) for factor, own, _ in bits]
    if trio.after == who:
        left_sum = known(shares.drawn)
        for factor, own, _ in bits:
            left_sum = left_sum - np.uint64(factor % 2**64) * known(own)
    if trio.after != who:  # nor the left one
        right = [known(own) for _, _, own in bits]
        right_sum = known(shares.sent if trio.me == who else shares.received)
        for factor, _, own in bits:
            right_sum = right_sum - np.uint64(factor % 2**64) * known(own)
    trio.claim_numbers(Gate(shape, [Claim(who, left, right, left_sum, right_sum)]))
