"""The roles of a run, whose records are whose, and what follows from the configuration for all parties.

A run has `n_parties` + 1 data owners. Each has a part of the dataset, or records of its own. Some ask, and all others
answer.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpc.capc.parameters import PublicParameters
from parties.capc.config import CapcConfig
from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.learning.architectures import own_architecture
from parties.learning.datasets import load_dataset
from parties.learning.model_files.choices import ModelFile
from parties.learning.model_files.source import model_source
from parties.learning.models import architecture
from parties.learning.own.records import own_dataset
from parties.learning.own.tables import read_table
from parties.learning.parts import Dataset, PartsChoices, SplitData
from parties.learning.training_settings import TrainingSettings

GUARDIAN_NAME = "privacy-guardian"
"""The name of the guardian's process in a run, as in its certificate."""

GUARDS, ANSWERS, ASKS = "guardian", "answering", "asking"
"""The roles of a federation's members."""


@dataclass(frozen=True)
class RoleAssignment:
    """The data owner behind each querying and each answering party's name.

    With one querying party the others answer, and are numbered among themselves. With several querying parties every
    data owner answers when it is not its own turn. Then owner 3 has two programs, `server-3` that answers and
    `client-3` that asks.
    """

    clients: dict[str, int]
    servers: dict[str, int]
    guardian: str = GUARDIAN_NAME
    owners: int | None = None  # how many data owners there are; None is one more than answer

    @classmethod
    def of(cls, config: CapcConfig, federation: Federation | None = None) -> RoleAssignment:
        """Assign the roles that a configuration says, or that a federation's members play in a run on this machine."""
        if federation is not None:
            return of_federation(federation, asking="-asks")
        owners = range(config.n_parties + 1)
        if len(config.qp_id) > 1:
            return cls({f"client-{owner}": owner for owner in config.qp_id}, {f"server-{n}": n for n in owners})
        others = [owner for owner in owners if owner not in config.qp_id]
        return cls({"client": config.qp_id[0]}, {f"server-{index}": owner for index, owner in enumerate(others)})

    def answering(self, asking: int) -> tuple[str, ...]:
        """Return the names of the parties that answer the owner that asks, which are all others."""
        return tuple(name for name, owner in self.servers.items() if owner != asking)


def of_federation(federation: Federation, asking: str = "") -> RoleAssignment:
    """Return the roles of a federation's members, who are data owners in the order that they share.

    A member with two programs has the certificate of its name for both. In a run each program has one of its own, and
    then the name of the one that asks ends in `asking`.
    """
    owners = [one for one in federation.members if ANSWERS in one.role or ASKS in one.role]
    numbered = list(enumerate(owners))
    clients = {one.name + (asking if ANSWERS in one.role else ""): n for n, one in numbered if ASKS in one.role}
    servers = {one.name: n for n, one in numbered if ANSWERS in one.role}
    return RoleAssignment(clients, servers, federation.with_role(GUARDS)[0].name, len(owners))


def with_own_queries(config: CapcConfig, asking: Sequence[int]) -> CapcConfig:
    """Return the configuration whose `queries`, if there are any, are the `unlabelled` of the one owner that asks.

    Raises `ConfigError` where nobody, or more than one, would ask about them, or where records are no owner's own.
    """
    if config.queries is None:
        return config
    data, path = config.data, config.queries.absolute()
    if data is None:
        raise ConfigError(f"queries: expected own records (`data`) to prepare them as, found dataset {config.dataset}.")
    if len(asking) != 1:
        raise ConfigError(f"queries: expected one party that asks about them, found {len(asking)}.")
    if data.parties:
        parties = [
            files.model_copy(update={"unlabelled": path}) if owner == asking[0] else files
            for owner, files in enumerate(data.parties)
        ]
        data = data.model_copy(update={"parties": tuple(parties)})
    else:
        data = data.model_copy(update={"unlabelled": path})
    return config.model_copy(update={"data": data})


def load_data(config: CapcConfig) -> Dataset:
    """Load the dataset that a configuration names, or its own records. Raises `ConfigError`."""
    if config.data is not None:
        return own_dataset(config.data)
    return load_dataset(config.dataset, data_folder(config), config.code_dir)


def split_data(config: CapcConfig, dataset: Dataset, owners: int | None = None) -> SplitData:
    """Return the dataset in parts, by default for one owner more than answer. Who asks changes nothing about them."""
    follows = config.data is not None and "n_queries" not in config.model_fields_set
    return dataset.parts(
        PartsChoices(
            owners=config.n_parties + 1 if owners is None else owners,
            askers=config.qp_id,
            seed=config.seed,
            method=config.split,
            missing_classes=config.missing_classes,
            campaign=config.strategy != "given",
            set_aside=config.unlabelled,
            first=config.first_query,
            count=None if follows else config.n_queries,
        )
    )


