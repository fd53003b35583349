"""The trainer of several owners: adds up and trains on what it cannot read, and helps to open the result with noise.

Run: ``python -m parties.encrypted.pool.trainer --settings PATH``.
"""

from __future__ import annotations

import json
import sys

from mpc.encrypted.joint_ridge import JointRidge
from mpc.encrypted.threshold import key_making
from mpc.encrypted.threshold.session import JointKey
from parties.encrypted.pool.logistic import trainer_logistic
from parties.encrypted.pool.ridge import trainer_ridge
from parties.encrypted.pool.settings import OWNER_ROLE, TRAINER_ROLE, PoolTrainerSettings
from parties.encrypted.pool.wire import trainer_agree, trainer_show
from parties.encrypted.wire import receive_parts
from parties.frame.connections import Connections
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party


def trainer(party: Party[PoolTrainerSettings]) -> None:
    """Play the trainer."""
    settings, progress, joint = party.settings, party.progress, party.settings.joint
    job = joint.job
    if isinstance(joint, JointRidge):
        joint.check_leak()
    with Connections(settings, party.folder, TRAINER_ROLE, settings.agreed(), progress.note) as connections:
        listener = connections.listen(settings.listen)
        progress.listening(listener.port)
        came = {}
        with progress.step("1", "connect", awaits=settings.owners):
            while awaited := {name: OWNER_ROLE for name in settings.owners if name not in came}:
                channel = connections.accept(listener, awaited)
                came[channel.peer] = channel
        owners = [came[name] for name in settings.owners]
        connections.begin()
        with progress.step("2", "relay the agreement on a common string"):
            common = trainer_agree(owners, settings.job_id, settings.signing_keys)
            key = JointKey(job.parameters, settings.signing_keys, settings.job_id, common)
        with progress.step("3", "relay shares, and combine the keys"):
            firsts = trainer_show(owners, key_making.first_sizes(key, job))
            sizes = key_making.second_sizes(key, job)
            seconds = [receive_parts(owner, "second", sizes) for owner in owners]
            keys = key_making.trainer_combine(key, job, firsts, seconds)
        if isinstance(joint, JointRidge):
            took = trainer_ridge(owners, key, keys, joint, progress)
        else:
            took = trainer_logistic(owners, key, keys, joint, progress)
    result = {
        "party": settings.name,
        "seen": {name: text for name, text in settings.agreed().items() if name != "signing"},
        "training_seconds": took,
        "sent": sum(step.sent for owner in owners for step in owner.traffic.values()),
        "received": sum(step.received for owner in owners for step in owner.traffic.values()),
    }
    write_private(party.folder / "result.json", json.dumps(result).encode())


if __name__ == "__main__":
    sys.exit(run_party(PoolTrainerSettings, trainer))
