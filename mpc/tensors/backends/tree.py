"""The tree that puts the comparisons of groups of bits together, four neighbours at a time.

Of neighbours 0 to 3, the lowest first, with l for less and e for equal::

    less  = l3 ^ e3 l2 ^ e3 e2 l1 ^ e3 e2 e1 l0              equal = e3 e2 e1 e0

A product of several shared bits takes one round as that of two does. Each factor x is opened as d = x ^ a, and the
provider deals the products of the masks a of all that ever meet. The product of all d ^ a is then linear in what was
dealt. Its public coefficients are products of opened bits (Ohata and Nuida, FC 2020, who call the correlations
Beaver triple extensions). This opens fewer bits than two levels of pairs do, in half of the rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.network import Part

ARITY = 4
Factors = tuple[str, ...]


class BitDealing(Protocol):
    """Where correlations of bits come from. See :class:`~mpc.tensors.backends.dealing.Dealing`."""

    def mask_planes(self, shape: Shape) -> Words: ...

    def deal_planes(self, shape: Shape, make: Callable[[], Words]) -> Words: ...


class BitParty(Protocol):
    """What the tree needs of a party. A word of a plane holds 64 bits, or one with its MAC and public ones repeated.

    Attributes:
        one: this computing party's share of a word of bits that are one.
    """

    @property
    def computes(self) -> bool: ...

    @property
    def one(self) -> np.uint64: ...

    @property
    def dealing(self) -> BitDealing: ...

    def open(self, kind: str, parts: Sequence[Part], shapes: Sequence[Shape]) -> list[Words]:
        """Open masked bits to all computing parties, in one round."""
        ...

    def pass_by(self, kind: str, sizes: Sequence[tuple[int, int]], shapes: Sequence[Shape]) -> None:
        """Stand, at a party without shares, where the computing parties call :meth:`open`."""
        ...


@cache
def _terms(members: int, with_equal: bool) -> tuple[Factors, ...]:
    """Return the products that a node of so many neighbours adds up, the one that is `equal` last."""
    equal = [f"e{place}" for place in reversed(range(members))]
    less = [(*equal[: members - 1 - place], f"l{place}") for place in reversed(range(members - 1))]
    return (*less, tuple(equal)) if with_equal else tuple(less)


@cache
def _factors(members: int, with_equal: bool) -> Factors:
    """Return all bits that are opened for a node."""
    return tuple(sorted({factor for term in _terms(members, with_equal) for factor in term}))


@cache
def _products(members: int, with_equal: bool) -> tuple[Factors, ...]:
    """Return the products of two masks and more that the provider deals for a node, as they stand in a message."""
    found = {
        chosen
        for term in _terms(members, with_equal)
        for size in range(2, len(term) + 1)
        for chosen in combinations(sorted(term), size)
    }
    return tuple(sorted(found))


class _Nodes:
    """All nodes of one level that have the same number of members, with this party's masks for them."""

    def __init__(self, party: BitParty, members: int, count: int, words: int, *, with_equal: bool) -> None:
        self._party = party
        self._members = members
        self._terms = _terms(members, with_equal)
        self.factors = _factors(members, with_equal)
        products = _products(members, with_equal)
        masks = party.dealing.mask_planes((len(self.factors), count, words))

        def made() -> Words:
            by_name = dict(zip(self.factors, masks, strict=True))
            return np.stack([np.bitwise_and.reduce([by_name[name] for name in product]) for product in products])

        dealt = party.dealing.deal_planes((len(products), count, words), made)
        self.masks = masks
        self._with_equal = with_equal
        self._dealt = dealt

    def masked(self, less: Words, equal: Words) -> Words:
        """Return this party's shares of what is opened, from `(nodes, members, words)` shares."""
        bits = [(less if name[0] == "l" else equal)[:, int(name[1])] for name in self.factors]
        return np.stack(bits) ^ self.masks

    def results(self, opened: Words, less: Words) -> tuple[Words, Words | None]:
        """Return shares of `less` of each node, and of `equal` where it is needed."""
        public = dict(zip(self.factors, opened, strict=True))
        ones = np.full((1, *self.masks.shape[1:]), self._party.one, dtype=np.uint64)
        shares = np.concatenate((ones, self.masks, self._dealt))
        tables = _tables(self._members, self._with_equal)
        products = [_product(term, public, shares[table]) for term, table in zip(self._terms, tables, strict=True)]
        equal = products.pop() if len(self._terms) == self._members else None
        total: Words = np.bitwise_xor.reduce([less[:, self._members - 1], *products])
        return total, equal


