"""How the trustees agree on the next entries of the log.

    sequencer                          each trustee                                 anybody
    checks what it was handed
    writes down, signs       Accepted ──►
                                       checks that this goes on from what it
                                       signed last, and every entry
                                       writes down what it signs
                             ◄── note  with its cosignature
    q cosignatures          Certified ──►                                   ──►     checks q cosignatures

The first trustee is the sequencer. A trustee never signs two roots for one size, nor a checkpoint that is no part of
the next one it signs. It keeps to that over crashes, because it answers only when what it has signed is on the disk.

q = ceil((n + t + 1) / 2), so two certificates share an honest signer, and one is a part of the other. Hence a faulty
sequencer can stop the log, but not make two of it. With n >= 3 t + 1 the honest trustees suffice for a certificate.
Nobody takes a faulty sequencer's place.

A sequencer may leave entries out. So an owner hands a revocation to every trustee, too. An honest trustee that had it
before it signed a grant releases nothing for that grant, whatever the log says.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from mpc.commons.access import GrantState, decide
from mpc.commons.admission import admit
from mpc.commons.certificates import check_proposal, signers
from mpc.commons.encoding import decode, encode
from mpc.commons.entries import Entry, Kind, Revoke, sign_entry
from mpc.commons.founding import Founding
from mpc.commons.identities import TrusteeKeys
from mpc.commons.merkle import leaf_hash
from mpc.commons.notes import Checkpoint, Note, SignatureLine, cosign, sign_as_log
from mpc.commons.replica import MOST_ENTRIES, Accepted, Certified, Copy, Evidence, Handed, Kept
from mpc.errors import MpcError, OrderError, ParameterError, ProtocolError

MOST_PENDING = 65_536
MOST_PENDING_BYTES = 1 << 28
MOST_PROPOSAL_BYTES = 1 << 26
MOST_MESSAGE_BYTES = 1 << 27  # of a proposal with its answers, or of several for a trustee that is behind
MOST_REFUSED = 1_000  # sentences that a sequencer keeps
MOST_EVIDENCE = 16  # of one log that a trustee keeps: one is enough, and a faulty sequencer can make any number


class Store(Protocol):
    """Where a trustee writes down what it has signed."""

    def load(self) -> Iterable[Kept]:
        """Return all records in the order in which they were appended."""
        ...

    def append(self, record: Kept) -> None:
        """Add a record, and return when it is on the disk."""
        ...


class BehindError(ProtocolError):
    """A proposal begins behind the last entry of this trustee's copy. `size` is from where on it needs entries."""

    def __init__(self, size: int, found: int) -> None:
        super().__init__(f"expected entries from {size} on, found some from {found} on")
        self.size = size


