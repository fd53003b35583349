"""What the launcher does before a run in which the model is encrypted: deals out records, and finds the public shape.

It has the inputs of both parties, so that it can also say what the same training gives in the clear.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc.encrypted.private_model import PrivateModelJob
from parties.encrypted.config import SecureTrainConfig
from parties.encrypted.model import LinearModel, check_name
from parties.encrypted.model_run.data_owner import RECORDS
from parties.encrypted.model_run.project_owner import MODEL, TEST
from parties.encrypted.model_run.settings import ModelOwnerSettings, RecordsOwnerSettings
from parties.encrypted.owner import scikit_learn
from parties.encrypted.planning import records_of
from parties.encrypted.preparation import Preparation
from parties.encrypted.private_model import maps_of, model_of, plain_model
from parties.encrypted.records import LabelledTable
from parties.encrypted.settings import OWNER, TRAINER
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Process, Run
from parties.frame.settings import Address, Peer

OWN_PART = 0.1  # of the records, for the project owner where it has no model of its own
STEPS = {
    "1": "connect",
    "2": "keys",
    "3": "the encrypted model",
    "4": "training on records in the clear, under encryption",
    "5": "the trained model, encrypted",
    "6": "decryption",
}


def plan(config: SecureTrainConfig, run: Run) -> Plan:
    """Return the project owner and the data owner. Write the model and the test into the folder of the one, and the
    records into that of the other. Raises `ConfigError`, `PartyError` and `MpcError`.
    """
    if config.output_model is not None:
        check_name(config.output_model)
    table = records_of(config)
    model, kept, test = _dealt(config, table)
    model.write(run.folders.party(TRAINER) / MODEL)
    for path, rows in ((run.folders.party(OWNER) / RECORDS, kept), (run.folders.party(TRAINER) / TEST, test)):
        table.part(rows).write(path)
    job = PrivateModelJob.of(model.preparation.outputs, len(model.weights))
    address = Address(host=run.host, port=run.start_port)

    def common(name: str) -> dict[str, Any]:
        return run.common_settings(name) | {
            "connect_deadline_s": config.connect_deadline_s,
            "message_deadline_s": config.message_deadline_s,
            "run_deadline_s": config.run_deadline_s,
            "parameters": job.parameters,
            "features": job.features,
            "targets": job.targets,
        }

    data_owner = RecordsOwnerSettings(
        **common(OWNER),
        trainer=Peer(name=TRAINER, host=address.host, port=address.port),
        iterations=config.steps,
        rate=config.learning_rate,
        answers=run.folders.durable(OWNER).resolve(),
        moments_known=config.moments_known or config.dataset is None,  # the built-in records are public
    )
    project_owner = ModelOwnerSettings(
        **common(TRAINER),
        listen=address,
        owner=OWNER,
        output=None if config.output_model is None else config.output_model.absolute(),
        twin=_twin(config, model, table.part(kept), table.part(test)),
    )
    return Plan(
        (
            Process(OWNER, "parties.encrypted.model_run.data_owner", data_owner, "Data owner"),
            Process(TRAINER, "parties.encrypted.model_run.project_owner", project_owner, "Project owner", address.port),
        ),
        reporter=TRAINER,
        more_reporters=(OWNER,),
        deadline_s=config.run_deadline_s,
        steps=STEPS,
        notes=(
            f"{OWNER} sees how features are prepared, that there are {job.targets} target(s) of less than "
            f"{job.features} weights, and no weight",
            *table.notes,
        ),
    )


def _dealt(config: SecureTrainConfig, table: LabelledTable) -> tuple[LinearModel, NDArray[np.int64], NDArray[np.int64]]:
    """Return the project owner's model, and which records train it and which measure it."""
    order = np.random.default_rng(config.seed).permutation(len(table.features))
    count, own = round(config.held_out * len(order)), 0 if config.start_model else round(OWN_PART * len(order))
    test, mine, kept = order[:count], order[count : count + own], order[count + own :]
    for rows in (test, kept) if config.start_model else (test, mine, kept):
        if len(set(table.places[rows].tolist())) < len(table.classes):
            raise ConfigError("held_out: expected records of every class in each part, found a part without: seed?")
    model = _own_model(config, table.part(mine)) if config.start_model is None else plain_model(config.start_model)
    if model.classes != table.classes:
        raise ConfigError(
            f"start_model: expected the classes of the records, {', '.join(table.classes)}, found "
            f"{', '.join(model.classes)}."
        )
    return model, kept, test


def _own_model(config: SecureTrainConfig, table: LabelledTable) -> LinearModel:
    """Return a model that the same steps find on a few records in the clear, from weights of 0."""
    components = min(config.components, table.features.shape[1]) or None
    preparation = Preparation.of(table.features, components, config.whiten or None, config.clip, config.norm or None)
    untrained = LinearModel.untrained(preparation, table.classes, config.sigmoid_degree)
    return model_of(untrained, [c for _, c in maps_of(untrained, table, None, 10)[0]])


def _twin(config: SecureTrainConfig, model: LinearModel, kept: LabelledTable, test: LabelledTable) -> dict[str, float]:
    """Return the accuracy of the same training in the clear, and of scikit-learn's on the data owner's records."""
    maps, _, _ = maps_of(model, kept, config.learning_rate, config.steps)
    twin = model_of(model, [a @ weights + c for (a, c), weights in zip(maps, model.weights, strict=True)])
    best = float(scikit_learn(kept).score(test.features, test.places))
    return {"accuracy": twin.accuracy(test.features, test.places), "scikit-learn": best}
