"""Claims about numbers under their coins, as terms of one inner product modulo 2^128.

A claim is an equation modulo 2^64, with many products. The prover takes the factors as integers and finds the upper
words w, so that it holds modulo 2^128::

    left_1 right_1 + left_2 right_2 + ... = left_sum + right_sum + 2^64 w           w may be anything

Of a wrong claim the two sides differ modulo 2^64 whatever w is, so that their difference is divisible by 2^63 at most.
With coins c of 64 bits, which nobody knew before, all claims become one inner product::

    sum_l U_l V_l = T           U_l = c left          V_l = right          T = sum c (left_sum + right_sum + 2^64 w)

Claims about products of matrices are made smaller first. With uniform matrices R and S of 48 rows and columns
R (X Y) S = (R X) (Y S), which are few products. A wrong product stays wrong with a probability of 1 - 2^-47, because R
and S are uniform modulo 2. The coins have the form c = r s, so that the inner product of one of m x k and k x n has
length k.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
        value: what the products add up to modulo 2^128, at the prover.
        left_sum, right_sum: as in a claim.
    """

    prover: int
    coin: Wide
    left: list[Wide] | None
    right: list[Wide] | None
    value: Both | None
    left_sum: Words | None
    right_sum: Words | None

    def __repr__(self) -> str:
        return f"Piece(prover={self.prover})"


def pieces_of(gate: Gate | MatrixGate, trio: Guarded, coins: KeyStream) -> Iterator[Piece]:
    """Give this party's views of a gate's claims, in parts. All parties draw the same coins."""
    if isinstance(gate, MatrixGate):
        yield from _of_matrices(gate, trio, coins)
        return
    count = prod(gate.shape)
    for start in range(0, count, AT_ONCE):
        part = slice(start, min(start + AT_ONCE, count))
        coin = coins.words(part.stop - part.start)
        for claim in gate.claims:
            yield _element_wise(claim, gate.shape, part, coin)


def _element_wise(claim: Claim, shape: Shape, part: slice, coin: Words) -> Piece:
    def flat(words: Words) -> Words:
        return np.ascontiguousarray(np.broadcast_to(words, shape).reshape(-1)[part])

    left = None if claim.left is None else [flat(words) for words in claim.left]
    right = None if claim.right is None else [flat(words) for words in claim.right]
    value = None
    if left is not None and right is not None:
        value = _sum([wide.product(one, other) for one, other in zip(left, right, strict=True)])
    return Piece(
        claim.prover,
        (coin, None),
        None if left is None else [wide.product(coin, words) for words in left],
        None if right is None else [(words, None) for words in right],
        value,
        None if claim.left_sum is None else flat(claim.left_sum),
        None if claim.right_sum is None else flat(claim.right_sum),
    )


def _sum(values: Sequence[Both]) -> Both:
    total = values[0]
    for each in values[1:]:
        total = wide.add(*total, *each)
    return total


def _of_matrices(gate: MatrixGate, trio: Guarded, coins: KeyStream) -> Iterator[Piece]:
    batch, (rows, columns) = gate.shape[:-2], gate.shape[-2:]
    above = coins.words((SMALLER, rows)) if rows > SMALLER else None
    behind = coins.words((columns, SMALLER)) if columns > SMALLER else None

    def smaller(words: Words | None, *, rows: bool, columns: bool) -> Words | None:
        if words is not None and rows and above is not None:
            words = matmul(above, words)
        if words is not None and columns and behind is not None:
            words = matmul(words, behind)
        return words

    x = [smaller(words, rows=True, columns=False) for words in gate.x]
    y = [smaller(words, rows=False, columns=True) for words in gate.y]
    sent, drawn, received = (
        smaller(words, rows=True, columns=True) for words in (gate.sent, gate.drawn, gate.received)
    )
    rows, columns = min(rows, SMALLER), min(columns, SMALLER)
    shape = (*batch, rows, columns)
    r, s = coins.words((*batch, 1, rows)), coins.words((*batch, columns, 1))
    across = [np.broadcast_to(np.swapaxes(each, -1, -2), shape) for each in (r, s)]
    coin = wide.joined([wide.product(*across)])
    of_x = [None if words is None else wide.joined([wide.matrix_product((r, None), (words, None))]) for words in x]
    of_y = [None if words is None else wide.joined([wide.matrix_product((words, None), (s, None))]) for words in y]
    for prover in (party for party in (trio.me, trio.after, trio.before) if party in gate.provers):
        terms = crosses(prover, *gate.zeros), crosses(prover, *gate.zeros[::-1])
        if prover == trio.me:
            left, right = _chosen(terms, of_x[0], of_y[0]), _chosen(terms, of_y[1], of_x[1])
            products = [
                wide.matrix_product((known(one), None), (known(other), None))
                for wanted, one, other in ((terms[0], x[0], y[1]), (terms[1], x[1], y[0]))
                if wanted
            ]
            value = wide.joined([_sum(products)])
            yield Piece(prover, coin, left, right, value, None, known(sent).reshape(-1))
        elif prover == trio.after:
            left, left_sum = _chosen(terms, of_x[1], of_y[1]), known(drawn)
            if x[1] is not None and y[1] is not None:
                left_sum = left_sum - matmul(x[1], y[1])
            yield Piece(prover, coin, left, None, None, left_sum.reshape(-1), None)
        else:
            right = _chosen(terms, of_y[0], of_x[0])
            yield Piece(prover, coin, None, right, None, None, known(received).reshape(-1))


def _chosen(terms: tuple[bool, bool], *each: Both | None) -> list[Wide]:
    return [one for wanted, one in zip(terms, each, strict=True) if wanted and one is not None]
