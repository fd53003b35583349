"""What the launcher does before a pooled training: deals out records, makes the owners' signing keys, finds the shape.

It has the records of all owners, so that it can also say what the same training gives in the clear.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpc.encrypted.joint_ridge import JointRidge
from mpc.encrypted.packing import power_of_two
from mpc.encrypted.pooled import RidgeJob, owner_moments
from mpc.encrypted.programs.ridge import Ridge, solve_in_the_clear
from parties.encrypted.config import TRAINER, PoolConfig, SecureTrainConfig
from parties.encrypted.keys import SIGNING
from parties.encrypted.model import LinearModel, check_name
from parties.encrypted.owner import scikit_learn
from parties.encrypted.planning import records_of
from parties.encrypted.pool.owner import KEPT, RECORDS, TEST, prepared
from parties.encrypted.pool.settings import PoolOwnerSettings, PoolTrainerSettings
from parties.encrypted.pooling import share_of
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import LabelledTable, read_records
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Process, Run
from parties.frame.private_files import write_private
from parties.frame.settings import Address, Peer

STEPS = {
    "1": "connect",
    "2": "agree on a common string",
    "3": "the key that the owners hold together",
    "4": "encrypted moments",
    "5": "sum and training on ciphertexts",
    "6": "decryption together, under the trainer's mask",
    "7": "the model, opened with noise",
}


def plan(config: SecureTrainConfig, pool: PoolConfig, run: Run) -> Plan:
    """Return the owners and the trainer. Write each owner's records and signing key into its folder.

    Raises `ConfigError`, `PartyError` and `MpcError`.
    """
    if config.output_model is not None:
        check_name(config.output_model)
    count = len(pool.owners)
    public, tests, dealt = _own(config, pool) if pool.files else _dealt(config, pool)
    table = public
    preparation = Preparation.of(public.features, None, None, config.clip, pool.norm)
    kept = LinearModel.untrained(preparation, table.classes, 0)
    choices = Ridge(pool.regularisation, pool.largest_eigenvalue, pool.degree)
    # All see n'. Of two owners each would learn from an exact one how many records the other has.
    records, features = share_of(sum(len(one.features) for one in dealt)), power_of_two(preparation.outputs)
    job = RidgeJob.of(records, features, choices, table.targets, count, count)
    leak = JointRidge(job, pool.sigma).check_leak()
    signing = [Ed25519PrivateKey.generate() for _ in pool.owners]
    for name, own, test, key in zip(pool.owners, dealt, tests, signing, strict=True):
        folder = run.folders.party(name)
        own.write(folder / RECORDS)
        test.write(folder / TEST)
        kept.write(folder / KEPT)
        write_private(folder / SIGNING, key.private_bytes_raw())
    trainer_address = Address(host=run.host, port=run.start_port)
    opener_address = Address(host=run.host, port=run.start_port + 1)
    opener = Peer(name=pool.owners[0], host=run.host, port=opener_address.port)

    def common(name: str) -> dict[str, Any]:
        return run.common_settings(name) | {
            "connect_deadline_s": config.connect_deadline_s,
            "message_deadline_s": config.message_deadline_s,
            "run_deadline_s": config.run_deadline_s,
            "owners": pool.owners,
            "signing": tuple(key.public_key().public_bytes_raw().hex() for key in signing),
            "parameters": job.parameters,
            "records": records,
            "features": features,
            "targets": job.targets,
            "regularisation": pool.regularisation,
            "largest_eigenvalue": pool.largest_eigenvalue,
            "degree": pool.degree,
            "sigma": pool.sigma,
        }

    told = [
        PoolOwnerSettings(
            **common(name),
            number=number,
            trainer=Peer(name=TRAINER, host=run.host, port=trainer_address.port),
            listen=None if number else opener_address,
            opener=opener if number else None,
            output=None if number or config.output_model is None else config.output_model.absolute(),
            twin={} if number else _twin(job, kept, dealt, tests[0]),
        )
        for number, name in enumerate(pool.owners)
    ]
    owners = [
        Process(
            one.name, "parties.encrypted.pool.owner", one, "Owners", None if one.listen is None else one.listen.port
        )
        for one in told
    ]
    trainer = PoolTrainerSettings(**common(TRAINER), listen=trainer_address)
    return Plan(
        (*owners, Process(TRAINER, "parties.encrypted.pool.trainer", trainer, "Trainer", trainer_address.port)),
        reporter=pool.owners[0],
        more_reporters=(*pool.owners[1:], TRAINER),
        deadline_s=config.run_deadline_s,
        steps=STEPS,
        notes=(
            f"{TRAINER} sees that the owners have at most {records} records of {features} numbers together, and no "
            "record, label or weight",
            f"the opened model tells at most {leak:.2g} nats of the encryption's error on average, and {TRAINER} and "
            f"{pool.owners[0]}, who opens it, must not collude",
        ),
    )


Parts = tuple[LabelledTable, list[LabelledTable], list[LabelledTable]]
"""The public records, and for each owner those that it measures the model on, and those that it trains on."""


def _dealt(config: SecureTrainConfig, pool: PoolConfig) -> Parts:
    """Deal one table out. All owners measure the model on the same records."""
    table = records_of(config)
    order = np.random.default_rng(config.seed).permutation(len(table.features))
    count, public = round(config.held_out * len(order)), round(pool.public_part * len(order))
    parts = [order[:count], order[count : count + public], *np.array_split(order[count + public :], len(pool.owners))]
    for rows in parts:
        if len(set(table.places[rows].tolist())) < len(table.classes):
            raise ConfigError("pool: expected records of every class in each part, found a part without: seed?")
    test, shown, *own = [table.part(rows) for rows in parts]
    return shown, [test] * len(own), own


def _own(config: SecureTrainConfig, pool: PoolConfig) -> Parts:
    """Read each owner's own file, of which it holds records out. The data set is public."""
    public, tests, dealt = records_of(config), [], []
    for name in pool.owners:
        table = read_records(pool.files[name], config.label, config.delimiter)
        if table.classes != public.classes or table.features.shape[1] != public.features.shape[1]:
            raise ConfigError(
                f"files: expected {public.features.shape[1]} features and the classes {', '.join(public.classes)} of "
                f"the public records, found {table.features.shape[1]} and {', '.join(table.classes)} of {name}."
            )
        order = np.random.default_rng(config.seed).permutation(len(table.features))
        count = round(config.held_out * len(order))
        if not 0 < count < len(order):
            raise ConfigError(f"held_out: expected a part that leaves records on both sides for {name}, found none.")
        tests.append(table.part(order[:count]))
        dealt.append(table.part(order[count:]))
    return public, tests, dealt


def _twin(job: RidgeJob, kept: LinearModel, dealt: list[LabelledTable], test: LabelledTable) -> dict[str, float]:
    """Return the accuracies of the same training in the clear, of the first owner alone, and of scikit-learn."""

    def accuracy(tables: list[LabelledTable]) -> float:
        moments = [owner_moments(job, *prepared(kept, one, job.features)) for one in tables]
        matrix, vectors = (sum(one[place] for one in moments) for place in range(2))
        found = np.stack([solve_in_the_clear(np.asarray(matrix), one, job.choices) for one in np.asarray(vectors)])
        model = LinearModel(found[:, : kept.preparation.outputs], kept.preparation, kept.classes, kept.degree)
        return model.accuracy(test.features, test.places)

    pooled = LabelledTable(
        np.concatenate([one.features for one in dealt]), np.concatenate([one.places for one in dealt]), kept.classes
    )
    best = float(scikit_learn(pooled).score(test.features, test.places))
    return {"accuracy": accuracy(dealt), "alone": accuracy(dealt[:1]), "scikit-learn": best}
