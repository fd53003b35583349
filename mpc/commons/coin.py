"""A coin for one grant, which nobody can know before t + 1 trustees have seen the batch fixed.

Trustee i's share is x_i P, where P is the element that the log's root with the grant is hashed to (Cachin, Kursawe and
Shoup, "Random oracles in Constantinople", PODC 2000). It gives its share only when that grant is certified. t + 1
shares with proofs give x P, and the coin is a hash of it. Whichever shares they are, the coin is the same.

A client and a server together that knew the randomness of a proof beforehand could choose a report that cheats it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from mpc._core import GroupPoints
from mpc.commons.committee import KeyShare, TrusteesKey, digest_of
from mpc.commons.entries import CoinShare
from mpc.commons.group import generator, hash_to_group, is_proof, lagrange, prove_equal, scalar
from mpc.errors import ProtocolError
from mpc.randomness import SYSTEM, Randomness


class Toss:
    """What one coin is about.

    Args:
        key: the trustees' key.
        origin: of the log.
        task: of the granted request.
        root: of the log up to the grant and with it.
        grant: leaf hash of the grant.
    """

    def __init__(self, key: TrusteesKey, origin: str, task: str, root: bytes, grant: bytes) -> None:
        self.key = key
        self._about = b"".join([b"commons coin v1\n", digest_of(key), root, grant, f"{origin}\n{task}".encode()])
        self._point = hash_to_group(self._about, b"commons coin v1")

    def share(self, share: KeyShare, randomness: Randomness = SYSTEM) -> CoinShare:
        """Return one trustee's share with its proof."""
        image = share.multiply(self._point)
        bases, images = self._statement(share.place, image)
        proof = prove_equal(self._context(share.place), share.secret, bases, images, randomness)
        return CoinShare(share.place, image.encode(), proof)

    def check(self, share: CoinShare) -> GroupPoints:
        """Return the point of a share. Raises `ProtocolError` where it does not hold, which is that trustee's fault."""
        if share.trustee >= len(self.key.shares):
            raise ProtocolError(f"expected one of {len(self.key.shares)} trustees, found {share.trustee}")
        image = GroupPoints.decode(share.point)
        bases, images = self._statement(share.trustee, image)
        if not is_proof(self._context(share.trustee), share.proof, bases, images):
            raise ProtocolError(f"expected a proof for the coin share of trustee {share.trustee}, found another")
        return image

    def choose(self, shares: Mapping[int, CoinShare]) -> tuple[tuple[CoinShare, ...], tuple[int, ...]]:
        """Return t + 1 right shares for the log, and the places of the trustees whose share was wrong.

        Raises:
            ProtocolError: fewer are right.
        """
        right: list[CoinShare] = []
        liars: list[int] = []
        for sender in sorted(shares):
            try:
                if shares[sender].trustee != sender:
                    raise ProtocolError(f"expected the share of trustee {sender}, found another's")
                self.check(shares[sender])
                right.append(shares[sender])
            except ProtocolError:
                liars.append(sender)
        if len(right) <= self.key.faulty:
            raise ProtocolError(f"expected coin shares of {self.key.faulty + 1} trustees, found {len(right)}")
        return tuple(right[: self.key.faulty + 1]), tuple(liars)

    def value(self, shares: tuple[CoinShare, ...]) -> bytes:
        """Return the coin, 32 bytes, from exactly t + 1 shares in order.

        Raises:
            ProtocolError: they are fewer or more, or one does not hold.
        """
        places = [share.trustee for share in shares]
        if len(shares) != self.key.faulty + 1 or places != sorted(set(places)):
            raise ProtocolError(f"expected {self.key.faulty + 1} coin shares in order, found {len(shares)}")
        weights = lagrange([place + 1 for place in places])
        points = [self.check(share) for share in shares]
        total = points[0].multiply(scalar(weights[0]))
        for point, weight in zip(points[1:], weights[1:], strict=True):
            total = total + point.multiply(scalar(weight))
        return hashlib.sha256(b"commons coin value v1\n" + self._about + total.encode()).digest()

    def _statement(self, trustee: int, image: GroupPoints) -> tuple[GroupPoints, GroupPoints]:
        public = GroupPoints.decode(self.key.shares[trustee])
        return generator().joined(self._point), public.joined(image)

    def _context(self, trustee: int) -> bytes:
        return b"commons coin share v1\n" + bytes([trustee]) + self._about
