"""The batch that a querying party has asked for and has no labels of, in a file that outlives its process.

It is written before the guardian is asked to charge, again with the party's shares of the counts before labels are
possible, and removed when the labels are kept. So a party that comes back asks for the same batch by the same name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from mpc.capc.batches import NO_BATCH, draw_name
from mpc.ring import Words
from parties.frame.errors import PartyError
from parties.frame.private_files import make_private_folder, remove_unfinished, write_private


class PendingError(PartyError):
    """The file of an unfinished batch cannot be read or written."""


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds.

    Attributes:
        batch: the name.
        queries: how many were asked for.
        digest: SHA-256 of the queries in hex.
        share: little-endian uint64 of the party's shares of the counts, row by row, or nothing before step 3.
        classes: columns of the shares.
        voters: the names of those who voted, beside the shares. Without names it is all parties, in a file from before
            a session could do without some.
    """

    batch: bytes
    queries: int
    digest: str
    share: bytes = b""
    classes: int = 0
    voters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """A batch to ask for.

    `share` ``(n, classes)`` is kept from an earlier try that came as far as step 3, with those who voted then.
    """

    name: bytes
    queries: int
    share: Words | None = None
    voters: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Batch(queries={self.queries}, asked before: {self.share is not None})"


class PendingBatch:
    """The file, in a folder of its own. Without `durable` nothing is written, and every batch is a new one."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._path = path = folder / "batch.json"
        self._durable = durable
        self._content: _Content | None = None
        if durable:
            remove_unfinished(make_private_folder(folder))
        if durable and path.exists():
            try:
                self._content = msgspec.json.decode(path.read_bytes(), type=_Content)
            except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
                raise PendingError(f"expected an unfinished batch in {path}, found {error}") from error

    @property
    def name(self) -> bytes:
        """The name of the unfinished batch, or nothing."""
        return self._content.batch if self._content else NO_BATCH

    def settle(self, kept: Collection[str]) -> None:
        """Forget the batch if it is among these names in hex, whose labels are kept.

        A party may have been killed after it had kept the labels and before it forgot the batch. The next queries could
        be equal to those of the batch, and would get its labels again.
        """
        if self.name.hex() in kept:
            self.finish()

    def next(self, left: Words, most: int) -> Batch:
        """Return the batch to ask for, which is the unfinished one if these queries begin with it.

        Args:
            left: the queries that are left, ``(n, *input_shape)`` in the ring.
            most: how many a batch may have.
        """
        content = self._content
        if content is not None and content.digest == _digest(left[: content.queries]):
            share = np.frombuffer(content.share, "<u8").astype(np.uint64)
            kept = share.reshape(-1, content.classes) if content.classes else None
            return Batch(content.batch, content.queries, kept, content.voters)
        queries = min(most, len(left))
        self._write(_Content(draw_name(), queries, _digest(left[:queries])))
        return Batch(self.name, queries)

    def grant(self, left: Words, queries: int) -> None:
        """Note that only so many of the batch's queries are answered."""
        if self._content is not None and queries != self._content.queries:
            digest = _digest(left[:queries])
            self._write(msgspec.structs.replace(self._content, queries=queries, digest=digest))

    def keep(self, share: Words, voters: tuple[str, ...]) -> None:
        """Keep the party's shares of the counts of these parties' votes, before labels are possible."""
        if self._content is not None:
            flat, width = np.ascontiguousarray(share, "<u8").tobytes(), share.shape[1]
            self._write(msgspec.structs.replace(self._content, share=flat, classes=width, voters=voters))

    def finish(self) -> None:
        """Forget the batch, whose labels are kept, or which cannot be asked for again."""
        self._content = None
        if self._durable:
            self._path.unlink(missing_ok=True)

    def _write(self, content: _Content) -> None:
        self._content = content
        if self._durable:
            try:
                write_private(self._path, msgspec.json.encode(content))
            except OSError as error:
                raise PendingError(f"cannot write {self._path}: {error.strerror}") from error


def _digest(queries: Words) -> str:
    digest = hashlib.sha256(repr(queries.shape).encode())
    digest.update(np.ascontiguousarray(queries, "<u8").tobytes())
    return digest.hexdigest()
