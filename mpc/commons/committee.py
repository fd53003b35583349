"""The trustees' common key. Nobody has the secret x. Trustee i, from 1 on, has a share x_i of degree t."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from mpc._core import GroupPoints, GroupTable
from mpc.commons.encoding import DIGEST, U8, Fixed, Many, Record, coded, decode, encode
from mpc.commons.founding import MOST_TRUSTEES, Founding
from mpc.commons.group import POINT_BYTES, lagrange, scalar
from mpc.errors import ParameterError, ProtocolError


@dataclass(frozen=True)
class TrusteesKey(Record):
    """What is public of the trustees' key. Each trustee registers its copy, and the log takes what a quorum has.

    Attributes:
        faulty: t. Shares of t + 1 trustees suffice, and t say nothing.
        public: X = x G.
        shares: X_i = x_i G, in the order of the trustees.
        transcript: digest of all that was broadcast when the key was made. Trustees that were told different things
            have different ones.
    """

    faulty: int = coded(U8)
    public: bytes = coded(Fixed(POINT_BYTES))
    shares: tuple[bytes, ...] = coded(Many(Fixed(POINT_BYTES), MOST_TRUSTEES))
    transcript: bytes = coded(DIGEST)

    @property
    def points(self) -> GroupPoints:
        """X_1 to X_n."""
        return GroupPoints.decode(b"".join(self.shares))


class KeyShare:
    """One trustee's secret share x_i, with the public key. It prints its place alone.

    Attributes:
        place: of the trustee, from 0 on. Its index is one more.
        key: what is public.
    """

    def __init__(self, place: int, secret: bytes, key: TrusteesKey) -> None:
        self.place = place
        self.key = key
        self._secret = secret
        if GroupTable(GroupPoints.generator()).multiples(secret).encode() != key.shares[place]:
            raise ParameterError(f"expected the secret share of trustee {place}, found another")

    def multiply(self, points: GroupPoints) -> GroupPoints:
        """Return x_i times each point."""
        return points.multiply(self._secret)

    @property
    def secret(self) -> bytes:
        """The share itself, for proofs and to be kept."""
        return self._secret

    def __repr__(self) -> str:
        return f"KeyShare(trustee {self.place}, <hidden>)"


@lru_cache(maxsize=64)
def read_key(data: bytes) -> TrusteesKey:
    """Return a key that holds: valid elements, all of one polynomial of degree t. Raises `ProtocolError`."""
    key = decode(TrusteesKey, data)
    if len(key.shares) <= key.faulty:
        raise ProtocolError(f"expected more than {key.faulty} shares of the trustees' key, found {len(key.shares)}")
    points, public = key.points, GroupPoints.decode(key.public)
    basis = list(range(1, key.faulty + 2))
    for index in (0, *range(key.faulty + 2, len(key.shares) + 1)):
        weights = b"".join(scalar(one) for one in lagrange(basis, index))
        expected = points.part(0, len(basis)).combine_public(weights)
        found = public if index == 0 else points.part(index - 1, index)
        if expected.encode() != found.encode():
            raise ProtocolError(f"expected shares of one key of degree {key.faulty}, found another at {index}")
    return key


def check_for(founding: Founding, data: bytes) -> TrusteesKey:
    """Return a key that fits a log's trustees. Raises `ProtocolError`."""
    key = read_key(data)
    if (key.faulty, len(key.shares)) != (founding.faulty, len(founding.trustees)):
        raise ProtocolError(
            f"expected a key of {len(founding.trustees)} trustees of whom {founding.faulty} may be faulty, "
            f"found one of {len(key.shares)} and {key.faulty}"
        )
    return key


def digest_of(key: TrusteesKey) -> bytes:
    """Return the digest by which proofs name a key."""
    return hashlib.sha256(b"commons trustees' key v1\n" + encode(key)).digest()
