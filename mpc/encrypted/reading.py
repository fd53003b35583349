"""How weights are read from a polynomial that two parties share modulo Q, each from its share alone.

Two shares of a polynomial modulo Q give shares of every sum of its coefficients with *integer* factors. So a weight,
which is the mean of its block of slots, is read with its factors rounded to integers. They are

    A_jk = the mean over the slots i of block j of cos(pi k 5^i / N), times 2^(shift + grid_bits) / scale, rounded

and ``sum_k A_jk m_k`` is the weight in units of ``2^-(shift + grid_bits)``. At level 0 there is room for few bits of
the factors. So they are rounded up or down with the chance that keeps their mean, by a public sequence. What is read is
then ``B w`` and not w, with a public matrix B that is close to the identity, and whoever learns ``B w`` computes w.

Both parties need the very same integers, on any machine. So the factors come from integer arithmetic alone.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Hashable
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mpc.encrypted.embedding import coefficients, complex_values, slot_places
from mpc.encrypted.packing import Floats
from mpc.errors import ParameterError, RangeError

Residues = NDArray[np.uint64]
"""Coefficients of a polynomial modulo the primes of its level, ``(level + 1, N)``."""

_COSINE_BITS = 40
_GUARD_BITS = 160
_DITHER_BITS = 16
_MOST_FACTOR_BITS = 28
_LIMB_BITS = 16
_DOUBLES = 2.0**-36
"""More than the error of a mean of cosines in doubles, of which a transform of 2^15 numbers has at most 2^-41."""

MOST_ERRORS = 2.0
"""How much larger, as a factor, the inverse of B may make errors. A larger one means that there is no room for A."""


@functools.lru_cache(maxsize=2)
def _cosines(degree: int) -> NDArray[np.int64]:
    """Return ``round(2^40 cos(pi n / N))`` for n < 2 N, by integers alone."""
    one = 1 << _GUARD_BITS
    cosine, sine = 0, one  # of pi / 2, then of half of that, and so on
    for _ in range(degree.bit_length() - 2):
        cosine = math.isqrt((one + cosine) * one // 2)
        sine = math.isqrt(one * one - cosine * cosine)
    found = np.empty(2 * degree, np.int64)
    x, y, half = one, 0, 1 << (_GUARD_BITS - _COSINE_BITS - 1)
    for n in range(degree // 2 + 1):
        rounded = (x + half) >> (_GUARD_BITS - _COSINE_BITS)
        found[n], found[degree - n], found[degree + n], found[-n] = rounded, -rounded, -rounded, rounded
        x, y = (x * cosine - y * sine) >> _GUARD_BITS, (x * sine + y * cosine) >> _GUARD_BITS
    return found


class Layout(Hashable, Protocol):
    """How the numbers that are read lie in slots, such as a :class:`mpc.encrypted.packing.Packing`."""

    @property
    def features(self) -> int:
        """How many numbers there are, d'."""
        ...

    @property
    def slots(self) -> int:
        """The slots of one ciphertext."""
        ...

    @property
    def places(self) -> NDArray[np.int64]:
        """The slots that repeat each number, ``(d', copies)``."""
        ...


