"""A data consumer: it asks for an aggregate, hands on what the trustees release, and gets the result alone.

consumer                                          to
register, request                 entries ──►     the trustees, who grant or refuse
                  ◄── ReleaseShare of each trustee
hand_on          entry, BatchKey ──►              the trustees and aggregators, who open the batch
                  ◄── SumShare of each aggregator
result, delivered                  entry ──►      the trustees
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mpc.commons.access import granted, request_of
from mpc.commons.attachments import Attachments, read_attachment
from mpc.commons.batches import sealed_batch
from mpc.commons.committee import check_for
from mpc.commons.encoding import Record, decode, encode
from mpc.commons.entries import NONE, Endorsement, Grant, Range, Refuse, Register, Request, Role, endorse, sign_entry
from mpc.commons.following import Follower
from mpc.commons.founding import Founding
from mpc.commons.identities import Identity
from mpc.commons.merkle import leaf_hash
from mpc.commons.release import ConsumerKey, ReleaseShare, gather_release
from mpc.commons.steps import Delivered, HandOn
from mpc.commons.summing import Result, result_of
from mpc.errors import OrderError, ProtocolError
from mpc.randomness import SYSTEM, Randomness


class Consumer:
    """One consumer. It prints its name alone.

    Attributes:
        log: what this consumer has seen of the log.
    """

    def __init__(
        self,
        founding: Founding,
        name: str,
        identity: Identity,
        attachments: Attachments,
        randomness: Randomness = SYSTEM,
    ) -> None:
        self.name, self.identity = name, identity
        self.log = Follower(founding)
        self.attachments = attachments
        self._founding, self._randomness = founding, randomness
        self._keys: dict[bytes, ConsumerKey] = {}  # by the key in the request

    def register(self) -> bytes:
        """Return the entry that gives this consumer its name."""
        return self._sign(Register(self.name, Role.CONSUMER, b""))

    def request(self, task: str, function: str, ranges: Sequence[Range], not_after: int) -> Request:
        """Return a request that nobody has endorsed yet, with a fresh key. `sign` makes it an entry."""
        key = ConsumerKey.fresh(self._randomness)
        bare = Request(task, function, NONE, bytes(64), tuple(ranges), not_after, ())
        request = key.sign(self._founding.origin, self.identity.key, bare, self._randomness)
        self._keys[request.consumer_key] = key
        return request

    def endorse(self, author: bytes, request: Request) -> Endorsement:
        """Return this consumer's endorsement of another's request."""
        return endorse(self.identity, self._founding.origin, author, request)

    def sign(self, request: Request, endorsements: Sequence[Endorsement] = ()) -> bytes:
        """Return the entry of a request. Its leaf hash is the request's name."""
        ordered = tuple(sorted(endorsements, key=lambda one: one.key))
        return self._sign(replace(request, endorsements=ordered))

    def answer(self, request: bytes) -> tuple[Grant | Refuse, bytes]:
        """Return the answer to a request, by leaf hash, and the answer's own leaf hash.

        Raises:
            ProtocolError: it is not in the log yet.
        """
        asked = self.log.state.requests.get(request)
        if asked is None or asked.answer is None:
            raise ProtocolError(f"expected an answer to request {request.hex()[:16]} in the log, found none yet")
        return asked.answer, leaf_hash(self.log.copy.entries[asked.answered])

    def wants(self, grant: bytes) -> list[bytes]:
        """Return the digests of the attachments that this consumer lacks for a grant. Any trustee has them."""
        state = self.log.state
        digests = [state.reports[one].digest for one in granted(state, grant).reports]
        return [digest for digest in digests if self.attachments.get(digest) is None]

    def hand_on(self, grant: bytes, shares: Mapping[int, bytes]) -> tuple[bytes, bytes, dict[int, str]]:
        """Return the entry that hands a batch on, what opens it, and the trustees that have lied with a sentence each.

        Args:
            shares: what each trustee has released, by its place.

        Raises:
            ProtocolError: too few trustees have proven their shares, or an attachment is missing.
        """
        state = self.log.state
        found = sealed_batch(state, grant, lambda digest: read_attachment(self.attachments, digest))
        committee = check_for(state.founding, state.trustees_key)
        read, liars = dict[int, ReleaseShare](), dict[int, str]()
        for place, data in shares.items():
            try:
                read[place] = decode(ReleaseShare, data)
            except ProtocolError as error:
                liars[place] = str(error)
        key, lied = gather_release(committee, found.reports, self._key(grant), grant, read, self._randomness)
        return self._sign(HandOn(grant, key.digest)), encode(key), liars | lied

    def result(self, grant: bytes, sums: Mapping[int, bytes]) -> Result:
        """Return the result from the aggregators' sums, by place. Raises as :func:`mpc.commons.summing.result_of`."""
        return result_of(self.log.state, grant, sums)

    def delivered(self, grant: bytes) -> bytes:
        """Return the entry that says that this consumer has its result. It does not show it."""
        return self._sign(Delivered(grant, NONE))

    def _key(self, grant: bytes) -> ConsumerKey:
        key = self._keys.get(request_of(self.log.state, grant).request.consumer_key)
        if key is None:
            raise OrderError("expected a grant for a request of this consumer, found another's")
        return key

    def _sign(self, contents: Record) -> bytes:
        return sign_entry(self.identity, self._founding.origin, contents)

    def __repr__(self) -> str:
        return f"Consumer({self.name})"
