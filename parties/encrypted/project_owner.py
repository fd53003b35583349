"""The project owner trains on records that it cannot read, and gives back a model that it cannot read.

With a shared release it may get the model with noise.

Run: ``python -m parties.encrypted.project_owner --settings PATH``.
"""

from __future__ import annotations

import io
import json
import sys
from functools import partial
from time import perf_counter

import numpy as np

from mpc.channels.frames import Channel
from mpc.encrypted.shared_release import SharedRelease, trainer_mask, trainer_open, trainer_send_masked
from mpc.encrypted.training import PUBLIC, trainer_train
from mpc.garbled.session import Garbler
from parties.encrypted.jobs import job_of_settings, release_of_settings
from parties.encrypted.settings import OWNER, TRAINER, TrainerSettings
from parties.encrypted.wire import receive_parts, refresh, send_parts
from parties.frame.connections import Connections
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party

OPENED = "weights.npz"
"""What a shared release opens to the project owner: the noisy ``weights`` ``(targets, d')`` of prepared features."""


def project_owner(party: Party[TrainerSettings]) -> None:
    """Play the project owner."""
    settings, progress = party.settings, party.progress
    job, release = job_of_settings(settings), release_of_settings(settings)
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
        if release is None:
            with progress.step("5", "send the encrypted model", channel=owner):
                send_parts(owner, "weights", weights, job.weight_sizes())
        else:
            _open(party, owner, release, keys[PUBLIC], list(weights.values()))
    result = {"party": settings.name, "seen": settings.agreed(), "training_seconds": seconds}
    write_private(party.folder / "result.json", json.dumps(result).encode())


def _open(
    party: Party[TrainerSettings], owner: Channel, release: SharedRelease, public_key: bytes, weights: list[bytes]
) -> None:
    """Mask the encrypted model and open it together with the data owner."""
    with party.progress.step("5", "send the masked model", channel=owner):
        masked, shares = trainer_mask(release, public_key, weights)
        trainer_send_masked(owner, masked)
    with party.progress.step("6", "open the model by a garbled circuit", channel=owner):
        opened = trainer_open(release, Garbler.open(owner), shares)
    if opened is not None:
        content = io.BytesIO()
        np.savez(content, weights=np.stack(opened))
        write_private(party.folder / OPENED, content.getvalue())


if __name__ == "__main__":
    sys.exit(run_party(TrainerSettings, project_owner))
