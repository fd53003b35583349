"""How numbers in slots become an integer polynomial, in numpy, independently of the core.

Slot i is the value of the polynomial at ``zeta^(5^i)``, zeta = exp(pi i / N). Real slots are values at the conjugates,
too. From Cheon, Kim, Kim and Song ("Homomorphic encryption for arithmetic of approximate numbers", ASIACRYPT 2017,
section 3.1).
"""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mpc.encrypted.packing import Floats


@functools.lru_cache(maxsize=4)
def slot_places(slots: int) -> NDArray[np.int64]:
    """Return ``(e - 1) / 2`` for the exponents e = 5^i modulo 4 * slots, which is each slot's place among odd ones."""
    exponents = np.empty(slots, np.int64)
    exponent = 1
    for i in range(slots):
        exponents[i] = exponent
        exponent = exponent * 5 % (4 * slots)
    return (exponents - 1) // 2


def coefficients(values: Floats) -> Floats:
    """Return the ``(2 * slots,)`` coefficients of the polynomial with these real values in its slots."""
    slots = len(values)
    degree = 2 * slots
    everywhere = np.zeros(degree)
    places = slot_places(slots)
    everywhere[places] = values
    everywhere[degree - 1 - places] = values
    twisted = np.fft.fft(everywhere) / degree
    found: Floats = (twisted * np.exp(-1j * np.pi / degree * np.arange(degree))).real
    return found


def values(coefficients: Floats) -> Floats:
    """Return the real parts of the ``(slots,)`` values of a polynomial."""
    found: Floats = complex_values(coefficients).real
    return found


def complex_values(coefficients: Floats) -> NDArray[np.complex128]:
    """Return the ``(..., slots)`` values of polynomials with ``(..., 2 * slots)`` coefficients."""
    degree = coefficients.shape[-1]
    twisted = coefficients * np.exp(1j * np.pi / degree * np.arange(degree))
    found: NDArray[np.complex128] = (np.fft.ifft(twisted) * degree)[..., slot_places(degree // 2)]
    return found


def encoded(slots: Floats, scale: Fraction) -> Floats:
    """Return what becomes of public numbers that are encoded at a scale, whose coefficients are rounded."""
    factor = float(scale)
    return values(np.round(coefficients(slots) * factor)) / factor
