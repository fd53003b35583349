"""One of several owners who pool records that none shows. The first one opens the trained model for all.

Run: ``python -m parties.encrypted.pool.owner --settings PATH``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpc.channels.frames import Channel
from mpc.encrypted.joint_logistic import JointLogistic
from mpc.encrypted.joint_ridge import JointRidge
from mpc.encrypted.packing import Floats
from mpc.encrypted.threshold import decryption, key_making
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import JointKey
from mpc.errors import CheatingError
from parties.encrypted.features import extracted
from parties.encrypted.joint_answers import JointAnswers
from parties.encrypted.kept import read_agreed
from parties.encrypted.keys import SIGNING, new_seed
from parties.encrypted.model import LinearModel
from parties.encrypted.pool.logistic import LogisticOwner
from parties.encrypted.pool.ridge import RidgeOwner
from parties.encrypted.pool.settings import OWNER_ROLE, TRAINER_ROLE, PoolOwnerSettings
from parties.encrypted.pool.wire import owner_agree, owner_show
from parties.encrypted.records import LabelledTable
from parties.encrypted.wire import send_parts
from parties.frame.connections import Connections
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party
from parties.learning.model_files.extractor import Extractor
from parties.learning.records import DataError

RECORDS, TEST, KEPT, EXTRACTOR = "records.npz", "held_out.npz", "preparation.npz", "extractor.npz"


def prepared(kept: LinearModel, table: LabelledTable, features: int) -> tuple[Floats, Floats]:
    """Return the prepared records ``(n, features)``, padded with zeros, and each target's signs ``(targets, n)``."""
    found, _ = kept.preparation.prepare(table)
    padded = np.pad(found, ((0, 0), (0, features - found.shape[1])))
    return padded, np.stack([table.signs(target) for target in range(table.targets)])


def at_home(settings: PoolOwnerSettings, folder: Path, name: str) -> LabelledTable:
    """Return an owner's records, or their features of the extractor that all owners have agreed on.

    Raises:
        DataError: the extractor in the owner's folder is another one, or gives what is no number.
    """
    table = LabelledTable.read(folder / name)
    if not settings.extractor:
        return table
    extractor = Extractor.read(folder / EXTRACTOR)
    found = extractor.digest_for(table.features.shape[1:])
    if found != settings.extractor:
        raise DataError(
            f"{folder / EXTRACTOR}: expected the extractor {settings.extractor[:16]} that all owners use, found "
            f"{found[:16]}: another one, or for images of another layout"
        )
    return extracted(table, extractor)


def _side(settings: PoolOwnerSettings, kept: LinearModel, table: LabelledTable) -> RidgeOwner | LogisticOwner:
    joint = settings.joint
    if isinstance(joint, JointRidge):
        return RidgeOwner(joint, *prepared(kept, table, settings.features))
    return LogisticOwner(joint, *prepared(kept, table, settings.features), settings.opener is None)


