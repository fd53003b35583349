"""A party's own copy of the log, which it brings up to date from any trustee and believes no trustee alone.

    reader                                                        any trustee
    how many entries it has            --  follow  -------------->
    checks entries, roots, signatures  <--  entries, certificate --  as soon as there are more

Only entries under a certificate of a quorum are taken in, so a faulty trustee can be slow and cannot lie. One that says
nothing new for a while, or does not answer, is left for the next one. What a party writes goes to the sequencer.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import TypeVar

from mpc.commons.access import State
from mpc.commons.certificates import check_certificate
from mpc.commons.encoding import U32, U64, Many, Nested, Record, coded, decode, encode
from mpc.commons.entries import Entry
from mpc.commons.founding import Founding
from mpc.commons.merkle import leaf_hash
from mpc.commons.notes import Note
from mpc.commons.replica import MOST_ENTRIES, Accepted, Certified, Copy
from mpc.errors import MpcError, ProtocolError
from parties.commons.asking import Line
from parties.frame.errors import PartyError

MOST_WAIT_MS = 10_000
_WAIT_MS = 1_000
_PATIENCE_S = 3.0  # with a trustee that says nothing new
_ASK_AGAIN_S = 1.0  # why an entry is not in the log yet

Found = TypeVar("Found")


@dataclass(frozen=True)
class Follow(Record):
    """Asks for entries from `size` on, and waits for some for up to `wait_ms`."""

    size: int = coded(U64)
    wait_ms: int = coded(U32)


@dataclass(frozen=True)
class Followed(Record):
    """The next entries under a certificate, which is their checkpoint, or nothing new."""

    accepted: tuple[Accepted, ...] = coded(Many(Nested(Accepted), 1))


def followed(copy: Copy, size: int) -> Followed:
    """Return what a trustee tells a reader that has so many entries. Only what is certified is told.

    Raises:
        ProtocolError: the reader has more than this trustee, or lacks more entries than a proposal may have.
    """
    found = copy.certified_size
    if not found - MOST_ENTRIES <= size <= found:
        raise ProtocolError(f"expected a reader of {max(0, found - MOST_ENTRIES)} to {found} entries, found {size}")
    if size == found or copy.certified is None:
        return Followed(())
    return Followed((Accepted(size, tuple(copy.entries[size:found]), bytes(copy.certified[1])),))


class LogReader:
    """A copy of the log and the ways to the trustees.

    Args:
        lines: to the trustees, the sequencer first. None stands for the reader itself.
        deadline_s: how long the log may stand still while this party waits for an entry.
    """

    def __init__(self, founding: Founding, lines: Sequence[Line], deadline_s: float) -> None:
        self.founding = founding
        self.copy = Copy(founding)
        self.lines = tuple(lines)
        self._deadline_s = deadline_s
        self._turns = itertools.cycle(range(len(lines)))
        self._current = next(self._turns)
        self._news = time.monotonic()

    @property
    def state(self) -> State:
        """What the certified entries say."""
        return self.copy.state

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
                raise PartyError(
                    f"expected {what} in the log, which has stood still at {self.copy.size} entries for "
                    f"{self._deadline_s:g} s"
                )
            if self.advance():
                last = time.monotonic()

    def advance(self, wait_ms: int = _WAIT_MS) -> bool:
        """Ask one trustee for more entries, wait for a moment, and return whether there were any."""
        line = self.lines[self._current]
        try:
            answer = line.ask("follow", encode(Follow(self.copy.size, wait_ms)))
            told = decode(Followed, answer.result(wait_ms / 1e3 + _PATIENCE_S))
            for record in told.accepted:
                check_certificate(self.founding, Note.read(record.note))  # before a single entry is taken in
                self.copy.take(record)
                self.copy.take(Certified(record.note))
        except (MpcError, NotYet):
            self._turn()
            return False
        if told.accepted:
            self._news = time.monotonic()
            return True
        if time.monotonic() - self._news > _PATIENCE_S:
            self._turn()
        return False

    def write(self, entries: Sequence[bytes], what: str) -> list[bytes]:
        """Hand entries to the sequencer, wait until they are certified, and return their leaf hashes.

        Raises:
            ProtocolError: the sequencer says why one cannot be logged.
            PartyError: the log stood still.
        """
        sequencer = self.lines[0]
        leaves = [leaf_hash(entry) for entry in entries]
        missing = {decode(Entry, entry).statement: (entry, leaf) for entry, leaf in zip(entries, leaves, strict=True)}
        handed = [(entry, sequencer.ask("submit", entry)) for entry in entries]
        for _, answer in handed:
            self._answer_of(answer, what)
        asked = time.monotonic()

        def are_there(state: State) -> bool | None:
            nonlocal asked
            for statement in [one for one in missing if one in state.statements]:
                del missing[statement]
            if missing and time.monotonic() - asked > _ASK_AGAIN_S:
                asked = time.monotonic()
                _, leaf = next(iter(missing.values()))
                reason = self._answer_of(sequencer.ask("why", leaf), what)
                if reason:
                    raise ProtocolError(f"{what}: {reason.decode('utf-8', 'replace')}", peer=sequencer.peer.name)
            return None if missing else True

        self.until(are_there, what)
        return leaves

    def _answer_of(self, answer: Future[bytes], what: str) -> bytes:
        try:
            return answer.result(self._deadline_s)
        except NotYet:
            raise PartyError(
                f"expected {self.lines[0].peer.name} to take {what}, found no answer within {self._deadline_s:g} s"
            ) from None

    def _turn(self) -> None:
        self._current = next(self._turns)
        self._news = time.monotonic()
