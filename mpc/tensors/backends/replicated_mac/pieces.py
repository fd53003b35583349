"""Claims about numbers under their coins, as terms of one inner product modulo 2^128.

A claim is an equation modulo 2^64, with many products. The prover takes the factors as integers and finds the upper
words w, so that it holds modulo 2^128::

    left_1 right_1 + left_2 right_2 + ... = left_sum + right_sum + 2^64 w           w may be anything

Of a wrong claim the two sides differ modulo 2^64 whatever w is, so that their difference is divisible by 2^63 at most.
The prover shares w before it knows any coin. Otherwise it could choose w so that it mends an error of 2^63, under every
coin that is even. With coins c of 64 bits all claims then become one inner product::

    sum_l U_l V_l = T           U_l = c left          V_l = right          T = sum c (left_sum + right_sum + 2^64 w)

Claims about products of matrices are made smaller first. With uniform matrices R and S of 48 rows and columns
R (X Y) S = (R X) (Y S), which are few products. A wrong product stays wrong with a probability of 1 - 2^-47, because R
and S are uniform modulo 2. The coins have the form c = r s, so that the inner product of one of m x k and k x n has
length k.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import KeyStream, matmul
from mpc.tensors.backends.replicated.masked import known
from mpc.tensors.backends.replicated_mac import wide
from mpc.tensors.backends.replicated_mac.gates import Claim, Gate, MatrixGate, crosses
from mpc.tensors.backends.replicated_mac.guarded import Guarded
from mpc.tensors.backends.replicated_mac.wide import Both, Wide

AT_ONCE = 1 << 17  # element-wise products that are taken in hand at a time, so that memory stays bounded
SMALLER = 48  # rows of R and columns of S


@dataclass(frozen=True, repr=False)
class Piece:
    """One party's view of a claim under its coins, flat.

    Attributes:
        prover: the number of the party whose claim it is.
        coin: c of each equation.
        left, right: U and V.
        left_sum, right_sum: as in a claim.
    """

    prover: int
    coin: Wide
    left: list[Wide] | None
    right: list[Wide] | None
    left_sum: Words | None
    right_sum: Words | None

    def __repr__(self) -> str:
        return f"Piece(prover={self.prover})"


def pieces_of(gate: Gate | MatrixGate, trio: Guarded, coins: KeyStream) -> Iterator[Piece]:
    """Give this party's views of a gate's claims, in parts. All parties draw the same coins."""
    if isinstance(gate, MatrixGate):
        yield from _of_matrices(gate, trio, coins)
        return
    for part in _parts(gate.shape):
        coin = coins.words(part.stop - part.start)
        for claim in gate.claims:
            yield _element_wise(claim, gate.shape, part, coin)


def _parts(shape: Shape) -> Iterator[slice]:
    count = prod(shape)
    for start in range(0, count, AT_ONCE):
        yield slice(start, min(start + AT_ONCE, count))


def _flat(arrays: Sequence[Words] | None, shape: Shape, part: slice) -> list[Words]:
    return [np.ascontiguousarray(np.broadcast_to(words, shape).reshape(-1)[part]) for words in arrays or ()]


def _element_wise(claim: Claim, shape: Shape, part: slice, coin: Words) -> Piece:
    left, right = (None if side is None else _flat(side, shape, part) for side in (claim.left, claim.right))
    sums = [None if words is None else _flat([words], shape, part)[0] for words in (claim.left_sum, claim.right_sum)]
    return Piece(
        claim.prover,
        (coin, None),
        None if left is None else [wide.product(coin, words) for words in left],
        None if right is None else [(words, None) for words in right],
        sums[0],
        sums[1],
    )


def _sum(values: Sequence[Both]) -> Both:
    total = values[0]
    for each in values[1:]:
        total = wide.add(*total, *each)
    return total


def smaller(gate: Gate | MatrixGate, coins: KeyStream) -> Gate | MatrixGate:
    """Return a gate with no more rows and columns than coins of matrices leave it. All parties draw the same coins."""
    if isinstance(gate, Gate):
        return gate
    batch, (rows, columns) = gate.shape[:-2], gate.shape[-2:]
    above = coins.words((SMALLER, rows)) if rows > SMALLER else None
    behind = coins.words((columns, SMALLER)) if columns > SMALLER else None

    def left(words: Words | None) -> Words | None:
        return words if words is None or above is None else matmul(above, words)

    def right(words: Words | None) -> Words | None:
        return words if words is None or behind is None else matmul(words, behind)

    return replace(
        gate,
        shape=(*batch, min(rows, SMALLER), min(columns, SMALLER)),
        x=(left(gate.x[0]), left(gate.x[1])),
        y=(right(gate.y[0]), right(gate.y[1])),
        sent=right(left(gate.sent)),
        drawn=right(left(gate.drawn)),
        received=right(left(gate.received)),
    )


def uppers_of(gate: Gate | MatrixGate, trio: Guarded) -> Iterator[Words]:
    """Give w of this party's own claims of a gate, in the order of their pieces."""
    if isinstance(gate, MatrixGate):
        if trio.me in gate.provers:
            terms = crosses(trio.me, *gate.zeros), crosses(trio.me, *gate.zeros[::-1])
            products = [
                wide.matrix_product((known(one), None), (known(other), None))
                for wanted, one, other in ((terms[0], gate.x[0], gate.y[1]), (terms[1], gate.x[1], gate.y[0]))
                if wanted
            ]
            yield _upper(wide.joined([_sum(products)]), known(gate.sent).reshape(-1))
        return
    for claim in gate.claims:
        if claim.prover == trio.me:
            for part in _parts(gate.shape):
                left, right = (_flat(arrays, gate.shape, part) for arrays in (claim.left, claim.right))
                products = [wide.product(one, other) for one, other in zip(left, right, strict=True)]
                (sums,) = _flat([known(claim.right_sum)], gate.shape, part)
                yield _upper(_sum(products), sums)