class Reading:
    """Reads the ``(d',)`` weights of a layout in slots from shares of a polynomial modulo Q. All of it is public.

    Args:
        primes: q_0 ... q_level, whose product is Q.
        scale: of the ciphertext.
        grid_bits: weights are released as multiples of ``2^-grid_bits``.
        limit_bits: weights are between ``-2^limit_bits`` and ``2^limit_bits``.

    Attributes:
        range_bits: of the signed integer that a weight on the grid is.
        shift: how many bits of what is read are below the grid.

    Raises:
        RangeError: Q has no room for such weights at this scale.
    """

    def __init__(
        self, packing: Layout, primes: tuple[int, ...], scale: Fraction, grid_bits: int, limit_bits: int
    ) -> None:
        self.packing, self.primes = packing, primes
        self.grid_bits, self.limit_bits = grid_bits, limit_bits
        self.modulus = math.prod(primes)
        self.range_bits = 1 + limit_bits + grid_bits
        if grid_bits < 0 or self.range_bits < 1:
            raise ParameterError(f"expected a grid of 2^-0 or finer, within the limit, found 2^-{grid_bits}")
        # A factor of 1 is 2^(shift + grid_bits) / scale. With it the range takes up half of the modulus at most.
        room = self.modulus.bit_length() - 1 - self.range_bits
        scale_bits = math.floor(math.log2(scale))
        self.shift = min(room, _MOST_FACTOR_BITS + scale_bits - grid_bits)
        if self.shift < 1 or self.shift + grid_bits < scale_bits:
            raise RangeError(
                f"expected room for weights below 2^{limit_bits} in steps of 2^-{grid_bits} at a scale of "
                f"2^{scale_bits}, found a modulus of {self.modulus.bit_length()} bits: lower the limit to "
                f"2^{limit_bits - max(1 - self.shift, scale_bits - self.shift - grid_bits)}"
            )
        self._factor = Fraction(1 << (self.shift + grid_bits)) / scale
        self.factors = self._rounded()
        """A, ``(d', N)``."""
        values = complex_values(self.factors / float(self._factor)) / packing.slots
        self.real: Floats = np.ascontiguousarray(values.real)
        """What is read as a function of the real parts of slots, ``(d', slots)``."""
        self.imaginary: Floats = np.ascontiguousarray(values.imag)
        """The same of the imaginary parts, which hold noise alone."""
        self.matrix: Floats = self.real[:, packing.places].sum(axis=2)
        """B, ``(d', d')``."""
        self._inverse = np.linalg.inv(self.matrix)
        if not (enlarged := float(np.abs(self._inverse).sum(axis=1).max())) <= MOST_ERRORS:
            raise RangeError(
                f"expected a reading that enlarges errors by at most {MOST_ERRORS:g}, found {enlarged:.3g}: lower the "
                f"limit of weights from 2^{limit_bits}"
            )

    def __repr__(self) -> str:
        return f"Reading({self.packing.features} weights below 2^{self.limit_bits}, steps of 2^-{self.grid_bits})"

    def _rounded(self) -> NDArray[np.int64]:
        """Return A. A number between two integers becomes either, as a public sequence says.

        Doubles decide all but those that are within their error of an integer. Integers decide these.
        """
        packing = self.packing
        label = f"capc reading 1/{packing.slots}/{packing.features}".encode()
        shape, copies = (packing.features, 2 * packing.slots), int(packing.places.shape[1])
        drawn = np.frombuffer(hashlib.shake_256(label).digest(2 * shape[0] * shape[1]), "<u2").reshape(shape)
        # The exact numbers are sums of cosines times 2^40, which are below 2^54, times this.
        whole = self._factor * (1 << _DITHER_BITS) / (copies << _COSINE_BITS)
        down = 8 - math.ceil(math.log2(whole))
        times = round(whole * Fraction(2) ** down)
        mean = float(Fraction(times * packing.slots << _COSINE_BITS, 1) * Fraction(2) ** -(down + _DITHER_BITS))
        blocks = np.zeros((packing.features, packing.slots))
        np.put_along_axis(blocks, packing.places, 1.0, axis=1)
        near = np.stack([coefficients(block) for block in blocks]) * mean
        near += drawn * 2.0**-_DITHER_BITS
        found = np.floor(near).astype(np.int64)
        unsure = np.abs(near - np.round(near)) < _DOUBLES * mean / packing.slots * copies
        odd = 2 * slot_places(packing.slots)[packing.places] + 1
        cosines, last = _cosines(shape[1]), 2 * shape[1] - 1
        for j, k in np.argwhere(unsure).tolist():
            total = int(cosines[odd[j] * k & last].sum())
            found[j, k] = ((total * times >> down) + int(drawn[j, k])) >> _DITHER_BITS
        return found

    def read(self, residues: Residues) -> list[int]:
        """Return ``sum_k A_jk m_k`` modulo Q for each j, of a polynomial or of a share of one."""
        shape = (len(self.primes), 2 * self.packing.slots)
        if residues.dtype != np.uint64 or residues.shape != shape:
            raise ParameterError(f"expected uint64 residues of shape {shape}, found {residues.dtype} {residues.shape}")
        found = [0] * self.packing.features
        for prime, row in zip(self.primes, residues, strict=True):
            if not (row < prime).all():
                raise ParameterError(f"expected residues below their prime {prime}, found a larger one")
            limbs = [(row >> np.uint64(bits)) & np.uint64((1 << _LIMB_BITS) - 1) for bits in range(0, 48, _LIMB_BITS)]
            sums = self.factors @ np.stack(limbs).astype(np.int64).T  # below 2^(28 + 16 + 15)
            others = self.modulus // prime
            weight = others * pow(others, -1, prime)
            for j, parts in enumerate(sums.tolist()):
                found[j] += weight * (sum(part << (_LIMB_BITS * place) for place, part in enumerate(parts)) % prime)
        return [number % self.modulus for number in found]

    def weights(self, numbers: NDArray[np.int64]) -> Floats:
        """Return the weights ``(d',)`` for the integers on the grid that were opened, by the inverse of B."""
        found: Floats = self._inverse @ np.ldexp(numbers.astype(np.float64), -self.grid_bits)
        return found

    def errors(self, bounds: Floats) -> Floats:
        """Return how far weights can be off where what is read is off by at most ``bounds`` ``(d',)``."""
        found: Floats = np.abs(self._inverse) @ bounds
        return found
