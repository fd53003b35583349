"""How the sequencer gathers votes: one question at a time for each trustee, until a quorum has signed.

A vote counts if it has its trustee's own signature. So who answers anything else takes no honest trustee's place, and
those that have not answered yet are waited for. A trustee that lacks entries or attachments gets them and is asked
again, as long as it goes on. Who signs after the quorum gets the certificate then. A trustee that keeps silent has one
question waiting for it, however many proposals there are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass

from mpc.commons.certificates import signers
from mpc.commons.encoding import DIGEST, U64, Blob, Many, Record, coded, decode, encode
from mpc.commons.founding import Founding
from mpc.commons.notes import Checkpoint, Note
from mpc.commons.roles.trustee import TrusteeRole
from mpc.errors import MpcError, ProtocolError
from parties.commons.asking import Line
from parties.commons.reading import ENOUGH_BYTES, MOST_ATTACHMENTS, Blobs

_GRACE_S = 0.2  # for trustees beyond the quorum
_LATE_TRIES = 8  # of a trustee that has not signed what a quorum has certified


@dataclass(frozen=True)
class Vote(Record):
    """A trustee's answer to a proposal.

    Attributes:
        signed: the checkpoint with its cosignature. Without it the trustee lacks something.
        size: from where on it lacks entries, if it lacks no attachments.
        missing: the digests of attachments that it lacks.
    """

    signed: tuple[bytes, ...] = coded(Many(Blob(1 << 15), 1))
    size: int = coded(U64)
    missing: tuple[bytes, ...] = coded(Many(DIGEST, 1 << 20))


class Voting:
    """The votes on the sequencer's last proposal.

    Args:
        changed: is held while the role is used, and notified when more is certified.
    """

    def __init__(self, founding: Founding, role: TrusteeRole, changed: threading.Condition) -> None:
        self._founding, self._role, self._changed = founding, role, changed
        self._places = {one.name: place for place, one in enumerate(founding.trustees)}
        self._pending: dict[str, Future[bytes]] = {}  # by trustee, its answer to come to whichever proposal
        self._begin(b"", "")

    def _begin(self, proposal: bytes, text: str) -> None:
        self._proposal, self._text, self._certificate = proposal, text, b""
        self._votes: dict[str, bytes] = {}
        self._failed: dict[str, str] = {}  # by trustee, why it gave no vote
        self._tries: dict[str, int] = {}
        self._at: dict[str, int] = {}  # how many entries a trustee that was behind has
        self._given: set[tuple[str, bytes]] = set()  # attachments, by trustee

    def extend(self, others: Mapping[str, Line], within_s: float, note: Callable[[str], None]) -> bool:
        """Propose what waits, and return whether more is certified.

        Args:
            others: the lines to all other trustees, by name.
            within_s: how long to wait for a quorum.
            note: gets a sentence for each trustee that gave no vote where a quorum is missing.
        """
        role, quorum = self._role, self._founding.quorum
        with self._changed:
            proposal = role.propose()
            copy = role.trustee.copy
            if proposal is not None and copy.notes[copy.size].text != self._text:
                self._begin(proposal, copy.notes[copy.size].text)
        self._ask_who_has_not_voted(others)
        if proposal is None:
            self._take_answers(others, 0.0)
            return False
        expires = time.monotonic() + within_s
        satisfied = False
        while self._pending and (left := expires - time.monotonic()) > 0:
            self._take_answers(others, left)
            if not satisfied and 1 + len(self._votes) >= quorum:
                satisfied, expires = True, min(expires, time.monotonic() + _GRACE_S)
        with self._changed:
            certificate = role.collect(self._votes.values())
            if certificate is not None:
                self._changed.notify_all()
        if certificate is None:
            waited = dict.fromkeys(self._pending, f"no answer within {within_s:g} s")
            for name, why in {**self._failed, **waited}.items():
                note(f"{name} gave no vote: {why}")
            return False
        self._certificate = certificate
        for name in self._votes:
            others[name].ask("certify", certificate)
        return True

    def _ask_who_has_not_voted(self, others: Mapping[str, Line]) -> None:
        """Ask each trustee that has not voted and owes no answer, anew."""
        if not self._text:
            return
        for name, line in others.items():
            if name in self._votes or name in self._pending:
                continue
            self._tries[name] = self._tries.get(name, 0) + 1
            if self._certificate and self._tries[name] > _LATE_TRIES:
                continue
            self._failed.pop(name, None)
            self._at.pop(name, None)
            self._given = {one for one in self._given if one[0] != name}
            self._pending[name] = line.ask("vote", self._proposal)

    def _take_answers(self, others: Mapping[str, Line], within_s: float) -> None:
        """Take the answers that are there, or the first ones that come."""
        wait(self._pending.values(), timeout=within_s, return_when=FIRST_COMPLETED)
        for name, answer in [(name, one) for name, one in self._pending.items() if one.done()]:
            del self._pending[name]
            try:
                self._take(name, decode(Vote, answer.result()), others[name])
            except (MpcError, CancelledError) as error:
                self._failed[name] = str(error)

    def _take(self, name: str, vote: Vote, line: Line) -> None:
        """Count a vote, or give a trustee what it lacks and ask it again.

        Raises:
            ProtocolError: the vote is not signed by its trustee, or the trustee does not go on.
        """
        if vote.signed:
            signed = Note.read(vote.signed[0])
            if self._places[name] not in signers(self._founding, signed)[1]:
                raise ProtocolError("expected its own signature under its vote, found none")
            if signed.text == self._text:
                self._votes[name] = vote.signed[0]
                if self._certificate:
                    line.ask("certify", self._certificate)
                return
            self._lead_on(name, Checkpoint.read(signed.text).size, line)
        elif vote.missing:
            with self._changed:
                new = [one for one in vote.missing if (name, one) not in self._given]
                blobs = fitting(self._role, new[:MOST_ATTACHMENTS])
            if not blobs:
                raise ProtocolError("expected it to lack attachments that it was not given, found none")
            self._given.update((name, digest) for digest in blobs)
            line.ask("keep", encode(Blobs(tuple(blobs.values()))))
            self._ask_from(name, line)
        else:
            self._lead_on(name, vote.size, line)

    def _lead_on(self, name: str, size: int, line: Line) -> None:
        """Give a trustee of fewer entries the next ones, and the certificate of those that it has."""
        before = self._at.get(name, -1)
        with self._changed:
            copy = self._role.trustee.copy
            if not before < size < copy.size:
                raise ProtocolError(f"expected it to have from {before + 1} to {copy.size - 1} entries, found {size}")
            certificate = copy.certificates.get(size)
        self._at[name] = size
        if certificate is not None:
            line.ask("certify", bytes(certificate))
        self._ask_from(name, line)

    def _ask_from(self, name: str, line: Line) -> None:
        with self._changed:
            at = self._at.get(name)
            proposal = self._proposal if at is None else self._role.proposal_from(at)
        self._pending[name] = line.ask("vote", proposal)


def fitting(role: TrusteeRole, digests: Collection[bytes]) -> dict[bytes, bytes]:
    """Return those attachments that a trustee has, by their digest, as many as one answer may hold."""
    found, total = dict[bytes, bytes](), 0
    for digest in digests:
        data = role.attachment(digest)
        if data is None:
            continue
        total += len(data)
        if found and total > ENOUGH_BYTES:
            break
        found[digest] = data
    return found
