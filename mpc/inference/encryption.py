"""Symmetric RLWE encryptions with a seeded half, and replies that tell nothing but their plaintext.

The querying party holds the secret key s and uploads c = (round(q m / t) + e - a s, a) with `a` expanded from a
seed (Brakerski 2012; Fan and Vercauteren 2012). Its public key is an encryption of zero in the same form, p.
Both travel in NTT form.

The answering party computes w c, for its secret small polynomials w, and must not let w show through. A reply is

    c' = sum_b w_b c_b + u p + (flood, e_1) + (round(-q mask / t), 0)      over the full modulus q,

with fresh ternary u, centred binomial e_1 and flood uniform in [-2^F, 2^F), then switched down to the first
prime. What the receiver, who knows s and the noise of its own uploads, can learn from c':

* c_1' carries u p_1 + e_1, an RLWE sample under the secret u: indistinguishable from uniform at the
  security level of the scheme, whatever sum w_b a_b is.
* c_0' + c_1' s = round(q y / t) + n + flood, where y = W r - mask is the output it is entitled to, and
  |n| <= B is what depends on w. The flood hides n: the statistical distance is |n| / 2^(F+1) a coefficient.
  E|n| <= 3.26 ||w||_2 + 415 over the honest uploads' own noise (a semi-honest receiver), see
  :func:`noise_scale`.
* The mask is added before the switch: added after it, the rounding of W r alone would be left visible.
* Switching down and cutting off coefficients is post-processing of (c_0', c_1').

Only the coefficients of c_0' that carry results leave; the others would carry partial sums.
"""

from __future__ import annotations

import math

import numpy as np
import seal
from numpy.typing import NDArray

from mpc.errors import ProtocolError
from mpc.inference.keystream import NOISE_BOUND, SEED_BYTES, Keystream, noise, residues, ternary
from mpc.inference.residue_words import pack_residues, packed_residues_size, unpack_residues
from mpc.inference.rlwe import DEGREE, PRIMES, RlweParameters, rlwe_ring
from mpc.randomness import Randomness
from mpc.ring import Words


def noise_scale(norm_2: float) -> float:
    """A bound on E|n|, n the w-dependent and re-randomising noise of a reply coefficient before flooding.

    n = sum_b (e_b + f_b) * w_b + e_p * u + e_1 * s: e centred binomial (variance 10.5), f the rounding of q m / t
    (variance 1/12 for uniform m), u and s ternary of squared norm at most N. By Jensen E|n| <= sqrt(E n^2).
    """
    return math.sqrt(10.5 + 1 / 12) * norm_2 + math.sqrt(2 * DEGREE * 10.5)


def worst_noise(norm_1: int) -> int:
    """The largest |n| that honest parties can meet: every noise term at its bound, every sign unlucky."""
    return (NOISE_BOUND + 1) * norm_1 + 2 * NOISE_BOUND * DEGREE + 2


def upload_size(parameters: RlweParameters, count: int) -> int:
    """Bytes of ``count`` seeded encryptions."""
    return SEED_BYTES + packed_residues_size(count * parameters.primes * DEGREE)


def reply_size(replies: int, results: int) -> int:
    """Bytes of replies that carry ``results`` coefficients in all."""
    return packed_residues_size(replies * DEGREE) + packed_residues_size(results)


class SecretKey:
    """The querying party's key: encrypts its masks, opens the replies."""

    def __init__(self, parameters: RlweParameters, randomness: Randomness) -> None:
        self.parameters = parameters
        self._ring = rlwe_ring(parameters)
        self._randomness = randomness
        secret = ternary(Keystream.fresh(randomness), DEGREE)
        self._secret = {primes: self._ring.transformed(secret, primes) for primes in (1, parameters.primes)}

    def public_key(self) -> bytes:
        """An encryption of zero, for :class:`PublicKey`."""
        return self.encrypt(np.zeros((1, DEGREE), dtype=np.uint64))

    def encrypt(self, messages: Words) -> bytes:
        """Messages ``[count, N]`` of Z_t: one public seed, then the packed first halves in NTT form."""
        seed, stream = self._randomness.bytes(SEED_BYTES), Keystream.fresh(self._randomness)
        uniform = _uniform_halves(self.parameters, seed, len(messages))
        return seed + pack_residues(
            np.concatenate(
                [self._hide(messages[i : i + 2], uniform[i : i + 2], stream) for i in range(0, len(messages), 2)]
            )
        )

    def _hide(self, messages: Words, uniform: Words, stream: Keystream) -> Words:
        """The first halves of one or two encryptions: SEAL works on pairs, and two fit the processor's cache."""
        ring, count = self._ring, len(messages)
        errors = noise(stream, count * DEGREE).reshape(count, 1, DEGREE)
        visible = ring.pair(_paired(ring.add(ring.scale(messages), ring.lift(errors))), ntt=False)
        ring.evaluator.transform_to_ntt_inplace(visible)
        masks = ring.pair(_paired(uniform), ntt=True)
        ring.evaluator.multiply_plain_inplace(masks, self._secret[self.parameters.primes])
        return ring.subtract(ring.polynomials(visible)[:count], ring.polynomials(masks)[:count])

    def open(self, data: bytes | memoryview, results: list[NDArray[np.intp]]) -> list[Words]:
        """Decrypt replies at the given coefficients, one index array a reply; results in Z_t.

        Raises:
            ProtocolError: wrong length or residues out of range.
        """
        counts = [len(positions) for positions in results]
        split = packed_residues_size(len(counts) * DEGREE)
        if len(data) != reply_size(len(counts), sum(counts)):
            raise ProtocolError.mismatch("bytes of replies", reply_size(len(counts), sum(counts)), len(data))
        seconds = unpack_residues(data[:split], (len(counts), 1, DEGREE), PRIMES[0])
        firsts = unpack_residues(data[split:], (sum(counts),), PRIMES[0])
        products = [p for i in range(0, len(counts), 2) for p in self._times_secret(seconds[i : i + 2])]
        opened = []
        for product, positions, first in zip(products, results, np.split(firsts, np.cumsum(counts)[:-1]), strict=True):
            phase = (first + product[0, positions]) % np.uint64(PRIMES[0])
            # 1/32 of the decision distance is reserved for this rounding: far above float64's 2^-53 relative error.
            rounded = np.rint(phase.astype(np.float64) * ((1 << self.parameters.plain_bits) / PRIMES[0]))
            opened.append(rounded.astype(np.uint64) & np.uint64((1 << self.parameters.plain_bits) - 1))
        return opened

    def _times_secret(self, polynomials: Words) -> Words:
        """One or two polynomials ``[count, 1, N]`` over the first prime, times s."""
        pair = self._ring.pair(_paired(polynomials), ntt=False)
        self._ring.evaluator.transform_to_ntt_inplace(pair)
        self._ring.evaluator.multiply_plain_inplace(pair, self._secret[1])
        self._ring.evaluator.transform_from_ntt_inplace(pair)
        return self._ring.polynomials(pair)[: len(polynomials)]

    def __repr__(self) -> str:
        return f"SecretKey({self.parameters}, <hidden>)"


