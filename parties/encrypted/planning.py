"""What the launcher does before an online run: splits the data owner's records and finds the job's public shape."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from mpc.encrypted.programs.logistic import Logistic
from mpc.encrypted.training import Job
from parties.encrypted.config import SecureTrainConfig
from parties.encrypted.data_owner import HELD_OUT, KEPT, RECORDS
from parties.encrypted.jobs import shared_release
from parties.encrypted.model import LinearModel, check_name
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import LabelledTable, read_records
from parties.frame.errors import ConfigError

MOST_ITERATIONS = 100


def prepare(config: SecureTrainConfig, folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Write the records, those that are held out and the preparation into the folder.

    Return the job's settings, and notes on the records.
    """
    if config.steps > MOST_ITERATIONS:
        raise ConfigError(f"iterations: expected at most {MOST_ITERATIONS} on encrypted records, found {config.steps}.")
    if config.start_model is not None:
        raise ConfigError("start_model: expected with encrypted: model alone, found it with encrypted: records.")
    if config.output_model is not None:
        check_name(config.output_model)
    table = records_of(config)
    order = np.random.default_rng(config.seed).permutation(len(table.features))
    count = round(config.held_out * len(order))
    if not 0 < count < len(order) - 1:
        raise ConfigError(f"held_out: expected a part that leaves records on both sides, found {config.held_out:g}.")
    held_out, kept = order[:count], order[count:]
    for path, rows in ((folder / RECORDS, kept), (folder / HELD_OUT, held_out)):
        if len(set(table.places[rows].tolist())) < len(table.classes):
            raise ConfigError("held_out: expected records of every class on both sides, found a class without: seed?")
        np.savez(path, X=table.features[rows], y=table.places[rows])
    features = table.features.shape[1]
    components = min(config.components, features) or None
    preparation = Preparation.of(
        table.features[kept], components, config.whiten or None, config.clip, config.norm or None
    )
    choices = Logistic(config.learning_rate or 4.0, config.steps, config.sigmoid_degree, config.stretch)
    LinearModel.untrained(preparation, table.classes, choices.degree).write(folder / KEPT)
    job = Job.of(len(kept), preparation.outputs, choices, table.targets)
    settings = {
        "parameters": job.parameters,
        "records": job.packing.records,
        "features": job.packing.features,
        "targets": job.targets,
        "rate": choices.rate,
        "iterations": choices.iterations,
        "degree": choices.degree,
        "stretch": choices.stretch,
    }
    return settings | _release(config, job), table.notes


def _release(config: SecureTrainConfig, job: Job) -> dict[str, Any]:
    """Return the settings of the release, after a look at whether the job has room for it."""
    limit_bits = round(math.log2(config.weight_limit))
    if 2.0**limit_bits != config.weight_limit:
        raise ConfigError(f"weight_limit: expected a power of two, found {config.weight_limit:g}.")
    if config.release_to == "both" and config.release == "verified":
        raise ConfigError("release_to: expected both with release: shared alone, found it with release: verified.")
    settings = {
        "release": config.release,
        "noise": config.release_noise,
        "limit_bits": limit_bits,
        "release_to": config.release_to,
    }
    if config.release == "shared":
        _ = shared_release(job, config.release_noise, limit_bits, config.release_to == "both")
    return settings


def records_of(config: SecureTrainConfig, images: bool = False) -> LabelledTable:
    """Return the records of a run, which may be images where an extractor takes them. Raises `DataError`."""
    if config.dataset is not None:
        return read_records(config.dataset, config.label, config.delimiter, images)
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415 - only without a data set of one's own

    features, places = load_breast_cancer(return_X_y=True)
    return LabelledTable(features, places.astype(np.int64), ("malignant", "benign"))
