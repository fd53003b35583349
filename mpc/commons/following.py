"""How providers, aggregators and consumers follow the log: they take what a quorum has certified, and nothing else.

any trustee                        a follower
             ◄── how many entries it has
Update ──►   checks every entry, the root and q cosignatures

A long log comes in several updates. Each ends at a certified checkpoint, so a follower never holds what nobody has
certified.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpc.commons.access import State
from mpc.commons.certificates import check_certificate
from mpc.commons.encoding import U64, Blob, Many, Record, coded, decode, encode
from mpc.commons.entries import MOST_BODY_BYTES
from mpc.commons.founding import Founding
from mpc.commons.notes import Note
from mpc.commons.replica import MOST_ENTRIES, Accepted, Certified, Copy

UPDATE_BYTES = 1 << 24  # of entries, after which an update ends at the last certified checkpoint before


@dataclass(frozen=True)
class Update(Record):
    """Entries from index `first` on up to those of a certified checkpoint, with its certificate."""

    first: int = coded(U64)
    entries: tuple[bytes, ...] = coded(Many(Blob(MOST_BODY_BYTES + 256), MOST_ENTRIES))
    certificate: bytes = coded(Blob(1 << 15))


def update_from(copy: Copy, first: int) -> bytes | None:
    """Return what a follower of `first` entries lacks next. None where it has all that is certified here.

    Up to :data:`UPDATE_BYTES` of entries are in it. It is longer where the next certificate covers more at once.
    """
    last, total = first, 0
    for size in copy.certificates:
        if size <= first:
            continue
        total += sum(map(len, copy.entries[last:size]))
        if last > first and (total > UPDATE_BYTES or size - first > MOST_ENTRIES):
            break
        last = size
    if last == first:
        return None
    return encode(Update(first, tuple(copy.entries[first:last]), bytes(copy.certificates[last])))


class Follower:
    """A copy of the log that holds certified entries alone.

    Attributes:
        copy: the entries and what they allow.
    """

    def __init__(self, founding: Founding) -> None:
        self.copy = Copy(founding)

    @property
    def size(self) -> int:
        """How many entries are here."""
        return self.copy.size

    @property
    def state(self) -> State:
        """What the entries say."""
        return self.copy.state

    def take(self, update: bytes) -> None:
        """Take more entries, from whichever trustee.

        Raises:
            ProtocolError: something does not hold. Then nothing has changed.
        """
        found = decode(Update, update)
        known = max(0, self.copy.size - found.first)
        if known >= len(found.entries):
            return
        check_certificate(self.copy.founding, Note.read(found.certificate))  # before any entry is kept
        self.copy.take(Accepted(found.first + known, found.entries[known:], found.certificate))
        self.copy.take(Certified(found.certificate))
