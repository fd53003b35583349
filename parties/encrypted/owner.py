"""The data owner: prepares and encrypts records, and decrypts the model that was trained on them.

encrypt_dataset   reads records, prepares them, runs the twin, makes keys, writes
                    keys/private.key       for the owner alone
                    keys/preparation.npz   for the owner alone: what was done to the features, and the classes
                    keys/public.key        for the trainer
                    the encrypted records  for the trainer
decrypt_model     writes down the release, decrypts, compares with the twin where it is asked to, writes the model
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from mpc.encrypted.programs.logistic import Logistic
from mpc.encrypted.release import Comparison
from mpc.encrypted.training import (
    Job,
    owner_decrypt,
    owner_encrypt,
    owner_foresee,
    owner_make_keys,
    owner_make_secret,
)
from parties.encrypted.container import FileError, Header, pack_container, read_container, write_container, write_packed
from parties.encrypted.jobs import (
    RIDGE,
    SQUARED,
    check_parts,
    check_result,
    following,
    header_of,
    job_of,
    key_job,
    of_preparation,
)
from parties.encrypted.kept import PREPARATION, pack_preparation, read_preparation
from parties.encrypted.keys import (
    PUBLIC,
    KeyFileError,
    PrivateKey,
    Release,
    check_key_id,
    new_seed,
    read_private_key,
    record_release,
    signing_key,
    write_private_key,
)
from parties.encrypted.model import LinearModel, check_name
from parties.encrypted.pooling import decrypt_ridge
from parties.encrypted.preparation import Preparation
from parties.encrypted.private_model import decrypt_private_model
from parties.encrypted.records import LabelledTable
from parties.frame.private_files import write_private
from parties.learning.records import DataError

Floats = NDArray[np.float64]
Tell = Callable[[str], None]
"""Is told what begins now, in a few words."""


@dataclass(frozen=True)
class Choices:
    """What an owner chooses. Without `components` all directions are kept, without `whiten` their variances, without
    `norm` the lengths of records.
    """

    training: Logistic
    components: int | None
    whiten: float | None
    clip: float
    norm: float | None = None


@dataclass(frozen=True)
class EncryptedDataset:
    """What was made: the headers of both files, how much was cut, how far training will reach, and sizes and times."""

    header: Header
    cut: int
    numbers: int
    reach: float
    bound: float
    accuracy: float
    data_bytes: int
    key_bytes: int
    seconds: float


def signed_records(table: LabelledTable, preparation: Preparation) -> tuple[list[Floats], int]:
    """Return Z ``(n, outputs)`` for each target, and how many numbers were cut."""
    prepared, cut = preparation.prepare(table)
    return [prepared * table.signs(target)[:, None] for target in range(table.targets)], cut


def encrypt_dataset(
    table: LabelledTable, output: Path, keys: Path, choices: Choices, passphrase: str | None, tell: Tell
) -> EncryptedDataset:
    """Encrypt an owner's records for a trainer. Nothing is written before the twin has been run.

    Raises:
        PartyError: there are keys already, or a file cannot be written.
        MpcError: training would leave its range, or needs larger parameters than there are.
    """
    started = perf_counter()
    private_path = keys / "private.key"
    if private_path.exists():
        raise KeyFileError(
            f"{private_path}: expected no private key yet, found one: a key pair serves one job, so choose another "
            "--keys_dir"
        )
    preparation = Preparation.of(
        table.features, choices.components, choices.whiten, choices.clip, choices.norm, table.extractor
    )
    records, cut = signed_records(table, preparation)
    job = Job.of(len(table.features), preparation.outputs, choices.training, table.targets)
    tell("the twin in the clear")
    foreseen = owner_foresee(job, records)
    model = _model(preparation, table, [one.weights for one in foreseen], choices.training.degree)

    tell("keys")
    seed = new_seed()
    secret = owner_make_secret(job.parameters, seed)
    key_id = secret.key_id.hex()
    public = owner_make_keys(job, secret)
    tell("records")
    parts = owner_encrypt(job, secret, records)

    tell("files")
    signer = signing_key(keys)
    kept = LinearModel.untrained(preparation, table.classes, choices.training.degree)
    shown, preparation_digest = pack_preparation(kept, key_id)
    header = of_preparation(header_of("data", job, key_id), preparation.extractor, preparation_digest)
    encrypted, digest = pack_container(header, parts, signer)
    write_private_key(private_path, PrivateKey(seed, key_job(header, digest), key_id), passphrase)
    write_private(keys / PREPARATION, shown)
    write_container(keys / PUBLIC, following(header_of("public key", job, key_id), header), public, signer)
    write_packed(output, encrypted)
    return EncryptedDataset(
        header=read_container(output, "data").header,
        cut=cut,
        numbers=len(table.features) * (preparation.outputs - 1),
        reach=max((max(one.reach, default=0.0) for one in foreseen), default=0.0),
        bound=max(float(one.bound.max()) for one in foreseen),
        accuracy=model.accuracy(table.features, table.places),
        data_bytes=output.stat().st_size,
        key_bytes=(keys / PUBLIC).stat().st_size,
        seconds=perf_counter() - started,
    )


def _model(preparation: Preparation, table: LabelledTable, weights: Sequence[Floats], degree: int) -> LinearModel:
    stacked = np.stack(weights)[:, : preparation.outputs]
    return LinearModel(stacked, preparation, table.classes, degree)


@dataclass(frozen=True)
class DecryptedModel:
    """What was decrypted: the header, whether the twin stands for it, and within which bound, if it does."""

    header: Header
    model: LinearModel
    verified: bool
    bound: float | None
    seconds: float


def decrypt_model(
    path: Path,
    private_path: Path,
    output: Path,
    records: LabelledTable | None,
    passphrase: str | None,
    signed_by: str | None,
    test: LabelledTable | None = None,
) -> DecryptedModel:
    """Decrypt a trained model of the key pair's own job and write it.

    With `records` it is compared with the twin, which is then what is written. Records that the model cannot be
    measured on, these or those of `test`, are refused before anything is released.

    The release is written down before anything is decrypted, so that a key pair answers once.

    Raises:
        PartyError: the files do not belong together, or the key pair has released something else.
        CheatingError: the model is not what the twin gives.
    """
    started = perf_counter()
    check_name(output)
    key = read_private_key(private_path, passphrase)
    found = read_container(path, "model", signed_by)
    check_result(path, found.header, key)
    for name, table in (("verify", records), ("test", test)):
        if table is not None:
            kept = read_preparation(private_path.with_name(PREPARATION), key.key_id, key.job.preparation)
            _check_measured(name, table, kept)
    if key.job.algorithm == RIDGE:
        model, bound = decrypt_ridge(path, found, private_path, key, records)
        model.write(output)
        return DecryptedModel(found.header, model, bound is not None, bound, perf_counter() - started)
    if key.job.algorithm == SQUARED:
        if records is not None:
            raise FileError(f"verify: expected none for a model that another party trained on its own records ({path})")
        model = decrypt_private_model(path, found, private_path, key, output)
        return DecryptedModel(found.header, model, False, None, perf_counter() - started)
    job = job_of(path, found.header)
    kept = read_preparation(private_path.with_name(PREPARATION), key.key_id, key.job.preparation)
    _check_shape(path, job, kept)
    check_parts(path, found.header, job.weight_sizes())
    foreseen = None if records is None else owner_foresee(job, _same_records(records, kept))
    secret = owner_make_secret(key.job.parameters, key.seed)
    check_key_id(private_path, key, secret.key_id)
    release = Release(found.digest, verified=foreseen is not None)
    record_release(private_path.parent, key.key_id, release)
    weights = [owner_decrypt(job, secret, found.parts[f"weights {target}"]) for target in range(job.targets)]
    bound = None
    if foreseen is not None:
        comparison = Comparison()
        for decrypted, one in zip(weights, foreseen, strict=True):
            comparison.note(decrypted, one)
        comparison.check()
        bound = comparison.bound
        weights = [one.weights for one in foreseen]
    stacked = np.stack(weights)[:, : kept.preparation.outputs]
    model = LinearModel(stacked, kept.preparation, kept.classes, kept.degree)
    model.write(output)
    return DecryptedModel(found.header, model, foreseen is not None, bound, perf_counter() - started)


def _check_shape(path: Path, job: Job, kept: LinearModel) -> None:
    targets, outputs = kept.weights.shape
    if job.targets != targets or not outputs <= job.packing.features < 2 * outputs:
        raise FileError(
            f"{path}: expected a model of {targets} targets and {outputs} numbers, padded to a power of two, as in "
            f"{PREPARATION}, found {job.targets} and {job.packing.features}"
        )


def _check_measured(name: str, table: LabelledTable, kept: LinearModel) -> None:
    """Refuse records that no accuracy can be measured on. Raises `FileError` and `DataError`."""
    if table.classes != kept.classes:
        raise FileError(
            f"{name}: expected records with the classes {', '.join(kept.classes)}, found {', '.join(table.classes)}"
        )
    try:
        kept.preparation.prepare(table)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def _same_records(table: LabelledTable, kept: LinearModel) -> list[Floats]:
    return signed_records(table, kept.preparation)[0]


def scikit_learn(table: LabelledTable) -> Pipeline:
    """Return scikit-learn's logistic regression, as it comes, on the same records, standardised, to compare with."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(table.features, table.places)
