"""What the launcher does before a pooled training: deals out records, makes the owners' signing keys, finds the shape.

It has the records of all owners, so that it can also say what the same training gives in the clear.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpc.encrypted.joint_logistic import JointLogistic
from mpc.encrypted.joint_ridge import JointRidge
from mpc.encrypted.packing import Floats, Packing, power_of_two
from mpc.encrypted.pooled import MOST_FEATURES, RidgeJob, owner_moments
from mpc.encrypted.programs.logistic import Logistic, train_in_the_clear
from mpc.encrypted.programs.ridge import Ridge, solve_in_the_clear
from mpc.encrypted.threshold.training import JointJob
from parties.encrypted.config import TRAINER, PoolConfig, SecureTrainConfig
from parties.encrypted.features import Features, extracted, features_of
from parties.encrypted.kept import pack_preparation
from parties.encrypted.keys import SIGNING
from parties.encrypted.model import LinearModel, check_name
from parties.encrypted.owner import scikit_learn
from parties.encrypted.planning import records_of
from parties.encrypted.pool.owner import EXTRACTOR, KEPT, RECORDS, TEST, prepared
from parties.encrypted.pool.settings import LogisticTold, PoolOwnerSettings, PoolTrainerSettings, RidgeTold
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
LOGISTIC_STEPS = STEPS | {
    "4": "encrypted rows",
    "5": "training on ciphertexts, which all owners refresh together",
    "6": "decryption together, under all owners' masks",
}


def plan(config: SecureTrainConfig, pool: PoolConfig, run: Run) -> Plan:
    """Return the owners and the trainer. Write each owner's records and signing key into its folder.

    Raises `ConfigError`, `PartyError` and `MpcError`.
    """
    if config.output_model is not None:
        check_name(config.output_model)
    raw = _own(config, pool) if pool.files else _dealt(config, pool)
    made = None if pool.features is None else features_of(raw[0], pool.features)
    table, tests, dealt = raw if made is None else _extracted(raw, made)
    preparation = Preparation.of(table.features, None, None, config.clip, pool.largest_norm, extractor=table.extractor)
    if pool.algorithm == "ridge" and preparation.outputs > MOST_FEATURES:
        raise ConfigError(
            f"features: expected {'an extractor' if made else 'records'} of at most {MOST_FEATURES - 1} features for "
            f"ridge, found {preparation.outputs - 1}."
        )
    kept = LinearModel.untrained(preparation, table.classes, 0 if pool.algorithm == "ridge" else pool.sigmoid_degree)
    records, features = sum(len(one.features) for one in dealt), power_of_two(preparation.outputs)
    if pool.algorithm == "ridge":  # of two owners each would learn from an exact n' how many records the other has
        records = share_of(records)
    shape = _Shape(records, features, table.targets, tuple(len(one.features) for one in dealt))
    if pool.algorithm == "ridge":
        training = _ridge(pool, shape, [prepared(kept, one, features) for one in dealt])
    else:
        training = _logistic(pool, shape, [prepared(kept, one, features) for one in dealt])
    shown, preparation_digest = pack_preparation(kept)
    signing = [Ed25519PrivateKey.generate() for _ in pool.owners]
    for name, own, test, key in zip(pool.owners, raw[2], raw[1], signing, strict=True):
        folder = run.folders.party(name)
        own.write(folder / RECORDS)
        test.write(folder / TEST)
        write_private(folder / KEPT, shown)
        if made is not None:
            made.extractor.write(folder / EXTRACTOR)
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
            "parameters": training.parameters,
            "records": records,
            "features": features,
            "targets": table.targets,
            "sigma": pool.sigma,
            "choices": training.told,
            "extractor": table.extractor,
            "preparation": preparation_digest,
        }

    told = [
        PoolOwnerSettings(
            **common(name),
            number=number,
            trainer=Peer(name=TRAINER, host=run.host, port=trainer_address.port),
            listen=None if number else opener_address,
            opener=opener if number else None,
            output=None if number or config.output_model is None else config.output_model.absolute(),
            twin={} if number else _twin(training, kept, dealt, tests[0]),
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
        steps=STEPS if pool.algorithm == "ridge" else LOGISTIC_STEPS,
        notes=(
            f"{TRAINER} sees that the owners have at most {records} records of {features} numbers together, and no "
            "record, label or weight",
            f"{training.leak}, and {TRAINER} and {pool.owners[0]}, who opens it, must not collude",
            *training.notes,
            *([] if made is None else [f"each owner makes {made.line}, at home"]),
            *_of_files(pool, table, dealt),
        ),
    )


def _of_files(pool: PoolConfig, table: LabelledTable, dealt: list[LabelledTable]) -> Iterable[str]:
    """Note what may be a mistake in a file. Files of owners may have the same name, so each owner's is named."""
    if not pool.files:
        return table.notes
    own = zip(pool.owners, dealt, strict=True)
    return (*table.notes, *(f"{name}: {note}" for name, one in own for note in one.notes))


Parts = tuple[LabelledTable, list[LabelledTable], list[LabelledTable]]
"""The public records, and for each owner those that it measures the model on, and those that it trains on."""


def _dealt(config: SecureTrainConfig, pool: PoolConfig) -> Parts:
    """Deal one table out. All owners measure the model on the same records."""
    table = records_of(config, images=pool.features is not None)
    order = np.random.default_rng(config.seed).permutation(len(table.features))
    count, public = round(config.held_out * len(order)), round(pool.public_part * len(order))
    parts = [order[:count], order[count : count + public], *np.array_split(order[count + public :], len(pool.owners))]
    for rows in parts:
        if len(set(table.places[rows].tolist())) < len(table.classes):
            raise ConfigError("pool: expected records of every class in each part, found a part without: seed?")
    test, shown, *own = [table.part(rows) for rows in parts]
    return shown, [test] * len(own), own


