"""What a member of a federation keeps of its own: a trustee's log, and how much a provider has reported.

A trustee has signed what its log says. One that went on with an empty log, or with another key, would tell a second
story. So it goes on with its log and its part of the key as they belong together, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mpc.commons.committee import CommitteeKey, KeySetup, KeyShare
from mpc.commons.encoding import decode
from mpc.commons.founding import Founding
from mpc.commons.group import encodings
from mpc.commons.replica import Accepted, Certified
from mpc.errors import ProtocolError
from parties.commons.key_making import KEPT as KEY
from parties.commons.key_making import kept_key
from parties.commons.reporting import KEPT, WISH, KeptReports, withdrawn_by
from parties.commons.storage import FOUNDING, JOURNAL, LogError, LogFolder, open_log, read_founding, read_line
from parties.frame.charts import Measure
from parties.frame.errors import PartyError
from parties.frame.plan import Summary


def open_own_log(
    folder: Path, founding: Founding, place: int
) -> tuple[LogFolder, tuple[CommitteeKey, KeyShare] | None]:
    """Return a trustee's log, and the key with its share of it where it was made. Without the key the log may be new.

    Args:
        folder: with both.
        place: of the trustee.

    Raises:
        PartyError: there is a key and no log, or one of them is another log's or another trustee's.
    """
    kept = kept_key(folder)
    if kept is not None:
        if missing := [name for name in (FOUNDING, JOURNAL) if not (folder / "log" / name).exists()]:
            raise PartyError(
                f"expected the log beside {folder / KEY}, found no {folder / 'log' / missing[0]}: what this trustee "
                "has signed cannot be told anew"
            )
        key, share = kept
        if key.session != KeySetup.of(founding).session:
            raise PartyError(f"expected in {folder / KEY} the key of the log {founding.origin}, found another's")
        public = share.secret.times_generator().encode()
        if share.trustee != place or encodings(key.part(place)) != (public,):
            raise PartyError(f"expected in {folder / KEY} the part of trustee {place}, found another one")
    return open_log(folder / "log", founding), kept


def kept_view(files: Path) -> Summary:
    """Return what a member keeps, in a few lines. Raises `PartyError` where it cannot be read."""
    lines = list[tuple[str, str]]()
    for folder in _logs(files):
        entries, certificates = _counted(folder)
        lines.append(("log", f"{read_founding(folder).origin}, {entries} entries under {certificates} certificates"))
        lines.append(("to verify it", f"capc audit {folder}"))
    for folder in sorted({path.parent for name in (KEPT, WISH) for path in (files / "durable").glob(f"*/{name}")}):
        lines.append(("reported", f"{_reported(folder)}{_withdrawn(folder)}"))
    return Summary(tuple(lines) or (("log", f"none kept in {files / 'durable'}"),))


def kept_measures(files: Path) -> list[Measure]:
    """Return the length of a trustee's log in bytes, to watch."""
    about = "Bytes of the log's journal on this trustee's disk."
    return [Measure("log_bytes", about, _size(folder), grows=True) for folder in _logs(files)]


def _reported(folder: Path) -> str:
    path = folder / KEPT
    try:
        return f"{len(decode(KeptReports, path.read_bytes()).entries)} records"
    except FileNotFoundError:
        return "nothing that is kept here"
    except (OSError, ProtocolError) as error:
        raise PartyError(f"{path}: expected what was reported, found what cannot be read ({error})") from error


def _withdrawn(folder: Path) -> str:
    entries = withdrawn_by(folder)
    if entries is None:
        return ""
    if not entries:
        return ", and its policy is revoked as soon as the service runs"
    return f", and its policy is revoked by entry {' and '.join(map(str, entries))}"


def _logs(files: Path) -> Iterator[Path]:
    for path in sorted((files / "durable").glob(f"*/log/{FOUNDING}")):
        yield path.parent


def _size(folder: Path) -> int:
    try:
        return (folder / JOURNAL).stat().st_size
    except FileNotFoundError:
        return 0


def _counted(folder: Path) -> tuple[int, int]:
    """Return how many entries and certificates a log's whole lines hold. They are not verified."""
    try:
        data = (folder / JOURNAL).read_bytes()
    except FileNotFoundError:
        return 0, 0
    except OSError as error:
        raise LogError(f"cannot read {folder / JOURNAL}: {error.strerror}") from error
    whole = data.rpartition(b"\n")[0].split(b"\n") if b"\n" in data else []
    records = [read_line(number, line) for number, line in enumerate(whole, 1)]
    entries = sum(len(one.entries) for one in records if isinstance(one, Accepted))
    return entries, sum(isinstance(one, Certified) for one in records)