def _product(term: Factors, public: dict[str, Words], table: Words) -> Words:
    """Return a share of the product of all d ^ a, one factor after the other, from those of products of masks."""
    # Of each pair of neighbours in the table the second one has the next factor, and the first has not.
    for name in term:
        table = (public[name] & table[0::2]) ^ table[1::2]
    result: Words = table[0]
    return result


@cache
def _tables(members: int, with_equal: bool) -> tuple[NDArray[np.intp], ...]:
    """Return for each term of a node the places of its sets of factors among one, all masks and their products.

    The sets are counted in binary with the first factor as the lowest digit, from the empty one, which is one.
    """
    order: list[Factors] = [(), *((name,) for name in _factors(members, with_equal)), *_products(members, with_equal)]
    places = {chosen: place for place, chosen in enumerate(order)}
    return tuple(
        np.array([
            places[tuple(sorted(name for place, name in enumerate(term) if number >> place & 1))]
            for number in range(1 << len(term))
        ])
        for term in _terms(members, with_equal)
    )  # fmt: skip


def _blocks(groups: int) -> list[tuple[int, int, int]]:
    """Return for one level the first group, the members and the number of nodes of each kind that there is."""
    full, rest = divmod(groups, ARITY)
    kinds = [(0, ARITY, full)] if full else []
    return [*kinds, (ARITY * full, rest, 1)] if rest > 1 else kinds


def levels(groups: int) -> int:
    """Return how many levels, and so rounds, the tree of so many groups has."""
    found = 0
    while groups > 1:
        groups, found = -(-groups // ARITY), found + 1
    return found


def whole(party: BitParty, less: Words, equal: Words) -> Words:
    """Return XOR shares of the whole comparison, from `(groups, words)` shares of its groups, the lowest one first."""
    while len(less) > 1:
        groups, words = less.shape
        blocks = _blocks(groups)
        last = groups <= ARITY
        nodes = [_Nodes(party, members, count, words, with_equal=not last) for _, members, count in blocks]
        inner = [(_inner(less, block), _inner(equal, block)) for block in blocks]
        shares = [node.masked(*pair) for node, pair in zip(nodes, inner, strict=True)]
        opened = party.open("bits", [Part(share, planes=True) for share in shares], [share.shape for share in shares])
        found = [node.results(bits, pair[0]) for node, bits, pair in zip(nodes, opened, inner, strict=True)]
        used = max(first + members * count for first, members, count in blocks)
        less = np.concatenate([*(result for result, _ in found), less[used:]])
        equal = np.concatenate([*(result for _, result in found if result is not None), equal[used:]])
    result: Words = less[0]
    return result


def dealt(party: BitParty, groups: int, words: int) -> None:
    """Deal, as the provider, what :func:`whole` takes."""
    while groups > 1:
        blocks = _blocks(groups)
        nodes = [_Nodes(party, members, count, words, with_equal=groups > ARITY) for _, members, count in blocks]
        party.pass_by("bits", [(node.masks.size, 64) for node in nodes], [node.masks.shape for node in nodes])
        groups -= sum((members - 1) * count for _, members, count in blocks)


def _inner(planes: Words, block: Sequence[int]) -> Words:
    """Return the planes of one kind of nodes as `(nodes, members, words)`."""
    first, members, count = block
    return planes[first : first + members * count].reshape(count, members, -1)
