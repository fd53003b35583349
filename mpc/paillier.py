"""Packed, additively homomorphic encryption of vote masks: Paillier (EUROCRYPT 1999) over the ``phe`` library.

A 3072-bit modulus gives 128-bit security (NIST SP 800-57 Part 1 Rev. 5, Table 2). Each mask in Z_2^width takes
a slot of ``width + ceil(log2(parties))`` bits, so that the sum over all parties never carries into the next slot.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import gcd

import numpy as np
from phe import paillier as phe_paillier

from mpc.errors import ParameterError, ProtocolError
from mpc.randomness import uniform_below
from mpc.ring import Words

KEY_BITS = 3072


@dataclass(frozen=True)
class Packing:
    """How masks lie in plaintexts.

    Attributes:
        width: bits of a mask, 1 to 64.
        parties: how many ciphertexts are added at most.
        key_bits: length of the modulus; plaintexts stay below ``2^(key_bits - 1)``.
    """

    width: int
    parties: int
    key_bits: int = KEY_BITS

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ParameterError(f"expected a slot of {self.slot_bits} bits to fit a {self.key_bits}-bit modulus")

    @property
    def slot_bits(self) -> int:
        return self.width + (self.parties - 1).bit_length()

    @property
    def slots(self) -> int:
        return (self.key_bits - 1) // self.slot_bits

    def plaintexts(self, count: int) -> int:
        """Plaintexts that ``count`` masks take."""
        return -(-count // self.slots)

    def pack(self, words: Words) -> list[int]:
        """Masks, flattened in C order, to plaintexts."""
        flat = [int(word) for word in words.reshape(-1)]
        packed = []
        for start in range(0, len(flat), self.slots):
            value = 0
            for word in reversed(flat[start : start + self.slots]):
                value = value << self.slot_bits | word
            packed.append(value)
        return packed

    def unpack(self, plaintexts: list[int], shape: tuple[int, ...]) -> Words:
        """Sums of masks modulo 2^width, in the shape that was packed."""
        count = int(np.prod(shape, dtype=np.int64))
        slot_mask, word_mask = (1 << self.slot_bits) - 1, (1 << self.width) - 1
        words = [
            (plaintexts[index // self.slots] >> (index % self.slots) * self.slot_bits) & slot_mask & word_mask
            for index in range(count)
        ]
        return np.array(words, dtype=np.uint64).reshape(shape)


class PublicKey:
    """Encrypts, adds and re-randomises; ciphertexts are elements of Z*_(n^2)."""

    def __init__(self, modulus: int, key_bits: int = KEY_BITS) -> None:
        if modulus.bit_length() != key_bits or modulus % 2 == 0:
            raise ProtocolError.mismatch("an odd Paillier modulus of bits", key_bits, modulus.bit_length())
        self.key_bits = key_bits
        self._key = phe_paillier.PaillierPublicKey(n=modulus)
        self._zeros: deque[int] = deque()

    @property
    def modulus(self) -> int:
        return int(self._key.n)

    @property
    def ciphertext_bytes(self) -> int:
        return 2 * self.key_bits // 8

    def prepare(self, count: int) -> None:
        """In idle time, nearly all the work of ``count`` encryptions to come: encryptions of zero, each used once."""
        for _ in range(count):
            self._zeros.append(int(self._key.raw_encrypt(0, r_value=self._unit())))

    def encrypt(self, plaintexts: list[int]) -> list[int]:
        """Fresh encryptions of plaintexts below n; randomness is the operating system's."""
        self.prepare(len(plaintexts) - len(self._zeros))
        square = int(self._key.nsquare)
        return [(1 + plaintext * self.modulus) * self._zeros.popleft() % square for plaintext in plaintexts]

    def add(self, *terms: list[int]) -> list[int]:
        """Ciphertexts of the sums, re-randomised: they say nothing about which ciphertexts went in."""
        square = int(self._key.nsquare)
        sums = self.encrypt([0] * len(terms[0]))
        for term in terms:
            sums = [left * right % square for left, right in zip(sums, term, strict=True)]
        return sums

    def to_bytes(self, ciphertexts: list[int]) -> bytes:
        """Fixed-length big-endian ciphertexts, one after the other."""
        return b"".join(ciphertext.to_bytes(self.ciphertext_bytes, "big") for ciphertext in ciphertexts)

    def from_bytes(self, data: bytes | memoryview, count: int) -> list[int]:
        """The inverse; refuses wrong lengths and anything that is not a unit modulo n^2."""
        size = self.ciphertext_bytes
        if len(data) != count * size:
            raise ProtocolError.mismatch("bytes of ciphertexts", count * size, len(data))
        values = [int.from_bytes(data[start : start + size], "big") for start in range(0, len(data), size)]
        for value in values:
            if not 0 < value < int(self._key.nsquare) or gcd(value, self.modulus) != 1:
                raise ProtocolError("expected a Paillier ciphertext, found a number that is not a unit modulo n^2")
        return values

    def _unit(self) -> int:
        while True:
            candidate = 1 + uniform_below(self.modulus - 1)
            if gcd(candidate, self.modulus) == 1:
                return candidate


class SecretKey:
    """The Privacy Guardian's key pair."""

    def __init__(self, key_bits: int = KEY_BITS) -> None:
        public, self._key = phe_paillier.generate_paillier_keypair(n_length=key_bits)
        self.public = PublicKey(int(public.n), key_bits)

    def decrypt(self, ciphertexts: list[int]) -> list[int]:
        """Plaintexts in [0, n)."""
        return [int(self._key.raw_decrypt(ciphertext)) for ciphertext in ciphertexts]

    def __repr__(self) -> str:
        return f"SecretKey(<hidden>, {self.public.key_bits} bits)"
