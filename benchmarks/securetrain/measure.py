"""The measurements. Every encrypted result is compared with one in the clear, or the benchmark ends."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from benchmarks.peers.turns import clocked
from benchmarks.securetrain.rivals import ROOT, Row, in_turns
from benchmarks.securetrain.trainer import DATA, MODEL, TRAINED
from benchmarks.securetrain.works import CLASSES, REFRESHED, SMALL, Work, breast_cancer, table
from mpc.encrypted.packing import Floats
from mpc.encrypted.private_model import PrivateModelJob, model_owner_encrypt, model_owner_make_keys
from mpc.encrypted.programs.squared import Squared, linear_map
from mpc.encrypted.ranges import Foreseen
from mpc.encrypted.release import Comparison, verified
from mpc.encrypted.training import (
    Job,
    owner_decrypt,
    owner_encrypt,
    owner_foresee,
    owner_make_keys,
    owner_make_secret,
    owner_refresh,
    trainer_train,
)
from parties.encrypted import owner, private_model
from parties.encrypted.container import read_container
from parties.encrypted.jobs import job_of
from parties.encrypted.keys import PUBLIC, read_private_key
from parties.encrypted.model import LinearModel
from parties.encrypted.owner import Choices, signed_records
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import LabelledTable

GREATEST_ERROR = 1e-3  # of a weight, SEAL's and where no bound is derived
SEED_BYTES = 32


def nothing(_: str) -> None:
    """Say nothing of what begins."""


def prepare(features: Floats, choices: Choices) -> Preparation:
    """Return the preparation of records as the choices have it."""
    return Preparation.of(features, choices.components, choices.whiten, choices.clip, choices.norm)


def trainer_command(folder: Path, *more: str) -> list[str]:
    """Return how to start our trainer."""
    return [sys.executable, "-m", "benchmarks.securetrain.trainer", "--folder", str(folder), *more]


def seal_command(python: str, work: Path) -> list[str]:
    """Return how to start SEAL."""
    return [python, "-m", "benchmarks.peers.seal_logistic", "--work", str(work)]


def check_seal(results: Mapping[str, Row]) -> None:
    """Raise `ValueError` if SEAL's result is wrong."""
    if "SEAL" in results and not (error := results["SEAL"]["error"]) < GREATEST_ERROR:
        raise ValueError(f"expected an error below {GREATEST_ERROR} of SEAL's weights, found {error:.3g}")


def owners_times(make_keys: Callable[[], object], encrypt: Callable[[], object], rounds: int) -> dict[str, float]:
    """Return the fastest milliseconds of an owner's two works."""
    return {
        name: min(clocked(work)["ms"] for _ in range(rounds))
        for name, work in (("keys_ms", make_keys), ("encrypt_ms", encrypt))
    }


def measure_records(work: Work, pythons: Mapping[str, str], rounds: int, folder: Path) -> dict[str, Row]:
    """Encrypt records, train in turn with SEAL, and decrypt with the twin beside. Returns a row for each side."""
    records, order = table(), folder / "order.npz"
    made = owner.encrypt_dataset(records, folder / DATA, folder, work.choices, None, nothing)
    preparation = prepare(records.features, work.choices)
    signed, _ = signed_records(records, preparation)
    job = Job.of(len(records.features), preparation.outputs, work.choices.training)
    (foreseen,) = owner_foresee(job, signed)
    secret = owner_make_secret(job.parameters, secrets.token_bytes(SEED_BYTES))
    times = owners_times(lambda: owner_make_keys(job, secret), lambda: owner_encrypt(job, secret, signed), rounds)
    np.savez(
        order,
        kind="logistic",
        records=signed[0],
        rate=work.choices.training.rate,
        iterations=work.choices.training.iterations,
        weights=foreseen.weights,
    )
    commands = {"ours": trainer_command(folder)}
    if "seal" in pythons:
        commands["SEAL"] = seal_command(pythons["seal"], order)
    results = in_turns(commands, rounds)
    check_seal(results)
    opened: list[owner.DecryptedModel] = []

    def decrypt() -> None:
        opened.append(
            owner.decrypt_model(folder / TRAINED, folder / "private.key", folder / "found.npz", records, None, None)
        )

    took = clocked(decrypt)["ms"]  # the twin's run, too
    results["ours"] |= times | {
        "verify_ms": took,
        "error": distance_of(folder, foreseen),
        "bound": opened[0].bound,
        "key_bytes": made.key_bytes,
        "data_bytes": made.data_bytes,
    }
    return results


def distance_of(folder: Path, foreseen: Foreseen) -> float:
    """Return the largest distance of the decrypted weights from the twin's, which the project itself tells nobody."""
    key, found = read_private_key(folder / "private.key", None), read_container(folder / TRAINED, "model", None)
    secret = owner_make_secret(key.job.parameters, key.seed)
    weights = owner_decrypt(job_of(folder / TRAINED, found.header), secret, found.parts["weights 0"])
    return float(np.abs(weights - foreseen.weights).max())


