"""Trustees of a test, and a broadcast in memory in which any of them may lie, keep silent or speak twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mpc.commons.committee import CommitteeKey, KeySetup, KeyShare
from mpc.commons.encoding import Record, decode
from mpc.commons.identities import Identity
from mpc.commons.key_messages import KINDS, KeyMessage, Phase, sign_message
from mpc.commons.key_session import KeySession, run_in_memory
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
        first = [session.start() for session in self.sessions]
        for dealer, messages in enumerate(first):
            for receiver, data in messages.private.items():
                alter = self.handovers.get((dealer, receiver))
                for each in [data] if alter is None else self._altered(data, alter):
                    self.sessions[receiver].receive_private(each)
        queue = self._sent([messages.public for messages in first])
        while queue or any(session.phase < Phase.DONE for session in self.sessions):
            if not queue:
                queue = [data for session in self.sessions for data in session.expire()]
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
            alter = self.lies.get((message.sender, KINDS[message.kind]))
            found += [data] if alter is None else self._altered(data, alter)
        return found

    def _altered(self, data: bytes, alter: Alter) -> list[bytes]:
        message = decode(KeyMessage, data)
        return [self.say(message.sender, contents) for contents in alter(message.contents())]


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