class Trustee:
    """One trustee: it checks, writes down, and signs.

    Attributes:
        copy: its copy of the log.
        place: its place among the trustees, from 0 on.
    """

    def __init__(
        self, founding: Founding, keys: TrusteeKeys, store: Store, clock: Callable[[], float] = time.time
    ) -> None:
        place = founding.trustee_of(keys.identity.key)
        if place is None or founding.trustees[place].cosigner != keys.cosigner.key:
            raise ParameterError("expected the keys of one of the log's trustees, found others")
        self.place = place
        self.copy = Copy(founding)
        self._founding = founding
        self._keys = keys
        self._store = store
        self._clock = clock
        self._broken = False
        for record in store.load():
            self.copy.take(record)

    def hand_in(self, revocation: bytes) -> None:
        """Take a revocation from its author, and write it down. It must be handed to the sequencer besides.

        A trustee that lags may not have the report or policy yet. It keeps the revocation all the same, and looks at
        whose it is when a release is asked for.

        Raises:
            ProtocolError: its author has not signed it, or it could not be the next entry though its target is here,
                or too many wait for their targets.
        """
        self._check_working()
        entry = decode(Entry, revocation)
        contents = entry.contents()
        known = isinstance(contents, Revoke) and (
            contents.target in self.copy.handed or (contents.target, entry.author) in self.copy.handed_early
        )
        if not known and entry.statement not in self.copy.state.statements:
            self._write(Handed(revocation))

    def check_release(self, grant: bytes) -> GrantState:
        """Return a grant, by its leaf hash, for which this trustee may release, and give its part of a coin.

        Raises:
            ProtocolError: it is not certified here, or was revoked at this trustee before this trustee signed it.
        """
        state = self.copy.state
        granted = state.grants.get(grant)
        if granted is None or granted.index >= self.copy.certified_size:
            raise ProtocolError("expected a grant under a certified checkpoint, found none")
        for report in granted.reports:
            one = state.reports[report]
            owner = state.policies[one.policy].policy.owner
            for target, owners in ((one.leaf, (one.author, owner)), (one.policy, (owner,))):
                if self.copy.handed_at(target, owners, otherwise=granted.index + 1) <= granted.index:
                    raise ProtocolError(
                        f"expected a grant before any revocation, found one revoked for report {report}"
                    )
        return granted

    def vote(self, proposal: bytes) -> bytes:
        """Return the proposal's checkpoint with this trustee's cosignature, which is on the disk before.

        A proposal that was signed before gets the same answer again.

        Raises:
            BehindError: entries are missing before those of the proposal.
            ProtocolError: the proposal is not what this trustee may sign. What proves the sequencer faulty is kept.
        """
        self._check_working()
        if len(proposal) > MOST_MESSAGE_BYTES:
            raise ProtocolError(f"expected a proposal of at most {MOST_MESSAGE_BYTES} bytes, found {len(proposal)}")
        proposed = decode(Accepted, proposal)
        note = Note.read(proposed.note)
        checkpoint = check_proposal(self._founding, note)
        if self.see(proposed.note):
            raise ProtocolError(f"expected the log's one checkpoint of {checkpoint.size} entries, found a second one")
        if checkpoint.size <= self.copy.size:
            if checkpoint.size not in self.copy.notes:
                raise ProtocolError(f"expected more than {self.copy.size} entries, found {checkpoint.size}")
            return bytes(self.copy.notes[checkpoint.size])
        overlap = self.copy.size - proposed.first
        if overlap < 0:
            raise BehindError(self.copy.size, proposed.first)
        if list(proposed.entries[:overlap]) != self.copy.entries[proposed.first :]:
            raise ProtocolError(f"expected the {overlap} entries that were signed before, found others")
        entries = proposed.entries[overlap:]
        line = cosign(self._keys.cosigner, self._founding.cosigners[self.place].name, note.text, int(self._clock()))
        by_log = [one for one in note.signatures if one.name == self._founding.origin]
        signed = bytes(Note(note.text, (*by_log, line)))
        self._write(Accepted(self.copy.size, entries, signed))
        return signed

    def certify(self, note: bytes) -> None:
        """Take a certificate. Acting on an entry needs one that covers it.

        Raises:
            BehindError: it covers more than this copy has.
            ProtocolError: it is none, or one of another log.
        """
        self._check_working()
        size = check_proposal(self._founding, Note.read(note)).size
        if self.see(note):
            raise ProtocolError(f"expected a certificate of this copy's {size} entries, found one of others")
        if size > self.copy.size:
            raise BehindError(self.copy.size, size)
        if size > self.copy.certified_size:
            self._write(Certified(note))

    def see(self, note: bytes) -> Evidence | None:
        """Look at any checkpoint that somebody shows, and keep it where it proves that the log has told two stories.

        Raises:
            ProtocolError: the log has not signed it.
        """
        self._check_working()
        if not self.copy.conflicts(Note.read(note)):
            return None
        against = self.copy.notes[
            min(size for size in self.copy.notes if size >= Checkpoint.read(Note.read(note).text).size)
        ]
        evidence = Evidence(note, bytes(against))
        if evidence not in self.copy.evidence and len(self.copy.evidence) < MOST_EVIDENCE:
            self._write(evidence)
        return evidence

    def _write(self, record: Kept) -> None:
        """Check a record, take it, and write it down. Where the disk fails, nobody knows what it holds: stop."""
        self.copy.take(record)
        try:
            self._store.append(record)
        except BaseException:
            self._broken = True
            raise

    def _check_working(self) -> None:
        if self._broken:
            raise OrderError("expected a trustee whose disk works, found one that must be started again")


