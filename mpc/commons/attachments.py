"""What belongs to an entry and is kept outside of the log: encrypted reports, batch keys, aggregators' noise and words.

The entry has the digest. A trustee votes for no entry whose attachment it lacks. So whatever a certified entry has a
digest of is held by at least t + 1 honest trustees, and nobody can stop a batch by keeping a part of it back.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from mpc.commons.access import State, task_of
from mpc.commons.encoding import Record, decode
from mpc.commons.entries import HandOn, Noise, Report, Words
from mpc.commons.founding import Task
from mpc.commons.judging import SaidWords
from mpc.commons.proceedings import task_of_grant
from mpc.commons.release import BatchKey
from mpc.commons.reports import Boxed, SealedBoxes, SealedReport
from mpc.errors import ProtocolError


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


def check_attachment(state: State, contents: Record, data: bytes) -> None:
    """Raise `ProtocolError` where an attachment is not the one of this entry, or is not written as it must be."""
    if hashlib.sha256(data).digest() != digest_of(contents):
        raise ProtocolError("expected the attachment with the digest in the entry, found another")
    if isinstance(contents, Report):
        _check_boxes(task_of(state, contents.task), decode(SealedReport, data))
    elif isinstance(contents, Noise):
        _check_boxes(task_of_grant(state, contents.grant), decode(SealedBoxes, data))
    else:
        decode(BatchKey if isinstance(contents, HandOn) else SaidWords, data)


def _check_boxes(task: Task, found: Boxed) -> None:
    if len(found.boxes) != len(task.aggregators):
        raise ProtocolError(f"expected a box for each aggregator of task {task.name}, found {len(found.boxes)}")


def read_attachment(attachments: Attachments, digest: bytes) -> bytes:
    """Return an attachment. Raises `ProtocolError` where it is not here."""
    data = attachments.get(digest)
    if data is None:
        raise ProtocolError(f"expected the attachment {digest.hex()[:16]}, found none here")
    return data
