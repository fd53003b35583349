"""Release: the trustees re-encrypt granted reports to the key in the logged request, with a proof.

For a report's U and the consumer's key Q = q G, trustee i sends R_i = x_i (U + Q) to the consumer. Any t + 1 of these
give x (U + Q) by interpolation, from which the consumer takes q X = x Q away. What is left is x U, which opens the
report. One proof stands for all of a trustee's points in a release. It says that a random combination of them is x_i
times the same combination of the U + Q. The factors are hashes of all points, of 128 bits. A false point passes with
probability 2^-128 for each hash that its maker computes. See RFC 9497, section 2.2.1.

Shares are for the consumer alone, over a confidential channel. Whoever has t + 1 of them and made one of the reports
knows its x U, and so q X, which opens the trustees' layer of all others. The boxes within stay sealed.

The consumer must prove that it knows q. Otherwise it could take Q = U' - U, and the release of U would open U', the
point of a report that nobody has granted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mpc._core import CurvePoints
from mpc.commons.committee import POINT, CommitteeKey, KeyShare
from mpc.commons.encoding import DIGEST, U8, Fixed, Many, Nested, Record, coded, encode
from mpc.commons.entries import Request
from mpc.commons.founding import MOST_TRUSTEES
from mpc.commons.group import (
    GENERATOR,
    SCALAR_BYTES,
    Points,
    SecretScalar,
    encodings,
    read_points,
    transcript,
)  # fmt: skip
from mpc.commons.proofs import PROOF_BYTES, is_proven, prove
from mpc.commons.reports import CheckedReports, open_report
from mpc.commons.sealing import Sealed
from mpc.commons.sharing import interpolate
from mpc.errors import CheatingError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

MOST_REPORTS = 1 << 20
_FACTOR_BYTES = 16
_IDENTITY = b"\1" + bytes(31)
_KEY_USE, _USE, _HAND_ON_USE = b"commons consumer key v1", b"commons release v1", b"commons hand on v1"


@dataclass(frozen=True)
class ReleaseShare(Record):
    """What one trustee sends to the consumer for a grant.

    Attributes:
        trustee: its place, from 0 on.
        grant: leaf hash of the grant.
        points: R_i of each granted report, in order.
        proof: one for all.
    """

    trustee: int = coded(U8)
    grant: bytes = coded(DIGEST)
    points: tuple[bytes, ...] = coded(Many(POINT, MOST_REPORTS))
    proof: bytes = coded(Fixed(PROOF_BYTES))


class ConsumerKey:
    """A consumer's key for one request: the secret q, and Q = q G. It prints Q alone.

    Attributes:
        point: the encoding of Q.
    """

    def __init__(self, secret: SecretScalar) -> None:
        self.secret = secret
        self._element = secret.times_generator()
        self.point = self._element.encode()

    @classmethod
    def fresh(cls, randomness: Randomness = SYSTEM) -> ConsumerKey:
        """Return a new key. Each request has its own."""
        return cls(SecretScalar.fresh(randomness))

    def sign(self, origin: str, author: bytes, request: Request, randomness: Randomness = SYSTEM) -> Request:
        """Return the request with this key and the proof that its author knows the secret.

        Endorsements cover the key and the proof, so they are added later.
        """
        bare = replace(request, consumer_key=self.point, proof=bytes(PROOF_BYTES), endorsements=())
        context = _request_context(origin, author, bare)
        return replace(bare, proof=prove(_KEY_USE, self.secret, GENERATOR, self._element, context, randomness))

    def __repr__(self) -> str:
        return f"ConsumerKey({self.point.hex()[:16]})"


def check_request(origin: str, author: bytes, request: Request) -> Points:
    """Return Q of a request, whose author has proven that it knows q.

    Raises:
        ProtocolError: Q is no element, or the proof does not hold for this request.
    """
    found = read_points([request.consumer_key], "a consumer's key")
    if not is_proven(_KEY_USE, GENERATOR, found, _request_context(origin, author, request), request.proof):
        raise ProtocolError("expected a proof that the consumer knows the secret of its key, found another")
    return found


def release(
    share: KeyShare,
    committee: CommitteeKey,
    reports: CheckedReports,
    consumer: Points,
    grant: bytes,
    randomness: Randomness = SYSTEM,
) -> ReleaseShare:
    """Return a trustee's share of a release. It must have seen the grant in a certified log before.

    Reports, Q and grant belong together as :func:`mpc.commons.granted.granted_reports` gives them. Nothing is compared
    with the log here.

    Args:
        consumer: Q, as :func:`check_request` gives it.
        grant: leaf hash of the grant.

    Raises:
        ProtocolError: Q is the opposite of a report's point, which only that report's provider and the consumer
            together can make. Nothing is released then.
    """
    summands = _summands(reports, consumer)
    points = share.secret.times(summands)
    factors = _factors(committee, share.trustee, grant, summands, points)
    base = summands.sum_of_multiples(factors)
    bases = CurvePoints.join([GENERATOR, base])
    multiples = CurvePoints.join([committee.part(share.trustee), share.secret.times(base)])
    proof = prove(_USE, share.secret, bases, multiples, grant, randomness)
    return ReleaseShare(share.trustee, grant, encodings(points), proof)


def check_release(
    committee: CommitteeKey, reports: CheckedReports, consumer: Points, grant: bytes, share: ReleaseShare
) -> Points:
    """Return a trustee's points of a release, once its proof holds.

    Raises:
        CheatingError: it does not, or the points are others than those that were granted. It names the trustee that
            the share says. Whoever has received the share knows whether that trustee has sent it.
        ProtocolError: Q is the opposite of a report's point, so that there is nothing to release.
    """
    summands = _summands(reports, consumer)
    name = f"trustee {share.trustee}"
    if share.grant != grant or len(share.points) != len(reports):
        found = f"{len(share.points)} of grant {share.grant.hex()[:16]}"
        raise CheatingError(f"expected {len(reports)} points of grant {grant.hex()[:16]} by {name}, found {found}")
    try:
        part = committee.part(share.trustee)
        points = read_points(share.points, "points of a release")
    except ProtocolError as error:
        raise CheatingError(f"release by {name}: {error}") from None
    factors = _factors(committee, share.trustee, grant, summands, points)
    bases = CurvePoints.join([GENERATOR, summands.sum_of_multiples(factors)])
    multiples = CurvePoints.join([part, points.sum_of_multiples(factors)])
    if not is_proven(_USE, bases, multiples, grant, share.proof):
        raise CheatingError(f"expected a release by {name} with a proof that holds, found one without")
    return points


@dataclass(frozen=True)
class BatchKey(Record):
    """What opens the trustees' layer of a granted batch, and of no other report. The boxes within stay sealed.

    Whoever holds it and the ciphertexts opens the same boxes. So a consumer that hands it on can leave out no box.

    Attributes:
        shares: of t + 1 trustees, in order.
        masked: q X, which the consumer's key has added to every report.
        proof: that this is the same multiple of X as Q is of G.
    """

    shares: tuple[ReleaseShare, ...] = coded(Many(Nested(ReleaseShare), MOST_TRUSTEES))
    masked: bytes = coded(POINT)
    proof: bytes = coded(Fixed(PROOF_BYTES))

    @property
    def digest(self) -> bytes:
        """The digest that stands in the log."""
        return hashlib.sha256(encode(self)).digest()

    def __repr__(self) -> str:
        return f"BatchKey({len(self.shares)} shares)"


def gather_release(
    committee: CommitteeKey,
    reports: CheckedReports,
    key: ConsumerKey,
    grant: bytes,
    shares: Mapping[int, ReleaseShare],
    randomness: Randomness = SYSTEM,
) -> tuple[BatchKey, dict[int, str]]:
    """Return at the consumer what opens a granted batch, and what was wrong with the shares of trustees that lied.

    Any t + 1 proven shares will do, whatever the others are.

    Args:
        shares: by the place of the trustee that has sent it. The channel says who that is, for a share is not signed.

    Raises:
        ProtocolError: fewer shares are proven. It says who has lied.
    """
    consumer = key.secret.times_generator()
    good: dict[int, ReleaseShare] = {}
    liars: dict[int, str] = {}
    for sender, share in sorted(shares.items()):  # all of them, so that whoever lies is named
        try:
            if share.trustee != sender:
                raise CheatingError(f"expected a release by trustee {sender}, found one of trustee {share.trustee}")
            check_release(committee, reports, consumer, grant, share)
            if len(good) < committee.needed:
                good[sender] = share
        except CheatingError as error:
            liars[sender] = str(error)
    if len(good) < committee.needed:
        lied = ", ".join(map(str, sorted(liars))) or "nobody"
        raise ProtocolError(f"expected {committee.needed} proven shares of a release, found {len(good)}; lied: {lied}")
    bases = CurvePoints.join([GENERATOR, committee.point])
    multiples = key.secret.times(bases)
    proof = prove(_HAND_ON_USE, key.secret, bases, multiples, grant, randomness)
    return BatchKey(tuple(good.values()), multiples[1:].encode(), proof), liars


def open_batch(
    committee: CommitteeKey, reports: CheckedReports, consumer: Points, grant: bytes, key: BatchKey
) -> tuple[tuple[Sealed, ...] | str, ...]:
    """Return for each granted report its boxes, or why there are none, which is its provider's fault.

    Args:
        consumer: Q of the logged request.

    Raises:
        CheatingError: the consumer has handed on something else than what opens the batch.
    """
    places = [share.trustee for share in key.shares]
    if len(places) != committee.needed or places != sorted(set(places)):
        raise CheatingError(f"expected shares of {committee.needed} trustees in order, found some of {places}")
    points = [check_release(committee, reports, consumer, grant, share) for share in key.shares]
    try:
        masked = read_points([key.masked], "what the consumer's key has added")
    except ProtocolError as error:
        raise CheatingError(str(error)) from None
    pairs = CurvePoints.join([GENERATOR, committee.point]), CurvePoints.join([consumer, masked])
    if not is_proven(_HAND_ON_USE, *pairs, grant, key.proof):
        raise CheatingError("expected a batch that the consumer hands on with a proof that holds, found one without")
    shared = interpolate([place + 1 for place in places], points) - masked
    boxes: list[tuple[Sealed, ...] | str] = []
    for place, (label, report) in enumerate(zip(reports.labels, reports.reports, strict=True)):
        try:
            boxes.append(open_report(label, report, shared[place : place + 1]))
        except ProtocolError as error:
            boxes.append(str(error))
    return tuple(boxes)


def _summands(reports: CheckedReports, consumer: Points) -> Points:
    """Return U + Q of each report, none of which is the identity. Raises `ProtocolError`."""
    summands = reports.points + consumer
    if _IDENTITY in encodings(summands):
        place = encodings(summands).index(_IDENTITY)
        raise ProtocolError(f"expected another consumer's key than the opposite of report {place}'s point, found that")
    return summands


def _request_context(origin: str, author: bytes, request: Request) -> bytes:
    bare = replace(request, proof=bytes(PROOF_BYTES), endorsements=())
    return transcript(b"commons request v1", origin.encode(), author, encode(bare))


def _factors(committee: CommitteeKey, trustee: int, grant: bytes, bases: Points, multiples: Points) -> bytes:
    """Return a factor of 128 bits for each report, as scalars."""
    part = committee.part(trustee).encode()
    seed = transcript(b"commons release factors v1", committee.session, part, grant, bases.encode(), multiples.encode())
    stream = hashlib.shake_256(seed).digest(_FACTOR_BYTES * len(bases))
    high = bytes(SCALAR_BYTES - _FACTOR_BYTES)
    return b"".join(stream[at : at + _FACTOR_BYTES] + high for at in range(0, len(stream), _FACTOR_BYTES))
