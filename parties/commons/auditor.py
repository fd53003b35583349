"""The auditor copies the log when all requests are settled, and verifies the copy without any network.

It learns the log and nothing else. What it finds is the timeline of the run.

Run: ``python -m parties.commons.auditor --settings PATH``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mpc.commons.access import State
from mpc.commons.entries import Grant
from mpc.commons.following import Follower
from mpc.commons.replica import Accepted, Certified, Copy
from parties.commons.audit import audit
from parties.commons.settings import AUDITOR, AuditorSettings
from parties.commons.storage import LogFolder
from parties.commons.ways import ways
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party


def auditor(party: Party[AuditorSettings]) -> None:
    """Play the auditor."""
    settings, progress = party.settings, party.progress
    log = Follower(settings.founding)
    with ways(party, AUDITOR) as way:
        reader = way.reader(log)
        with progress.step("7", "wait until all requests are settled", awaits=list(settings.consumers)):
            reader.until(lambda state: settled(state) >= settings.requests or None, "all answers and results")
    with progress.step("7", "copy the log, and audit the copy"):
        result = audited(log, settings.copy_to, settings.names)
    size, certified = result["size"], result["certified"]
    progress.note(f"all {size} entries of the log hold, and a quorum has certified {certified} of them")
    write_private(party.folder / "result.json", json.dumps(result).encode())


def audited(log: Follower, copy_to: Path, names: Mapping[bytes, str]) -> dict[str, Any]:
    """Write a copy of the log as it was followed, verify the copy without any network, and return what it says.

    Args:
        names: see :func:`parties.commons.history.history`.

    Raises:
        LogError: something does not hold.
    """
    folder = LogFolder.create(copy_to, log.state.founding)
    for _ in folder.load():
        pass
    for record in records_of(log.copy):
        folder.append(record)
    found = audit(copy_to, origin=log.state.founding.origin, names=names)
    return {"role": AUDITOR, "folder": str(copy_to), **asdict(found)}


def settled(state: State) -> int:
    """Return how many requests were refused, or granted and their result delivered."""
    refused = sum(one.answer is not None and not isinstance(one.answer, Grant) for one in state.requests.values())
    return refused + len(state.deliveries)


def records_of(copy: Copy) -> list[Accepted | Certified]:
    """Return the records of a trustee that has taken the certified entries as they came here."""
    records, first = list[Accepted | Certified](), 0
    for size, certificate in copy.certificates.items():
        note = bytes(certificate)
        records += [Accepted(first, tuple(copy.entries[first:size]), note), Certified(note)]
        first = size
    return records


if __name__ == "__main__":
    sys.exit(run_party(AuditorSettings, auditor))
