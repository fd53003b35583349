"""Re-encryption of granted reports to one consumer, by shares that everybody can check.

    consumer             each trustee                              consumer
    Q = q G, logged
    in a request         for every granted report with a valid
                         proof: U_i = x_i (U + Q)          ──►     checks the trustee's proof
                         one proof for all of them                 t + 1 right ones give x (U + Q) = r X + q X

Only the holder of q gets r X from that. The request holds a proof that its author knows q. Otherwise somebody could
choose Q = U* - U, where U* is of a report that nobody has granted, and the trustees would help to open that one.

All of a trustee's shares have one proof, over a random combination (RFC 9497, section 2.2). Shares must reach the
consumer alone: whoever has them all, and knows one report's r, can remove the outer layer of the others in the batch.
The boxes inside stay closed to everybody but their aggregators.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mpc._core import GroupPoints
from mpc.commons.committee import KeyShare, TrusteesKey, digest_of
from mpc.commons.encoding import DIGEST, U8, Blob, Fixed, Record, coded, decode, encode
from mpc.commons.entries import Request
from mpc.commons.group import (
    POINT_BYTES,
    PROOF_BYTES,
    SCALAR_BYTES,
    generator,
    generator_table,
    is_proof,
    lagrange,
    prove_equal,
    random_scalars,
    scalar,
)
from mpc.commons.reports import Ciphertext
from mpc.errors import ProtocolError
from mpc.randomness import SYSTEM, Randomness

_WEIGHT_BYTES = 16  # a wrong share stays unnoticed with probability 2^-128


class ConsumerKey:
    """A consumer's secret q for one or more requests. It prints the public key alone.

    Attributes:
        public: Q, 32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._point = generator_table().multiples(secret)
        self.public = self._point.encode()

    @classmethod
    def fresh(cls, randomness: Randomness = SYSTEM) -> ConsumerKey:
        """Return a new key."""
        return cls(random_scalars(1, randomness))

    def sign(self, origin: str, author: bytes, request: Request, randomness: Randomness = SYSTEM) -> Request:
        """Return the request with this key and the proof that its author knows the secret.

        Endorsements cover the key and the proof, so they are added later.
        """
        bare = _with_key(request, self.public, bytes(PROOF_BYTES))
        context = _request_context(origin, author, bare)
        return _with_key(request, self.public, prove_equal(context, self._secret, generator(), self._point, randomness))

    def remove(self, key: TrusteesKey, points: GroupPoints) -> GroupPoints:
        """Return r X for each x (U + Q)."""
        return points - GroupPoints.decode(key.public).multiply(self._secret)

    def __repr__(self) -> str:
        return f"ConsumerKey({self.public.hex()[:16]})"


def check_request(origin: str, author: bytes, request: Request) -> None:
    """Check that a request's author knows the secret of its key. Raises `ProtocolError`."""
    point = GroupPoints.decode(request.consumer_key)
    bare = _with_key(request, request.consumer_key, bytes(PROOF_BYTES))
    if not is_proof(_request_context(origin, author, bare), request.proof, generator(), point):
        raise ProtocolError("expected a proof that the consumer knows the secret of its key, found another")


@dataclass(frozen=True)
class Release(Record):
    """One trustee's shares of a granted batch.

    Attributes:
        trustee: its place, from 0 on.
        grant: leaf hash of the grant.
        points: U_i for each report that can be released, 32 bytes each.
        proof: that all are x_i (U + Q).
    """

    trustee: int = coded(U8)
    grant: bytes = coded(DIGEST)
    points: bytes = coded(Blob(1 << 25))
    proof: bytes = coded(Fixed(PROOF_BYTES))