def _extracted(raw: Parts, made: Features) -> Parts:
    """Return the same parts as features. The launcher has them all, for what is shown beside the run alone."""
    _, tests, dealt = raw
    one = {id(test): extracted(test, made.extractor) for test in tests}  # without files all owners have one test
    return made.table, [one[id(test)] for test in tests], [extracted(own, made.extractor) for own in dealt]


def _own(config: SecureTrainConfig, pool: PoolConfig) -> Parts:
    """Read each owner's own file, of which it holds records out. The data set is public."""
    images = pool.features is not None
    public, tests, dealt = records_of(config, images), [], []
    for name in pool.owners:
        table = read_records(pool.files[name], config.label, config.delimiter, images)
        if table.classes != public.classes or table.features.shape[1:] != public.features.shape[1:]:
            expected, found = (" x ".join(map(str, one.features.shape[1:])) for one in (public, table))
            raise ConfigError(
                f"files: expected {expected} features and the classes {', '.join(public.classes)} of the public "
                f"records, found {found} and {', '.join(table.classes)} of {name}."
            )
        order = np.random.default_rng(config.seed).permutation(len(table.features))
        count = round(config.held_out * len(order))
        if not 0 < count < len(order):
            raise ConfigError(f"held_out: expected a part that leaves records on both sides for {name}, found none.")
        tests.append(table.part(order[:count]))
        dealt.append(table.part(order[count:]))
    return public, tests, dealt


@dataclass(frozen=True)
class _Shape:
    """What follows from all records: how many there are, and how many of each owner."""

    records: int
    features: int
    targets: int
    rows: tuple[int, ...]


@dataclass(frozen=True, repr=False)
class _Training:
    """One algorithm's part of the plan: what parties are told, what is shown, and the same training in the clear.

    Attributes:
        all_weights: ``(targets, features)`` of the same training on all records in the clear.
        own_weights: of the first owner's records alone.
    """

    parameters: str
    told: RidgeTold | LogisticTold
    leak: str
    all_weights: Floats
    own_weights: Floats
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"_Training({self.told.algorithm})"


Prepared = list[tuple[Floats, Floats]]
"""Of each owner, prepared records ``(n, features)`` and each target's signs ``(targets, n)``."""


def _ridge(pool: PoolConfig, shape: _Shape, owners: Prepared) -> _Training:
    choices, count = Ridge(pool.regularisation, pool.largest_eigenvalue, pool.degree), len(owners)
    job = RidgeJob.of(shape.records, shape.features, choices, shape.targets, count, count)
    leak = JointRidge(job, pool.sigma).check_leak()

    def weights(some: Prepared) -> Floats:
        moments = [owner_moments(job, *one) for one in some]
        matrix, vectors = (sum(one[place] for one in moments) for place in range(2))
        return np.stack([solve_in_the_clear(np.asarray(matrix), one, choices) for one in np.asarray(vectors)])

    return _Training(
        job.parameters,
        RidgeTold(regularisation=choices.regularisation, largest_eigenvalue=choices.largest, degree=choices.degree),
        f"the opened model tells at most {leak:.2g} nats of the encryption's error on average",
        weights(owners),
        weights(owners[:1]),
    )


def _logistic(pool: PoolConfig, shape: _Shape, owners: Prepared) -> _Training:
    choices = Logistic(pool.learning_rate, pool.iterations, pool.sigmoid_degree, pool.stretch)
    job = JointJob.of(shape.rows, shape.features, choices, pool.largest_norm, targets=shape.targets)
    joint = JointLogistic(job, pool.sigma)
    leak, allowed = joint.check_leak(), choices.sigmoid.range

    def weights(some: Prepared) -> Floats:
        packing = Packing.fit(sum(len(records) for records, _ in some), shape.features, job.packing.slots)
        rows = [
            np.vstack([records * signs[target][:, None] for records, signs in some]) for target in range(job.targets)
        ]
        return np.stack([train_in_the_clear(one, choices, packing) for one in rows])

    proven = (
        f"no records of the norm {job.norm:g} can leave the sigmoid's range of {allowed:g}: z stays within "
        f"{joint.worst_z:.3g}"
        if joint.worst_z <= allowed
        else f"nobody can tell before that z stays in the sigmoid's range of {allowed:g}: norm, rate and iterations "
        f"allow {joint.worst_z:.3g} in the worst case, which is far above what records reach. Each owner looks at its "
        "own records when the model is opened"
    )
    return _Training(
        job.parameters,
        LogisticTold(
            rows=job.rows,
            norm=job.norm,
            learning_rate=choices.rate,
            iterations=choices.iterations,
            sigmoid_degree=choices.degree,
            stretch=pool.stretch,
        ),
        f"the opened model tells about {leak:.2g} nats of the encryption's error, by an estimate on made-up records",
        weights(owners),
        weights(owners[:1]),
        (proven, f"all parties see how many records each owner has: {', '.join(map(str, job.rows))}"),
    )


def _twin(training: _Training, kept: LinearModel, dealt: list[LabelledTable], test: LabelledTable) -> dict[str, float]:
    """Return the accuracies of the same training in the clear, of the first owner alone, and of scikit-learn."""

    def accuracy(weights: Floats) -> float:
        model = LinearModel(weights[:, : kept.preparation.outputs], kept.preparation, kept.classes, kept.degree)
        return model.accuracy_on(test)

    pooled = LabelledTable(
        np.concatenate([one.features for one in dealt]), np.concatenate([one.places for one in dealt]), kept.classes
    )
    best = float(scikit_learn(pooled).score(test.features, test.places))
    return {"accuracy": accuracy(training.all_weights), "alone": accuracy(training.own_weights), "scikit-learn": best}
