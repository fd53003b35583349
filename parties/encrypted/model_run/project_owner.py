"""The project owner encrypts its model, lets another party train it on records it never sees, and decrypts the result.

Run: ``python -m parties.encrypted.model_run.project_owner --settings PATH``.
"""

from __future__ import annotations

import json
import sys

from mpc.encrypted.private_model import model_owner_decrypt, model_owner_encrypt, model_owner_make_keys
from mpc.encrypted.training import owner_make_secret
from parties.encrypted.keys import new_seed
from parties.encrypted.model import LinearModel
from parties.encrypted.model_run.settings import SHOWN, ModelOwnerSettings
from parties.encrypted.private_model import model_of
from parties.encrypted.records import LabelledTable
from parties.encrypted.settings import OWNER, TRAINER
from parties.encrypted.wire import receive_parts, send_parts
from parties.frame.connections import Connections
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party

MODEL, TEST = "model.npz", "held_out.npz"


def project_owner(party: Party[ModelOwnerSettings]) -> None:
    """Play the project owner."""
    settings, progress, job = party.settings, party.progress, party.settings.job
    kept, test = LinearModel.read(party.folder / MODEL), LabelledTable.read(party.folder / TEST)
    with Connections(settings, party.folder, TRAINER, settings.agreed(), progress.note) as connections:
        listener = connections.listen(settings.listen)
        progress.listening(listener.port)
        with progress.step("1", "connect", awaits=[settings.owner]):
            owner = connections.accept(listener, {settings.owner: OWNER})
        connections.begin()
        with progress.step("2", "send keys", channel=owner):
            secret = owner_make_secret(job.parameters, new_seed())
            send_parts(owner, "keys", model_owner_make_keys(job, secret), job.key_sizes())
        with progress.step("3", "send the encrypted model", channel=owner):
            owner.send(SHOWN, LinearModel.untrained(kept.preparation, kept.classes, kept.degree).to_bytes())
            send_parts(owner, "model", model_owner_encrypt(job, secret, kept.weights), job.model_sizes())
        with progress.step("5", "receive the trained model", channel=owner):
            parts = receive_parts(owner, "trained", job.result_sizes())
        with progress.step("6", "decrypt"):
            found = [model_owner_decrypt(job, secret, part) for part in parts.values()]
    model = model_of(kept, found)
    if settings.output is not None:
        model.write(settings.output)
    result = {
        "party": settings.name,
        "encrypted": "model",
        "before": kept.accuracy(test.features, test.places),
        "accuracy": model.accuracy(test.features, test.places),
        "held_out": len(test.features),
        "twin": settings.twin,
        "sent": {
            "keys": sum(job.key_sizes().values()),
            "model": sum(job.model_sizes().values()),
            "result": sum(job.result_sizes().values()),
        },
    }
    write_private(party.folder / "result.json", json.dumps(result).encode())


if __name__ == "__main__":
    sys.exit(run_party(ModelOwnerSettings, project_owner))