def count_of_uppers(gate: Gate | MatrixGate, prover: int) -> int:
    """Return how many words w a gate has of a prover."""
    provers = gate.provers if isinstance(gate, MatrixGate) else [claim.prover for claim in gate.claims]
    return prod(gate.shape) if prover in provers else 0


def _upper(value: Both, right_sum: Words) -> Words:
    """Return the upper word of what products add up to, less that of left_sum + right_sum, which have its lower one."""
    return np.asarray(value[1] - (value[0] < right_sum))


def _of_matrices(gate: MatrixGate, trio: Guarded, coins: KeyStream) -> Iterator[Piece]:
    batch, (rows, columns), (x, y) = gate.shape[:-2], gate.shape[-2:], (gate.x, gate.y)
    r, s = coins.words((*batch, 1, rows)), coins.words((*batch, columns, 1))
    across = [np.broadcast_to(np.swapaxes(each, -1, -2), gate.shape) for each in (r, s)]
    coin = wide.joined([wide.product(*across)])
    of_x = [None if words is None else wide.joined([wide.matrix_product((r, None), (words, None))]) for words in x]
    of_y = [None if words is None else wide.joined([wide.matrix_product((words, None), (s, None))]) for words in y]
    for prover in (party for party in (trio.me, trio.after, trio.before) if party in gate.provers):
        terms = crosses(prover, *gate.zeros), crosses(prover, *gate.zeros[::-1])
        if prover == trio.me:
            left, right = _chosen(terms, of_x[0], of_y[0]), _chosen(terms, of_y[1], of_x[1])
            yield Piece(prover, coin, left, right, None, None)
        elif prover == trio.after:
            left, left_sum = _chosen(terms, of_x[1], of_y[1]), known(gate.drawn)
            if x[1] is not None and y[1] is not None:
                left_sum = left_sum - matmul(x[1], y[1])
            yield Piece(prover, coin, left, None, left_sum.reshape(-1), None)
        else:
            right = _chosen(terms, of_y[0], of_x[0])
            yield Piece(prover, coin, None, right, None, known(gate.received).reshape(-1))


def _chosen(terms: tuple[bool, bool], *each: Both | None) -> list[Wide]:
    return [one for wanted, one in zip(terms, each, strict=True) if wanted and one is not None]