def measure_model(work: Work, pythons: Mapping[str, str], rounds: int, folder: Path) -> dict[str, Row]:
    """Encrypt a model, train it on records in the clear in turn with SEAL, and decrypt. Returns a row for each side."""
    records, order, mine = table(), folder / "order.npz", folder / "table.npz"
    preparation = prepare(records.features, work.choices)
    prepared, _ = preparation.apply(records.features)
    weights = np.linspace(-1, 1, preparation.outputs)[None]
    LinearModel(weights, preparation, CLASSES).write(folder / "clear.npz")
    made = private_model.encrypt_model(folder / "clear.npz", folder / MODEL, folder, None)
    rate = 1 / float(np.linalg.eigvalsh(prepared.T @ prepared / len(prepared))[-1])
    np.savez(mine, records=prepared, labels=records.signs(0), rate=rate)
    a, c = linear_map(prepared, records.signs(0), Squared(rate, work.steps))
    job = PrivateModelJob.of(preparation.outputs, 1)
    secret = owner_make_secret(job.parameters, secrets.token_bytes(SEED_BYTES))
    times = owners_times(
        lambda: model_owner_make_keys(job, secret), lambda: model_owner_encrypt(job, secret, weights), rounds
    )
    matrix, vector = np.zeros((job.features, job.features)), np.zeros(job.features)
    matrix[: len(c), : len(c)], matrix[: len(c), -1] = a, c
    vector[: len(c)], vector[-1] = weights[0], 1.0
    np.savez(order, kind="private", matrix=matrix, weights=vector, records=prepared)
    commands = {"ours": trainer_command(folder, "--table", str(mine), "--steps", str(work.steps))}
    if "seal" in pythons:
        commands["SEAL"] = seal_command(pythons["seal"], order)
    results = in_turns(commands, rounds)
    check_seal(results)
    opened: list[owner.DecryptedModel] = []

    def decrypt() -> None:
        opened.append(
            owner.decrypt_model(folder / TRAINED, folder / "private.key", folder / "found.npz", None, None, None)
        )

    took = clocked(decrypt)["ms"]
    error = float(np.abs(opened[0].model.weights[0] - (a @ weights[0] + c)).max())
    if not error < GREATEST_ERROR:
        raise ValueError(f"expected an error below {GREATEST_ERROR} of the trained model, found {error:.3g}")
    results["ours"] |= times | {
        "decrypt_ms": took,
        "error": error,
        "key_bytes": (folder / PUBLIC).stat().st_size,
        "data_bytes": made.model_bytes,
    }
    return results


def train_encrypted(job: Job, signed: list[Floats], foreseen: Foreseen) -> tuple[Floats, float, Row]:
    """Train on one encrypted target, refreshed where the job says so.

    Returns:
        The twin's weights, the encrypted run's largest distance from them, and the time of training and refreshes.

    Raises:
        CheatingError: the run is not within the bound of the twin.
    """
    secret = owner_make_secret(job.parameters, secrets.token_bytes(SEED_BYTES))
    keys, parts = owner_make_keys(job, secret), owner_encrypt(job, secret, signed)
    given: list[bytes] = []
    comparison = Comparison()

    def refresh(_: int, iteration: int, message: bytes) -> bytes:
        return owner_refresh(job, secret, message, foreseen.refreshed[iteration], comparison)

    def work() -> None:
        steps = list(trainer_train(job, keys, parts, refresh))
        given.extend(step.weights for step in steps if step.weights is not None)

    took = clocked(work)
    weights = owner_decrypt(job, secret, given[0])
    error = float(np.abs(weights - foreseen.weights).max())
    comparison.check()
    return verified(weights, foreseen), error, took


def measure_refreshed(choices: Choices, rounds: int) -> Row:
    """Return the figures of a training with refreshes, both sides in this process."""
    records = table()
    preparation = prepare(records.features, choices)
    signed, _ = signed_records(records, preparation)
    job = Job.of(len(records.features), preparation.outputs, choices.training)
    (foreseen,) = owner_foresee(job, signed)
    runs = [train_encrypted(job, signed, foreseen) for _ in range(rounds)]
    return {
        "turns": [took for _, _, took in runs],
        "error": max(error for _, error, _ in runs),
        "bound": float(foreseen.bound.max()),
        "iterations": choices.training.iterations,
        "refreshes": len(job.refreshes),
        "refresh_bytes": job.refreshed_bytes + job.weight_bytes,
        "key_bytes": sum(job.key_sizes().values()),
        "data_bytes": sum(job.record_sizes().values()),
    }


def measure_tenseal(python: str, done: int, folder: Path) -> Row:
    """Return the figures of a part of TenSEAL's epoch on the same prepared records."""
    records, order = table(), folder / "order.npz"
    preparation = Preparation.of(records.features, REFRESHED.components, REFRESHED.whiten, REFRESHED.clip)
    prepared, _ = preparation.apply(records.features)
    np.savez(order, records=prepared[:, :-1], classes=records.places, done=done)
    command = [python, str(ROOT / "benchmarks" / "peers" / "tenseal_logistic.py"), "--work", str(order)]
    return in_turns({"TenSEAL": command}, 1)["TenSEAL"] | {"of": len(records.features)}


def measure_accuracy(splits: int) -> Row:
    """Return the accuracies over random splits, of encrypted runs within their bounds and of scikit-learn."""
    features, classes = breast_cancer()
    found: dict[str, Any] = {"without refresh": [], "with refresh": [], "scikit-learn": []}
    for seed in range(splits):
        x, test, y, truth = train_test_split(features, classes, test_size=0.2, random_state=seed, stratify=classes)
        records = LabelledTable(x, y, CLASSES)
        for name, choices in (("without refresh", SMALL), ("with refresh", REFRESHED)):
            preparation = prepare(x, choices)
            signed, _ = signed_records(records, preparation)
            job = Job.of(len(x), preparation.outputs, choices.training)
            (foreseen,) = owner_foresee(job, signed)
            weights, _, _ = train_encrypted(job, signed, foreseen)
            model = LinearModel(weights[None, : preparation.outputs], preparation, CLASSES)
            found[name].append(model.accuracy(test, truth))
        found["scikit-learn"].append(float(owner.scikit_learn(records).score(test, truth)))
    return found
