"""What parties log after a grant, step by step: coins, noise, words, complaints, verdicts and deliveries.

Each is the body of an entry (:mod:`mpc.commons.entries`). Who may say it, and when, is :mod:`mpc.commons.proceedings`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from mpc.commons.encoding import DIGEST, U8, U64, Blob, Fixed, Many, Nested, Record, coded

MOST_REPORTS = 1 << 20


class Step(IntEnum):
    """What aggregators do for a grant that ends for all at one entry."""

    NOISE = 1
    WORDS = 2


@dataclass(frozen=True)
class CoinShare(Record):
    """One trustee's part of a coin, with its proof. `trustee` is its place, from 0 on."""

    trustee: int = coded(U8)
    point: bytes = coded(Fixed(32))
    proof: bytes = coded(Fixed(64))


@dataclass(frozen=True)
class Coin(Record):
    """Randomness that nobody knew when what it is about was fixed, see :mod:`mpc.commons.coin`.

    Attributes:
        about: leaf hash of a grant, or of the entry with which the noise of a grant ended.
    """

    about: bytes = coded(DIGEST)
    shares: tuple[CoinShare, ...] = coded(Many(Nested(CoinShare), 64))


@dataclass(frozen=True)
class Complaint(Record):
    """An aggregator opens the box of one report, so that everybody can judge it.

    Attributes:
        report: index of the report.
        point: what the box's key is made from.
        proof: that the point belongs to the aggregator's key and the box.
    """

    grant: bytes = coded(DIGEST)
    report: int = coded(U64)
    point: bytes = coded(Fixed(32))
    proof: bytes = coded(Fixed(64))


@dataclass(frozen=True)
class Verdict(Record):
    """One trustee's word on which reports of a granted batch are not valid, and which aggregators have lied.

    It stands once t + 1 trustees have said the same, so one alone can neither reject a report nor blame anybody.

    Attributes:
        rejected: indices of reports, and of entries with noise, in order.
        liars: places of aggregators in their task.
        words: :func:`words_digest` of what the aggregators have said, from which this follows.
    """

    grant: bytes = coded(DIGEST)
    rejected: tuple[int, ...] = coded(Many(U64, MOST_REPORTS))
    liars: tuple[int, ...] = coded(Many(U8, 255))
    words: bytes = coded(DIGEST)

    def check(self) -> str:
        for what, found in (("rejected reports", self.rejected), ("liars", self.liars)):
            if list(found) != sorted(set(found)):
                return f"expected different {what} in order, found others"
        return ""


@dataclass(frozen=True)
class Delivered(Record):
    """The consumer has its result, whose digest it may keep to itself (`NONE`)."""

    grant: bytes = coded(DIGEST)
    digest: bytes = coded(DIGEST)


@dataclass(frozen=True)
class HandOn(Record):
    """The consumer hands on what opens the trustees' layer of a granted batch.

    Attributes:
        digest: SHA-256 of the :class:`mpc.commons.release.BatchKey`, which is kept outside of the log.
    """

    grant: bytes = coded(DIGEST)
    digest: bytes = coded(DIGEST)


@dataclass(frozen=True)
class Words(Record):
    """An aggregator has said its verifier words of all reports of a granted batch.

    Attributes:
        digest: SHA-256 of the :class:`mpc.commons.judging.SaidWords`, which are kept outside of the log.
    """

    grant: bytes = coded(DIGEST)
    digest: bytes = coded(DIGEST)


@dataclass(frozen=True)
class Close(Record):
    """A trustee has waited long enough for aggregators in a step. The step ends once t + 1 trustees say so.

    Attributes:
        step: a number of :class:`Step`.
    """

    grant: bytes = coded(DIGEST)
    step: int = coded(U8)

    def check(self) -> str:
        known = [int(one) for one in Step]
        return "" if self.step in known else f"expected a step from 1 to {max(known)}, found {self.step}"


@dataclass(frozen=True)
class Noise(Record):
    """An aggregator deals its part of the noise of a grant.

    Attributes:
        digest: SHA-256 of the :class:`mpc.commons.reports.SealedBoxes`, which are kept outside of the log.
        public_share: what is published with it for the aggregators, as with a report.
    """

    grant: bytes = coded(DIGEST)
    digest: bytes = coded(DIGEST)
    public_share: bytes = coded(Blob(1 << 21))


def words_digest(said: Mapping[int, bytes]) -> bytes:
    """Return the digest of what the aggregators have said, given by place as the digests of their words."""
    parts = (bytes([place]) + digest for place, digest in sorted(said.items()))
    return hashlib.sha256(b"".join([b"commons words v1\n", *parts])).digest()
