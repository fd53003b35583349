"""A party's own copy of the log, which it brings up to date from any trustee, and what it writes to the log.

    reader                                                     any trustee
    how many entries it has            --  follow  ----------->
    checks entries, root, signatures   <--  Update, or nothing  as soon as there are more
    digests of what it lacks           --  attachments  ------>
    checks the digests                 <--  what is there

    writer                                                     the sequencer
    an entry, and what belongs to it   --  submit  ----------->
    why it is not in the log           --  why  -------------->

Only entries under a certificate of a quorum are taken in. So a faulty trustee can be slow, and cannot lie. One that
says nothing new for a while, or does not answer, is left for the next one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import TypeVar

from mpc.commons.access import State
from mpc.commons.attachments import Attachments
from mpc.commons.encoding import DIGEST, U32, U64, Blob, Many, Record, coded, decode, encode
from mpc.commons.entries import MOST_BODY_BYTES, Entry
from mpc.commons.following import Follower
from mpc.commons.merkle import leaf_hash
from mpc.errors import MpcError, ProtocolError
from parties.commons.asking import Line
from parties.frame.errors import PartyError

MOST_WAIT_MS = 10_000
MOST_ATTACHMENTS = 1 << 12  # in one answer
MOST_ATTACHMENT = 1 << 26
MOST_DIGESTS_BYTES = 32 * MOST_ATTACHMENTS + 4
MOST_SUBMISSION_BYTES = MOST_BODY_BYTES + MOST_ATTACHMENT + 512
ENOUGH_BYTES = 1 << 26  # of attachments, after which no further one goes into an answer
_WAIT_MS = 1_000
_PATIENCE_S = 3.0  # with a trustee that says nothing new
_ASK_AGAIN_S = 1.0  # why an entry is not in the log yet
_HAND_IN_AGAIN_S = 5.0  # because a sequencer that starts again has forgotten what was waiting

Found = TypeVar("Found")


@dataclass(frozen=True)
class Follow(Record):
    """Asks for entries from `size` on, and waits for some for up to `wait_ms`."""

    size: int = coded(U64)
    wait_ms: int = coded(U32)


@dataclass(frozen=True)
class Digests(Record):
    """Asks for attachments by their SHA-256."""

    digests: tuple[bytes, ...] = coded(Many(DIGEST, MOST_ATTACHMENTS))


@dataclass(frozen=True)
class Blobs(Record):
    """Attachments, of which some that were asked for may be missing."""

    blobs: tuple[bytes, ...] = coded(Many(Blob(MOST_ATTACHMENT), MOST_ATTACHMENTS))

    def __repr__(self) -> str:
        return f"Blobs({len(self.blobs)})"


@dataclass(frozen=True)
class Submission(Record):
    """An entry that shall be logged, with its attachment where it has one."""

    entry: bytes = coded(Blob(MOST_BODY_BYTES + 256))
    attachment: tuple[bytes, ...] = coded(Many(Blob(MOST_ATTACHMENT), 1))

    def __repr__(self) -> str:
        return f"Submission({len(self.entry)} bytes)"


class LogReader:
    """A party's ways to the trustees, by which it follows the log and writes to it.

    Args:
        log: is brought up to date.
        lines: to the trustees, the sequencer first.
        deadline_s: how long the log may stand still while this party waits for an entry.
    """

    def __init__(self, log: Follower, lines: Sequence[Line], deadline_s: float) -> None:
        self.log = log
        self.lines = tuple(lines)
        self._deadline_s = deadline_s
        self._current = self._turns = 0
        self._why = ""
        self._news = time.monotonic()

    @property
    def state(self) -> State:
        """What the certified entries say."""
        return self.log.state

    def until(self, find: Callable[[State], Found | None], what: str, within_s: float | None = None) -> Found:
        """Return what is found in the log as soon as it is there.

        Args:
            find: looks for it, and returns None as long as it is not there.
            what: it is, for the sentence of the error.
            within_s: how long it may take. Without it, the log may stand still for this reader's deadline.

        Raises:
            PartyError: it did not come in time.
        """
        began = last = time.monotonic()
        while True:
            found = find(self.state)
            if found is not None:
                return found
            now = time.monotonic()
            if within_s is not None and now - began > within_s:
                raise PartyError(f"expected {what} in the log within {within_s:g} s, found none")
            if within_s is None and now - last > self._deadline_s:
                last_reason = f" ({self._why})" if self._why else ""
                raise PartyError(
                    f"expected {what} in the log, which has stood still at {self.log.size} entries for "
                    f"{self._deadline_s:g} s{last_reason}"
                )
            if self.advance():
                last = time.monotonic()

    def advance(self, wait_ms: int = _WAIT_MS) -> bool:
        """Ask one trustee for more entries, wait for a moment, and return whether there were any."""
        size, line = self.log.size, self.lines[self._current]
        try:
            answer = line.ask("follow", encode(Follow(size, wait_ms)))
            try:
                update = answer.result(wait_ms / 1e3 + _PATIENCE_S)
            finally:
                answer.cancel()  # so that a trustee that is gone is not asked for it ever more often
            if update:
                self.log.take(update)
        except (MpcError, NotYet) as error:
            self._turn(str(error) or f"{line.peer.name} gave no answer")
            return False
        if self.log.size > size:
            self._news = time.monotonic()
            return True
        if time.monotonic() - self._news > _PATIENCE_S:
            self._turn()
        return False

    def catch_up(self, of: int = 1) -> None:
        """Take in what is certified now, so that nothing is handed in that has long been logged.

        Args:
            of: how many trustees must have nothing more to show. With t + 1 of them, one is honest.

        Raises:
            PartyError: fewer trustees have answered for as long as the log may stand still.
        """
        expires = time.monotonic() + self._deadline_s
        shown = set[str]()
        while True:
            turns, name = self._turns, self.lines[self._current].peer.name
            if not self.advance(wait_ms=0) and self._turns == turns:
                shown.add(name)
                if len(shown) >= of:
                    return
                self._turn()
            if time.monotonic() > expires:
                why = f" ({self._why})" if self._why else ""
                raise PartyError(
                    f"expected {of} trustees to show the log within {self._deadline_s:g} s, found {len(shown)}{why}"
                )

    def fetch(self, wants: Callable[[], Sequence[bytes]], attachments: Attachments) -> None:
        """Ask one trustee after the other for attachments, until nothing is wanted any more.

        Args:
            wants: returns the digests that are missing.

        Raises:
            PartyError: no trustee has given all of them in time.
        """
        began = time.monotonic()
        while missing := list(wants())[:MOST_ATTACHMENTS]:
            if time.monotonic() - began > self._deadline_s:
                raise PartyError(
                    f"expected {len(missing)} attachments of the trustees within {self._deadline_s:g} s, found none"
                )
            try:
                answer = self.lines[self._current].ask("attachments", encode(Digests(tuple(missing))))
                given = decode(Blobs, answer.result(_PATIENCE_S)).blobs
            except (MpcError, NotYet):
                given = ()
            wanted = {*missing}
            right = [one for one in given if hashlib.sha256(one).digest() in wanted]
            for one in right:
                attachments.put(one)
            if not right:
                self._turn()
                time.sleep(0.05)

    def write(self, entries: Sequence[tuple[bytes, bytes | None]], what: str) -> list[bytes]:
        """Hand entries to the sequencer, wait until they are certified, and return their leaf hashes.

        Args:
            entries: each with its attachment, or None.

        Raises:
            ProtocolError: the sequencer says why one cannot be logged.
            PartyError: the log stood still.
        """
        sequencer = self.lines[0]
        leaves = [leaf_hash(entry) for entry, _ in entries]
        missing = {
            statement: (leaf, Submission(entry, () if attachment is None else (attachment,)))
            for (entry, attachment), leaf in zip(entries, leaves, strict=True)
            if (statement := decode(Entry, entry).statement) not in self.state.statements
        }
        asked = handed = self._hand_in([given for _, given in missing.values()], what)

        def are_there(state: State) -> bool | None:
            nonlocal asked, handed
            for statement in [one for one in missing if one in state.statements]:
                del missing[statement]
            if missing and time.monotonic() - asked > _ASK_AGAIN_S:
                asked = time.monotonic()
                reason = self._answer_of(sequencer.ask("why", next(iter(missing.values()))[0]), what)
                if reason:
                    why = reason.decode("utf-8", "replace")
                    raise ProtocolError(f"it does not log {what}: {why}", peer=sequencer.peer.name)
                if asked - handed > _HAND_IN_AGAIN_S:
                    handed = self._hand_in([given for _, given in missing.values()], what)
            return None if missing else True

        self.until(are_there, what)
        return leaves

    def _hand_in(self, submissions: Sequence[Submission], what: str) -> float:
        """Hand entries to the sequencer, and return when that was."""
        handed = [self.lines[0].ask("submit", encode(one)) for one in submissions]
        for answer in handed:
            self._answer_of(answer, what)
        return time.monotonic()

    def _answer_of(self, answer: Future[bytes], what: str) -> bytes:
        try:
            return answer.result(self._deadline_s)
        except NotYet:
            raise PartyError(
                f"expected {self.lines[0].peer.name} to take {what}, found no answer within {self._deadline_s:g} s"
            ) from None

    def _turn(self, why: str = "") -> None:
        """Go on with the next trustee, and keep why the last one gave no answer, if it gave none."""
        self._why, self._turns = why or self._why, self._turns + 1
        self._current = (self._current + 1) % len(self.lines)
        self._news = time.monotonic()