def owner(party: Party[PoolOwnerSettings]) -> None:
    """Play one owner."""
    settings, progress, joint = party.settings, party.progress, party.settings.joint
    job = joint.job
    table, test = (at_home(settings, party.folder, name) for name in (RECORDS, TEST))
    kept = read_agreed(party.folder / KEPT, settings.preparation)
    signing = Ed25519PrivateKey.from_private_bytes((party.folder / SIGNING).read_bytes())
    side = _side(settings, kept, table)
    began = perf_counter()
    with Connections(settings, party.folder, OWNER_ROLE, settings.agreed(), progress.note) as connections:
        others: dict[str, Channel] = {}
        with progress.step("1", "connect", awaits=[settings.trainer.name]):
            if settings.listen is not None:
                listener = connections.listen(settings.listen)
                progress.listening(listener.port)
            trainer = connections.dial(settings.trainer, TRAINER_ROLE)
            if settings.listen is not None:
                awaited = {name: OWNER_ROLE for name in settings.owners if name != settings.name}
                while awaited:
                    channel = connections.accept(listener, awaited)
                    others[channel.peer] = channel
                    del awaited[channel.peer]
            elif settings.opener is not None:
                others[settings.opener.name] = connections.dial(settings.opener, OWNER_ROLE)
        connections.begin()
        with progress.step("2", "agree on a common string", channel=trainer):
            common = owner_agree(trainer, settings.job_id, settings.number, signing, settings.signing_keys)
            key = JointKey(job.parameters, settings.signing_keys, settings.job_id, common)
            me = Owner(key, settings.number, new_seed(), signing, JointAnswers(party.folder, key.key_id))
        with progress.step("3", "make the key together", channel=trainer):
            firsts = owner_show(trainer, key, key_making.owner_first(me, job), key_making.first_sizes(key, job))
            public, added = key_making.add_first(key, job, firsts)
            send_parts(trainer, "second", key_making.owner_second(me, job, added), key_making.second_sizes(key, job))
        messages, shares = side.train(trainer, me, public, progress)
        with progress.step("7", "open it with noise", channel=trainer):
            if settings.opener is None:
                weights = _open(key, side, trainer, settings, messages, shares, others)
            else:
                weights = _receive(joint, others[settings.opener.name], shares)
    model = LinearModel(weights[:, : kept.preparation.outputs], kept.preparation, kept.classes, kept.degree)
    if settings.output is not None:
        model.write(settings.output)
    traffic = [trainer.traffic.values(), *(other.traffic.values() for other in others.values())]
    result = {
        "party": settings.name,
        "encrypted": "pool",
        "accuracy": model.accuracy_on(test),
        "held_out": len(test.features),
        "records": len(table.features),
        "algorithm": settings.choices.algorithm,
        "sigma": settings.sigma,
        "twin": settings.twin,
        "seconds": perf_counter() - began,
        "sent": sum(step.sent for one in traffic for step in one),
        "received": sum(step.received for one in traffic for step in one),
        **side.report(weights),
    }
    write_private(party.folder / "result.json", json.dumps(result).encode())


def _open(
    key: JointKey,
    side: RidgeOwner | LogisticOwner,
    trainer: Channel,
    settings: PoolOwnerSettings,
    messages: list[bytes],
    own: list[bytes],
    others: dict[str, Channel],
) -> Floats:
    """Open the result as the opener, and give the noisy weights to the other owners."""
    size = decryption.share_bytes(key, side.joint.release.level)
    shares = [
        own
        if name == settings.name
        else [bytes(others[name].recv(f"decryption/{place}", size)) for place in range(len(messages))]
        for name in settings.owners
    ]
    weights = side.open(trainer, key, messages, shares)
    for other in others.values():
        other.send("opened", weights.tobytes())
    return weights


def _receive(joint: JointRidge | JointLogistic, opener: Channel, shares: list[bytes]) -> Floats:
    """Give the shares to the opener, and return the noisy weights that it has opened.

    Raises:
        CheatingError: what the opener gives are no weights of any records in the range.
    """
    for place, share in enumerate(shares):
        opener.send(f"decryption/{place}", share)
    features = joint.job.features if isinstance(joint, JointRidge) else joint.job.packing.features
    shape = (joint.job.targets, features)
    weights = np.frombuffer(opener.recv("opened", 8 * shape[0] * shape[1]), np.float64).reshape(shape)
    largest, allowed = float(np.abs(weights).max()), joint.largest_opened
    # The first comparison keeps squares from overflowing, and is false where one is no number.
    if not (largest <= allowed and float(np.linalg.norm(weights, axis=1).max()) <= allowed):
        raise CheatingError(
            f"expected opened weights of a norm of at most {allowed:.3g}, as those of any records within the range "
            "have, found larger ones or no numbers",
            peer=opener.peer,
            step="opened",
        )
    return weights


if __name__ == "__main__":
    sys.exit(run_party(PoolOwnerSettings, owner))