def with_queries(config: CapcConfig, data: SplitData) -> CapcConfig:
    """Return the configuration with the number of queries that follows from what is asked, where it is not given.

    Raises `ConfigError` for more queries than any querying party has records for.
    """
    most = max(len(asked.records) for asked in data.asked.values())
    if config.strategy == "given" and "n_queries" not in config.model_fields_set and config.data is not None:
        return config.model_copy(update={"n_queries": most})
    if config.n_queries > most:
        raise ConfigError(f"n_queries: expected at most the {most} records to ask about, found {config.n_queries}")
    return config


def refuse_missing_records(config: CapcConfig, roles: RoleAssignment) -> None:
    """Raise `ConfigError` where an owner that trains a model has no records of its own to train it on."""
    if config.data is None or not config.data.parties:
        return
    trains = dict.fromkeys(roles.servers.values(), "answers")
    if config.strategy != "given":
        trains |= dict.fromkeys(roles.clients.values(), "chooses by a model of its own what it asks about")
    for owner, files in enumerate(config.data.parties):
        if files.records is None and owner in trains:
            who = f"data owner {owner}" + (f" ({files.name})" if files.name else "")
            raise ConfigError(f"data: expected `records` of {who}, which {trains[owner]}, found none.")


def unneeded_records(config: CapcConfig, roles: RoleAssignment, names: Sequence[str]) -> tuple[str, ...]:
    """Return a note for each of these querying parties that has records although it only asks, about given ones."""
    if config.data is None or not config.data.parties or config.strategy != "given":
        return ()
    idle = [name for name in names if roles.clients[name] not in roles.servers.values()]
    return tuple(
        f"{name} only asks, about given records: its `records` are not needed, and no model is trained on them; "
        "without them the ledger of a run on one machine begins other accounts"
        for name in idle
        if config.data.parties[roles.clients[name]].records is not None
    )


def public_parameters(config: CapcConfig, dataset: Dataset) -> PublicParameters:
    """Return what all parties of a run agree on. Raises `ConfigError` if the configuration does not fit the dataset."""
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
        weight_norm=config.weight_norm,
        weight_bits=config.weight_bits,
    )


def training_settings(config: CapcConfig, dataset: Dataset, index: int, owner: int) -> TrainingSettings:
    """Return how an owner trains, or the file of its own model.

    The `index` chooses the model in turn where the owner names none, and the seed is the owner's own. Raises
    `ConfigError` for a file that cannot be a model.
    """
    seed = hashlib.sha256(f"training {config.seed} {owner}".encode()).digest()
    model, source, template = model_of(config, index, owner), None, None
    if isinstance(model, str):
        template = own_architecture(model, dataset.image_shape, dataset.classes, config.code_dir)
    else:
        names = class_names(dataset)
        source = model_source(model.file, model.factory, model.path, config.trust_pickle, names)
    return TrainingSettings(
        architecture=model if isinstance(model, str) else "own",
        source=source,
        template=template,
        image_shape=dataset.image_shape,
        classes=dataset.classes,
        seed=int.from_bytes(seed[:6], "big"),
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        batch=config.training_batch,
        labelling=dataset.labelling,
    )


def model_of(config: CapcConfig, index: int, owner: int) -> str | ModelFile:
    """Return an owner's model, which is the one it names, or the one of this index in turn."""
    own = config.data.parties[owner].model if config.data is not None and config.data.parties else None
    return config.models[index % len(config.models)] if own is None else own


def refuse_unknown_models(config: CapcConfig, dataset: Dataset, owners: int) -> None:
    """Raise `ConfigError` for the name of a model that is not known, or that does not fit the records."""
    shape = dataset.image_shape, dataset.classes
    for model in (*config.models, *(model_of(config, owner, owner) for owner in range(owners))):
        if isinstance(model, str) and own_architecture(model, *shape, config.code_dir) is None:
            architecture(model, *shape)


def class_names(dataset: Dataset) -> tuple[str, ...]:
    """Return the names of classes or labels as text, which are numbers where there are no names."""
    return tuple(map(str, dataset.label_names or dataset.class_values or range(dataset.classes)))


def ids_of(config: CapcConfig, owner: int) -> list[str] | None:
    """Return the ids of the records that an owner may ask about, or None where no column of them is named."""
    data = config.data
    if data is None or data.id is None:
        return None
    files = data.parties[owner] if data.parties else data
    path = files.held_out if files.unlabelled is None else files.unlabelled
    if path is None:
        return None
    table = read_table(path, [data.id], data.delimiter)
    return [str(value) for value in table.column(data.id, "the id of a record").tolist()]


def data_folder(config: CapcConfig) -> Path | None:
    """Return the folder of the dataset's files, from the configuration or else from the environment."""
    if config.data_dir is not None:
        return config.data_dir
    value = os.environ.get("CAPC_DATA_DIR")
    return Path(value) if value else None
