"""Verifiable secret sharing: polynomials of degree t over the scalars, and commitments to their coefficients.

Holder number j, from 1 on, has the polynomial's value at j. Any t + 1 values give the value at zero, and any t are
uniform. Feldman's commitments (FOCS 1987) are the coefficients times G. Those of Pedersen (CRYPTO 1991) add a second
polynomial times H, and hide the first one perfectly.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpc._core import CurvePoints
from mpc.commons.group import (
    ORDER,
    Points,
    SecretScalar,
    encodings,
    generator_base,
    same,
    scalars,
    second_base,
)  # fmt: skip
from mpc.errors import ParameterError
from mpc.randomness import SYSTEM, Randomness


class Polynomial:
    """A secret polynomial. It prints its degree alone."""

    def __init__(self, coefficients: Sequence[SecretScalar]) -> None:
        self._coefficients = tuple(coefficients)

    @classmethod
    def fresh(cls, degree: int, randomness: Randomness = SYSTEM) -> Polynomial:
        """Draw a uniform polynomial of at most this degree."""
        return cls([SecretScalar.fresh(randomness) for _ in range(degree + 1)])

    def at(self, index: int) -> SecretScalar:
        """Return the value at a public index, by Horner's rule."""
        value = self._coefficients[-1]
        for coefficient in reversed(self._coefficients[:-1]):
            value = value.multiply_add(index, coefficient)
        return value

    def commitments(self) -> Points:
        """Return Feldman's commitments, one a coefficient."""
        return generator_base().multiply(b"".join(one.reveal() for one in self._coefficients))

    def hidden_commitments(self, blinding: Polynomial) -> Points:
        """Return Pedersen's commitments under the blinding polynomial, one a coefficient."""
        return self.commitments() + second_base().multiply(b"".join(one.reveal() for one in blinding._coefficients))

    def __repr__(self) -> str:
        return f"Polynomial(<degree {len(self._coefficients) - 1}>)"


def committed_value(commitments: Points, index: int) -> Points:
    """Return the commitment to the polynomial's value at `index`, from those to its coefficients."""
    return commitments.sum_of_multiples(scalars(pow(index, power, ORDER) for power in range(len(commitments))))


def fits(commitments: Points, index: int, share: SecretScalar) -> bool:
    """Return whether a share is the value at `index` of what Feldman's commitments say."""
    return same(share.times_generator(), committed_value(commitments, index))


def fits_hidden(commitments: Points, index: int, share: SecretScalar, blinding: SecretScalar) -> bool:
    """Return whether a share and its blinding are the values at `index` of what Pedersen's commitments say."""
    return same(share.times_generator() + blinding.times(second_base()), committed_value(commitments, index))


def lagrange(indices: Sequence[int], at: int = 0) -> list[int]:
    """Return the factors by which values at `indices` add up to the value at another place.

    Raises:
        ParameterError: an index is there twice.
    """
    if len(set(indices)) != len(indices):
        raise ParameterError(f"expected different indices, found {', '.join(map(str, indices))}")
    factors = []
    for index in indices:
        over, under = 1, 1
        for other in indices:
            if other != index:
                over, under = over * (at - other) % ORDER, under * (index - other) % ORDER
        factors.append(over * pow(under, -1, ORDER) % ORDER)
    return factors


def interpolate(indices: Sequence[int], values: Sequence[Points], at: int = 0) -> Points:
    """Return the elements at another place of polynomials in the exponent, whose values at `indices` are given.

    Args:
        values: for each index a list of elements, all of the same length.
    """
    if not values or len({len(one) for one in values}) != 1 or len(values) != len(indices):
        raise ParameterError(f"expected equally many elements for {len(indices)} indices, found others")
    rows = len(values[0])
    return CurvePoints.combine([scalars((factor,)) * rows for factor in lagrange(indices, at)], list(values))


def are_on_a_polynomial(degree: int, at_zero: Points, values: Points) -> bool:
    """Return whether elements at 0 and at 1, 2, ... are those of one polynomial in the exponent of this degree."""
    first = list(range(degree + 1))
    every = CurvePoints.join([at_zero, values])
    if len(every) <= degree:
        return False
    given = [every[index : index + 1] for index in first]
    found = [interpolate(first, given, at=index).encode() for index in range(degree + 1, len(every))]
    return found == list(encodings(every))[degree + 1 :]
