"""Proofs that products of numbers were right, of one prover to two verifiers, modulo 2^128.

All claims are one inner product, sum_l U_l V_l = T (:mod:`.pieces`). U is known to the prover and its left verifier, V
to the prover and its right one, and each verifier knows a part of T. It stands in eight rows. The prover shares the
products of all rows, which are few numbers. Row 0 of each side is a mask, which the prover draws with that verifier.
The verifiers choose rho and sigma by a key that the prover does not have, with rho_0 = sigma_0 = 1::

    prover  Q = U V'                                                of 9 x 9 numbers, shared
    left    u = rho U   ───►  right                                 uniform, because of the mask
    right   u (sigma V) = rho Q sigma'    and    the trace of Q, without its row 0, is T

The left verifier also sends what its shares of Q and T give. All that the right one gets is uniform, or follows from
what it has. An error that the left verifier brings in meets the right one's mask. It has words of 64 bits, which are
uniform. So either the lower words of what it meets decide alone whether the error is found, and depend on no secret, or
it is found but for a chance of 2^-64.

How often a cheat passes: the error of T is divisible by 2^(63 + a) with a probability of at most (a + 1) 2^-a. Where it
is divisible by that and by no higher power of two, a wrong Q passes with at most (66 - a) 2^-(65 - a). Over all a that
is less than 2^-48.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import KeyStream
from mpc.tensors.backends.replicated.masked import known
from mpc.tensors.backends.replicated_mac import wide
from mpc.tensors.backends.replicated_mac.gates import Gate, MatrixGate
from mpc.tensors.backends.replicated_mac.guarded import Guarded
from mpc.tensors.backends.replicated_mac.pieces import Piece, pieces_of, uppers_of
from mpc.tensors.backends.replicated_mac.wide import Both, Wide

ROWS = 8  # of the inner product, without the masks
LARGEST_BLOCK = 1 << 18  # terms of an inner product, after which another one begins


class _Rows:
    """Terms of an inner product that wait until they are so many that they stand in rows."""

    def __init__(self) -> None:
        self._terms: list[Wide] = []
        self.count = 0

    def add(self, terms: Sequence[Wide]) -> None:
        self._terms += terms
        self.count += sum(each[0].size for each in terms)

    @property
    def columns(self) -> int:
        return -(-self.count // ROWS)

    def take(self) -> Wide:
        """Return all terms in rows, with zeros behind them, and begin anew. Words of one length have no upper words."""
        shape = (ROWS, self.columns)
        low = np.zeros(shape, dtype=np.uint64)
        high = np.zeros(shape, dtype=np.uint64) if any(upper is not None for _, upper in self._terms) else None
        start = 0
        for lower, upper in self._terms:
            low.reshape(-1)[start : start + lower.size] = lower
            if high is not None and upper is not None:
                high.reshape(-1)[start : start + lower.size] = upper
            start += lower.size
        self._terms, self.count = [], 0
        return low, high


def _drawn(stream: KeyStream, shape: Shape) -> Both:
    return stream.words(shape), stream.words(shape)


def _below(first: Wide, rest: Wide) -> Wide:
    """Return a row above other rows."""
    low = np.concatenate((first[0], rest[0]))
    if first[1] is None and rest[1] is None:
        return low, None
    upper = [np.zeros_like(lower) if high is None else high for lower, high in (first, rest)]
    return low, np.concatenate(upper)


def _combined(first: Both, factors: Words, rest: Wide) -> Both:
    """Return the first row and the others times their factors, added up."""
    return wide.add(*first, *wide.matrix_product((factors[None], None), rest))


def _trace(gram: Both) -> Both:
    """Return the trace without the masks' entry."""
    total: Both = (np.zeros((), dtype=np.uint64), np.zeros((), dtype=np.uint64))
    for place in range(1, ROWS + 1):
        total = wide.add(*total, gram[0][place, place], gram[1][place, place])
    return total


def _form(rho: Words, gram: Both, sigma: Words) -> Both:
    """Return rho Q sigma' with ones in front of rho and sigma, as two arrays of one number."""
    one = np.ones(1, dtype=np.uint64)
    row = wide.matrix_product((np.concatenate((one, rho))[None], None), gram)
    low, high = wide.matrix_product(row, (np.concatenate((one, sigma))[:, None], None))
    return low.reshape(1), high.reshape(1)


class Prover:
    """This party's proof of its own claims."""

    def __init__(self, trio: Guarded) -> None:
        self._left_key, self._right_key = trio.me, trio.after
        self._trio = trio
        self._left, self._right = _Rows(), _Rows()
        self._grams: list[Words] = []

    def add(self, piece: Piece) -> None:
        """Take in a claim."""
        self._left.add(piece.left or [])
        self._right.add(piece.right or [])
        if self._left.count >= LARGEST_BLOCK:
            self._block()

    def _block(self) -> None:
        shape = (1, self._left.columns)
        left = _below(_drawn(self._trio.stream(self._left_key, "left mask"), shape), self._left.take())
        low, high = _below((self._trio.stream(self._right_key, "right mask").words(shape), None), self._right.take())
        gram = wide.matrix_product(left, (low.T, None if high is None else high.T))
        drawn = _drawn(self._trio.stream(self._left_key, "gram"), gram[0].shape)
        self._grams += [words.reshape(-1) for words in wide.subtract(*gram, *drawn)]

    def message(self) -> list[Words]:
        """Return what the right verifier gets."""
        if self._left.count:
            self._block()
        return self._grams


