"""A trustee's part in keeping the log: what others may ask it, and what the sequencer asks all trustees.

    writer              sequencer                      each trustee                      reader
    --  submit  ------->
                        --  vote     proposal  ------->  checks, writes down, signs
                        <--          its cosignature  --
                        --  certify  certificate  ---->
                                                                        <--  follow  --
    --  hand_in  (a revocation)  --------------------->  keeps it beside the log

The sequencer waits for a quorum and a moment for the others. A trustee that lacks entries says so by the size of its
copy, and gets them. Whatever is answered is on the disk before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mpc.commons.consensus import BehindError, Sequencer, Trustee
from mpc.commons.encoding import U64, Blob, Many, Record, coded, decode, encode
from mpc.commons.founding import Founding
from mpc.commons.identities import TrusteeKeys
from mpc.errors import ProtocolError
from parties.commons.answering import Question
from parties.commons.asking import Line, gather
from parties.commons.reading import MOST_WAIT_MS, Follow, followed
from parties.commons.settings import EVERYBODY, TRUSTEE
from parties.commons.storage import LogFolder

_GRACE_S = 0.2  # for trustees beyond the quorum


@dataclass(frozen=True)
class Vote(Record):
    """A trustee's answer to a proposal: the checkpoint with its cosignature, or from where on it lacks entries."""

    signed: tuple[bytes, ...] = coded(Many(Blob(1 << 15), 1))
    size: int = coded(U64)


class LogDesk:
    """A trustee's copy of the log, which many threads ask and one thread of the sequencer extends.

    Attributes:
        trustee: with its copy. Whoever looks at it holds `changed`.
        changed: is notified whenever more is certified.
        sequencer: of the first trustee, or None.
    """

    def __init__(self, founding: Founding, keys: TrusteeKeys, folder: LogFolder, first: str) -> None:
        self.founding = founding
        self.changed = threading.Condition(threading.RLock())
        self.trustee = Trustee(founding, keys, folder)
        self.sequencer = Sequencer(self.trustee, founding, keys) if self.trustee.place == 0 else None
        self._first = first

    @property
    def questions(self) -> Mapping[str, Question]:
        """What others may ask."""
        found = {
            "follow": Question(EVERYBODY, self._follow),
            "hand-in": Question(EVERYBODY, self._hand_in),
            "vote": Question((TRUSTEE,), self._vote),
            "certify": Question((TRUSTEE,), self._certify),
        }
        if self.sequencer is not None:
            found |= {"submit": Question(EVERYBODY, self._submit), "why": Question(EVERYBODY, self._why)}
        return found

    def submit(self, entry: bytes) -> None:
        """Take an entry that shall be logged, as the sequencer."""
        sequencer = self._sequencing()
        with self.changed:
            sequencer.submit(entry)

    def extend(self, others: Mapping[str, Line], within_s: float, note: Callable[[str], None]) -> bool:
        """Propose what waits, as the sequencer, and return whether more is certified.

        Args:
            others: the lines to all other trustees, by name.
            within_s: how long to wait for a quorum.
            note: gets a sentence for a trustee that gave no valid answer.
        """
        sequencer = self._sequencing()
        with self.changed:
            proposal = sequencer.propose()
            own = bytes(self.trustee.copy.notes[self.trustee.copy.size]) if proposal else b""
        if proposal is None:
            return False
        votes = {"": own}
        behind: dict[str, int] = {}

        def take(name: str, answer: bytes) -> None:
            vote = decode(Vote, answer)
            if vote.signed:
                votes[name] = vote.signed[0]
            else:
                behind[name] = vote.size

        quorum = self.founding.quorum
        answers = {name: line.ask("vote", proposal) for name, line in others.items()}
        expires = time.monotonic() + within_s
        while answers:
            left = max(0.0, expires - time.monotonic())
            failed = gather(answers, left, take=take, enough=lambda: len(votes) >= quorum, grace_s=_GRACE_S)
            for name, why in failed.items():
                if len(votes) < quorum:
                    note(f"{name} gave no vote: {why}")
            again = {name: size for name, size in behind.items() if name not in votes}
            behind.clear()
            with self.changed:
                answers = {
                    name: others[name].ask("vote", sequencer.proposal_from(size))
                    for name, size in again.items()
                    if 0 <= size < self.trustee.copy.size
                }
        with self.changed:
            certificate = sequencer.collect(votes.values())
            if certificate is None:
                return False
            self.changed.notify_all()
        for line in others.values():
            line.ask("certify", certificate)
        return True

    # -- answers -------------------------------------------------------------------------------------------------------

    def _sequencing(self) -> Sequencer:
        if self.sequencer is None:
            raise ProtocolError("expected the sequencer, found another trustee")
        return self.sequencer

    def _follow(self, _: str, body: bytes) -> bytes:
        asked = decode(Follow, body)
        with self.changed:
            self.changed.wait_for(
                lambda: self.trustee.copy.certified_size != asked.size, min(asked.wait_ms, MOST_WAIT_MS) / 1e3
            )
            return encode(followed(self.trustee.copy, asked.size))

    def _submit(self, _: str, body: bytes) -> bytes:
        self.submit(body)
        return b""

    def _why(self, _: str, body: bytes) -> bytes:
        with self.changed:
            refused = dict(self._sequencing().refused)
        return refused.get(body, "").encode()

    def _hand_in(self, _: str, body: bytes) -> bytes:
        with self.changed:
            self.trustee.hand_in(body)
        return b""

    def _vote(self, peer: str, body: bytes) -> bytes:
        self._only_the_sequencer(peer)
        with self.changed:
            try:
                return encode(Vote((self.trustee.vote(body),), 0))
            except BehindError as error:
                return encode(Vote((), error.size))

    def _certify(self, peer: str, body: bytes) -> bytes:
        self._only_the_sequencer(peer)
        with self.changed:
            self.trustee.certify(body)
            self.changed.notify_all()
        return b""

    def _only_the_sequencer(self, peer: str) -> None:
        if peer != self._first:
            raise ProtocolError(f"expected what {self._first} proposes, found something of {peer}")
