"""The RLWE encryption under the linear layers: BFV over Z_q[X]/(X^N + 1) with plaintext modulus 2^l.

Parameters: N = 8192; q the product of two (or three) 60-bit primes, 120 (or 180) bits, where the
HomomorphicEncryption.org standard (Albrecht et al. 2018, Table 1, ternary secret, classical) allows 218 bits
for 128-bit security at this degree; SEAL's ``sec_level_type.tc128`` enforces the same bound, including the
20-bit prime that SEAL reserves for key switching and that nothing here uses. Ternary secret, centred binomial noise of
standard deviation 3.24, as in SEAL.

SEAL is the polynomial ring here: transforms, products, plaintext scaling, modulus switching. Sampling is done
in this package, so that the uniform half of a ciphertext travels as a seed, that all randomness is an
argument, and that a reply can be flooded. A C++ kernel can replace :class:`RlweRing` alone.
"""

from __future__ import annotations

import functools
import math
import struct
from dataclasses import dataclass

import numpy as np
import seal
from numpy.typing import NDArray

from mpc.errors import MpcError, ParameterError
from mpc.inference.keystream import Keystream
from mpc.randomness import uniform_words
from mpc.ring import Words

DEGREE = 8192
# The largest 60-bit primes congruent to 1 modulo 2^15, so that X^N + 1 splits for N up to 2^14. Each is 2^60 - c with
# c below 2^18: what is exact in 64 bits below rests on that.
PRIMES = (0xFFFFFFFFFFE8001, 0xFFFFFFFFFFD8001, 0xFFFFFFFFFFC0001)
UNUSED_PRIME = 0xC0001
PRIME_BITS = 60

_HEADER = struct.Struct("<HBBBBHQ")  # SEAL's: magic, header size, version, compression, reserved, total size
_CIPHERTEXT = struct.Struct("<32sBQQQdQ")  # parameters, NTT form, polynomials, degree, primes, scale, correction
_PLAINTEXT = struct.Struct("<32sQd")  # parameters (zero: coefficient form), coefficients, scale
_COUNT = struct.Struct("<Q")
_MAGIC, _VERSION = 0xA15E, (4, 4)


