"""The attachments of a log's entries on a trustee's disk."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path

from parties.frame.errors import PartyError
from parties.frame.journal import locked


class AttachmentFile:
    """Attachments in a journal, one a line in base 64. One process at a time writes to it."""

    def __init__(self, path: Path) -> None:
        """Read what is there. Raises `PartyError` where a line is no attachment."""
        self._path = path
        self._held: dict[bytes, bytes] = {}
        with locked(path) as journal:
            for number, line in enumerate(journal.lines, 1):
                try:
                    data = base64.b64decode(line, validate=True)
                except binascii.Error as error:
                    raise PartyError(f"{path}, line {number}: expected base 64, found {error}") from error
                self._held[hashlib.sha256(data).digest()] = data

    def put(self, data: bytes) -> None:
        """Keep an attachment. It is on the disk when this returns. Raises `JournalError`."""
        digest = hashlib.sha256(data).digest()
        if digest in self._held:
            return
        with locked(self._path) as journal:
            journal.append(base64.b64encode(data))
        self._held[digest] = data

    def get(self, digest: bytes) -> bytes | None:
        """Return the attachment with this SHA-256, or None."""
        return self._held.get(digest)

    def __repr__(self) -> str:
        return f"AttachmentFile({len(self._held)})"
