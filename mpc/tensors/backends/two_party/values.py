"""Shared arrays as one of two parties holds them, and bits that are shared twice.

A bit b comes out of a comparison in two ways: as additive shares in the ring, and as shares under XOR, one bit a party.
A product with the latter takes two OTs, where one with ring elements takes 2 ring_bits. Both belong together through
linear functions that only pick elements or change signs::

    value = offset + sign * b                    offset and sign are public

so 1 - b, slices and transpositions keep that form. Other functions of bits lose it, and are multiplied as numbers are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.gathers import Gather, gather_of
from mpc.tensors.backends.handles import Handle
from mpc.tensors.backends.interface import Linear, Shape
from mpc.tensors.backends.party import Party


@dataclass(frozen=True, repr=False)
class Bit:
    """Bits under XOR. All arrays have the shape of the value.

    Attributes:
        share: this party's share, 0 or 1.
        sign, offset: public words, for value = offset + sign * bit in the ring.
    """

    share: Words
    sign: Words
    offset: Words

    def moved(self, words: Words, ring_mask: np.uint64) -> Bit:
        """Return the form of value + words, which are public and of the same shape."""
        return Bit(self.share, self.sign, (self.offset + words) & ring_mask)

    def gathered(self, gather: Gather, ring_mask: np.uint64) -> Bit:
        """Return the form of elements that a linear function picks."""
        return Bit(
            gather.of(self.share),
            gather.sign * gather.of(self.sign) & ring_mask,
            gather.sign * gather.of(self.offset) & ring_mask,
        )

    def __repr__(self) -> str:
        return f"Bit(shape={self.share.shape})"


class Value(Handle):
    """A shared array. Where it came from does not matter here, and so it has no masks."""

    __slots__ = ("bit",)

    def __init__(self, session: object, shape: Shape, share: Words | None, bit: Bit | None = None) -> None:
        super().__init__(session, shape, share)
        self.bit = bit


def value(party: Party, shape: Shape, share: Words | None, bit: Bit | None = None) -> Value:
    """Return a new value of this session, with this party's share if it computes."""
    if share is not None:
        share = np.asarray(share)
        share.setflags(write=False)  # values share memory with each other
    return Value(party, shape, share, bit)


def ring_mask(party: Party) -> np.uint64:
    """Return the largest word of the ring."""
    return np.uint64((1 << party.ring_bits) - 1)


def picked(party: Party, function: Linear, before: Value, shape: Shape) -> Bit | None:
    """Return the bit's form after a linear function of this value alone, where it has one."""
    if before.bit is None or (gather := gather_of(function, before.shape, shape)) is None:
        return None
    return before.bit.gathered(gather, ring_mask(party))
