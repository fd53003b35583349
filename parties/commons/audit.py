"""Verify a copied log without a network, and show who asked for what, and what was granted, refused and revoked.

    python -m parties.commons.audit LOG

`LOG` is a copy of any trustee's log folder. The audit checks the signature of every entry, whether it may stand at its
place, every root, and every signature of a checkpoint. So a changed, missing or moved entry is found. Whether the last
entries are missing is seen only against a checkpoint or receipt from elsewhere (`--checkpoint`). Whether it is the
right log is seen only against its origin (`--origin`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from mpc.commons.certificates import check_certificate
from mpc.commons.founding import Founding
from mpc.commons.merkle import check_inclusion
from mpc.commons.notes import Note
from mpc.commons.receipts import HEADER, Receipt
from mpc.commons.replica import Copy
from mpc.errors import ProtocolError
from parties.commons.history import Event, history
from parties.commons.storage import LogError, read_founding, read_line, read_lines
from parties.frame.errors import PartyError
from parties.frame.private_files import write_private


@dataclass(frozen=True)
class Audit:
    """A log in which everything holds.

    Attributes:
        origin: the log's identity. Whoever knows it from elsewhere knows that this is the right log.
        size, certified: how many entries there are, and how many of them a quorum of trustees has signed.
        forks: how often the log has signed another story, with evidence in this copy.
        events: what has happened.
        checkpoint: the largest certified checkpoint, as a signed note. Empty where there is none.
    """

    origin: str
    size: int
    certified: int
    forks: int
    events: tuple[Event, ...]
    checkpoint: str

    @property
    def sentences(self) -> list[str]:
        """What was found, one line an event and the verdict behind them."""
        lines = [f"{event.index:7}  {event.author}: {event.text}" + ("" if event.certified else " (not certified yet)")
                 for event in self.events]  # fmt: skip
        lines.append(f"Log {self.origin}")
        lines.append(f"All {self.size} entries hold. A quorum of trustees has certified {self.certified} of them.")
        if self.forks:
            lines.append(
                f"The sequencer is faulty. It has signed {self.forks} other stories, with evidence in this copy."
            )
        return lines


def audit(
    folder: Path,
    *,
    checkpoints: Sequence[bytes] = (),
    origin: str = "",
    reports: bool = False,
    names: Mapping[bytes, str] = MappingProxyType({}),
) -> Audit:
    """Verify all that a copied log says.

    Args:
        checkpoints: certified checkpoints or receipts that were kept, as bytes. The log must hold what they certify.
        origin: of the right log, or nothing.
        reports: whether each report is an event.
        names: see :func:`parties.commons.history.history`.

    Raises:
        LogError: something does not hold. The sentence names the line of the journal and the entry.
    """
    founding = read_founding(folder)
    if origin and founding.origin != origin:
        raise LogError(f"expected the log {origin}, found {founding.origin}")
    copy = Copy(founding)
    for number, line in enumerate(read_lines(folder), 1):
        record = read_line(number, line)
        try:
            copy.take(record)
        except ProtocolError as error:
            raise LogError(f"line {number}: {error}") from error
    for data in checkpoints:
        try:
            _check_kept(founding, copy, data)
        except ProtocolError as error:
            raise LogError(f"a kept checkpoint: {error}") from error
    return Audit(
        founding.origin,
        copy.size,
        copy.certified_size,
        len(copy.evidence),
        tuple(history(copy, reports=reports, names=names)),
        bytes(copy.certified[1]).decode() if copy.certified else "",
    )


def _check_kept(founding: Founding, copy: Copy, data: bytes) -> None:
    receipt = Receipt.read(data) if data.startswith(HEADER.encode()) else None
    kept = check_certificate(founding, receipt.checkpoint if receipt else Note.read(data))
    if kept.size > copy.size:
        raise ProtocolError(f"expected at least {kept.size} entries in the log, found {copy.size}")
    if kept.root != copy.tree.root(kept.size):
        raise ProtocolError(f"expected the {kept.size} entries that were certified, found others")
    if receipt is not None:
        if receipt.index >= kept.size:
            raise ProtocolError(f"expected an index below {kept.size} in a receipt, found {receipt.index}")
        check_inclusion(copy.tree.leaf(receipt.index), receipt.index, kept.size, kept.root, receipt.proof)


def audit_as_told(folder: Path, *, checkpoints: Sequence[Path], origin: str, keep: Path | None, reports: bool) -> Audit:
    """Verify a copied log as a person has asked for by flags, and keep its checkpoint.

    Raises:
        LogError: something does not hold, or there is no checkpoint to keep.
        OSError: a file cannot be read or written.
    """
    kept = [path.read_bytes() for path in checkpoints]
    found = audit(folder, checkpoints=kept, origin=origin, reports=reports)
    if keep is not None:
        if not found.checkpoint:
            raise LogError("expected a certified checkpoint to keep, found none")
        write_private(keep, found.checkpoint.encode())
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 0 where everything holds, 1 where something does not, 2 for a wrong command."""
    parser = argparse.ArgumentParser(prog="python -m parties.commons.audit", description=__doc__.split("\n")[0])
    parser.add_argument("log", type=Path, help="a copy of a trustee's log folder")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], metavar="FILE",
                        help="a checkpoint or receipt from elsewhere, which the log must hold")  # fmt: skip
    parser.add_argument("--origin", default="", help="the log's identity, if you know it from elsewhere")
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="write the last certified checkpoint for the next time"
    )
    parser.add_argument("--reports", action="store_true", help="show each report, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        found = audit_as_told(
            options.log,
            checkpoints=options.checkpoint,
            origin=options.origin,
            keep=options.keep,
            reports=options.reports,
        )
    except (PartyError, OSError) as error:
        print(f"The log does not hold. {error}" if isinstance(error, LogError) else str(error), file=sys.stderr)
        return 1
    print(json.dumps(asdict(found), indent=1) if options.json else "\n".join(found.sentences))
    return 0


if __name__ == "__main__":
    sys.exit(main())
