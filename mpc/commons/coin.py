"""The coin: randomness for one grant that nobody knows before t + 1 trustees have said their parts of it.

The label is hashed to an element M of the group. Trustee i publishes x_i M with a proof, and the coin is a hash of x M
(Cachin, Kursawe and Shoup, "Random Oracles in Constantinople", Journal of Cryptology 18, 2005, section 4.3). The label
holds the root of a certified log in which the batch is fixed. So neither a provider nor an aggregator can have chosen a
report by the coin. Everybody gets the same coin from any t + 1 parts.

The key is the one that opens reports. Neither use helps with the other. Nobody knows the logarithm of M, so nobody can
prove a ciphertext with U = M, and a coin's part opens no report. A release gives x (U + Q) only for U and Q whose
logarithms somebody has proven to know, which says nothing of x M.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from mpc._core import CurvePoints
from mpc.commons.committee import CommitteeKey, KeyShare
from mpc.commons.encoding import DIGEST, Name, Record, coded, encode
from mpc.commons.group import GENERATOR, SUITE, Points, hash_to_points, read_points, transcript
from mpc.commons.proofs import is_proven, prove
from mpc.commons.sharing import interpolate
from mpc.commons.steps import CoinShare
from mpc.errors import CheatingError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

COIN_BYTES = 32
_USE = b"commons coin v1"


@dataclass(frozen=True)
class CoinLabel(Record):
    """What a coin is for.

    Attributes:
        origin: of the log.
        about: leaf hash of the grant that fixes the batch, or of the entry with which the noise of a grant ended.
        root: of the log up to that entry and with it.
    """

    origin: str = coded(Name())
    task: str = coded(Name())
    about: bytes = coded(DIGEST)
    root: bytes = coded(DIGEST)


class Toss:
    """One coin of one committee."""

    def __init__(self, committee: CommitteeKey, label: CoinLabel) -> None:
        self.committee = committee
        self._about = transcript(b"commons coin v1", committee.session, committee.key, encode(label))
        self._element = hash_to_points([self._about], b"commons coin v1 " + SUITE)

    def share(self, share: KeyShare, randomness: Randomness = SYSTEM) -> CoinShare:
        """Return a trustee's part. It must have seen a certified log that holds the grant before."""
        bases = CurvePoints.join([GENERATOR, self._element])
        multiples = share.secret.times(bases)
        proof = prove(_USE, share.secret, bases, multiples, self._about, randomness)
        return CoinShare(share.trustee, multiples[1:].encode(), proof)

    def check(self, share: CoinShare) -> Points:
        """Return a trustee's part as an element. Raises `CheatingError`, which names the trustee."""
        try:
            part = self.committee.part(share.trustee)
            point = read_points([share.point], "a part of a coin")
        except ProtocolError as error:
            raise CheatingError(f"coin by trustee {share.trustee}: {error}") from None
        bases, multiples = CurvePoints.join([GENERATOR, self._element]), CurvePoints.join([part, point])
        if not is_proven(_USE, bases, multiples, self._about, share.proof):
            raise CheatingError(f"expected a part of a coin by trustee {share.trustee} with a proof, found one without")
        return point

    def choose(self, shares: Mapping[int, CoinShare]) -> tuple[tuple[CoinShare, ...], tuple[int, ...]]:
        """Return t + 1 right parts in order, for the log, and the places of the trustees whose part is wrong.

        Args:
            shares: by the place of the trustee that has sent it.

        Raises:
            ProtocolError: fewer are right.
        """
        right: list[CoinShare] = []
        liars: list[int] = []
        for sender, share in sorted(shares.items()):
            try:
                if share.trustee != sender:
                    raise CheatingError(f"expected a part of trustee {sender}, found one of {share.trustee}")
                self.check(share)
                right.append(share)
            except CheatingError:
                liars.append(sender)
        if len(right) < self.committee.needed:
            raise ProtocolError(f"expected parts of a coin by {self.committee.needed} trustees, found {len(right)}")
        return tuple(right[: self.committee.needed]), tuple(liars)

    def value(self, shares: tuple[CoinShare, ...]) -> bytes:
        """Return the coin, 32 bytes, from exactly t + 1 parts in order, as they stand in the log.

        Raises:
            ProtocolError: they are fewer or more or in disorder, or one does not hold.
        """
        places = [share.trustee for share in shares]
        if len(places) != self.committee.needed or places != sorted(set(places)):
            raise ProtocolError(f"expected parts of {self.committee.needed} trustees in order, found some of {places}")
        value = interpolate([place + 1 for place in places], [self.check(share) for share in shares])
        return hashlib.sha256(transcript(b"commons coin value v1", self._about, value.encode())).digest()
