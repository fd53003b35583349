"""How providers, aggregators and consumers follow the log: they take what a quorum has certified, and nothing else.

any trustee                        a follower
             ◄── how many entries it has
Update ──►   checks every entry, the root and q cosignatures
"""

from __future__ import annotations

from dataclasses import dataclass

from mpc.commons.access import State
from mpc.commons.certificates import check_certificate
from mpc.commons.encoding import U64, Blob, Many, Record, coded, decode, encode
from mpc.commons.entries import MOST_BODY_BYTES
from mpc.commons.founding import Founding
from mpc.commons.notes import Note
from mpc.commons.replica import Accepted, Certified, Copy

MOST_UPDATE_ENTRIES = 1 << 20


@dataclass(frozen=True)
class Update(Record):
    """Entries from index `first` on up to the last certified one, with the certificate."""

    first: int = coded(U64)
    entries: tuple[bytes, ...] = coded(Many(Blob(MOST_BODY_BYTES + 256), MOST_UPDATE_ENTRIES))
    certificate: bytes = coded(Blob(1 << 15))


def update_from(copy: Copy, first: int) -> bytes | None:
    """Return what a follower of `first` entries lacks. None where it has all that is certified here."""
    if copy.certified is None or first >= copy.certified_size:
        return None
    return encode(Update(first, tuple(copy.entries[first : copy.certified_size]), bytes(copy.certified[1])))


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
