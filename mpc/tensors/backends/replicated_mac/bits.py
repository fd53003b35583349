"""Proofs that products of bits were right, of one prover to two verifiers, in the field of 2^64 elements.

A claim is an equation of bits, 64 in a word. With a coin r_j s_l for bit j of column l all claims become one sum::

    sum_j r_j sum_l s_l left_jl right_jl = T                        T = sum r_j s_l (left_sum_jl + right_sum_jl)

Columns have 16 bits. So U_jl = s_l left_jl and V_jl = right_jl stand in 16 rows, with a mask of each side above them.
The prover shares Q = U V', 17 x 17 elements. All else is as for numbers (:mod:`.numbers`)::

    left    u = rho U   ───►  right                                 uniform, because of the mask
    right   u (sigma V) = rho Q sigma'    and    sum_j r_j Q_jj = T

A wrong claim stays a wrong T with a probability of 1 - 2^-63, and then a Q with that trace is found with 1 - 2^-63.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mpc._core import carryless_sum, field_chosen, field_combined, field_gram, field_products
from mpc.ring import Words
from mpc.tensors.backends.kernels import KeyStream
from mpc.tensors.backends.replicated.masked import known
from mpc.tensors.backends.replicated_mac.gates import Claim, Gate
from mpc.tensors.backends.replicated_mac.guarded import Guarded

ROWS = 16  # bits of a column, of which a word has four
COLUMNS = 4
_OVER = np.array([0x1B], dtype=np.uint64)  # what x^64 is in the field
LARGEST_BLOCK = 1 << 16  # words of terms, after which another sum begins


def _inner(a: Words, b: Words) -> Words:
    """Return the sum of products, as an array of one element."""
    low, high = carryless_sum(a, b)[:, None]
    return np.asarray(low ^ field_products(high, _OVER))


def _form(rho: Words, gram: Words, sigma: Words) -> Words:
    """Return rho Q sigma' with ones in front of rho and sigma."""
    one = np.ones(1, dtype=np.uint64)
    left, right = np.concatenate((one, rho)), np.concatenate((one, sigma))
    columns = np.ascontiguousarray(np.broadcast_to(left[:, None], gram.shape))
    return _inner(np.bitwise_xor.reduce(field_products(gram, columns), axis=0), right)


def _trace(rows: Words, gram: Words) -> Words:
    """Return the sum of r_j Q_jj, without the masks' entry."""
    return _inner(rows, np.ascontiguousarray(np.diagonal(gram)[1:]))


class _Block:
    """Factors of claims that wait until they are many, and the coins of their columns."""

    def __init__(self) -> None:
        self.factors: list[Words] = []
        self.coins: list[Words] = []
        self.count = 0

    def add(self, factors: Sequence[Words], coins: Words) -> None:
        """Take in the factors of one side, whose columns have these coins."""
        self.factors += factors
        self.coins += [coins] * len(factors)
        self.count += sum(words.size for words in factors)


class Prover:
    """This party's proof of its own claims."""

    def __init__(self, trio: Guarded) -> None:
        self._trio = trio
        self._left, self._right = _Block(), _Block()
        self._grams: list[Words] = []

    def add(self, claim: Claim, part: slice, shape: tuple[int, ...], coins: Words) -> None:
        """Take in a part of a claim."""
        self._left.add(_flat(claim.left, shape, part), coins)
        self._right.add(_flat(claim.right, shape, part), coins)
        if self._left.count >= LARGEST_BLOCK:
            self._block()

    def _block(self) -> None:
        trio, size = self._trio, COLUMNS * self._left.count
        u, v, s = (np.concatenate(each) for each in (self._left.factors, self._right.factors, self._left.coins))
        left = trio.stream(trio.me, "left mask of bits").words(size)
        right = trio.stream(trio.after, "right mask of bits").words(size)
        gram = np.empty((ROWS + 1, ROWS + 1), dtype=np.uint64)
        gram[:1, 0] = _inner(left, right)
        gram[0, 1:] = field_chosen(v, left)
        gram[1:, 0] = field_chosen(u, field_products(s, right))
        gram[1:, 1:] = field_gram(u, v, s)
        self._grams.append((gram ^ trio.stream(trio.me, "gram of bits").words(gram.shape)).reshape(-1))
        self._left, self._right = _Block(), _Block()

    def message(self) -> list[Words]:
        """Return what the right verifier gets."""
        if self._left.count:
            self._block()
        return self._grams