class Left:
    """This party's part, as a left verifier, in the check of the party after."""

    def __init__(self, trio: Guarded) -> None:
        self._trio = trio
        self._challenge = trio.stream(trio.me, "challenge")
        self._left = _Rows()
        self._total: Both = (np.zeros((), dtype=np.uint64), np.zeros((), dtype=np.uint64))
        self._body: list[Words] = []

    def add(self, piece: Piece) -> None:
        """Take in a claim."""
        sums = known(piece.left_sum)
        uppers = self._trio.stream(self._trio.after, "uppers").words(sums.shape)
        self._total = wide.add(*self._total, *wide.inner(piece.coin, (sums, uppers)))
        self._left.add(piece.left or [])
        if self._left.count >= LARGEST_BLOCK:
            self._block()

    def _block(self) -> None:
        mask = _drawn(self._trio.stream(self._trio.after, "left mask"), (1, self._left.columns))
        gram = _drawn(self._trio.stream(self._trio.after, "gram"), (ROWS + 1, ROWS + 1))
        rho, sigma = self._challenge.words(ROWS), self._challenge.words(ROWS)
        self._body += [words.reshape(-1) for words in _combined(mask, rho, self._left.take())]
        self._body += list(_form(rho, gram, sigma))
        self._total = wide.subtract(*self._total, *_trace(gram))

    def message(self) -> list[Words]:
        """Return what the right verifier gets."""
        if self._left.count:
            self._block()
        return [*self._body, np.stack(self._total)]


class Right:
    """This party's part, as a right verifier, in the check of the party before."""

    def __init__(self, trio: Guarded, uppers: Words) -> None:
        self._uppers = uppers
        self._masks = trio.stream(trio.me, "right mask")
        self._challenge = trio.stream(trio.after, "challenge")
        self._right = _Rows()
        self._total: Both = (np.zeros((), dtype=np.uint64), np.zeros((), dtype=np.uint64))
        self._blocks: list[tuple[Words, Words, Both]] = []

    def add(self, piece: Piece) -> None:
        """Take in a claim."""
        sums = known(piece.right_sum)
        uppers, self._uppers = self._uppers[: sums.size], self._uppers[sums.size :]
        self._total = wide.add(*self._total, *wide.inner(piece.coin, (sums, uppers)))
        self._right.add(piece.right or [])
        if self._right.count >= LARGEST_BLOCK:
            self._block()

    def _block(self) -> None:
        mask = self._masks.words((1, self._right.columns))
        rho, sigma = self._challenge.words(ROWS), self._challenge.words(ROWS)
        self._blocks.append((rho, sigma, _combined((mask, np.zeros_like(mask)), sigma, self._right.take())))

    def sizes(self) -> tuple[int, int]:
        """Return how many words come of the prover and of the left verifier."""
        if self._right.count:
            self._block()
        combined = sum(2 * each[0].size + 2 for _, _, each in self._blocks)
        return 2 * (ROWS + 1) ** 2 * len(self._blocks), combined + 2

    def holds(self, of_prover: Words, of_left: Words) -> bool:
        """Return whether the claims are right, from what came in these sizes."""
        total, right, grams = wide.add(*wide.from_bytes(of_left[-2:]), *_reshaped(self._total)), True, of_prover
        for rho, sigma, combined in self._blocks:
            gram, grams = grams[: 2 * (ROWS + 1) ** 2].reshape(2, ROWS + 1, ROWS + 1), grams[2 * (ROWS + 1) ** 2 :]
            share = gram[0], gram[1]
            total = wide.subtract(*total, *_reshaped(_trace(share)))
            size = combined[0].size
            theirs, form = of_left[: 2 * size].reshape(2, 1, size), of_left[2 * size : 2 * size + 2]
            of_left = of_left[2 * size + 2 :]
            met = wide.inner((theirs[0, 0], theirs[1, 0]), (combined[0][0], combined[1][0]))
            wanted = wide.add(*_form(rho, share, sigma), *wide.from_bytes(form))
            right &= all((one.reshape(-1) == other).all() for one, other in zip(met, wanted, strict=True))
        return right and not any(words.any() for words in total)


def uppers(gates: Sequence[Gate | MatrixGate], trio: Guarded) -> list[Words]:
    """Return what the right verifier gets of w of this party's claims, before any coin of theirs is known."""
    stream = trio.stream(trio.me, "uppers")
    return [words - stream.words(words.shape) for gate in gates for words in uppers_of(gate, trio)]


def take(gate: Gate | MatrixGate, trio: Guarded, coins: KeyStream, prover: Prover, left: Left, right: Right) -> None:
    """Give a gate's claims to this party's parts in their checks. All parties draw the same coins."""
    for piece in pieces_of(gate, trio, coins):
        if piece.prover == trio.me:
            prover.add(piece)
        elif piece.prover == trio.after:
            left.add(piece)
        else:
            right.add(piece)


def _reshaped(value: Both) -> Both:
    return value[0].reshape(1), value[1].reshape(1)
