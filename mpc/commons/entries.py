"""The entries of a log: who says what, signed.

An entry is `kind, author, body, signature`. The author is an Ed25519 public key. The signature covers the log's origin
(:attr:`mpc.commons.founding.Founding.origin`), the kind, the author and the body. Bodies are records, one type a kind.
What an entry may say at its place in the log is :mod:`mpc.commons.access`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

from mpc.commons.encoding import (
    DIGEST,
    KEY,
    SIGNATURE,
    U8,
    U32,
    U64,
    Blob,
    Fixed,
    Many,
    Name,
    Nested,
    Record,
    coded,
    decode,
    encode,
)
from mpc.commons.identities import Identity, is_signed
from mpc.commons.steps import Close, Coin, Complaint, Delivered, HandOn, Noise, Verdict, Words
from mpc.errors import ProtocolError

MOST_BODY_BYTES = 1 << 22
MOST_MEMBERS = 1024
MOST_RANGES = 65_536
REPORT_ID_BYTES = 16
NONE = bytes(32)
"""In place of a digest that there is not."""


class Kind(IntEnum):
    """What an entry is."""

    REGISTER = 1
    POLICY = 2
    REPORT = 3
    REQUEST = 4
    GRANT = 5
    REFUSE = 6
    REVOKE = 7
    COIN = 8
    COMPLAINT = 9
    VERDICT = 10
    DELIVERED = 11
    HAND_ON = 12
    WORDS = 13
    CLOSE = 14
    NOISE = 15


class Role(IntEnum):
    """What the holder of a key does. Aggregators do not register. The founding record names them."""

    PROVIDER = 1
    CONSUMER = 2
    OWNER = 3
    TRUSTEE = 4


@dataclass(frozen=True)
class Register(Record):
    """Gives the author's key a name and a role.

    Attributes:
        details: a trustee's copy of the trustees' key, see :mod:`mpc.commons.committee`. Empty for others.
    """

    name: str = coded(Name())
    role: int = coded(U8)
    details: bytes = coded(Blob(1 << 16))


@dataclass(frozen=True)
class Rules(Record):
    """What a policy allows. The only action is to aggregate.

    Attributes:
        functions: that may be computed.
        consumers: keys, of which at least `threshold` must have signed a request.
        uses: how many granted aggregates a report may enter.
        not_after: index of the last entry that may grant anything.
    """

    functions: tuple[str, ...] = coded(Many(Name(), MOST_MEMBERS))
    consumers: tuple[bytes, ...] = coded(Many(KEY, MOST_MEMBERS))
    threshold: int = coded(U32)
    uses: int = coded(U32)
    not_after: int = coded(U64)

    def check(self) -> str:
        if list(self.functions) != sorted(set(self.functions)):
            return f"expected different functions in order, found {', '.join(self.functions)}"
        if list(self.consumers) != sorted(set(self.consumers)):
            return "expected different keys of consumers in order, found others"
        if not 1 <= self.threshold <= max(1, len(self.consumers)):
            return f"expected a threshold from 1 to the {len(self.consumers)} consumers, found {self.threshold}"
        return ""


@dataclass(frozen=True)
class Policy(Record):
    """A policy's first version, whose leaf hash is the policy's own name from then on, or its next version.

    Attributes:
        previous: leaf hash of the version before. `NONE` for version 0.
        owner: the key that signs the next version, and revokes. Version 0 is signed by it, too.
    """

    version: int = coded(U32)
    previous: bytes = coded(DIGEST)
    owner: bytes = coded(KEY)
    task: str = coded(Name())
    rules: Rules = coded(Nested(Rules))  # noqa: RUF009  (a field, as all others)


@dataclass(frozen=True)
class Report(Record):
    """A provider's encrypted report, which is kept outside of the log.

    Attributes:
        policy: leaf hash of the policy's first version.
        report_id: the author's own number for it, used once.
        digest: SHA-256 of the ciphertext.
        public_share: what is published with the report for the aggregators.
    """

    task: str = coded(Name())
    policy: bytes = coded(DIGEST)
    report_id: bytes = coded(Fixed(REPORT_ID_BYTES))
    digest: bytes = coded(DIGEST)
    public_share: bytes = coded(Blob(1 << 21))


@dataclass(frozen=True)
class Endorsement(Record):
    """Another consumer's signature of a request."""

    key: bytes = coded(KEY)
    signature: bytes = coded(SIGNATURE)


@dataclass(frozen=True)
class Range(Record):
    """Entries from index `first` on, up to and without `end`."""

    first: int = coded(U64)
    end: int = coded(U64)

    def check(self) -> str:
        return "" if self.first < self.end else f"expected first below end, found {self.first} and {self.end}"


@dataclass(frozen=True)
class Request(Record):
    """Asks for a function of all reports of a task in some ranges of the log.

    Attributes:
        consumer_key: the element Q = q G to which the trustees re-encrypt.
        proof: that the author knows q, see :mod:`mpc.commons.release`. Without it, Q could be made from the ciphertext
            of a report that nobody has granted.
        not_after: index of the last entry that may grant this.
        endorsements: by other consumers, in the order of their keys.
    """

    task: str = coded(Name())
    function: str = coded(Name())
    consumer_key: bytes = coded(Fixed(32))
    proof: bytes = coded(Fixed(64))
    ranges: tuple[Range, ...] = coded(Many(Nested(Range), MOST_RANGES))
    not_after: int = coded(U64)
    endorsements: tuple[Endorsement, ...] = coded(Many(Nested(Endorsement), MOST_MEMBERS))

    def check(self) -> str:
        ends = [end for one in self.ranges for end in (one.first, one.end)]
        if not ends or ends != sorted(set(ends)):
            return "expected ranges of reports in order and apart, found others"
        keys = [one.key for one in self.endorsements]
        if keys != sorted(set(keys)):
            return "expected endorsements by different keys in order, found others"
        return ""


