"""Shamir shares of secret scalars, with commitments that everybody can check a share against.

A polynomial f of degree t over the integers modulo L hides its value at 0. Party j, from 1 on, has f(j). Any t of these
are uniform. Feldman's commitments (FOCS 1987) are the coefficients times G, which say f(0) G. Pedersen's (CRYPTO 1991)
add a second polynomial's coefficients times H, and say nothing.
"""

from __future__ import annotations

from functools import lru_cache

from mpc._core import GroupPoints, GroupTable, scalars_multiply_add
from mpc.commons.group import (
    ONE,
    SCALAR_BYTES,
    ZERO,
    generator_table,
    hash_to_group,
    random_scalars,
    scalar,
)
from mpc.errors import ParameterError
from mpc.randomness import SYSTEM, Randomness


class Polynomial:
    """A secret polynomial. It prints its degree alone."""

    def __init__(self, coefficients: bytes) -> None:
        self._coefficients = coefficients

    @classmethod
    def fresh(cls, degree: int, randomness: Randomness = SYSTEM) -> Polynomial:
        """Return a uniform polynomial."""
        if degree < 0:
            raise ParameterError(f"expected a degree of at least 0, found {degree}")
        return cls(random_scalars(degree + 1, randomness))

    @property
    def degree(self) -> int:
        """Its degree."""
        return len(self._coefficients) // SCALAR_BYTES - 1

    def at(self, index: int) -> bytes:
        """Return its value at a public index, by Horner's rule in constant time."""
        value, place = ZERO, scalar(index)
        for start in range(len(self._coefficients) - SCALAR_BYTES, -1, -SCALAR_BYTES):
            value = scalars_multiply_add(value, place, self._coefficients[start : start + SCALAR_BYTES])
        return value

    def commit(self) -> GroupPoints:
        """Return Feldman's commitments."""
        return generator_table().multiples(self._coefficients)

    def commit_with(self, other: Polynomial) -> GroupPoints:
        """Return Pedersen's commitments, with the other polynomial for H."""
        return self.commit() + _pedersen_table().multiples(other._coefficients)

    def __repr__(self) -> str:
        return f"Polynomial(degree {self.degree}, <hidden>)"


def committed_at(commitments: GroupPoints, index: int) -> GroupPoints:
    """Return what the commitments say of the value at an index: f(j) G, or f(j) G + f'(j) H."""
    return commitments.combine_public(b"".join(scalar(index**power) for power in range(len(commitments))))


def is_share(commitments: GroupPoints, index: int, share: bytes) -> bool:
    """Return whether a share is the one of Feldman's commitments."""
    return generator_table().multiples(share).encode() == committed_at(commitments, index).encode()


def is_pair(commitments: GroupPoints, index: int, share: bytes, other: bytes) -> bool:
    """Return whether a share and its companion are those of Pedersen's commitments."""
    found = generator_table().multiples(share) + _pedersen_table().multiples(other)
    return found.encode() == committed_at(commitments, index).encode()


def add_scalars(values: list[bytes]) -> bytes:
    """Return the sum of secret scalars."""
    total = ZERO
    for value in values:
        total = scalars_multiply_add(value, ONE, total)
    return total


@lru_cache(maxsize=1)
def _pedersen_table() -> GroupTable:
    return GroupTable(hash_to_group(b"H", b"commons Pedersen v1"))
