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
from collections.abc import Sequence
from dataclasses import dataclass

from mpc._core import CurvePoints
from mpc.commons.committee import CommitteeKey, KeyShare
from mpc.commons.encoding import DIGEST, Name, Record, coded, encode
from mpc.commons.entries import CoinShare
from mpc.commons.group import GENERATOR, SUITE, Points, hash_to_points, read_points, transcript
from mpc.commons.proofs import is_proven, prove
from mpc.commons.sharing import interpolate
from mpc.errors import CheatingError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

COIN_BYTES = 32
_USE = b"commons coin v1"


@dataclass(frozen=True)
class CoinLabel(Record):
    """What a coin is for.

    Attributes:
        origin: of the log.
        grant: leaf hash of the grant that fixes the batch.
        root: of a certified checkpoint that holds the grant.
    """

    origin: str = coded(Name())
    task: str = coded(Name())
    grant: bytes = coded(DIGEST)
    root: bytes = coded(DIGEST)


def coin_share(share: KeyShare, label: CoinLabel, randomness: Randomness = SYSTEM) -> CoinShare:
    """Return a trustee's part of a coin. It must have seen the checkpoint's certificate before."""
    bases = CurvePoints.join([GENERATOR, _element(label)])
    multiples = share.secret.times(bases)
    proof = prove(_USE, share.secret, bases, multiples, encode(label), randomness)
    return CoinShare(share.trustee, multiples[1:].encode(), proof)


def check_coin_share(committee: CommitteeKey, label: CoinLabel, share: CoinShare) -> Points:
    """Return a trustee's part of a coin as an element. Raises `CheatingError`, which names the trustee."""
    try:
        part = committee.part(share.trustee)
        point = read_points([share.point], "a part of a coin")
    except ProtocolError as error:
        raise CheatingError(f"coin by trustee {share.trustee}: {error}") from None
    bases, multiples = CurvePoints.join([GENERATOR, _element(label)]), CurvePoints.join([part, point])
    if not is_proven(_USE, bases, multiples, encode(label), share.proof):
        raise CheatingError(f"expected a part of a coin by trustee {share.trustee} with a proof, found one without")
    return point


def coin(committee: CommitteeKey, label: CoinLabel, shares: Sequence[CoinShare]) -> bytes:
    """Return the coin, 32 bytes. Raises `ProtocolError` unless t + 1 different trustees have proven their parts.

    Every part that is looked at must hold. Who has a false one leaves it out and knows whose it was.
    """
    used = {share.trustee: share for share in shares}
    if len(used) < committee.needed:
        raise ProtocolError(f"expected parts of a coin by {committee.needed} trustees, found {len(used)}")
    points = {trustee: check_coin_share(committee, label, share) for trustee, share in used.items()}
    chosen = sorted(points)[: committee.needed]
    value = interpolate([trustee + 1 for trustee in chosen], [points[trustee] for trustee in chosen])
    return hashlib.sha256(transcript(b"commons coin value v1", encode(label), value.encode())).digest()


def _element(label: CoinLabel) -> Points:
    return hash_to_points([encode(label)], b"commons coin v1 " + SUITE)
