"""Who has signed a checkpoint: the log alone, which makes it a proposal, or a quorum of trustees besides.

Other tools ignore signatures by keys that they do not know. Here every line of a note must be a known key's, valid, and
there once, so that no byte of a kept note can change unnoticed.
"""

from __future__ import annotations

from functools import lru_cache

from mpc.commons.founding import Founding
from mpc.commons.merkle import EMPTY_ROOT
from mpc.commons.notes import Checkpoint, Note
from mpc.errors import ProtocolError


@lru_cache(maxsize=1024)
def signers(founding: Founding, note: Note) -> tuple[bool, frozenset[int]]:
    """Return whether the log has signed, and the places of the trustees that have cosigned.

    A trustee meets the same note several times, so what was found is kept.

    Raises:
        ProtocolError: a line that is nobody's, is not valid, or is there twice.
    """
    by_name = {one.name: place for place, one in enumerate(founding.cosigners)}
    by_log, trustees = False, set[int]()
    for line in note.signatures:
        place = by_name.get(line.name)
        if place is None:
            known, seen, by_log = founding.log_verifier.has_signed(note.text, line), by_log, True
        else:
            known, seen = founding.cosigners[place].has_signed(note.text, line), place in trustees
            trustees.add(place)
        if not known or seen:
            which = "another line" if known else "no valid one"
            raise ProtocolError(
                f"expected one valid signature a signer under a checkpoint, found {which} of {line.name}"
            )
    return by_log, frozenset(trustees)


def check_proposal(founding: Founding, note: Note) -> Checkpoint:
    """Return the checkpoint that the log has signed, whoever else has. Raises `ProtocolError`."""
    by_log, _ = signers(founding, note)
    if not by_log:
        raise ProtocolError("expected the log's own signature under a checkpoint, found none")
    return _of(founding, note)


def check_certificate(founding: Founding, note: Note) -> Checkpoint:
    """Return a checkpoint that the log and a quorum of trustees have signed. Raises `ProtocolError`."""
    by_log, trustees = signers(founding, note)
    if not by_log or len(trustees) < founding.quorum:
        found = f"{len(trustees)}" if by_log else f"{len(trustees)} without the log's own"
        raise ProtocolError(f"expected cosignatures of {founding.quorum} trustees under a checkpoint, found {found}")
    return _of(founding, note)


def _of(founding: Founding, note: Note) -> Checkpoint:
    checkpoint = Checkpoint.read(note.text)
    if checkpoint.origin != founding.origin:
        raise ProtocolError(f"expected a checkpoint of {founding.origin}, found one of {checkpoint.origin[:160]!r}")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise ProtocolError("expected the root of no entries in a checkpoint of size 0, found another")
    return checkpoint
