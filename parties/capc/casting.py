"""Who plays which role in a run, whose records are whose, and what follows from the configuration for all of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mpc.capc.parameters import PublicParameters
from parties.capc.config import CapcConfig
from parties.frame.errors import ConfigError
from parties.learning.datasets import Dataset
from parties.learning.records import Records
from parties.learning.split import set_aside, split
from parties.learning.training_settings import TrainingSettings


@dataclass(frozen=True)
class RoleAssignment:
    """The data owner behind each querying and each answering party's name.

    With one querying party the others answer and are numbered among themselves. With several every data owner answers
    when it is not its own turn, and `server-3` and `client-3` are owner 3: one program that answers, one that asks.
    """

    clients: dict[str, int]
    servers: dict[str, int]

    @classmethod
    def of(cls, config: CapcConfig) -> RoleAssignment:
        owners = range(config.n_parties + 1)
        if len(config.qp_id) > 1:
            return cls({f"client-{owner}": owner for owner in config.qp_id}, {f"server-{n}": n for n in owners})
        others = [owner for owner in owners if owner not in config.qp_id]
        return cls({"client": config.qp_id[0]}, {f"server-{index}": owner for index, owner in enumerate(others)})

    def answering(self, asking: int) -> tuple[str, ...]:
        """Who answers the owner that asks: everybody else."""
        return tuple(name for name, owner in self.servers.items() if owner != asking)


@dataclass(frozen=True)
class SplitData:
    """The dataset in parts: each owner's own, and what the querying parties ask about and measure by.

    `asked` has `queries`, or in a campaign `unlabelled` (with the correct labels, for the experiment's report alone)
    and `held_out`.
    """

    owned: list[Records]
    asked: dict[str, Records]


def split_data(config: CapcConfig, dataset: Dataset) -> SplitData:
    """Deal the dataset out. Which owners ask changes nothing about the parts."""
    pool = dataset.pool
    if config.strategy == "given":
        asked = {"queries": dataset.queries(config.first_query, config.n_queries)}
    else:
        aside, rest = set_aside(pool.labels, config.unlabelled, config.seed)
        asked = {"unlabelled": pool.take(aside), "held_out": dataset.test}
        pool = pool.take(rest)
    parts = split(pool.labels, config.n_parties + 1, config.seed, config.split, config.missing_classes)
    return SplitData([pool.take(part) for part in parts], asked)


def public_parameters(config: CapcConfig, dataset: Dataset) -> PublicParameters:
    """What all parties of a run agree on. Raises `ConfigError` where the configuration does not fit the dataset."""
    if dataset.classes != config.num_classes:
        raise ConfigError(
            f"num_classes is {config.num_classes}, but {dataset.name} has {dataset.classes} "
            f"{'classes' if dataset.labelling == 'class' else 'labels'}"
        )
    if dataset.labelling == "labels" and config.threshold:
        raise ConfigError(
            f"threshold: expected 0 with dataset {dataset.name}, whose labels are each a yes or no, "
            f"found {config.threshold}"
        )
    return PublicParameters(
        parties=config.n_parties,
        classes=config.num_classes,
        input_shape=dataset.image_shape,
        ring_bits=config.ring_bits,
        fraction_bits=config.fraction_bits,
        sigma=str(config.sigma),
        aggregation=config.aggregation,
        key_bits=config.paillier_bits,
        preprocessing=config.preprocessing,
        garbling=config.garbling,
        circuits=config.circuits,
        noise_parts=config.noise_parts,
        threshold=config.threshold,
        threshold_sigma=str(config.threshold_sigma),
        labelling=dataset.labelling,
    )


def training_settings(config: CapcConfig, dataset: Dataset, index: int, owner: int) -> TrainingSettings:
    """How an owner trains; architectures are dealt in turn by `index`, the seed is the owner's own."""
    seed = hashlib.sha256(f"training {config.seed} {owner}".encode()).digest()
    return TrainingSettings(
        architecture=config.models[index % len(config.models)],
        image_shape=dataset.image_shape,
        classes=dataset.classes,
        seed=int.from_bytes(seed[:6], "big"),
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        batch=config.training_batch,
        labelling=dataset.labelling,
    )