class PublicKey:
    """The querying party's key as the answering party holds it: reads uploads, makes replies.

    Raises:
        ProtocolError: the key is malformed.
    """

    def __init__(self, parameters: RlweParameters, data: bytes | memoryview, randomness: Randomness) -> None:
        self.parameters = parameters
        self._ring = rlwe_ring(parameters)
        self._randomness = randomness
        self._key = self.read(data, 1)[0]

    def read(self, data: bytes | memoryview, count: int) -> list[seal.Ciphertext]:
        """The ``count`` uploads in a message, in NTT form.

        Raises:
            ProtocolError: wrong length or residues out of range.
        """
        if len(data) != upload_size(self.parameters, count):
            raise ProtocolError.mismatch("bytes of uploads", upload_size(self.parameters, count), len(data))
        shape = (count, self.parameters.primes, DEGREE)
        firsts = unpack_residues(data[SEED_BYTES:], shape, self._ring.moduli)
        uniform = _uniform_halves(self.parameters, bytes(data[:SEED_BYTES]), count)
        return [self._ring.pair(np.stack(halves), ntt=True) for halves in zip(firsts, uniform, strict=True)]

    def zero(self) -> seal.Ciphertext:
        """An encryption of zero to add to, in NTT form: the public key itself, until it is re-randomised."""
        return self._ring.pair(self._ring.polynomials(self._key), ntt=True)

    def reply(self, total: seal.Ciphertext, shift: Words, positions: NDArray[np.intp]) -> tuple[Words, Words]:
        """Re-randomise, flood, add ``shift`` to the results and switch down; ``total`` (NTT form) is consumed.

        Args:
            total: the sum of uploads times weights.
            shift: what is added to the results, ``[results]`` in Z_t: minus the fresh mask.
            positions: the coefficients that carry results.

        Returns:
            c_1 ``[N]`` and the results' coefficients of c_0 ``[results]``, residues of the first prime.
        """
        hidden = self._ring.pair(self.hide(total, shift, positions), ntt=False)
        for _ in range(self.parameters.primes - 1):
            self._ring.evaluator.mod_switch_to_next_inplace(hidden)
        switched = self._ring.polynomials(hidden)
        return switched[1, 0], switched[0, 0, positions]

    def hide(self, total: seal.Ciphertext, shift: Words, positions: NDArray[np.intp]) -> Words:
        """The reply before it is switched down, ``[2, primes, N]``; zero where c_0 carries no result."""
        ring, evaluator, stream = self._ring, self._ring.evaluator, Keystream.fresh(self._randomness)
        evaluator.add_inplace(total, evaluator.multiply_plain(self._key, ring.transformed(ternary(stream, DEGREE))))
        evaluator.transform_from_ntt_inplace(total)
        halves = ring.polynomials(total)
        results = ring.add(halves[0][:, positions], ring.flood(stream, len(positions)))
        halves[0] = 0
        halves[0][:, positions] = ring.add(results, ring.scale(shift))
        halves[1] = ring.add(halves[1], ring.lift(noise(stream, DEGREE)))
        return halves


def _uniform_halves(parameters: RlweParameters, seed: bytes, count: int) -> Words:
    """The public polynomials ``[count, primes, N]`` that a seed stands for, in NTT form (uniform in either form)."""
    halves = np.empty((count, parameters.primes, DEGREE), dtype=np.uint64)
    for index in range(count):
        for row, prime in enumerate(PRIMES[: parameters.primes]):
            halves[index, row] = residues(Keystream(seed, index * parameters.primes + row), prime, DEGREE)
    return halves


def _paired(polynomials: Words) -> Words:
    """One or two polynomials as two: a single one is repeated."""
    return polynomials if len(polynomials) == 2 else np.concatenate([polynomials, polynomials])
