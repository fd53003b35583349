"""The polynomials that stand for the logistic function in a range, by least squares.

The logistic function minus a half is odd, so the polynomial is c1 z + c3 z^3 and, for degree 5, + c5 z^5. In -8..8 the
coefficients are those of Kim, Song, Wang, Xia and Jiang ("Secure logistic regression based on homomorphic encryption",
JMIR Medical Informatics 2018, section 2.3).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from mpc.encrypted.packing import Floats
from mpc.errors import ParameterError

RANGE = 8.0
DEGREES = (3, 5)


@dataclass(frozen=True)
class Sigmoid:
    """``1/2 + c1 z + c3 z^3 (+ c5 z^5)``, which stands for the logistic function where ``|z| <= range``.

    Attributes:
        coefficients: c1, c3 and, for degree 5, c5.
        worst: the largest distance from the logistic function in the range.
    """

    degree: int
    range: float
    coefficients: tuple[float, ...]
    worst: float

    def __call__(self, z: Floats) -> Floats:
        """Return the polynomial's values."""
        odd = sum(c * z ** (2 * k + 1) for k, c in enumerate(self.coefficients))
        return np.asarray(0.5 + odd, np.float64)

    @property
    def largest_slope(self) -> float:
        """The largest value of ``polynomial(-z)`` in the range, by which one record can move the weights."""
        return float(np.abs(self(-np.linspace(-self.range, self.range, 2001))).max())


@functools.lru_cache(maxsize=8)
def sigmoid(degree: int, reach: float = RANGE) -> Sigmoid:
    """Return the polynomial of this degree that is the nearest in the square mean over ``-reach..reach``.

    Raises:
        ParameterError: the degree is neither 3 nor 5, or the range is not positive.
    """
    if degree not in DEGREES:
        raise ParameterError(f"expected a sigmoid of degree 3 or 5, found {degree}")
    if not reach > 0:
        raise ParameterError(f"expected a range above 0, found {reach:g}")
    nodes, weights = np.polynomial.legendre.leggauss(200)
    z = nodes * reach
    truth = 1 / (1 + np.exp(-z))
    powers = np.stack([z ** (2 * k + 1) for k in range((degree + 1) // 2)], axis=1)
    root = np.sqrt(weights)
    found, *_ = np.linalg.lstsq(powers * root[:, None], (truth - 0.5) * root, rcond=None)
    grid = np.linspace(-reach, reach, 4001)
    values = 0.5 + sum(c * grid ** (2 * k + 1) for k, c in enumerate(found))
    worst = float(np.abs(values - 1 / (1 + np.exp(-grid))).max())
    return Sigmoid(degree, reach, tuple(float(c) for c in found), worst)
