"""One copy of a log: its entries, their tree, what they allow, and what was signed about them.

Whatever is taken into a copy has been checked, whether it comes from a sequencer or from a disk. So a trustee that
starts again, and an auditor, go the same way as a trustee that votes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpc.commons.access import State
from mpc.commons.admission import admit
from mpc.commons.certificates import check_certificate, check_proposal
from mpc.commons.encoding import U64, Blob, Many, Record, coded, decode
from mpc.commons.entries import MOST_BODY_BYTES, Entry, Kind, Revoke
from mpc.commons.founding import Founding
from mpc.commons.merkle import Tree, leaf_hash
from mpc.commons.notes import Checkpoint, Note
from mpc.errors import MpcError, ProtocolError

MOST_ENTRIES = 1 << 16
MOST_EARLY = 1 << 16  # revocations whose target a copy does not have, of which anybody can make any number
_NOTE = Blob(1 << 15)


@dataclass(frozen=True)
class Accepted(Record):
    """Entries that were signed: a proposal, or what a trustee writes down before it answers.

    Attributes:
        first: index of the first entry.
        note: the checkpoint behind these entries, signed by the log. In a trustee's copy it is cosigned, too.
    """

    first: int = coded(U64)
    entries: tuple[bytes, ...] = coded(Many(Blob(MOST_BODY_BYTES + 256), MOST_ENTRIES))
    note: bytes = coded(_NOTE)


@dataclass(frozen=True)
class Certified(Record):
    """A checkpoint with the signatures of a quorum."""

    note: bytes = coded(_NOTE)


@dataclass(frozen=True)
class Evidence(Record):
    """Two checkpoints that the log has signed, of which one at most can be a part of the other.

    Attributes:
        note: has a size up to that of `against`, and another root than the log of `against` has at that size.
        against: the signed checkpoint of this copy.
    """

    note: bytes = coded(_NOTE)
    against: bytes = coded(_NOTE)


@dataclass(frozen=True)
class Handed(Record):
    """A revocation that its author has handed to this trustee itself, whether or not it ever comes into the log."""

    entry: bytes = coded(Blob(MOST_BODY_BYTES + 256))


Kept = Accepted | Certified | Evidence | Handed
"""What a trustee writes down."""


class Copy:
    """A copy of the log that checks all it takes.

    Attributes:
        entries: as bytes. tree: their hashes. state: what they allow.
        notes: the signed checkpoints of this copy, by size.
        certified: the largest certified checkpoint, with its note, or None.
        certificates: the notes of all certified checkpoints that came here, by size, in order.
        evidence: all that was found.
        handed: by revoked target, how many entries this copy had when its owner's revocation was handed in.
        handed_early: the same by target and author, where the target was not here yet. The author may be anybody.
    """

    def __init__(self, founding: Founding) -> None:
        self.founding = founding
        self.entries: list[bytes] = []
        self.tree = Tree()
        self.state = State(founding, self.tree.root)
        self.notes: dict[int, Note] = {}
        self.certified: tuple[Checkpoint, Note] | None = None
        self.certificates: dict[int, Note] = {}
        self.evidence: list[Evidence] = []
        self.handed: dict[bytes, int] = {}
        self.handed_early: dict[tuple[bytes, bytes], int] = {}

    @property
    def size(self) -> int:
        """How many entries this copy has."""
        return len(self.entries)

    @property
    def certified_size(self) -> int:
        """How many of them are certified."""
        return self.certified[0].size if self.certified else 0

    def take(self, record: Kept) -> None:
        """Take one record, after a check of all it says. Raises `ProtocolError`, and then nothing has changed."""
        if isinstance(record, Accepted):
            self._accept(record)
        elif isinstance(record, Certified):
            self._certify(Note.read(record.note))
        elif isinstance(record, Handed):
            self._hand(record.entry)
        else:
            if not self.conflicts(Note.read(record.note)) or not self._is_own(Note.read(record.against), record):
                raise ProtocolError("expected evidence of two checkpoints that differ, found two that agree")
            self.evidence.append(record)

    def handed_at(self, target: bytes, owners: Iterable[bytes], otherwise: int) -> int:
        """Return how many entries this copy had when one of the target's owners handed in its revocation first."""
        found = [self.handed_early.get((target, owner), otherwise) for owner in owners]
        return min(self.handed.get(target, otherwise), *found)

    def extend(self, entries: Sequence[bytes]) -> None:
        """Add entries that nobody has signed yet. They stay until :meth:`keep` or :meth:`take_back`.

        Raises:
            ProtocolError: an entry may not stand there, and the sentence says at which index. Then all are taken back.
        """
        for data in entries:
            leaf = leaf_hash(data)
            try:
                admit(self.state, len(self.entries), data, leaf)
            except MpcError as error:
                index = len(self.entries)
                self.take_back()
                raise ProtocolError(f"entry {index}: {error}") from error
            self.tree.append(leaf)
            self.entries.append(data)

    def keep(self) -> None:
        """Keep what :meth:`extend` has added."""
        self.state.keep()

    def take_back(self) -> None:
        """Take back what :meth:`extend` has added behind the last signed checkpoint."""
        self.state.take_back()
        size = max(self.notes, default=0)
        self.tree.truncate(size)
        del self.entries[size:]

    def conflicts(self, note: Note) -> bool:
        """Return whether a checkpoint that the log has signed is no part of this copy.

        One that is larger than this copy cannot be told. Raises `ProtocolError` where the log has not signed it.
        """
        checkpoint = check_proposal(self.founding, note)
        return checkpoint.size <= self.size and checkpoint.root != self.tree.root(checkpoint.size)

    def _accept(self, record: Accepted) -> None:
        note = Note.read(record.note)
        checkpoint = check_proposal(self.founding, note)
        if record.first != self.size:
            raise ProtocolError(f"expected entries from {self.size} on, found some from {record.first} on")
        if checkpoint.size != record.first + len(record.entries) or not record.entries:
            raise ProtocolError(
                f"expected a checkpoint of more than {self.size} entries, found one of {checkpoint.size} with "
                f"{len(record.entries)} new entries"
            )
        self.extend(record.entries)
        if checkpoint.root != self.tree.root():
            self.take_back()
            raise ProtocolError(f"expected the root of {checkpoint.size} entries in the checkpoint, found another")
        self.notes[checkpoint.size] = note
        self.keep()

    def _certify(self, note: Note) -> None:
        checkpoint = check_certificate(self.founding, note)
        if checkpoint.size > self.size or checkpoint.size <= self.certified_size:
            raise ProtocolError(
                f"expected a certificate of more than {self.certified_size} and at most {self.size} entries, found one "
                f"of {checkpoint.size}"
            )
        if checkpoint.root != self.tree.root(checkpoint.size):
            raise ProtocolError(f"expected a certificate of this copy's {checkpoint.size} entries, found one of others")
        self.certified = checkpoint, note
        self.certificates[checkpoint.size] = note

    def _hand(self, data: bytes) -> None:
        entry = decode(Entry, data)
        revocation = entry.contents()
        if not isinstance(revocation, Revoke):
            raise ProtocolError(f"expected a revocation, found an entry of kind {Kind(entry.kind).name.lower()}")
        if revocation.target in self.state.policies or revocation.target in self.state.report_leaves:
            try:
                admit(self.state, self.size, data, leaf_hash(data))
            finally:
                self.state.take_back()
            self.handed.setdefault(revocation.target, self.size)
            return
        if not entry.is_signed(self.founding.origin):
            raise ProtocolError(f"expected a revocation that {entry.author.hex()[:16]} has signed, found another")
        if len(self.handed_early) >= MOST_EARLY:
            raise ProtocolError(f"expected at most {MOST_EARLY} revocations of what is not here yet, found one more")
        self.handed_early.setdefault((revocation.target, entry.author), self.size)

    def _is_own(self, note: Note, evidence: Evidence) -> bool:
        own = check_proposal(self.founding, note)
        return Checkpoint.read(Note.read(evidence.note).text).size <= own.size <= self.size and not self.conflicts(note)