class Left:
    """This party's part, as a left verifier, in the check of the party after."""

    def __init__(self, trio: Guarded, rows: Words) -> None:
        self._trio, self._rows = trio, rows
        self._challenge = trio.stream(trio.me, "challenge of bits")
        self._left = _Block()
        self._total = np.zeros(1, dtype=np.uint64)
        self._body: list[Words] = []

    def add(self, claim: Claim, part: slice, shape: tuple[int, ...], coins: Words) -> None:
        """Take in a part of a claim."""
        (sums,) = _flat([known(claim.left_sum)], shape, part)
        self._total = self._total ^ _inner(coins, field_combined(sums, self._rows))
        self._left.add(_flat(claim.left, shape, part), coins)
        if self._left.count >= LARGEST_BLOCK:
            self._block()

    def _block(self) -> None:
        trio, size = self._trio, COLUMNS * self._left.count
        mask = trio.stream(trio.after, "left mask of bits").words(size)
        gram = trio.stream(trio.after, "gram of bits").words((ROWS + 1, ROWS + 1))
        rho, sigma = self._challenge.words(ROWS), self._challenge.words(ROWS)
        combined = field_combined(np.concatenate(self._left.factors), rho)
        self._body += [mask ^ field_products(np.concatenate(self._left.coins), combined), _form(rho, gram, sigma)]
        self._total = self._total ^ _trace(self._rows, gram)
        self._left = _Block()

    def message(self) -> list[Words]:
        """Return what the right verifier gets."""
        if self._left.count:
            self._block()
        return [*self._body, self._total]


class Right:
    """This party's part, as a right verifier, in the check of the party before."""

    def __init__(self, trio: Guarded, rows: Words) -> None:
        self._trio, self._rows = trio, rows
        self._challenge = trio.stream(trio.after, "challenge of bits")
        self._right = _Block()
        self._total = np.zeros(1, dtype=np.uint64)
        self._blocks: list[tuple[Words, Words, Words]] = []

    def add(self, claim: Claim, part: slice, shape: tuple[int, ...], coins: Words) -> None:
        """Take in a part of a claim."""
        (sums,) = _flat([known(claim.right_sum)], shape, part)
        self._total = self._total ^ _inner(coins, field_combined(sums, self._rows))
        self._right.add(_flat(claim.right, shape, part), coins)
        if self._right.count >= LARGEST_BLOCK:
            self._block()

    def _block(self) -> None:
        mask = self._trio.stream(self._trio.me, "right mask of bits").words(COLUMNS * self._right.count)
        rho, sigma = self._challenge.words(ROWS), self._challenge.words(ROWS)
        combined = mask ^ field_combined(np.concatenate(self._right.factors), sigma)
        self._blocks.append((rho, sigma, combined))
        self._right = _Block()

    def sizes(self) -> tuple[int, int]:
        """Return how many words come of the prover and of the left verifier."""
        if self._right.count:
            self._block()
        return (ROWS + 1) ** 2 * len(self._blocks), sum(each[2].size + 1 for each in self._blocks) + 1

    def holds(self, of_prover: Words, of_left: Words) -> bool:
        """Return whether the claims are right, from what came in these sizes."""
        total, right = self._total ^ of_left[-1:], True
        for number, (rho, sigma, combined) in enumerate(self._blocks):
            gram = of_prover[number * (ROWS + 1) ** 2 : (number + 1) * (ROWS + 1) ** 2].reshape(ROWS + 1, ROWS + 1)
            total = total ^ _trace(self._rows, gram)
            size = combined.size
            met = _inner(np.ascontiguousarray(of_left[:size]), combined)
            right &= bool((met == _form(rho, np.ascontiguousarray(gram), sigma) ^ of_left[size : size + 1]).all())
            of_left = of_left[size + 1 :]
        return right and not total.any()


def _flat(arrays: Sequence[Words] | None, shape: tuple[int, ...], part: slice) -> list[Words]:
    return [np.ascontiguousarray(np.broadcast_to(words, shape).reshape(-1)[part]) for words in arrays or ()]


def take(gate: Gate, trio: Guarded, coins: KeyStream, prover: Prover, left: Left, right: Right) -> None:
    """Give a gate's claims to this party's parts in their checks. All parties draw the same coins."""
    count = prod(gate.shape)
    for start in range(0, count, LARGEST_BLOCK):
        part = slice(start, min(start + LARGEST_BLOCK, count))
        coin = coins.words(COLUMNS * (part.stop - part.start))
        for claim in gate.claims:
            if claim.prover == trio.me:
                prover.add(claim, part, gate.shape, coin)
            elif claim.prover == trio.after:
                left.add(claim, part, gate.shape, coin)
            else:
                right.add(claim, part, gate.shape, coin)
