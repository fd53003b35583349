"""Packed, additively homomorphic encryption of vote masks, after Paillier (EUROCRYPT 1999) with short random exponents.

Textbook Paillier draws r in Z*_n for each ciphertext ``(1 + m n) r^n mod n^2``. Here the key fixes a base ``h_n = h^n
mod n^2`` with ``h = -x^2 mod n`` for a random x. The modulus n is the product of two primes that are 3 modulo 4 with
``gcd(p - 1, q - 1) = 2``. A ciphertext is ``(1 + m n) h_n^a mod n^2`` with a uniform below 2^(half the bits of n). This
is the scheme of Damgård, Jurik and Nielsen, "A generalization of Paillier's public-key system with applications to
electronic voting" (Int. J. Inf. Secur. 2010). Decryption is Paillier's own, by the ``phe`` library.

There are two assumptions. One is decisional composite residuosity, as before. The other is that nobody without the
factors of n tells powers of h with such short exponents from powers with exponents of full length. For moduli of two
primes of equal length Goldreich and Rosen (J. Cryptology 2003) derive the latter from the hardness of factoring.
Nothing rests on it towards the holder of the factors, because the exponents, which add up in a sum, are independent of
the masks.

A 3072-bit modulus gives 128-bit security (NIST SP 800-57 Part 1 Rev. 5, Table 2). Each mask in Z_2^width takes
a slot of ``width + ceil(log2(parties))`` bits, so that the sum over all parties never carries into the next slot.
"""

from __future__ import annotations

from collections import deque
from functools import cached_property

import gmpy2

from mpc.errors import ProtocolError
from mpc.extras import needed
from mpc.paillier.fixed_base import FixedBase
from mpc.paillier.packing import KEY_BITS
from mpc.randomness import SYSTEM, Randomness, uniform_below

_SMALL_PRIMES = gmpy2.primorial(10_000)  # most candidates for a prime fall to one of them


class PublicKey:
    """Encrypts, adds and re-randomises. Ciphertexts are elements of Z*_(n^2).

    Attributes:
        modulus: n.
        base: h_n. Nobody can check without the factors that it is an n-th power modulo n^2. With another base their
            holder decrypts nothing.

    Raises:
        ProtocolError: an even modulus or one of another length, or a base that hides nothing.
    """

    def __init__(self, modulus: int, base: int, key_bits: int = KEY_BITS, randomness: Randomness = SYSTEM) -> None:
        if modulus.bit_length() != key_bits or modulus % 2 == 0:
            raise ProtocolError.mismatch("an odd Paillier modulus of bits", key_bits, modulus.bit_length())
        # Powers of -x^2 have Jacobi symbol 1, and a number that is no unit has 0. An n-th power that is 1 or -1
        # modulo n is 1 or -1, and hides nothing.
        if not 0 < base < modulus**2 or gmpy2.jacobi(base, modulus) != 1 or base % modulus in (1, modulus - 1):
            raise ProtocolError(
                "expected a unit modulo n^2 of Jacobi symbol 1, and not 1 or -1 modulo n, as base of Paillier's random "
                "factors, found another number"
            )
        self.modulus = modulus
        self.base = base
        self.key_bits = key_bits
        self._square = gmpy2.mpz(modulus) ** 2
        self._randomness = randomness
        self._zeros: deque[int] = deque()

    @property
    def ciphertext_bytes(self) -> int:
        """Length of one ciphertext on the wire."""
        return 2 * self.key_bits // 8

    @cached_property
    def _powers(self) -> FixedBase:
        return FixedBase(self.base, self.modulus**2, -(-self.key_bits // 2))

    def prepare(self, count: int) -> None:
        """Do nearly all the work of ``count`` encryptions to come, in idle time.

        This makes encryptions of zero, of which each is used once.
        """
        for _ in range(count):
            self._zeros.append(self._powers.power(uniform_below(1 << self._powers.bits, self._randomness)))

    def encrypt(self, plaintexts: list[int]) -> list[int]:
        """Return fresh encryptions of plaintexts below n."""
        self.prepare(len(plaintexts) - len(self._zeros))
        return [int((1 + plaintext * self.modulus) * self._zeros.popleft() % self._square) for plaintext in plaintexts]

    def add(self, *terms: list[int]) -> list[int]:
        """Return ciphertexts of the sums, re-randomised, so that they say nothing about those that went in."""
        sums = [gmpy2.mpz(zero) for zero in self.encrypt([0] * len(terms[0]))]
        for term in terms:
            sums = [left * right % self._square for left, right in zip(sums, term, strict=True)]
        return [int(total) for total in sums]

    def to_bytes(self, ciphertexts: list[int]) -> bytes:
        """Return fixed-length big-endian ciphertexts, one after the other."""
        return b"".join(ciphertext.to_bytes(self.ciphertext_bytes, "big") for ciphertext in ciphertexts)

    def from_bytes(self, data: bytes | memoryview, count: int) -> list[int]:
        """Return the ciphertexts of :meth:`to_bytes`.

        Raises:
            ProtocolError: another length, or a number that is no unit modulo n^2.
        """
        size = self.ciphertext_bytes
        if len(data) != count * size:
            raise ProtocolError.mismatch("bytes of ciphertexts", count * size, len(data))
        values = [int.from_bytes(data[start : start + size], "big") for start in range(0, len(data), size)]
        for value in values:
            if not 0 < value < self._square or gmpy2.gcd(value, self.modulus) != 1:
                raise ProtocolError("expected a Paillier ciphertext, found a number that is not a unit modulo n^2")
        return values


class SecretKey:
    """The Privacy Guardian's key pair. Raises `ParameterError` where the package phe is not installed."""

    def __init__(self, key_bits: int = KEY_BITS, randomness: Randomness = SYSTEM) -> None:
        needed("phe", "the decryption of Paillier")
        from phe import paillier as phe_paillier  # noqa: PLC0415 - the holder of a secret key alone needs it

        p = _blum_prime(key_bits // 2, randomness)
        q = _blum_prime(key_bits // 2, randomness, p)
        modulus = p * q
        while gmpy2.gcd(x := uniform_below(modulus, randomness), modulus) != 1:
            pass
        base = int(gmpy2.powmod(-x * x, modulus, modulus**2))
        self.public = PublicKey(modulus, base, key_bits, randomness)
        self._key = phe_paillier.PaillierPrivateKey(phe_paillier.PaillierPublicKey(modulus), p, q)

    def decrypt(self, ciphertexts: list[int]) -> list[int]:
        """Return the plaintexts, in [0, n)."""
        return [int(self._key.raw_decrypt(ciphertext)) for ciphertext in ciphertexts]

    def __repr__(self) -> str:
        return f"SecretKey(<hidden>, {self.public.key_bits} bits)"


def _blum_prime(bits: int, randomness: Randomness, other: int = 3) -> int:
    """Draw a prime p, uniform among those that are 3 modulo 4, have two leading ones and ``gcd(p - 1, other - 1) = 2``.

    The product of two such has exactly twice `bits`. The default of `other` excludes none. With another prime there, p
    differs from it.
    """
    while True:
        candidate = gmpy2.mpz(3 << bits - 2 | uniform_below(1 << bits - 4, randomness) << 2 | 3)
        if gmpy2.gcd(candidate, _SMALL_PRIMES) != 1 or gmpy2.gcd(candidate - 1, other - 1) != 2:
            continue
        if gmpy2.is_strong_prp(candidate, 2) and gmpy2.is_prime(candidate):  # the first is quick to say no
            return int(candidate)
