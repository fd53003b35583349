"""The tree that puts the comparisons of groups of bits together, up to four neighbours at a time.

Of neighbours 0 to 3, the lowest first, with l for less and e for equal::

    less  = l3 ^ e3 l2 ^ e3 e2 l1 ^ e3 e2 e1 l0              equal = e3 e2 e1 e0

A product of several shared bits takes one round as that of two does. Each factor x is opened as d = x ^ a, and the
provider deals the products of the masks a of all that ever meet. The product of all d ^ a is then linear in what was
dealt. Its public coefficients are products of opened bits (Ohata and Nuida, FC 2020, who call the correlations
Beaver triple extensions). A node of four takes half of the rounds that pairs take. It needs more than three pairs do,
so that the nodes of a level are as small as the number of rounds allows. Where there are few values, one node of all
groups takes a single round. What it needs doubles with each group, and is still little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from typing import Protocol

import numpy as np

from mpc._core import bit_products
from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.network import Part

ARITY = 4
MOST_FLAT = 8
"""Groups that one node may put together, as many as the core multiplies bits at a time."""
FLAT_BYTES = 1 << 18
"""What may be dealt for such a node, which takes a round less than a tree of two levels."""
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

    def __init__(self, party: BitParty, members: int, count: int, size: int, *, with_equal: bool) -> None:
        self._party = party
        self._members = members
        self._terms = _terms(members, with_equal)
        self.factors = _factors(members, with_equal)
        products = _products(members, with_equal)
        masks = party.dealing.mask_planes((len(self.factors), count, size))

        def made() -> Words:
            found = np.empty((len(products), count, size), dtype=np.uint64)
            by_names: dict[Factors, Words] = {(name,): mask for name, mask in zip(self.factors, masks, strict=True)}
            for product, row in zip(products, found, strict=True):  # each stands behind those of fewer of its factors
                by_names[product] = np.bitwise_and(by_names[product[:-1]], by_names[product[-1:]], out=row)
            return found

        dealt = party.dealing.deal_planes((len(products), count, size), made)
        self.masks = masks
        self._with_equal = with_equal
        self._dealt = dealt

    def masked(self, less: Words, equal: Words) -> Words:
        """Return this party's shares of what is opened, from `(nodes, members, words)` shares."""
        bits = np.empty(self.masks.shape, dtype=np.uint64)
        for name, mask, row in zip(self.factors, self.masks, bits, strict=True):
            np.bitwise_xor((less if name[0] == "l" else equal)[:, int(name[1])], mask, out=row)
        return bits

    def results(self, opened: Words, less: Words) -> tuple[Words, Words | None]:
        """Return shares of `less` of each node, and of `equal` where it is needed."""
        sums = _sums(self._members, self._with_equal)
        outs = sums[-1][0] + 1
        found = bit_products(np.ascontiguousarray(opened), self.masks, self._dealt, int(self._party.one), sums, outs)
        found[0] ^= less[:, self._members - 1]
        return found[0], found[1] if outs > 1 else None


@cache
def _sums(members: int, with_equal: bool) -> tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...]:
    """Return the terms of a node as :func:`~mpc._core.bit_products` takes them.

    `less`, row 0, is the sum of all terms but `equal`, row 1. The sets of a term's factors are counted in binary with
    the first factor as the lowest digit, from the empty one, whose product is one.
    """
    factors = _factors(members, with_equal)
    order: list[Factors] = [(), *((name,) for name in factors), *_products(members, with_equal)]
    places = {chosen: place for place, chosen in enumerate(order)}
    return tuple(
        (
            int(number == members - 1),
            tuple(factors.index(name) for name in term),
            tuple(
                places[tuple(sorted(name for place, name in enumerate(term) if chosen >> place & 1))]
                for chosen in range(1 << len(term))
            ),
        )
        for number, term in enumerate(_terms(members, with_equal))
    )


