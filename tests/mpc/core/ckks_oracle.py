"""CKKS in Python integers, from what is sent alone: an independent account of ``mpc/core/ckks`` for small degrees.

Polynomials are lists of N integers modulo a product of primes. Messages are read byte by byte as
``mpc/core/ckks/wire.hpp`` says. Uniform halves and the secret are drawn with AES from the package ``cryptography``.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from mpc import _core

Polynomial = list[int]
CIPHERTEXT, SEEDED, PUBLIC, RELINEARISATION, ROTATION = range(1, 6)
FIXED, SEED, CHECKSUM = 56, 16, 16  # bytes of a header: before the scale, and behind it


class Stream:
    """AES-128 in counter mode as the core's ``Prg``: each request begins with a fresh block."""

    def __init__(self, key: bytes, place: bytes = bytes(16)) -> None:
        self._cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305, block by block
        self._place = int.from_bytes(place, "little")
        self._next = 0

    def words(self, count: int) -> list[int]:
        blocks = (8 * count + 15) // 16
        counters = b"".join((self._place ^ (self._next + i)).to_bytes(16, "little") for i in range(blocks))
        self._next += blocks
        return list(struct.unpack(f"<{count}Q", self._cipher.update(counters)[: 8 * count]))

    def residues(self, prime: int, count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            drawn = [word & ((1 << prime.bit_length()) - 1) for word in self.words(count - len(found))]
            found += [word for word in drawn if word < prime]
        return found


def centred(x: int, modulus: int) -> int:
    """Return x modulo the modulus in (-modulus/2, modulus/2]."""
    found = x % modulus
    return found - modulus if 2 * found > modulus else found


@dataclass(frozen=True)
class Message:
    """A message, with its polynomials as rows of transforms."""

    kind: int
    level: int
    steps: int
    key_id: bytes
    scale: list[int]
    first: list[list[list[int]]]  # polynomial, row, entry: c_0, or b of each digit
    second: list[list[list[int]]]


class Oracle:
    """Arithmetic for one set of parameters."""

    def __init__(self, parameters: _core.CkksParameters) -> None:
        self.degree, self.depth = parameters.degree, parameters.depth
        self.primes, self.special = parameters.primes, parameters.special_primes
        self.rows = self.primes + self.special
        self.digest = parameters.digest
        self.inverse = {p: self._inverse_transform(p) for p in self.rows}
        self.special_product = math.prod(self.special)

    def _inverse_transform(self, p: int) -> NDArray[np.object_]:
        """The matrix from the values at psi^(2 r + 1), r being an index with its bits reversed, to coefficients."""
        n, bits = self.degree, self.degree.bit_length() - 1
        roots = (pow(x, (p - 1) // (2 * n), p) for x in range(2, 1000))
        any_root = next(root for root in roots if pow(root, n, p) == p - 1)
        psi = min(pow(any_root, odd, p) for odd in range(1, 2 * n, 2))
        share = pow(n, -1, p)
        exponents = [2 * int(f"{j:0{bits}b}"[::-1], 2) + 1 for j in range(n)]
        return np.array([[pow(psi, -e * k, p) * share % p for e in exponents] for k in range(n)], dtype=object)

    def product(self, level: int) -> int:
        return math.prod(self.primes[: level + 1])

    def digit_primes(self, level: int) -> list[list[int]]:
        size = len(self.special)
        return [self.primes[first : min(first + size, level + 1)] for first in range(0, level + 1, size)]

    def read(self, message: bytes) -> Message:
        n, scale_bytes = self.degree, 8 * (self.depth + 2)
        magic, version, kind, level, zero, steps = struct.unpack_from("<8sBBHIq", message)
        assert (magic, version, zero) == (b"capcCKKS", 1, 0)
        assert message[24:40] == self.digest[:16]
        header = FIXED + scale_bytes + SEED
        assert hashlib.sha256(message[:header]).digest()[:CHECKSUM] == message[header : header + CHECKSUM]
        seed = Stream(message[FIXED + scale_bytes : header])
        rows = self.primes[: level + 1] + (self.special if kind in (RELINEARISATION, ROTATION) else [])
        count = {CIPHERTEXT: 2, SEEDED: 1, PUBLIC: 1}.get(kind, len(self.digit_primes(level)))
        at, polynomials = header + CHECKSUM, []
        for _ in range(count):
            polynomial = []
            for p in rows:
                size = (n * p.bit_length() + 7) // 8
                packed, mask = int.from_bytes(message[at : at + size], "little"), (1 << p.bit_length()) - 1
                polynomial.append([packed >> (p.bit_length() * i) & mask for i in range(n)])
                at += size
            polynomials.append(polynomial)
        assert at == len(message)
        if kind == CIPHERTEXT:
            first, second = polynomials[:1], polynomials[1:]
        else:
            first, second = polynomials, [[seed.residues(p, n) for p in rows] for _ in polynomials]
        scale = list(struct.unpack_from(f"<{self.depth + 2}q", message, FIXED))
        return Message(kind, level, steps, message[40:56], scale, first, second)

    def polynomial(self, transforms: list[list[int]], primes: list[int]) -> Polynomial:
        """Return the coefficients modulo the product of these primes."""
        modulus, found = math.prod(primes), np.zeros(self.degree, dtype=object)
        for row, p in zip(transforms, primes, strict=True):
            others = modulus // p
            found = found + (self.inverse[p] @ np.array(row, dtype=object) % p) * (pow(others, -1, p) * others)
        return [int(x) % modulus for x in found]

    def halves(self, ciphertext: _core.CkksCiphertext | bytes) -> tuple[Polynomial, Polynomial]:
        """Return c_0 and c_1 of a ciphertext modulo Q_l."""
        read = self.read(ciphertext if isinstance(ciphertext, bytes) else ciphertext.to_bytes())
        primes = self.primes[: read.level + 1]
        return self.polynomial(read.first[0], primes), self.polynomial(read.second[0], primes)

    def key(self, message: bytes, level: int) -> list[tuple[Polynomial, Polynomial]]:
        """Return b_d and a_d of a switching key modulo Q_l P, cut to a level."""
        read = self.read(message)
        primes = self.primes[: level + 1] + self.special
        pairs = list(zip(read.first, read.second, strict=True))[: len(self.digit_primes(level))]

        def cut(rows: list[list[int]]) -> list[list[int]]:
            return rows[: level + 1] + rows[read.level + 1 :]

        return [(self.polynomial(cut(b), primes), self.polynomial(cut(a), primes)) for b, a in pairs]

    def secret(self, seed: bytes) -> Polynomial:
        derived = hashlib.sha256(b"capc ckks secret 1" + self.digest + seed).digest()
        return [(3 * word >> 64) - 1 for word in Stream(derived[:16], derived[16:]).words(self.degree)]

    def multiply(self, x: Polynomial, y: Polynomial, modulus: int) -> Polynomial:
        n = self.degree
        found = [0] * (2 * n)
        for i, a in enumerate(x):
            for j, b in enumerate(y):
                found[i + j] += a * b
        return [(found[i] - found[i + n]) % modulus for i in range(n)]

    def add(self, x: Polynomial, y: Polynomial, modulus: int) -> Polynomial:
        return [(a + b) % modulus for a, b in zip(x, y, strict=True)]

    def rotate(self, x: Polynomial, steps: int, modulus: int) -> Polynomial:
        """X to X^(5^steps)."""
        n, found = self.degree, [0] * self.degree
        power = pow(5, steps, 2 * n)
        for k, a in enumerate(x):
            place = k * power % (2 * n)
            found[place % n] = (a if place < n else -a) % modulus
        return found

    def switch(
        self, c: Polynomial, key: list[tuple[Polynomial, Polynomial]], level: int
    ) -> tuple[Polynomial, Polynomial]:
        """Return the sum of the digits of c times the key, modulo Q_l P."""
        modulus = self.product(level) * self.special_product
        first = second = [0] * self.degree
        for primes, (b, a) in zip(self.digit_primes(level), key, strict=True):
            size = math.prod(primes)
            digit = [centred(x, size) for x in c]
            first = self.add(first, self.multiply(digit, b, modulus), modulus)
            second = self.add(second, self.multiply(digit, a, modulus), modulus)
        return first, second

    def divide(self, x: Polynomial, by: int, modulus: int) -> Polynomial:
        """Return x / by, rounded, modulo modulus / by."""
        return [(a - centred(a, by)) // by % (modulus // by) for a in x]

    def lifted(self, x: Polynomial, y: Polynomial, level: int) -> Polynomial:
        """Return x + P y modulo Q_l P."""
        modulus = self.product(level) * self.special_product
        return [(a + self.special_product * b) % modulus for a, b in zip(x, y, strict=True)]

    def scale(self, exponents: list[int]) -> Fraction:
        value = Fraction(2) ** exponents[0]
        for p, exponent in zip(self.primes, exponents[1:], strict=True):
            value *= Fraction(p) ** exponent
        return value

    def slots(self, coefficients: list[float]) -> NDArray[np.float64]:
        """Return the real parts of the values at zeta^(5^i)."""
        n = self.degree
        angles = [[pow(5, i, 2 * n) * k % (2 * n) for k in range(n)] for i in range(n // 2)]
        return np.cos(np.pi / n * np.array(angles)) @ np.array(coefficients)