@dataclass(frozen=True)
class RlweParameters:
    """The public parameters; both parties derive them from the architecture.

    Attributes:
        plain_bits: l, of the plaintext modulus 2^l.
        primes: how many 60-bit primes q has, 2 or 3; a reply is switched down to the first one.
    """

    plain_bits: int
    primes: int = 2

    def __post_init__(self) -> None:
        if not 8 <= self.plain_bits <= LARGEST_PLAIN_BITS:
            raise ParameterError(
                f"expected a ring of 8 to {LARGEST_PLAIN_BITS} bits for encrypted layers, found {self.plain_bits}"
            )
        if self.primes not in (2, 3):
            raise ParameterError(f"expected 2 or 3 ciphertext primes, found {self.primes}")

    @property
    def reply_margin(self) -> int:
        """Largest noise of a reply after the switch to the first prime p: decryption is exact below p/2^(l+1).

        1/32 of the distance is kept for the receiver's floating-point rounding.
        """
        return (PRIMES[0] >> self.plain_bits) * 15 // 32

    @property
    def flood_bits(self) -> int:
        """F: replies are flooded with integers uniform in [-2^F, 2^F).

        Switching divides the noise by the dropped primes D and adds at most (1 + |s|_1)/2 <= (1 + N)/2 for a
        ternary secret. So 2^F + B <= D (margin - (N + 3)/2) keeps every reply exact; a 256th is left for B.
        """
        dropped = math.prod(PRIMES[1 : self.primes])
        room = dropped * (self.reply_margin - (DEGREE + 3) // 2 - 1)
        return min((room * 255 // 256).bit_length() - 1, LARGEST_FLOOD_BITS)

    @property
    def largest_noise(self) -> int:
        """B: the worst-case noise before flooding that still decrypts exactly."""
        return math.prod(PRIMES[1 : self.primes]) * (self.reply_margin - (DEGREE + 3) // 2 - 1) // 256


LARGEST_FLOOD_BITS = 100  # 41 bits above the 60 of a prime, times c below 2^18, still fit a word
LARGEST_PLAIN_BITS = 45  # at 46 the margin for switching noise falls under the 2^13 that flooding wants


class RlweRing:
    """Z_q[X]/(X^N + 1) in residue form, computed by SEAL.

    A polynomial is a uint64 array ``[primes, N]``, one row a prime, each entry below its prime. A SEAL ciphertext
    object carries two polynomials, in coefficient or NTT form, at the full modulus or at the first prime alone.
    """

    def __init__(self, parameters: RlweParameters) -> None:
        self.parameters = parameters
        primes = PRIMES[: parameters.primes]
        self.moduli = np.array(primes, dtype=np.uint64).reshape(-1, 1)
        self._complements = np.uint64(1 << PRIME_BITS) - self.moduli
        self._negative_inverses = np.array([[-pow(p, -1, 1 << 64) % (1 << 64)] for p in primes], dtype=np.uint64)
        chosen = seal.EncryptionParameters(seal.scheme_type.bfv)
        chosen.set_poly_modulus_degree(DEGREE)
        chosen.set_coeff_modulus([seal.Modulus(p) for p in (*primes, UNUSED_PRIME)])
        chosen.set_plain_modulus(1 << parameters.plain_bits)
        self.context = seal.SEALContext(chosen, True, seal.sec_level_type.tc128)
        if not self.context.parameters_set():
            raise MpcError(f"SEAL refuses the parameters: {self.context.parameter_error_message()}")
        self.evaluator = seal.Evaluator(self.context)
        self._ids = {
            parameters.primes: self.context.first_parms_id(),
            1: self.context.last_parms_id(),
        }

    def pair(self, polynomials: Words, *, ntt: bool) -> seal.Ciphertext:
        """Two polynomials ``[2, primes, N]`` (all primes, or the first alone) as a SEAL object."""
        primes = polynomials.shape[1]
        body = polynomials.astype("<u8", copy=False).tobytes()
        inner = _header(_COUNT.size + len(body)) + _COUNT.pack(len(body) // 8)
        fields = _CIPHERTEXT.pack(struct.pack("<4Q", *self._ids[primes]), ntt, 2, DEGREE, primes, 1.0, 1)
        loaded = seal.Ciphertext()
        loaded.load_bytes(self.context, _header(len(fields) + len(inner) + len(body)) + fields + inner + body)
        return loaded

    def polynomials(self, pair: seal.Ciphertext) -> Words:
        """The two polynomials of a SEAL object, ``[2, primes, N]``; a fresh, writable array."""
        primes = pair.coeff_modulus_size()
        data = pair.to_string()
        words = np.frombuffer(data, dtype="<u8", offset=len(data) - 16 * primes * DEGREE)
        return words.reshape(2, primes, DEGREE).copy()

    def plaintext(self, coefficients: Words) -> seal.Plaintext:
        """Coefficients ``[N]`` below 2^l as a SEAL plaintext."""
        body = coefficients.astype("<u8", copy=False).tobytes()
        inner = _header(_COUNT.size + len(body)) + _COUNT.pack(DEGREE)
        fields = _PLAINTEXT.pack(bytes(32), DEGREE, 1.0)
        loaded = seal.Plaintext()
        loaded.load_bytes(self.context, _header(len(fields) + len(inner) + len(body)) + fields + inner + body)
        return loaded

    def transformed(self, coefficients: NDArray[np.int64], primes: int | None = None) -> seal.Plaintext:
        """Signed coefficients ``[N]``, in [-2^(l-1), 2^(l-1)), as an NTT factor for :meth:`pair` objects."""
        words = coefficients.astype(np.uint64) & np.uint64((1 << self.parameters.plain_bits) - 1)
        return self.evaluator.transform_to_ntt(self.plaintext(words), self._ids[primes or self.parameters.primes])

    def lift(self, small: NDArray[np.int64]) -> Words:
        """Signed integers ``[..., 1, n]``, below every prime in magnitude, as residues ``[..., primes, n]``."""
        return _smaller(small.astype(np.uint64), self.moduli)

    def flood(self, stream: Keystream, count: int) -> Words:
        """Integers uniform in [-2^F, 2^F), as residues ``[primes, count]``."""
        bits = self.parameters.flood_bits
        low = uniform_words(count, PRIME_BITS, stream)
        high = uniform_words(count, bits + 1 - PRIME_BITS, stream)
        centre = np.array([[(1 << bits) % int(p)] for p in self.moduli[:, 0]], dtype=np.uint64)
        return self.subtract((low + high * self._complements) % self.moduli, centre)

    def scale(self, messages: Words) -> Words:
        """round(q m / t) for messages m ``[..., n]`` in Z_t, t = 2^l, as residues ``[..., primes, n]``.

        q m + t/2 = t round(q m / t) + R with R = q m + t/2 mod t, so that the residue for the prime p is r / t
        with r = t/2 - R; and r / t = (r + k p) / t for k = -r / p mod t. With p = 2^60 - c that is
        k 2^(60-l) + (r - k c) / t, where |r| <= t/2, k < 2^45 and c < 2^18 keep r - k c within 63 bits.
        """
        bits = self.parameters.plain_bits
        mask, half = np.uint64((1 << bits) - 1), np.int64(1 << (bits - 1))
        product = messages * np.uint64(math.prod(PRIMES[: self.parameters.primes]) & (2**64 - 1))
        rest = half - ((product + np.uint64(half)) & mask).astype(np.int64)[..., None, :]
        factors = (rest.astype(np.uint64) * self._negative_inverses & mask).astype(np.int64)
        exact = (factors << np.int64(PRIME_BITS - bits)) + (
            (rest - factors * self._complements.astype(np.int64)) >> np.int64(bits)
        )
        return _smaller(exact.astype(np.uint64), self.moduli)

    def add(self, left: Words, right: Words) -> Words:
        """Residues below 2^60 added, row by row."""
        total = left + right
        return np.asarray(
            np.minimum(total, total - self.moduli)
        )  # below the prime, the difference wraps to a large one

    def subtract(self, left: Words, right: Words) -> Words:
        """Residues subtracted, row by row."""
        return _smaller(left - right, self.moduli)


def _smaller(wrapped: Words, moduli: Words) -> Words:
    """Integers in (-p, p), negative ones wrapped modulo 2^64, to [0, p)."""
    return np.asarray(np.minimum(wrapped, wrapped + moduli))


@functools.lru_cache(maxsize=8)
def rlwe_ring(parameters: RlweParameters) -> RlweRing:
    """The ring for these parameters; SEAL's tables are made once a process."""
    return RlweRing(parameters)


def _header(content: int) -> bytes:
    """SEAL's header in front of ``content`` bytes, uncompressed."""
    return _HEADER.pack(_MAGIC, _HEADER.size, *_VERSION, 0, 0, _HEADER.size + content)
