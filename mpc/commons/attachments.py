"""What belongs to an entry and is kept outside of the log: encrypted reports, batch keys, aggregators' noise and words.

The entry has the digest. A trustee votes for no entry whose attachment it lacks. So whatever a certified entry has a
digest of is held by at least t + 1 honest trustees, and nobody can stop a batch by keeping a part of it back.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from mpc.commons.encoding import Record, decode
from mpc.commons.entries import Report
from mpc.commons.founding import Founding
from mpc.commons.judging import SaidWords
from mpc.commons.release import BatchKey
from mpc.commons.reports import SealedBoxes, SealedReport
from mpc.commons.steps import HandOn, Noise, Words
from mpc.errors import ProtocolError


class AbsentAttachmentError(ProtocolError):
    """An attachment is not here yet. All other reasons why a batch does not open last for ever."""


class Attachments(Protocol):
    """Where a party keeps attachments."""

    def put(self, data: bytes) -> None:
        """Keep an attachment. A trustee's is on its disk when this returns."""
        ...

    def get(self, digest: bytes) -> bytes | None:
        """Return the attachment with this SHA-256, or None."""
        ...


class MemoryAttachments:
    """Attachments in memory, for parties that can ask the trustees for them again."""

    def __init__(self) -> None:
        self._held: dict[bytes, bytes] = {}

    def put(self, data: bytes) -> None:
        """Keep an attachment."""
        self._held[hashlib.sha256(data).digest()] = data

    def get(self, digest: bytes) -> bytes | None:
        """Return the attachment with this SHA-256, or None."""
        return self._held.get(digest)

    def __repr__(self) -> str:
        return f"MemoryAttachments({len(self._held)})"


def digest_of(contents: Record) -> bytes | None:
    """Return the digest of what belongs to an entry, or None where nothing does."""
    return contents.digest if isinstance(contents, Report | HandOn | Noise | Words) else None


def check_attachment(founding: Founding, contents: Record, data: bytes) -> None:
    """Raise `ProtocolError` where an attachment is not the one of this entry, or is not written as it must be.

    This depends on nothing in the log before the entry. So a trustee that has missed a grant checks the same as one
    that has it, and both vote. What an attachment must be in its grant is looked at when the batch is opened.
    """
    if hashlib.sha256(data).digest() != digest_of(contents):
        raise ProtocolError("expected the attachment with the digest in the entry, found another")
    if isinstance(contents, Report):
        found, task = len(decode(SealedReport, data).boxes), founding.task(contents.task)
        if task is None or found != len(task.aggregators):
            raise ProtocolError(f"expected a box for each aggregator of task {contents.task}, found {found}")
    elif isinstance(contents, HandOn):
        decode(BatchKey, data)
    else:
        decode(SealedBoxes if isinstance(contents, Noise) else SaidWords, data)


def read_attachment(attachments: Attachments, digest: bytes) -> bytes:
    """Return an attachment. Raises `AbsentAttachmentError` where it is not here."""
    data = attachments.get(digest)
    if data is None:
        raise AbsentAttachmentError(f"expected the attachment {digest.hex()[:16]}, found none here")
    return data
