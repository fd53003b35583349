"""Comparisons with zero, by garbled circuits, and from bits under XOR to the ring.

x is negative where the highest bit of x modulo 2^m is one, for 2^m > 2 |x|. Of x = x_0 + x_1 modulo 2^m, that bit is::

    top(x_0) ^ top(x_1) ^ [low(x_0) + low(x_1) >= 2^(m-1)]        low: without the highest of the m bits

The first two are known to one party each. The third is one garbled comparison of m - 1 AND gates, because a + b >= 2^n
says that 2^n - 1 - a is less than b. Its output is opened to nobody. The garbler keeps the permute bits of the output
labels and the evaluator keeps the colours, which are shares under XOR. To the ring a bit b = beta_0 ^ beta_1 goes by
one OT, as b = beta_0 + beta_1 (1 - 2 beta_0).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from mpc._core import Circuit
from mpc.channels.frames import Channel
from mpc.garbled import Evaluator, Garbler
from mpc.garbled.pieces import pieces_of
from mpc.randomness import RoleRandomness
from mpc.ring import Words
from mpc.tensors.backends.comparison import width_of
from mpc.tensors.backends.party import Party
from mpc.tensors.backends.two_party.oblivious import Chosen, Sent, Transfers
from mpc.tensors.backends.two_party.products import joined
from mpc.tensors.backends.two_party.values import Bit, Value, ring_mask, value

_ONE = np.uint64(1)


@cache
def _less_than(width: int) -> Circuit:
    return Circuit.less_than(width)


class Carries:
    """One party's side of garbled comparisons. The first party garbles. Making it does the base OTs.

    Args:
        channel: to the other party.
        first: whether this is the first party.
        randomness: for known-answer tests.
    """

    def __init__(self, channel: Channel, randomness: RoleRandomness, *, first: bool) -> None:
        source = randomness.source("garbled")
        self._garbler = Garbler.open(channel, source, circuits="streamed") if first else None
        self._evaluator = None if first else Evaluator.open(channel, source, circuits="streamed")

    def carry(self, words: Words, bits: int) -> Words:
        """Return a share under XOR of whether both parties' flat words modulo 2^bits add up to 2^bits and more."""
        mask, top = np.uint64((1 << bits) - 1), np.uint64(1 << (bits - 1))
        circuit = _less_than(bits)  # of signed words, so that the highest bit is turned
        if self._garbler is not None:
            garbled = self._garbler.garble(circuit, np.ascontiguousarray(((~words & mask) ^ top)[:, None]))
            return garbled.split_outputs()[:, 0]
        if self._evaluator is None:
            raise AssertionError
        evaluated = self._evaluator.evaluate(circuit, np.ascontiguousarray(((words & mask) ^ top)[:, None]))
        return evaluated.split_outputs()[:, 0]

    @staticmethod
    def rounds(count: int, bits: int) -> int:
        """Return how often each side waits for the other."""
        return len(pieces_of(_less_than(bits), count))

    def __repr__(self) -> str:
        return f"Carries({'garbler' if self._garbler else 'evaluator'})"


def carry(party: Party, carries: Carries, words: Words, bits: int) -> Words:
    """Return a share under XOR of the carry of flat words, of which nothing is left where there are no bits."""
    if bits == 0 or words.size == 0:
        return np.zeros(words.size, dtype=np.uint64)
    party.network.rounds += Carries.rounds(words.size, bits)
    return carries.carry(words, bits)


def signs(party: Party, carries: Carries, values: Sequence[Value], bound: int) -> Words:
    """Return flat shares under XOR of 1 where a value is below zero."""
    bits = width_of(bound, party.ring_bits)
    shares = joined([party.share_of(each) for each in values])
    return np.asarray(carry(party, carries, shares, bits - 1) ^ (shares >> np.uint64(bits - 1) & _ONE))


def product_of_known(
    party: Party, transfers: Transfers, kind: str, differences: Words, bits: Words, modulus_bits: int
) -> Words:
    """Return a share of one party's difference times the other one's bit, for each place of flat arrays.

    Both parties give both arrays. The first party's differences meet the second one's bits in the first half of the
    places, and the other way round in the second half, so that both have as much to do. What is computed must be the
    same either way.
    """
    half = (len(bits) + 1) // 2
    mine, theirs = (slice(0, half), slice(half, None)) if party.first else (slice(half, None), slice(0, half))
    shares, received = transfers.words(kind, Sent(differences[mine][:, None]), Chosen(bits[theirs]), modulus_bits)
    parts = (shares[:, 0], received[:, 0]) if party.first else (received[:, 0], shares[:, 0])
    return np.concatenate(parts)


def sends(party: Party, count: int) -> Words:
    """Return 1 where :func:`product_of_known` takes this party's difference, else 0."""
    first_half = (np.arange(count) < (count + 1) // 2).astype(np.uint64)
    return first_half if party.first else _ONE - first_half


def to_ring(party: Party, transfers: Transfers, bits: Words) -> Words:
    """Return shares in the ring of bits under XOR, both flat."""
    differences = _ONE - (bits << _ONE)
    products = product_of_known(party, transfers, "bits", differences, bits, party.ring_bits)
    return party.reduce(products + bits * sends(party, bits.size))


def bit_values(party: Party, values: Sequence[Value], bits: Words, shares: Words) -> list[Value]:
    """Return bits as values, from flat shares under XOR and in the ring."""
    found, start = [], 0
    for each in values:
        part = slice(start, start + each.size)
        start += each.size
        one = np.ones(each.shape, dtype=np.uint64)
        bit = Bit(bits[part].reshape(each.shape), one, np.zeros_like(one))
        found.append(value(party, each.shape, shares[part].reshape(each.shape), bit))
    return found


def negative(party: Party, carries: Carries, transfers: Transfers, values: Sequence[Value], bound: int) -> list[Value]:
    """Return 1 where a value is below zero."""
    bits = signs(party, carries, values, bound)
    return bit_values(party, values, bits, to_ring(party, transfers, bits))


def relu(
    party: Party, carries: Carries, transfers: Transfers, values: Sequence[Value], bound: int
) -> tuple[list[Value], list[Value]]:
    """Return max(0, value), and whether each is at least zero. The bit goes to the ring by the OTs of its product."""
    bits = signs(party, carries, values, bound)
    if party.first:
        bits = bits ^ _ONE
    words = joined([party.share_of(each) for each in values])
    sign = _ONE - (bits << _ONE)
    columns = [sign * words, sign] if party.first else [sign * words]
    shares, received = transfers.words(
        "relu", Sent(np.stack(columns, axis=1)), Chosen(bits, 1 if party.first else 2), party.ring_bits
    )
    kept = party.reduce(bits * words + shares[:, 0] + received[:, 0])
    in_ring = party.reduce(bits + shares[:, 1]) if party.first else received[:, 1]
    start, results = 0, []
    for each in values:
        results.append(value(party, each.shape, kept[start : start + each.size].reshape(each.shape)))
        start += each.size
    return results, bit_values(party, values, bits, in_ring & ring_mask(party))
