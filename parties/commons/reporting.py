"""What a provider reports: it is on the provider's disk before anybody sees it.

A provider that starts again hands in the same entries again, and the log takes each once. So no record is reported
twice, also where the provider was killed while it reported.
"""

from __future__ import annotations

import hashlib
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
"""The file, empty, by which a provider's owner says that it revokes its policy."""

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