@dataclass(frozen=True)
class Grant(Record):
    """Allows a request. It follows from the entries before it.

    Attributes:
        request: leaf hash of the request.
        batch: :func:`batch_digest` of the granted reports.
        count: how many reports they are.
    """

    request: bytes = coded(DIGEST)
    batch: bytes = coded(DIGEST)
    count: int = coded(U32)


class Reason(IntEnum):
    """Why a request is refused.

    The first two are looked for first. The others are looked for report by report, in this order at each, so the first
    report of the batch that is not allowed decides. What a policy says is looked for at its first report alone.
    """

    REQUEST_EXPIRED = 1
    BATCH_TOO_SMALL = 2
    REPORT_REVOKED = 3
    POLICY_REVOKED = 4
    POLICY_EXPIRED = 5
    FUNCTION_NOT_ALLOWED = 6
    TOO_FEW_CONSUMERS = 7
    USED_UP = 8


@dataclass(frozen=True)
class Refuse(Record):
    """Refuses a request. It follows from the entries before it.

    Attributes:
        subject: index of the entry that stands in the way: the revocation, the policy's version, the report, or the
            request itself.
        expected, found: the numbers that belong to the reason, see :func:`mpc.commons.access.sentence`.
    """

    request: bytes = coded(DIGEST)
    reason: int = coded(U8)
    subject: int = coded(U64)
    expected: int = coded(U64)
    found: int = coded(U64)

    def check(self) -> str:
        known = [int(one) for one in Reason]
        return "" if self.reason in known else f"expected a reason from 1 to {max(known)}, found {self.reason}"


@dataclass(frozen=True)
class Revoke(Record):
    """Bars every grant behind this entry. What was released before cannot be recalled.

    Attributes:
        target: leaf hash of a policy's first version, or of a report.
    """

    target: bytes = coded(DIGEST)


BODIES: dict[Kind, type[Record]] = {
    Kind.REGISTER: Register, Kind.POLICY: Policy, Kind.REPORT: Report, Kind.REQUEST: Request, Kind.GRANT: Grant,
    Kind.REFUSE: Refuse, Kind.REVOKE: Revoke, Kind.COIN: Coin, Kind.COMPLAINT: Complaint, Kind.VERDICT: Verdict,
    Kind.DELIVERED: Delivered, Kind.HAND_ON: HandOn, Kind.WORDS: Words, Kind.CLOSE: Close,
    Kind.NOISE: Noise,
}  # fmt: skip
_KINDS = {body: kind for kind, body in BODIES.items()}


@dataclass(frozen=True)
class Entry(Record):
    """One entry. `kind` is a number of :class:`Kind`."""

    kind: int = coded(U8)
    author: bytes = coded(KEY)
    body: bytes = coded(Blob(MOST_BODY_BYTES))
    signature: bytes = coded(SIGNATURE)

    def check(self) -> str:
        return "" if self.kind in BODIES else f"expected a kind of entry from 1 to {max(BODIES)}, found {self.kind}"

    @property
    def statement(self) -> bytes:
        """Digest of all but the signature. Two entries that say the same of the same author have the same one."""
        return hashlib.sha256(bytes([self.kind]) + self.author + self.body).digest()

    def is_signed(self, origin: str) -> bool:
        """Return whether the author has signed this entry for the log of this origin."""
        return is_signed(self.author, self.signature, _signed(origin, self.kind, self.author, self.body))

    def contents(self) -> Record:
        """Return the body as a record. Raises `ProtocolError`."""
        return decode(BODIES[Kind(self.kind)], self.body)


def sign_entry(identity: Identity, origin: str, contents: Record) -> bytes:
    """Return the encoded entry by which an identity says something in the log of this origin."""
    kind, body = _KINDS[type(contents)], encode(contents)
    return encode(Entry(kind, identity.key, body, identity.sign(_signed(origin, kind, identity.key, body))))


def endorse(identity: Identity, origin: str, author: bytes, request: Request) -> Endorsement:
    """Return another consumer's endorsement of a request that `author` will log."""
    return Endorsement(identity.key, identity.sign(endorsed_by_others(origin, author, request)))


def check_endorsements(origin: str, author: bytes, request: Request) -> None:
    """Raise `ProtocolError` where an endorsement is the author's own or not by its key."""
    message = endorsed_by_others(origin, author, request)
    for one in request.endorsements:
        if one.key == author or not is_signed(one.key, one.signature, message):
            raise ProtocolError(f"expected the endorsement of another consumer, found one not by {one.key.hex()[:16]}")


def batch_digest(reports: list[int]) -> bytes:
    """Return the digest of a batch, which is given by the reports' indices in order."""
    return hashlib.sha256(b"".join([b"commons batch v1\n", *(one.to_bytes(8, "big") for one in reports)])).digest()


def _signed(origin: str, kind: int, author: bytes, body: bytes) -> bytes:
    return b"commons entry v1\n" + origin.encode() + b"\n" + bytes([kind]) + author + body


def endorsed_by_others(origin: str, author: bytes, request: Request) -> bytes:
    """Return what others sign to endorse a request: all of it but the endorsements, with its author and log."""
    bare = Request(
        request.task, request.function, request.consumer_key, request.proof, request.ranges, request.not_after, ()
    )
    return b"commons endorsement v1\n" + origin.encode() + b"\n" + author + encode(bare)
