"""What a provider reports: it is on the provider's disk before anybody sees it.

A provider that starts again hands in the same entries again, and the log takes each once. So no record is reported
twice, also where the provider was killed while it reported.

Its owner withdraws by a file. As long as that is there, the provider reports nothing and reads no records. Once the log
has the revocation, the file says in which entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpc.commons.encoding import DIGEST, Blob, Many, Record, coded, decode, encode
from mpc.commons.entries import MOST_BODY_BYTES
from mpc.errors import ProtocolError
from parties.commons.reading import MOST_ATTACHMENT
from parties.frame.errors import PartyError
from parties.frame.private_files import write_private

KEPT = "reports"
WISH = "withdraw"
"""The file by which a provider's owner says that it revokes its policy. It is empty until the log has that."""

_MOST_REPORTS = 1 << 20


@dataclass(frozen=True)
class KeptReports(Record):
    """What a provider reports. It prints how many reports there are.

    Attributes:
        policy: the entry of the policy that they are under.
        measurements: SHA-256 of the measurements that they hold.
        entries: of the reports, each with the encrypted report at the same place of `sealed`.
    """

    policy: bytes = coded(Blob(MOST_BODY_BYTES + 256))
    measurements: bytes = coded(DIGEST)
    entries: tuple[bytes, ...] = coded(Many(Blob(MOST_BODY_BYTES + 256), _MOST_REPORTS))
    sealed: tuple[bytes, ...] = coded(Many(Blob(MOST_ATTACHMENT), _MOST_REPORTS))

    def check(self) -> str:
        if len(self.entries) != len(self.sealed):
            return f"expected an encrypted report for each of {len(self.entries)} entries, found {len(self.sealed)}"
        return ""

    def __repr__(self) -> str:
        return f"KeptReports({len(self.entries)})"


def wish_to_withdraw(folder: Path) -> None:
    """Write down that a provider withdraws. What is known of that already stays."""
    if not (folder / WISH).exists():
        write_private(folder / WISH, b"")


def mark_withdrawn(folder: Path, entries: Sequence[int]) -> None:
    """Write down which entries revoke a provider's policies."""
    if withdrawn_by(folder) != tuple(entries):
        write_private(folder / WISH, " ".join(map(str, entries)).encode())


def withdrawn_by(folder: Path) -> tuple[int, ...] | None:
    """Return which entries revoke a provider's policies, none where the log has them not yet, or None without a wish.

    Raises:
        PartyError: the file cannot be read.
    """
    try:
        return tuple(map(int, (folder / WISH).read_text().split()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise PartyError(f"{folder / WISH}: expected entries of a log, found what cannot be read ({error})") from error


def keep_reports(folder: Path, reports: KeptReports) -> None:
    """Write what a provider reports to its disk."""
    write_private(folder / KEPT, encode(reports))


def kept_reports(folder: Path, policy: bytes, measurements: bytes) -> KeptReports | None:
    """Return what a provider has reported, or None.

    Args:
        policy: the entry that its policy would have now.
        measurements: as they are read now.

    Raises:
        PartyError: the file cannot be read, or it was made of other measurements or for another policy. What stands in
            the log cannot be changed, so that the new ones would not count, or count beside the old ones.
    """
    path = folder / KEPT
    if not path.exists():
        return None
    try:
        kept = decode(KeptReports, path.read_bytes())
    except (OSError, ProtocolError) as error:
        raise PartyError(f"{path}: expected what was reported, found what cannot be read ({error})") from error
    if kept.measurements != hashlib.sha256(measurements).digest():
        raise PartyError(
            f"expected the {len(kept.entries)} records that were reported before, found others: what stands in the log "
            "cannot be changed"
        )
    if kept.policy != policy:
        raise PartyError(
            "expected the uses and consumers of the policy under which the records were reported, found others: what "
            "stands in the log cannot be changed"
        )
    return kept
