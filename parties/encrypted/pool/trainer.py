"""The trainer of several owners: adds up and solves what it cannot read, and helps to open the result with noise.

Run: ``python -m parties.encrypted.pool.trainer --settings PATH``.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter

from mpc.encrypted import joint_ridge
from mpc.encrypted.pooled import PUBLIC, add_moments, trainer_solve
from mpc.encrypted.shared_release import trainer_mask, trainer_send_masked
from mpc.encrypted.threshold.session import JointKey
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
            firsts = trainer_show(owners, joint_ridge.first_sizes(key, job))
            sizes = joint_ridge.second_sizes(key, job)
            seconds = [receive_parts(owner, "second", sizes) for owner in owners]
            keys = joint_ridge.trainer_combine(key, job, firsts, seconds)
        with progress.step("4", "receive encrypted moments"):
            sizes = job.moment_sizes(seeded=False)
            moments = [receive_parts(owner, "moments", sizes) for owner in owners]
        began = perf_counter()
        with progress.step("5", "add up and solve"):
            solved = trainer_solve(
                job, keys, add_moments(job, moments), lambda done, steps: progress.advance(done, steps, "steps")
            )
            weights = list(solved.values())
        took = perf_counter() - began
        with progress.step("6", "send the result under a mask"):
            masked, shares = trainer_mask(joint.release, keys[PUBLIC], weights)
            for owner in owners:
                trainer_send_masked(owner, masked)
        with progress.step("7", "open it with noise", channel=owners[0]):
            joint_ridge.trainer_release(owners[0], joint, shares)
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