class Batch:
    """A granted batch's valid reports, and what each trustee multiplies: U + Q.

    Args:
        key: the trustees' key.
        grant: leaf hash of the grant.
        consumer_key: Q of the granted request.
        reports: by position in the batch, see :func:`mpc.commons.reports.valid_ones`.

    Attributes:
        positions: of the reports that can be released. A report whose U is -Q cannot, and says nothing.
    """

    def __init__(self, key: TrusteesKey, grant: bytes, consumer_key: bytes, reports: Mapping[int, Ciphertext]) -> None:
        self.key = key
        self.grant = grant
        opposite = (GroupPoints.generator() - GroupPoints.generator() - GroupPoints.decode(consumer_key)).encode()
        self.positions = tuple(at for at in sorted(reports) if reports[at].point != opposite)
        if not self.positions:
            raise ProtocolError("expected at least one valid report in a granted batch, found none")
        points = GroupPoints.decode(b"".join(reports[at].point for at in self.positions))
        self._sums = points + GroupPoints.decode(consumer_key)
        self._encoded = self._sums.encode()

    def release(self, share: KeyShare, randomness: Randomness = SYSTEM) -> bytes:
        """Return one trustee's release."""
        images = share.multiply(self._sums)
        encoded = images.encode()
        bases, targets = self._combined(share.place, images, encoded)
        proof = prove_equal(self._context(share.place), share.secret, bases, targets, randomness)
        return encode(Release(share.place, self.grant, encoded, proof))

    def check(self, sender: int, data: bytes) -> GroupPoints:
        """Return a trustee's shares. Raises `ProtocolError` where they do not hold, which is that trustee's fault."""
        try:
            release = decode(Release, data)
            images = GroupPoints.decode(release.points)
        except ProtocolError as error:
            raise ProtocolError(f"expected the release of trustee {sender}: {error}") from error
        if (release.trustee, release.grant) != (sender, self.grant) or len(images) != len(self.positions):
            raise ProtocolError(
                f"expected {len(self.positions)} shares of trustee {sender} for this grant, found others"
            )
        if sender >= len(self.key.shares):
            raise ProtocolError(f"expected one of {len(self.key.shares)} trustees, found {sender}")
        bases, targets = self._combined(sender, images, release.points)
        if not is_proof(self._context(sender), release.proof, bases, targets):
            raise ProtocolError(f"expected a proof for the shares of trustee {sender}, found one of something else")
        return images

    def combine(self, releases: Mapping[int, bytes]) -> tuple[GroupPoints, tuple[int, ...]]:
        """Return x (U + Q) for each report, and the places of the trustees whose release was wrong.

        Raises:
            ProtocolError: fewer than t + 1 are right.
        """
        right: dict[int, GroupPoints] = {}
        liars: list[int] = []
        for sender in sorted(releases):
            try:
                right[sender] = self.check(sender, releases[sender])
            except ProtocolError:
                liars.append(sender)
        chosen = sorted(right)[: self.key.faulty + 1]
        if len(chosen) <= self.key.faulty:
            named = ", ".join(map(str, liars)) or "none"
            raise ProtocolError(
                f"expected releases of {self.key.faulty + 1} trustees, found {len(chosen)} right, and wrong ones of "
                f"{named}"
            )
        weights = lagrange([place + 1 for place in chosen])
        parts = [right[place].multiply(scalar(weight)) for place, weight in zip(chosen, weights, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total, tuple(liars)

    def _combined(self, trustee: int, images: GroupPoints, encoded: bytes) -> tuple[GroupPoints, GroupPoints]:
        """Return G and the combined base, and X_i and the combined image."""
        public = self.key.shares[trustee]
        seed = hashlib.sha512(
            b"".join([b"commons release v1\n", self._context(trustee), public, self._encoded, encoded])
        ).digest()
        stream = hashlib.shake_256(seed).digest(_WEIGHT_BYTES * len(images))
        weights = b"".join(
            stream[at : at + _WEIGHT_BYTES] + bytes(SCALAR_BYTES - _WEIGHT_BYTES)
            for at in range(0, len(stream), _WEIGHT_BYTES)
        )
        bases = generator().joined(self._sums.combine_public(weights))
        return bases, GroupPoints.decode(public).joined(images.combine_public(weights))

    def _context(self, trustee: int) -> bytes:
        return b"commons release v1\n" + bytes([trustee]) + digest_of(self.key) + self.grant


def split_points(points: GroupPoints) -> Sequence[bytes]:
    """Return the encodings one by one."""
    data = points.encode()
    return [data[at : at + POINT_BYTES] for at in range(0, len(data), POINT_BYTES)]


def _with_key(request: Request, key: bytes, proof: bytes) -> Request:
    return Request(request.task, request.function, key, proof, request.ranges, request.not_after, ())


def _request_context(origin: str, author: bytes, bare: Request) -> bytes:
    return b"commons request v1\n" + origin.encode() + b"\n" + author + encode(bare)
