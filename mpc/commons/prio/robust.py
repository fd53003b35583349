"""Prio with aggregators that may lie or be silent: `RobustPrio`.

Prio3's shares add up, so each aggregator must be there and be honest. Here they are Shamir's, of degree t among n
aggregators. Any t learn nothing, and t + 1 honest ones give the result. The construction is put together from
known parts (below). It is no published scheme::

    client           deal                 --> each aggregator: public share, its share
    each aggregator  check                --> all: ok, or a complaint
    everybody                             the coin, drawn after the reports were fixed
    each aggregator  verifier             --> all: its verifier words
    everybody        decide               --> valid or not, and who lied
    each aggregator  aggregate            --> collector: its sum
    collector        combine              the result, and who lied

**Consistency.** The public share has a hash of each aggregator's share, and for random rho that are derived from all
hashes the polynomial c(x) = sum over k of rho^(k+1) f_k(x) + mask(x). An aggregator looks whether its share has its
hash and lies on c. If honest shares of some f_k were on no polynomial of degree t, then c would be none either, but for
a chance of the length over the field's size (Bellare, Garay and Rabin, PODC 1996, verify many sharings at once so). A
client can try again and again, so the small field has two rho and two masks. The mask is uniform, so c says nothing.

**Validity.** Honest shares that are consistent define one measurement and one proof. Verifier words are linear in
these, so each is a point of a polynomial of degree t whose value at zero is the word of the whole. The proof's
challenges come from the hashes of the measurement, before the proof is made. The place of the test comes from the coin.
A client and an aggregator together do not know it before the report is fixed.

**Privacy.** With t shares and the word at zero, which a simulator of the proof gives, all other points are determined.
So all words together say no more than validity. Words under two coins give the measurement away, by interpolation.
So a report has one coin, in whatever batches it is and whoever starts again. `HeldShare` refuses a second one within a
process. Over batches and restarts the caller derives the coin from what fixed the report's first batch, as
`mpc.commons.proceedings.coins_of` does from the log. A later batch gets the same words again.

**Complaints.** Whoever complains opens its share. Then everybody can `check` it against the public share. If the
complaint holds, the report is left out. If it does not, the complaint was a lie.

**One batch.** All aggregators must sum the same reports. The caller sees to it that everybody takes one list: the
valid reports without a complaint that holds. An aggregator that has no share of a report must not leave it out by
itself. Its sum would then look like a lie, and two such clients would stop the batch. It asks for the share in public.
Where none comes, all leave the report out. Where one comes, it takes that one. In a log, all boxes of a report are in
one ciphertext. So a box that is there is good or can be shown to be bad, and a consumer that hands on none is seen.

**Lies.** Points with few lies are corrected as a Reed-Solomon code. At most `corrections` lies are corrected, by
default min(t, n - 2t - 1), which is t for n = 3t + 1 and none for n = 2t + 1. Let c aggregators be silent and e lie:

- The result is right, and all liars are named, if e + c <= t and e <= corrections.
- It is refused, and never wrong, if e + c <= t and e is more.
- Beyond t it is never wrong if e <= n - c - t - 1 - corrections, and not covered otherwise. With `corrections=0` this
  is the most that any decoder can notice.

For two polynomials agree on at most t points, so a false one costs at least n - c - t - corrections lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any, Generic, TypeVar

import numpy as np

from mpc import _core
from mpc.commons.prio.errors import DecodeError, MeasurementError, TestPointError
from mpc.commons.prio.measurements import words_of
from mpc.commons.prio.prio3 import MOST_CONTEXT, Prio3
from mpc.errors import MpcError, OrderError, ParameterError
from mpc.randomness import SYSTEM, Randomness

AggResult = TypeVar("AggResult")

MOST_ROBUST_CONTEXT = MOST_CONTEXT - 1  # one byte more stands before it than in Prio3
MOST_SUBSETS = 20_000  # that are tried for one that holds no liar
REASONS = {
    1: "expected field elements below the modulus, found a larger number",
    2: "expected the share that the public share has a hash of, found another",
    3: "expected a share on the published polynomial, found one beside it",
}


class TooManyLiesError(MpcError):
    """More aggregators lied or were silent than can be corrected. There is no result."""


@dataclass(frozen=True)
class Complaint:
    """What aggregator `number` found wrong with its share. Who opens the share can show whose fault it is."""

    number: int
    reason: str


class HeldShare:
    """A share that its aggregator has checked. It answers one coin, because two would say more than validity.

    It remembers the coin in memory alone. Whoever checks the same share again must derive the same coin for it.
    """

    def __init__(self, number: int, nonce: bytes, public_share: bytes, share: bytes) -> None:
        self.number, self.nonce, self.public_share = number, nonce, public_share
        self._share = share
        self._coin: bytes | None = None

    def open_for(self, coin: bytes) -> bytes:
        """Return the share, for the first coin and the same one again. Raises `OrderError` for another."""
        if self._coin is not None and self._coin != coin:
            raise OrderError("expected one coin a report, found a second one for a report that was verified")
        self._coin = coin
        return self._share

    def __repr__(self) -> str:
        return f"HeldShare(aggregator {self.number}, {len(self._share)} bytes)"


@dataclass(frozen=True)
class Verdict:
    """Whether a report is valid, and the aggregators that lied about it."""

    valid: bool
    liars: tuple[int, ...]


class RobustPrio(Generic[AggResult]):
    """One circuit among n aggregators of whom any t learn nothing. It holds no secret and never changes.

    Args:
        circuit: an instance of `Prio3`, of which the circuit and its parameters are taken.
        n: the number of aggregators, whose numbers are 1 to n.
        t: how many of them may be faulty, at least 1 and with n >= 2t + 1.
        ctx: says which application this is. All parties must use the same.
        corrections: how many lies are corrected, 0 to min(t, n - 2t - 1), which is the default.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(
        self, circuit: Prio3[Any, AggResult], n: int, t: int, ctx: bytes, corrections: int | None = None
    ) -> None:
        if t < 1 or n < 2 * t + 1:
            raise ParameterError(f"n and t: expected t of at least 1 and n of at least 2t + 1, found {n} and {t}")
        if comb(n, t + 1) > MOST_SUBSETS:
            raise ParameterError(f"n and t: expected at most {MOST_SUBSETS} sets of t + 1, found {comb(n, t + 1)}")
        if circuit.PROOFS != 1:
            raise ParameterError(f"circuit: expected one with one proof, found {circuit.PROOFS}")
        if len(ctx) > MOST_ROBUST_CONTEXT:
            raise ParameterError(f"ctx: expected at most {MOST_ROBUST_CONTEXT} bytes, found {len(ctx)}")
        most = min(t, n - 2 * t - 1)
        self.corrections = most if corrections is None else corrections
        if not 0 <= self.corrections <= most:
            raise ParameterError(f"corrections: expected 0 to {most}, found {corrections}")
        self.circuit, self.n, self.t, self.ctx = circuit, n, t, ctx
        self._core = _core.RobustPrio(*circuit.core_options, n, t)
        self._sizes = self._core.sizes
        self._inverses = {gap: pow(gap, -1, circuit.modulus) for gap in range(-n, n + 1) if gap}

    @property
    def public_share_size(self) -> int:
        """The bytes of a public share."""
        return self._sizes["public_share"]

    @property
    def share_size(self) -> int:
        """The bytes of one aggregator's share."""
        return self._sizes["share"]

    # At the client.

    def deal(self, measurement: Any, nonce: bytes, randomness: Randomness = SYSTEM) -> tuple[bytes, list[bytes]]:
        """Return the public share, and a share for each aggregator. Raises `MeasurementError` as `Prio3.shard`."""
        words = words_of([measurement], self._sizes["words"])
        public = np.empty(self._sizes["public_share"], np.uint8)
        shares = np.empty((self.n, self._sizes["share"]), np.uint8)
        self._require("a nonce", nonce, 16)
        try:
            self._core.deal(self.ctx, words, nonce, randomness.bytes(32), public, shares)
        except ParameterError as error:
            raise MeasurementError(str(error)) from None
        return public.tobytes(), [share.tobytes() for share in shares]

    # At an aggregator.

    def check(self, number: int, nonce: bytes, public_share: bytes, share: bytes) -> HeldShare | Complaint:
        """Return the share to go on with, or what is wrong with it. Raises `DecodeError` for another length."""
        self._require("a nonce", nonce, 16)
        self._require("a public share", public_share, self._sizes["public_share"])
        if len(share) != self._sizes["share"]:
            return Complaint(number, f"expected a share of {self._sizes['share']} bytes, found {len(share)}")
        found = self._core.check(self.ctx, number, nonce, public_share, share)
        return Complaint(number, REASONS[found]) if found else HeldShare(number, nonce, public_share, share)

    def verifier(self, held: HeldShare, coin: bytes) -> bytes:
        """Return this aggregator's verifier words.

        Args:
            held: what `check` gave.
            coin: 32 bytes that were drawn after the report was fixed, the same at all aggregators.

        Raises:
            OrderError: the report was verified with another coin.
            TestPointError: the coin is one of very few that would show a secret. The report is left out.
        """
        self._require("a coin", coin, 32)
        words = np.empty(self._sizes["verifier"], np.uint8)
        if self._core.verifier(self.ctx, held.nonce, held.public_share, held.open_for(coin), coin, words):
            raise TestPointError("expected a coin that gives a place that is no root of unity, found one that does")
        return words.tobytes()

    def aggregate(self, shares: Sequence[HeldShare]) -> bytes:
        """Return the sum of this aggregator's shares of the reports that were found valid."""
        rows = np.empty((len(shares), self._sizes["aggregate"]), np.uint8)
        for row, held in zip(rows, shares, strict=True):
            self._core.output(held._share, row)
        return self.circuit.merge([self.circuit.agg_init(), *(row.tobytes() for row in rows)])

    # At anybody.

    def decide(self, words: Mapping[int, bytes]) -> Verdict:
        """Return whether a report is valid, from the verifier words of those aggregators that sent theirs.

        Raises:
            TooManyLiesError: there is no verdict.
        """
        whole, liars = self._decode(words, self._sizes["verifier"])
        size = self._sizes["element"]
        return Verdict(self._core.decide(b"".join(word.to_bytes(size, "little") for word in whole)), liars)

    def decide_batch(self, words: Sequence[Mapping[int, bytes]]) -> tuple[list[bool], tuple[int, ...]]:
        """Return whether each of many reports is valid, and the aggregators that lied about any of them.

        An aggregator's words of all reports are decoded as one long message, so liars are looked for once. Reports for
        which other aggregators have words are decoded apart. Where all these together are more lies than can be
        corrected, each report is decoded by itself.

        Raises:
            TooManyLiesError: there is no verdict on one of the reports.
        """
        valid, liars = [False] * len(words), set[int]()
        groups: dict[frozenset[int], list[int]] = {}
        for place, one in enumerate(words):
            groups.setdefault(frozenset(one), []).append(place)
        size = self._sizes["verifier"]
        for numbers, places in groups.items():
            together = {}
            for number in numbers:
                own = [words[place][number] for place in places]
                together[number] = b"".join(own) if all(len(word) == size for word in own) else b""
            try:
                whole, lied = self._decode(together, size * len(places))
            except TooManyLiesError:
                for place in places:
                    verdict = self.decide(words[place])
                    valid[place] = verdict.valid
                    liars.update(verdict.liars)
                continue
            liars.update(lied)
            count, element = size // self._sizes["element"], self._sizes["element"]
            for row, place in enumerate(places):
                own_words = whole[row * count : (row + 1) * count]
                valid[place] = self._core.decide(b"".join(word.to_bytes(element, "little") for word in own_words))
        return valid, tuple(sorted(liars))

    def combine(self, sums: Mapping[int, bytes], num_measurements: int) -> tuple[AggResult, tuple[int, ...]]:
        """Return the result, and the aggregators that lied, from the sums of those that sent theirs.

        A sum over other reports than those of the agreed list is a lie, see the module's text on one batch.

        Raises:
            TooManyLiesError: there is no result.
            AggregateError: as in `Prio3.unshard`.
        """
        whole, liars = self._decode(sums, self._sizes["aggregate"])
        return self.circuit.decode(whole, num_measurements), liars

    def combine_noisy(
        self, sums: Mapping[int, bytes], num_measurements: int, added: int
    ) -> tuple[list[int], tuple[int, ...]]:
        """Return the elements of the result with their noise, which may be negative, and the aggregators that lied.

        Args:
            added: the largest magnitude of all noise that is in an element, by which the sums are shifted.

        Raises:
            TooManyLiesError, AggregateError: as in :meth:`combine`.
        """
        whole, liars = self._decode(sums, self._sizes["aggregate"])
        return self.circuit.decode_noisy(whole, num_measurements, added), liars

    def _decode(self, points: Mapping[int, bytes], size: int) -> tuple[list[int], tuple[int, ...]]:
        """Return the values at zero, and those whose points are not on the polynomials.

        A point of another length, or with a number that is no field element, is a lie too.
        """
        modulus, element = self.circuit.modulus, self._sizes["element"]
        read: dict[int, list[int]] = {}
        malformed = []
        for number, point in sorted(points.items()):
            if not 1 <= number <= self.n:
                raise ParameterError(f"points: expected aggregators 1 to {self.n}, found number {number}")
            entries = [int.from_bytes(point[i : i + element], "little") for i in range(0, len(point), element)]
            if len(point) != size or max(entries) >= modulus:
                malformed.append(number)
            else:
                read[number] = entries
        silent = self.n - len(points)
        if silent > self.t:
            raise TooManyLiesError(f"expected at least {self.n - self.t} of {self.n} aggregators, found {len(points)}")
        most = min(self.corrections, self.t - silent)
        mixed = self._mixed(read)
        for chosen in combinations(sorted(read), self.t + 1):
            if len(self._beside(mixed, chosen)) + len(malformed) > most:
                continue  # whoever lies in the combination lies in an entry, so nothing right is left out here
            liars = self._beside(read, chosen)
            if len(liars) + len(malformed) <= most:
                return self._at(read, chosen, 0), tuple(sorted((*liars, *malformed)))
        raise TooManyLiesError(
            f"expected points of one polynomial with at most {most} lies, found more lies among {len(points)} "
            "aggregators"
        )

    def _mixed(self, read: dict[int, list[int]]) -> dict[int, list[int]]:
        """Return one random combination of each aggregator's entries, by which most sets with a liar are told."""
        p = self.circuit.modulus
        factor, weights = int.from_bytes(SYSTEM.bytes(16), "little") % p, [1]
        while read and len(weights) < len(next(iter(read.values()))):
            weights.append(weights[-1] * factor % p)
        return {
            number: [sum(weight * entry for weight, entry in zip(weights, entries, strict=True)) % p]
            for number, entries in read.items()
        }

    def _beside(self, read: dict[int, list[int]], chosen: tuple[int, ...]) -> list[int]:
        """Return the aggregators whose points are not on the polynomials through the chosen ones."""
        return [number for number in read if number not in chosen and self._at(read, chosen, number) != read[number]]

    def _at(self, read: dict[int, list[int]], chosen: tuple[int, ...], place: int) -> list[int]:
        """Return the values at `place` of the polynomials through the chosen points."""
        p = self.circuit.modulus
        factors = []
        for number in chosen:
            top = bottom = 1
            for other in chosen:
                if other != number:
                    top, bottom = top * (place - other) % p, bottom * self._inverses[number - other] % p
            factors.append(top * bottom % p)
        columns = zip(*(read[number] for number in chosen), strict=True)
        return [sum(factor * entry for factor, entry in zip(factors, column, strict=True)) % p for column in columns]

    @staticmethod
    def _require(what: str, message: bytes, size: int) -> None:
        if len(message) != size:
            raise DecodeError(f"{what}: expected {size} bytes, found {len(message)}")
