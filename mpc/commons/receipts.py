"""Receipts: proofs that an entry is in the log, which anybody verifies offline (C2SP tlog-proof, v1).

A receipt is kept as a `.tlog-proof` file. The entry itself is not in it. Its leaf hash is that of RFC 6962.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mpc.commons.certificates import check_certificate
from mpc.commons.founding import Founding
from mpc.commons.merkle import check_inclusion, leaf_hash
from mpc.commons.notes import Note, from_base64
from mpc.errors import ProtocolError

HEADER = "c2sp.org/tlog-proof@v1"
MOST_HASHES = 64
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,19})")


@dataclass(frozen=True)
class Receipt:
    """An entry's index, its inclusion proof, and a certified checkpoint."""

    index: int
    proof: tuple[bytes, ...]
    checkpoint: Note

    @classmethod
    def read(cls, data: bytes) -> Receipt:
        """Return the receipt that these bytes are, without extra data. Nothing in it is checked.

        Raises:
            ProtocolError: they are none.
        """
        head, gap, note = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise ProtocolError(f"expected a receipt in ASCII, found byte {head[error.start]:#04x}") from None
        if not gap or lines[0] != HEADER:
            raise ProtocolError(f"expected a receipt that begins with {HEADER}, found {lines[0][:32]!r}")
        found = _INDEX.fullmatch(lines[1]) if len(lines) > 1 else None
        if not found:
            raise ProtocolError(f"expected a line with the index in a receipt, found {''.join(lines[1:2])[:32]!r}")
        if len(lines) > 2 + MOST_HASHES:
            raise ProtocolError(f"expected at most {MOST_HASHES} hashes in a receipt, found {len(lines) - 2}")
        proof = tuple(from_base64(line, "a hash") for line in lines[2:])
        return cls(int(found[1]), proof, Note.read(note))

    def __bytes__(self) -> bytes:
        hashes: Sequence[str] = [base64.b64encode(one).decode() for one in self.proof]
        return "\n".join([HEADER, f"index {self.index}", *hashes, "", ""]).encode() + bytes(self.checkpoint)

    def check(self, founding: Founding, entry: bytes) -> None:
        """Check that this entry stands at the index of a certified log. Raises `ProtocolError`."""
        checkpoint = check_certificate(founding, self.checkpoint)
        check_inclusion(leaf_hash(entry), self.index, checkpoint.size, checkpoint.root, self.proof)