def levels(groups: int) -> int:
    """Return how many levels, and so rounds, the tree of so many groups has."""
    found = 0
    while groups > 1:
        groups, found = -(-groups // ARITY), found + 1
    return found


def words(groups: int) -> int:
    """Return how many words the tree of so many groups takes of masks and of what is dealt, for one value."""
    return _plan(groups)[0]


@cache
def _plan(groups: int) -> tuple[int, int]:
    """Return the words that the tree takes, and how many groups its first level leaves, which is where they are few."""
    if groups <= ARITY:
        return (_node_words(groups, with_equal=False), 1) if groups > 1 else (0, 1)
    most = ARITY ** (levels(groups) - 1)
    return min((_level_words(groups, left) + words(left), left) for left in range(-(-groups // ARITY), most + 1))


def _level_words(groups: int, left: int) -> int:
    return sum(count * _node_words(members, with_equal=True) for _, members, count in _kinds(groups, left))


def _node_words(members: int, *, with_equal: bool) -> int:
    return len(_factors(members, with_equal)) + len(_products(members, with_equal))


def _kinds(groups: int, left: int) -> list[tuple[int, int, int]]:
    """Return for a level that leaves so many groups the first group, the members and the number of each kind of node.

    They are as even as can be. What would be nodes of one member is left as it is, after them.
    """
    members, larger = divmod(groups, left)
    kinds = [(0, members + 1, larger)] if larger else []
    return [*kinds, (larger * (members + 1), members, left - larger)] if members > 1 else kinds


@cache
def is_flat(groups: int, size: int) -> bool:
    """Return whether one node of all groups is worth it, for planes of so many words."""
    return ARITY < groups <= MOST_FLAT and 8 * size * _node_words(groups, with_equal=False) <= FLAT_BYTES


def _nodes_of(
    party: BitParty, groups: int, size: int, *, flat: bool
) -> tuple[list[tuple[int, int, int]], list[_Nodes]]:
    """Return for one level the first group, the members and the number of nodes of each kind, and these nodes."""
    blocks = [(0, groups, 1)] if flat else _kinds(groups, _plan(groups)[1])
    with_equal = groups > ARITY and not flat
    return blocks, [_Nodes(party, members, count, size, with_equal=with_equal) for _, members, count in blocks]


def whole(party: BitParty, less: Words, equal: Words, *, flat: bool = False) -> Words:
    """Return XOR shares of the whole comparison, from `(groups, words)` shares of its groups, the lowest one first.

    All groups are in one node if it is `flat`.
    """
    while len(less) > 1:
        blocks, nodes = _nodes_of(party, *less.shape, flat=flat)
        inner = [(_inner(less, block), _inner(equal, block)) for block in blocks]
        shares = [node.masked(*pair) for node, pair in zip(nodes, inner, strict=True)]
        opened = party.open("bits", [Part(share, planes=True) for share in shares], [share.shape for share in shares])
        found = [node.results(bits, pair[0]) for node, bits, pair in zip(nodes, opened, inner, strict=True)]
        used = max(first + members * count for first, members, count in blocks)
        less = np.concatenate([*(result for result, _ in found), less[used:]])
        equal = np.concatenate([*(result for _, result in found if result is not None), equal[used:]])
    result: Words = less[0]
    return result


def dealt(party: BitParty, groups: int, size: int, *, flat: bool = False) -> None:
    """Deal, as the provider, what :func:`whole` takes."""
    while groups > 1:
        blocks, nodes = _nodes_of(party, groups, size, flat=flat)
        party.pass_by("bits", [(node.masks.size, 64) for node in nodes], [node.masks.shape for node in nodes])
        groups -= sum((members - 1) * count for _, members, count in blocks)


def _inner(planes: Words, block: Sequence[int]) -> Words:
    """Return the planes of one kind of nodes as `(nodes, members, words)`."""
    first, members, count = block
    return planes[first : first + members * count].reshape(count, members, -1)
