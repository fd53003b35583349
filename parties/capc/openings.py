"""The guardian's notes of the batches whose labels were possible, with its share of each for a repetition of step 3.

The notes are a journal that is never rewritten. So a batch that was opened once is never opened a second time with
other noise, whatever crashes. The shares are files of their own, which are wiped when the querying party has its
labels. Both lie in the guardian's private folder that outlives a run.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from mpc.capc.batches import State
from mpc.ring import Words
from parties.frame.errors import PartyError
from parties.frame.journal import FoldedJournal, JournalError, OpenFolded
from parties.frame.private_files import make_private_folder, remove_unfinished, write_private

_SHARE = "share-"

_Counts = Counter[tuple[str, str]]
"""How often each batch was opened, by account and by the batch's name in hex."""

MOST_REPEATS = 3
"""How often step 3 of one batch is repeated. A party that lost its labels more often pays for another batch."""


class OpeningsError(PartyError):
    """The notes cannot be read or written, so that no label may be possible."""


class Opened(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the journal, which is one opening of a batch, the first or a repeated one."""

    account: str
    batch: str
    session: str
    time: float


@dataclass(frozen=True)
class Kept:
    """What is kept of a batch for a repetition of step 3.

    Attributes:
        share: PG's share of the noisy counts, ``(n, classes)`` in Z_2^width.
        voters: how many parties voted on it, from which the width and half of the votes follow. None is all of them,
            in files from before a session could do without some.
    """

    share: Words
    voters: int | None

    def __repr__(self) -> str:
        return f"Kept(share {self.share.shape}, voters={self.voters})"


@dataclass
class PartyOpenings:
    """The notes of one guardian.

    Attributes:
        folder: private, and outlives the run.
        session: the run.
    """

    folder: Path
    session: str

    def __post_init__(self) -> None:
        self._notes = FoldedJournal(self.folder / "opened.jsonl", Counter, _take)

    def state(self, account: str, batch: bytes) -> State:
        """Return what may happen to a batch. Raises `OpeningsError`."""
        with self._journal() as journal:
            opened = _count(journal.state, account, batch)
        if not opened:
            return "open"
        return "repeat" if self._share(batch).exists() and opened <= MOST_REPEATS else "closed"

    def open(self, account: str, batch: bytes, noisy_share: Words | None, voters: int) -> None:
        """Note durably that labels of this batch are possible from now on.

        Args:
            noisy_share: PG's share of the noisy counts, ``(n, classes)`` in Z_2^width, which is kept for a repetition.
                None where the batch must not be repeated.
            voters: how many parties voted on it. It is kept with the share.

        Raises:
            OpeningsError: labels were possible before, or the disk does not take the note.
        """
        with self._journal() as journal:
            if _count(journal.state, account, batch):
                raise OpeningsError("expected a batch without labels yet, found one that another session has opened")
            if noisy_share is not None:
                self._keep(batch, noisy_share, voters)
            self._note(journal, account, batch)

    def open_again(self, account: str, batch: bytes) -> Kept:
        """Note durably that step 3 is repeated, and return what was kept for it. Raises `OpeningsError`."""
        with self._journal() as journal:
            opened = _count(journal.state, account, batch)
            if not 0 < opened <= MOST_REPEATS:
                raise OpeningsError(f"expected 1 to {MOST_REPEATS} earlier openings of a batch, found {opened}")
            kept = self._read(batch)
            self._note(journal, account, batch)
            return kept

    def forget_others(self, account: str, batch: bytes) -> None:
        """Wipe the shares of all other batches of this account."""
        with self._journal() as journal:
            for path in self.folder.glob(f"{_SHARE}*.npz"):  # few, while the journal of all openings grows for ever
                name = path.stem.removeprefix(_SHARE)
                if name != batch.hex() and (account, name) in journal.state:
                    path.unlink(missing_ok=True)

    @contextmanager
    def _journal(self) -> Iterator[OpenFolded[_Counts]]:
        try:
            make_private_folder(self.folder)
            with self._notes.locked() as journal:
                remove_unfinished(self.folder)  # shares are written under this lock alone
                yield journal
        except (JournalError, OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise OpeningsError(f"expected the guardian's notes in {self.folder}, found: {error}") from error

    def _note(self, journal: OpenFolded[_Counts], account: str, batch: bytes) -> None:
        journal.append(msgspec.json.encode(Opened(account, batch.hex(), self.session, time.time())))

    def _share(self, batch: bytes) -> Path:
        return self.folder / f"{_SHARE}{batch.hex()}.npz"

    def _keep(self, batch: bytes, share: Words, voters: int) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, share=share, voters=np.int64(voters))
        write_private(self._share(batch), buffer.getvalue())

    def _read(self, batch: bytes) -> Kept:
        try:
            with np.load(self._share(batch), allow_pickle=False) as file:
                return Kept(file["share"].astype(np.uint64), int(file["voters"]) if "voters" in file else None)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise OpeningsError(f"expected the share of a batch, found none ({type(error).__name__})") from error


def _take(counts: _Counts, _: int, line: bytes) -> None:
    one = msgspec.json.decode(line, type=Opened)
    counts[one.account, one.batch] += 1


def _count(counts: _Counts, account: str, batch: bytes) -> int:
    return counts[account, batch.hex()]
