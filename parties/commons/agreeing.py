"""A trustee's desk: what others may ask it, and how the sequencer lets all trustees agree on the next entries.

    writer              sequencer                      each trustee                      anybody
    --  submit  ------->
                        --  vote     proposal  ------->  checks, writes down, signs
                        <--          its cosignature  --
                        --  keep     attachments  ---->  that it has said it lacks
                        --  certify  certificate  ---->
                                                                        <--  follow  --
                                              aggregator, consumer      <--  attachments  --
    --  hand-in  (a revocation)  --------------------->  keeps it beside the log
                                        consumer  --  release  -------->  its share, for a certified grant
                        --  coin  -------------------->  its part

How the sequencer gathers votes stands in :mod:`parties.commons.voting`. A trustee that lacks entries or attachments
says which, and gets them. Whatever is answered is on the disk before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType

from mpc.commons.access import request_of
from mpc.commons.consensus import BehindError
from mpc.commons.encoding import decode, encode
from mpc.commons.entries import Entry, Kind, Register
from mpc.commons.founding import Founding
from mpc.commons.roles.trustee import MissingError, TrusteeRole
from mpc.errors import ProtocolError
from parties.commons.answering import Question
from parties.commons.asking import MOST_BODY, Line, gather
from parties.commons.faults import HONEST, Fault
from parties.commons.reading import (
    MOST_DIGESTS_BYTES,
    MOST_SUBMISSION_BYTES,
    MOST_WAIT_MS,
    Blobs,
    Digests,
    Follow,
    Submission,
)
from parties.commons.released import Released
from parties.commons.settings import AGGREGATOR, CONSUMER, EVERYBODY, TRUSTEE
from parties.commons.voting import Vote, Voting, fitting

MOST_REVOCATION_BYTES = 1 << 10
MOST_NOTE_BYTES = 1 << 15
_GRACE_S = 0.2  # for parts of a coin beyond those that suffice


class TrusteeDesk:
    """One trustee, whom many threads ask. One thread of the sequencer extends the log.

    Args:
        names: the consumers' names in their certificates, by the keys that sign their requests.
        fault: what it does in place of its part in a grant.
        members: the names of a federation's members, by the keys that sign their entries. Empty where anybody may
            write to the log.

    Attributes:
        role: the trustee. Whoever uses it holds `changed`.
        changed: is notified whenever more is certified.
    """

    def __init__(
        self,
        founding: Founding,
        role: TrusteeRole,
        names: Mapping[bytes, str],
        fault: Fault = HONEST,
        members: Mapping[bytes, str] = MappingProxyType({}),
    ) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.role = role
        self._founding, self._names, self._fault, self._members = founding, names, fault, members
        self._first = founding.trustees[0].name
        self._voting = Voting(founding, role, self.changed)
        self._released = Released(role.release)

    @property
    def questions(self) -> Mapping[str, Question]:
        """What others may ask."""
        found = {
            "follow": Question(EVERYBODY, self._follow),
            "attachments": Question(
                (AGGREGATOR, CONSUMER), self._attachments, MOST_DIGESTS_BYTES
            ),  # batch keys and words are among them
            "hand-in": Question(EVERYBODY, self._hand_in, MOST_REVOCATION_BYTES),
            "vote": Question((TRUSTEE,), self._vote, MOST_BODY),
            "keep": Question((TRUSTEE,), self._keep, MOST_BODY),
            "certify": Question((TRUSTEE,), self._certify, MOST_NOTE_BYTES),
            "coin": Question((TRUSTEE,), self._coin),
            "release": Question((CONSUMER,), self._release),
        }
        if self.role.sequencer is not None:
            found |= {
                "submit": Question(EVERYBODY, self._submit, MOST_SUBMISSION_BYTES),
                "why": Question(EVERYBODY, self._why),
            }
        return found

    def is_settled(self) -> bool:
        """Return whether all that this trustee has signed is certified."""
        copy = self.role.trustee.copy
        return 0 < copy.size == copy.certified_size

    # -- the sequencer -------------------------------------------------------------------------------------------------

    def extend(self, others: Mapping[str, Line], within_s: float, note: Callable[[str], None]) -> bool:
        """Propose what waits, and return whether more is certified.

        Args:
            others: the lines to all other trustees, by name.
            within_s: how long to wait for a quorum.
            note: gets a sentence for each trustee that gave no vote where a quorum is missing.
        """
        return self._voting.extend(others, within_s, note)

    def toss(self, about: bytes, others: Mapping[str, Line], within_s: float) -> tuple[bytes, dict[str, str]]:
        """Gather a coin, and return its entry, with the trustees that gave no right part.

        Raises:
            ProtocolError: fewer than t + 1 parts are right.
        """
        with self.changed:
            shares = {self.role.place: self.role.coin_share(about)}
        places = {one.name: place for place, one in enumerate(self._founding.trustees)}
        answers = {name: line.ask("coin", about) for name, line in others.items()}

        def take(name: str, answer: bytes) -> None:
            shares[places[name]] = answer

        least = len(places) - self._founding.faulty
        failed = gather(answers, within_s, take=take, enough=lambda: len(shares) >= least, grace_s=_GRACE_S)
        with self.changed:
            entry, liars = self.role.coin(about, shares)
        names = [one.name for one in self._founding.trustees]
        lied = dict.fromkeys((names[place] for place in liars), "its part of the coin has no proof that holds")
        return entry, {**{name: str(why) for name, why in failed.items()}, **lied}

    # -- answers -------------------------------------------------------------------------------------------------------

    def _follow(self, _: str, body: bytes) -> bytes:
        asked = decode(Follow, body)
        with self.changed:
            self.changed.wait_for(
                lambda: self.role.trustee.copy.certified_size > asked.size, min(asked.wait_ms, MOST_WAIT_MS) / 1e3
            )
            return self.role.update(asked.size) or b""

    def _attachments(self, _: str, body: bytes) -> bytes:
        with self.changed:
            return encode(Blobs(tuple(fitting(self.role, decode(Digests, body).digests).values())))

    def submit(self, entry: bytes, attachment: bytes | None = None) -> None:
        """Take an entry that shall be logged, as the sequencer."""
        with self.changed:
            self.role.submit(entry, attachment)

    def _submit(self, peer: str, body: bytes) -> bytes:
        given = decode(Submission, body)
        self._only_its_own(peer, given.entry)
        self.submit(given.entry, given.attachment[0] if given.attachment else None)
        return b""

    def _why(self, _: str, body: bytes) -> bytes:
        with self.changed:
            sequencer = self.role.sequencer
            return dict(sequencer.refused).get(body, "").encode() if sequencer else b""

    def _hand_in(self, peer: str, body: bytes) -> bytes:
        self._only_its_own(peer, body)
        with self.changed:
            self.role.hand_in(body)
        return b""

    def _vote(self, peer: str, body: bytes) -> bytes:
        self._only_the_sequencer(peer)
        with self.changed:
            try:
                return encode(Vote((self.role.vote(body),), 0, ()))
            except MissingError as error:
                return encode(Vote((), 0, error.digests))
            except BehindError as error:
                return encode(Vote((), error.size, ()))

    def _keep(self, peer: str, body: bytes) -> bytes:
        self._only_the_sequencer(peer)
        with self.changed:
            for data in decode(Blobs, body).blobs:
                self.role.keep(data)
        return b""

    def _certify(self, peer: str, body: bytes) -> bytes:
        self._only_the_sequencer(peer)
        with self.changed:
            self.role.certify(body)
            self.changed.notify_all()
        return b""

    def _coin(self, peer: str, body: bytes) -> bytes:
        self._only_the_sequencer(peer)
        with self.changed:
            share = self.role.coin_share(body)
        return self._fault.strike(share)

    def _release(self, peer: str, body: bytes) -> bytes:
        with self.changed:
            asked = request_of(self.role.state, body).author
            if self._names.get(asked) != peer:
                raise ProtocolError(f"expected the consumer that has asked, found {peer}")
            self.role.trustee.check_release(body)  # before the cheap answer, too
            share = self._released.share(body)
        return self._fault.strike(share)

    def _only_its_own(self, peer: str, data: bytes) -> None:
        """Raise `ProtocolError` for what a member hands in under another key or name than its line has.

        So nobody takes the name by which another one registers, and nobody fills the log under keys without end.
        """
        if not self._members:
            return
        entry = decode(Entry, data)
        if self._members.get(entry.author) != peer:
            raise ProtocolError(
                f"expected an entry by the key of {peer} in the shared file, found one by {entry.author.hex()[:16]}"
            )
        if entry.kind == Kind.REGISTER and (name := decode(Register, entry.body).name) != peer:
            raise ProtocolError(f"expected {peer} to register under its own name, found {name}")

    def _only_the_sequencer(self, peer: str) -> None:
        if peer != self._first:
            raise ProtocolError(f"expected what {self._first} asks, found something of {peer}")
