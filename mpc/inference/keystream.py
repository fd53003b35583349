"""One 32-byte seed to many uniform bytes: AES-256 in counter mode, as NIST SP 800-90A's CTR_DRBG expands its key.

The polynomials of an RLWE ciphertext need a quarter of a megabyte of randomness each; the operating system
gives that at 0.3 GB/s, one AES core at 3 GB/s. The seed comes from the caller's randomness source, once a use.
The same expansion, under a seed that travels in the clear, makes the public polynomials of ciphertexts, as
FrodoKEM-AES and Kyber-90s do for theirs.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from mpc.errors import ParameterError
from mpc.randomness import Randomness

SEED_BYTES = 32
NOISE_BOUND = 21  # centred binomial noise lies in [-21, 21] and has variance 10.5, as in SEAL


class Keystream:
    """AES-256-CTR from a seed and a lane; a :class:`~mpc.randomness.Randomness` of its own."""

    def __init__(self, seed: bytes, lane: int = 0) -> None:
        if len(seed) != SEED_BYTES:
            raise ParameterError(f"expected a seed of {SEED_BYTES} B, found {len(seed)}")
        counter = lane.to_bytes(8, "big") + bytes(8)  # lanes are 2^64 blocks apart: they never overlap
        self._encryptor = Cipher(algorithms.AES(seed), modes.CTR(counter)).encryptor()

    @classmethod
    def fresh(cls, randomness: Randomness) -> Keystream:
        """A stream under a new secret seed."""
        return cls(randomness.bytes(SEED_BYTES))

    def bytes(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        return self._encryptor.update(bytes(count))

    def __repr__(self) -> str:
        return "Keystream(<seed hidden>)"


def residues(stream: Keystream, modulus: int, count: int) -> NDArray[np.uint64]:
    """Uniform integers in [0, modulus), modulus below 2^64, by rejection; the same at both ends of a stream."""
    mask = np.uint64((1 << (modulus - 1).bit_length()) - 1)
    drawn = np.frombuffer(stream.bytes(8 * count), dtype="<u8") & mask
    kept = drawn[drawn < modulus]
    while kept.size < count:
        more = np.frombuffer(stream.bytes(8 * (count - kept.size)), dtype="<u8") & mask
        kept = np.concatenate([kept, more[more < modulus]])
    return kept


def ternary(stream: Keystream, count: int) -> NDArray[np.int64]:
    """Uniform in {-1, 0, 1}: 16-bit words modulo 3, the one incomplete class rejected."""
    kept = np.empty(0, dtype=np.int64)
    while kept.size < count:
        words = np.frombuffer(stream.bytes(2 * (count - kept.size)), dtype="<u2")
        kept = np.concatenate([kept, (words[words < 65535] % 3).astype(np.int64) - 1])
    return kept


def noise(stream: Keystream, count: int) -> NDArray[np.int64]:
    """Centred binomial with parameter 21: the weight of 42 uniform bits, less 21 (standard deviation 3.24)."""
    words = np.frombuffer(stream.bytes(8 * count), dtype="<u8") & np.uint64((1 << (2 * NOISE_BOUND)) - 1)
    weights: NDArray[np.int64] = np.bitwise_count(words).astype(np.int64)
    return weights - NOISE_BOUND
