"""Matrix products modulo 2^64 of one party's matrix with the other one's, by polynomials.

A block of mw rows and kw columns of a is one polynomial, a block of kw rows and nw columns of b another, as in Cheetah
(Huang, Lu, Hong, Ding, USENIX Security 2022, section 3.1)::

    a(X) = sum a_ij X^(i kw nw + j)                 b(X) = sum b_jl X^(l kw + kw - 1 - j)

The coefficient of X^(i kw nw + l kw + kw - 1) in their product is the sum of a_ij b_jl over j, for mw kw nw <= N. What
wraps at X^N falls on other places. Products are exact modulo 2^64, and so in every smaller ring.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mpc._core import RlweWeights
from mpc.randomness import RoleRandomness
from mpc.ring import Words
from mpc.tensors.backends.two_party.encrypted import DEGREE, TERMS, Keys
from mpc.tensors.network import Network

MOST_INPUTS = 999  # polynomials that one polynomial of a reply sums over
UPLOADS_AT_ONCE = 128  # polynomials of one message
KEPT_WEIGHTS = 512  # transformed polynomials that are kept from one group of rows to the next
# About how long each takes, in a tenth of a millisecond: a polynomial uploaded, one of weights, one of a reply.
COSTS = (8, 2, 11)


@dataclass(frozen=True)
class Blocks:
    """How matrices of `m` by `k` and `k` by `n` are cut. `turned` says that the transposed product is computed."""

    m: int
    k: int
    n: int
    mw: int
    kw: int
    nw: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many blocks there are of rows of a, of the sum, and of columns of b."""
        return -(-self.m // self.mw), -(-self.k // self.kw), -(-self.n // self.nw)

    @property
    def cost(self) -> int:
        """A measure of the work."""
        rows, sums, columns = self.counts
        upload, weights, reply = COSTS
        return upload * rows * sums + weights * sums * columns + reply * rows * columns

    def uploads(self, a: Words) -> Words:
        """Return the polynomials of a, `(row blocks * sum blocks, N)`."""
        rows, sums, _ = self.counts
        padded = np.zeros((rows * self.mw, sums * self.kw), dtype=np.uint64)
        padded[: self.m, : self.k] = a
        blocks = padded.reshape(rows, self.mw, sums, self.kw).transpose(0, 2, 1, 3)
        found = np.zeros((rows, sums, DEGREE), dtype=np.uint64)
        step = self.kw * self.nw
        view = found[..., : self.mw * step].reshape(rows, sums, self.mw, step)
        view[..., : self.kw] = blocks
        return found.reshape(rows * sums, DEGREE)

    def weights(self, b: Words, columns: slice) -> NDArray[np.int64]:
        """Return the polynomials of some column blocks of b, `(column blocks, sum blocks, N)`."""
        _, sums, _ = self.counts
        part = b[:, columns.start * self.nw : columns.stop * self.nw]
        count = columns.stop - columns.start
        padded = np.zeros((sums * self.kw, count * self.nw), dtype=np.uint64)
        padded[: part.shape[0], : part.shape[1]] = part
        blocks = padded.reshape(sums, self.kw, count, self.nw).transpose(2, 0, 3, 1)
        found = np.zeros((count, sums, DEGREE), dtype=np.uint64)
        view = found[..., : self.nw * self.kw].reshape(count, sums, self.nw, self.kw)
        view[...] = blocks[..., ::-1]
        return found.view(np.int64)

    def places(self) -> NDArray[np.int64]:
        """Return where the results of a block stand, row by row."""
        rows = np.arange(self.mw)[:, None] * self.kw * self.nw
        return (rows + np.arange(self.nw) * self.kw + self.kw - 1).reshape(-1)


@cache
def blocks_for(m: int, k: int, n: int) -> Blocks:
    """Return the blocks that take the least work."""
    sums = sorted({min(k, 1 << power) for power in range(14)})
    columns = sorted({min(n, 1 << power) for power in range(14)})
    found = [
        Blocks(m, k, n, min(m, DEGREE // (kw * nw)), kw, nw)
        for kw in sums
        for nw in columns
        if kw * nw <= DEGREE and -(-k // kw) <= MOST_INPUTS and k * nw <= TERMS
    ]
    return min(found, key=lambda each: each.cost)


class Matrices:
    """One party's side of products of matrices. Making it exchanges keys."""

    def __init__(self, network: Network, peer: str, randomness: RoleRandomness) -> None:
        self._keys = Keys(network, peer, "matrices", [0], randomness)

    def crossed(self, a: Words, b: Words) -> Words:
        """Return this party's share of own a times peer's b, plus peer's a times own b, for matrices modulo 2^64.

        Shapes are `(m, k)` and `(k, n)`, the same at both parties.
        """
        (m, k), n = a.shape, b.shape[1]
        if k > TERMS:
            cut = k // 2
            return self.crossed(a[:, :cut], b[:cut]) + self.crossed(a[:, cut:], b[cut:])
        blocks, turned = blocks_for(m, k, n), blocks_for(n, k, m)
        if turned.cost < blocks.cost:
            return np.ascontiguousarray(self._crossed(turned, b.T, a.T).T)
        return self._crossed(blocks, a, b)

    def _crossed(self, blocks: Blocks, a: Words, b: Words) -> Words:
        rows, sums, columns = blocks.counts
        at_once = max(1, UPLOADS_AT_ONCE // sums)
        total = np.zeros((rows * blocks.mw, columns * blocks.nw), dtype=np.uint64)
        kept: dict[int, RlweWeights] = {}
        polynomials = blocks.uploads(a)
        for first in range(0, rows, at_once):
            now = slice(first, min(first + at_once, rows))
            part = total[now.start * blocks.mw : now.stop * blocks.mw]
            part += self._group(blocks, polynomials[now.start * sums : now.stop * sums], b, kept)
        return total[: blocks.m, : blocks.n]

    def _group(self, blocks: Blocks, polynomials: Words, b: Words, kept: dict[int, RlweWeights]) -> Words:
        """Return this party's share of both products for some row blocks."""
        _, sums, columns = blocks.counts
        rows = len(polynomials) // sums
        keys = self._keys
        (parameters,), (own,), (theirs,) = keys.parameters, keys.own, keys.theirs
        keys.next_step()
        upload = keys.swap("upload", [own.encrypt(polynomials)], parameters.upload_bytes(len(polynomials)))
        share = np.zeros((rows * blocks.mw, columns * blocks.nw), dtype=np.uint64)
        replies, sizes = [], []
        cuts = list(_column_groups(columns, sums))
        for cut in cuts:
            places = _positions(blocks, rows * (cut.stop - cut.start))
            sizes.append(parameters.reply_bytes(places, rows * (cut.stop - cut.start)))
            weights = kept.get(cut.start) or theirs.load(blocks.weights(b, cut), 0)
            if columns * sums <= KEPT_WEIGHTS:
                kept[cut.start] = weights
            masks = keys.uniform(places.size)
            with keys.naming_peer():
                replies.append(theirs.apply(weights, upload, masks, places, rows))
            _place(blocks, share, cut, np.negative(masks), rows)
        received = keys.swap("reply", replies, sum(sizes))
        for cut, size in zip(cuts, sizes, strict=True):
            count = rows * (cut.stop - cut.start)
            with keys.naming_peer():
                words = own.decrypt(received[:size], _positions(blocks, count), count)
            received = received[size:]
            _place(blocks, share, cut, words, rows)
        return share

    def __repr__(self) -> str:
        return "Matrices()"


def _column_groups(columns: int, sums: int) -> Iterator[slice]:
    """Return column blocks in groups whose weights fit in memory together."""
    size = max(1, KEPT_WEIGHTS // 2 // sums)
    for first in range(0, columns, size):
        yield slice(first, min(first + size, columns))


def _positions(blocks: Blocks, polynomials: int) -> NDArray[np.int64]:
    """Return where the results of so many polynomials of a reply stand."""
    return (np.arange(polynomials)[:, None] * DEGREE + blocks.places()).reshape(-1)


def _place(blocks: Blocks, share: Words, columns: slice, words: Words, rows: int) -> None:
    """Add the results of a reply to the share, where they belong."""
    count = columns.stop - columns.start
    cut = words.reshape(rows, count, blocks.mw, blocks.nw).transpose(0, 2, 1, 3)
    target = share[:, columns.start * blocks.nw : columns.stop * blocks.nw]
    target += cut.reshape(rows * blocks.mw, count * blocks.nw)
