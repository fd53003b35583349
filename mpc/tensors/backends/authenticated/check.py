"""The check of everything that was opened, before anything that depends on it is revealed.

All numbers that are opened, x'_j modulo 2^128, are known when the check begins. So is each party's
z_j = m_j - key x'_j, with its own part of the key. All parties' z_j add up to zero where the sum of all shares was
opened. The parties choose random words c_j together and open the sum of c_j z_j, each having committed to its own
(Damgard, Pastro, Smart and Zakarias, CRYPTO 2012, and for rings Cramer et al., CRYPTO 2018)::

    1  each party sends a hash of a seed, and one of all that it saw opened      which must be alike
    2  each party sends its seed                                                 the seeds together give all c_j
    3  each party sends a hash of its sums
    4  each party sends its sums                                                 which must be zero together

Bits have words that are shared by XOR, and polynomials over F_2 in the place of numbers.

How often a cheat passes. Let d_j be the error of x'_j modulo 2^128. A cheat has a wrong lower word in one of them, and
the least power of two in any d_j is 2^v, with v of 63 at most. Cheaters choose d_j before they know c_j, and an error T
of the last sum later. They pass where key * sum(c_j d_j) = T modulo 2^128. With a probability of at most 2^-t the sum
is divisible by 2^(v + t), for t up to 64. Where t is the largest, the equation fixes the lowest 65 - t bits of the key
or more, and the honest party's part of it has 64 uniform bits. So a cheat passes with at most 64 * 2^-65 + 2 * 2^-64,
which is less than 2^-58. A cheat with bits has to guess 47 bits of a key, or the sum of its c_j is zero, which is less
than 2^-46. Together that is less than 2^-45, once a session, because a cheat that does not pass ends it.

All 128 bits are opened before the coins are known. To open the sum of the upper words after the coins would not do.
Where c_j is even, the upper word of the sum then mends an error of 2^63.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mpc._core import carryless_sum, wide_sum
from mpc.errors import CheatingError
from mpc.randomness import Randomness
from mpc.ring import Words
from mpc.tensors.backends.authenticated.wide import add
from mpc.tensors.backends.commitments import commitment, swap_with_all
from mpc.tensors.backends.kernels import SEED_BYTES, KeyStream
from mpc.tensors.network import Network

_DIGEST = hashlib.sha256().digest_size
_SUMS = 32  # bytes: a number modulo 2^128, and a polynomial of degree 127 at most


@dataclass(repr=False)
class Pending:
    """What was opened and not yet checked.

    Attributes:
        seen: a hash of all that was opened or published so far, in order.
        numbers: z_j, the lower and the upper words of each opening.
        bits: the words of bits, of which all parties' XOR is zero.
        size: bytes that this takes.
    """

    seen: hashlib._Hash = field(default_factory=hashlib.sha256)
    numbers: list[tuple[Words, Words]] = field(default_factory=list)
    bits: list[Words] = field(default_factory=list)
    size: int = 0
    checked: bool = True

    def saw(self, data: memoryview | bytes) -> None:
        """Take note of what every party must have seen alike."""
        self.seen.update(data)
        self.checked = False

    def add_numbers(self, low: Words, high: Words) -> None:
        """Take note of the z_j of an opening."""
        self.numbers.append((low.reshape(-1), high.reshape(-1)))
        self.size += 16 * low.size

    def add_bits(self, words: Words) -> None:
        """Take note of the words of opened bits."""
        self.bits.append(words.reshape(-1))
        self.size += 8 * words.size

    def forget(self) -> None:
        """Drop what was checked."""
        self.numbers, self.bits, self.size, self.checked = [], [], 0, True

    def __repr__(self) -> str:
        return f"Pending(size={self.size})"


def check(network: Network, others: Sequence[str], pending: Pending, randomness: Randomness, number: int) -> None:
    """Check all that is pending, with all other computing parties, in four rounds.

    Raises:
        CheatingError: something that was opened is not what was shared.
    """
    label = f"check/{number}"
    seed, seen = randomness.bytes(SEED_BYTES), pending.seen.digest()
    hidden = swap_with_all(network, others, f"{label}/seeds hidden", commitment(network.me, seed) + seen)
    for peer, body in hidden.items():
        if body[_DIGEST:] != seen:
            raise CheatingError(
                f"expected to have seen the same as {peer}, found that somebody has told both different things, which "
                "need not be that party"
            )
    seeds = swap_with_all(network, others, f"{label}/seeds", seed)
    _compare(hidden, seeds, f"{label}/seeds")
    coins = KeyStream(
        hashlib.sha256(b"".join(value for _, value in sorted((seeds | {network.me: seed}).items()))).digest()
    )
    low, high, polynomial = _sums(pending, coins)
    sums = np.array([low, high, *polynomial], dtype="<u8").tobytes()
    salt = randomness.bytes(SEED_BYTES)
    hidden = swap_with_all(network, others, f"{label}/sums hidden", commitment(network.me, sums + salt))
    opened = swap_with_all(network, others, f"{label}/sums", sums + salt)
    _compare(hidden, opened, f"{label}/sums")
    total_low, total_high = np.asarray(low), np.asarray(high)
    for body in opened.values():
        theirs = np.frombuffer(body[:_SUMS], dtype="<u8").astype(np.uint64)
        total_low, total_high = add(total_low, total_high, theirs[0], theirs[1])
        polynomial = polynomial ^ theirs[2:]
    if total_low or total_high or polynomial.any():
        raise CheatingError(
            "expected what was opened to be what was shared, found another value; the check cannot tell who changed it"
        )
    pending.forget()


def _sums(pending: Pending, coins: KeyStream) -> tuple[np.uint64, np.uint64, Words]:
    """Return the sum of c_j z_j in two words, and that of the polynomials."""
    low, high = np.asarray(np.uint64(0)), np.asarray(np.uint64(0))
    for z_low, z_high in pending.numbers:
        chosen = coins.words(z_low.size)
        low, high = add(low, high, *wide_sum(chosen, z_low, z_high))
    polynomial = np.zeros(2, dtype=np.uint64)
    for words in pending.bits:
        polynomial ^= carryless_sum(coins.words(words.size), np.ascontiguousarray(words))
    return np.uint64(low), np.uint64(high), polynomial


def _compare(hidden: dict[str, bytes], opened: dict[str, bytes], step: str) -> None:
    for peer, value in opened.items():
        if hidden[peer][:_DIGEST] != commitment(peer, value):
            raise CheatingError("expected what the party had committed to, found another value", peer=peer, step=step)
