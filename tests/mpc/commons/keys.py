"""Trustees of a test, and a broadcast in memory in which any of them may lie, keep silent or speak twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mpc.commons import sharing
from mpc.commons.committee import CommitteeKey, KeySetup, KeyShare
from mpc.commons.encoding import Record, decode
from mpc.commons.group import GENERATOR, ORDER, SecretScalar, read_points, scalars
from mpc.commons.identities import Identity
from mpc.commons.key_messages import KINDS, Deal, Handover, KeyMessage, Phase, handover_label, sign_message
from mpc.commons.key_session import KeySession, run_in_memory
from mpc.commons.release import ConsumerKey, ReleaseShare, gather_release, open_batch
from mpc.commons.reports import CheckedReports
from mpc.commons.sealing import Sealed, seal
from mpc.randomness import RoleRandomness

Alter = Callable[[Any], Sequence[Record]]


def trustees(n: int, t: int, attempt: int = 0) -> tuple[KeySetup, list[Identity]]:
    """Return a setup and the trustees' identities."""
    identities = [Identity(bytes([place + 1]) * 32) for place in range(n)]
    return KeySetup("a-log/0123", attempt, t, tuple(one.key for one in identities)), identities


class Meeting:
    """All trustees of one session, and what some of them do instead of the protocol.

    Args:
        lies: by place and kind of message, what the trustee says in its place. Nothing is silence.
        handovers: by dealer and receiver, the same for what is handed over.
    """

    def __init__(
        self,
        n: int,
        t: int,
        lies: dict[tuple[int, type[Record]], Alter] | None = None,
        handovers: dict[tuple[int, int], Alter] | None = None,
        seed: bytes | None = b"keys",
        session: type[KeySession] = KeySession,
    ) -> None:
        self.setup, self.identities = trustees(n, t)
        self.lies, self.handovers = lies or {}, handovers or {}
        random = RoleRandomness(seed)
        self.sessions = [
            session(self.setup, place, identity, random.source(f"trustee-{place}"))
            for place, identity in enumerate(self.identities)
        ]
        self.published: list[bytes] = []

    def say(self, place: int, contents: Record) -> bytes:
        return sign_message(self.setup, place, self.identities[place], contents)

    def run(self) -> Meeting:
        queue = [data for session in self.sessions for data in self._sent(session.start())]
        while queue or any(session.phase < Phase.DONE for session in self.sessions):
            if not queue:
                queue = [data for session in self.sessions for data in self._sent(session.expire())]
                assert queue, "everybody waits"
            data = queue.pop(0)
            self.published.append(data)
            for session in self.sessions:
                queue += self._sent(session.receive(data))
        return self

    def _sent(self, messages: list[bytes]) -> list[bytes]:
        found = []
        for data in messages:
            message = decode(KeyMessage, data)
            contents = message.contents()
            if isinstance(contents, Deal):
                contents = self._with_handovers(message.sender, contents)
            alter = self.lies.get((message.sender, KINDS[message.kind]))
            found += [self.say(message.sender, one) for one in ([contents] if alter is None else alter(contents))]
        return found

    def _with_handovers(self, dealer: int, deal: Deal) -> Deal:
        """Return the deal with other handovers. Silence is one that does not open."""
        handovers = list(deal.handovers)
        for place, one in enumerate(handovers):
            alter = self.handovers.get((dealer, one.receiver))
            if alter is not None:
                session, index = self.sessions[dealer], one.receiver + 1
                share, blinding = session._polynomial.at(index), session._blinding.at(index)
                said = alter(Handover(share.reveal(), blinding.reveal()))
                key = self.sessions[one.receiver]._secret.times_generator() if said else GENERATOR
                text = b"".join(part for record in said for part in (record.share, record.blinding))  # type: ignore[attr-defined]
                label = handover_label(self.setup, dealer, one.receiver)
                handovers[place] = replace(one, sealed=seal(key, label, text))
        return replace(deal, handovers=tuple(handovers))


@dataclass(frozen=True)
class Opened:
    """A release that was opened: boxes or why there are none, and the trustees that have lied."""

    boxes: tuple[tuple[Sealed, ...] | str, ...]
    liars: dict[int, str]


def open_release(
    committee: CommitteeKey, checked: CheckedReports, key: ConsumerKey, grant: bytes, shares: dict[int, ReleaseShare]
) -> Opened:
    """Gather a release at the consumer, and open it with what it hands on, as everybody does."""
    found, liars = gather_release(committee, checked, key, grant, shares)
    consumer = read_points([key.point], "a consumer's key")
    return Opened(open_batch(committee, checked, consumer, grant, found), liars)


def silence(_: Record) -> list[Record]:
    return []


def changed(**fields: Any) -> Alter:
    """Say the same with other fields."""
    return lambda contents: [replace(contents, **fields)]


def made_key(n: int, t: int) -> tuple[CommitteeKey, list[KeyShare]]:
    """Return a key that n honest trustees have made."""
    setup, identities = trustees(n, t)
    random = RoleRandomness(b"made")
    sessions = [KeySession(setup, i, one, random.source(f"trustee-{i}")) for i, one in enumerate(identities)]
    run_in_memory(sessions)
    return sessions[0].key, [session.share for session in sessions]


SIZES = [(4, 1), (7, 2)]


def number(secret: SecretScalar) -> int:
    return int.from_bytes(secret.reveal(), "little")


def check_key(meeting: Meeting, dealers: list[int]) -> int:
    """Check that all have one key, of these dealers, which any t + 1 shares open. Return the secret key."""
    keys = [session.key for session in meeting.sessions]
    assert all(key == keys[0] for key in keys)
    assert list(keys[0].dealers) == dealers
    needed = keys[0].needed
    shares = [session.share for session in meeting.sessions]
    secrets = set()
    for first in range(len(shares) - needed + 1):
        used = shares[first : first + needed]
        factors = sharing.lagrange([one.trustee + 1 for one in used])
        secrets.add(sum(f * number(one.secret) for f, one in zip(factors, used, strict=True)) % ORDER)
    (secret,) = secrets
    assert GENERATOR.multiply(scalars((secret,))).encode() == keys[0].key
    return secret


def dealt(meeting: Meeting, dealers: list[int]) -> int:
    """The sum of what these dealers have shared."""
    return sum(number(meeting.sessions[dealer]._polynomial.at(0)) for dealer in dealers) % ORDER


def opened(data: bytes) -> KeyMessage:
    return decode(KeyMessage, data)
