"""The project owner trains on records that it cannot read, and gives back a model that it cannot read.

Run: ``python -m parties.encrypted.project_owner --settings PATH``.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from time import perf_counter

from mpc.encrypted.training import trainer_train
from parties.encrypted.jobs import job_of_settings
from parties.encrypted.settings import OWNER, TRAINER, TrainerSettings
from parties.encrypted.wire import receive_parts, refresh, send_parts
from parties.frame.connections import Connections
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party


def project_owner(party: Party[TrainerSettings]) -> None:
    """Play the project owner."""
    settings, progress = party.settings, party.progress
    job = job_of_settings(settings)
    with Connections(settings, party.folder, TRAINER, settings.agreed(), progress.note) as connections:
        listener = connections.listen(settings.listen)
        progress.listening(listener.port)
        with progress.step("1", "connect", awaits=[settings.owner]):
            owner = connections.accept(listener, {settings.owner: OWNER})
        connections.begin()
        with progress.step("2", "receive keys", channel=owner):
            keys = receive_parts(owner, "keys", job.key_sizes())
        with progress.step("3", "receive encrypted records", channel=owner):
            records = receive_parts(owner, "records", job.record_sizes())
        weights, total, began = {}, job.targets * job.choices.iterations, perf_counter()
        with progress.step("4", "train", channel=owner):
            for done, step in enumerate(trainer_train(job, keys, records, partial(refresh, owner, job)), 1):
                progress.advance(done, total, "iterations")
                if step.weights is not None:
                    weights[f"weights {step.target}"] = step.weights
        seconds = perf_counter() - began
        with progress.step("5", "send the encrypted model", channel=owner):
            send_parts(owner, "weights", weights, job.weight_sizes())
    result = {"party": settings.name, "seen": settings.agreed(), "training_seconds": seconds}
    write_private(party.folder / "result.json", json.dumps(result).encode())


if __name__ == "__main__":
    sys.exit(run_party(TrainerSettings, project_owner))
