"""The data owner trains a model that it cannot read, on records that stay in its folder.

Run: ``python -m parties.encrypted.model_run.data_owner --settings PATH``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

from parties.encrypted.answers import Answer, record_answer
from parties.encrypted.model_run.settings import SHOWN, RecordsOwnerSettings
from parties.encrypted.private_model import shown_model, train_on_records
from parties.encrypted.records import LabelledTable
from parties.encrypted.settings import OWNER, TRAINER
from parties.encrypted.wire import receive_parts, send_parts
from parties.frame.connections import Connections
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party

RECORDS = "records.npz"
LARGEST_SHOWN = 16 << 20  # bytes of what a project owner says about the preparation of features


def _digest(parts: Iterable[bytes]) -> str:
    """Return a digest of parts, in hex."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(hashlib.sha256(part).digest())
    return hashed.hexdigest()


def data_owner(party: Party[RecordsOwnerSettings]) -> None:
    """Play the data owner."""
    settings, progress, job = party.settings, party.progress, party.settings.job
    table = LabelledTable.read(party.folder / RECORDS)
    with Connections(settings, party.folder, OWNER, settings.agreed(), progress.note) as connections:
        with progress.step("1", "connect", awaits=[settings.trainer.name]):
            owner = connections.dial(settings.trainer, TRAINER)
        connections.begin()
        with progress.step("2", "receive keys", channel=owner):
            keys = receive_parts(owner, "keys", job.key_sizes())
        with progress.step("3", "receive the encrypted model", channel=owner):
            content = bytes(owner.recv(SHOWN, limit=LARGEST_SHOWN))
            shown = shown_model(Path(f"what {settings.trainer.name} shows"), job, content)
            weights = receive_parts(owner, "model", job.model_sizes())
        with progress.step("4", "train"):
            began = perf_counter()
            done = train_on_records(job, keys, weights, shown, table, settings.rate, settings.iterations)
            seconds = perf_counter() - began
            asked = Answer(_digest(keys.values()), _digest(weights.values()), job.targets)
            answered = record_answer(settings.answers, table, asked, shown.preparation.outputs, settings.moments_known)
        with progress.step("5", "send the trained model", channel=owner):
            send_parts(owner, "trained", done.results, job.result_sizes())
    result = {
        "party": settings.name,
        "seen": settings.agreed(),
        "training_seconds": seconds,
        "iterations": settings.iterations,
        "rate": done.rate,
        "answered": {"trainings": answered.trainings, "results": answered.targets},
        "weights": shown.preparation.outputs,
        "cut": done.cut,
        "numbers": len(table.features) * (shown.preparation.outputs - 1),
        "flood": {"bits": done.flood.bits, "deviation": done.flood.deviation, "rounding": done.flood.rounding},
    }
    write_private(party.folder / "result.json", json.dumps(result).encode())


if __name__ == "__main__":
    sys.exit(run_party(RecordsOwnerSettings, data_owner))
