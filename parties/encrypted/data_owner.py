"""The data owner encrypts its records, lets another party train, and checks what comes back with the twin.

What it takes away are the twin's weights (`release: verified`), or those that both parties' circuit opens with noise
(`release: shared`).

Run: ``python -m parties.encrypted.data_owner --settings PATH``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np

from mpc.encrypted.ranges import read_of
from mpc.encrypted.release import Comparison
from mpc.encrypted.shared_release import holder_decrypt, holder_open, holder_receive_masked, holder_shares
from mpc.encrypted.training import (
    owner_decrypt,
    owner_encrypt,
    owner_foresee,
    owner_make_keys,
    owner_make_secret,
    owner_refresh,
)
from mpc.garbled.session import Evaluator
from parties.encrypted.jobs import job_of_settings, release_of_settings
from parties.encrypted.keys import new_seed
from parties.encrypted.model import LinearModel
from parties.encrypted.owner import scikit_learn, signed_records
from parties.encrypted.records import read_records
from parties.encrypted.settings import OWNER, TRAINER, OwnerSettings
from parties.encrypted.wire import receive_parts, receive_weights, send_parts, send_refreshed
from parties.frame.connections import Connections
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party

RECORDS, HELD_OUT, KEPT = "records.npz", "held_out.npz", "preparation.npz"


def data_owner(party: Party[OwnerSettings]) -> None:
    """Play the data owner."""
    settings, progress = party.settings, party.progress
    job, release = job_of_settings(settings), release_of_settings(settings)
    table, held_out = read_records(party.folder / RECORDS), read_records(party.folder / HELD_OUT)
    kept = LinearModel.read(party.folder / KEPT)
    with Connections(settings, party.folder, OWNER, settings.agreed(), progress.note) as connections:
        with progress.step("1", "connect", awaits=[settings.trainer.name]):
            trainer = connections.dial(settings.trainer, TRAINER)
        connections.begin()
        records, _ = signed_records(table, kept.preparation)
        with progress.step("2", "run the twin"):
            foreseen = owner_foresee(job, records, release.reading if release else None)
            leak = release.check_leak(read_of(foreseen)) if release else None
        with progress.step("2", "send keys", channel=trainer):
            secret = owner_make_secret(job.parameters, new_seed())
            send_parts(trainer, "keys", owner_make_keys(job, secret), job.key_sizes())
        with progress.step("3", "send encrypted records", channel=trainer):
            send_parts(trainer, "records", owner_encrypt(job, secret, records), job.record_sizes())
        comparison = Comparison()
        for done, (target, iteration) in enumerate(refreshes := job.refreshes, 1):
            with progress.step("4", "refresh the weights", channel=trainer):
                message = receive_weights(trainer, job, target, iteration)
                expected = foreseen[target].refreshed[iteration]
                send_refreshed(trainer, target, iteration, owner_refresh(job, secret, message, expected, comparison))
            progress.advance(done, len(refreshes), "refreshes")
        with progress.step("5", "receive the encrypted model", channel=trainer):
            messages = (
                holder_receive_masked(trainer, release)
                if release
                else list(receive_parts(trainer, "weights", job.weight_sizes()).values())
            )
        if release is None:
            with progress.step("6", "compare with the twin"):
                for message, one in zip(messages, foreseen, strict=True):
                    comparison.note(owner_decrypt(job, secret, message), one)
                comparison.check()
            weights = [one.weights for one in foreseen]
        else:
            comparison.check()
            with progress.step("6", "open the model by a garbled circuit", channel=trainer):
                masked = [holder_decrypt(release, secret, message) for message in messages]
                weights = holder_open(release, Evaluator.open(trainer), holder_shares(release, masked))
            for opened, one, read in zip(weights, foreseen, read_of(foreseen), strict=True):
                comparison.note(opened, replace(one, bound=release.largest_difference(read)))
            comparison.check()
    stacked = np.stack(weights)[:, : kept.preparation.outputs]
    model = LinearModel(stacked, kept.preparation, kept.classes, kept.degree)
    if settings.output is not None:
        model.write(settings.output)
    result = {
        "party": settings.name,
        "accuracy": model.accuracy(held_out.features, held_out.places),
        "scikit_learn": float(scikit_learn(table).score(held_out.features, held_out.places)),
        "bound": comparison.bound,
        "reach": max((max(one.reach, default=0.0) for one in foreseen), default=0.0),
        "held_out": len(held_out.features),
        "leak": leak,
    }
    write_private(party.folder / "result.json", json.dumps(result).encode())


if __name__ == "__main__":
    sys.exit(run_party(OwnerSettings, data_owner))