class Sequencer:
    """The first trustee's other task: it proposes.

    Attributes:
        trustee: the same party as a trustee.
        refused: the leaf hashes of the last entries that were handed in and could not be logged, each with the
            sentence that says why.
    """

    def __init__(self, trustee: Trustee, founding: Founding, keys: TrusteeKeys) -> None:
        if trustee.place != 0 or founding.log_key != keys.log.key:
            raise ParameterError("expected the first trustee with the log's key, found another")
        self.trustee = trustee
        self.refused: deque[tuple[bytes, str]] = deque(maxlen=MOST_REFUSED)
        self._founding = founding
        self._keys = keys
        self._queue: dict[bytes, tuple[bytes, bytes | None]] = {}
        self._waiting_bytes = 0

    def submit(self, entry: bytes, attachment: bytes | None = None) -> None:
        """Take an entry that shall be logged, with what belongs to it. Both wait in memory.

        Its signature is checked here. Without that a stranger could hand in somebody's statement with another
        signature first, which takes the place of the right one and is then refused.

        Raises:
            ProtocolError: it is no entry that its author has signed for this log, or too many wait.
        """
        found = decode(Entry, entry)
        if not found.is_signed(self._founding.origin):
            author = found.author.hex()[:16]
            raise ProtocolError(f"expected an entry that {author} has signed for this log, found another")
        statement = found.statement
        if statement in self.trustee.copy.state.statements or statement in self._queue:
            return
        if len(self._queue) >= MOST_PENDING:
            raise ProtocolError(f"expected at most {MOST_PENDING} entries that wait, found one more")
        waiting = len(entry) + len(attachment or b"")
        if self._waiting_bytes + waiting > MOST_PENDING_BYTES:
            raise ProtocolError(f"expected at most {MOST_PENDING_BYTES} bytes that wait, found {waiting} more")
        self._queue[statement] = entry, attachment
        self._waiting_bytes += waiting

    def propose(self, keep: Callable[[bytes], None] = lambda attachment: None) -> bytes | None:
        """Return the next proposal, or the last one as long as it is not certified. None where there is nothing to say.

        It is on the disk before anybody sees it, so that a sequencer which crashes proposes the same again.

        Args:
            keep: writes an attachment to the disk. It gets those of entries that are proposed, before the proposal is
                written, and no others.
        """
        copy = self.trustee.copy
        if copy.size > copy.certified_size:
            return self.proposal_from(copy.certified_size)
        entries, attachments = self._next_entries()
        if not entries:
            return None
        copy.extend(entries)
        checkpoint = Checkpoint(self._founding.origin, copy.size, copy.tree.root())
        copy.take_back()
        line = sign_as_log(self._keys.log, self._founding.origin, checkpoint.text)
        for attachment in attachments:
            keep(attachment)
        self.trustee.vote(encode(Accepted(copy.size, tuple(entries), bytes(Note(checkpoint.text, (line,))))))
        return self.proposal_from(copy.certified_size)

    def proposal_from(self, first: int) -> bytes:
        """Return the last proposal, with all entries from `first` on. For trustees that are behind."""
        copy = self.trustee.copy
        if not 0 <= first < copy.size:
            raise ParameterError(f"expected an index below {copy.size}, found {first}")
        last, total = first, 0
        for size in sorted(size for size in copy.notes if size > first):
            total += sum(map(len, copy.entries[last:size]))
            if last > first and (size - first > MOST_ENTRIES or total > MOST_PROPOSAL_BYTES):
                break  # in several steps: the trustee asks again from where it is then
            last = size
        return encode(Accepted(first, tuple(copy.entries[first:last]), bytes(copy.notes[last])))

    def collect(self, votes: Iterable[bytes]) -> bytes | None:
        """Return the certificate that the trustees' answers make, or None as long as they are too few.

        Answers that are not valid, or to another checkpoint, are left out.
        """
        copy = self.trustee.copy
        own = copy.notes[copy.size]
        lines: dict[str, SignatureLine] = {one.name: one for one in own.signatures}
        for vote in votes:
            try:
                note = Note.read(vote)
                signers(self._founding, note)
            except ProtocolError:
                continue
            if note.text == own.text:
                lines.update({one.name: one for one in note.signatures if one.name not in lines})
        if len(lines) - 1 < self._founding.quorum:
            return None
        certificate = bytes(Note(own.text, tuple(lines.values())))
        self.trustee.certify(certificate)
        return certificate

    def _next_entries(self) -> tuple[list[bytes], list[bytes]]:
        """Return what can be logged of all that waits, each request with its answer, and forget the rest.

        The second list has what belongs to these entries.
        """
        copy, entries, attachments = self.trustee.copy, list[bytes](), list[bytes]()
        waiting, size = list[tuple[bytes, bytes | None]](), 0
        for entry, attachment in self._queue.values():
            size += len(entry)
            if len(waiting) == MOST_ENTRIES // 2 or (waiting and size > MOST_PROPOSAL_BYTES):
                break
            waiting.append((entry, attachment))
        self._queue = dict(list(self._queue.items())[len(waiting) :])
        self._waiting_bytes = sum(len(one) + len(its or b"") for one, its in self._queue.values())
        state = copy.state
        try:
            for entry, attachment in waiting:
                mark, leaf, index = state.mark, leaf_hash(entry), copy.size + len(entries)
                try:
                    found = admit(state, index, entry, leaf)
                except MpcError as error:
                    state.take_back(mark)
                    self.refused.append((leaf, str(error)))
                    continue
                entries.append(entry)
                if attachment is not None:
                    attachments.append(attachment)
                if found.kind == Kind.REQUEST:
                    answer = sign_entry(self._keys.identity, self._founding.origin, decide(state, index + 1, leaf))
                    admit(state, index + 1, answer, leaf_hash(answer))
                    entries.append(answer)
        finally:
            state.take_back()
        return entries, attachments
