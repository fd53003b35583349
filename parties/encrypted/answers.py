"""What a records' owner has answered from one set of records to owners of encrypted models.

A result is ``A w + c`` for weights w that the model's owner chooses. From as many results as there are weights it has
all of A, and with it the second moments of the records. So does a group of such owners. The records' owner therefore
keeps a file beside its signing key with every training of these records, whoever asked. It is on the disk before a
result leaves. Records are the same if all their features are, in any order. Labels do not count, as A has none.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from parties.encrypted.container import FileError
from parties.encrypted.records import LabelledTable
from parties.frame.private_files import make_private_folder, write_private

ANSWERED = ".answered"


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training: the key pair, the digest of the encrypted model's file, and how many results it gave."""

    key_id: str
    source: str
    targets: int


class _Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Answered:
    """How many trainings of the same records there have been, this one with them, and how many results they gave."""

    trainings: int
    targets: int


def digest_of(table: LabelledTable) -> str:
    """Return a digest of a table's features in hex, which no order of the records changes."""
    rows = np.ascontiguousarray(table.features)
    digests = sorted(hashlib.sha256(row.tobytes()).digest() for row in rows)
    return hashlib.sha256(b"capc records\0" + b"".join(digests)).hexdigest()


def record_answer(folder: Path, table: LabelledTable, answer: Answer, weights: int, known: bool) -> Answered:
    """Write down, durably, that these records are about to answer.

    Args:
        weights: how many weights one target of the model has.
        known: the owner takes the second moments of its records as known to those who ask.

    Raises:
        FileError: all answers together would tell the second moments and they are not ``known``, or the record cannot
            be read.
    """
    path = folder / f"{digest_of(table)[:32]}{ANSWERED}"
    make_private_folder(folder)
    with _locked(folder):
        before = _read(path)
        targets = sum(one.targets for one in before) + answer.targets
        if targets >= weights and not known:
            raise FileError(
                f"dataset: expected fewer than {weights} results from these records in all, found {targets} with "
                f"{answer.targets} of this model: so many tell the second moments of the records. Add --moments_known "
                "if those who ask may know them"
            )
        write_private(path, msgspec.json.encode(_Answers((*before, answer))))
    return Answered(len(before) + 1, targets)


def _read(path: Path) -> tuple[Answer, ...]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Answers).answers
    except FileNotFoundError:
        return ()
    except msgspec.MsgspecError:
        raise FileError(f"{path}: expected the record of what was answered, found another file") from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
        os.fsync(opened)
    finally:
        os.close(opened)
