"""Powers of one base, after Lim and Lee, "More Flexible Exponentiation with Precomputation", CRYPTO 1994.

The exponent's bits are laid out in ``TEETH`` rows, each cut into ``BLOCKS`` of equal length. The bits at position k of
block j, one of each row, are one digit. For every digit, table j holds the product of those ``base^(2^(i * row + j *
block))`` whose row i has its bit set. A power squares once a position, and multiplies once a digit.

For 1536 bits modulo 6144 bits these are 512 entries, 0.4 MB and 275 products a power. The tables take about as long to
make as an ordinary power. Look-ups go by digits of the exponent. Neither they nor the products are constant-time.
"""

from __future__ import annotations

import gmpy2

from mpc.errors import ParameterError

TEETH = 7
BLOCKS = 4


class FixedBase:
    """Computes ``base^e mod modulus`` for many exponents below 2^bits."""

    def __init__(self, base: int, modulus: int, bits: int) -> None:
        self.bits = bits
        self._modulus = gmpy2.mpz(modulus)
        self._block = -(-bits // (TEETH * BLOCKS))
        self._row = BLOCKS * self._block
        powers = [gmpy2.mpz(base) % self._modulus]  # powers[t] is base^(2^(t * block))
        for _ in range(TEETH * BLOCKS - 1):
            powers.append(gmpy2.powmod(powers[-1], 1 << self._block, self._modulus))
        self._tables = [self._products(powers[block::BLOCKS]) for block in range(BLOCKS)]

    def power(self, exponent: int) -> int:
        """Return the power. Raises `ParameterError` for an exponent out of range."""
        if not 0 <= exponent < 1 << self.bits:
            raise ParameterError(f"expected an exponent of at most {self.bits} bits, found {exponent.bit_length()}")
        digits = self._digits(exponent)
        result = gmpy2.mpz(1)
        for position in reversed(range(self._block)):
            result = result * result % self._modulus
            for block, table in enumerate(self._tables):
                result = result * table[digits[block * self._block + position]] % self._modulus
        return int(result)

    def _digits(self, exponent: int) -> list[int]:
        """Return, for each position in a row, the bits of all rows there, with row 0's lowest."""
        rows = [exponent >> tooth * self._row & (1 << self._row) - 1 for tooth in reversed(range(TEETH))]
        columns = zip(*(f"{row:0{self._row}b}" for row in rows), strict=True)
        return [int("".join(column), 2) for column in columns][::-1]

    def _products(self, factors: list[int]) -> list[int]:
        """Return at index d the product of the factors whose bits are set in d."""
        products = [gmpy2.mpz(1)]
        for factor in factors:
            products += [product * factor % self._modulus for product in products]
        return products
